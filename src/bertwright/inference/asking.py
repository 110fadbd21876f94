"""What one may ask of a model, each wish made ready for the model to read: texts in, `Asked` out."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from typing import Any, TypeVar, get_args

import numpy as np
from numpy.typing import NDArray

from bertwright.batches.windows import Lengths, cut_windows
from bertwright.checkpoints.configuration import CHOICE
from bertwright.errors import ModelError, RowError, SettingsError
from bertwright.heads.embed import Pooling
from bertwright.inference.asked import Asked, rows_asked, windows_asked
from bertwright.inference.kinds import OfAttention, OfChoices, OfMasks
from bertwright.inference.known_task import lengths_of, normalizes, pooling_of, task_of, whole_texts
from bertwright.inference.results import Attention, Candidate, Chosen, Filled
from bertwright.inference.runners import Runner
from bertwright.records import Record
from bertwright.tasks.answer import Answered
from bertwright.tasks.classify import Classified, Classify, softmax
from bertwright.tasks.embed import Embed, Embedded
from bertwright.tasks.multilabel import Labelled, Multilabel
from bertwright.tasks.pooled import PooledTask
from bertwright.tasks.questions import questions_of
from bertwright.tasks.regress import Measured, Regress
from bertwright.tasks.rows import SINGLE, Row
from bertwright.tasks.tag import Tag, Tagged
from bertwright.tasks.tagged_rows import row_of
from bertwright.tasks.task import Said, Task
from bertwright.tokens.tokenizer import Tokenizer

TaskT = TypeVar("TaskT", bound=PooledTask[Any])


class Asking:
    """The wishes that one model takes. With a `tokenizer` of its own it may be used beside another in a thread."""

    def __init__(self, runner: Runner, tokenizer: Tokenizer | None = None) -> None:
        self.described = runner.described
        self.tokenizer = tokenizer or runner.described.tokenizer
        self._runner = runner
        self._lengths = lengths_of(runner.described)

    def fill(self, text: str, top: int = 5) -> Asked[list[Filled]]:
        """The likeliest words for each `[MASK]` of a text.

        Raises ModelError where the model cannot, and RowError where the text has no [MASK] or does not fit.
        """
        encoding = self.tokenizer.encode(text, allow_mask=True)
        vocabulary = self.tokenizer.vocabulary
        masks = [position for position, number in enumerate(encoding.ids) if number == vocabulary.mask_id]
        if not masks:
            raise RowError("the text has no [MASK]", cure='as in "The capital of France is [MASK]."')
        longest = self.described.longest
        if len(encoding.ids) + 2 > longest:
            what = f"the text is {len(encoding.ids) + 2} tokens long, the model takes {longest}"
            raise RowError(what, cure="give the part around the [MASK]")
        cut = cut_windows([encoding.ids], Lengths(max_length=longest), vocabulary)

        def finish(said: Sequence[Said]) -> list[Filled]:
            return [
                Filled(
                    *encoding.spans[position],
                    tuple(
                        Candidate(vocabulary.pieces[int(number)], probability)
                        for number, probability in zip(numbers, values, strict=True)
                    ),
                )
                for position, (numbers, values) in zip(masks, said[0].tolist(), strict=True)
            ]

        kind = OfMasks(self._runner, min(top, len(vocabulary)))
        return Asked(kind, cut.windows, finish, batch_tokens=self._runner.batch_tokens)

    def embed(
        self, texts: Iterable[str], pooling: Pooling | None = None, *, normalize: bool | None = None
    ) -> Asked[NDArray[np.float32]]:
        """One vector a text, as `Predictor.embed` says: (texts, hidden). Raises SettingsError."""
        _refuse_one(texts)
        pooling = pooling or pooling_of(self.described)
        normalize = normalizes(self.described) if normalize is None else normalize
        if pooling not in get_args(Pooling):
            raise SettingsError(f"`pooling` is {pooling!r}", cure=f"it is one of {', '.join(get_args(Pooling))}")
        lengths = whole_texts(self._lengths)
        task = Embed(columns=SINGLE, lengths=lengths, pooling=pooling, normalize=normalize)
        rows = [Row((text,), None, "") for text in texts]
        hidden_size = self.described.config.hidden_size

        def together(found: list[Embedded]) -> NDArray[np.float32]:
            vectors = np.zeros((len(found), hidden_size), dtype=np.float32)
            for number, each in enumerate(found):
                vectors[number] = each.vectors[0]
            return vectors

        return self._rows(task, rows).then(together)

    def classify(self, texts: Iterable[str | Sequence[str]]) -> Asked[list[Classified]]:
        """The label of each text, or of each pair of texts where the model reads pairs.

        Raises ModelError where the model has no classifier, SettingsError where something is not what it reads.
        """
        task = self._made_for(Classify, "classify", "has no classifier")
        return self._rows(task, self._texts(task, texts))

    def multilabel(self, texts: Iterable[str | Sequence[str]]) -> Asked[list[Labelled]]:
        """The labels of each text. Raises ModelError where the model gives no such, SettingsError as `classify`."""
        task = self._made_for(Multilabel, "multilabel", "does not give any number of labels")
        return self._rows(task, self._texts(task, texts))

    def regress(self, texts: Iterable[str | Sequence[str]]) -> Asked[list[Measured]]:
        """The score of each text or pair. Raises ModelError where the model gives none, SettingsError as `classify`."""
        task = self._made_for(Regress, "regress", "gives no score")
        return self._rows(task, self._texts(task, texts))

    def _made_for(self, kind: type[TaskT], name: str, lacking: str) -> TaskT:
        """The task of the model, where it is of a kind. Raises ModelError, whose cure is how it is asked or had."""
        task = self.task()
        if not isinstance(task, kind):
            cure = f"fine-tune one with: bertwright finetune MODEL --task {name}"
            if isinstance(task, Classify | Multilabel | Regress):
                cure = f"ask it with `{'classify' if isinstance(task, Classify) else task.name}`"
            raise ModelError(lacking, where=self.described.path, cure=cure)
        return task

    def shown(self, texts: Iterable[str | Sequence[str]]) -> Asked[list[dict[str, Any]]]:
        """What a model of one answer a text or pair says of each, whatever its task, as JSON has it.

        Raises ModelError where it has no such task, SettingsError where something is not what it reads.
        """
        task = self._pooled()
        return self._rows(task, self._texts(task, texts)).then(lambda found: [task.shown(each) for each in found])

    def scores(self, texts: Iterable[str | Sequence[str]], *, raw: bool = False) -> Asked[list[dict[str, float]]]:
        """The probability of each label of such a model, or with `raw` what its head says, for each text or pair.

        A rating is the label "score", and its probability the sigmoid of what the head says. Raises as `shown` does.
        """
        task = self._pooled()
        rows = self._texts(task, texts)
        if not raw and not isinstance(task, Regress):
            return self._rows(task, rows).then(lambda found: [dict(each.probabilities) for each in found])
        names = task.labels or ("score",)

        def named(said: Sequence[Said]) -> dict[str, float]:
            means: NDArray[np.float64] = np.stack(said).mean(axis=0, dtype=np.float64)
            means = means if raw else 1 / (1 + np.exp(-means))
            return dict(zip(names, means.tolist(), strict=True))

        asked = windows_asked(self._runner, task, task.items(rows, self.tokenizer))
        return asked.then(lambda found: [named(said) for said in found])

    def _pooled(self) -> PooledTask[Any]:
        task = self.task()
        if not isinstance(task, PooledTask):
            raise ModelError("gives no one answer to a text", where=self.described.path)
        return task

    def _texts(self, task: PooledTask[Any], texts: Iterable[str | Sequence[str]]) -> list[Row]:
        _refuse_one(texts)
        rows = [Row((text,) if isinstance(text, str) else tuple(text), None, "") for text in texts]
        # A foreign model does not say which of the two it reads.
        counts = (len(task.columns),) if self.described.record.get("task") == task.name else (1, 2)
        for number, row in enumerate(rows, start=1):
            if len(row.texts) not in counts or not all(isinstance(text, str) for text in row.texts):
                # Without the texts: it may be told to whom they do not belong.
                given = f"has {len(row.texts)}" if len(row.texts) not in counts else "holds something else"
                what = f"of texts the model reads {' or '.join(map(str, counts))}, and row {number} {given}"
                raise SettingsError(what, cure="give strings, or pairs of strings where the model reads pairs")
        return rows

    def tag(self, texts: Iterable[str | Sequence[str]]) -> Asked[list[Tagged]]:
        """The words, tags and spans of each text or list of words. Raises ModelError where there is no tagger."""
        task = self.task() if self.described.task == Tag.name else None
        if not isinstance(task, Tag):
            cure = "fine-tune one with: bertwright finetune MODEL --task tag"
            raise ModelError("has no tagger", where=self.described.path, cure=cure)
        _refuse_one(texts)
        return self._rows(task, [row_of(text) for text in texts])

    def answer(self, pairs: Iterable[tuple[str, str]], *, null_threshold: float | None = None) -> Asked[list[Answered]]:
        """The answer to each of several pairs of a question and its context, as `Predictor.answer` says.

        Raises ModelError where the model finds no answers, RowError where a question is empty.
        """
        if self.described.task != "answer":
            cure = "fine-tune one with: bertwright finetune MODEL --task answer"
            raise ModelError("has no head that finds answers", where=self.described.path, cure=cure)
        given: list[Any] = list(pairs)
        if any(isinstance(pair, str) or len(pair) != 2 for pair in given):
            raise SettingsError("pairs of a question and a context are expected", cure="as in answer([(q, c)])")
        records = [
            (f"question {number}", {"question": question, "context": text})
            for number, (question, text) in enumerate(given, start=1)
        ]
        return self._rows(self.task(null_threshold=null_threshold), questions_of(records))

    def choose(self, text: str, choices: Sequence[str]) -> Asked[Chosen]:
        """Which of several choices goes with a text, as `Predictor.choose` says.

        Raises ModelError where the model has no such head, SettingsError where there is no choice.
        """
        if self.described.task != CHOICE:
            raise ModelError("has no head that chooses", where=self.described.path)
        _refuse_one(choices)
        if not choices:
            cure = 'as in choose("It rained.", ["She got wet.", "It is late."])'
            raise SettingsError("there are no choices", cure=cure)
        lengths = replace(self._lengths, most=1)
        ids = self.tokenizer.ids
        cuts = [cut_windows([ids(text), ids(each)], lengths, self.tokenizer.vocabulary) for each in choices]

        def finish(said: Sequence[Said]) -> Chosen:
            shares = softmax(np.concatenate(said))
            return Chosen(int(shares.argmax()), tuple(map(float, shares)))

        windows = tuple(cut.windows[0] for cut in cuts)
        lost = sum(cut.lost for cut in cuts)
        return Asked(OfChoices(self._runner), windows, finish, lost, batch_tokens=self._runner.batch_tokens)

    def attention(self, text: str, second: str | None = None) -> Asked[Attention]:
        """What share of its look each token of a text or a pair gives to each other, in every layer and head.

        Raises RowError where the text does not fit, ModelError where the model is a graph.
        """
        encodings = [self.tokenizer.encode(part, allow_mask=True) for part in (text, second) if part is not None]
        lengths = Lengths(max_length=self.described.longest)
        cut = cut_windows([each.ids for each in encodings], lengths, self.tokenizer.vocabulary)
        if len(cut.windows) > 1 or cut.lost:
            raise RowError(f"the text has more than {lengths.max_length} tokens", cure="give a shorter one")
        window = cut.windows[0]
        pieces = tuple(self.tokenizer.pieces(window.ids.tolist()))
        return Asked(OfAttention(self._runner), cut.windows, lambda said: Attention(pieces, window.second, said[0]))

    def records(
        self,
        records: Sequence[Record],
        *,
        text_columns: Sequence[str] | None = None,
        null_threshold: float | None = None,
    ) -> Asked[list[dict[str, Any]]]:
        """Rows with their places, each with its `prediction` beside what it held, as `Predictor.predict` says."""
        task = self.task(text_columns, records[0][1] if records else None, null_threshold)

        for place, row in records:
            if "prediction" in row:
                raise RowError("has a column `prediction`, which the answer would take", where=place, cure="rename it")

        def beside(found: list[Any]) -> list[dict[str, Any]]:
            return [row | {"prediction": task.shown(each)} for (_, row), each in zip(records, found, strict=True)]

        return self._rows(task, task.unlabelled(records)).then(beside)

    def task(
        self,
        text_columns: Sequence[str] | None = None,
        row: Mapping[str, Any] | None = None,
        null_threshold: float | None = None,
    ) -> Task[Any, Any]:
        """The task of the model. Raises ModelError where it has none."""
        return task_of(self.described, text_columns=text_columns, row=row, null_threshold=null_threshold)

    def _rows(self, task: Task[Any, Any], rows: Sequence[Any]) -> Asked[list[Any]]:
        return rows_asked(self._runner, task, rows, task.items(rows, self.tokenizer))


def _refuse_one(texts: object) -> None:
    # A string is a sequence of strings too, its characters.
    if isinstance(texts, str):
        raise SettingsError("a list of texts is expected, and this is one text", cure="put it into a list")
