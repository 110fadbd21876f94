"""A run's directory: the model to be, and under `run/` all that it takes to go on.

OUT/run/run.json          what the run is: recipe, data, start
OUT/run/metrics.jsonl     one object a report
OUT/run/checkpoints/      the newest training state
OUT/run/curves.png        drawn from metrics.jsonl
OUT/...                   the model directory, once there is a model
"""

from __future__ import annotations

import contextlib
import json
import shutil
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from bertwright.batches.loading import ahead
from bertwright.checkpoints.model_directory import CONFIG, MODEL_FILES
from bertwright.checkpoints.training_state import latest_state, read_state, write_state
from bertwright.errors import ModelError, Stopped
from bertwright.files import PARTIAL, hold, read_json, refuse_existing, storage_faults, to_json, write_atomic
from bertwright.heads.model import Bert
from bertwright.progress import Progress
from bertwright.training.loop import BatchT, Hooks, Report, Trainee, train
from bertwright.training.settings import TrainingSettings
from bertwright.training.signals import stop_wishes

# Differences from the settings that a run began with, to be told at once.
_TOLD = 8


class Run:
    """One training run on disk; made by `open_run`."""

    def __init__(self, out: Path, progress: Progress) -> None:
        self.out = out
        self.progress = progress
        self.folder = out / "run"
        self.checkpoints = self.folder / "checkpoints"
        self.metrics_path = self.folder / "metrics.jsonl"
        self._earlier_seconds = 0.0
        self._begun = time.perf_counter()

    @property
    def seconds(self) -> float:
        """Time spent on the run, in this sitting and in those before it that were saved."""
        return self._earlier_seconds + time.perf_counter() - self._begun

    def save(self, trainee: Trainee, **extra: Any) -> None:
        """Save the state of the step reached."""
        write_state(self.checkpoints, trainee, {"seconds": self.seconds, **extra})

    def restore(self, trainee: Trainee, steps: int) -> dict[str, Any]:
        """Put the newest state into `trainee`; returns what was saved with it, empty where there is no state yet."""
        for partial in sorted(self.checkpoints.glob(f".*{PARTIAL}")):
            self.progress.say(f"{partial}: a checkpoint left unfinished when the run was killed; removed")
            shutil.rmtree(partial)
        state = latest_state(self.checkpoints)
        values = read_state(state, trainee) if state else {}
        if values:
            self._earlier_seconds = float(values.get("seconds", 0))
            self.progress.say(f"going on from step {trainee.step:,} of {steps:,}")
        self._forget_after(trainee.step)
        return values

    def train(
        self,
        title: str,
        trainee: Trainee,
        settings: TrainingSettings,
        *,
        batches: Iterable[BatchT],
        objective: Callable[[Bert, BatchT], tuple[Tensor, dict[str, Tensor]]],
        dtype: torch.dtype,
        headline: Callable[[dict[str, float]], str],
        evaluate: Callable[[int, Callable[[str], None]], None],
        save: Callable[[int], None],
    ) -> None:
        """Train to the last step, recording and showing each report.

        `headline` is what the bar shows of a report's figures; `evaluate` is given the step and a function that shows
        how far it is. The rest is as in `bertwright.training.loop.train`. Raises Stopped after saving.
        """
        with self.progress.task(title, settings.steps, "steps") as bar, stop_wishes() as wish:
            bar.update(trainee.step)

            def report(found: Report) -> None:
                rates = {"learning_rate": found.learning_rate, "tokens_per_second": found.tokens_per_second}
                self.record({"step": found.step, **found.figures, **rates, "seconds": self.seconds})
                bar.update(found.step, f"{headline(found.figures)}  {found.tokens_per_second:,.0f} tokens/s")

            def measure(step: int) -> None:
                evaluate(step, lambda figures: bar.update(step, figures))

            finished = train(
                trainee,
                settings,
                batches=ahead(batches),
                objective=objective,
                dtype=dtype,
                hooks=Hooks(report=report, evaluate=measure, save=save),
                wish=wish,
            )
        if not finished:
            assert wish.signal_number is not None
            message = f"stopped at step {trainee.step:,} of {settings.steps:,} and saved; go on with --resume"
            raise Stopped(message, wish.signal_number)

    def record(self, values: dict[str, Any]) -> None:
        """Add an object to metrics.jsonl."""
        with storage_faults(self.metrics_path), self.metrics_path.open("a", encoding="utf-8") as file:
            file.write(json.dumps(values) + "\n")

    def metrics(self) -> list[dict[str, Any]]:
        """All objects of metrics.jsonl; a last line cut by a kill is left out."""
        found = []
        if self.metrics_path.exists():
            for line in self.metrics_path.read_text(encoding="utf-8", errors="replace").splitlines():
                with contextlib.suppress(json.JSONDecodeError):
                    values = json.loads(line)
                    if isinstance(values, dict) and isinstance(values.get("step"), int):
                        found.append(values)
        return found

    def _forget_after(self, step: int) -> None:
        """Drop what was reported after the state that the run goes on from: those steps are done again."""
        kept = [values for values in self.metrics() if values["step"] <= step]
        write_atomic(self.metrics_path, "".join(json.dumps(values) + "\n" for values in kept).encode())


