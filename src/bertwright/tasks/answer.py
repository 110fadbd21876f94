"""Answers that stand in a text: where they begin and end, or that there is none (paper, sections 4.2 and 4.3).

A window is `[CLS] question [SEP] part of the context [SEP]`. It is taught the first and the last token of the answer
where the answer lies within it, and [CLS] for both where it does not; of several answers that were given, the first.
"""

from __future__ import annotations

import copy
import math
import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import pairwise
from pathlib import Path
from typing import Any, Literal, Self

import numpy as np
import torch
from torch import Tensor

from bertwright.batches.sequences import InputBatch, LabelledBatch, pad
from bertwright.batches.windows import Lengths, Window, cut_windows
from bertwright.errors import RowError
from bertwright.heads.model import Bert, Parts
from bertwright.metrics.cmrc import cmrc_scores
from bertwright.metrics.squad import squad2_scores, squad_scores
from bertwright.objectives import span_loss
from bertwright.records import Record
from bertwright.tasks.answer_spans import Context, best_spans
from bertwright.tasks.questions import Question, questions_of, read_questions
from bertwright.tasks.showing import Fault, Showing
from bertwright.tasks.task import Item, Said, Task
from bertwright.text.documents import OnError
from bertwright.text.ideographs import IDEOGRAPH
from bertwright.tokens.tokenizer import Tokenizer

MetricName = Literal["auto", "squad", "cmrc"]
# As in `run_squad.py`: the tokens of an answer, and the spans among which probabilities are shared out.
LONGEST_ANSWER = 30
_SHARING = 20
BEST = 5
# Contexts that tell in which script a file is.
_LOOKED_AT = 1000
_LETTER = re.compile(r"[^\W\d_]")
# What a window is taught that does not hold the answer.
_NOWHERE = (0, 0)


@dataclass(frozen=True, slots=True)
class AnswerSpan:
    """A part of a context that may be the answer: `context[start:end] == text`. score: that of its start and end."""

    text: str
    start: int
    end: int
    score: float
    probability: float


@dataclass(frozen=True, slots=True)
class Answered:
    """The answer to a question, `context[start:end] == text`; "" and None where the context holds none.

    probability: the answer's share among the 20 best spans and, where the model may answer "", that. null_odds: how
    much higher "" scores than the best span; infinite where the context has no token. best: the best spans, no text
    twice; the first is the answer if there is one. cut: tokens of the question that did not fit.
    """

    text: str
    start: int | None
    end: int | None
    score: float
    probability: float
    null_odds: float
    best: tuple[AnswerSpan, ...]
    cut: int


