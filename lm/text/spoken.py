"""How abbreviations, numerals and signs are read aloud, as LibriSpeech's readers and transcripts have it."""

from __future__ import annotations

import re
from functools import lru_cache

from num2words import num2words


def spell_out(text: str) -> str:
    """The text with abbreviations, numbers and signs as words (in either case), for plain ASCII quotes and letters.

    Full stops that end no sentence go with their abbreviations; those of "etc." and "a.m." stay, since they may end
    one too: a full stop before a small letter ends nothing.
    """
    if "&" in text:
        text = text.replace("&c", "et cetera").replace("&", " and ")
    text = ABBREVIATION.sub(_abbreviation, LATIN.sub(_latin, TITLE.sub(_title, text)))
    text = ROMAN.sub(_roman, MC.sub("Mc ", text))
    return _numbers(text) if DIGIT.search(text) else text


# --- Abbreviations ----------------------------------------------------------------------------------------

TITLES = {
    "Mr": "Mister", "Mrs": "Missus", "Dr": "Doctor", "Messrs": "Messrs", "Mme": "Madame", "Mlle": "Mademoiselle",
    "MR": "Mister", "MRS": "Missus", "DR": "Doctor", "MSS": "manuscripts", "MS": "manuscript",
}  # fmt: skip
ABBREVIATIONS = {
    "Capt": "Captain", "Col": "Colonel", "Gen": "General", "Lieut": "Lieutenant", "Lt": "Lieutenant",
    "Maj": "Major", "Sergt": "Sergeant", "Sgt": "Sergeant", "Prof": "Professor", "Hon": "Honorable",
    "Rev": "Reverend", "Gov": "Governor", "Supt": "Superintendent", "Esq": "Esquire", "Jr": "Junior",
    "Sr": "Senior", "Co": "Company", "Bros": "Brothers", "Ltd": "Limited", "Mt": "Mount", "Ste": "Sainte",
    "Mons": "Monsieur", "MM": "Messieurs", "Wm": "William", "Geo": "George", "Chas": "Charles", "Jas": "James",
    "Thos": "Thomas", "Jno": "John", "Robt": "Robert", "Benj": "Benjamin", "Edw": "Edward",
    "Vol": "Volume", "Vols": "Volumes", "vol": "volume", "vols": "volumes", "vs": "versus", "viz": "viz",
    "Jan": "January", "Feb": "February", "Aug": "August", "Sept": "September", "Oct": "October",
    "Nov": "November", "Dec": "December",
}  # fmt: skip
BEFORE_NUMBERS = {  # "No. 5", but "he said no."
    "no": "number", "nos": "numbers", "p": "page", "pp": "pages", "chap": "chapter", "ch": "chapter",
    "fig": "figure", "sec": "section", "art": "article", "lib": "book", "bk": "book",
}  # fmt: skip
AFTER_NUMBERS = {  # "5 in.", but "come in."
    "ft": "feet", "in": "inches", "lb": "pounds", "lbs": "pounds", "oz": "ounces", "yds": "yards", "hrs": "hours",
    "min": "minutes", "cwt": "hundredweight",
}  # fmt: skip
# "etc." and "a.m." may end a sentence too, so they keep a full stop; it ends one only before a capital letter.
LATIN_WORDS = {"i": "that is", "e": "for example", "a": "a m.", "p": "p m."}

TITLE = re.compile(rf"\b(?:({'|'.join(TITLES)})\b|St(?=\.? [A-Z]))\.?")  # British books leave the full stop out
MC = re.compile(r"\bMc(?=[A-Z])")  # MC DONALD
LATIN = re.compile(r"\b(?:i\. ?e|e\. ?g|a\. ?m|p\. ?m|etc)\.")
ABBREVIATION = re.compile(r"(?<![\w'])([A-Za-z]{1,6})\.(?=\s*(\S{0,2}))")
INITIAL_BEFORE = re.compile(r"(?<!\w)[A-Z][. ] ?\Z")
BEGINS_NAME = re.compile(r"[A-Z][a-z]|d[e']")
BEGINS_NUMBER = re.compile(r"\d|[ivxlc][ivxlc.,;]|[IVXLC]{2}")


def _title(match: re.Match[str]) -> str:
    return TITLES[match[1]] if match[1] else "Saint"


def _latin(match: re.Match[str]) -> str:
    return "et cetera." if match[0] == "etc." else LATIN_WORDS[match[0][0]]


