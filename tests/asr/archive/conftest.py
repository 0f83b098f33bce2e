"""One Ray for all tests of this folder, and a store like S3; what is in a package that isn't there is skipped."""

import socket
import socketserver
import threading
from collections.abc import Iterator
from contextlib import ExitStack, suppress

import pytest


class Breaking(socketserver.ThreadingTCPServer):
    """Stands before a server; `breaks` times it ends a connection once it has brought so many bytes."""

    daemon_threads = True
    allow_reuse_address = True
    breaks, after = 0, 50_000

    def __init__(self, server: tuple[str, int]) -> None:
        self.server = server
        super().__init__(("127.0.0.1", 0), Both)


class Both(socketserver.BaseRequestHandler):
    """A connection, in both directions."""

    server: Breaking

    def handle(self) -> None:
        with socket.create_connection(self.server.server) as other:
            up = threading.Thread(target=self._up, args=(other,), daemon=True)
            up.start()
            brought = 0
            with suppress(OSError):
                while data := other.recv(1 << 16):
                    self.request.sendall(data)
                    brought += len(data)
                    if self.server.breaks and brought > self.server.after:
                        self.server.breaks -= 1
                        break
            for end in (self.request, other):
                with suppress(OSError):
                    end.shutdown(socket.SHUT_RDWR)

    def _up(self, other: socket.socket) -> None:
        with suppress(OSError):
            while data := self.request.recv(1 << 16):
                other.sendall(data)


@pytest.fixture(scope="session")
def store() -> Iterator[Breaking | None]:
    """Where s3:// leads to: moto, behind connections that may break; None where it isn't installed."""
    for package in ("ray", "pyarrow", "fsspec"):
        pytest.importorskip(package, reason=f"no {package}: the extra cluster is not installed")
    try:
        from moto.server import ThreadedMotoServer
    except ImportError:
        yield None
        return
    with ExitStack() as stack:
        patch = stack.enter_context(pytest.MonkeyPatch.context())
        server = ThreadedMotoServer("127.0.0.1", port=0, verbose=False)
        server.start()
        stack.callback(server.stop)
        breaking = stack.enter_context(Breaking(server.get_host_and_port()))
        threading.Thread(target=breaking.serve_forever, daemon=True).start()
        stack.callback(breaking.shutdown)
        patch.setenv("AWS_ENDPOINT_URL", "http://{}:{}".format(*breaking.server_address))
        for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
            patch.setenv(name, "testing")
        patch.setenv("AWS_DEFAULT_REGION", "us-east-1")
        yield breaking


@pytest.fixture(scope="session")
def s3(store: Breaking | None) -> Breaking:
    """The store, with a bucket `archive`."""
    if store is None:
        pytest.skip("no moto: it stands for S3")
    s3fs = pytest.importorskip("s3fs", reason="no s3fs: the extra cluster is not installed")
    s3fs.S3FileSystem().mkdir("archive")
    return store


@pytest.fixture(scope="session")
def cluster(store: Breaking | None) -> Iterator[None]:
    """This process is connected to a Ray of two cores, whose actors know the store."""
    from lm.cluster import connected

    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("RAY_USAGE_STATS_ENABLED", "0")
        patch.setenv("RAY_worker_niceness", "0")  # or its actors wait for whatever else runs here
        with connected(None, 2):
            yield
