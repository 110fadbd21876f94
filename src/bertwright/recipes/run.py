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
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from bertwright.checkpoints.model_directory import CONFIG
from bertwright.checkpoints.training_state import latest_state, read_state, write_state
from bertwright.errors import ModelError
from bertwright.files import hold, read_json, refuse_existing, storage_faults, to_json, write_atomic
from bertwright.training.loop import Trainee


class Run:
    """One training run on disk; made by `open_run`."""

    def __init__(self, out: Path) -> None:
        self.out = out
        self.folder = out / "run"
        self.checkpoints = self.folder / "checkpoints"
        self.metrics_path = self.folder / "metrics.jsonl"

    def save(self, trainee: Trainee, **extra: Any) -> None:
        """Save the state of the step reached."""
        write_state(self.checkpoints, trainee, extra)

    def restore(self, trainee: Trainee) -> dict[str, Any]:
        """Put the newest state into `trainee`; returns what was saved with it, empty where there is no state yet."""
        state = latest_state(self.checkpoints)
        values = read_state(state, trainee) if state else {}
        self._forget_after(trainee.step)
        return values

    def record(self, values: dict[str, Any]) -> None:
        """Add an object to metrics.jsonl."""
        with storage_faults(self.metrics_path), self.metrics_path.open("a", encoding="utf-8") as file:
            file.write(json.dumps(values) + "\n")

    def metrics(self) -> list[dict[str, Any]]:
        """All objects of metrics.jsonl; a last line cut by a kill is left out."""
        found = []
        if self.metrics_path.exists():
            for line in self.metrics_path.read_text(encoding="utf-8").splitlines():
                with contextlib.suppress(json.JSONDecodeError):
                    found.append(json.loads(line))
        return found

    def _forget_after(self, step: int) -> None:
        """Drop what was reported after the state that the run goes on from: those steps are done again."""
        kept = [values for values in self.metrics() if values["step"] <= step]
        write_atomic(self.metrics_path, "".join(json.dumps(values) + "\n" for values in kept).encode())


@contextmanager
def open_run(out: Path, identity: dict[str, Any], *, resume: bool, overwrite: bool) -> Iterator[Run]:
    """Open the run at `out` and keep other processes out of it until the block ends.

    `identity` is everything that the weights follow from. A new run writes it down; a resumed one must have the same.
    Raises ModelError, naming what differs, or UserFault where `out` holds something else.
    """
    run = Run(out)
    path = run.folder / "run.json"
    if resume:
        if not path.exists():
            raise ModelError("holds no run to go on with", where=out, cure="start it without --resume")
        known = read_json(path, ModelError)
        # Compared as JSON has it: a tuple and a list are one there.
        wanted = json.loads(json.dumps(identity))
        differing = sorted(key for key in known.keys() | wanted.keys() if known.get(key) != wanted.get(key))
        if differing:
            details = "; ".join(difference for key in differing for difference in _differences(key, known, wanted))
            raise ModelError(f"the run began otherwise: {details}", where=out, cure="resume it as it began")
        with storage_faults(out), hold(run.folder):
            yield run
        return
    if path.exists() and not overwrite:
        finished = "a finished run" if (out / CONFIG).exists() else "a run that was stopped"
        raise ModelError(f"holds {finished}", where=out, cure="go on with --resume, or begin anew with --overwrite")
    refuse_existing(out, overwrite=overwrite)
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
    return [f"`{key}` was {old!r} and is {new!r}"]
