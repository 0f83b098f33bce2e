"""How fast said words are written with case, marks and figures, on one core, and the memory that it takes.

    OMP_NUM_THREADS=1 python tests/benchmarks/lm/readable.py MODEL TEXT

The bar is a tenth of the time of transcription: 3 words a second of speech at a real-time factor of 0.023, so 1,300
words a second. TEXT is normalised, a sentence a line. Written are: all of it as one text; each line by itself.
Memory: what opening the model and writing add to the process, at most.
"""

import argparse
import resource
import time
from pathlib import Path

from lm.readable import Readable


def peak() -> float:
    """MB that the process has had at most."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("model", type=Path)
    parser.add_argument("text", type=Path)
    arguments = parser.parse_args()
    lines = [line.split() for line in arguments.text.read_text(encoding="utf-8").splitlines()]
    words = sum(map(len, lines))
    before = peak()
    readable = Readable.open(arguments.model)
    opened = peak()
    whole = [word for line in lines for word in line]
    for name, texts in (("one text", [whole]), ("line by line", lines)):
        started = time.process_time()
        for text in texts:
            readable.write(text)
        seconds = time.process_time() - started
        print(f"{name}: {words} words, {words / seconds:.0f} words a second")
    print(f"memory: {opened - before:.1f} MB to open, {peak() - before:.1f} MB with writing")


if __name__ == "__main__":
    main()
