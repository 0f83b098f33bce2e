"""A server to try: a process of its own, as `asr serve` starts it."""

import http.client
import json
import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

KEY = "a key of the tests"
TRANSCRIPTIONS = "/v1/audio/transcriptions"


class Server:
    """`asr serve` with some options, its log and its temporary files in a folder."""

    def __init__(self, folder: Path, *options: object, key: str | None = KEY) -> None:
        self.key, self.log_file, self.temporary = key, folder / "log", folder / "temporary"
        self.temporary.mkdir()
        environment = {**os.environ, "TMPDIR": str(self.temporary)}
        environment.pop("NICEBEACH_API_KEY", None)
        if key:
            environment["NICEBEACH_API_KEY"] = key
        command = [sys.executable, "-m", "asr.cli", "serve", "--port", "0", *map(str, options)]
        with self.log_file.open("wb") as log:
            self.process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=log, env=environment, text=True)
        assert self.process.stdout
        self.url = self.process.stdout.readline().strip()
        assert self.url, self.log_file.read_text()
        self.host, self.port = str(urlsplit(self.url).hostname), int(urlsplit(self.url).port or 0)

    def request(
        self, method: str, path: str, body: bytes = b"", key: str | None = "", timeout: float = 120, **headers: str
    ) -> tuple[int, dict[str, str], bytes]:
        """Status, headers and body of an answer. key: "" is the right one, None none."""
        connection = http.client.HTTPConnection(self.host, self.port, timeout=timeout)
        key = self.key if key == "" else key
        more = {"Authorization": f"Bearer {key}"} if key else {}
        connection.request(method, path, body, {**more, **{name.replace("_", "-"): v for name, v in headers.items()}})
        response = connection.getresponse()
        try:
            return response.status, dict(response.getheaders()), response.read()
        finally:
            connection.close()

    def ask(self, path: str, **body: Any) -> tuple[int, Any]:
        """Status and answer of a question in JSON."""
        status, _, answer = self.request("POST", path, json.dumps(body).encode())
        return status, json.loads(answer)

    def send(self, sound: bytes, name: str = "talk.wav", **fields: str) -> tuple[int, dict[str, str], bytes]:
        """The answer about a recording."""
        body, kind = form(sound, name, **fields)
        return self.request("POST", TRANSCRIPTIONS, body, Content_Type=kind)

    def metric(self, name: str) -> float:
        """What /metrics says of a name with its labels."""
        text = self.request("GET", "/metrics")[2].decode()
        match = re.search(rf"^{re.escape(name)} (\S+)$", text, re.MULTILINE)
        return float(match[1]) if match else 0.0

    def lines(self) -> list[dict[str, Any]]:
        """The log."""
        return [json.loads(line) for line in self.log_file.read_text().splitlines()]

    def processes(self) -> list[int]:
        """Its own number, and those of all below it."""
        found = [self.process.pid]
        for pid in found:
            found += children(pid)
        return found

    def office(self) -> int:
        """The process that has the models."""
        return next(pid for pid in children(self.process.pid) if b"spawn_main" in command_line(pid))

    def workers(self) -> list[int]:
        return children(self.office())

    def streams(self) -> list[int]:
        """Those of the workers who attend to live streams: they don't stand back."""
        return [pid for pid in self.workers() if alive(pid) and os.getpriority(os.PRIO_PROCESS, pid) == 0]

    def files(self) -> int:
        """How many files and sockets its own process has open."""
        return len(os.listdir(f"/proc/{self.process.pid}/fd"))

    def memory(self) -> float:
        """MB that all its processes need, what they share counted once."""
        total = 0
        for pid in self.processes():
            with suppress(OSError):  # it ended meanwhile
                lines = Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines()
                total += next(int(line.split()[1]) for line in lines if line.startswith("Pss:"))
        return total / 1000

    def end(self) -> int:
        """SIGTERM, and the exit code."""
        self.process.send_signal(signal.SIGTERM)
        return self.process.wait(60)


def children(pid: int) -> list[int]:
    return [int(child) for child in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]


def alive(pid: int) -> bool:
    return ") Z " not in Path(f"/proc/{pid}/stat").read_text()


def command_line(pid: int) -> bytes:
    return Path(f"/proc/{pid}/cmdline").read_bytes()


def form(sound: bytes, name: str = "talk.wav", **fields: str) -> tuple[bytes, str]:
    """A form with a recording, and its content type."""
    boundary = b"----boundary----"
    parts = [
        b'name="%s"\r\n\r\n%s' % (field.encode(), v.encode("utf-8", "surrogateescape"))
        for field, v in {"model": "nicebeach", **fields}.items()
    ]
    parts.append(b'name="file"; filename="%s"\r\n\r\n%s' % (name.encode("utf-8", "surrogateescape"), sound))
    body = b"".join(b"--%s\r\nContent-Disposition: form-data; %s\r\n" % (boundary, part) for part in parts)
    return body + b"--%s--\r\n" % boundary, f"multipart/form-data; boundary={boundary.decode()}"


def until(condition: Callable[[], Any], seconds: float = 60) -> None:
    """Wait until something is so."""
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end, "it never came"
        time.sleep(0.02)
