"""Which score should a vocabulary be learned by: how often a pair occurs, or how much likelier it is than its parts?

    python benchmarks/fertility.py CORPUS... --size 8000
    python benchmarks/fertility.py CORPUS... --json

Learns three vocabularies from four documents in five, and spells the words of the fifth with each: by frequency (ours),
by the likelihood score of Schuster and Nakajima 2012 (pair count over the product of its parts' counts, for pairs seen
often enough), and by the trainer of `tokenizers`. Fertility is pieces a word; less is better, as is more whole words.
"""

from __future__ import annotations

import argparse
import json
import platform
import sys
import time
from collections import Counter
from collections.abc import Mapping
from typing import Any

import numpy as np
from tokenizers import Tokenizer as Peer
from tokenizers import models, pre_tokenizers, trainers

from bertwright.shards.write import belongs_to_held_out
from bertwright.text.documents import read_documents
from bertwright.text.duplicates import text_digest
from bertwright.tokens import learn
from bertwright.tokens.vocabulary import SPECIALS, Vocabulary
from bertwright.tokens.wordpiece import WordPiece
from bertwright.tokens.words import count_words

# Pairs joined between two rankings of all pairs: a ranking costs as much as hundreds of joins.
JOINED_AT_ONCE = 16


def words_of(sources: list[str]) -> tuple[Counter[str], Counter[str]]:
    """Counts of words to learn from, and of those kept aside by document."""
    parts: tuple[list[str], list[str]] = ([], [])
    for document in read_documents(sources):
        parts[belongs_to_held_out(text_digest(document.paragraphs), 0.2)].extend(document.paragraphs)
    return count_words(parts[0]), count_words(parts[1])


class ByLikelihood(learn._Merging):
    """Joins the pair whose count is largest beside the product of its parts' counts."""

    def __init__(self, words: Mapping[str, int], min_frequency: int) -> None:
        super().__init__(words.items())
        self._min_frequency = min_frequency
        self._ranked: list[tuple[int, int]] = []

    def join_next(self) -> str | None:
        while True:
            if not self._ranked:
                self._rank()
                if not self._ranked:
                    return None
            pair = self._ranked.pop()
            if self._pairs.get(pair, 0) >= self._min_frequency:
                piece = self._texts[pair[0]] + self._texts[pair[1]].removeprefix("##")
                self._join(pair, self._symbol(piece))
                return piece

    def _rank(self) -> None:
        of_symbol = np.zeros(len(self._texts))
        for symbols, count in zip(self._words, self._counts, strict=True):
            for symbol in symbols:
                of_symbol[symbol] += count
        pairs = np.array([pair for pair, count in self._pairs.items() if count >= self._min_frequency])
        if not len(pairs):
            return
        counts = np.array([count for count in self._pairs.values() if count >= self._min_frequency])
        scores = counts / (of_symbol[pairs[:, 0]] * of_symbol[pairs[:, 1]])
        order = np.lexsort((pairs[:, 1], pairs[:, 0], scores))[-JOINED_AT_ONCE:]
        self._ranked = [(int(a), int(b)) for a, b in pairs[order]]


def by_likelihood(words: Mapping[str, int], alphabet: list[str], size: int, min_frequency: int) -> Vocabulary:
    known = {piece.removeprefix("##") for piece in alphabet}
    merging = ByLikelihood(
        {word: count for word, count in words.items() if 1 < len(word) <= 200 and known.issuperset(word)}, min_frequency
    )
    pieces = dict.fromkeys([*SPECIALS, *alphabet])
    while len(pieces) < size and (piece := merging.join_next()) is not None:
        pieces.setdefault(piece)
    return Vocabulary(tuple(pieces))


def by_peer(words: Mapping[str, int], size: int) -> Vocabulary:
    peer = Peer(models.WordPiece(unk_token="[UNK]"))
    peer.pre_tokenizer = pre_tokenizers.WhitespaceSplit()
    trainer = trainers.WordPieceTrainer(
        vocab_size=size, special_tokens=list(SPECIALS), limit_alphabet=1000, show_progress=False
    )
    # The trainer takes texts, not counts: each word as often as it stands there, in handfuls.
    peer.train_from_iterator((" ".join([word] * count) for word, count in words.items()), trainer)
    ids = peer.get_vocab()
    return Vocabulary(sorted(ids, key=ids.__getitem__))


def measured(vocabulary: Vocabulary, words: Mapping[str, int]) -> dict[str, float]:
    wordpiece = WordPiece(vocabulary.ids)
    total = pieces = whole = unknown = characters = 0
    for word, count in words.items():
        spelled = len(wordpiece.ids(word))
        total += count
        pieces += (spelled or 1) * count
        whole += (spelled == 1) * count
        unknown += (spelled == 0) * count
        characters += len(word) * count
    return {
        "fertility": pieces / total,
        "whole_words": whole / total,
        "unknown": unknown / total,
        "characters_a_piece": characters / pieces,
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("corpus", nargs="+", help="files or folders, as for bertwright vocab")
    parser.add_argument("--size", type=int, default=8000)
    parser.add_argument("--min-frequency", type=int, nargs="+", default=[5, 100], help="for the likelihood score")
    parser.add_argument("--json", action="store_true")
    arguments = parser.parse_args()
    words, aside = words_of(arguments.corpus)
    print(f"{words.total():,} words to learn from, {aside.total():,} to measure on", file=sys.stderr)
    begun = time.perf_counter()
    ours = learn.learn_vocabulary(words, arguments.size)
    contenders = {"frequency (bertwright)": (ours, time.perf_counter() - begun)}
    alphabet = learn._alphabet(words, learn._frequent_characters(words, 1000))
    for least in arguments.min_frequency:
        begun = time.perf_counter()
        found = by_likelihood(words, alphabet, arguments.size, least)
        contenders[f"likelihood, pairs seen {least} times"] = (found, time.perf_counter() - begun)
    begun = time.perf_counter()
    contenders["frequency (tokenizers)"] = (by_peer(words, arguments.size), time.perf_counter() - begun)
    rows: list[dict[str, Any]] = [
        {"name": name, "pieces": len(vocabulary), "seconds": round(seconds, 1), **measured(vocabulary, aside)}
        for name, (vocabulary, seconds) in contenders.items()
    ]
    if arguments.json:
        peers = [row["fertility"] for row in rows[1:]]
        print(
            json.dumps(
                {
                    "machine": platform.machine(),
                    "rows": [
                        {
                            "name": "pieces a word, unseen documents",
                            "peer": min(peers),
                            "ours": rows[0]["fertility"],
                            "unit": "pieces/word",
                            "ratio": round(min(peers) / rows[0]["fertility"], 3),
                        }
                    ],
                    "all": rows,
                }
            )
        )
        return
    print(f"{'':<34} {'pieces':>7} {'seconds':>8} {'pieces/word':>12} {'whole words':>12} {'[UNK]':>8}")
    for row in rows:
        print(
            f"{row['name']:<34} {row['pieces']:>7,} {row['seconds']:>8} {row['fertility']:>12.3f} "
            f"{row['whole_words']:>12.1%} {row['unknown']:>8.3%}"
        )


if __name__ == "__main__":
    main()
