"""A sentence encoder: texts as vectors, near to one another where the texts mean the same.

Pairs with scores teach the cosine of their vectors; pairs without teach that each text's partner is nearer than those
of the other pairs in the batch (Reimers and Gurevych 2019; Henderson et al. 2017).
"""

from __future__ import annotations

from collections.abc import Callable, Hashable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn import functional

from bertwright.batches.sequences import InputBatch, LabelledBatch, pad
from bertwright.batches.windows import Lengths, cut_windows
from bertwright.errors import RowError, SettingsError
from bertwright.heads.embed import Pooling, pool
from bertwright.heads.model import Bert, Parts
from bertwright.metrics.correlation import correlation_scores
from bertwright.objectives import contrastive_loss, cosine_regression_loss
from bertwright.records import Record
from bertwright.tasks.rows import PAIR, SINGLE, Row, read_rows, rows_of
from bertwright.tasks.showing import Fault, Showing
from bertwright.tasks.task import Item, Said, Task
from bertwright.tokens.tokenizer import Tokenizer

# Rows that are compared with all others at once.
_BLOCK = 1024


@dataclass(frozen=True, slots=True)
class Embedded:
    """The vector of a text, or those of both texts of a pair. cut: tokens that no window held."""

    vectors: tuple[NDArray[np.float32], ...]
    cut: int

    @property
    def similarity(self) -> float:
        """The cosine between the vectors of a pair."""
        a, b = self.vectors
        lengths = float(np.linalg.norm(a) * np.linalg.norm(b))
        return float(a @ b) / lengths if lengths else 0.0


