"""Are the names and terms of one's own text heard once `lm adapt` has read it, and is other speech heard as before?

python tests/benchmarks/transcribe/adapt.py --data $DATA/speech/LibriSpeech/dev-mini [--model FOLDER] [--weight 0.1]

The text is of 5,000 words, about a project that doesn't exist: notes and reports made of the sentences below, which
give each of 30 names and terms to every other. Ten other sentences, which aren't in the text, are said by espeak-ng
(Debian's package of that name) in four of its voices. espeak guesses how names are said by rules of its own, not by
those that the recogniser guesses by. Shown are how many of the terms and of all words are heard before and after, and
the word error rate on --data; and time and memory for a text of 1 MB, if --text names one.
"""

import argparse
import json
import os
import random
import resource
import subprocess
import sys
import tempfile
import time
from pathlib import Path

os.environ["OMP_NUM_THREADS"] = "1"  # before NumPy

import jiwer
from rich.console import Console
from rich.table import Table

from asr import Recognizer
from asr.audio.reading import load_cut
from asr.cli.options import read_cuts
from lm.bundle import DEFAULT
from lm.text.normalise import normalize
from lm.training import adapt as adapting

PEOPLE = ["Ilvarsson", "Dastrup", "Oduya", "Jaskelin", "Corvaldi", "Rendivar", "Pelluran", "Szabowska"]
PLACES = ["Halvenport", "Brackenfold", "Wintermoor", "Thornevale", "Ashgrath", "Telumark"]
TOOLS = ["Kestriven", "Tarnisk", "Zephrin", "Vantrell", "Drayvex", "Sombrix", "Lumaric", "Grindlewick"]
THINGS = ["frobenite", "obsidra", "calderine", "morvanta"]
INITIALS = ["KTPL", "DVR", "GPUs", "NVMe"]  # spelled
FRAMES = """
{person} asked whether {tool} could be moved to {place} before the end of the week.
The team in {place} has been using {tool} since the spring, and {person} keeps the list of what goes wrong.
When {tool} runs out of memory, the {initials} of the second machine take over and nobody notices.
A new delivery of {thing} came to {place}, and {person} signed for it.
We measured {thing} under {tool} for three days; the results are in the table that {person} sent around.
{person} and {person} do not agree on how much {thing} the process needs.
Without {initials} there is no way to reach {tool} from outside the building.
Please tell {person} that the {initials} have to be ordered by Friday.
The road to {place} was closed, so {person} stayed at home and wrote the chapter on {tool}.
It was {person} who found that {tool} counts some samples of {thing} twice.
In {place} they store {thing} in glass, and in {place} they store it in steel.
The first version of {tool} was written by {person} in a single night.
If {tool} stops, ask {person}; if {person} is away, look into the notes on {initials}.
Nothing in {tool} depends on {tool} any more.
{person} will show {tool} to the visitors from {place} on Monday.
Our budget covers {initials} and two kilograms of {thing}, but no journey to {place}.
The map of {place} that {person} drew is still the best we have.
Both {tool} and {tool} read what {initials} write.
Most of the {thing} is lost on the way from {place} to {place}.
{person} thanked everybody in {place} for their patience with {tool}.
"""
SAID = """
Yesterday Ilvarsson drove to Halvenport with a box of frobenite.
Nobody but Dastrup knows how Kestriven was installed.
The people of Brackenfold would like to see Tarnisk and Zephrin side by side.
Oduya says that obsidra is cheaper than calderine this year.
We need more GPUs before Vantrell can be tested in Wintermoor.
Jaskelin left Thornevale early because Drayvex had failed again.
According to Corvaldi the morvanta was too warm.
Rendivar wants the NVMe and the KTPL in one room.
Is it true that Pelluran has sold Sombrix to a company in Ashgrath?
In Telumark the DVR was connected to Lumaric by Szabowska and Grindlewick.
"""
VOICES = ["en-us", "en-gb", "en-us+f2", "en-gb-x-rp+m3"]
TERMS = {word for term in (*PEOPLE, *PLACES, *TOOLS, *THINGS, *INITIALS) for word in normalize(term)}


def invented(words: int = 5000) -> str:
    """The text."""
    chance = random.Random(1)
    frames = FRAMES.strip().splitlines()
    slots = {"person": PEOPLE, "place": PLACES, "tool": TOOLS, "thing": THINGS, "initials": INITIALS}
    paragraphs: list[str] = []
    while sum(len(paragraph.split()) for paragraph in paragraphs) < words:
        sentences = []
        for frame in chance.sample(frames, 5):
            parts = frame.split("{")
            filled = (chance.choice(slots[part.split("}")[0]]) + part.split("}")[1] for part in parts[1:])
            sentences.append("".join([parts[0], *filled]))
        paragraphs.append(" ".join(sentences))
    return "\n\n".join(paragraphs)


def heard(model: Path, folder: Path) -> tuple[float, float]:
    """How many of the terms are heard, and the word error rate, of what espeak says; in per cent."""
    recognizer = Recognizer(model)
    found, count, references, hypotheses = 0, 0, [], []
    for number, sentence in enumerate(SAID.strip().splitlines()):
        words = normalize(sentence)
        for voice in VOICES:
            file = folder / f"{number}-{voice.replace('+', '-')}.wav"
            if not file.exists():
                subprocess.run(["espeak-ng", "-v", voice, "-s", "140", "-w", file, sentence], check=True)
            got = normalize(" ".join(word.word for word in recognizer.transcribe(file).words))
            terms = TERMS.intersection(words)
            found, count = found + len(terms.intersection(got)), count + len(terms)
            references.append(" ".join(words))
            hypotheses.append(" ".join(got))
    return 100 * found / count, 100 * jiwer.wer(references, hypotheses)


def word_error_rate(model: Path, data: Path) -> float:
    recognizer, references, hypotheses = Recognizer(model), [], []
    for cut in read_cuts(data, None)[0]:
        references.append(cut.supervisions[0].text)
        hypotheses.append(" ".join(word.word for word in recognizer.transcribe(load_cut(cut)).words))
    return 100 * float(jiwer.wer(references, hypotheses))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--model", type=Path, default=DEFAULT)
    parser.add_argument("--data", type=Path, help="a corpus of other speech")
    parser.add_argument("--text", type=Path, help="another text, to be timed")
    parser.add_argument("--weight", type=float, help="the most that the text may weigh")
    arguments = parser.parse_args()
    if arguments.weight:
        adapting.MOST_WEIGHT = arguments.weight
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        (folder / "text.txt").write_text(invented())
        made = adapting.adapt([folder / "text.txt"], folder / "mine", arguments.model)
        print(json.dumps({"new": len(made.new), "spelled": made.spelled, "weight": made.weight}))
        table = Table("model", "terms heard, %", "WER of these, %", "WER of --data, %")
        for title, model in (("before", arguments.model), ("after", folder / "mine")):
            rates = [*heard(model, folder), *([word_error_rate(model, arguments.data)] if arguments.data else [])]
            table.add_row(title, *(f"{rate:.2f}" for rate in rates))
        Console().print(table)
        if arguments.text:
            start = time.perf_counter()
            command = [sys.executable, "-m", "lm.cli", "adapt", arguments.text, "--output", folder / "timed"]
            subprocess.run([*command, "--bundle", arguments.model], check=True)
            peak = resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss / 1024
            print(f"{arguments.text}: {time.perf_counter() - start:.1f} s, {peak:.0f} MiB")


if __name__ == "__main__":
    main()