class AnswerTask(Task[Question, Answered]):
    """Questions on texts. Each span belongs to the one window that decides its first token."""

    name = "answer"
    metrics = ("f1", "exact_match")

    def __init__(
        self,
        *,
        lengths: Lengths,
        metric: MetricName = "auto",
        longest: int = LONGEST_ANSWER,
        best: int = BEST,
        null_threshold: float | None = None,
        on_error: OnError = "stop",
    ) -> None:
        """lengths: a context has as many windows as it needs, whatever `most` says. longest: tokens of an answer.

        best: spans told of each question. null_threshold: the odds above which the answer is ""; None: it never is.
        """
        self.lengths = replace(lengths, most=None)
        self.metric: MetricName = metric
        self.longest = longest
        self.best = best
        self.null_threshold = null_threshold
        self.on_error: OnError = on_error

    @property
    def parts(self) -> Parts:
        """Two vectors, of the start and of the end."""
        return Parts(pooler=False, spans=True)

    def read(self, path: Path, say: Callable[[str], None]) -> list[Question]:
        """Questions with their answers."""
        found = read_questions(path, on_error=self.on_error)
        if found.moved:
            say(f"{path}: {found.moved:,} answers did not stand at their offset, and were found in their context")
        if found.skipped:
            say(f"{path}: {found.skipped:,} questions left out; the first: {found.first_skipped[0]}")
        if self.metric == "auto":
            kind, reason = metric_of(found.rows)
            say(f"{path}: answers are scored as in {kind.upper()}: {reason}")
        impossible = next((row for row in found.rows if row.impossible), None)
        if self.metric == "cmrc" and impossible is not None:
            what = f"the question {impossible.id!r} has no answer, which the scores of CMRC do not know"
            raise RowError(what, where=impossible.where, cure='fine-tune with metric = "squad"')
        return found.rows

    def unlabelled(self, records: Iterable[Record]) -> list[Question]:
        """Questions of which the answers are not looked at."""
        return questions_of(records)

    def learning(self, rows: Sequence[Question], where: Path) -> Self:
        """The same task for a model that is taught these rows: how it is scored, and whether it may answer "".

        Raises RowError where no question has an answer.
        """
        answerable = sum(not row.impossible for row in rows)
        if not answerable:
            what = "no question has an answer, so there is nothing to find"
            raise RowError(what, where=where, cure="add questions with answers")
        task = copy.copy(self)
        task.metric = metric_of(rows)[0] if self.metric == "auto" else self.metric
        task.null_threshold = None if answerable == len(rows) else 0.0
        return task

    def items(self, rows: Sequence[Question], tokenizer: Tokenizer) -> list[Item]:
        """The windows of each question, with what each is taught; `about` is the Context."""
        # Many questions are on one text.
        known: dict[str, tuple[Context, tuple[int, ...]]] = {}
        found = []
        for row in rows:
            if row.context not in known:
                encoding = tokenizer.encode(row.context)
                known[row.context] = Context.of(row.context, encoding), encoding.ids
            context, ids = known[row.context]
            cut = cut_windows([tokenizer.ids(row.question), ids], self.lengths, tokenizer.vocabulary, moving=1)
            found.append(Item(cut.windows, _targets(row, context, cut.windows), cut.lost, about=context))
        return found

    def remarks(self, items: Sequence[Item]) -> list[str]:
        """Of answers that cannot be taught, or not be given."""
        found = []
        untaught = sum(1 for item in items if item.target.untaught)
        if untaught:
            room = f"{self.lengths.max_length} tokens"
            found.append(f"{untaught:,} answers lie in no window of {room} as a whole: taught as not being there")
        long = sum(1 for item in items if item.target.tokens > self.longest)
        if long:
            found.append(f"{long:,} answers are longer than max_answer_tokens = {self.longest}: never given as a whole")
        return found

    def lessons(self, items: Sequence[Item]) -> list[Item]:
        """Each window is one."""
        return [
            Item((window,), target)
            for item in items
            for window, target in zip(item.windows, item.target.places, strict=True)
        ]

    def batch(self, lessons: Sequence[Item], pad_id: int) -> LabelledBatch:
        """targets: where answers begin and end, (windows,), and where they may, (windows, length)."""
        windows = [window for lesson in lessons for window in lesson.windows]
        inputs = pad(windows, pad_id)
        allowed = torch.zeros_like(inputs.attention_mask)
        allowed[:, 0] = True
        for number, window in enumerate(windows):
            allowed[number, window.offset : len(window) - 1] = True
        starts, ends = torch.tensor([lesson.target for lesson in lessons]).unbind(1)
        return LabelledBatch(
            inputs, torch.arange(len(windows)), (starts, ends, allowed), {"windows": float(len(windows))}
        )

    def loss(self, model: Bert, batch: LabelledBatch, totals: Mapping[str, float]) -> tuple[Tensor, dict[str, Tensor]]:
        """The cross-entropies of both ends, halved, and the share of windows in which both are right."""
        starts, ends, allowed = batch.targets
        scores = self.outputs(model, batch.inputs).float()
        loss = span_loss(scores[..., 0], scores[..., 1], starts, ends, allowed, totals["windows"])
        likeliest = scores.detach().masked_fill(~allowed[..., None], -math.inf).argmax(dim=1)
        right = ((likeliest[:, 0] == starts) & (likeliest[:, 1] == ends)).sum()
        return loss, {"right": right / totals["windows"]}

    def outputs(self, model: Bert, inputs: InputBatch) -> Tensor:
        """(windows, length, 2)."""
        return model.span_scores(inputs.input_ids, inputs.token_type_ids, inputs.attention_mask)

    def said(self, arrays: Mapping[str, Said], inputs: InputBatch) -> Said:
        """The scores as starts and as ends side by side."""
        del inputs
        return np.stack([arrays["start_logits"], arrays["end_logits"]], axis=-1)

    def decode(self, row: Question, item: Item, said: Sequence[Said]) -> Answered:
        """The best span of all windows, or "" where the window that is least sure of that is sure enough."""
        del row
        spans = best_spans(item.about, item.windows, said, longest=self.longest, count=max(_SHARING, self.best))
        null = min(float(scores[0].sum()) for scores in said)
        odds = null - spans[0].score if spans else math.inf
        shared = _shares([span.score for span in spans] + ([null] if self.null_threshold is not None else []))
        best = tuple(
            AnswerSpan(span.text, span.start, span.end, span.score, share)
            for span, share in zip(spans[: self.best], shared, strict=False)
        )
        if not best or (self.null_threshold is not None and odds > self.null_threshold):
            return Answered("", None, None, null, shared[-1] if shared else 1.0, odds, best, item.lost)
        first = best[0]
        return Answered(first.text, first.start, first.end, first.score, first.probability, odds, best, item.lost)

    def scores(self, rows: Sequence[Question], predictions: Sequence[Answered]) -> dict[str, float]:
        """Those of the official script; where some questions have no answer, those of SQuAD 2.0."""
        metric = metric_of(rows)[0] if self.metric == "auto" else self.metric
        golds = [[answer.text for answer in row.answers] for row in rows]
        predicted = [each.text for each in predictions]
        if metric == "cmrc":
            return cmrc_scores(predicted, golds)
        return squad_scores(predicted, golds) if all(golds) else squad2_scores(predicted, golds)

    def baseline(self, train: Sequence[Question], rows: Sequence[Question]) -> dict[str, float]:
        """Of never giving an answer, where some of the rows have none; empty where all have one."""
        del train
        if not any(row.impossible for row in rows):
            return {}
        nothing = Answered("", None, None, 0.0, 1.0, 0.0, (), 0)
        return self.scores(rows, [nothing] * len(rows))

    def advice(self, rows: Sequence[Question], predictions: Sequence[Answered]) -> list[str]:
        """Of a threshold for a model that always answers, where some of the rows have no answer."""
        impossible = sum(row.impossible for row in rows)
        if self.null_threshold is not None or not impossible:
            return []
        golds = [[answer.text for answer in row.answers] for row in rows]
        # Rounded as it is told.
        threshold = float(f"{_best_threshold(predictions, golds):.4g}")
        given = [each.best[0].text if each.best and each.null_odds <= threshold else "" for each in predictions]
        f1 = squad2_scores(given, golds)["f1"]
        what = f"{impossible:,} of {len(rows):,} questions have no answer, and this model always gives one"
        return [f"{what}; --null-threshold {threshold:g}, the best on these rows, would bring F1 {f1:.4f}"]

    def tuned(self, rows: Sequence[Question], predictions: Sequence[Answered]) -> Self:
        """With the threshold of the best F1 on these rows, if the model may answer "" and some rows are such."""
        if self.null_threshold is None or not any(row.impossible for row in rows):
            return self
        task = copy.copy(self)
        golds = [[answer.text for answer in row.answers] for row in rows]
        task.null_threshold = _best_threshold(predictions, golds)
        task.chosen = (f'no answer ("") where its odds are above {task.null_threshold:.4g}, which gives the best F1',)
        return task

    def showing(self, rows: Sequence[Question], predictions: Sequence[Answered]) -> Showing:
        """Every question that is not answered as the script wants it, and how sure answers were.

        The loss is what the answer lacks of a full F1.
        """
        faults, sure, right = [], [], []
        metric = metric_of(rows)[0] if self.metric == "auto" else self.metric
        score = cmrc_scores if metric == "cmrc" else squad_scores
        for row, each in zip(rows, predictions, strict=True):
            golds = [answer.text for answer in row.answers]
            nothing = float(not each.text)
            found = score([each.text], [golds]) if golds else {"f1": nothing, "exact_match": nothing}
            sure.append(each.probability)
            right.append(found["exact_match"] == 1)
            if not right[-1]:
                told = {"where": row.where, "id": row.id, "question": row.question, "context": row.context}
                answer = {"gold": golds, "predicted": each.text, "start": each.start, "probability": each.probability}
                faults.append(Fault(1 - found["f1"], told, answer))
        return Showing(faults=faults, sure=np.array(sure), right=np.array(right, dtype=np.bool_))

    def shown(self, prediction: Answered) -> dict[str, Any]:
        """The answer, the best spans and cut; null_odds where they decide, None where the context has no token."""
        # JSON knows no infinity.
        odds = None if prediction.null_odds == math.inf else prediction.null_odds
        return {
            "text": prediction.text,
            "start": prediction.start,
            "end": prediction.end,
            "score": prediction.score,
            "probability": prediction.probability,
            **({} if self.null_threshold is None else {"null_odds": odds}),
            "best": [_shown_span(span) for span in prediction.best],
            "cut": prediction.cut,
        }

    def record(self) -> dict[str, Any]:
        """How answers are found and scored; the threshold where the model may answer ""."""
        found: dict[str, Any] = {"metric": self.metric, "max_answer_tokens": self.longest, "best_size": self.best}
        if self.null_threshold is not None:
            found["null_threshold"] = self.null_threshold
        return found


