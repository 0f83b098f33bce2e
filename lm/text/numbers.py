"""How numbers are read aloud: quantities, years, sums of money, dates, times of day, fractions."""

from __future__ import annotations

import re
from functools import lru_cache

MONTHS = "January|February|March|April|May|June|July|August|September|October|November|December"
CURRENCIES = {
    "$": ("dollar", "cent"),
    "£": ("pound", "penny"),
    "L": ("pound", "penny"),
    "€": ("euro", "cent"),
}
SINGULAR_FRACTIONS = {2: "half", 4: "quarter"}

DIGIT = re.compile(r"\d")
LONG = re.compile(r"\d{16,}")  # no quantity: read digit by digit
MONEY = re.compile(r"([$£€]|\bL(?=\d)) ?(\d[\d,]{0,20})(?:\.(\d+))?(?: (hundred|thousand|million|billion|trillion)\b)?")
# 10s. 6d., but not the decades: the 60s., the late 60s., 1960s.
STERLING = re.compile(r"(?<!the )(?<!The )(?<!ly )(?<!late )(?<!mid-)\b(\d+)(?:((?<!\d{4})[ls])\.|d\b\.?)(?!\w)")
CLOCK = re.compile(r"(?<![\d:])(\d\d?):([0-5]\d)(?![\d:])")
DAY = re.compile(rf"\b({MONTHS}) (\d\d?)(?:d\b|(?![\d:/%a-z]|,\d))")
OLD_ORDINAL = re.compile(r"(\b[Tt]he )?(?<![\w,])(\d*(?<!1)[23])d\b(?(1)|(?!\.))")  # the 2d, 23d; but 3d. is threepence
FRACTION = re.compile(r"(?:(\d+)[ -] ?)?(?<![\d/])(\d+)/(\d+)(?![\d/])")
ORDINAL = re.compile(r"(\d[\d,]{0,20})(?:st|nd|rd|th|ST|ND|RD|TH)\b")
DECADE = re.compile(r"'?\b(\d*0)'?s\b")
RANGE = re.compile(r"(?<=\d) ?--? ?(?=\d)")
GLUED = re.compile(r"(?<=\d)(?=[A-Za-z])|(?<=[A-Za-z])(?=\d)")
NUMBER = re.compile(r"(?:(\d{1,3}(?:,\d{3}){1,6}(?!\d)|\d+)(?:\.(\d+))?|(?<!\w)\.(\d+))")


@lru_cache(maxsize=10_000)
def cardinal(n: int) -> str:
    return _said(n).capitalize()  # so that a sentence that begins with a number is seen to begin


@lru_cache(maxsize=10_000)
def ordinal(n: int) -> str:
    return _said(n, to="ordinal").capitalize()


def _said(n: int, **options: str) -> str:
    from num2words import num2words  # which reads the rules of fifty languages: 2.4 MB of each process

    return str(num2words(n, **options))


def _integer(digits: str) -> str:
    """'1,863' as a quantity, '1863' as a year, '007' digit by digit."""
    plain = digits.replace(",", "")
    n = int(plain)
    if plain[0] == "0" and len(plain) > 1:
        return digit_by_digit(plain)
    if len(digits) == 4 and (1010 <= n < 2000 or 2010 <= n < 2100):
        century, year = divmod(n, 100)
        rest = "hundred" if year == 0 else f"o {cardinal(year)}" if year < 10 else cardinal(year)
        return f"{cardinal(century)} {rest}"
    return cardinal(n)


def digit_by_digit(digits: str) -> str:
    return " ".join("o" if digit == "0" else cardinal(int(digit)) for digit in digits)


def _decimals(digits: str) -> str:
    return "point " + digit_by_digit(digits)


def _count(n: int, thing: str) -> str:
    plural = "pence" if thing == "penny" else thing + "s"
    return f"{cardinal(n)} {thing if n == 1 else plural}"


def _money(match: re.Match[str]) -> str:
    sign, whole, part, scale = match.groups()
    unit, small = CURRENCIES[sign]
    n = int(whole.replace(",", ""))
    if scale:
        return f" {cardinal(n)} {_decimals(part) if part else ''} {scale} {unit}s"
    if part and len(part) == 2 and int(part):
        cents = _count(int(part), small)
        return f" {_count(n, unit)} and {cents}" if n else f" {cents}"
    comma = "," if whole.endswith(",") else ""
    return f" {_count(n, unit)}{comma}"


def _sterling(match: re.Match[str]) -> str:
    """10s. 6d."""
    n = int(match[1])
    if match[2] is None and 1 < n < 12:
        return f" {cardinal(n)}pence"
    return " " + _count(n, {"l": "pound", "s": "shilling", None: "penny"}[match[2]])


def _clock(match: re.Match[str]) -> str:
    hours, minutes = int(match[1]), int(match[2])
    rest = "o'clock" if minutes == 0 else f"o {cardinal(minutes)}" if minutes < 10 else cardinal(minutes)
    return f" {cardinal(hours)} {rest}"


def _fraction(match: re.Match[str]) -> str:
    whole, top, bottom = match[1], int(match[2]), int(match[3])
    if not 1 < bottom <= 100:
        return f"{whole or ''} {cardinal(top)} over {cardinal(bottom)}"
    name = SINGULAR_FRACTIONS.get(bottom) or ordinal(bottom)
    if top != 1:
        name = "halves" if bottom == 2 else name + "s"
    if whole is None:
        return f" {cardinal(top)} {name}"
    return f" {_integer(whole)} and {'a' if top == 1 else cardinal(top)} {name}"


def _decade(match: re.Match[str]) -> str:
    words = _integer(match[1])
    return f" {words[:-1]}ies" if words.endswith("y") else f" {words}s"


def _number(match: re.Match[str]) -> str:
    whole, part, bare_part = match.groups()
    part = part or bare_part
    return f" {_integer(whole) if whole else ''} {_decimals(part) if part else ''}".rstrip()


def read_numbers(text: str) -> str:
    """The text with its numbers, sums of money, dates, times and fractions as words."""
    text = LONG.sub(lambda match: " ".join(match[0]), text)
    text = MONEY.sub(_money, text)
    text = DAY.sub(lambda m: f"{m[1]} {ordinal(int(m[2]))}", text)
    text = OLD_ORDINAL.sub(lambda m: f"{m[1] or ''}{ordinal(int(m[2]))}", text)
    text = STERLING.sub(_sterling, text)
    text = CLOCK.sub(_clock, text)
    text = FRACTION.sub(_fraction, text)
    text = ORDINAL.sub(lambda m: " " + ordinal(int(m[1].replace(",", ""))), text)
    text = DECADE.sub(_decade, text)
    text = RANGE.sub(" to ", text.replace("%", " per cent"))
    return NUMBER.sub(_number, GLUED.sub(" ", text))
