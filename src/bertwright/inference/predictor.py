"""A model directory ready to answer: raw text in, typed results out."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import IO, Any, overload

import numpy as np
import torch
from numpy.typing import NDArray

from bertwright.errors import RowError, SettingsError
from bertwright.heads.embed import Pooling
from bertwright.inference.asked import answered
from bertwright.inference.asking import Asking
from bertwright.inference.engines.engine import Streams
from bertwright.inference.opening import EngineName, open_runner
from bertwright.inference.results import Attention, Chosen, Filled
from bertwright.inference.runners import Runner
from bertwright.records import Record, read_records
from bertwright.tasks.answer import Answered
from bertwright.tasks.classify import Classified
from bertwright.tasks.multilabel import Labelled
from bertwright.tasks.questions import question_records
from bertwright.tasks.regress import Measured
from bertwright.tasks.tag import Tag, Tagged
from bertwright.tasks.tagged_rows import tagged_records

# Rows of a file in memory at once; enough to find neighbours of nearly the same length for a batch.
_ROWS_AT_ONCE = 1024


class Predictor:
    """One model for all that it can do; made by `load`."""

    def __init__(self, runner: Runner) -> None:
        described = runner.described
        self.path = described.path
        self.labels = described.labels
        self.record = described.record
        self.unused = described.unused
        self.tokenizer = described.tokenizer
        # Positions past the length of the training were never trained: texts are cut as they were in training.
        self.max_length = described.longest
        self.hidden_size = described.config.hidden_size
        self.asking = Asking(runner)
        self.runner = runner

    def fill(self, text: str, top: int = 5) -> list[Filled]:
        """The likeliest words for each `[MASK]` of a text.

        Raises ModelError where the model cannot, and RowError where the text has no [MASK] or does not fit.
        """
        return answered(self.asking.fill(text, top))

    def embed(
        self,
        texts: Iterable[str],
        pooling: Pooling | None = None,
        progress: Callable[[int], None] | None = None,
        *,
        normalize: bool | None = None,
    ) -> NDArray[np.float32]:
        """One vector a text, (texts, hidden): the mean over its tokens, or that of [CLS]; with `normalize` of length 1.

        Both are as the model was trained, or as its files of sentence-transformers say, where they are not given.

        A text longer than the model takes is read in windows: its mean is over the tokens of all of them, its [CLS] the
        mean of theirs. `progress` is told how many windows are read.
        """
        return answered(self.asking.embed(texts, pooling, normalize=normalize), progress)

    def classify(self, texts: Iterable[str | Sequence[str]]) -> list[Classified]:
        """The label of each text, or of each pair of texts where the model reads pairs.

        Raises ModelError where the model has no classifier, SettingsError where something is not what it reads.
        """
        return answered(self.asking.classify(texts))

    def multilabel(self, texts: Iterable[str | Sequence[str]]) -> list[Labelled]:
        """The labels of each text, any number of them, for a model of that task. Raises as `classify` does."""
        return answered(self.asking.multilabel(texts))

    def regress(self, texts: Iterable[str | Sequence[str]]) -> list[Measured]:
        """The score of each text, or of each pair, for a model of that task. Raises as `classify` does."""
        return answered(self.asking.regress(texts))

    def tag(self, texts: Iterable[str | Sequence[str]]) -> list[Tagged]:
        """The words, tags and spans of each text or list of words. Raises ModelError where there is no tagger."""
        return answered(self.asking.tag(texts))

    @overload
    def answer(self, questions: str, context: str, *, null_threshold: float | None = None) -> Answered: ...

    @overload
    def answer(
        self, questions: Iterable[tuple[str, str]], *, null_threshold: float | None = None
    ) -> list[Answered]: ...

    def answer(
        self,
        questions: str | Iterable[tuple[str, str]],
        context: str | None = None,
        *,
        null_threshold: float | None = None,
    ) -> Answered | list[Answered]:
        """The answer to one question on a context, or to each of several pairs of a question and its context.

        It is "" where the odds of that are above `null_threshold`, which is that of the model's training where it is
        not given; a directory of transformers has none, and then always gives an answer.
        Raises ModelError where the model finds no answers, RowError where a question is empty.
        """
        if not isinstance(questions, str):
            return answered(self.asking.answer(questions, null_threshold=null_threshold))
        # A model that finds no answers says so first.
        asked = self.asking.answer([(questions, context or "")], null_threshold=null_threshold)
        if context is None:
            raise SettingsError("a question comes with a context", cure="as in answer(question, context)")
        return answered(asked)[0]

    def choose(self, text: str, choices: Sequence[str]) -> Chosen:
        """Which of several choices goes with a text, for a model of transformers' BertForMultipleChoice.

        Text and choice are read as a pair; one that is too long is cut. Raises ModelError where the model has no such
        head, SettingsError where there is no choice.
        """
        return answered(self.asking.choose(text, choices))

    def attention(self, text: str, second: str | None = None) -> Attention:
        """What share of its look each token of a text or a pair gives to each other, in every layer and head.

        Raises RowError where the text does not fit, ModelError where the model is a graph, which does not show it.
        """
        return answered(self.asking.attention(text, second))

    def predict(
        self,
        rows: str | Path | Iterable[Mapping[str, Any]],
        *,
        text_columns: Sequence[str] | None = None,
        null_threshold: float | None = None,
    ) -> Iterator[dict[str, Any]]:
        """Each row with its `prediction` beside what it held: what the model's task gives, as JSON has it.

        `rows` is a file (.jsonl, .csv, .tsv, .parquet; for a tagger also columns, as .conll), or objects. The text
        stands in the columns named, else in those of the training, else in `text`, or in `text_a` and `text_b` where
        the model was trained on pairs; a model that answers reads `question` and `context`, and SQuAD's .json too, and
        `null_threshold` is as in `answer`. Rows are read as they are needed, and come out in order.

        Raises ModelError where the model has no task, RowError where a row lacks what the model reads.
        """
        if isinstance(rows, str | Path):
            placed = self.records(rows, text_columns)
        else:
            placed = ((f"row {number}", dict(row)) for number, row in enumerate(rows, start=1))
        # What is wrong with the wish is told at once, not with the first row.
        self.asking.task(text_columns, null_threshold=null_threshold)
        return self._predicted(placed, text_columns, null_threshold)

    def _predicted(
        self, placed: Iterator[Record], text_columns: Sequence[str] | None, null_threshold: float | None
    ) -> Iterator[dict[str, Any]]:
        while some := list(itertools.islice(placed, _ROWS_AT_ONCE)):
            yield from answered(self.asking.records(some, text_columns=text_columns, null_threshold=null_threshold))

    def records(
        self,
        path: str | Path,
        text_columns: Sequence[str] | None = None,
        opened: Callable[[IO[bytes]], None] | None = None,
    ) -> Iterator[Record]:
        """The rows of a file that `predict` answers, each with its place; `opened` is given the file as it lies."""
        described = self.runner.described
        if described.task == "answer":
            return question_records(path, opened=opened)
        if described.task == Tag.name:
            task = self.asking.task(text_columns)
            assert isinstance(task, Tag)
            return tagged_records(path, task.words_column, opened, trained=task.trained_columns[0])
        return read_records(path, RowError, opened=opened)

    def identity(self) -> dict[str, Any]:
        """All that an answer follows from beside the text, as JSON has it."""
        described = self.runner.described
        return {
            "weights": self.runner.weights_hash(),
            "engine": self.runner.engine_told,
            "config": described.config.model_dump(mode="json"),
            "vocabulary_sha256": self.tokenizer.vocabulary.sha256,
            "tokenizer": self.tokenizer.identity(),
            "task": described.task,
            "labels": list(self.labels),
            "record": self.record,
        }


def load(
    path: str | Path,
    device: str | torch.device | None = None,
    *,
    engine: EngineName = "auto",
    lasting: bool = False,
    streams: Streams | None = None,
    say: Callable[[str], None] | None = None,
) -> Predictor:
    """Load a model directory, ours or one of transformers', or one with a graph (ONNX, OpenVINO).

    A graph is run on the CPU by its own runtime, and takes no `device`. engine: what runs weights, "torch" (also
    "torch-bf16", "torch-int8" and "torch-compiled") or "openvino" ("openvino-bf16"); "auto" is torch. lasting: there
    will be many texts, so that batches are read side by side where the engine can. streams: how many. What of the
    directory is not used is told to `say`, and stands in `unused`.
    Raises ModelError, or SettingsError where what should run it is not installed.
    """
    where = None if device is None else torch.device(device)
    return Predictor(open_runner(Path(path), where, say, engine=engine, lasting=lasting, streams=streams))