def metric_of(rows: Sequence[Question]) -> tuple[Literal["squad", "cmrc"], str]:
    """Which official scores suit these questions, and why."""
    impossible = sum(row.impossible for row in rows)
    if impossible:
        return "squad", f"{impossible:,} of {len(rows):,} questions have no answer"
    contexts = list(dict.fromkeys(row.context for row in rows))[:_LOOKED_AT]
    letters = sum(len(_LETTER.findall(context)) for context in contexts)
    chinese = sum(len(IDEOGRAPH.findall(context)) for context in contexts)
    share = f"{chinese / max(letters, 1):.0%} of the contexts' letters are Chinese characters"
    return ("cmrc" if chinese > letters / 2 else "squad"), share


@dataclass(frozen=True, slots=True)
class _Targets:
    """Where the answer begins and ends in each window, both 0 where it does not; its tokens, 0 where there is none."""

    places: tuple[tuple[int, int], ...]
    tokens: int
    untaught: bool


def _targets(row: Question, context: Context, windows: Sequence[Window]) -> _Targets:
    answer = row.answers[0] if row.answers else None
    tokens = context.tokens(answer.start, answer.start + len(answer.text)) if answer else None
    places = tuple(_place(tokens, window) for window in windows)
    size = 0 if tokens is None else tokens[1] - tokens[0] + 1
    return _Targets(places, size, answer is not None and all(place == _NOWHERE for place in places))