class Embed(Task[Row, Embedded]):
    """Each text for itself through the encoder. A long text is the mean of its windows, weighted by their tokens."""

    name = "embed"

    def __init__(
        self,
        *,
        columns: Sequence[str] = PAIR,
        label_column: str | None = None,
        lengths: Lengths,
        pooling: Pooling = "mean",
        top: float = 1.0,
        scale: float = 20.0,
        named: bool = False,
        normalize: bool = False,
    ) -> None:
        """label_column: of the scores, None where pairs have none. top: the score of two texts that mean the same.

        scale: what cosines are multiplied by where partners compete. named: the columns were asked for, so that a row
        without them is not read as one `text`. normalize: vectors have the length 1.
        """
        self.columns = tuple(columns)
        self.label_column = label_column
        self.lengths = lengths
        self.pooling: Pooling = pooling
        self.top = top
        self.scale = scale
        self.named = named
        self.normalize = normalize
        self.metrics = ("spearman", "pearson") if label_column else ("nearest",)
        # Where partners compete, a row of another part would be no rival: the choice would be too easy.
        self.in_parts = bool(label_column)

    @property
    def parts(self) -> Parts:
        """The encoder alone."""
        return Parts(pooler=False)

    def read(self, path: Path, say: Callable[[str], None]) -> list[Row]:
        """Pairs with their scores, or pairs."""
        del say
        if len(self.columns) != 2:
            what = f"`embed` learns from pairs and is scored on them, but one column is named, {self.columns[0]}"
            raise SettingsError(what, cure="give --text-column twice")
        return read_rows(path, self.columns, self.label_column, "score")

    def unlabelled(self, records: Iterable[Record]) -> list[Row]:
        """Texts; pairs where a row has both columns."""
        found = []
        for place, values in records:
            columns = self.columns if self.named or all(name in values for name in self.columns) else SINGLE
            found += rows_of([(place, values)], columns, None)
        return found

    def items(self, rows: Sequence[Row], tokenizer: Tokenizer) -> list[Item]:
        """The windows of the first text, then those of the second."""
        found = []
        for row in rows:
            cuts = [cut_windows([tokenizer.ids(text)], self.lengths, tokenizer.vocabulary) for text in row.texts]
            found.append(
                Item(
                    tuple(window for cut in cuts for window in cut.windows),
                    None if row.score is None else row.score / self.top,
                    sum(cut.lost for cut in cuts),
                    tuple(side for side, cut in enumerate(cuts) for _ in cut.windows),
                )
            )
        return found

    def batch(self, lessons: Sequence[Item], pad_id: int) -> LabelledBatch:
        """targets: for each window which vector it is of, two an item; then scores, or (items, 2) a number a text."""
        windows = [window for lesson in lessons for window in lesson.windows]
        owners = [number for number, lesson in enumerate(lessons) for _ in lesson.windows]
        vectors = torch.tensor([2 * number + side for number, lesson in enumerate(lessons) for side in lesson.sides])
        scored = self.label_column is not None
        more = torch.tensor([lesson.target for lesson in lessons]) if scored else _numbered(lessons)
        counts = {"rows": float(len(lessons))}
        return LabelledBatch(pad(windows, pad_id), torch.tensor(owners), (vectors, more), counts)

    def loss(self, model: Bert, batch: LabelledBatch, totals: Mapping[str, float]) -> tuple[Tensor, dict[str, Tensor]]:
        """With scores the squared error of the cosines, without them how well each text finds its partner."""
        vectors, more = batch.targets
        weights = batch.inputs.attention_mask.sum(dim=1).float()
        found = self._joined(self.outputs(model, batch.inputs).float(), weights, vectors)
        a, b = found[0::2], found[1::2]
        if self.label_column is not None:
            loss = cosine_regression_loss(a, b, more, totals["rows"])
            return loss, {"squared_error": loss.detach()}
        first, second = more.T
        # Whether the pair of the first text of a row and the second of another stands in any row of the batch.
        same_first, same_second = first[:, None] == first, second[:, None] == second
        partners = (same_first.float() @ same_second.float()) > 0
        # A partner is none that a text must be told from, and nor is the text itself.
        loss = contrastive_loss(a, b, totals["rows"], scale=self.scale, rivals=~partners & (first[:, None] != second))
        found = _nearest(a.detach(), b.detach(), more)
        right = partners.gather(1, found[:, None]).sum()
        return loss, {"nearest": right / totals["rows"]}

    @property
    def asks(self) -> Hashable:
        """The pooling."""
        return self.pooling

    def outputs(self, model: Bert, inputs: InputBatch) -> Tensor:
        """(windows, hidden)."""
        hidden = model.encoder(inputs.input_ids, inputs.token_type_ids, inputs.attention_mask).hidden
        return pool(hidden, inputs.attention_mask, self.pooling)

    def said(self, arrays: Mapping[str, Said], inputs: InputBatch) -> Said:
        """Pooled here: the graph's own vectors may be pooled otherwise, or have the length 1 before they are joined."""
        hidden = torch.from_numpy(arrays["last_hidden_state"])
        return pool(hidden, inputs.attention_mask, self.pooling).numpy()

    def decode(self, row: Row, item: Item, said: Sequence[Said]) -> Embedded:
        """One vector a text."""
        vectors = []
        for side in range(len(row.texts)):
            mine = [number for number, of in enumerate(item.sides) if of == side]
            weights = None if self.pooling == "cls" else [len(item.windows[number]) for number in mine]
            vector = np.average([said[number] for number in mine], axis=0, weights=weights).astype(np.float32)
            vectors.append(vector / max(float(np.linalg.norm(vector)), 1e-12) if self.normalize else vector)
        return Embedded(tuple(vectors), item.lost)

    def scores(self, rows: Sequence[Row], predictions: Sequence[Embedded]) -> dict[str, float]:
        """Spearman and pearson of cosines and scores; without scores, how often a text's partner is nearest of all."""
        if self.label_column is not None:
            gold = [row.score for row in rows if row.score is not None]
            return correlation_scores(gold, [each.similarity for each in predictions])
        found = _found(rows, predictions)
        return {"nearest": sum(right for _, right in found) / len(rows)}

    def showing(self, rows: Sequence[Row], predictions: Sequence[Embedded]) -> Showing:
        """With scores both numbers, cosines on the scale of the scores; without, the pairs that do not find each other.

        The loss is the distance of the two, or by how much another text is nearer than the partner.
        """
        faults = []
        if self.label_column is None:
            for number, (other, right) in enumerate(_found(rows, predictions)):
                if right:
                    continue
                partner = predictions[number].similarity
                nearest = Embedded((predictions[number].vectors[0], predictions[other].vectors[1]), 0).similarity
                answer = {"predicted": rows[other].texts[1], "similarity": partner, "similarity_of_predicted": nearest}
                faults.append(Fault(nearest - partner, self._seen(rows[number]), answer))
            return Showing(faults=faults)
        gold = np.array([row.score for row in rows], dtype=np.float64)
        measured = np.array([each.similarity for each in predictions], dtype=np.float64)
        for row, wanted, got in zip(rows, gold.tolist(), measured.tolist(), strict=True):
            away = abs(wanted / self.top - got)
            if away:
                faults.append(Fault(away, self._seen(row), {"gold": wanted, "similarity": got}))
        return Showing(faults=faults, gold=gold, measured=measured * self.top)

    def _seen(self, row: Row) -> dict[str, Any]:
        return {"where": row.where, **dict(zip(self.columns, row.texts, strict=True))}

    def shown(self, prediction: Embedded) -> dict[str, Any]:
        """Similarity of a pair, vector of a text, and cut."""
        if len(prediction.vectors) == 2:
            return {"similarity": prediction.similarity, "cut": prediction.cut}
        return {"vector": prediction.vectors[0].tolist(), "cut": prediction.cut}

    def record(self) -> dict[str, Any]:
        """The columns, the pooling and the scale of the scores."""
        columns = {"texts": list(self.columns), "label": self.label_column}
        record = {"columns": columns, "pooling": self.pooling, "similar_score": self.top}
        return record | ({"normalize": True} if self.normalize else {})

    def _joined(self, values: Tensor, weights: Tensor, vectors: Tensor) -> Tensor:
        """The windows' values as one vector a text: (windows, hidden) -> (2 * items, hidden)."""
        count = int(vectors[-1]) + 1
        if count == len(vectors):
            return values
        if self.pooling == "cls":
            weights = torch.ones_like(weights)
        sums = values.new_zeros(count, values.shape[1]).index_add(0, vectors, values * weights[:, None])
        return sums / weights.new_zeros(count).index_add(0, vectors, weights)[:, None]


