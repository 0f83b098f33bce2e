"""Is each recording in an archive once, whoever is killed?

    python tests/benchmarks/archive/nodes.py --data dev-clean --limit 60

Two Ray nodes are made on this machine, with a core each. `asr archive` runs in one process; on both nodes; on both, of
which one is killed (SIGKILL) in the middle; on both, but the command is killed, and given again; and twice at once.
Each line tells how many rows there are, whether they are those of the one process, and how many recordings have two.
"""

import argparse
import os
import signal
import subprocess
import sys
import tempfile
import time
from collections import Counter
from pathlib import Path
from typing import Any

from pyarrow.parquet import ParquetFile
from ray.cluster_utils import Cluster

parser = argparse.ArgumentParser()
parser.add_argument("--data", type=Path, required=True, help="a folder of recordings")
parser.add_argument("--limit", type=int, default=60)
arguments = parser.parse_args()
os.environ.setdefault("OMP_NUM_THREADS", "1")
os.environ.setdefault("RAY_worker_niceness", "0")  # as asr transcribe has; Ray's is 15
os.environ.setdefault("RAY_AUTH_MODE", "disabled")  # nodes of one machine need no token


def start(output: Path, address: str | None) -> subprocess.Popen[bytes]:
    where = ["--ray", address] if address else ["--actors", "1"]
    command = [sys.executable, "-m", "asr.cli", "archive", f"@{names}", output, *where, "--quiet"]
    return subprocess.Popen(list(map(str, command)))


def written(output: Path) -> dict[Path, int]:
    return {path: path.stat().st_mtime_ns for path in output.rglob("*.parquet")}


def wait_for(output: Path, count: int, process: subprocess.Popen[bytes]) -> None:
    while len(written(output)) < count and process.poll() is None:
        time.sleep(0.05)


def found(output: Path) -> list[dict[str, Any]]:
    """All rows, but for how long each took."""
    made = [ParquetFile(path).read().to_pylist()[0] | {"seconds": 0} for path in written(output)]
    return sorted(made, key=lambda row: str(row["file"]))


def tell(name: str, output: Path) -> None:
    made = found(output)
    twice = sum(count > 1 for count in Counter(row["file"] for row in made).values())
    print(f"{name}: {len(made)} of {limit} rows, the same: {made == single}, twice: {twice}", flush=True)


with tempfile.TemporaryDirectory() as name:
    folder = Path(name)
    paths = sorted(arguments.data.rglob("*.flac"))[: arguments.limit]
    limit = len(paths)
    names = folder / "list.txt"
    names.write_text("".join(f"{path}\n" for path in paths))
    start(folder / "single", None).wait()
    single = found(folder / "single")
    tell("one process", folder / "single")

    cluster = Cluster(initialize_head=True, head_node_args={"num_cpus": 1, "include_dashboard": False})
    node = cluster.add_node(num_cpus=1)
    cluster.wait_for_nodes()
    start(folder / "both", cluster.address).wait()
    tell("two nodes", folder / "both")

    process = start(folder / "node", cluster.address)
    wait_for(folder / "node", limit // 3, process)
    cluster.remove_node(node, allow_graceful=False)
    there = len(written(folder / "node"))
    process.wait()
    tell(f"a node killed after {there}", folder / "node")

    cluster.add_node(num_cpus=1)
    cluster.wait_for_nodes()
    process = start(folder / "driver", cluster.address)
    wait_for(folder / "driver", limit // 3, process)
    process.send_signal(signal.SIGKILL)
    process.wait()
    before = written(folder / "driver")
    start(folder / "driver", cluster.address).wait()
    after = written(folder / "driver")
    kept = all(after.get(path) == when for path, when in before.items())
    tell(f"the command killed after {len(before)}, which were kept: {kept}", folder / "driver")

    processes = [start(folder / "twice", cluster.address) for _ in range(2)]
    for process in processes:
        process.wait()
    tell("two at once", folder / "twice")
    cluster.shutdown()
