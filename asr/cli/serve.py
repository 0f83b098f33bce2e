"""``asr serve``: a server."""

import os
from pathlib import Path
from typing import Annotated

import typer

from asr.cli.options import ModelOption, multiply_on_one_core
from lm.cli.errors import one_line_errors


def serve(
    host: Annotated[str, typer.Option(help="The address to listen at; 0.0.0.0 is all.")] = "127.0.0.1",
    port: Annotated[int, typer.Option(help="0 takes a free one.", min=0, max=65535)] = 8000,
    api_key_file: Annotated[
        Path | None, typer.Option(help="Keys, one a line; or set NICEBEACH_API_KEY.", show_default="nobody needs one")
    ] = None,
    no_key: Annotated[bool, typer.Option("--no-key", help="Let everybody who reaches the address use it.")] = False,
    origin: Annotated[
        list[str] | None,
        typer.Option(help="Let pages of this origin use it, too: https://example.org. Any number.", show_default=False),
    ] = None,
    tls_cert: Annotated[Path | None, typer.Option(help="A certificate, PEM: serve https.", show_default=False)] = None,
    tls_key: Annotated[Path | None, typer.Option(help="Its key.", show_default=False)] = None,
    workers: Annotated[
        int | None, typer.Option(help="How many recordings are worked on at once.", min=1, show_default="all cores")
    ] = None,
    queue: Annotated[int, typer.Option(help="How many more may wait.", min=0)] = 16,
    live: Annotated[
        int | None, typer.Option(help="Live streams at once.", min=1, show_default="as many as keep up")
    ] = None,
    max_upload: Annotated[int, typer.Option(help="MB of a recording.", min=1)] = 200,
    max_seconds: Annotated[float, typer.Option(help="Seconds of a recording.", min=1)] = 7200,
    patience: Annotated[float, typer.Option(help="Seconds in which a client may send nothing.", min=0.1)] = 10,
    grace: Annotated[int, typer.Option(help="Seconds in which what is running is finished at the end.", min=0)] = 30,
    model: ModelOption = None,
) -> None:
    """Serve recordings and live streams to words, and the language models, as OpenAI's and Vosk's clients speak it, and
    a page.

    Prints its address once it is ready, and logs requests on standard error, a line of JSON each, without what is in
    them. Only this machine can reach it; beyond, with --host, whoever asks must show a key. SIGTERM and Ctrl-C end it
    when what is running is finished. Needs `pip install 'nicebeach[server]'`.

    Routes: POST /v1/audio/transcriptions, /v1/lm/next, /v1/lm/score, /v1/lm/compare; GET /, which is the page,
    /v1/models, /health, /ready, /metrics, /openapi.json. WebSockets: /v1/realtime speaks OpenAI's protocol, / Vosk's.

    Examples:

        asr serve

        asr serve --host 0.0.0.0 --api-key-file keys.txt --tls-cert cert.pem --tls-key key.pem
    """
    multiply_on_one_core()
    with one_line_errors():
        if (tls_cert is None) != (tls_key is None):
            raise ValueError("--tls-cert and --tls-key: give both")
        from asr.server.serve import Settings, read_keys
        from asr.server.serve import serve as run

        run(
            Settings(
                host,
                port,
                read_keys(api_key_file, host, no_key),
                tuple(origin or ()),
                (tls_cert, tls_key) if tls_cert and tls_key else None,
                model,
                workers or len(os.sched_getaffinity(0)),
                queue,
                max_upload,
                max_seconds,
                patience,
                grace,
                live,
            )
        )