@contextmanager
def open_run(
    out: Path, identity: dict[str, Any], *, resume: bool, overwrite: bool, progress: Progress
) -> Iterator[Run]:
    """Open the run at `out` and keep other processes out of it until the block ends.

    `identity` is everything that the weights follow from. A new run writes it down; a resumed one must have the same.
    Raises ModelError, naming what differs, or UserFault where `out` holds something else.
    """
    run = Run(out, progress)
    path = run.folder / "run.json"
    if resume:
        if not path.exists():
            raise ModelError("holds no run to go on with", where=out, cure="start it without --resume")
        known = read_json(path, ModelError)
        # Compared as JSON has it: a tuple and a list are one there.
        wanted = json.loads(json.dumps(identity))
        differing = sorted(key for key in known.keys() | wanted.keys() if known.get(key) != wanted.get(key))
        if differing:
            details = [difference for key in differing for difference in _differences(key, known, wanted)]
            more = f" and {len(details) - _TOLD} more" if len(details) > _TOLD else ""
            cure = "resume it with the recipe and every --set that it began with"
            raise ModelError(f"the run began otherwise: {'; '.join(details[:_TOLD])}{more}", where=out, cure=cure)
        with storage_faults(out), hold(run.folder):
            yield run
        return
    if path.exists() and not overwrite:
        finished = "a finished run" if (out / CONFIG).exists() else "a run that was stopped"
        raise ModelError(f"holds {finished}", where=out, cure="go on with --resume, or begin anew with --overwrite")
    # Beside a run anything may lie, and stays: only the run is begun anew. Where there is no run, only a model is.
    replaceable: Sequence[str] = ("*",) if path.exists() else MODEL_FILES
    refuse_existing(out, overwrite=replaceable if overwrite else ())
    with storage_faults(out):
        run.folder.mkdir(parents=True, exist_ok=True)
        with hold(run.folder):
            (out / CONFIG).unlink(missing_ok=True)
            shutil.rmtree(run.checkpoints, ignore_errors=True)
            run.metrics_path.unlink(missing_ok=True)
            run.checkpoints.mkdir()
            write_atomic(path, to_json(identity))
            yield run


def _differences(key: str, known: dict[str, Any], wanted: dict[str, Any]) -> list[str]:
    old, new = known.get(key), wanted.get(key)
    if isinstance(old, dict) and isinstance(new, dict):
        inner = sorted(name for name in old.keys() | new.keys() if old.get(name) != new.get(name))
        return [difference for name in inner for difference in _differences(name, old, new)]
    return [f"`{key}` was {_short(old)} and is {_short(new)}"]


def _short(value: Any) -> str:
    told = repr(value)
    return told if len(told) <= 80 else told[:77] + "..."
