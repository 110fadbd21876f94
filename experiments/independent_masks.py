"""Masks are independent of each other: two hidden parts of one word, guessed together and one after the other.

    python experiments/independent_masks.py --data DIR --out DIR

BERT gives each [MASK] a distribution of its own, as if the other were not to be guessed too. Words of two pieces are
hidden whole in held-out text. Guessed together, each piece is the likeliest at its place; one after the other, the
first is filled in before the second is asked for. Told are how often the two ways disagree, how often what comes out
is a word that the training text has, how often it is the true one, and what the true word costs (-log p) when its
pieces are taken as independent, and by the chain rule in either order. Each seed draws other words.
"""

from __future__ import annotations

import argparse
from collections.abc import Iterator
from dataclasses import dataclass
from functools import partial
from itertools import pairwise
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn import functional

from bertwright.checkpoints.model_directory import read_model
from bertwright.errors import CorpusError
from bertwright.heads.model import Bert
from bertwright.shards.read import Shard, open_shards
from bertwright.tokens.vocabulary import Vocabulary
from bertwright.tokens.wordpiece import CONTINUATION
from lab.bench import Bench, Json, go, level, parser, share, show
from lab.corpus import shards
from lab.picture import drawing
from lab.pretraining import pretrained

# Tokens of a text around a hidden word, [CLS] and [SEP] included.
LENGTH = 64
WAYS = ("together", "left first", "right first")
_BATCH = 64


@dataclass(frozen=True)
class Hidden:
    """Texts with one word of two pieces each: ids (n, LENGTH), places (n,) of the first piece, pieces (n, 2)."""

    ids: Tensor
    places: Tensor
    pieces: Tensor


@dataclass(frozen=True)
class Guessed:
    """Guesses (n, 2) in three ways, and the cost of the true word (n,) as independent pieces and by the chain rule."""

    together: Tensor
    left_first: Tensor
    right_first: Tensor
    independent_cost: Tensor
    left_cost: Tensor
    right_cost: Tensor


def two_pieces(tokens: NDArray[np.int64], continues: NDArray[np.bool_]) -> NDArray[np.int64]:
    """Where words of exactly two pieces begin. tokens: ids in order; continues: by id, whether a piece goes on."""
    within = continues[tokens]
    after = np.append(within[1:], [False])
    later = np.append(within[2:], [False, False])
    return np.flatnonzero(~within & after & ~later)


