"""Text of today, of which each line is a paragraph, or what somebody said in turn; not wrapped, without blank lines.

What is left of mark-up, names of speakers and notes of what was heard ("[laughter]") is no speech and goes.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Sequence

WRAPPED = 120  # characters: no line that was wrapped by hand is longer

# What is heard but not said, and times: (Laughter.) [crosstalk 00:12:30] ((inaudible)) {gap} [12:30]
NOTE = re.compile(
    r"[(\[{]+ ?(?:[a-z-]+ )?(?:laugh|applau|cheer|inaudible|unintelligible|indistinct|cross-?talk|music|silence|pause|"
    r"gap|vocalsound|noise|cough|clears? throat|audio)[^()\[\]{}]{0,40}[)\]}]+|[(\[]\d\d?:\d\d(?::\d\d)?[)\]]",
    re.IGNORECASE,
)
TAG = re.compile(r"</?[A-Za-z!][^<>]*>|\[glossary:([^\]|]*)(?:\|[^\]]*)?\]|!?\[([^\]]*)\]\([^)\s]*\)")  # <b>, [link](x)
EMPHASIS = re.compile(r"\*+|__+")
BULLET = re.compile(r"(?:[-*+>•#]+|\d{1,2}[.)])\s+(?=\S)")
# A name of up to four words at the head of a line that has the beginning of a sentence after it.
SPEAKER = re.compile(
    r"(?:>> ?)?(?:[A-Z][\w.'-]*(?: [A-Z][\w.'-]*){0,3}(?: \([^)]{1,30}\))?|Speaker \d+):\s+(?=[A-Z\"'(\[])"
)
ADDRESS = re.compile(r"https?://[^\s<>()\[\]]+")  # nobody says it; what is said has no http in it
RUN_ON = re.compile(r"(?<=[a-z]{2}[.?!])(?=[A-Z][a-z])")  # the end of one.The next

CODE = re.compile(r"::|->|=>|[{}\[\]<>=_\\|#$]|\w\(\)|[\w+/=]{40}")
PARTED = re.compile(r"[.?!;:,]\s|--|—|–")
# Contractions without their apostrophe, as in text that went through too small a set of characters.
MISSPELT = frozenset("DONT DIDNT DOESNT ISNT WASNT ARENT WERENT HASNT HAVENT HADNT COULDNT WOULDNT SHOULDNT".split())


def a_line_each(lines: Sequence[str]) -> bool:
    """Whether each line, stripped, is a paragraph or a turn of its own.

    It is where most of the text stands in lines that nobody wrapped, or where no line is blank and a third of them end
    as sentences do, as of wrapped lines one in ten does.
    """
    if 2 * sum(len(line) for line in lines if len(line) > WRAPPED) > sum(map(len, lines)):
        return True
    ends = sum(line.endswith((".", "?", "!", '."', ".”")) for line in lines)
    return len(lines) > 1 and all(lines) and 3 * ends > len(lines)


def turns(lines: Iterable[str]) -> Iterator[str]:
    """Each line that isn't blank; one that goes on in the middle of a sentence is joined to the one before."""
    turn = ""
    for line in lines:
        if turn and line[:1].islower() and turn[-1] not in '.?!…"”':
            turn += " " + line
        elif line:
            if turn:
                yield turn
            turn = line
    if turn:
        yield turn


def said(turn: str, max_words: int) -> tuple[str | None, str]:
    """Why a turn is left out ("code", "unpunctuated"; None: it stays), and what was said in it, as it is written."""
    text = NOTE.sub(" ", ADDRESS.sub(" ", TAG.sub(lambda match: match[1] or match[2] or " ", turn))).strip()
    if bullet := BULLET.match(text):
        text = text[bullet.end() :]
    text = EMPHASIS.sub("", text)
    if ":" in text[:60] and (speaker := SPEAKER.match(text)):
        text = text[speaker.end() :]
    signs = CODE.findall(text)
    if 25 * len(signs) > len(text) or any(len(sign) >= 40 for sign in signs):
        return "code", ""
    if len(text.split()) > max_words and not PARTED.search(text):
        return "unpunctuated", ""
    return None, RUN_ON.sub(" ", text)
