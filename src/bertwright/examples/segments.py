"""Pairs of segments for next-sentence prediction, drawn for a whole shard at once.

What the original `create_instances_from_document` does sentence by sentence, this does for all documents of a shard in
step: step k makes the k-th example of every document that has text left. The rules are the original's:

- sentences are taken until the target length is reached; the target is the full length, or at times a shorter one;
- the text is cut at a random sentence boundary into A and B; a negative's B comes from another document, and the
  sentences it displaces are used by the next example;
- a pair that is too long loses tokens of its longer side, each from the front or the back with equal chance. With
  `too_long = "carry"` it ends at the limit instead, and the next example goes on from there: nothing is lost.

Three things differ, and docs/decisions/0003-next-sentence.md says why: labels are dealt in pairs, so that they are
balanced exactly; a single sentence is cut inside, so that it can be a positive too; and a negative's B is about as long
as the true one would have been, so that length gives little hint.
"""

from __future__ import annotations

from dataclasses import dataclass, fields
from typing import TYPE_CHECKING

import numpy as np

from bertwright.randomness import Stream, scale

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from bertwright.examples.settings import ExampleSettings
    from bertwright.shards.read import Shard


@dataclass(frozen=True, slots=True)
class SegmentPairs:
    """Segment pairs of one shard in one epoch; each field is (pairs,) and positions are token offsets in the shard."""

    a_start: NDArray[np.int64]
    a_length: NDArray[np.int64]
    b_start: NDArray[np.int64]
    b_length: NDArray[np.int64]
    is_next: NDArray[np.bool_]
    # Documents that A and B stand in, and the tokens that truncation cut away: for tests and reports.
    a_document: NDArray[np.int64]
    b_document: NDArray[np.int64]
    truncated: NDArray[np.int64]

    def __len__(self) -> int:
        return len(self.a_start)

    def take(self, rows: NDArray[np.int64]) -> SegmentPairs:
        """The pairs at `rows`."""
        return SegmentPairs(*(getattr(self, field.name)[rows] for field in fields(self)))


def draw_pairs(
    shard: Shard, settings: ExampleSettings, *, seed: int, epoch: int, number: int, window: int = 0, first: int = 0
) -> SegmentPairs:
    """Draw all pairs of shard `number` for one epoch; the shard holds two documents or more.

    `window` names the shards whose labels are balanced together, and `first` counts their pairs before this shard's.
    """
    stream = Stream(seed, "segments", epoch, number)
    labels = Stream(seed, "labels", epoch, window)
    # Token at which each document goes on, and the one past its end.
    cursor = shard.sentences[shard.documents[:-1]]
    end = shard.sentences[shard.documents[1:]]
    steps: list[SegmentPairs] = []
    live = np.flatnonzero(cursor < end)
    while len(live):
        counter = (live.astype(np.uint64) << np.uint64(32)) | np.uint64(len(steps))
        pairs, following = _step(shard, settings, stream, labels, counter, live, cursor[live], first)
        steps.append(pairs)
        first += len(pairs)
        cursor[live] = following
        live = live[following < end[live]]
    return SegmentPairs(*(np.concatenate([getattr(s, f.name) for s in steps]) for f in fields(SegmentPairs)))


class _Lane:
    """Lanes of the stream, far apart because a trim takes several.

    LENGTHS gives three numbers of 32 bits (is it short, its target, its cut), OTHER two of 64 (document and sentence of
    a false B).
    """

    LENGTHS, OTHER, TRIM_A, TRIM_B = (lane << 32 for lane in range(4))


