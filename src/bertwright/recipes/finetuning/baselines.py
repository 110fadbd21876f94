"""Scores on the dev rows that need no model: what any model must beat."""

from __future__ import annotations

from bertwright.recipes.finetuning.assembly import Lesson
from bertwright.tasks.classify import Classify, majority_accuracy


def baseline(lesson: Lesson) -> dict[str, float]:
    """Of always giving the most frequent label; empty where there is no such thing."""
    if isinstance(lesson.task, Classify):
        return {"majority_accuracy": majority_accuracy(lesson.train, lesson.dev)}
    return {}
