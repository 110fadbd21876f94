"""bertwright serve."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Annotated

import typer

from bertwright.cli.choices import InferenceChoice

# Loopback: who wants to be reached from elsewhere says so.
_HOST = "127.0.0.1"


def run(
    models: Annotated[list[str], typer.Argument(help="Model directories, each called by its name or as in NAME=DIR.")],
    host: Annotated[str, typer.Option(help="Address to listen at; 0.0.0.0 to be reached from elsewhere.")] = _HOST,
    port: Annotated[int, typer.Option(min=0, max=65535, help="0: any that is free.")] = 8000,
    api_keys: Annotated[
        Path | None, typer.Option(help="File of keys, one a line; or BERTWRIGHT_API_KEYS, parted by commas.")
    ] = None,
    set_: Annotated[
        list[str] | None,
        typer.Option("--set", help="Setting as key=value, such as max_texts=1000; see docs/serving.md."),
    ] = None,
    engine: Annotated[InferenceChoice, typer.Option(help="What runs the models.")] = InferenceChoice.auto,
    quiet: Annotated[bool, typer.Option("--quiet", help="No line in the log for each request.")] = False,
) -> None:
    """Answer over HTTP, with a page to try the models at; the log goes to stderr, SIGHUP reads the models again.

    Example: bertwright serve classifier tagger
    """
    from bertwright.errors import SettingsError
    from bertwright.memory import keep_big_blocks
    from bertwright.serving.settings import ServeSettings

    try:
        from bertwright.serving.app import Server
        from bertwright.serving.run import pass_over_hangups, read_keys, serve
    except ImportError as missing:
        what = f"{missing.name} is not installed"
        raise SettingsError(what, cure="pip install 'bertwright[serve]'") from None
    from bertwright.serving.log import Log
    from bertwright.serving.models import named_paths

    settings = ServeSettings.from_toml("", where="--set", overrides=set_ or [])
    keys = read_keys(api_keys, os.environ.get("BERTWRIGHT_API_KEYS"))
    log = Log(requests=not quiet)
    pass_over_hangups()
    keep_big_blocks()
    server = Server(named_paths(models), settings, engine=engine.value, keys=keys, log=log)
    if host not in (_HOST, "localhost", "::1") and not keys:
        log.say(f"anyone who reaches {host} may ask: no --api-keys are given")
    serve(server, host=host, port=port)