def _step(  # the state of one walk; a class around one function would only hide it
    shard: Shard,
    settings: ExampleSettings,
    stream: Stream,
    labels: Stream,
    counter: NDArray[np.uint64],
    live: NDArray[np.int64],
    begin: NDArray[np.int64],
    first: int,
) -> tuple[SegmentPairs, NDArray[np.int64]]:
    """One pair for each `live` document, from token `begin` on; returns them and the tokens at which to go on."""
    starts, maximum = shard.sentences, settings.max_tokens
    random = stream.words(counter, _Lane.LENGTHS) << np.uint64(32)
    is_short = random[:, 0] >> np.uint64(32) < np.uint64(settings.short_fraction * 2**32)
    target = np.where(is_short, 2 + scale(random[:, 1], maximum - 1), maximum)
    last = np.minimum(np.searchsorted(starts, begin + target), shard.documents[live + 1])
    end = starts[last]
    if settings.segments == "none":
        end = np.minimum(end, begin + maximum)
        return _running_text(live, begin, end), end
    if settings.segments == "sentence_order":
        # A part that ends inside a sentence would tell where it stood: what does not fit whole is the next example's.
        fitting = np.searchsorted(starts, begin + maximum, side="right") - 1
        last = np.where((end - begin > maximum) & (starts[fitting] > begin), fitting, last)
        end = starts[last]
    document_end = starts[shard.documents[live + 1]]
    carries = settings.too_long == "carry"
    clipped = carries & (end - begin > maximum)
    if carries:
        end = np.where(clipped, begin + maximum, end)
        # A single token left to the next example could be in no pair.
        alone = document_end - end == 1
        end = np.where(alone, np.where(end - begin < maximum, document_end, end - 1), end)

    # A single token cannot be cut in two. It is passed over, and the report counts it.
    usable = end - begin > 1
    label = _deal_labels(labels, usable, first)

    # Boundaries strictly inside the text; where there is none, a lone sentence is cut at any of its tokens.
    inner = np.searchsorted(starts, begin, side="right")
    boundaries = np.searchsorted(starts, end) - inner
    lone = boundaries == 0
    choice = scale(random[:, 2], np.where(lone, np.maximum(end - begin - 1, 1), boundaries))
    cut = np.where(lone, begin + 1 + choice, starts[np.minimum(inner + choice, last)])
    rest = end - cut
    if settings.segments == "sentence_order":
        return _ordered_pairs(label, live, begin, cut, end).take(np.flatnonzero(usable)), end
    if carries:
        # Nor could it where a negative gives it back: A takes it too, or leaves it a neighbour where B needs the room.
        alone = ~label & (document_end - cut == 1)
        cut = np.where(alone, np.where(end - begin < maximum, end, cut - 1), cut)

    other, other_begin, other_end = _false_b(shard, stream, counter, live, rest, maximum - (cut - begin), lone, clipped)

    a_length, b_length = cut - begin, np.where(label, rest, other_end - other_begin)
    if carries:
        a_kept, b_kept = a_length, np.minimum(b_length, maximum - a_length)
    else:
        a_kept, b_kept = truncated_lengths(a_length, b_length, maximum)
    a_lost, b_lost = a_length - a_kept, b_length - b_kept
    # What is carried over is cut at its end, so that a true B begins where A ends.
    b_front = np.zeros_like(b_lost) if carries else _heads(stream, b_lost, counter, _Lane.TRIM_B)
    pairs = SegmentPairs(
        a_start=begin + _heads(stream, a_lost, counter, _Lane.TRIM_A),
        a_length=a_kept,
        b_start=np.where(label, cut, other_begin) + b_front,
        b_length=b_kept,
        is_next=label,
        a_document=live,
        b_document=np.where(label, live, other),
        truncated=a_lost + np.where(label, b_lost, 0),
    )
    # A negative gives the text that it displaced back to its document.
    return pairs.take(np.flatnonzero(usable)), np.where(usable & ~label, cut, end)


def _running_text(live: NDArray[np.int64], begin: NDArray[np.int64], end: NDArray[np.int64]) -> SegmentPairs:
    """The text between `begin` and `end` as A, and no B."""
    nothing = np.zeros_like(begin)
    return SegmentPairs(
        a_start=begin,
        a_length=end - begin,
        b_start=end,
        b_length=nothing,
        is_next=np.zeros(len(begin), dtype=bool),
        a_document=live,
        b_document=live,
        truncated=nothing,
    )


def _ordered_pairs(
    label: NDArray[np.bool_],
    live: NDArray[np.int64],
    begin: NDArray[np.int64],
    cut: NDArray[np.int64],
    end: NDArray[np.int64],
) -> SegmentPairs:
    """Both parts of the text between `begin` and `end`, in their order where `label` is true, else the other way."""
    return SegmentPairs(
        a_start=np.where(label, begin, cut),
        a_length=np.where(label, cut - begin, end - cut),
        b_start=np.where(label, cut, begin),
        b_length=np.where(label, end - cut, cut - begin),
        is_next=label,
        a_document=live,
        b_document=live,
        truncated=np.zeros_like(begin),
    )


