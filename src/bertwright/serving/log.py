"""The server's log: one JSON object a line, without the texts of anyone."""

from __future__ import annotations

import contextlib
import json
import logging
import sys
import traceback
from datetime import UTC, datetime
from typing import IO, Any


class Log:
    """Written to stderr, or to another stream; `requests` is whether each request has its line."""

    def __init__(self, stream: IO[str] | None = None, *, requests: bool = True) -> None:
        self._stream = stream or sys.stderr
        self._requests = requests

    def say(self, line: str) -> None:
        """What the server has to tell of itself."""
        self._write("said", message=line)

    def request(self, method: str, route: str, status: int, seconds: float, about: dict[str, Any]) -> None:
        """A request that is done."""
        if self._requests:
            milliseconds = round(seconds * 1000, 1)
            self._write("request", method=method, route=route, status=status, milliseconds=milliseconds, **about)

    def defect(self, error: BaseException) -> None:
        """A defect of ours: its kind and the places it came through. Its message may hold a text, and is left out."""
        frames = traceback.extract_tb(error.__traceback__)
        places = [f"{frame.filename.rpartition('/')[2]}:{frame.lineno} {frame.name}" for frame in frames]
        self._write("defect", kind=type(error).__name__, places=places[-12:])

    def take_over(self) -> None:
        """Write what the libraries below have to say in the same form, warnings and worse."""
        for name in ("uvicorn", "asyncio"):
            logger = logging.getLogger(name)
            logger.handlers, logger.propagate = [_Handler(self)], False
            logger.setLevel(logging.WARNING)

    def _write(self, event: str, **values: Any) -> None:
        now = datetime.now(UTC).isoformat(timespec="milliseconds")
        # A terminal that was closed, or a full disk: the server answers all the same.
        with contextlib.suppress(OSError, ValueError):
            self._stream.write(json.dumps({"time": now, "event": event, **values}, ensure_ascii=False) + "\n")
            self._stream.flush()


class _Handler(logging.Handler):
    def __init__(self, log: Log) -> None:
        super().__init__()
        self._log = log

    def emit(self, record: logging.LogRecord) -> None:
        if record.exc_info and record.exc_info[1] is not None:
            self._log.defect(record.exc_info[1])
        else:
            self._log.say(record.getMessage())
