"""Spans of words and what they are, such as names of people: a tag for each word (paper, section 5.3).

    text     Anna Maria saw Hong-Kong.
    words    Anna  Maria saw Hong  -     Kong  .
    tags     B-per I-per O   B-loc I-loc I-loc O
    spans    per 0-10 "Anna Maria", loc 15-24 "Hong-Kong"

A word is cut into pieces by itself, and its first piece speaks for it, in that window which sees most around it. A long
sentence has as many windows as it needs, so that every word has its tag and every gold tag counts in the scores. A word
that gives no piece, such as a zero-width space, is `O`.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from bertwright.batches.sequences import InputBatch, LabelledBatch, pad
from bertwright.batches.windows import Lengths, Window, cut_windows
from bertwright.errors import RowError, SettingsError
from bertwright.examples.masking import IGNORED
from bertwright.heads.model import Bert, Parts
from bertwright.metrics.tagging import entities, kind_scores, tagging_scores
from bertwright.objectives import token_loss
from bertwright.records import Record
from bertwright.tasks.showing import Fault, Showing
from bertwright.tasks.tag_schemes import BIO2, OUTSIDE, is_tag, labels_of_tags, mend, scheme_of, split_tag
from bertwright.tasks.tag_sequences import best_sequence, bio2_steps, log_probabilities
from bertwright.tasks.tagged_rows import TaggedRow, TaggedRows, column_there, read_tagged, rows_to_tag
from bertwright.tasks.task import Item, Said, Task
from bertwright.tokens.tokenizer import Tokenizer

_NO_PIECE = -1


@dataclass(frozen=True, slots=True)
class TaggedSpan:
    """The characters from `start` to before `end` are of a kind; `words`: which words, from and up to.

    probability: the mean over its words of the probability of the tag that each was given.
    """

    kind: str
    start: int
    end: int
    text: str
    words: tuple[int, int]
    probability: float


@dataclass(frozen=True, slots=True)
class Tagged:
    """The words of a text, their BIO2 tags, and the spans that these make up.

    text: what the places of spans count in, `text[start:end]` being the span's own: the caller's string, or, where
    words were given, these joined by one space. cut: tokens that no window held, of which there are none.
    """

    words: tuple[str, ...]
    tags: tuple[str, ...]
    spans: tuple[TaggedSpan, ...]
    text: str
    cut: int = 0


class Tag(Task[TaggedRow, Tagged]):
    """Words with tags of BIO2, IOB1, IOBES or BILOU in; BIO2 and typed spans out.

    A text is split into words at white space, at punctuation and between ideographs (`text_spans`), whatever the model
    learnt from, so that "Paris." is "Paris" and ".".
    """

    name = "tag"
    metrics = ("f1", "precision", "recall", "accuracy")

    def __init__(
        self,
        *,
        labels: Sequence[str],
        lengths: Lengths,
        words_column: str | None = None,
        tags_column: str | None = None,
        trained_columns: tuple[str | None, str | None] = (None, None),
        weights: Sequence[float] | None = None,
        smoothing: float = 0.0,
        lstm: int = 0,
        foreign: bool = False,
    ) -> None:
        """Columns: None for the usual ones. weights: of the labels in the loss. lstm: as `Parts` has it.

        trained_columns: those of the words and of the tags in the training of a model, looked at in files with such.

        foreign: the labels are not from our training, and may be of any scheme, or no tags of spans at all. Nobody
        tells whether I- begins a span there (IOB1) or not, so each word gets its likeliest tag, and the sequence is
        read as conlleval does; labels such as NOUN make no spans.
        """
        self.labels = tuple(labels)
        # One answer a word, and none is made of all windows.
        self.lengths = replace(lengths, most=None)
        self.words_column = words_column
        self.tags_column = tags_column
        self.trained_columns = trained_columns
        self.weights = None if weights is None else torch.tensor(weights)
        self.smoothing = smoothing
        self.lstm = lstm
        self._numbers = {label: number for number, label in enumerate(self.labels)}
        spans = not foreign or all(map(is_tag, self.labels))
        self._scheme = scheme_of([self.labels]) if foreign and spans else BIO2 if spans else None
        self._steps = None if foreign else bio2_steps(self.labels)

    @property
    def parts(self) -> Parts:
        """A layer over the vector of each token, or the tagger that reads an encoder which stays as it is."""
        return Parts(pooler=False, tags=len(self.labels), lstm=self.lstm)

    def read(self, path: Path, say: Callable[[str], None]) -> list[TaggedRow]:
        """Sentences with their tags. Spans of kinds that the model does not have are kept, and are never found."""
        words, tags = (column_there(path, column) for column in self.trained_columns)
        found = read_tagged(path, words_column=self.words_column or words, tags_column=self.tags_column or tags)
        tell(found, path, say)
        known = {split_tag(label)[1] for label in self.labels if is_tag(label)}
        begun = Counter(tag[2:] for row in found.rows for tag in row.tags or () if tag.startswith("B-"))
        unknown = {kind: count for kind, count in begun.items() if kind not in known}
        if unknown:
            names = ", ".join(sorted(unknown))
            if len(unknown) == len(begun):
                what = f"no span is of a kind that the model has: {names}; the model's labels are: "
                place = next(row.where for row in found.rows if any(tag.startswith("B-") for tag in row.tags or ()))
                cure = "correct the kinds, or train on rows with them"
                raise RowError(what + ", ".join(self.labels[:20]), where=place, cure=cure)
            say(f"{path}: {sum(unknown.values()):,} spans are of kinds that the model does not have: {names}")
        return found.rows

    def unlabelled(self, records: Iterable[Record]) -> list[TaggedRow]:
        """Texts or lists of words."""
        return rows_to_tag(records, self.words_column, self.trained_columns[0])

    def items(self, rows: Sequence[TaggedRow], tokenizer: Tokenizer) -> list[Item]:
        """The windows of each sentence, and which of its tokens each word begins with."""
        pieces = iter(tokenizer.ids_many(word for row in rows for word in row.words))
        found = []
        for row in rows:
            ids: list[int] = []
            firsts = []
            for _, of_word in zip(row.words, pieces, strict=False):
                firsts.append(len(ids) if of_word else _NO_PIECE)
                ids += of_word
            cut = cut_windows([ids], self.lengths, tokenizer.vocabulary)
            # What is not among the labels can be scored, and not be learnt.
            target = None if row.tags is None else [self._numbers.get(tag, IGNORED) for tag in row.tags]
            found.append(Item(cut.windows, target, cut.lost, about=tuple(firsts)))
        return found

    def lessons(self, items: Sequence[Item]) -> list[Item]:
        """Each window by itself, with a label for each of its tokens: so the longest sentence needs no more memory.

        A word is taught once, in the window that decides it; a window that decides none is not taught.
        """
        found = []
        for item in items:
            firsts = np.array(item.about, dtype=np.int64)
            tags = np.array(item.target, dtype=np.int64)
            for window in item.windows:
                words, places = _decided(window, firsts)
                labels = np.full(len(window), IGNORED)
                labels[places] = tags[words]
                if (labels != IGNORED).any():
                    found.append(Item((window,), labels))
        if not found:
            raise RowError("no word of the training rows gives a piece", cure="they hold nothing that can be read")
        return found

    def batch(self, lessons: Sequence[Item], pad_id: int) -> LabelledBatch:
        """targets: (windows, length), IGNORED but at the first token of each word; their count, and its weight."""
        inputs = pad([lesson.windows[0] for lesson in lessons], pad_id)
        labels = torch.full(inputs.input_ids.shape, IGNORED)
        for row, lesson in enumerate(lessons):
            labels[row, : len(lesson.target)] = torch.from_numpy(lesson.target)
        taught = labels[labels != IGNORED]
        weight = float(len(taught)) if self.weights is None else float(self.weights[taught].sum())
        counts = {"words": float(len(taught)), "weight": weight}
        return LabelledBatch(inputs, torch.arange(len(lessons)), (labels,), counts)

    def loss(self, model: Bert, batch: LabelledBatch, totals: Mapping[str, float]) -> tuple[Tensor, dict[str, Tensor]]:
        """Cross-entropy, and the accuracy over words."""
        (labels,) = batch.targets
        scores = self.outputs(model, batch.inputs).float()
        weights = None if self.weights is None else self.weights.to(scores.device)
        loss = token_loss(scores, labels, totals["weight"], weights=weights, smoothing=self.smoothing)
        right = (scores.detach().argmax(dim=-1) == labels).sum()
        return loss, {"accuracy": right / totals["words"]}

    def outputs(self, model: Bert, inputs: InputBatch) -> Tensor:
        """(windows, length, tags)."""
        return model.tag_scores(inputs.input_ids, inputs.token_type_ids, inputs.attention_mask)

    def decode(self, row: TaggedRow, item: Item, said: Sequence[Said]) -> Tagged:
        """The likeliest sequence that BIO2 allows."""
        firsts = np.array(item.about, dtype=np.int64)
        scores = np.zeros((len(firsts), len(self.labels)), dtype=np.float32)
        for window, of_window in zip(item.windows, said, strict=True):
            words, places = _decided(window, firsts)
            scores[words] = of_window[places]
        chances = log_probabilities(scores)
        silent = firsts == _NO_PIECE
        if self._steps is None:
            chosen = chances.argmax(axis=1)
        else:
            # What goes on after such a word must begin anew.
            chances[silent] = np.where(np.array(self.labels) == OUTSIDE, 0.0, -np.inf)
            chosen = best_sequence(chances, self._steps)
        tags = tuple(
            OUTSIDE if quiet else self.labels[tag] for tag, quiet in zip(chosen.tolist(), silent.tolist(), strict=True)
        )
        return self._tagged(row, tags, np.exp(chances[np.arange(len(tags)), chosen]).tolist())

    def baseline(self, train: Sequence[TaggedRow], rows: Sequence[TaggedRow]) -> dict[str, float]:
        """Of giving each word the tag that it has most often in `train`, and O to one that is not there."""
        often: defaultdict[str, Counter[str]] = defaultdict(Counter)
        for row in train:
            for word, tag in zip(row.words, row.tags or (), strict=True):
                often[word][tag] += 1
        known = {word: max(tags, key=tags.__getitem__) for word, tags in often.items()}
        found = [tuple(known.get(word, OUTSIDE) for word in row.words) for row in rows]
        return self.scores(rows, [Tagged(row.words, tags, (), "") for row, tags in zip(rows, found, strict=True)])

    def scores(self, rows: Sequence[TaggedRow], predictions: Sequence[Tagged]) -> dict[str, float]:
        """f1, precision and recall of spans, each right where its kind and both its ends are; accuracy over words.

        A gold span that no tags can tell counts as missed.
        """
        gold = [row.tags for row in rows if row.tags is not None]
        found = tagging_scores(gold, [each.tags for each in predictions], _lost(rows))
        return {name: found[name] for name in self.metrics}

    def showing(self, rows: Sequence[TaggedRow], predictions: Sequence[Tagged]) -> Showing:
        """Each kind, every sentence with a wrong tag, and how sure spans were. The loss is the number of wrong tags."""
        faults, sure, right = [], [], []
        golds = [row.tags or (OUTSIDE,) * len(row.words) for row in rows]
        for row, gold, each in zip(rows, golds, predictions, strict=True):
            wanted = set(entities(gold))
            for span in each.spans:
                sure.append(span.probability)
                right.append((span.kind, *span.words) in wanted)
            wrong = sum(one != other for one, other in zip(gold, each.tags, strict=True))
            if wrong:
                told = {"where": row.where, "words": list(row.words)}
                faults.append(Fault(wrong, told, {"gold": list(gold), "predicted": list(each.tags)}))
        classes = kind_scores(golds, [each.tags for each in predictions], _lost(rows))
        if not sure:
            return Showing(faults=faults, classes=classes)
        return Showing(faults=faults, classes=classes, sure=np.array(sure), right=np.array(right, dtype=np.bool_))

    def shown(self, prediction: Tagged) -> dict[str, Any]:
        """words, tags, spans with their places, and cut."""
        spans = [
            {"start": s.start, "end": s.end, "text": s.text, "label": s.kind, "probability": s.probability}
            for s in prediction.spans
        ]
        words, tags = list(prediction.words), list(prediction.tags)
        return {"words": words, "tags": tags, "spans": spans, "cut": prediction.cut}

    def record(self) -> dict[str, Any]:
        """The columns, where they were named."""
        columns: dict[str, Any] = {}
        if self.words_column is not None:
            columns["texts"] = [self.words_column]
        if self.tags_column is not None:
            columns["label"] = self.tags_column
        return {"columns": columns} if columns else {}

    def _tagged(self, row: TaggedRow, tags: tuple[str, ...], probabilities: Sequence[float]) -> Tagged:
        text, places = row.text, row.spans
        if text is None or places is None:
            text = " ".join(row.words)
            ends = np.cumsum([len(word) + 1 for word in row.words], dtype=np.int64) - 1
            places = tuple((int(end) - len(word), int(end)) for word, end in zip(row.words, ends, strict=True))
        if self._scheme is None:
            return Tagged(row.words, tags, (), text)
        bio2 = mend(tags, self._scheme)[0]
        spans = []
        for kind, first, last in entities(bio2):
            start, end = places[first][0], places[last - 1][1]
            probability = float(np.mean(probabilities[first:last]))
            spans.append(TaggedSpan(kind, start, end, text[start:end], (first, last), probability))
        return Tagged(row.words, bio2, tuple(spans), text)


def tag_labels(rows: Sequence[TaggedRow], path: Path) -> tuple[str, ...]:
    """The labels of a tagger that learns from these rows. Raises RowError where no word is of a span."""
    labels = labels_of_tags(row.tags or () for row in rows)
    if labels == (OUTSIDE,):
        raise RowError("every word is tagged O, so there is nothing to find", where=path, cure="give rows with spans")
    return labels


def balanced_tag_weights(rows: Sequence[TaggedRow], labels: Sequence[str]) -> list[float]:
    """Weights by which every tag counts as much as every other, 1 on average over the words.

    A tag that no word has, such as the I- of spans of one word, has the weight 1.
    """
    counts = Counter(tag for row in rows for tag in row.tags or ())
    return [counts.total() / (len(counts) * counts[label]) if counts[label] else 1.0 for label in labels]


def one_column(names: Sequence[str] | None) -> str | None:
    """The column that holds the words or the text; None where none is named. Raises SettingsError."""
    if names and len(names) > 1:
        what = f"`tag` reads 1 column, but {len(names)} are named: {', '.join(map(str, names))}"
        raise SettingsError(what, cure="give --text-column once")
    return names[0] if names else None


def tell(found: TaggedRows, path: Path, say: Callable[[str], None]) -> None:
    """Say what reading a file mended or left out."""
    if found.mended:
        say(f"{path}: {found.mended:,} tags were mended (read as {found.scheme}, as conlleval reads them)")
    if found.widened:
        say(f"{path}: {found.widened:,} spans do not begin and end where words do, and were taken for whole words")
    if found.lost:
        what = "spans share their only word with another"
        say(f"{path}: {found.lost:,} {what}: they can be neither learnt nor found, and count as missed")
    if found.left_out:
        say(f"{path}: {found.left_out:,} lines or rows without words were left out")


def _lost(rows: Sequence[TaggedRow]) -> list[str]:
    """The kinds of all gold spans that no tags tell."""
    return [kind for row in rows for kind in row.lost]


def _decided(window: Window, firsts: NDArray[np.int64]) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Which words a window decides, and where in it their first tokens stand."""
    start, end = window.decides
    words = np.flatnonzero((firsts >= start) & (firsts < end))
    return words, firsts[words] - window.first + window.offset