def _place(tokens: tuple[int, int] | None, window: Window) -> tuple[int, int]:
    if tokens is None:
        return _NOWHERE
    start, end = (token - window.first + window.offset for token in tokens)
    return (start, end) if window.offset <= start and end < len(window) - 1 else _NOWHERE


def _shares(scores: Sequence[float]) -> list[float]:
    """Softmax."""
    if not scores:
        return []
    powers = np.exp(np.array(scores) - max(scores))
    shares: list[float] = (powers / powers.sum()).tolist()
    return shares


def _best_threshold(predictions: Sequence[Answered], golds: Sequence[Sequence[str]]) -> float:
    """That of the official script, moved half way to the next odds, so that rounding turns no answer over."""
    spans = [each.best[0].text if each.best else "" for each in predictions]
    # The script's arithmetic knows no infinity: a context without a token is past all others.
    known = sorted({each.null_odds for each in predictions if each.null_odds < math.inf})
    if not known:
        return 0.0
    odds = [min(each.null_odds, known[-1] + 1) for each in predictions]
    found = squad2_scores(spans, golds, null_odds=odds)
    if found["best_f1"] <= sum(not of_question for of_question in golds) / len(golds):
        return known[0] - 1  # the script's 0, which stands for no answers at all
    threshold = found["best_f1_threshold"]
    return next(((one + other) / 2 for one, other in pairwise(known) if one == threshold), known[-1] + 0.5)


def _shown_span(span: AnswerSpan) -> dict[str, Any]:
    return {
        "text": span.text,
        "start": span.start,
        "end": span.end,
        "score": span.score,
        "probability": span.probability,
    }
