"""A model as it is, adapted to a field, to a task, to both -> what each is worth to the task, over several seeds."""

from __future__ import annotations

import shutil
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import mean
from typing import Any

from bertwright.checkpoints.configuration import CONFIG
from bertwright.checkpoints.model_directory import read_model, write_card
from bertwright.checkpoints.record import RECORD
from bertwright.errors import ModelError, SettingsError, Stopped, UserFault
from bertwright.files import new_directory, read_json, sha256, to_json, write_atomic
from bertwright.progress import Progress
from bertwright.recipes.adapting.adapt import adapt
from bertwright.recipes.adapting.settings import AdaptSettings
from bertwright.recipes.finetuning.identity import identity_of
from bertwright.recipes.finetuning.settings import FinetuneSettings
from bertwright.recipes.finetuning.several import Several, finetune_several
from bertwright.recipes.laddering.checks import Files, adapting_rows, check_rows, check_texts, read_texts
from bertwright.recipes.laddering.folder import Folder, open_folder, refuse_folder
from bertwright.recipes.laddering.outcome import Climbed, Rung, best_rung
from bertwright.recipes.laddering.picture import draw_ladder
from bertwright.recipes.laddering.rungs import BOTH, FIELD, GENERAL, TASK, chosen_rungs
from bertwright.training.world import alone


def climb(
    source: Path,
    task: str,
    train_file: Path,
    dev_file: Path,
    out: Path,
    *,
    field: Sequence[str] = (),
    test_file: Path | None = None,
    general: Sequence[str] = (),
    rungs: Sequence[str] | None = None,
    seeds: int = 3,
    extend: int = 0,
    adapting: AdaptSettings | None = None,
    settings: FinetuneSettings | None = None,
    workers: int | None = None,
    resume: bool = False,
    overwrite: bool = False,
    progress: Progress,
) -> Climbed:
    """Adapt and fine-tune a model for each rung, with the same seeds and settings, and tell the rungs by their scores.

    field: the field's text. general: text of which a sample is watched while adapting. extend: words of the field to
    add, on the rungs that see the field. The task's own text is that of the training rows alone. Without `test_file`
    the rungs are told by dev. `out` becomes a ladder's directory. Raises Stopped after saving, or UserFault.
    """
    settings = settings or FinetuneSettings()
    adapting = adapting_rows(task, adapting or AdaptSettings(), settings)
    chosen = chosen_rungs(rungs, field=bool(field))
    if seeds < 2:
        raise SettingsError("`--seeds` must be 2 or more: one run shows no spread", cure="3 are the least to look at")
    if extend and not field:
        raise SettingsError("`--extend` adds words of the field, and there is no --field", cure="name its text")
    if out.resolve() in (source.resolve(), *source.resolve().parents):
        raise ModelError("holds the model to start from, which would be lost", where=out, cure="choose another --out")
    files = Files(train_file, dev_file, test_file)
    loaded = read_model(source)
    check_texts(field, general, files, loaded, adapting)
    rows = check_rows(task, files, loaded, settings, adapting, progress)
    identity = {
        "command": "ladder",
        **identity_of(loaded, task, train_file, dev_file, settings, from_scratch=False, device=alone().device),
        "test": None if test_file is None else sha256(test_file),
        "field": list(field),
        "general": list(general),
        "extend": extend,
        "rungs": list(chosen),
        "seeds": seeds,
        "adapting": adapting.model_dump(exclude={"machine"}),
    }
    # Reading may take minutes: what is wrong with the directory is told before.
    refuse_folder(out, identity, resume=resume, overwrite=overwrite)
    if not resume:
        read_texts(field, general, adapting, progress)
    with open_folder(out, identity, resume=resume, overwrite=overwrite) as folder:
        whole = _Climb(
            folder, source, task, files, field, general, extend, seeds, adapting, settings, workers, progress
        )
        try:
            found = whole.go(chosen, rows)
        except UserFault:
            # What is wrong was found at once, and there is nothing to go on with.
            if not resume and not folder.has_work:
                folder.forget()
            raise
        whole.keep_best(found)
        write_atomic(folder.markdown, found.markdown().encode())
        if not draw_ladder(found, folder.picture):
            progress.say("no picture: matplotlib is not installed; pip install 'bertwright[report]'")
        write_atomic(folder.json, to_json(found.as_json()))
        return found


