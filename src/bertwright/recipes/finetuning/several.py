"""A search for settings, several seeds, or both: fine-tunings that end in one model."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from bertwright.checkpoints.model_directory import read_model
from bertwright.errors import ModelError, SettingsError
from bertwright.files import sha256
from bertwright.metrics.intervals import Interval
from bertwright.progress import Progress
from bertwright.recipes.evaluate import evaluate
from bertwright.recipes.finetuning.checks import check_wish
from bertwright.recipes.finetuning.finetune import finetune
from bertwright.recipes.finetuning.identity import identity_of
from bertwright.recipes.finetuning.search import check_grid, refuse_without_optuna, search
from bertwright.recipes.finetuning.seeds import repeat
from bertwright.recipes.finetuning.series import Result, open_series
from bertwright.recipes.finetuning.settings import FinetuneSettings
from bertwright.recipes.finetuning.sitting import Finetuned
from bertwright.training.world import alone


@dataclass(frozen=True, slots=True)
class Several:
    """The model that was kept, the scores of all seeds, and the settings that a search found."""

    kept: Finetuned
    seed: int | None
    intervals: dict[str, Interval]
    found: dict[str, Any]
    # The runs of the seeds, in their order.
    runs: tuple[Result, ...] = ()


def finetune_several(
    source: Path,
    task: str,
    train_file: Path,
    dev_file: Path,
    out: Path,
    *,
    test_file: Path | None = None,
    settings: FinetuneSettings,
    seeds: int = 1,
    grid: Mapping[str, Sequence[Any]] | None = None,
    trials: int | None = None,
    resume: bool = False,
    overwrite: bool = False,
    from_scratch: bool = False,
    tensorboard: bool = False,
    progress: Progress,
) -> Several:
    """Fine-tune with every combination of `grid`, then with the best of them, or the settings as given, `seeds` times.

    `out` becomes the model directory of the run of the median score, or of the best of the search. With `trials` Optuna
    chooses so many combinations. On the rows of `test_file` each run is scored before it may be dropped, as `test_...`
    beside its scores on dev; they choose nothing. A search and its seeds that were stopped go on with `resume`.
    Raises Stopped after saving, or UserFault.
    """
    device = alone().device
    check_wish(task, (train_file, dev_file, *(() if test_file is None else (test_file,))))
    loaded = read_model(source)
    if trials is not None:
        if grid is None:
            raise SettingsError("`--trials` samples from what `--search` gives", cure="give --search too")
        refuse_without_optuna()
    if grid is not None:
        check_grid(settings, grid, task, loaded.model.config, loaded.longest)
    if source.resolve() == out.resolve():
        raise ModelError("is the model to start from, and would be lost", where=out, cure="choose another --out")
    identity = {
        **identity_of(loaded, task, train_file, dev_file, settings, from_scratch=from_scratch, device=device),
        "test": None if test_file is None else sha256(test_file),
        "seeds": seeds,
        "search": grid,
        "trials": trials,
    }

    def train(chosen: FinetuneSettings, place: Path) -> Finetuned:
        done = finetune(
            source,
            task,
            train_file,
            dev_file,
            place,
            settings=chosen,
            resume=(place / "run" / "run.json").exists(),
            from_scratch=from_scratch,
            tensorboard=tensorboard,
            progress=progress,
        )
        if test_file is None:
            return done
        found = evaluate(place, test_file, on_error=settings.on_error, progress=progress)
        told = ", ".join(f"{name} {value:.4f}" for name, value in found.items())
        progress.say(f"test: {told}")
        return replace(done, scores=done.scores | {f"test_{name}": value for name, value in found.items()})

    with open_series(out, identity, train, resume=resume, overwrite=overwrite) as series:
        more: dict[str, Any] = {}
        kept: Result | None = None
        if grid is not None:
            kept = search(series, settings, grid, progress, trials=trials)
            tried = [each for each in series.results.values() if each.name.startswith("trial-")]
            more["search"] = {
                "best": kept.settings,
                "tried": [{"settings": each.settings, kept.best_by: each.score} for each in tried],
            }
            settings = settings.from_values(settings.model_dump() | kept.settings)
        intervals: dict[str, Interval] = {}
        runs: tuple[Result, ...] = ()
        seed = None
        if seeds > 1 or kept is None:
            repeated = repeat(series, settings, seeds, progress)
            kept, seed, intervals = repeated.kept, repeated.seed, repeated.intervals
            runs = repeated.runs
            more["seeds"] = {
                "kept": seed,
                "scores": {name: found._asdict() for name, found in intervals.items()},
            }
        series.adopt(kept.name, more)
        found = more.get("search", {}).get("best", {})
        finished = Finetuned(out, kept.scores, kept.baseline, kept.labels, kept.best_by, kept.seconds)
        return Several(finished, seed, intervals, found, runs)
