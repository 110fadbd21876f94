"""Labelled files and settings -> the task with its labels, and its rows."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from bertwright.batches.windows import Lengths
from bertwright.recipes.finetuning.settings import FinetuneSettings
from bertwright.tasks.answer import AnswerTask
from bertwright.tasks.classify import Classify, balanced_weights, labels_of
from bertwright.tasks.embed import Embed, refuse_outside
from bertwright.tasks.multilabel import Multilabel, all_labels, balanced_label_weights
from bertwright.tasks.regress import Regress, refuse_one_score, scale_of
from bertwright.tasks.rows import LABEL_COLUMN, columns_of, first_row, has_column, read_rows
from bertwright.tasks.tag import Tag, balanced_tag_weights, one_column, tag_labels, tell
from bertwright.tasks.tagged_rows import read_tagged
from bertwright.tasks.task import Task

TASKS = ("classify", "pair", "multilabel", "regress", "tag", "answer", "embed")


@dataclass(frozen=True, slots=True)
class Lesson:
    """A task that knows its labels, and the rows that it is to be learnt from and scored on."""

    task: Task[Any, Any]
    train: Sequence[Any]
    dev: Sequence[Any]


def assemble(
    name: str, train: Path, dev: Path, settings: FinetuneSettings, lengths: Lengths, say: Callable[[str], None]
) -> Lesson:
    """Read both files; the labels are those of the training rows. Raises RowError or SettingsError."""
    settings.refuse_foreign(name)
    if name == "tag":
        return _tagging(train, dev, settings, lengths, say)
    if name == "answer":
        return _answering(train, dev, settings, lengths, say)
    balanced = settings.class_weights == "balanced"
    label_column = settings.label_column or LABEL_COLUMN[name]
    first = first_row(train)
    columns = columns_of(name, settings.text_columns, row=first)
    about: dict[str, Any] = {"columns": columns, "label_column": label_column, "lengths": lengths}
    task: Task[Any, Any]
    if name == "multilabel":
        rows = read_rows(train, columns, label_column, "labels")
        labels = all_labels(rows)
        weights = balanced_label_weights(rows, labels) if balanced else None
        task = Multilabel(labels=labels, weights=weights, threshold=settings.threshold, **about)
    elif name == "regress":
        rows = read_rows(train, columns, label_column, "score")
        refuse_one_score(rows)
        mean, deviation = scale_of(rows)
        task = Regress(mean=mean, deviation=deviation, **about)
    elif name == "embed":
        # One row with a score is enough: those without are found then.
        scored = settings.label_column or (label_column if has_column(train, label_column) else None)
        task = Embed(
            columns=columns,
            label_column=scored,
            lengths=lengths,
            pooling=settings.pooling or "mean",
            normalize=settings.normalize is True,
            top=settings.similar_score,
            scale=settings.similarity_scale,
        )
        rows = task.read(train, say)
        dev_rows = task.read(dev, say)
        refuse_outside([*rows, *dev_rows], settings.similar_score)
        return Lesson(task, rows, dev_rows)
    else:
        rows = read_rows(train, columns, label_column, "class")
        labels = labels_of(rows)
        task = Classify(
            name,
            labels=labels,
            weights=balanced_weights(rows, labels) if balanced else None,
            smoothing=settings.label_smoothing,
            abstain_below=settings.abstain_below,
            calibrate=settings.calibrate,
            abstain_accuracy=settings.abstain_accuracy,
            **about,
        )
    return Lesson(task, rows, task.read(dev, say))


def _tagging(
    train: Path, dev: Path, settings: FinetuneSettings, lengths: Lengths, say: Callable[[str], None]
) -> Lesson:
    words_column = one_column(settings.text_columns)
    found = read_tagged(train, words_column=words_column, tags_column=settings.label_column)
    tell(found, train, say)
    labels = tag_labels(found.rows, train)
    task = Tag(
        labels=labels,
        lengths=lengths,
        words_column=words_column,
        tags_column=settings.label_column,
        weights=balanced_tag_weights(found.rows, labels) if settings.class_weights == "balanced" else None,
        smoothing=settings.label_smoothing,
        lstm=settings.lstm_size if settings.tag_features == "last-four" else 0,
    )
    return Lesson(task, found.rows, task.read(dev, say))


def _answering(
    train: Path, dev: Path, settings: FinetuneSettings, lengths: Lengths, say: Callable[[str], None]
) -> Lesson:
    task = AnswerTask(
        lengths=lengths,
        metric=settings.metric,
        longest=settings.max_answer_tokens,
        best=settings.best_size,
        on_error=settings.on_error,
    )
    rows = task.read(train, say)
    task = task.learning(rows, train)
    others = task.read(dev, say)
    impossible = sum(row.impossible for row in others)
    if impossible and task.null_threshold is None:
        say(f"{dev}: {impossible:,} questions have no answer, but all training questions have: all are answered")
    return Lesson(task, rows, others)
