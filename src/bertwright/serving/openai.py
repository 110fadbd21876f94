"""OpenAI's routes for embeddings, so that its clients work as they are."""

from __future__ import annotations

import base64
from typing import Any

from fastapi import APIRouter
from starlette.requests import Request
from starlette.responses import Response

from bertwright.serving import wire
from bertwright.serving.asker import Asker
from bertwright.serving.faults import Refused, json_response

# All that a request may be refused with, in the form that OpenAI's clients know.
_FAULTS = (400, 401, 404, 408, 413, 422, 429, 503, 504)


def routes(asker: Asker) -> APIRouter:
    """All of them."""
    faults: dict[int | str, dict[str, Any]] = {status: {"model": wire.OpenAiFault} for status in _FAULTS}
    router = APIRouter(prefix="/v1", tags=["OpenAI"], responses=faults)

    @router.post("/embeddings", response_model=wire.OpenAiVectors)
    async def embeddings(request: Request, body: wire.OpenAiRequest) -> Response:
        """One vector of length 1 a text, as numbers or as base64 of little-endian fp32."""
        texts = [body.input] if isinstance(body.input, str) else body.input
        name = _known(asker, body.model)
        hidden = asker.find(name, "embed").predictor.hidden_size
        if body.dimensions not in (None, hidden):
            raise Refused(422, f"`dimensions` is {body.dimensions}, and the model's vectors have {hidden}")
        served, found = await asker.vectors(request, name, texts, normalize=True)
        encoded = body.encoding_format == "base64"
        rows: list[Any] = [base64.b64encode(row.astype("<f4").tobytes()).decode() if encoded else row for row in found]
        tokens = request.scope["state"]["about"]["tokens"]
        return json_response(
            {
                "object": "list",
                "data": [{"object": "embedding", "index": n, "embedding": row} for n, row in enumerate(rows)],
                "model": served.name,
                "usage": {"prompt_tokens": tokens, "total_tokens": tokens},
            }
        )

    @router.get("/models", response_model=wire.OpenAiModels)
    async def models() -> Response:
        """The names of the models."""
        data = [{"id": served.name, "object": "model", "owned_by": "bertwright"} for served in asker.models.all()]
        return json_response({"object": "list", "data": data})

    return router


def _known(asker: Asker, name: str | None) -> str | None:
    """Clients must name a model, and often name one of OpenAI's: with one model here, it is meant."""
    names = [served.name for served in asker.models.all()]
    return None if name not in names and len(names) == 1 else name