def refuse_outside(rows: Sequence[Row], top: float) -> None:
    """Raise RowError where a score to learn from is none from 0 to `top`."""
    for row in rows:
        if row.score is not None and not 0 <= row.score <= top:
            what = f"the score {row.score:g} is outside 0 to {top:g}"
            raise RowError(what, where=row.where, cure="set similar_score to the score of texts that mean the same")


def _numbered(lessons: Sequence[Item]) -> Tensor:
    """(items, 2): a number for each text of an item, equal where the texts are."""
    numbers: dict[bytes, int] = {}
    found = []
    for lesson in lessons:
        texts = [b"", b""]
        for window, side in zip(lesson.windows, lesson.sides, strict=True):
            texts[side] += window.ids.tobytes()
        found.append([numbers.setdefault(text, len(numbers)) for text in texts])
    return torch.tensor(found)


def _found(rows: Sequence[Row], predictions: Sequence[Embedded]) -> list[tuple[int, bool]]:
    """For each row the row whose second text is nearest to its first, and whether the two are a pair of any row."""
    numbers: dict[str, int] = {}
    texts = torch.tensor([[numbers.setdefault(text, len(numbers)) for text in row.texts] for row in rows])
    pairs = {row.texts for row in rows}
    found = _nearest(*_stacked(predictions), texts).tolist()
    return [(other, (row.texts[0], rows[other].texts[1]) in pairs) for row, other in zip(rows, found, strict=True)]


def _stacked(predictions: Sequence[Embedded]) -> tuple[Tensor, Tensor]:
    """All first texts and all second ones, (rows, hidden) each."""
    a, b = (np.stack([each.vectors[side] for each in predictions]) for side in (0, 1))
    return torch.from_numpy(a), torch.from_numpy(b)


def _nearest(a: Tensor, b: Tensor, texts: Tensor) -> Tensor:
    """Which row of b is nearest to each row of a, by cosine: (rows,). texts: (rows, 2), equal where the texts are.

    A text that stands among the second ones too is not found by itself. In blocks: all pairs of many rows fit nowhere.
    """
    normal = functional.normalize(b, dim=-1).T
    found = []
    for start in range(0, len(a), _BLOCK):
        block = slice(start, start + _BLOCK)
        itself = texts[block, None, 0] == texts[None, :, 1]
        own = torch.arange(len(itself), device=a.device)
        itself[own, start + own] = False
        scores = functional.normalize(a[block], dim=-1) @ normal
        found.append(scores.masked_fill(itself, -torch.inf).argmax(dim=1))
    return torch.cat(found)
