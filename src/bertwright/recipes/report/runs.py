"""A run as the report needs it: what it is, and what it recorded, figure by figure."""

from __future__ import annotations

import json
import math
from array import array
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from bertwright.errors import ModelError
from bertwright.files import read_json, storage_faults
from bertwright.progress import Progress
from bertwright.text.characters import printable

LONGEST_NAME = 60
_CURE = "give an --out of pretrain, adapt or finetune"
# Of a row, what is no figure over the steps.
_NO_FIGURES = frozenset({"step", "seconds", "tokens_seen", "event"})
_BY_FREQUENCY = "held_out_by_frequency"
_MOST_KINDS = 1000
_LONGEST_EVENT = 200
_TELL_EVERY = 10_000

Values = NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Series:
    """One figure of a run, (n,) each: its values and where they were measured.

    seconds and tokens: of the run until then; NaN where no report before has told them.
    """

    steps: Values
    seconds: Values
    tokens: Values
    values: Values

    def along(self, axis: str) -> tuple[Values, Values]:
        """Where on an axis (`steps`, `seconds`, `tokens`) the values stand, as far as that is known, and the values."""
        places: Values = getattr(self, axis)
        known = np.isfinite(places)
        order = np.argsort(places[known], kind="stable")
        return places[known][order], self.values[known][order]


@dataclass(slots=True)
class Event:
    """What happened in a run, as often as it happened with the same words."""

    what: str
    steps: array[float] = field(default_factory=lambda: array("d"))
    seconds: array[float] = field(default_factory=lambda: array("d"))
    tokens: array[float] = field(default_factory=lambda: array("d"))


@dataclass(frozen=True, slots=True)
class Band:
    """Hidden words that stand `least` to `most` times in the training text, and what was measured on them."""

    least: int
    most: int
    words: int
    unigram_accuracy: float
    unigram_loss: float
    accuracy: Series
    loss: Series


@dataclass(frozen=True, slots=True)
class RunRecord:
    """A run; seconds and tokens are NaN where it told none.

    `left_out` counts lines of its metrics that are no reports, `not_finite` values that are infinite or no numbers.
    """

    name: str
    identity: dict[str, Any]
    figures: dict[str, Series]
    bands: tuple[Band, ...]
    events: tuple[Event, ...]
    reports: int
    last_step: int
    seconds: float
    tokens: float
    left_out: int
    not_finite: dict[str, int]


def read_runs(paths: Sequence[Path], progress: Progress) -> list[RunRecord]:
    """Read runs, each from its output directory or the `run` in it. Raises ModelError, StorageError or UserFault."""
    folders = [_folder(path) for path in paths]
    resolved = [folder.resolve() for folder in folders]
    for number, folder in enumerate(resolved):
        if folder in resolved[:number]:
            raise ModelError("is given twice", where=paths[number], cure="give each run once")
    names = _names([folder.parent if folder.name == "run" else folder for folder in resolved])
    # A name may hold anything that a file's name may: from here on it can be shown anywhere.
    shown = [printable(name, LONGEST_NAME) for name in names]
    found = [_read(folder, name, progress) for folder, name in zip(folders, shown, strict=True)]
    for run in found:
        if run.left_out:
            progress.say(f"{run.name}: {run.left_out:,} lines of its metrics.jsonl are no reports; left out")
    return found


def _names(outs: Sequence[Path]) -> list[str]:
    """Each directory's name, with as many of the folders above it as tell all of them apart."""
    names = [out.name for out in outs]
    depth = 1
    while len(set(names)) < len(names) and depth < max(len(out.parts) for out in outs):
        depth += 1
        names = ["/".join(out.parts[-depth:]) for out in outs]
    return names


def _folder(path: Path) -> Path:
    for folder in (path / "run", path):
        if (folder / "run.json").is_file():
            return folder
    if not path.is_dir():
        raise ModelError("is no directory" if path.exists() else "no such directory", where=path, cure=_CURE)
    raise ModelError("holds no run", where=path, cure=_CURE)


def _read(folder: Path, name: str, progress: Progress) -> RunRecord:
    identity = read_json(folder / "run.json", ModelError)
    path = folder / "metrics.jsonl"
    if not path.is_file():
        raise ModelError("the run has reported nothing yet", where=folder, cure="wait for its first report")
    reader = _Reader()
    with storage_faults(path), progress.task(f"reading {name}", None, "reports") as task:
        for line in _lines(path):
            reader.take(line)
            if reader.rows % _TELL_EVERY == 0:
                task.update(reader.rows)
        task.update(reader.rows)
    if not reader.rows:
        if reader.left_out:
            raise ModelError("no line of it is a report of a run", where=path, cure=_CURE)
        raise ModelError("the run has reported nothing yet", where=folder, cure="wait for its first report")
    return RunRecord(
        name=name,
        identity=identity,
        figures=reader.figures(),
        bands=reader.bands(),
        events=tuple(reader.events.values()),
        reports=reader.rows,
        last_step=int(reader.last_step),
        seconds=reader.seconds,
        tokens=reader.tokens,
        left_out=reader.left_out,
        not_finite=dict(reader.not_finite),
    )


