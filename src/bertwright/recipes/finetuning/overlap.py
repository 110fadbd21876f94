"""Rows that stand in the training file and in the dev file: what a model remembers is no sign of what it has learnt."""

from __future__ import annotations

import unicodedata
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

from bertwright.tasks.questions import Question
from bertwright.tasks.rows import Row
from bertwright.tasks.tagged_rows import TaggedRow


@dataclass(frozen=True, slots=True)
class Overlap:
    """What train and dev share. Texts are the same where they are so but for case, width (NFKC) and white space.

    shared: for each dev row, whether its texts stand in train. exact: how many of these to the letter. other_label: how
    many have in train only labels that are not theirs. repeated: training rows whose texts stand in an earlier one;
    disputed: training rows whose texts stand in train with another label.
    """

    shared: tuple[bool, ...]
    exact: int
    other_label: int
    repeated: int
    disputed: int

    @property
    def rows(self) -> int:
        """Dev rows whose texts stand in train."""
        return sum(self.shared)

    def kept(self, values: Sequence[Any]) -> list[Any]:
        """Of one value a dev row, those of the rows that are not in train."""
        return [value for value, shared in zip(values, self.shared, strict=True) if not shared]

    def record(self) -> dict[str, Any]:
        """As bertwright.json has it."""
        return {
            "rows": self.rows,
            "share_of_dev": self.rows / len(self.shared),
            "exact": self.exact,
            "other_label": self.other_label,
            "repeated_in_train": self.repeated,
            "disputed_in_train": self.disputed,
        }

    def told(self) -> Iterator[str]:
        """A sentence for each thing that was found."""
        if self.rows:
            label = f", with another label there: {self.other_label:,}" if self.other_label else ""
            yield f"dev rows that stand in train too: {self.rows:,} ({self.rows / len(self.shared):.1%}){label}"
        if self.repeated:
            label = f"; whose texts stand there with another label too: {self.disputed:,}" if self.disputed else ""
            yield f"training rows that repeat an earlier one: {self.repeated:,}{label}"


def overlap_of(train: Sequence[Any], dev: Sequence[Any]) -> Overlap:
    """Compare the rows of a task; dev holds at least one."""
    # Remembered, for words come again and again, and so does a text of which many questions are asked.
    plain = lru_cache(maxsize=4096)(_plain)
    known: dict[tuple[str, ...], Counter[Any]] = {}
    exactly = set()
    for row in train:
        texts = texts_of(row)
        exactly.add(texts)
        known.setdefault(tuple(map(plain, texts)), Counter())[label_of(row)] += 1
    shared, exact, other_label = [], 0, 0
    for row in dev:
        texts = texts_of(row)
        labels = known.get(tuple(map(plain, texts)))
        shared.append(labels is not None)
        exact += texts in exactly
        other_label += labels is not None and label_of(row) not in labels
    return Overlap(
        shared=tuple(shared),
        exact=exact,
        other_label=other_label,
        repeated=len(train) - len(known),
        disputed=sum(labels.total() for labels in known.values() if len(labels) > 1),
    )


def texts_of(row: Any) -> tuple[str, ...]:
    """All that a row gives to be read: its texts, its words, or the question and what it is asked of."""
    if isinstance(row, TaggedRow):
        return row.words
    if isinstance(row, Question):
        return (row.question, row.context)
    assert isinstance(row, Row)
    return row.texts


def label_of(row: Any) -> Any:
    """What a row is labelled with, to be compared: a class, labels in any order, a score, tags, or answers."""
    if isinstance(row, TaggedRow):
        return row.tags
    if isinstance(row, Question):
        return frozenset(answer.text for answer in row.answers)
    assert isinstance(row, Row)
    return row.label, None if row.labels is None else frozenset(row.labels), row.score


def _plain(text: str) -> str:
    return " ".join(unicodedata.normalize("NFKC", text).casefold().split())
