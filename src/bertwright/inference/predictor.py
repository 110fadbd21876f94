"""A model directory ready to answer: raw text in, typed results out."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any, get_args

import numpy as np
import torch
from numpy.typing import NDArray

from bertwright.batches.sequences import Framed, InputBatch, by_length, frame, frame_ids, pad
from bertwright.checkpoints.model_directory import LoadedModel, read_model
from bertwright.errors import ModelError, RowError, SettingsError
from bertwright.heads.embed import Pooling, pool
from bertwright.inference.results import Candidate, Classified, Filled
from bertwright.records import read_records
from bertwright.tasks.rows import FIELDS, PAIR, SINGLE, columns_of, text_of

# Tokens in a batch, padding included: enough to keep two cores or a GPU busy, little enough to stay in the cache.
_TOKEN_BUDGET = 4096
# Rows of a file in memory at once; enough to find neighbours of nearly the same length for a batch.
_ROWS_AT_ONCE = 1024


class Predictor:
    """One model for all that it can do; made by `load`."""

    def __init__(self, loaded: LoadedModel, device: torch.device | None = None) -> None:
        self.device = device or torch.device("cuda" if torch.cuda.is_available() else "cpu")
        self.path = loaded.path
        self.labels = loaded.labels
        self.record = loaded.record
        self.unused = loaded.unused
        self.tokenizer = loaded.tokenizer
        self.model = loaded.model.to(self.device).eval()
        # Positions past the length of the training were never trained: what is over is cut, as it was in training.
        self.max_length = loaded.longest

    def fill(self, text: str, top: int = 5) -> list[Filled]:
        """The likeliest words for each `[MASK]` of a text.

        Raises ModelError where the model cannot, and RowError where the text has no [MASK] or does not fit.
        """
        if self.model.masked_words is None:
            raise ModelError("has no masked-word head", where=self.path, cure="fill needs a pretrained model")
        encoding = self.tokenizer.encode(text, allow_mask=True)
        vocabulary = self.tokenizer.vocabulary
        masks = [position for position, number in enumerate(encoding.ids) if number == vocabulary.mask_id]
        if not masks:
            raise RowError("the text has no [MASK]", cure='as in "The capital of France is [MASK]."')
        if len(encoding.ids) + 2 > self.max_length:
            what = f"the text is {len(encoding.ids) + 2} tokens long, the model takes {self.max_length}"
            raise RowError(what, cure="give the part around the [MASK]")
        batch = self._batch([frame_ids(self.tokenizer, [list(encoding.ids)], self.max_length)])
        wanted = torch.tensor([[position + 1 for position in masks]], device=self.device)
        with torch.inference_mode():
            hidden = self.model.encoder(
                batch.input_ids, batch.token_type_ids, batch.attention_mask, wanted=wanted
            ).hidden
            # A model may have more rows than its vocabulary has pieces, for alignment: those are no words.
            scores = self.model.word_scores(hidden[0])[:, : len(vocabulary)]
            probabilities = scores.float().softmax(dim=-1)
        best = probabilities.topk(min(top, len(vocabulary)))
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
        self, texts: Iterable[str], pooling: Pooling = "mean", progress: Callable[[int], None] | None = None
    ) -> NDArray[np.float32]:
        """One vector a text, (texts, hidden): the mean over its tokens, or that of [CLS].

        A text longer than the model takes is cut; `cut` tells how many tokens.
        """
        _refuse_one(texts)
        if pooling not in get_args(Pooling):
            raise SettingsError(f"`pooling` is {pooling!r}", cure=f"it is one of {', '.join(get_args(Pooling))}")
        texts = list(texts)
        vectors = np.zeros((len(texts), self.model.config.hidden_size), dtype=np.float32)
        framed = [frame(self.tokenizer, [text], self.max_length) for text in texts]
        done = 0
        with torch.inference_mode():
            for rows in by_length([len(sequence.ids) for sequence in framed], _TOKEN_BUDGET):
                batch = self._batch([framed[row] for row in rows])
                hidden = self.model.encoder(batch.input_ids, batch.token_type_ids, batch.attention_mask).hidden
                vectors[rows] = pool(hidden, batch.attention_mask, pooling).float().cpu().numpy()
                done += len(rows)
                if progress:
                    progress(done)
        return vectors

    def classify(self, texts: Iterable[str | Sequence[str]]) -> list[Classified]:
        """The label of each text, or of each pair of texts. Raises ModelError where the model has no classifier."""
        self._need_classifier()
        _refuse_one(texts)
        parts = [(text,) if isinstance(text, str) else tuple(text) for text in texts]
        framed = [frame(self.tokenizer, part, self.max_length) for part in parts]
        results: list[Classified | None] = [None] * len(framed)
        with torch.inference_mode():
            for rows in by_length([len(sequence.ids) for sequence in framed], _TOKEN_BUDGET):
                batch = self._batch([framed[row] for row in rows])
                scores = self.model.class_scores(batch.input_ids, batch.token_type_ids, batch.attention_mask)
                for row, values in zip(rows, scores.float().softmax(dim=-1).tolist(), strict=True):
                    ranked = sorted(zip(self.labels, values, strict=True), key=lambda pair: -pair[1])
                    results[row] = Classified(ranked[0][0], dict(ranked), framed[row].cut)
        return [result for result in results if result is not None]

    def predict(
        self,
        rows: str | Path | Iterable[Mapping[str, Any]],
        *,
        text_columns: Sequence[str] | None = None,
        progress: Callable[[int], None] | None = None,
    ) -> Iterator[dict[str, Any]]:
        """Each row with its `prediction` beside what it held: `label`, `probabilities` and `cut`.

        `rows` is a file (.jsonl, .csv, .tsv, .parquet), or objects. The text stands in the columns named, else in those
        of the training, else in `text`, or in `text_a` and `text_b` where the model was trained on pairs. Rows are read
        as they are needed, and come out in order. `progress` is told how many are done.

        Raises ModelError where the model has no classifier, RowError where a row lacks what the model reads.
        """
        self._need_classifier()
        if isinstance(rows, str | Path):
            placed = read_records(rows, RowError)
        else:
            placed = ((f"row {number}", dict(row)) for number, row in enumerate(rows, start=1))
        done = 0
        while chunk := list(itertools.islice(placed, _ROWS_AT_ONCE)):
            texts = [[text_of(row, name, place) for name in self._fields(row, text_columns)] for place, row in chunk]
            for (_, row), result in zip(chunk, self.classify(texts), strict=True):
                yield row | {"prediction": asdict(result)}
            done += len(chunk)
            if progress:
                progress(done)

    def _fields(self, row: Mapping[str, Any], named: Sequence[str] | None) -> tuple[str, ...]:
        """The columns that hold what the model reads; those of the row where a foreign model does not tell."""
        task = self.record.get("task", "")
        if task in FIELDS:
            return columns_of(task, named, model=self.record.get("columns"))
        return tuple(named or (PAIR if all(name in row for name in PAIR) and SINGLE[0] not in row else SINGLE))

    def _need_classifier(self) -> None:
        if self.model.classifier is None:
            cure = "fine-tune one with: bertwright finetune MODEL --task classify"
            raise ModelError("has no classifier", where=self.path, cure=cure)

    def cut(self, texts: Iterable[str]) -> int:
        """How many of the texts do not fit the model and lose tokens."""
        return sum(1 for text in texts if len(self.tokenizer.ids(text)) + 2 > self.max_length)

    def _batch(self, framed: Sequence[Framed]) -> InputBatch:
        return pad(framed, self.tokenizer.vocabulary.pad_id).to(self.device)


def _refuse_one(texts: object) -> None:
    # A string is a sequence of strings too, its characters.
    if isinstance(texts, str):
        raise SettingsError("a list of texts is expected, and this is one text", cure="put it into a list")


def load(path: str | Path, device: str | torch.device | None = None) -> Predictor:
    """Load a model directory, ours or one of transformers'. Raises ModelError."""
    return Predictor(read_model(Path(path)), None if device is None else torch.device(device))