def _abbreviation(match: re.Match[str]) -> str:
    word, following = match.groups()
    before = match.string[max(0, match.start() - 3) : match.start()]
    if word in ABBREVIATIONS:
        return ABBREVIATIONS[word]
    if len(word) == 1 and word.isupper():
        if word == "M" and BEGINS_NAME.match(following) and not INITIAL_BEFORE.search(before):
            return "Monsieur"
        return match[0] if word == "I" else word if following == "'s" else f"{word} "
    if word == "St":
        return "Saint" if following[:1] == "-" else "Street"
    if word.lower() in BEFORE_NUMBERS and BEGINS_NUMBER.match(following):
        full = BEFORE_NUMBERS[word.lower()]
        return full.capitalize() if word[0].isupper() else full
    if word in AFTER_NUMBERS and before[-2:-1].isdigit():
        return AFTER_NUMBERS[word]
    return match[0]


# --- Roman numerals ---------------------------------------------------------------------------------------


def _to_roman(n: int) -> str:
    tens = ["", "X", "XX", "XXX", "XL", "L", "LX", "LXX", "LXXX", "XC"][n // 10 % 10]
    ones = ["", "I", "II", "III", "IV", "V", "VI", "VII", "VIII", "IX"][n % 10]
    return "C" * (n // 100) + tens + ones


ROMANS = {_to_roman(n): n for n in range(1, 400)}
HEADS = (
    "Chapter Book Part Volume Act Scene Canto Section Letter Psalm Number Article Plate Figure Lecture Stanza Sonnet"
).split()
LOWER_HEADS = "chapter book part volume act scene canto section psalm number page article plate figure stanza".split()
KINGS = (
    "Henry George Charles James William Edward Richard Louis Philip Francis Frederick Napoleon Pius Leo Innocent"
    " Gregory Clement Boniface Alexander Urban Nicholas Peter Catherine Elizabeth Paul Ferdinand Leopold Otto Joseph"
    " Alfonso Alphonso John Robert Ptolemy Julius Benedict Christian Gustavus Conrad"
).split()
ROMAN = re.compile(
    rf"\b(?:(?P<head>{'|'.join(HEADS + [head.upper() for head in HEADS] + LOWER_HEADS)})|(?P<king>{'|'.join(KINGS)}))"
    r" +(?P<numeral>[IVXLC]+|[ivxlc]+)(?![\w-])(?P<closed>(?='s|[^\w\s']|\s*\Z))?(?P<initial>(?=  [A-Z]))?"
    r"|(?<![\w'-])(?P<alone>[IVX]{2,}|[XLC][IVXLC]{2,}|[ivx]{2,}|[xlc][ivxlc]{2,})(?![\w'-])"
)


def roman_numeral(text: str) -> str | None:
    """A Roman numeral up to 399 in words; None for any other text."""
    number = ROMANS.get(text)
    return None if number is None else _cardinal(number)


def _roman(match: re.Match[str]) -> str:
    numeral = match["alone"] or match["numeral"]
    number = ROMANS.get(numeral.upper())
    if number is None or number in (50, 100):  # "Part C" and "Plate L" are letters
        return match[0]
    if numeral == "I" and (match["closed"] is None or match["head"] in LOWER_HEADS):  # "the part I like"
        return match[0]
    if match["king"] and match["initial"] is not None:  # "James V. Smith": his full stop has gone already
        return match[0]
    if match["king"]:
        return f"{match['king']} the {_ordinal(number)}"
    return f"{match['head'] or ''} {_cardinal(number)}"


# --- Numbers ----------------------------------------------------------------------------------------------

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
MONEY = re.compile(r"([$£€]|\bL(?=\d)) ?(\d[\d,]{0,20})(?:\.(\d+))?(?: (hundred|thousand|million|billion)\b)?")
STERLING = re.compile(r"\b(\d+)(?:([ls])\.|d\b\.?)(?!\w)")
CLOCK = re.compile(r"(?<![\d:])(\d\d?):([0-5]\d)(?![\d:])")
DAY = re.compile(rf"\b({MONTHS}) (\d\d?)(?:d\b|(?![\d:/%a-z]|,\d))")
OLD_ORDINAL = re.compile(r"(\b[Tt]he )?(?<![\w,])(\d*(?<!1)[23])d\b(?(1)|(?!\.))")  # the 2d, 23d; but 3d. is threepence
FRACTION = re.compile(r"(?:(\d+)[ -] ?)?(?<![\d/])(\d+)/(\d+)(?![\d/])")
ORDINAL = re.compile(r"(\d[\d,]{0,20})(?:st|nd|rd|th)\b")
DECADE = re.compile(r"'?\b(\d*0)'?s\b")
RANGE = re.compile(r"(?<=\d) ?--? ?(?=\d)")
GLUED = re.compile(r"(?<=\d)(?=[A-Za-z])|(?<=[A-Za-z])(?=\d)")
NUMBER = re.compile(r"(?:(\d{1,3}(?:,\d{3}){1,6}(?!\d)|\d+)(?:\.(\d+))?|(?<!\w)\.(\d+))")


@lru_cache(maxsize=10_000)
def _cardinal(n: int) -> str:
    return num2words(n).capitalize()  # so that a sentence that begins with a number is seen to begin


@lru_cache(maxsize=10_000)
def _ordinal(n: int) -> str:
    return num2words(n, to="ordinal").capitalize()


def _integer(digits: str) -> str:
    """'1,863' as a quantity, '1863' as a year, '007' digit by digit."""
    plain = digits.replace(",", "")
    n = int(plain)
    if plain[0] == "0" and len(plain) > 1:
        return _digits(plain)
    if len(digits) == 4 and (1010 <= n < 2000 or 2010 <= n < 2100):
        century, year = divmod(n, 100)
        rest = "hundred" if year == 0 else f"o {_cardinal(year)}" if year < 10 else _cardinal(year)
        return f"{_cardinal(century)} {rest}"
    return _cardinal(n)


def _digits(digits: str) -> str:
    return " ".join("o" if digit == "0" else _cardinal(int(digit)) for digit in digits)


def _decimals(digits: str) -> str:
    return "point " + _digits(digits)


def _count(n: int, thing: str) -> str:
    plural = "pence" if thing == "penny" else thing + "s"
    return f"{_cardinal(n)} {thing if n == 1 else plural}"


def _money(match: re.Match[str]) -> str:
    sign, whole, part, scale = match.groups()
    unit, small = CURRENCIES[sign]
    n = int(whole.replace(",", ""))
    if scale:
        return f" {_cardinal(n)} {_decimals(part) if part else ''} {scale} {unit}s"
    if part and len(part) == 2 and int(part):
        cents = _count(int(part), small)
        return f" {_count(n, unit)} and {cents}" if n else f" {cents}"
    comma = "," if whole.endswith(",") else ""
    return f" {_count(n, unit)}{comma}"


def _sterling(match: re.Match[str]) -> str:
    """10s. 6d."""
    n = int(match[1])
    if match[2] is None and 1 < n < 12:
        return f" {_cardinal(n)}pence"
    return " " + _count(n, {"l": "pound", "s": "shilling", None: "penny"}[match[2]])


def _clock(match: re.Match[str]) -> str:
    hours, minutes = int(match[1]), int(match[2])
    rest = "o'clock" if minutes == 0 else f"o {_cardinal(minutes)}" if minutes < 10 else _cardinal(minutes)
    return f" {_cardinal(hours)} {rest}"


def _fraction(match: re.Match[str]) -> str:
    whole, top, bottom = match[1], int(match[2]), int(match[3])
    if not 1 < bottom <= 100:
        return f"{whole or ''} {_cardinal(top)} over {_cardinal(bottom)}"
    name = SINGULAR_FRACTIONS.get(bottom) or _ordinal(bottom)
    if top != 1:
        name = "halves" if bottom == 2 else name + "s"
    if whole is None:
        return f" {_cardinal(top)} {name}"
    return f" {_integer(whole)} and {'a' if top == 1 else _cardinal(top)} {name}"


def _decade(match: re.Match[str]) -> str:
    words = _integer(match[1])
    return f" {words[:-1]}ies" if words.endswith("y") else f" {words}s"


def _number(match: re.Match[str]) -> str:
    whole, part, bare_part = match.groups()
    part = part or bare_part
    return f" {_integer(whole) if whole else ''} {_decimals(part) if part else ''}".rstrip()


def _numbers(text: str) -> str:
    text = LONG.sub(lambda match: " ".join(match[0]), text)
    text = MONEY.sub(_money, text)
    text = DAY.sub(lambda m: f"{m[1]} {_ordinal(int(m[2]))}", text)
    text = OLD_ORDINAL.sub(lambda m: f"{m[1] or ''}{_ordinal(int(m[2]))}", text)
    text = STERLING.sub(_sterling, text)
    text = CLOCK.sub(_clock, text)
    text = FRACTION.sub(_fraction, text)
    text = ORDINAL.sub(lambda m: " " + _ordinal(int(m[1].replace(",", ""))), text)
    text = DECADE.sub(_decade, text)
    text = RANGE.sub(" to ", text.replace("%", " per cent"))
    return NUMBER.sub(_number, GLUED.sub(" ", text))
