"""A server in this process, until it is told to stop."""

from __future__ import annotations

import asyncio
import math
import signal
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from types import FrameType

import uvicorn

from bertwright.errors import BertwrightError, OperationalFault, SettingsError
from bertwright.serving.app import Server

# Seconds that requests have at least to end in once the server is told to stop.
_GRACE = 60


def serve(server: Server, *, host: str, port: int) -> None:
    """Answer until SIGINT or SIGTERM; what was taken is answered first. SIGHUP reads all models again.

    Raises OperationalFault where the address cannot be had.
    """
    config = uvicorn.Config(
        server.app,
        host=host,
        port=port,
        # Our own lines tell more, and no texts.
        log_config=None,
        access_log=False,
        server_header=False,
        # uvicorn refuses from this number on, and counts the one that asks.
        limit_concurrency=server.asker.settings.max_connections + 1,
        timeout_graceful_shutdown=max(_GRACE, math.ceil(server.asker.settings.timeout_seconds)),
        lifespan="on",
    )
    server.log.take_over()
    running = _Running(config, server)
    try:
        running.run()
    except SystemExit:
        # uvicorn's way to say that it could not begin.
        raise OperationalFault(f"cannot listen at {host}:{port}; is another server there?") from None


class _Running(uvicorn.Server):
    def __init__(self, config: uvicorn.Config, server: Server) -> None:
        super().__init__(config)
        self._server = server
        self._reloading: asyncio.Task[None] | None = None
        self._again = False

    @contextmanager
    def capture_signals(self) -> Iterator[None]:
        """Stopped as it was told is an end like any; uvicorn's own would send itself the signal once more."""
        before = {sign: signal.signal(sign, self.handle_exit) for sign in (signal.SIGINT, signal.SIGTERM)}
        try:
            yield
        finally:
            for sign, handler in before.items():
                signal.signal(sign, handler)

    async def startup(self, sockets: list[object] | None = None) -> None:  # type: ignore[override]
        await super().startup(sockets)  # type: ignore[arg-type]
        if not self.should_exit:
            host = f"[{self.config.host}]" if ":" in self.config.host else self.config.host
            port = self.servers[0].sockets[0].getsockname()[1]
            names = ", ".join(served.name for served in self._server.models.all())
            self._server.log.say(f"serving {names} at http://{host}:{port}")
        if sys.platform != "win32":
            asyncio.get_running_loop().add_signal_handler(signal.SIGHUP, self._reload)

    def handle_exit(self, sig: int, frame: FrameType | None) -> None:
        self._server.stopping = True
        super().handle_exit(sig, frame)

    def _reload(self) -> None:
        # Told while it reads, it reads once more: what is there now may have come after.
        self._again = True
        if self._reloading is None or self._reloading.done():
            self._reloading = asyncio.get_running_loop().create_task(self._reload_all())

    async def _reload_all(self) -> None:
        while self._again:
            self._again = False
            await self._reload_each()

    async def _reload_each(self) -> None:
        for served in self._server.models.all():
            try:
                await asyncio.to_thread(self._server.models.reload, served.name)
            except BertwrightError as fault:
                self._server.log.say(f"{served.name}: still the one that was there; {fault}")
            except Exception as error:  # noqa: BLE001  # the others are read all the same
                self._server.log.say(f"{served.name}: still the one that was there")
                self._server.log.defect(error)


def pass_over_hangups() -> None:
    """Let SIGHUP end the process no more; until the models are read there is nothing to read again."""
    if sys.platform != "win32":
        signal.signal(signal.SIGHUP, signal.SIG_IGN)


def read_keys(file: Path | None, environment: str | None) -> Sequence[str]:
    """The keys of a file, one a line, and of a variable of the environment, parted by commas. Raises SettingsError."""
    keys = [key.strip() for key in (environment or "").split(",") if key.strip()]
    if environment is not None and not keys:
        # Who sets it means to have one: `$(cat missing-file)` is empty too.
        raise SettingsError("BERTWRIGHT_API_KEYS is set and holds no key", cure="give it one, or unset it")
    if file is not None:
        try:
            # Some editors begin a file with a mark of its encoding.
            lines = [line.strip() for line in file.read_text(encoding="utf-8-sig").splitlines()]
        except (OSError, UnicodeDecodeError) as error:
            raise SettingsError(f"cannot be read: {getattr(error, 'strerror', None) or error}", where=file) from None
        found = [line for line in lines if line and not line.startswith("#")]
        if not found:
            raise SettingsError("holds no key", where=file, cure="write one a line")
        keys += found
    return keys
