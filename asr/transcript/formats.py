"""Words with times as text, subtitles and tables: a function a format.

Words of several channels come by time, and may overlap; what is written says which is whose.
"""

import html
from collections.abc import Iterable, Iterator, Sequence
from itertools import chain, groupby
from textwrap import fill

from asr.transcript.subtitles import Cue, cues, each_token
from asr.transcript.word import Token, Word, tokens

PARAGRAPHS = ((1, 2.0), (80, 0.8), (160, -1.0))  # one ends behind a sentence after so many tokens in such a pause, s
PAUSE = 0.6  # seconds; in one as long another may take the word
# SubRip has no escapes, and players take <unk> for a tag, {...} for a style and --> for times.
NO_TAGS = str.maketrans("<>{}", "[]()")


# --- Text and tables --------------------------------------------------------------------------------------


def txt(
    words: Sequence[Word],
    word_times: bool = False,
    confidence: bool = False,
    line_width: int | None = None,
    timestamps: bool = False,
) -> str:
    """The text, in paragraphs with an empty line between if it is readable; plain text has one line.

    A turn of a channel has its own, after its name: "left: Hello." line_width: break lines, so that they have so many
    characters at most. timestamps: begin each paragraph with the time, [h:mm:ss]. Or, with word_times or confidence,
    a line a token, after its channel, start, end and confidence, whichever there are and are asked for.
    """
    if word_times or confidence:
        lines = []
        for token in _all_tokens(words):
            channel = [token.channel] if token.channel else []
            times = [f"{token.start:.2f}", f"{token.end:.2f}"] if word_times else []
            sure = [f"{token.confidence:.3f}"] if confidence else []
            lines.append("\t".join([*channel, *times, *sure, token.text]) + "\n")
        return "".join(lines)
    readable = any(word.written is not None for word in words)
    parts = []
    for turn in turns(words):
        for paragraph in paragraphs(list(tokens(turn))) if readable else [list(tokens(turn))]:
            time = f"[{_clock(paragraph[0].start, '.')[1:8]}] " if timestamps else ""
            text = f"{time}{_label(paragraph)}{' '.join(token.text for token in paragraph)}"
            parts.append(fill(text, line_width, break_on_hyphens=False) if line_width else text)
    return ("\n\n" if readable else "\n").join(parts) + "\n"


def line(words: Sequence[Word]) -> str:
    """The text as one line; a turn of a channel has its own, after its name: "left: Hello."."""
    return "\n".join(f"{_label(turn)}{' '.join(token.text for token in tokens(turn))}" for turn in turns(words))


def paragraphs(tokens: Sequence[Token]) -> Iterator[Sequence[Token]]:
    """Sentences up to a long pause, or, where they are many, up to a shorter one."""
    first = 0
    for end in range(1, len(tokens)):
        if tokens[end - 1].text.rstrip("\"')")[-1:] in (".", "?", "!"):
            pause = tokens[end].start - tokens[end - 1].end
            if any(end - first >= count and pause >= seconds for count, seconds in PARAGRAPHS):
                yield tokens[first:end]
                first = end
    if tokens:
        yield tokens[first:]


def _all_tokens(words: Sequence[Word]) -> list[Token]:
    """Those of all channels, by time."""
    found = chain.from_iterable(map(tokens, _channels(words)))
    return sorted(found, key=lambda token: token.start)


def turns(words: Sequence[Word]) -> list[list[Word]]:
    """What the channels say by turns: words up to a pause of theirs in which another speaks.

    Who speaks while another does has turns of their own, by when they begin. Words of no channel are one turn.
    """
    runs = [run for channel in _channels(words) for run in (_runs(channel) if channel[0].channel else [channel])]
    runs.sort(key=lambda run: run[0].start)
    return [list(chain.from_iterable(group)) for _, group in groupby(runs, key=lambda run: run[0].channel)]


def _runs(words: Sequence[Word]) -> Iterator[Sequence[Word]]:
    """Words up to a long pause."""
    first = 0
    for end in range(1, len(words) + 1):
        if end == len(words) or words[end].start - words[end - 1].end >= PAUSE:
            yield words[first:end]
            first = end


def _channels(words: Sequence[Word]) -> list[list[Word]]:
    """The words of each channel, by its number."""
    # "left" before "right", "9" before "10".
    names = sorted({word.channel or "" for word in words}, key=lambda name: (len(name), name))
    return [[word for word in words if (word.channel or "") == name] for name in names]


