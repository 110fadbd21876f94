"""What the original code would make of a corpus: its share of pairs whose B is the true next one.

A literal rendering of the walk of `create_instances_from_document` (google-research/bert,
create_pretraining_data.py) on lengths alone. A chunk of a single sentence is always a negative there, which is why the
share is below a half on most corpora, and 0 where every document is a sentence. Ours is dealt:
docs/decisions/0003-next-sentence.md.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence

import numpy as np

from bertwright.randomness import Stream

_DRAWN_AT_ONCE = 1 << 14


def original_next_share(
    documents: Iterable[Sequence[int]], *, max_length: int, short_fraction: float, seed: int = 0
) -> tuple[int, int]:
    """Pairs that the original would make, and how many of them are true next ones.

    documents: the lengths of the sentences of each, in tokens.
    """
    chances = _chances(Stream(seed, "original pairs"))
    pairs = following = 0
    for lengths in documents:
        maximum = max_length - 3
        target = maximum
        if next(chances) < short_fraction:
            target = 2 + int(next(chances) * (maximum - 1))
        chunk = size = place = 0
        while place < len(lengths):
            chunk += 1
            size += lengths[place]
            if place == len(lengths) - 1 or size >= target:
                first = 1 if chunk == 1 else 1 + int(next(chances) * (chunk - 1))
                pairs += 1
                if chunk == 1 or next(chances) < 0.5:
                    place -= chunk - first  # sentences that a negative displaces are used by the next pair
                else:
                    following += 1
                chunk = size = 0
            place += 1
    return pairs, following


def _chances(stream: Stream) -> Iterator[float]:
    first = 0
    while True:
        yield from stream.uniform(np.arange(first, first + _DRAWN_AT_ONCE)).tolist()
        first += _DRAWN_AT_ONCE
