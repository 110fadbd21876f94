"""The page that the server opens with: a playground for whichever heads its models have."""

from __future__ import annotations

from importlib import resources

from fastapi import APIRouter
from starlette.responses import Response

_SCRIPTS = ("page.js", "ask.js", "parts.js", "views.js", "attention.js")
_FILES = {"page.css": "text/css", "icon.svg": "image/svg+xml"} | dict.fromkeys(_SCRIPTS, "text/javascript")
# Nothing from outside, no script or style within the page itself.
_POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; connect-src 'self'; "
    "base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
)


def routes() -> APIRouter:
    """The page and its files."""
    router = APIRouter(include_in_schema=False)
    headers = {"Content-Security-Policy": _POLICY}

    @router.get("/")
    async def index() -> Response:
        return Response(_content("page.html"), headers=headers, media_type="text/html")

    @router.get("/page/{name}")
    async def file(name: str) -> Response:
        if name not in _FILES:
            return Response("no such file", 404, media_type="text/plain")
        return Response(_content(name), headers=headers, media_type=_FILES[name])

    @router.get("/favicon.ico")
    async def icon() -> Response:
        return Response(_content("icon.svg"), headers=headers, media_type="image/svg+xml")

    return router


def _content(name: str) -> bytes:
    return resources.files(__package__).joinpath(name).read_bytes()
