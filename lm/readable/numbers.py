"""Numbers, dates, times, sums of money, units, telephone numbers and spelled letters as people write them.

lm.text reads these aloud; here is the way back. Rules propose how said words may be written, and what lm.text doesn't
read as just these words again is never written: ONE HUNDRED FIVE stays in words, for 105 is ONE HUNDRED AND FIVE.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator, Sequence
from functools import lru_cache
from typing import NamedTuple

from lm.text.modern import DOMAINS
from lm.text.normalise import normalize
from lm.text.numbers import MONTHS
from lm.text.spoken import KINGS, ROMANS

Match = re.Match[str]


class Token(NamedTuple):
    """How said words [start, end) are written together."""

    text: str
    start: int
    end: int


ONES = {word: n for n, word in enumerate("ONE TWO THREE FOUR FIVE SIX SEVEN EIGHT NINE".split(), 1)}
TEENS = {
    word: n
    for n, word in enumerate(
        "TEN ELEVEN TWELVE THIRTEEN FOURTEEN FIFTEEN SIXTEEN SEVENTEEN EIGHTEEN NINETEEN".split(), 10
    )
}
TENS = {word: n * 10 for n, word in enumerate("TWENTY THIRTY FORTY FIFTY SIXTY SEVENTY EIGHTY NINETY".split(), 2)}
SMALL = {**ONES, **TEENS, **TENS, "ZERO": 0}
SCALES = {"THOUSAND": 10**3, "MILLION": 10**6, "BILLION": 10**9, "TRILLION": 10**12}
DIGITS = {**ONES, "ZERO": 0, "O": 0}
NTHS = "FIRST SECOND THIRD FOURTH FIFTH SIXTH SEVENTH EIGHTH NINTH"
ORDINALS = dict(zip(NTHS.split(), range(1, 10), strict=True))
ORDINALS |= {"TWELFTH": 12, **{word + "TH": n for word, n in TEENS.items() if word != "TWELVE"}}
ORDINALS |= {word[:-1] + "IETH": n for word, n in TENS.items()}
DECADES = {"HUNDREDS": 0, "TENS": 10, **{word[:-1] + "IES": n for word, n in TENS.items()}}
NUMERIC = frozenset([*SMALL, *SCALES, "HUNDRED"])


def _any(words: Iterable[str]) -> str:
    return f"(?:{'|'.join(words)})"


ONE, TEEN, TEN = _any(ONES), _any(TEENS), _any(TENS)
BELOW_100 = rf"(?:{TEN}(?: {ONE})?\b|{TEEN}|{ONE}\b)"
HUNDREDS = rf"{BELOW_100} HUNDRED(?: AND {BELOW_100})?"
BELOW_1000 = rf"(?:{HUNDREDS}|{BELOW_100})"
BELOW_MILLION = rf"(?:{BELOW_1000} THOUSAND(?: AND {BELOW_100}| {HUNDREDS})?|{BELOW_1000})"
LARGE = rf"(?:{BELOW_1000} (?:MILLION|BILLION|TRILLION)(?: AND {BELOW_100}| {BELOW_MILLION})?)"
CARDINAL = rf"(?:{LARGE}|{BELOW_MILLION}|ZERO)"
DIGIT = _any(DIGITS)
# What the rules don't take together isn't written in parts: no number is followed by another word of one.
_MORE = "|".join([*NUMERIC, *ORDINALS])
WHOLE = rf"(?! (?:POINT )?(?:{_MORE})(?![^ ]))(?!(?<=DRED|SAND|LION) AND (?:{_MORE})(?![^ ]))"
DECIMAL = rf"(?:(?:{BELOW_MILLION}|ZERO) POINT {DIGIT}(?: {DIGIT})*)"
AMOUNT = rf"(?:(?:(?:{DECIMAL}|{BELOW_1000}) (?:MILLION|BILLION|TRILLION)|{DECIMAL}|{CARDINAL}){WHOLE})"
ORDINAL = rf"(?:(?:{BELOW_1000} HUNDRED AND )?(?:{TEN} )?{_any(ORDINALS)}|{BELOW_1000} HUNDREDTH)"
DAY = rf"(?:(?:TWENTY|THIRTY) )?{_any(ORDINALS)}"
CENTURY = rf"(?:{TEEN}|TWENTY) (?:HUNDRED|O {ONE}|{TEN} {ONE}|{TEN}|{TEEN})"
YEAR = rf"(?:(?:{CENTURY}|TWO THOUSAND(?: AND {BELOW_100})?){WHOLE})"
MONTH = _any([month.upper() for month in MONTHS.split("|")])
HOUR = _any([*ONES, "TEN", "ELEVEN", "TWELVE"])
MINUTE = rf"(?:O {ONE}|(?:TWENTY|THIRTY|FORTY|FIFTY)(?: {ONE})?|{TEEN})"
NOON = r"[AP] M"

# What follows a number, and how it is written after it.
UNITS = {
    "KILOMETERS PER HOUR": " km/h", "MILES PER HOUR": " mph", "KILOMETERS": " km", "KILOGRAMS": " kg",
    "CENTIMETERS": " cm", "MILLIMETERS": " mm", "MILLILITERS": " ml", "KILOWATT HOURS": " kWh", "KILOWATTS": " kW",
    "MEGAWATTS": " MW", "GIGAWATTS": " GW", "HERTZ": " Hz", "KILOHERTZ": " kHz", "MEGAHERTZ": " MHz",
    "GIGAHERTZ": " GHz", "KILOBYTES": " KB", "MEGABYTES": " MB", "GIGABYTES": " GB", "TERABYTES": " TB",
    "PETABYTES": " PB", "MEGABITS PER SECOND": " Mbps", "GIGABITS PER SECOND": " Gbps", "MILLISECONDS": " ms",
    "FRAMES PER SECOND": " fps", "DEGREES CELSIUS": "°C", "DEGREES FAHRENHEIT": "°F", "PER CENT": "%",
}  # fmt: skip
# Before and after these small numbers are written in figures too.
HEADS = "CHAPTER PAGE SECTION VERSION FIGURE TABLE STEP ROOM FLIGHT GATE ROUTE HIGHWAY EPISODE LEVEL".split()
MEASURES = """PERCENT FEET FOOT INCHES POUNDS OUNCES MILES METERS LITERS GRAMS TONS ACRES DEGREES VOLTS WATTS AMPS BYTES
    BITS PIXELS CENTS""".split()
# Where hours and minutes come next.
BEFORE_TIMES = frozenset("AT BY UNTIL TILL BEFORE AFTER AROUND ABOUT SINCE FROM".split())
SUFFIXES = {1: "st", 2: "nd", 3: "rd"}
# Two letters that need no others beside them to be one name.
PAIRS = frozenset("AI AC CD CV DC DJ DNA EU FM GM HR IP IT IQ JFK LA MP NY OK PC PR QA TV UI UK UN US UX VC VR".split())


def value(said: str) -> int:
    """Of a cardinal or ordinal number.

    >>> value("TWO THOUSAND FIVE HUNDRED AND TWENTY FIRST")
    2521
    """
    total = part = 0
    for word in said.split():
        if word in SCALES:
            total, part = total + max(1, part) * SCALES[word], 0
        elif word in ("HUNDRED", "HUNDREDTH"):
            part = max(1, part) * 100
        else:
            part += SMALL.get(word, ORDINALS.get(word, 0))
    return total + part


def _digits(said: str) -> str:
    return "".join(str(DIGITS[word]) for word in said.split())


def _cardinal(said: str) -> list[str]:
    n = value(said)
    if 2000 < n < 2100 or (n % 100 == 0 and 1000 < n < 2000):
        return [f"{n}", f"{n:,}"]
    return [f"{n:,}", f"{n}"]


def _amount(said: str) -> list[str]:
    """A cardinal number, a decimal one, so many millions."""
    number, _, scale = said.rpartition(" ")
    if scale in SCALES and scale != "THOUSAND":
        return [f"{figures} {scale.lower()}" for figures in _amount(number)]
    whole, point, part = said.partition(" POINT ")
    return [f"{figures}.{_digits(part)}" for figures in _cardinal(whole)] if point else _cardinal(said)


def _ordinal(said: str) -> str:
    n = value(said)
    return f"{n:,}" + ("th" if 10 < n % 100 < 20 else SUFFIXES.get(n % 10, "th"))


def _year(said: str) -> str:
    first, _, rest = said.partition(" ")
    if said.startswith("TWO THOUSAND"):
        return str(value(said))
    return str(SMALL[first] * 100 + (0 if rest == "HUNDRED" else value(rest)))


def _minutes(said: str) -> str:
    return f"{value(said):02}"


def _before(match: Match) -> str:
    """The word before; "" where there is none."""
    return match.string[: match.start()].rpartition(" ")[0].rpartition(" ")[2]


def _noon(said: str) -> str:
    return said[0].lower() + ".m."


# --- Rules --------------------------------------------------------------------------------------------------

RULES: list[tuple[re.Pattern[str], Callable[[Match], list[str]]]] = []


def _rule(pattern: str) -> Callable[[Callable[[Match], list[str]]], Callable[[Match], list[str]]]:
    """A function that proposes how words that match may be written, the best first; earlier rules go before."""

    def add(propose: Callable[[Match], list[str]]) -> Callable[[Match], list[str]]:
        RULES.append((re.compile(rf"(?:{pattern})(?![^ ])"), propose))
        return propose

    return add


@_rule("TWENTY FOUR SEVEN|NINE ELEVEN|C PLUS PLUS|WORLD WAR (?:ONE|TWO)|ET CETERA")
def _fixed(match: Match) -> list[str]:
    return [
        {
            "TWENTY FOUR SEVEN": "24/7", "NINE ELEVEN": "9/11", "C PLUS PLUS": "C++", "WORLD WAR ONE": "World War I",
            "WORLD WAR TWO": "World War II", "ET CETERA": "etc.",
        }[match[0]]
    ]  # fmt: skip


@_rule(rf"{DIGIT}(?: {DIGIT}){{9}}")
def _telephone(match: Match) -> list[str]:
    digits = _digits(match[0])
    return [f"{digits[:3]}-{digits[3:6]}-{digits[6:]}"]


@_rule(rf"(?:{DIGIT} )*{DIGIT} {DIGIT} {DIGIT}")
def _digit_by_digit(match: Match) -> list[str]:
    digits = _digits(match[0])
    return [digits, *([" ".join(digits)] if len(digits) > 3 else [])]


@_rule(rf"(?P<month>{MONTH}) (?:(?P<day>{DAY})(?: (?P<year>{YEAR}))?|(?P<only>{YEAR}))")
def _date(match: Match) -> list[str]:
    # MAY FIRST and MARCH SECOND may be verbs with what comes first.
    verb = match["month"] in ("MAY", "MARCH") and not match["year"]
    if verb and (before := _before(match)) and before not in BEFORE_DATES:
        return []
    month = match["month"].capitalize()
    if match["only"]:
        return [f"{month} {_year(match['only'])}"]
    day = f"{month} {value(match['day'])}"
    return [f"{day}, {_year(match['year'])}" if match["year"] else day]


BEFORE_DATES = frozenset(
    """ON OF IN BY SINCE UNTIL BEFORE AFTER FROM TO THROUGH TILL THIS LAST NEXT AND AROUND
    MONDAY TUESDAY WEDNESDAY THURSDAY FRIDAY SATURDAY SUNDAY""".split()
)


@_rule(rf"({DAY}) OF ({MONTH})(?: ({YEAR}))?")
def _day_of(match: Match) -> list[str]:
    year = f" {_year(match[3])}" if match[3] else ""
    return [f"{_ordinal(match[1])} of {match[2].capitalize()}{year}"]


@_rule(rf"({HOUR})(?: ({MINUTE}))? ({NOON})")
def _time(match: Match) -> list[str]:
    minutes = f":{_minutes(match[2])}" if match[2] else ""
    return [f"{value(match[1])}{minutes} {_noon(match[3])}"]


@_rule(rf"({HOUR}) O'CLOCK(?: ({NOON}))?")
def _o_clock(match: Match) -> list[str]:
    return [f"{value(match[1])} o'clock" + (f" {_noon(match[2])}" if match[2] else "")]


@_rule(rf"({HOUR}) ({MINUTE}){WHOLE}")
def _time_after(match: Match) -> list[str]:
    return [f"{value(match[1])}:{_minutes(match[2])}"] if _before(match) in BEFORE_TIMES else []


@_rule(rf"({AMOUNT}) DOLLARS?(?: AND ({BELOW_100}) CENTS?)?")
def _dollars(match: Match) -> list[str]:
    cents = f".{_minutes(match[2])}" if match[2] else ""
    return [f"${figures}{cents}" for figures in _amount(match[1])]


@_rule(rf"({AMOUNT}) EUROS?")
def _euros(match: Match) -> list[str]:
    return [f"€{figures}" for figures in _amount(match[1])]


@_rule(rf"({AMOUNT}) ({_any(UNITS)})")
def _units(match: Match) -> list[str]:
    return [figures + UNITS[match[2]] for figures in _amount(match[1])]


@_rule(rf"({AMOUNT}) ({_any(MEASURES)})")
def _measures(match: Match) -> list[str]:
    return [f"{figures} {match[2].lower()}" for figures in _amount(match[1])]


@_rule(rf"({_any(HEADS)}) ({CARDINAL}(?: POINT {DIGIT}(?: {DIGIT})*)*){WHOLE}")
def _heads(match: Match) -> list[str]:
    whole, *parts = match[2].split(" POINT ")
    head = match[1].lower()
    return [".".join([f"{head} {figures}", *map(_digits, parts)]) for figures in _cardinal(whole)]


@_rule(rf"({_any([king.upper() for king in KINGS])}) THE ({DAY})")
def _king(match: Match) -> list[str]:
    numerals = {number: numeral for numeral, number in ROMANS.items()}
    return [f"{match[1].capitalize()} {numerals[value(match[2])]}"]


@_rule(rf"(?:({TEEN}|TWENTY) )?({_any(DECADES)})")
def _decade(match: Match) -> list[str]:
    if match[1]:
        return [f"{SMALL[match[1]] * 100 + DECADES[match[2]]}s"]
    return [f"'{DECADES[match[2]]}s"] if _before(match) in ("THE", "LATE", "EARLY") else []


@_rule(ORDINAL)
def _ordinals(match: Match) -> list[str]:
    if match[0].endswith(" SECOND") and _before(match) not in ("THE", "MY", "HIS", "HER", "ITS", "OUR", "THEIR"):
        return []  # a thirty second break
    return [_ordinal(match[0])] if value(match[0]) > 9 else []


@_rule(rf"({YEAR})(?! O'CLOCK)")
def _years(match: Match) -> list[str]:
    year = int(_year(match[1]))
    if year < 1100 or (year < 1300 and "HUNDRED" not in match[1]) or year == 2000:
        return []  # TEN FIFTEEN and TWELVE THIRTY may be times
    return [str(year)]


# A number that is written in words, in the same breath.
PAIRED_BEFORE = re.compile(rf"(?<![^ ])(?:{ONE} (?:TO|OR|BY) |POINT )$")
PAIRED_AFTER = re.compile(rf" (?:TO|OR|BY|PAST) {ONE}(?![^ ])")


@_rule(rf"{CARDINAL}(?: POINT {DIGIT}(?: {DIGIT})*)+|{AMOUNT}")
def _numbers(match: Match) -> list[str]:
    whole, *parts = match[0].split(" POINT ")
    if len(parts) > 1:  # a version
        return [".".join([str(value(whole)), *map(_digits, parts)])]
    beside = PAIRED_BEFORE.search(match.string[: match.start()]) or PAIRED_AFTER.match(match.string, match.end())
    if not parts and (value(whole) < 10 or beside):
        return []
    if match[0] == "TWO THOUSAND" and _before(match) in ("IN", "YEAR", "SINCE"):
        return ["2000"]
    return _amount(match[0])


@_rule(r"MC [A-Z]+")
def _mc(match: Match) -> list[str]:
    return ["Mc" + match[0][3:].capitalize()]


@_rule(rf"[A-Z][A-Z]+ DOT (?:{DOMAINS.upper()})")
def _address(match: Match) -> list[str]:
    return [match[0].lower().replace(" dot ", ".")]


# A is mostly no letter before what is a name without it, nor after one.
_NAMES = "|".join([*map(" ".join, sorted(PAIRS)), "[A-Z] [A-Z] [A-Z]"])


@_rule(rf"(?!A (?:{_NAMES})(?! [A-Z](?![^ ]))(?![^ ]))[A-Z](?: [A-Z])*(?: [B-Z]| A$)")
def _letters(match: Match) -> list[str]:
    letters = match[0].replace(" ", "")
    return [letters] if len(letters) > 2 or letters in PAIRS else []


@lru_cache(maxsize=50_000)
def read_again(text: str) -> tuple[str, ...]:
    """The words that lm.text reads in a written text."""
    return tuple(normalize(text))


def written_together(words: Sequence[str], breaks: Sequence[bool] | None = None) -> list[Token]:
    """What is written otherwise than a word at a time, in the order in which it stands.

    words: as said, in capitals. breaks: after which of them a sentence or clause ends, which no token goes across.
    """
    breaks = breaks or [False] * len(words)
    tokens = []
    start = 0
    for end in [*(i + 1 for i, broken in enumerate(breaks) if broken), len(words)]:
        tokens += [Token(text, start + first, start + last) for text, first, last in _phrase(words[start:end])]
        start = end
    return tokens


# Words with which a rule's may begin; so may single letters, and words before DOT.
FIRST = frozenset(
    [*SMALL, *ORDINALS, *DECADES, *map(str.upper, [*MONTHS.split("|"), *KINGS]), *HEADS, "ET", "MC", "WORLD"]
)


def _phrase(words: Sequence[str]) -> Iterator[Token]:
    text = " ".join(words)
    place = i = 0  # characters, words
    while i < len(words):
        taken = 1
        if words[i] in FIRST or len(words[i]) == 1 or words[i + 1 : i + 2] == ["DOT"]:
            token = _first_that_holds(text, place, words, i)
            if token:
                yield token
                taken = token.end - i
            else:  # not in parts
                while words[i] in NUMERIC and i + taken < len(words) and words[i + taken] in NUMERIC:
                    taken += 1
        place += sum(len(word) + 1 for word in words[i : i + taken])
        i += taken


def _first_that_holds(text: str, place: int, words: Sequence[str], start: int) -> Token | None:
    for pattern, propose in RULES:
        if match := pattern.match(text, place):
            said = match[0].split()
            end = start + len(said)
            for written in propose(match):
                if propose is _letters or read_again(written) == tuple(said):
                    return Token(written, start, end)
    return None
