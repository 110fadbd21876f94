"""A sample of documents by the lengths of their sentences, and the pretraining examples that it would become."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from bertwright.examples.original import original_next_share
from bertwright.examples.plan import ExamplePlan
from bertwright.examples.settings import ExampleSettings
from bertwright.recipes.doctor.measures import Pairs
from bertwright.shards.format import LONGEST_SENTENCE
from bertwright.shards.read import Shard

MOST_SENTENCES = 300_000


class PairSample:
    """Keeps documents of `MOST_SENTENCES` sentences together; which ones depends on their digests alone."""

    def __init__(self, most: int = MOST_SENTENCES) -> None:
        self._most = most
        self._limit = 1 << 64
        self._kept: list[tuple[int, NDArray[np.int32]]] = []
        self._sentences = 0

    def add(self, digest: int, lengths: NDArray[np.int64]) -> None:
        """Take in a document by the lengths of its sentences, none of them 0."""
        if digest >= self._limit or not len(lengths):
            return
        lengths = lengths[: self._most // 2]  # so that two documents always fit
        self._kept.append((digest, lengths.astype(np.int32)))
        self._sentences += len(lengths)
        while self._sentences > self._most:
            self._limit //= 2
            self._kept = [item for item in self._kept if item[0] < self._limit]
            self._sentences = sum(len(kept) for _, kept in self._kept)

    def pairs(self, settings: ExampleSettings, tokens: int) -> Pairs | None:
        """What pretraining would make of the sample, told for a corpus of so many tokens; None for fewer than two.

        `settings` are those of the paper's recipes.
        """
        if len(self._kept) < 2:
            return None
        shard = _shard([lengths for _, lengths in self._kept])
        report = ExamplePlan([shard], settings, seed=0).report(0)
        if not report.examples:
            return None
        packing = settings.replaced(["packed=true", "too_long=carry"])
        packed = ExamplePlan([shard], packing, seed=0).report(0)
        pairs, following = original_next_share(
            (lengths.tolist() for _, lengths in self._kept),
            max_length=settings.max_length,
            short_fraction=settings.short_fraction,
        )
        return Pairs(
            documents=len(self._kept),
            examples=round(report.examples * tokens / report.corpus_tokens),
            is_next=report.is_next / report.examples,
            original_is_next=following / pairs,
            fill=report.example_tokens / (report.examples * settings.max_length),
            lost=(report.truncated_tokens + report.single_tokens) / report.corpus_tokens,
            packed_examples=round(packed.examples * tokens / packed.corpus_tokens),
            packed_fill=packed.example_tokens / (packed.examples * settings.max_length),
        )


def _shard(documents: list[NDArray[np.int32]]) -> Shard:
    """The sample as `prepare` would store it, long sentences broken; its tokens are nowhere, for only places count."""
    counts = []
    lengths = []
    for natural in documents:
        pieces = -(-natural // LONGEST_SENTENCE)
        stored = np.full(int(pieces.sum()), LONGEST_SENTENCE, dtype=np.int64)
        stored[np.cumsum(pieces) - 1] = natural - LONGEST_SENTENCE * (pieces - 1)
        counts.append(len(stored))
        lengths.append(stored)
    sentences = np.concatenate([[0], np.cumsum(np.concatenate(lengths))])
    tokens = np.broadcast_to(np.uint16(0), (int(sentences[-1]),))
    words = np.empty(0, np.uint8)
    offsets = {"sentences": sentences, "documents": np.cumsum([0, *counts])}
    return Shard("sample", {"tokens": tokens, "words": words, **offsets})
