"""How what came after 1925 is read aloud: web and e-mail addresses, versions, telephone numbers, units, signs.

`read_today` goes before what lm.text.spoken does for numbers and abbreviations of all times, and leaves those to it.
"""

from __future__ import annotations

import re

from lm.text.numbers import DIGIT, cardinal, digit_by_digit

# What stands in a text that a pattern may match, which is found many times as fast; the pattern; what is said.
SIGNS: list[tuple[str, re.Pattern[str], str]] = [
    # Not between words in capitals, where it is the word.
    ("US", re.compile(r"(?<![A-Z] )\bUS\b(?=[\s.,;:?!)'\"-])(?! [A-Z]{2})"), "U S"),
    ("-mail", re.compile(r"\b([Ee])-mail"), r"\1mail"),
    ("24/7", re.compile(r"\b24/7\b"), "twenty four seven"),
    ("9/11", re.compile(r"\b9/11\b"), "nine eleven"),
    ("C++", re.compile(r"\bC\+\+"), "C plus plus"),
    ("#", re.compile(r"\b([CF])#"), r"\1 sharp"),
    (".NET", re.compile(r"(?<!\S)\.(?=NET\b)"), " dot "),
    ("#", re.compile(r"(?<![\w&])#(?=\d)"), "number "),
    ("@", re.compile(r"(?<!\S)@(?=\w)"), "at "),
    ("vs", re.compile(r"\bvs\b(?!\.)"), "versus"),
    ("w/o", re.compile(r"\bw/o\b"), "without"),
    ("w/", re.compile(r"\bw/(?= |\w)"), "with "),
    ("+", re.compile(r"(?<=\d) ?\+ ?(?=\d)"), " plus "),
    ("+", re.compile(r"(?<=\d)\+(?![\w+])"), " plus"),
    ("degrees C", re.compile(r"(?<=\d) *(?:degrees +)?degrees C\b"), " degrees celsius"),
    ("degrees F", re.compile(r"(?<=\d) *(?:degrees +)?degrees F\b"), " degrees fahrenheit"),
]

DOMAINS = "com|org|net|edu|gov|mil|io|dev|fm|ai|app|info|tv|me|ly|gg|xyz|us|uk|ca|de|eu"
DOMAIN = re.compile(rf"\w\.(?:{DOMAINS})\b")
ADDRESS = re.compile(
    r"(?<![\w@./-])(?:https?://)?(?P<user>\w[\w.+-]*@)?"
    rf"(?P<host>(?:[A-Za-z0-9][\w-]*\.)+(?:{DOMAINS})\b)(?P<path>(?:/[\w-]+)*)/?(?![\w@-])"
)
PLACES = {".": " dot ", "/": " slash ", "-": " dash ", "_": " underscore ", "@": " at ", "+": " plus "}

PHONE = re.compile(r"(?<![\w-])(?:1[ -])?\(?(\d{3})(?:\)|-|\.|\) ?)(\d{3})[-.](\d{4})(?![\w-])")
VERSION = re.compile(r"(?<![\w.$])v?(\d+(?:\.\d+){2,}|(?<=v)\d+(?:\.\d+)*)(?![\w.]*\w)")  # 1.57.0, v2.1
SCALES = {
    "k": "thousand", "K": "thousand", "M": "million", "MM": "million", "m": "million",
    "B": "billion", "b": "billion", "bn": "billion", "T": "trillion",
}  # fmt: skip
MONEY = re.compile(rf"([$£€])(\d[\d,]*(?:\.\d+)?)({'|'.join(sorted(SCALES, key=len, reverse=True))})\b")  # $5M
RESOLUTION = re.compile(r"\b([48])K\b")  # of pictures
UNITS = {
    "km": "kilometers", "kg": "kilograms", "cm": "centimeters", "mm": "millimeters", "ml": "milliliters",
    "km/h": "kilometers per hour", "mph": "miles per hour", "kW": "kilowatts", "MW": "megawatts", "GW": "gigawatts",
    "kWh": "kilowatt hours", "Hz": "hertz", "kHz": "kilohertz", "MHz": "megahertz", "GHz": "gigahertz",
    "KB": "kilobytes", "kB": "kilobytes", "MB": "megabytes", "GB": "gigabytes", "TB": "terabytes", "PB": "petabytes",
    "Mbps": "megabits per second", "Gbps": "gigabits per second", "ms": "milliseconds", "fps": "frames per second",
    "px": "pixels", "pm": "p m", "am": "a m", "PM": "p m", "AM": "a m", "bn": "billion",
}  # fmt: skip
GLUED = {"x": "times", "k": "thousand", "K": "thousand", "M": "million", "B": "billion"}  # 5x, but 5 x 5 and 5 M Street
UNIT = re.compile(
    rf"(?<=\d)(?: ?({'|'.join(sorted(map(re.escape, UNITS), key=len, reverse=True))})|({'|'.join(GLUED)}))"
    r"(?![\w'&/-]|\.\w)"
)


def read_today(text: str) -> str:
    """The text with these in words, as far as they aren't words already; for plain ASCII quotes and letters."""
    if DOMAIN.search(text):
        text = ADDRESS.sub(_address, text)
    for sign, pattern, said in SIGNS:
        if sign in text and not (sign == "US" and text.isupper()):
            text = pattern.sub(said, text)
    if not DIGIT.search(text):
        return text
    text = PHONE.sub(lambda match: ", ".join(map(digit_by_digit, match.groups())), text)
    text = MONEY.sub(lambda match: f"{match[1]}{match[2]} {SCALES[match[3]]}", text)
    text = VERSION.sub(lambda match: " point ".join(map(_part_of_version, match[1].split("."))), text)
    text = RESOLUTION.sub(r"\1 K", text)
    return UNIT.sub(lambda match: f" {UNITS[match[1]] if match[1] else GLUED[match[2]]}", text)


def _part_of_version(digits: str) -> str:
    return digit_by_digit(digits) if len(digits) > 4 or digits[0] == "0" < digits else cardinal(int(digits))


def _address(match: re.Match[str]) -> str:
    host, domain = match["host"], match["host"].rpartition(".")[2]
    if not match["user"] and not match["path"] and domain.istitle():  # a full stop without a space: "We left.Me too"
        return match[0]
    said = (match["user"] or "") + host.removeprefix("www.") + match["path"]
    return " " + "".join(PLACES.get(sign, sign) for sign in said)
