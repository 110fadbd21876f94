"""The routes and JSON of text-embeddings-inference, so that its clients work as they are.

`truncate` is not looked at: long texts are read in windows, vectors of all of them.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from typing import Any, TypeVar

import numpy as np
from fastapi import APIRouter
from fastapi.exceptions import RequestValidationError
from pydantic import BaseModel, ValidationError
from starlette.requests import Request
from starlette.responses import Response

from bertwright.inference.asked import Asked
from bertwright.inference.asking import Asking
from bertwright.inference.known_task import pooling_of
from bertwright.serving import wire
from bertwright.serving.asker import Asker
from bertwright.serving.faults import Refused, json_response
from bertwright.serving.models import Served
from bertwright.tokens.tokenizer import Encoding
from bertwright.tokens.vocabulary import SPECIALS
from bertwright.version import VERSION

BodyT = TypeVar("BodyT", bound=BaseModel)


def routes(asker: Asker) -> APIRouter:
    """All of them."""
    router = APIRouter(tags=["text-embeddings-inference"])

    @router.post("/embed", response_model=list[list[float]])
    async def embed(request: Request, body: wire.EmbedRequest) -> Response:
        """One vector a text; with `normalize` of length 1."""
        _, found = await asker.vectors(request, body.model, _listed(body.inputs), normalize=body.normalize)
        return json_response(found)

    @router.post("/similarity", response_model=list[float] | list[list[float]])
    async def similarity(request: Request, body: wire.SimilarityRequest) -> Response:
        """Cosines: of `source_sentence` with each of `sentences`, or of each of `texts` with each, as a matrix."""
        if (body.inputs is None) == (body.texts is None):
            raise Refused(422, "either `inputs` or `texts` is expected")
        given = body.inputs
        texts = body.texts or ([] if given is None else [given.source_sentence, *given.sentences])
        _, found = await asker.vectors(request, body.model, texts, normalize=True)
        cosines = np.clip(found @ found.T, -1, 1)
        return json_response(cosines if given is None else cosines[0, 1:].copy())

    @router.post("/tokenize", response_model=list[list[wire.Piece]])
    async def tokenize(request: Request, body: wire.TokenizeRequest) -> Response:
        """The pieces of each text, with their places in it."""
        texts = _listed(body.inputs)
        asker.check(texts)
        served = asker.find(body.model, "tokenize")
        make = partial(_pieces, texts, asker.check_tokens, special=body.add_special_tokens)
        return json_response(await asker.work(request, served, texts, make))

    @router.post("/predict", response_model=list[wire.Labelled] | list[list[wire.Labelled]])
    async def predict(request: Request, body: wire.PredictRequest) -> Response:
        """The labels of a text, a pair or a batch of them, likeliest first."""
        single, sequences = _sequences(body.inputs)
        count = {len(sequence) for sequence in sequences}
        texts = [text for sequence in sequences for text in sequence]

        def make(asking: Asking) -> Any:
            return [asking.scores(sequences, raw=body.raw_scores)]

        if len(count) > 1:
            raise Refused(422, "texts and pairs stand in one batch; send each by itself")
        _, (found,) = await asker.ask(request, body.model, "predict", texts, make)
        shown = [
            sorted(({"score": score, "label": label} for label, score in each.items()), key=lambda row: -row["score"])
            for each in found
        ]
        return json_response(shown[0] if single else shown)

    @router.post("/rerank", response_model=list[wire.Ranked])
    async def rerank(request: Request, body: wire.RerankRequest) -> Response:
        """The texts in the order of how well they answer the query; for models that rate pairs."""
        pairs = [(body.query, text) for text in body.texts]

        def make(asking: Asking) -> list[Asked[list[dict[str, float]]]]:
            return [asking.scores(pairs, raw=body.raw_scores)]

        again = len(body.query) * (len(body.texts) - 1)
        texts = [body.query, *body.texts]
        _, (found,) = await asker.ask(request, body.model, "rerank", texts, make, repeated=again)
        return json_response(_ranked([next(iter(each.values())) for each in found], body))

    @router.post("/", response_model=list[Any])
    async def by_kind(request: Request, body: wire.AnyRequest) -> Response:
        """What the first model is for: `/rerank`, `/predict` or `/embed`, as clients ask who know an address alone."""
        (kind,) = _model_type(asker.find(body.model, "tokenize"))
        if kind == "reranker":
            return await rerank(request, _as(wire.RerankRequest, body))
        if kind == "classifier":
            return await predict(request, _as(wire.PredictRequest, body))
        return await embed(request, _as(wire.EmbedRequest, body))

    @router.get("/info", response_model=dict[str, Any])
    async def info() -> Response:
        """The first model and the limits."""
        served, settings = asker.models.all()[0], asker.settings
        return json_response(
            {
                "model_id": served.name,
                "model_sha": None,
                "model_dtype": served.predictor.runner.engine_told,
                "model_type": _model_type(served),
                "max_concurrent_requests": settings.max_waiting_tokens // served.predictor.max_length,
                "max_input_length": served.predictor.max_length,
                "max_batch_tokens": settings.batch_tokens or served.predictor.runner.batch_tokens,
                "max_client_batch_size": settings.max_texts,
                "tokenization_workers": 1,
                "version": VERSION,
            }
        )

    return router


def _as(wanted: type[BodyT], body: wire.AnyRequest) -> BodyT:
    """The same body as a route reads it. Raises RequestValidationError."""
    try:
        return wanted.model_validate(body.model_dump(exclude_unset=True))
    except ValidationError as error:
        raise RequestValidationError([fault | {"loc": ("body", *fault["loc"])} for fault in error.errors()]) from None


def _ranked(scores: Sequence[float], body: wire.RerankRequest) -> list[dict[str, Any]]:
    """The texts' places, the highest score first."""
    ranks: list[dict[str, Any]] = [{"index": number, "score": score} for number, score in enumerate(scores)]
    if body.return_text:
        ranks = [rank | {"text": body.texts[rank["index"]]} for rank in ranks]
    return sorted(ranks, key=lambda rank: -rank["score"])


