"""Requests drawn from the server's own description of itself: whatever comes, it is answered, and not with a 5xx."""

from __future__ import annotations

import io
import tempfile
from pathlib import Path
from typing import Any

import schemathesis
from hypothesis import HealthCheck, settings
from schemathesis.checks import not_a_server_error
from schemathesis.specs.openapi.checks import content_type_conformance, response_schema_conformance
from starlette.types import Receive, Scope, Send

from bertwright.serving.app import Server
from bertwright.serving.log import Log
from bertwright.serving.settings import ServeSettings
from tests.life.served import write_models

_HOME = tempfile.TemporaryDirectory()
_LOG = io.StringIO()
_SERVER = Server(write_models(Path(_HOME.name)), ServeSettings(max_body_bytes=20_000), engine="torch", log=Log(_LOG))


async def _lasting(scope: Scope, receive: Receive, send: Send) -> None:
    """The server, which outlives the single request that its caller starts it for."""
    if scope["type"] != "lifespan":
        await _SERVER.app(scope, receive, send)
        return
    for part in ("startup", "shutdown"):
        await receive()
        await send({"type": f"lifespan.{part}.complete"})


# It also answers as it says that it does.
_CHECKS = [not_a_server_error, response_schema_conformance, content_type_conformance]
SCHEMA = schemathesis.openapi.from_asgi("/openapi.json", _lasting)


@SCHEMA.parametrize()
@settings(max_examples=60, deadline=None, suppress_health_check=list(HealthCheck))
def test_no_request_breaks_it(case: schemathesis.Case[Any]) -> None:
    answer = case.call()
    case.validate_response(answer, checks=_CHECKS)
    assert "defect" not in _LOG.getvalue()
