"""What it takes of memory to transcribe several recordings at a time, and how long.

    python tests/benchmarks/transcribe/processes.py *.wav

Prints, for 1, 2 and 4 processes, the peak of the memory of all together, what they share counted once (PSS; Linux).
"""

import subprocess
import sys
import time
from pathlib import Path


def family(pid: int) -> list[int]:
    """A process and its children."""
    try:
        children = Path(f"/proc/{pid}/task/{pid}/children").read_text().split()
    except OSError:  # it ended
        return []
    return [pid, *map(int, children)]


def memory(pid: int) -> int:
    """PSS, in kB."""
    try:
        lines = Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines()
    except OSError:
        return 0
    return next((int(line.split()[1]) for line in lines if line.startswith("Pss:")), 0)


for count in (1, 2, 4):
    command = [sys.executable, "-m", "asr.cli", "transcribe", "--threads", str(count), *sys.argv[1:]]
    start, peak = time.monotonic(), 0
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL)
    while process.poll() is None:
        peak = max(peak, sum(map(memory, family(process.pid))))
        time.sleep(0.1)
    print(f"{count} processes: {peak / 1024:.0f} MB, {time.monotonic() - start:.1f} s")
