"""The task that a model directory was made for, made again from what it says of itself."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, Protocol, get_args

from bertwright.batches.windows import Lengths
from bertwright.checkpoints.configuration import CHOICE
from bertwright.checkpoints.record import RECORD
from bertwright.encoder.config import EncoderConfig
from bertwright.errors import ModelError, SettingsError
from bertwright.heads.embed import Pooling
from bertwright.tasks.answer import BEST, LONGEST_ANSWER, AnswerTask, MetricName
from bertwright.tasks.classify import Classify
from bertwright.tasks.embed import Embed
from bertwright.tasks.multilabel import Multilabel
from bertwright.tasks.regress import Regress
from bertwright.tasks.rows import LABEL_COLUMN, columns_of
from bertwright.tasks.tag import Tag, one_column
from bertwright.tasks.task import Task
from bertwright.text.documents import OnError
from bertwright.tokens.tokenizer import Tokenizer


class Described(Protocol):
    """What a directory says of a model, whatever the model lies in there: `LoadedModel` or `GraphDirectory`."""

    @property
    def path(self) -> Path: ...
    @property
    def task(self) -> str: ...
    @property
    def labels(self) -> tuple[str, ...]: ...
    @property
    def record(self) -> dict[str, Any]: ...
    @property
    def tokenizer(self) -> Tokenizer: ...
    @property
    def unused(self) -> tuple[str, ...]: ...
    @property
    def config(self) -> EncoderConfig: ...
    @property
    def longest(self) -> int: ...
    @property
    def lstm(self) -> int: ...


def task_of(
    loaded: Described,
    *,
    text_columns: Sequence[str] | None = None,
    label_column: str | None = None,
    row: Mapping[str, Any] | None = None,
    on_error: OnError = "stop",
    null_threshold: float | None = None,
) -> Task[Any, Any]:
    """The task of a model. Raises ModelError where it has none.

    Columns that are not named are those of its training, else the usual ones. A foreign model does not say whether it
    reads one text or two, and none says whether the pairs of a file
    have scores: the columns of `row` do. on_error: what `answer` does with questions that cannot be read.
    null_threshold: the odds above which `answer` gives none; None: those of its training.
    """
    if loaded.task == "answer":
        if text_columns or label_column:
            raise SettingsError("`answer` reads `question`, `context` and `answers`", cure="name no columns")
        return _answering(loaded, on_error, null_threshold)
    if null_threshold is not None:
        raise SettingsError("--null-threshold is for `answer`", cure="leave it out")
    if on_error == "skip":
        raise SettingsError("--on-error skip is for `answer`", cure="correct or remove the rows that cannot be read")
    record = loaded.record if loaded.record.get("task") == loaded.task else {}
    known = record.get("columns", {})
    name, labels = loaded.task, loaded.labels
    if name == "classify" and not record and row is not None and "text_a" in row and "text" not in row:
        name = "pair"
    if name in ("classify", "pair", "multilabel", "regress"):
        columns = columns_of(name, text_columns, model=known, row=row)
        about: dict[str, Any] = {
            "columns": columns,
            "label_column": label_column or known.get("label") or LABEL_COLUMN[name],
            "lengths": lengths_of(loaded),
        }
        if name == "multilabel":
            return Multilabel(labels=labels, threshold=_number(loaded, "threshold", 0.5), **about)
        if name == "regress":
            return Regress(**about)
        return Classify(
            name,
            labels=labels,
            temperature=_number(loaded, "temperature", 1.0, above=0.0),
            abstain_below=_number(loaded, "abstain_below", 0.0),
            **about,
        )
    if name == "embed":
        # A vector takes one text: only learning and scoring want pairs.
        one = text_columns if text_columns is not None and len(text_columns) == 1 else None
        scores = LABEL_COLUMN[name]
        return Embed(
            columns=one or columns_of(name, text_columns, model=known),
            named=bool(text_columns),
            label_column=label_column or known.get("label") or (scores if row is not None and scores in row else None),
            lengths=whole_texts(lengths_of(loaded)),
            pooling=pooling_of(loaded),
            normalize=normalizes(loaded),
            top=_number(loaded, "similar_score", 1.0, above=0.0),
        )
    if name == "tag":
        return Tag(
            labels=labels,
            lengths=lengths_of(loaded),
            words_column=one_column(text_columns),
            tags_column=label_column,
            trained_columns=(one_column(known.get("texts")), known.get("label")),
            lstm=loaded.lstm,
            foreign=not record,
        )
    if name == CHOICE:
        what = "chooses between texts, which has no rows of its own here"
        raise ModelError(what, where=loaded.path, cure='in Python: bertwright.load(...).choose("text", ["one", "two"])')
    cure = "fine-tune one with: bertwright finetune MODEL --task classify"
    raise ModelError("has no head for a task", where=loaded.path, cure=cure)


def _answering(loaded: Described, on_error: OnError, threshold: float | None) -> AnswerTask:
    """A foreign model does not say whether it may answer "": without a threshold it always gives a span."""
    metric = loaded.record.get("metric", "auto")
    if threshold is None and loaded.record.get("null_threshold") is not None:
        threshold = _number(loaded, "null_threshold", 0.0, least=-math.inf)
    elif threshold is not None and not math.isfinite(threshold):
        raise SettingsError(f"`null_threshold` is {threshold}, not a finite number", cure="as in --null-threshold 0")
    return AnswerTask(
        lengths=lengths_of(loaded),
        metric=metric if metric in get_args(MetricName) else "auto",
        longest=int(_number(loaded, "max_answer_tokens", LONGEST_ANSWER, least=1)),
        best=int(_number(loaded, "best_size", BEST, least=1)),
        null_threshold=threshold,
        on_error=on_error,
    )


def lengths_of(loaded: Described) -> Lengths:
    """How texts are cut for a model: as in its training."""
    longest = loaded.longest
    overlap = int(_number(loaded, "overlap", longest // 4))
    # Null where a text may have any number.
    most = None if loaded.record.get("max_windows", 0) is None else int(_number(loaded, "max_windows", 16, least=1))
    return Lengths(max_length=longest, overlap=min(overlap, longest // 2), most=most)


def whole_texts(lengths: Lengths) -> Lengths:
    """The same for vectors: while a model learns, windows of a text are limited, and what it makes of one is not."""
    return replace(lengths, most=None)


def pooling_of(loaded: Described) -> Pooling:
    """How a text's vector is made: as the model was trained, else the mean."""
    return "cls" if loaded.record.get("pooling") == "cls" else "mean"


def normalizes(loaded: Described) -> bool:
    """Whether a text's vector has the length 1: as sentence-transformers' files say of theirs."""
    return loaded.record.get("normalize") is True


def _number(loaded: Described, name: str, usual: float, *, least: float = 0.0, above: float = -math.inf) -> float:
    """A number of bertwright.json, the usual one where it has none or null.

    Raises ModelError where it is none, not finite, less than `least` or not more than `above`.
    """
    value = loaded.record.get(name)
    if value is None:
        return usual
    number = isinstance(value, int | float) and not isinstance(value, bool)
    if not (number and math.isfinite(value) and value >= least and value > above):
        cure = "remove the file to use the model as one of unknown origin"
        raise ModelError(f"`{name}` is {value!r}, which no command writes", where=loaded.path / RECORD, cure=cure)
    return value
