"""The door of the server: keys, sizes, headers, a line in the log and a count for every request.

It is written for ASGI itself, not as a framework's middleware: bodies are counted as they come in, and an answer is not
held up.
"""

from __future__ import annotations

import asyncio
import contextlib
import hmac
import time
from collections.abc import Callable, Sequence
from typing import Any

from starlette.types import ASGIApp, Message, Receive, Scope, Send

from bertwright.serving.faults import Refused, told
from bertwright.serving.log import Log
from bertwright.serving.measures import Measures

# What may be read without a key: whether the server lives, what it can be asked, and the page, which asks for the key.
_OPEN = ("/health", "/ready", "/openapi.json", "/", "/favicon.ico")
_HEADERS = (
    (b"x-content-type-options", b"nosniff"),
    (b"referrer-policy", b"no-referrer"),
    (b"cache-control", b"no-store"),
)


class Door:
    """All requests go through it."""

    def __init__(
        self,
        app: ASGIApp,
        *,
        keys: Sequence[str],
        max_body_bytes: int,
        body_seconds: float,
        measures: Measures,
        log: Log,
    ) -> None:
        """body_seconds: in which a body must be there, so that nobody holds a place by sending none."""
        self._app, self._measures, self._log = app, measures, log
        self._keys = [key.encode() for key in keys]
        self._most, self._seconds = max_body_bytes, body_seconds

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """One request, or the server's own life."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        begun = time.perf_counter()
        status = 0
        # What the route tells of the request for the log: the model, its texts and tokens.
        about: dict[str, Any] = {}
        scope.setdefault("state", {})["about"] = about

        async def telling(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
                message["headers"] = [*message.get("headers", ()), *_HEADERS]
            await send(message)

        try:
            refused = self._refused(scope)
            if refused is not None:
                await told(scope["path"], refused)(scope, receive, telling)
                return
            await self._app(scope, self._counted(receive), telling)
        except Exception as error:  # noqa: BLE001  # a defect of ours, which the app has answered with 500 already
            self._log.defect(error)
        finally:
            seconds = time.perf_counter() - begun
            # The route as it was declared: paths that nobody declared are not counted one by one.
            route = getattr(scope.get("route"), "path", "other")
            self._measures.request(route, status, seconds)
            self._log.request(scope["method"], route, status, seconds, about)

    def _refused(self, scope: Scope) -> Refused | None:
        headers = {name: value for name, value in scope["headers"] if name in (b"authorization", b"content-length")}
        if self._keys and not _is_open(scope):
            scheme, _, given = headers.get(b"authorization", b"").partition(b" ")
            # All are compared, so that the time tells nothing of which it was.
            right = [hmac.compare_digest(given.strip(), key) for key in self._keys]
            if scheme.lower() != b"bearer" or not any(right):
                what = "a key is needed, as in `Authorization: Bearer KEY`"
                return Refused(401, what, {"WWW-Authenticate": "Bearer"})
        with contextlib.suppress(ValueError):
            if int(headers.get(b"content-length", b"0")) > self._most:
                return self._too_long()
        return None

    def _counted(self, receive: Receive) -> Callable[[], Any]:
        """The same messages; Refused where the body grows too long or does not come."""
        read = 0
        whole = False
        until = asyncio.get_running_loop().time() + self._seconds

        async def counted() -> Message:
            nonlocal read, whole
            if whole:
                return await receive()
            try:
                async with asyncio.timeout_at(until):
                    message = await receive()
            except TimeoutError:
                raise Refused(408, f"the body did not come in {self._seconds:g} seconds") from None
            if message["type"] == "http.request":
                read += len(message.get("body", b""))
                whole = not message.get("more_body", False)
                if read > self._most:
                    raise self._too_long()
            return message

        return counted

    def _too_long(self) -> Refused:
        return Refused(413, f"the body is longer than {self._most:,} bytes; send fewer or shorter texts")


def _is_open(scope: Scope) -> bool:
    return scope["method"] in ("GET", "HEAD") and (scope["path"] in _OPEN or scope["path"].startswith("/page/"))