def _label(said: Sequence[Word | Token]) -> str:
    """What stands before what was said in one channel."""
    return f"{said[0].channel}: " if said and said[0].channel else ""


def tsv(words: Sequence[Word], word_times: bool = False, confidence: bool = False) -> str:
    """Whisper's columns, start and end in milliseconds and text, a row a cue or, with word_times, a token.

    confidence adds a column: the mean of the cue's words. So do channels.
    """
    several = any(word.channel for word in words)
    return "".join(tsv_rows(_cues(words, word_times), confidence, several))


def tsv_rows(cues: Iterable[Cue], confidence: bool = False, several: bool = False) -> Iterator[str]:
    """The header and the rows of `tsv`. several: have they channels?"""
    yield "\t".join(["start", "end", "text", *["confidence"] * confidence, *["channel"] * several]) + "\n"
    for cue in cues:
        sure = [word.confidence for token in cue.tokens for word in token.words]
        mean = [f"{sum(sure) / len(sure):.3f}"] * confidence
        channel = [cue.tokens[0].channel or ""] * several
        times = f"{round(1000 * cue.start)}", f"{round(1000 * cue.end)}"
        yield "\t".join([*times, cue.text, *mean, *channel]) + "\n"


def ctm(words: Sequence[Word], file: str = "-", channel: str = "1") -> str:
    """NIST's time-marked words, a line each: file, channel, start, duration, word, confidence; times in seconds.

    Sorted as its tools want it: channel by channel. Words that have one are of it, left being 1 and right 2.
    """
    file = "_".join(file.split())  # columns are parted by spaces
    numbers = {None: channel, "left": "1", "right": "2"}
    return "".join(
        f"{file} {numbers.get(word.channel, word.channel)} {word.start:.2f} {word.end - word.start:.2f} {word.word} "
        f"{word.confidence:.3f}\n"
        for word in chain.from_iterable(_channels(words))
    )


# --- Subtitles --------------------------------------------------------------------------------------------


def srt(words: Sequence[Word], word_times: bool = False) -> str:
    """SubRip subtitles; with word_times a cue is a token. A channel stands before its words."""
    return "".join(srt_cues(_cues(words, word_times, labelled=True)))


def srt_cues(cues: Iterable[Cue]) -> Iterator[str]:
    """The cues of `srt`."""
    for number, cue in enumerate(cues, 1):
        times = f"{_clock(cue.start, ',')} --> {_clock(cue.end, ',')}"
        yield f"{number}\n{times}\n{cue.lines.translate(NO_TAGS)}\n\n"


def vtt(words: Sequence[Word], word_times: bool = False) -> str:
    """WebVTT subtitles; with word_times a cue is a token. A channel is a voice."""
    return "".join(vtt_cues(_cues(words, word_times)))


def vtt_cues(cues: Iterable[Cue]) -> Iterator[str]:
    """The header and the cues of `vtt`."""
    yield "WEBVTT\n\n"
    for cue in cues:
        channel = cue.tokens[0].channel
        voice = f"<v {html.escape(channel.capitalize())}>" if channel else ""
        times = f"{_clock(cue.start, '.')} --> {_clock(cue.end, '.')}"
        yield f"{times}\n{voice}{html.escape(cue.lines, quote=False)}\n\n"


def _cues(words: Sequence[Word], word_times: bool, labelled: bool = False) -> list[Cue]:
    """The cues of all channels, by time; with word_times a token each. labelled: with the channel before the text."""
    found = [divided(said, word_times, _label(said) if labelled else "") for said in _channels(words)]
    return sorted(chain.from_iterable(found), key=lambda cue: cue.start)


def divided(words: Iterable[Word], word_times: bool = False, label: str = "") -> Iterator[Cue]:
    """The cues of one channel, each as soon as the words that decide it are there."""
    return each_token(tokens(words), label) if word_times else cues(tokens(words), label)


def _clock(seconds: float, mark: str) -> str:
    """hh:mm:ss and milliseconds behind the mark."""
    total = round(1000 * seconds)
    return f"{total // 3_600_000:02}:{total // 60_000 % 60:02}:{total // 1000 % 60:02}{mark}{total % 1000:03}"
