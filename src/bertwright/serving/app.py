"""The server's parts put together: models, routes, page, door."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from functools import partial
from pathlib import Path

from fastapi import FastAPI, Security
from fastapi.exceptions import RequestValidationError
from fastapi.security import HTTPBearer
from starlette.exceptions import HTTPException
from starlette.middleware.cors import CORSMiddleware
from starlette.responses import PlainTextResponse, Response
from starlette.types import ASGIApp

from bertwright.inference.opening import EngineName
from bertwright.memory import give_back_free_pages
from bertwright.serving import compatible, openai, page, routes, wire
from bertwright.serving.asker import Asker
from bertwright.serving.door import Door
from bertwright.serving.faults import json_response, tell_defect, tell_invalid, tell_refused
from bertwright.serving.log import Log
from bertwright.serving.measures import Measures
from bertwright.serving.models import Models
from bertwright.serving.settings import ServeSettings
from bertwright.version import VERSION

# Seconds between two times that free memory is given back, which takes some milliseconds.
_TIDY_SECONDS = 10.0
_ABOUT = """Every head of BERT over HTTP. Texts of any length are read in windows; offsets are characters of the text
that was sent. A request that cannot be answered gets `{"error": ..., "error_type": ...}`; where too much is asked at
the moment, 429 with `Retry-After`."""
_FAULTS: dict[int | str, dict[str, object]] = {
    status: {"model": wire.Fault, "description": what}
    for status, what in (
        (400, "No JSON, or no model can do it"),
        (401, "A key is needed"),
        (404, "No such model"),
        (408, "The body did not come"),
        (413, "Too long, or too many texts or tokens"),
        (422, "Not what the route reads"),
        (429, "Too much is asked at the moment"),
        (503, "Being stopped"),
        (504, "It took too long"),
    )
}


class Server:
    """A server that is ready to run: `app` is what an ASGI server takes, `models` may be told to reload."""

    def __init__(
        self,
        paths: Mapping[str, Path],
        settings: ServeSettings | None = None,
        *,
        engine: EngineName = "auto",
        keys: Sequence[str] = (),
        log: Log | None = None,
    ) -> None:
        """Reads the models. Raises ModelError."""
        settings = settings or ServeSettings()
        self.log, measures = log or Log(), Measures()
        self.models = Models(paths, settings, engine=engine, say=self.log.say, on_read=measures.read)
        self.asker = Asker(self.models, settings)
        self.stopping = False
        inner = self._routes(measures, keyed=bool(keys))
        door = Door(
            inner,
            keys=keys,
            max_body_bytes=settings.max_body_bytes,
            body_seconds=settings.timeout_seconds,
            measures=measures,
            log=self.log,
        )
        # Around the door, so that a page of another site can read why it was refused.
        self.app: ASGIApp = (
            CORSMiddleware(
                door,
                allow_origins=list(settings.cors_origins),
                allow_methods=["GET", "POST"],
                allow_headers=["authorization", "content-type"],
                expose_headers=["retry-after"],
            )
            if settings.cors_origins
            else door
        )

    def _routes(self, measures: Measures, *, keyed: bool) -> FastAPI:
        app = FastAPI(
            title="bertwright",
            version=VERSION,
            description=_ABOUT,
            lifespan=self._life,
            # Both load their scripts from elsewhere.
            docs_url=None,
            redoc_url=None,
            responses=_FAULTS,
            exception_handlers={
                HTTPException: tell_refused,
                RequestValidationError: tell_invalid,
                Exception: tell_defect,
            },
        )
        # The door asks for the key; what is described here is that it does.
        guard = [Security(HTTPBearer(auto_error=False, description="One of the server's keys"))] if keyed else []
        for each in (routes, compatible, openai):
            app.include_router(each.routes(self.asker), dependencies=guard)
        app.include_router(page.routes())

        # HEAD for balancers; described once.
        @app.head("/health", include_in_schema=False)
        @app.get("/health", tags=["server"], response_model=dict[str, str])
        async def health() -> Response:
            """Whether the server lives."""
            return json_response({"status": "alive"})

        @app.head("/ready", include_in_schema=False)
        @app.get("/ready", tags=["server"], response_model=dict[str, str])
        async def ready() -> Response:
            """Whether it takes requests: 503 while it is being stopped."""
            return json_response({"status": "stopping" if self.stopping else "ready"}, 503 if self.stopping else 200)

        @app.get("/metrics", tags=["server"], response_class=PlainTextResponse, dependencies=guard)
        async def metrics() -> Response:
            """What Prometheus reads."""
            waiting = [(served.name, partial(getattr, served.queue, "waiting")) for served in self.models.all()]
            return Response(measures.text(waiting), media_type="text/plain; version=0.0.4")

        return app

    @asynccontextmanager
    async def _life(self, _: FastAPI) -> AsyncIterator[None]:
        tidying = asyncio.create_task(_tidy())
        yield
        tidying.cancel()
        self.stopping = True
        # The requests are answered by now; what is left are batches that nobody waits for.
        self.asker.close()


async def _tidy() -> None:
    while True:
        await asyncio.sleep(_TIDY_SECONDS)
        await asyncio.to_thread(give_back_free_pages)