def texts_with(shard: Shard, continues: NDArray[np.bool_]) -> Iterator[tuple[NDArray[np.int64], int]]:
    """Stretches of LENGTH - 2 tokens of one document, and the place of a word of two pieces in each."""
    bounds = shard.sentences[shard.documents]
    room = LENGTH - 2
    for begin, end in pairwise(bounds.tolist()):
        if end - begin < room:
            continue
        tokens = np.asarray(shard.tokens[begin:end], dtype=np.int64)
        for place in two_pieces(tokens, continues).tolist():
            start = min(max(place - room // 2, 0), end - begin - room)
            yield tokens[start : start + room], place - start


def drawn(shard_list: list[Shard], vocabulary: Vocabulary, count: int, seed: int) -> Hidden:
    """`count` words of the held-out text, others for each seed while there are enough."""
    continues = continuing(vocabulary)
    found = [each for shard in shard_list for each in texts_with(shard, continues)]
    if len(found) < count:
        raise CorpusError(
            f"{len(found):,} words of two pieces are held out, and {count:,} are wanted", cure="lower --words"
        )
    order = np.random.default_rng(0).permutation(len(found))
    chosen = [found[number] for number in np.roll(order, -seed * count)[:count]]
    ids = np.array([[vocabulary.cls_id, *text, vocabulary.sep_id] for text, _ in chosen])
    places = np.array([place + 1 for _, place in chosen])
    pieces = np.stack([ids[np.arange(len(ids)), places], ids[np.arange(len(ids)), places + 1]], axis=1)
    return Hidden(torch.from_numpy(ids), torch.from_numpy(places), torch.from_numpy(pieces))


def continuing(vocabulary: Vocabulary) -> NDArray[np.bool_]:
    """By id, whether a piece goes on with a word."""
    return np.array([token.startswith(CONTINUATION) for token in vocabulary.pieces])


def known_words(shard_list: list[Shard], vocabulary: Vocabulary) -> set[tuple[int, int]]:
    """All words of two pieces in a text."""
    found: set[tuple[int, int]] = set()
    for shard in shard_list:
        tokens = np.asarray(shard.tokens, dtype=np.int64)
        places = two_pieces(tokens, continuing(vocabulary))
        found.update(zip(tokens[places].tolist(), tokens[places + 1].tolist(), strict=True))
    return found


def guess(model: Bert, hidden: Hidden, mask_id: int) -> Guessed:
    """Guess both pieces together, the left one first, and the right one first."""
    rows = torch.arange(len(hidden.ids))
    masked = hidden.ids.clone()
    masked[rows, hidden.places] = masked[rows, hidden.places + 1] = mask_id
    left, right = _told(model, masked, hidden.places)

    def given(side: int, pieces: Tensor) -> Tensor:
        """What is told of the other piece once one is filled in."""
        filled = masked.clone()
        filled[rows, hidden.places + side] = pieces
        return _told(model, filled, hidden.places)[1 - side]

    first, second = left.argmax(1), right.argmax(1)
    truth = hidden.pieces

    def cost(told: Tensor, side: int) -> Tensor:
        return -told.gather(1, truth[:, side : side + 1])[:, 0]

    return Guessed(
        together=torch.stack([first, second], 1),
        left_first=torch.stack([first, given(0, first).argmax(1)], 1),
        right_first=torch.stack([given(1, second).argmax(1), second], 1),
        independent_cost=cost(left, 0) + cost(right, 1),
        left_cost=cost(left, 0) + cost(given(0, truth[:, 0]), 1),
        right_cost=cost(right, 1) + cost(given(1, truth[:, 1]), 0),
    )


def _told(model: Bert, ids: Tensor, places: Tensor) -> tuple[Tensor, Tensor]:
    """Log probabilities at each place and the one after it: two of (n, vocabulary)."""
    found = []
    with torch.no_grad():
        for part, where in zip(ids.split(_BATCH), places.split(_BATCH), strict=True):
            wanted = torch.stack([where, where + 1], dim=1)
            hidden = model.encoder(part, wanted=wanted).hidden
            scores = model.word_scores(hidden.flatten(0, 1)).float()
            found.append(functional.log_softmax(scores, dim=-1).view(len(part), 2, -1))
    both = torch.cat(found)
    return both[:, 0], both[:, 1]


def figures(guessed: Guessed, truth: Tensor, known: set[tuple[int, int]]) -> Json:
    """Shares of the words, and mean costs."""

    def exists(pieces: Tensor) -> float:
        return sum((int(one), int(other)) in known for one, other in pieces) / len(pieces)

    def same(one: Tensor, other: Tensor) -> float:
        return float((one == other).all(dim=1).float().mean())

    ways = {
        "together": (guessed.together, guessed.independent_cost),
        "left first": (guessed.left_first, guessed.left_cost),
        "right first": (guessed.right_first, guessed.right_cost),
    }
    return {
        "left first differs": 1 - same(guessed.together, guessed.left_first),
        "right first differs": 1 - same(guessed.together, guessed.right_first),
        "the two orders differ": 1 - same(guessed.left_first, guessed.right_first),
    } | {
        name: {"is a word": exists(pieces), "is right": same(pieces, truth), "cost": float(cost.mean())}
        for name, (pieces, cost) in ways.items()
    }


def experiment(bench: Bench, words: int) -> None:
    count = 20 if bench.quick else words
    data = shards(bench)
    opened = open_shards(data)
    vocabulary = opened.tokenizer.vocabulary

    def run(seed: int) -> Json:
        loaded = read_model(pretrained(bench, {}, data))
        hidden = drawn(list(opened.shards("held_out")), vocabulary, count, seed)
        known = known_words(list(opened.shards("train")), vocabulary)
        return figures(guess(loaded.model.eval(), hidden, vocabulary.mask_id), hidden.pieces, known)

    settings = {"steps": bench.steps, "words": count}
    runs = [bench.once(f"words/{seed}", settings, partial(run, seed)) for seed in range(bench.seeds)]
    table = [
        {
            "guessed": way,
            "differs from together": share(run[f"{way} differs"] for run in runs) if way != "together" else "",
            "is a word": share(run[way]["is a word"] for run in runs),
            "is right": share(run[way]["is right"] for run in runs),
            "cost of the true word": level([run[way]["cost"] for run in runs]),
            "cost saved": level([run["together"]["cost"] - run[way]["cost"] for run in runs], 4)
            if way != "together"
            else "",
        }
        for way in WAYS
    ]
    bench.finish(table, the_two_orders_differ=share(run["the two orders differ"] for run in runs))
    show(table)
    draw(bench, table, count)


def draw(bench: Bench, table: list[Json], count: int) -> None:
    with drawing(bench.picture, 9, 3.4) as figure:
        left, right = figure.subplots(1, 2, width_ratios=(2, 1))
        for number, what in enumerate(("differs from together", "is a word", "is right")):
            rows = [(place, row[what]) for place, row in enumerate(table) if row[what]]
            bars(left, [place + 0.27 * (number - 1) for place, _ in rows], [value for _, value in rows], what)
        left.set_xticks(range(len(table)), [row["guessed"] for row in table])
        left.set_ylabel("% of hidden words")
        left.set_ylim(bottom=0)
        left.legend(fontsize="small")
        bars(right, [0, 1], [row["cost saved"] for row in table[1:]], None)
        right.axhline(0, color="grey", linewidth=1)
        right.set_xticks(range(2), [row["guessed"] for row in table[1:]])
        right.set_xlim(-0.6, 1.6)
        right.set_title("-log p saved beside together", fontsize="medium")
        figure.supxlabel(f"means and 95% intervals over {bench.seeds} draws of {count} words", fontsize=9)


def bars(axis: Any, places: list[float], values: list[Json], label: str | None) -> None:
    means = [value["mean"] for value in values]
    reach = [[value["mean"] - value["low"] for value in values], [value["high"] - value["mean"] for value in values]]
    axis.bar(places, means, 0.25, yerr=reach, capsize=3, label=label)


if __name__ == "__main__":
    parsed = parser(__doc__)
    parsed.add_argument("--words", type=int, default=500, help="hidden words of each seed")
    arguments: argparse.Namespace = parsed.parse_args()
    go("independent_masks", arguments, lambda bench: experiment(bench, arguments.words))