def _listed(texts: str | list[str]) -> list[str]:
    return [texts] if isinstance(texts, str) else texts


def _sequences(inputs: str | list[str] | list[list[str]]) -> tuple[bool, list[tuple[str, ...]]]:
    """Whether it is one, and all of them."""
    if isinstance(inputs, str):
        return True, [(inputs,)]
    if all(isinstance(each, str) for each in inputs):
        return True, [tuple(str(each) for each in inputs)]
    return False, [tuple(each) for each in inputs if not isinstance(each, str)]


def _pieces(
    texts: Sequence[str], check: Callable[[int], None], asking: Asking, *, special: bool
) -> list[list[dict[str, Any]]]:
    """The pieces of all texts; `check` is given their number before they are many objects."""
    encodings, tokens = [], 0
    for text in texts:
        encodings.append(asking.tokenizer.encode(text))
        tokens += len(encodings[-1].ids) + 2 * special
        check(tokens)
    return [_tokens(asking, *each, special=special) for each in zip(texts, encodings, strict=True)]


def _tokens(asking: Asking, text: str, encoding: Encoding, *, special: bool) -> list[dict[str, Any]]:
    pieces = [
        {"id": number, "text": text[start:end], "special": piece in SPECIALS, "start": start, "stop": end}
        for number, piece, (start, end) in zip(encoding.ids, encoding.pieces, encoding.spans, strict=True)
    ]
    if not special:
        return pieces
    vocabulary = asking.tokenizer.vocabulary

    def added(number: int) -> dict[str, Any]:
        return {"id": number, "text": vocabulary.pieces[number], "special": True, "start": None, "stop": None}

    return [added(vocabulary.cls_id), *pieces, added(vocabulary.sep_id)]


def _model_type(served: Served) -> dict[str, Any]:
    described = served.asking.described
    if "rerank" in served.abilities:
        return {"reranker": {"id2label": {"0": "score"}, "label2id": {"score": 0}}}
    if "predict" in served.abilities:
        names = dict(enumerate(described.labels))
        return {
            "classifier": {
                "id2label": {str(number): label for number, label in names.items()},
                "label2id": {label: number for number, label in names.items()},
            }
        }
    return {"embedding": {"pooling": pooling_of(described)}}
