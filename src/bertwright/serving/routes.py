"""Our own routes: one for each thing that a BERT can do."""

from __future__ import annotations

import base64
from dataclasses import asdict
from typing import Any

import numpy as np
from fastapi import APIRouter
from starlette.requests import Request
from starlette.responses import Response

from bertwright.inference.asking import Asking
from bertwright.inference.results import Filled
from bertwright.serving import wire
from bertwright.serving.asker import Asker
from bertwright.serving.faults import Refused, json_response
from bertwright.tasks.answer import AnswerTask
from bertwright.tasks.tag import Tag
from bertwright.tokens.vocabulary import MASK

# Tokens of a text whose attention is shown: a page can draw no more, and an answer grows with their square.
MOST_TOKENS_SEEN = 128


def routes(asker: Asker) -> APIRouter:
    """All of them."""
    router = APIRouter(tags=["bertwright"])
    answer: dict[str, Any] = {"response_model": wire.Results}

    @router.post("/fill", **answer)
    async def fill(request: Request, body: wire.FillRequest) -> Response:
        """The likeliest words for each `[MASK]` of each text."""
        asker.check_tokens(sum(text.count(MASK) for text in body.texts) * body.top, "words to be told")

        def make(asking: Asking) -> Any:
            return [asking.fill(text, body.top).then(_masks) for text in body.texts]

        served, found = await asker.ask(request, body.model, "fill", body.texts, make)
        return _results(served.name, found)

    @router.post("/classify", **answer)
    async def classify(request: Request, body: wire.TextsRequest) -> Response:
        """What a model of `classify`, `multilabel` or `regress` says of each text."""
        served, (found,) = await asker.ask(
            request, body.model, "classify", body.texts, lambda asking: [asking.shown([(text,) for text in body.texts])]
        )
        return _results(served.name, found)

    @router.post("/pair", **answer)
    async def pair(request: Request, body: wire.PairsRequest) -> Response:
        """The same of each pair of texts."""
        texts = [text for each in body.pairs for text in each]
        served, (found,) = await asker.ask(
            request, body.model, "pair", texts, lambda asking: [asking.shown([(a, b) for a, b in body.pairs])]
        )
        return _results(served.name, found)

    @router.post("/tag", **answer)
    async def tag(request: Request, body: wire.TagRequest) -> Response:
        """The words, tags and spans of each text; spans point into the text, or into its words joined by spaces."""
        texts = [text if isinstance(text, str) else " ".join(text) for text in body.texts]

        def make(asking: Asking) -> Any:
            # Of some words a tokenizer makes nothing, and they take their time all the same.
            asker.check_tokens(
                sum(len(text.split() if isinstance(text, str) else text) for text in body.texts), "words"
            )
            task = asking.task()
            assert isinstance(task, Tag)
            return [asking.tag(body.texts).then(lambda found: [task.shown(each) for each in found])]

        served, (found,) = await asker.ask(request, body.model, "tag", texts, make)
        return _results(served.name, found)

    @router.post("/answer", **answer)
    async def answer_(request: Request, body: wire.AnswerRequest) -> Response:
        """The answer to each question, as a part of its context, with the next best ones."""
        pairs = [(each.question, each.context) for each in body.questions]

        def make(asking: Asking) -> Any:
            task = asking.task(null_threshold=body.null_threshold)
            assert isinstance(task, AnswerTask)
            asked = asking.answer(pairs, null_threshold=body.null_threshold)
            return [asked.then(lambda found: [task.shown(each) for each in found])]

        texts = [text for each in pairs for text in each]
        served, (found,) = await asker.ask(request, body.model, "answer", texts, make)
        return _results(served.name, found)

    @router.post("/choose", response_model=wire.Results)
    async def choose(request: Request, body: wire.ChooseRequest) -> Response:
        """Which of several choices goes with a text, and what share each of them has."""
        served, (found,) = await asker.ask(
            request,
            body.model,
            "choose",
            [body.text, *body.choices],
            lambda asking: [asking.choose(body.text, body.choices)],
            repeated=len(body.text) * (len(body.choices) - 1),
        )
        return _results(served.name, [asdict(found)])

    @router.post("/attention", response_model=wire.Seen)
    async def attention(request: Request, body: wire.AttentionRequest) -> Response:
        """What each token looks at: `shares` are bytes (255: all of its look), layers x heads x tokens x tokens."""

        def make(asking: Asking) -> Any:
            asked = asking.attention(body.text, body.second)
            if asked.tokens > MOST_TOKENS_SEEN:
                raise Refused(413, f"{asked.tokens} tokens; the attention of {MOST_TOKENS_SEEN} is shown at most")
            return [asked]

        texts = [body.text, body.second or ""]
        served, (found,) = await asker.ask(request, body.model, "attention", texts, make)
        shares = np.rint(found.shares * 255).astype(np.uint8)
        return json_response(
            {
                "model": served.name,
                "pieces": found.pieces,
                "second": found.second,
                "shape": shares.shape,
                "shares": base64.b64encode(shares.tobytes()).decode(),
            }
        )

    @router.get("/models", response_model=list[wire.Known])
    async def models() -> Response:
        """The models, what each can do, and its labels."""
        return json_response(
            [
                {
                    "name": served.name,
                    "can": sorted(served.abilities),
                    "task": served.asking.described.task,
                    "labels": served.predictor.labels,
                    "max_length": served.predictor.max_length,
                    "engine": served.predictor.runner.engine_told,
                }
                for served in asker.models.all()
            ]
        )

    return router


def _masks(found: list[Filled]) -> dict[str, Any]:
    return {
        "masks": [
            {
                "start": mask.start,
                "end": mask.end,
                "candidates": [{"word": each.word, "probability": each.probability} for each in mask.candidates],
            }
            for mask in found
        ]
    }


def _results(model: str, results: list[Any]) -> Response:
    return json_response({"model": model, "results": results})
