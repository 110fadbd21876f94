"""Several fine-tunings of one model on the same rows, the best or the middle one of which becomes the model.

OUT/series/series.json       what all of them have in common
OUT/series/results.jsonl     one object for each that is finished: its name, settings and scores
OUT/series/NAME/             the runs; those that are not needed any more are removed
OUT/...                      in the end the run that was chosen
"""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from bertwright.checkpoints.configuration import CONFIG
from bertwright.checkpoints.model_directory import MODEL_FILES, read_model, write_card
from bertwright.checkpoints.record import RECORD
from bertwright.errors import ModelError
from bertwright.files import PARTIAL, beside, hold, refuse_existing, storage_faults, to_json, write_atomic
from bertwright.recipes.finetuning.settings import FinetuneSettings
from bertwright.recipes.finetuning.sitting import Finetuned
from bertwright.recipes.resuming import refuse_other

# Trains with the settings into the directory, going on with what is there.
Train = Callable[[FinetuneSettings, Path], Finetuned]


@dataclass(frozen=True, slots=True)
class Result:
    """A finished fine-tuning of a series: `settings` are those by which it differs from the others."""

    name: str
    settings: dict[str, Any]
    scores: dict[str, float]
    baseline: dict[str, float]
    labels: tuple[str, ...]
    best_by: str
    # What training it took, in all sittings.
    seconds: float = 0.0

    @property
    def score(self) -> float:
        """The score by which its best weights were chosen."""
        return self.scores[self.best_by]


class Series:
    """The runs of a series on disk; made by `open_series`."""

    def __init__(self, out: Path, train: Train) -> None:
        self.out = out
        self.folder = out / "series"
        self._train = train
        self._path = self.folder / "results.jsonl"
        self.results: dict[str, Result] = {}
        if self._path.exists():
            # Not splitlines(), to which a label may hold the end of a line.
            for line in self._path.read_text(encoding="utf-8").rstrip("\n").split("\n"):
                values = json.loads(line)
                self.results[values["name"]] = Result(**values | {"labels": tuple(values["labels"])})

    def run(self, name: str, settings: FinetuneSettings, differing: dict[str, Any]) -> Result:
        """Fine-tune with `settings`, unless that is done already; `differing` is what sets it apart from the rest."""
        place = self.folder / name
        if name in self.results:
            _lighten(place)
            return self.results[name]
        done = self._train(settings, place)
        result = Result(name, differing, done.scores, done.baseline, done.labels, done.best_by, done.seconds)
        self.results[name] = result
        lines = [json.dumps(asdict(each), ensure_ascii=False) + "\n" for each in self.results.values()]
        write_atomic(self._path, "".join(lines).encode())
        _lighten(place)
        return result

    def drop(self, name: str) -> None:
        """Remove the weights of a run that is not wanted; its result stays."""
        # config.json first: what is left of it must not look like a model.
        (self.folder / name / CONFIG).unlink(missing_ok=True)
        shutil.rmtree(self.folder / name, ignore_errors=True)

    def adopt(self, name: str, more: dict[str, Any]) -> None:
        """Make the run `name` the model of the whole directory; `more` goes into its record."""
        place = self.folder / name
        with storage_faults(self.out):
            # Once a file was moved, by a sitting that was killed, this was done before.
            if all((place / name).exists() for name in MODEL_FILES):
                loaded = read_model(place)
                record = loaded.record | more
                write_atomic(place / RECORD, to_json(record))
                # Its card bears the name of its place, and knows nothing of the other runs.
                write_card(place, loaded.model, loaded.labels, record, name=self.out.name)
            # config.json last: without it the directory is no model. What a kill left moved is not there any more.
            for entry in sorted(place.iterdir(), key=lambda entry: entry.name == CONFIG) if place.is_dir() else ():
                target = self.out / entry.name
                if target.is_dir():
                    shutil.rmtree(target)
                entry.replace(target)
        for other in self.results:
            self.drop(other)


@contextmanager
def open_series(
    out: Path, identity: dict[str, Any], train: Train, *, resume: bool, overwrite: bool
) -> Iterator[Series]:
    """Open the series at `out` and keep other processes out of it until the block ends.

    Raises ModelError where another series, or none, is there to go on with, or UserFault where `out` holds anything
    else.
    """
    folder = out / "series"
    path = folder / "series.json"
    if resume:
        refuse_other(path, out, identity, what="series", overwrite=overwrite)
    else:
        if path.exists() and not overwrite:
            cure = "go on with --resume, or begin anew with --overwrite"
            raise ModelError("holds a series of runs", where=out, cure=cure)
        if not path.exists() and not _hardly_begun(out):
            ours = (out / CONFIG).exists() or (out / "run" / "run.json").exists()
            refuse_existing(out, overwrite=("*",) if overwrite and ours else ())
    folder.mkdir(parents=True, exist_ok=True)
    with storage_faults(out), hold(folder):
        if not resume:
            # Until all else is gone it is a series that nothing goes on with; without series.json it would be none.
            if path.exists():
                write_atomic(path, to_json({}))
            (out / CONFIG).unlink(missing_ok=True)
            for entry in folder.iterdir():
                if entry != path:
                    shutil.rmtree(entry) if entry.is_dir() else entry.unlink()
            write_atomic(path, to_json(identity))
        yield Series(out, train)


def _lighten(place: Path) -> None:
    """Remove what it would take to go on: of a finished run it is not needed, and several times the model."""
    shutil.rmtree(place / "run" / "checkpoints", ignore_errors=True)
    (place / "run" / "best.safetensors").unlink(missing_ok=True)


def _hardly_begun(out: Path) -> bool:
    """Whether `out` is what a kill before the first file of a series leaves."""
    folder = out / "series"
    if not folder.is_dir() or any(entry != folder for entry in out.iterdir()):
        return False
    return all(entry == beside(folder / "series.json", PARTIAL) for entry in folder.iterdir())