def _false_b(
    shard: Shard,
    stream: Stream,
    counter: NDArray[np.uint64],
    live: NDArray[np.int64],
    rest: NDArray[np.int64],
    room: NDArray[np.int64],
    lone: NDArray[np.bool_],
    clipped: NDArray[np.bool_],
) -> tuple[NDArray[np.int64], NDArray[np.int64], NDArray[np.int64]]:
    """For each pair a B from another document: the document, and the tokens between which it stands.

    The document is drawn by its length, as the documents of A come up; then a sentence of it, early enough for `rest`
    tokens where the document has them. B ends at the sentence end nearest to that, but fills the `room` left by A where
    the true B does. Where the true B is the end of a sentence cut inside, so is the false one; where it is `clipped` at
    the limit, the false one is exactly as long, and begins inside a sentence if it does.
    """
    starts, bounds = shard.sentences, shard.sentences[shard.documents]
    own = bounds[live + 1] - bounds[live]
    random = stream.words(counter, _Lane.OTHER)
    wide = random[:, 0::2] << np.uint64(32) | random[:, 1::2]
    token = scale(wide[:, 0], bounds[-1] - own)
    token += np.where(token >= bounds[live], own, 0)
    other = np.searchsorted(bounds, token, side="right") - 1
    first = shard.documents[other]
    latest = np.maximum(bounds[other + 1] - np.maximum(rest, 1), bounds[other])
    choices = np.searchsorted(starts, latest, side="right") - first
    sentence = first + scale(wide[:, 1], choices)

    begin = starts[sentence]
    over = np.minimum(np.searchsorted(starts, begin + rest), shard.documents[other + 1])
    under = starts[over - 1]
    nearer = (under > begin) & (begin + rest - under < starts[over] - begin - rest)
    nearer &= (rest < room) | (under - begin >= room)
    end = np.where(lone, starts[sentence + 1], np.where(nearer, under, starts[over]))
    begin = np.where(lone, np.maximum(begin, end - rest), begin)
    begin = np.where(clipped & lone, np.minimum(token, latest), begin)
    return other, begin, np.where(clipped, np.minimum(begin + rest, bounds[other + 1]), end)


def _deal_labels(labels: Stream, usable: NDArray[np.bool_], first: int) -> NDArray[np.bool_]:
    """True for IsNext: of pairs number 2j and 2j + 1 exactly one, by the toss of a coin."""
    number = first + np.cumsum(usable) - usable
    coin = number // 2
    # 128 coins in one block of the stream.
    block = coin // 128
    known = labels.words(np.arange(block[0], block[-1] + 1))
    coins = known[block - block[0], coin // 32 % 4] >> (coin % 32).astype(np.uint64) & np.uint64(1)
    return (coins.astype(np.int64) ^ (number % 2)).astype(bool)


def truncated_lengths(
    a: NDArray[np.int64], b: NDArray[np.int64], maximum: int
) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Lengths after tokens were taken from the longer side (B where equal) until both fit `maximum` together.

    The closed form of the original's `truncate_seq_pair` loop.
    """
    half = maximum // 2
    over = a + b > maximum
    # A short side keeps all it has and leaves the rest to the other; two long sides share.
    a_kept = np.where(a <= maximum - half, a, np.maximum(maximum - b, maximum - half))
    a_kept = np.where(over, a_kept, a)
    return a_kept, np.where(over, maximum - a_kept, b)


def _heads(stream: Stream, tosses: NDArray[np.int64], counter: NDArray[np.uint64], lane: int) -> NDArray[np.int64]:
    """Heads among `tosses` fair coins, for each counter: set bits of as many random bits."""
    heads = np.zeros(len(tosses), dtype=np.int64)
    for word in range(-(-int(tosses.max(initial=0)) // 32)):
        bits = np.clip(tosses - 32 * word, 0, 32).astype(np.uint64)
        mask = (np.uint64(1) << bits) - np.uint64(1)
        random = stream.words(counter, lane + word // 4)[:, word % 4]
        heads += np.bitwise_count(random & mask)
    return heads
