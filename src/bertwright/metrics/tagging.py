"""Scores of a tagger over the entities that its tags make up, as seqeval and conlleval.pl count them.

A tag is a mark and a kind: B-PER begins an entity, I-PER goes on with it, E-PER ends it, S-PER is one by itself, O is
none. Reading is lenient (seqeval's default mode): an I-PER with nothing before it to go on with begins an entity too.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from typing import NamedTuple

from bertwright.metrics.classification import ClassScore, class_score


class Entity(NamedTuple):
    """The words start..end of a sentence, `end` not included, and what they are."""

    kind: str
    start: int
    end: int


def entities(tags: Sequence[str]) -> list[Entity]:
    """The entities of one sentence, in order; "_" is the kind of a tag without one, such as a bare B."""
    found: list[Entity] = []
    start, mark, kind = 0, "O", ""
    for place, tag in enumerate([*tags, "O"]):
        next_mark, next_kind = tag[0], _kind(tag)
        changes = kind != next_kind
        if mark in "ES" or (mark in "BI" and next_mark in "BSO") or (mark != "O" and changes):
            found.append(Entity(kind, start, place))
        if next_mark in "BS" or (mark in "OES" and next_mark in "IE") or (next_mark != "O" and changes):
            start = place
        mark, kind = next_mark, next_kind
    return found


def tagging_scores(
    gold: Sequence[Sequence[str]], predicted: Sequence[Sequence[str]], missed: Sequence[str] = ()
) -> dict[str, float]:
    """precision, recall and f1 over all entities, and accuracy over words, of sentences with at least one word.

    An entity is right when its kind and both its ends are. As in seqeval with zero_division=0, a share of nothing is 0:
    a text without entities in which none were found gets 0, not 1. missed: the kinds of gold entities beside the tags.
    """
    counts = _counts(gold, predicted, missed).values()
    score = class_score(*(sum(column) for column in zip(_Count(0, 0, 0), *counts, strict=True)))
    right = [one == other for of, to in zip(gold, predicted, strict=True) for one, other in zip(of, to, strict=True)]
    return {
        "precision": score.precision,
        "recall": score.recall,
        "f1": score.f1,
        "accuracy": sum(right) / len(right),
    }


def kind_scores(
    gold: Sequence[Sequence[str]], predicted: Sequence[Sequence[str]], missed: Sequence[str] = ()
) -> dict[str, ClassScore]:
    """One score for each kind that occurs in the gold or the predictions, in the order of the alphabet."""
    counts = _counts(gold, predicted, missed)
    return {kind: class_score(*counts[kind]) for kind in sorted(counts)}


def _kind(tag: str) -> str:
    """What stands after the first hyphen that follows the mark, so that kinds may have hyphens of their own."""
    head, hyphen, tail = tag[1:].partition("-")
    return (tail if hyphen else head) or "_"


class _Count(NamedTuple):
    hits: int
    gold: int
    predicted: int


def _counts(
    gold: Sequence[Sequence[str]], predicted: Sequence[Sequence[str]], missed: Sequence[str]
) -> dict[str, _Count]:
    hits, in_gold, in_predicted = Counter[str](), Counter(missed), Counter[str]()
    for gold_tags, predicted_tags in zip(gold, predicted, strict=True):
        wanted, got = set(entities(gold_tags)), set(entities(predicted_tags))
        hits.update(entity.kind for entity in wanted & got)
        in_gold.update(entity.kind for entity in wanted)
        in_predicted.update(entity.kind for entity in got)
    return {kind: _Count(hits[kind], in_gold[kind], in_predicted[kind]) for kind in in_gold | in_predicted}
