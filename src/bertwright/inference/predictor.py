"""A model directory ready to answer: raw text in, typed results out."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import IO, Any, get_args, overload

import numpy as np
import torch
from numpy.typing import NDArray

from bertwright.batches.sequences import pad
from bertwright.batches.windows import Lengths, cut_windows
from bertwright.checkpoints.configuration import CHOICE
from bertwright.errors import ModelError, RowError, SettingsError
from bertwright.heads.embed import Pooling
from bertwright.inference.answering import answers
from bertwright.inference.known_task import lengths_of, normalizes, pooling_of, task_of
from bertwright.inference.opening import open_runner
from bertwright.inference.results import Candidate, Chosen, Filled
from bertwright.inference.runners import Runner
from bertwright.records import Record, read_records
from bertwright.tasks.answer import Answered
from bertwright.tasks.classify import Classified, Classify, softmax
from bertwright.tasks.embed import Embed
from bertwright.tasks.questions import question_records, questions_of
from bertwright.tasks.rows import SINGLE, Row
from bertwright.tasks.tag import Tag, Tagged
from bertwright.tasks.tagged_rows import row_of, tagged_records
from bertwright.tasks.task import PredictionT, RowT, Task

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
        self._runner = runner
        self._described = described
        self._lengths = lengths_of(described)

    def fill(self, text: str, top: int = 5) -> list[Filled]:
        """The likeliest words for each `[MASK]` of a text.

        Raises ModelError where the model cannot, and RowError where the text has no [MASK] or does not fit.
        """
        encoding = self.tokenizer.encode(text, allow_mask=True)
        vocabulary = self.tokenizer.vocabulary
        masks = [position for position, number in enumerate(encoding.ids) if number == vocabulary.mask_id]
        if not masks:
            raise RowError("the text has no [MASK]", cure='as in "The capital of France is [MASK]."')
        if len(encoding.ids) + 2 > self.max_length:
            what = f"the text is {len(encoding.ids) + 2} tokens long, the model takes {self.max_length}"
            raise RowError(what, cure="give the part around the [MASK]")
        cut = cut_windows([encoding.ids], Lengths(max_length=self.max_length), vocabulary)
        places = [position + 1 for position in masks]
        scores = torch.from_numpy(self._runner.words(pad(cut.windows, vocabulary.pad_id), places))
        # A model may have more rows than its vocabulary has pieces, for alignment: those are no words.
        best = scores[:, : len(vocabulary)].softmax(dim=-1).topk(min(top, len(vocabulary)))
        return [
            Filled(
                *encoding.spans[position],
                tuple(
                    Candidate(vocabulary.pieces[number], probability)
                    for number, probability in zip(numbers, values, strict=True)
                ),
            )
            for position, numbers, values in zip(masks, best.indices.tolist(), best.values.tolist(), strict=True)
        ]

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
        mean of theirs.
        """
        return self.embed_counting(texts, pooling, progress, normalize=normalize)[0]

    def embed_counting(
        self,
        texts: Iterable[str],
        pooling: Pooling | None = None,
        progress: Callable[[int], None] | None = None,
        *,
        normalize: bool | None = None,
    ) -> tuple[NDArray[np.float32], int]:
        """The same, and how many texts were longer than all windows that a text may have, and lost tokens."""
        _refuse_one(texts)
        pooling = pooling or pooling_of(self._described)
        normalize = normalizes(self._described) if normalize is None else normalize
        if pooling not in get_args(Pooling):
            raise SettingsError(f"`pooling` is {pooling!r}", cure=f"it is one of {', '.join(get_args(Pooling))}")
        task = Embed(columns=SINGLE, lengths=self._lengths, pooling=pooling, normalize=normalize)
        rows = [Row((text,), None, "") for text in texts]
        found = self._answers(task, rows, progress)
        vectors = np.zeros((len(rows), self.hidden_size), dtype=np.float32)
        for number, each in enumerate(found):
            vectors[number] = each.vectors[0]
        return vectors, sum(each.cut > 0 for each in found)

    def classify(self, texts: Iterable[str | Sequence[str]]) -> list[Classified]:
        """The label of each text, or of each pair of texts where the model reads pairs.

        Raises ModelError where the model has no classifier, SettingsError where something is not what it reads.
        """
        task = self._task()
        if not isinstance(task, Classify):
            cure = "fine-tune one with: bertwright finetune MODEL --task classify"
            raise ModelError("has no classifier", where=self.path, cure=cure)
        _refuse_one(texts)
        rows = [Row((text,) if isinstance(text, str) else tuple(text), None, "") for text in texts]
        # A foreign model does not say which of the two it reads.
        counts = (len(task.columns),) if self.record.get("task") == task.name else (1, 2)
        for number, row in enumerate(rows, start=1):
            if len(row.texts) not in counts or not all(isinstance(text, str) for text in row.texts):
                what = f"row {number} is {row.texts!r}, and the model reads {' or '.join(map(str, counts))} text(s)"
                raise SettingsError(what, cure="give strings, or pairs of strings where the model reads pairs")
        return self._answers(task, rows)

    def tag(self, texts: Iterable[str | Sequence[str]]) -> list[Tagged]:
        """The words, tags and spans of each text or list of words. Raises ModelError where there is no tagger."""
        task = self._task() if self._described.task == Tag.name else None
        if not isinstance(task, Tag):
            cure = "fine-tune one with: bertwright finetune MODEL --task tag"
            raise ModelError("has no tagger", where=self.path, cure=cure)
        _refuse_one(texts)
        return self._answers(task, [row_of(text) for text in texts])

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
        if self._described.task != "answer":
            cure = "fine-tune one with: bertwright finetune MODEL --task answer"
            raise ModelError("has no head that finds answers", where=self.path, cure=cure)
        if isinstance(questions, str) and context is None:
            raise SettingsError("a question comes with a context", cure="as in answer(question, context)")
        pairs: list[Any] = [(questions, context)] if isinstance(questions, str) else list(questions)
        if any(isinstance(pair, str) or len(pair) != 2 for pair in pairs):
            raise SettingsError("pairs of a question and a context are expected", cure="as in answer([(q, c)])")
        records = [
            (f"question {number}", {"question": question, "context": text})
            for number, (question, text) in enumerate(pairs, start=1)
        ]
        task = self._task(null_threshold=null_threshold)
        found: list[Answered] = self._answers(task, questions_of(records))
        return found[0] if isinstance(questions, str) else found

    def choose(self, text: str, choices: Sequence[str]) -> Chosen:
        """Which of several choices goes with a text, for a model of transformers' BertForMultipleChoice.

        Text and choice are read as a pair; one that is too long is cut. Raises ModelError where the model has no such
        head, SettingsError where there is no choice.
        """
        if self._described.task != CHOICE:
            raise ModelError("has no head that chooses", where=self.path)
        _refuse_one(choices)
        if not choices:
            raise SettingsError(
                "there are no choices", cure='as in choose("It rained.", ["She got wet.", "It is late."])'
            )
        lengths = replace(self._lengths, most=1)
        windows = [
            cut_windows(
                [self.tokenizer.ids(text), self.tokenizer.ids(each)], lengths, self.tokenizer.vocabulary
            ).windows[0]
            for each in choices
        ]
        shares = softmax(self._runner.choices(pad(windows, self.tokenizer.vocabulary.pad_id)))
        return Chosen(int(shares.argmax()), tuple(map(float, shares)))

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
        self._task(text_columns, null_threshold=null_threshold)
        return self._predicted(placed, text_columns, null_threshold)

    def _predicted(
        self, placed: Iterator[Record], text_columns: Sequence[str] | None, null_threshold: float | None
    ) -> Iterator[dict[str, Any]]:
        while chunk := list(itertools.islice(placed, _ROWS_AT_ONCE)):
            yield from self.predict_records(chunk, text_columns=text_columns, null_threshold=null_threshold)

    def records(
        self,
        path: str | Path,
        text_columns: Sequence[str] | None = None,
        opened: Callable[[IO[bytes]], None] | None = None,
    ) -> Iterator[Record]:
        """The rows of a file that `predict` answers, each with its place; `opened` is given the file as it lies."""
        if self._described.task == "answer":
            return question_records(path, opened=opened)
        if self._described.task == Tag.name:
            task = self._task(text_columns)
            return tagged_records(path, task.words_column if isinstance(task, Tag) else None, opened)
        return read_records(path, RowError, opened=opened)

    def predict_records(
        self,
        records: Sequence[Record],
        *,
        text_columns: Sequence[str] | None = None,
        null_threshold: float | None = None,
    ) -> list[dict[str, Any]]:
        """As `predict`, some rows with their places at once."""
        if not records:
            return []
        task = self._task(text_columns, records[0][1], null_threshold)
        found = self._answers(task, task.unlabelled(records))
        return [row | {"prediction": task.shown(each)} for (_, row), each in zip(records, found, strict=True)]

    def identity(self) -> dict[str, Any]:
        """All that an answer follows from beside the text, as JSON has it."""
        described = self._described
        return {
            "weights": self._runner.weights_hash(),
            "config": described.config.model_dump(mode="json"),
            "vocabulary_sha256": self.tokenizer.vocabulary.sha256,
            "tokenizer": self.tokenizer.identity(),
            "task": described.task,
            "labels": list(self.labels),
            "record": self.record,
        }

    def _task(
        self,
        text_columns: Sequence[str] | None = None,
        row: Mapping[str, Any] | None = None,
        null_threshold: float | None = None,
    ) -> Task[Any, Any]:
        return task_of(self._described, text_columns=text_columns, row=row, null_threshold=null_threshold)

    def _answers(
        self, task: Task[RowT, PredictionT], rows: Sequence[RowT], progress: Callable[[int], None] | None = None
    ) -> list[PredictionT]:
        return answers(self._runner, task, rows, task.items(rows, self.tokenizer), progress)


def _refuse_one(texts: object) -> None:
    # A string is a sequence of strings too, its characters.
    if isinstance(texts, str):
        raise SettingsError("a list of texts is expected, and this is one text", cure="put it into a list")


def load(
    path: str | Path, device: str | torch.device | None = None, *, say: Callable[[str], None] | None = None
) -> Predictor:
    """Load a model directory, ours or one of transformers', or one with a graph (ONNX, OpenVINO).

    A graph is run on the CPU by its own runtime, and takes no `device`. What of the directory is not used is told to
    `say`, and stands in `unused`. Raises ModelError, or SettingsError where its
    runtime is not installed.
    """
    return Predictor(open_runner(Path(path), None if device is None else torch.device(device), say))