@dataclass(frozen=True, slots=True)
class _Climb:
    """One sitting of a ladder: what is done already is passed over."""

    folder: Folder
    source: Path
    task: str
    files: Files
    field: Sequence[str]
    general: Sequence[str]
    extend: int
    seeds: int
    adapting: AdaptSettings
    settings: FinetuneSettings
    workers: int | None
    progress: Progress

    def go(self, chosen: Sequence[str], rows: int) -> Climbed:
        """All rungs in their order."""
        done: list[Rung] = []
        several: dict[str, Several] = {}
        for number, name in enumerate(chosen, start=1):
            self.progress.say(f"rung {name}, {number} of {len(chosen)}:")
            try:
                adaptations = self._adapt(name)
                several[name] = self._fine_tune(name)
            except Stopped as stop:
                raise Stopped(f"rung {name}: {stop}", stop.signal_number) from None
            done.append(_rung(name, several[name], adaptations))
        metric = several[GENERAL].kept.best_by
        best = best_rung(done, metric)
        scored_on, _ = self.files.scored
        kept_seed = several[best].seed
        assert kept_seed is not None
        baseline = several[GENERAL].kept.baseline
        return Climbed(self.folder.out, self.task, metric, scored_on, rows, tuple(done), best, kept_seed, baseline)

    def _adapt(self, rung: str) -> list[dict[str, Any]]:
        """Make the model that a rung is fine-tuned from; returns what the adaptations on the way to it found."""
        train = [str(self.files.train)]
        if rung == FIELD:
            return [self._adapted(FIELD, self.source, self.field, (), self.extend)]
        if rung == TASK:
            return [self._adapted(TASK, self.source, (), train, 0)]
        if rung == BOTH:
            # The field's model is made once, and also where its own rung is not wanted.
            before = self._adapted(FIELD, self.source, self.field, (), self.extend)
            return [before, self._adapted(BOTH, self.folder.model(FIELD), (), train, 0)]
        return []

    def _adapted(
        self, rung: str, source: Path, field: Sequence[str], rows: Sequence[str], extend: int
    ) -> dict[str, Any]:
        out, path = self.folder.model(rung), self.folder.adapted(rung)
        if not path.exists():
            # A kill may have left the folder before there was a run in it.
            resume = (out / "run" / "run.json").exists()
            out.mkdir(parents=True, exist_ok=True)
            done = adapt(
                source,
                field,
                out,
                task_data=rows,
                general=self.general,
                extend=extend,
                settings=self.adapting,
                workers=self.workers,
                resume=resume,
                progress=self.progress,
            )
            for line in (*done.table(), *done.advice):
                self.progress.say(line)
            measured = done.as_json()["measured"]
            write_atomic(path, to_json({"seconds": done.seconds, "measured": measured, "advice": list(done.advice)}))
        # Shards, and several times the model: the model that came out needs none of it.
        shutil.rmtree(out / "adapt", ignore_errors=True)
        return read_json(path, ModelError)

    def _fine_tune(self, rung: str) -> Several:
        place = self.folder.seeds(rung)
        begun = (place / "series" / "series.json").exists()
        if not begun:
            # A kill may have left the folder before there was a series in it.
            shutil.rmtree(place, ignore_errors=True)
        return finetune_several(
            self.source if rung == GENERAL else self.folder.model(rung),
            self.task,
            self.files.train,
            self.files.dev,
            place,
            test_file=self.files.test,
            settings=self.settings,
            seeds=self.seeds,
            resume=begun,
            progress=self.progress,
        )

    def keep_best(self, found: Climbed) -> None:
        """Give the model of the best rung its place, and remove those of the others."""
        place = self.folder.seeds(found.best)
        if not self.folder.best.exists():
            with new_directory(self.folder.best, say=self.progress.say) as partial:
                for entry in _of_model(place):
                    copy = shutil.copytree if entry.is_dir() else shutil.copy2
                    copy(entry, partial / entry.name)
                loaded = read_model(partial)
                told = {"rungs": [{"rung": rung.name, found.metric: mean(found.values(rung))} for rung in found.rungs]}
                record = loaded.record | {"ladder": {"rung": found.best, "scored_on": found.scored_on, **told}}
                write_atomic(partial / RECORD, to_json(record))
                # The card that it has bears the name of another folder.
                write_card(partial, loaded.model, loaded.labels, record, name=found.out.name)
        for rung in found.rungs:
            seeds = self.folder.seeds(rung.name)
            # config.json first: what is left of it must not look like a model.
            (seeds / CONFIG).unlink(missing_ok=True)
            for entry in _of_model(seeds):
                shutil.rmtree(entry) if entry.is_dir() else entry.unlink()


def _of_model(seeds: Path) -> list[Path]:
    """All that a fine-tuning leaves but how it went."""
    return [entry for entry in seeds.iterdir() if entry.name not in ("run", "series")]


def _rung(name: str, several: Several, adaptations: Sequence[dict[str, Any]]) -> Rung:
    runs = several.runs
    scores = {score: tuple(run.scores[score] for run in runs) for score in several.intervals}
    adapting = sum(float(each["seconds"]) for each in adaptations)
    measured = tuple(adaptations[-1]["measured"]) if adaptations else ()
    return Rung(name, scores, adapting, sum(run.seconds for run in runs), measured)
