"""What can go wrong with a request, each with its status, told in the form that the clients of a route know."""

from __future__ import annotations

import json
from typing import Any

import orjson
from fastapi.exceptions import RequestValidationError
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response

# As text-embeddings-inference names them.
_KINDS = {
    400: "Validation",
    401: "Unauthorized",
    404: "Validation",
    405: "Validation",
    413: "Validation",
    415: "Validation",
    422: "Validation",
    424: "Backend",
    429: "Overloaded",
    500: "Backend",
    503: "Unhealthy",
    504: "Backend",
}
OPENAI = "/v1/"
_TOLD = 5
# Characters of a name that came with a request, in an answer.
_LONGEST = 60


class Refused(HTTPException):
    """A request that is not answered, with its status and one line why; never with a path, a trace or a text."""

    def __init__(self, status: int, what: str, headers: dict[str, str] | None = None) -> None:
        super().__init__(status, what, headers)


def told(path: str, refused: HTTPException) -> Response:
    """The answer to a request to `path` that is refused."""
    status, what = refused.status_code, refused.detail
    kind = _KINDS.get(status, "Validation")
    if path.startswith(OPENAI):
        body: dict[str, Any] = {"error": {"message": what, "type": kind, "param": None, "code": status}}
    else:
        body = {"error": what, "error_type": kind}
    return json_response(body, status, dict(refused.headers or {}))


def json_response(body: Any, status: int = 200, headers: dict[str, str] | None = None) -> Response:
    """JSON, arrays of numpy as they lie; numbers that JSON does not know are null."""
    try:
        content = orjson.dumps(body, option=orjson.OPT_SERIALIZE_NUMPY)
    except orjson.JSONEncodeError:
        # A fault that names a lone surrogate, which UTF-8 cannot hold.
        content = json.dumps(body).encode()
    return Response(content, status, headers, media_type="application/json")


async def tell_refused(request: Request, error: Exception) -> Response:
    """FastAPI's handler of all that is refused on purpose, by the framework too."""
    assert isinstance(error, HTTPException)
    return told(request.url.path, error)


async def tell_invalid(request: Request, error: Exception) -> Response:
    """FastAPI's handler of bodies that are not what a route reads: what is wrong where, and no values."""
    assert isinstance(error, RequestValidationError)
    faults = error.errors()
    status = 400 if any(fault["type"] == "json_invalid" for fault in faults) else 422
    lines = []
    for fault in faults[:_TOLD]:
        place = ".".join(str(part)[:_LONGEST] for part in fault["loc"] if part != "body")
        lines.append(f"{place}: {fault['msg']}" if place and status == 422 else fault["msg"])
    return told(request.url.path, Refused(status, "; ".join(lines)))


async def tell_defect(request: Request, error: Exception) -> Response:
    """FastAPI's handler of what nobody foresaw: who asked learns nothing of it, and the log has its place."""
    del error
    return told(request.url.path, Refused(500, "the server failed; its log has more"))
