"""How abbreviations, numerals and signs are read aloud, as LibriSpeech's readers and transcripts have it."""

from __future__ import annotations

import re

from lm.text.modern import read_today
from lm.text.numbers import DIGIT, cardinal, ordinal, read_numbers


def spell_out(text: str) -> str:
    """The text with abbreviations, numbers and signs as words (in either case), for plain ASCII quotes and letters.

    Full stops that end no sentence go with their abbreviations; those of "etc." and "a.m." stay, since they may end
    one too: a full stop before a small letter ends nothing.
    """
    if "&" in text:
        text = text.replace("&c", "et cetera").replace("&", " and ")
    text = read_today(text)
    text = ABBREVIATION.sub(_abbreviation, LATIN.sub(_latin, TITLE.sub(_title, text)))
    text = ROMAN.sub(_roman, MC.sub("Mc ", text))
    return read_numbers(text) if DIGIT.search(text) else text


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
    return None if number is None else cardinal(number)


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
        return f"{match['king']} the {ordinal(number)}"
    return f"{match['head'] or ''} {cardinal(number)}"