def _lines(path: Path) -> Iterator[bytes]:
    """Each line but a last one without its end, which was cut by a kill, or is being written."""
    with path.open("rb") as file:
        for line in file:
            if line.endswith(b"\n"):
                yield line


class _Column:
    """A figure while it is read: numbers side by side, for millions of rows as objects would not fit in memory."""

    def __init__(self) -> None:
        self.rows = array("L")
        self.values = array("d")

    def add(self, row: int, value: float) -> None:
        self.rows.append(row)
        self.values.append(value)


class _Reader:
    """Takes the lines of metrics.jsonl one after the other."""

    def __init__(self) -> None:
        self.columns: dict[str, _Column] = {}
        self.events: dict[str, Event] = {}
        self.not_finite: Counter[str] = Counter()
        self.rows = self.left_out = 0
        # Where each row stands. Evaluations and events tell no time of their own: theirs is that of the report before.
        self._places = tuple(array("d") for _ in range(3))
        self.last_step, self.seconds, self.tokens = 0.0, math.nan, math.nan
        self._bands: dict[tuple[int, int], tuple[_Column, _Column, dict[str, Any]]] = {}

    def take(self, line: bytes) -> None:
        """Take one line; one that is no report is counted."""
        try:
            row = json.loads(line)
        except (ValueError, RecursionError):
            row = None
        step = _number(row.get("step")) if isinstance(row, dict) else None
        if step is None or not math.isfinite(step):
            self.left_out += bool(line.strip())
            return
        assert isinstance(row, dict)
        self.last_step = max(self.last_step, step)
        self.seconds = _or(row.get("seconds"), self.seconds)
        self.tokens = _or(row.get("tokens_seen"), self.tokens)
        number, self.rows = self.rows, self.rows + 1
        for column, place in zip(self._places, (step, self.seconds, self.tokens), strict=True):
            column.append(place)
        if isinstance(row.get("event"), str):
            # Its numbers tell of that moment only, and are no points of a curve.
            self._take_event(step, row)
            return
        for key, told in row.items():
            value = None if key in _NO_FIGURES else _number(told)
            if value is None:
                continue
            if math.isfinite(value):
                if key not in self.columns:
                    self.columns[key] = _Column()
                self.columns[key].add(number, value)
            else:
                self.not_finite[key] += 1
        bands = row.get(_BY_FREQUENCY)
        for band in bands if isinstance(bands, list) else ():
            self._take_band(number, band)

    def _take_event(self, step: float, row: dict[str, Any]) -> None:
        more = [f"{key} {_short(told)}" for key, told in row.items() if key not in _NO_FIGURES]
        what = printable(", ".join([row["event"], *more]), _LONGEST_EVENT)
        if what not in self.events and len(self.events) >= _MOST_KINDS:
            what = "others"
        event = self.events.setdefault(what, Event(what))
        event.steps.append(step)
        event.seconds.append(self.seconds)
        event.tokens.append(self.tokens)

    def _take_band(self, number: int, band: object) -> None:
        if not isinstance(band, dict):
            return
        names = ("from", "to", "words", "accuracy", "loss", "unigram_accuracy", "unigram_loss")
        values = [_number(band.get(name)) for name in names]
        if any(value is None or not math.isfinite(value) for value in values):
            return
        least, most, _, accuracy, loss, *_ = (value for value in values if value is not None)
        accuracies, losses, _ = self._bands.setdefault((int(least), int(most)), (_Column(), _Column(), band))
        accuracies.add(number, accuracy)
        losses.add(number, loss)

    def figures(self) -> dict[str, Series]:
        """Each figure that any row has."""
        return {key: self._series(column) for key, column in self.columns.items()}

    def _series(self, column: _Column) -> Series:
        rows = np.array(column.rows, dtype=np.int64)
        steps, seconds, tokens = (np.frombuffer(place, dtype=np.float64)[rows] for place in self._places)
        return Series(steps, seconds, tokens, np.array(column.values, dtype=np.float64))

    def bands(self) -> tuple[Band, ...]:
        """The bands met, rarest words first; their words are the same at every evaluation."""
        return tuple(
            Band(
                *limits,
                words=int(first["words"]),
                unigram_accuracy=float(first["unigram_accuracy"]),
                unigram_loss=float(first["unigram_loss"]),
                accuracy=self._series(accuracies),
                loss=self._series(losses),
            )
            for limits, (accuracies, losses, first) in sorted(self._bands.items())
        )


def _number(value: object) -> float | None:
    """A number of JSON as a float; infinite where it is too large for one, None where it is something else."""
    if type(value) is float:
        return value
    if type(value) is not int:  # and no bool
        return None
    try:
        return float(value)
    except OverflowError:
        return math.inf


def _or(value: object, other: float) -> float:
    number = _number(value)
    return other if number is None or not math.isfinite(number) else number


def _short(value: object) -> str:
    return f"{value:.4g}" if isinstance(value, float) else str(value)
