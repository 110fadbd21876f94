"""What a fine-tuning shows of its model when it is done; the pictures need matplotlib, the extra `report`."""

from __future__ import annotations

import importlib.util
import json
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from numpy.typing import NDArray

from bertwright.checkpoints.model_directory import DEV
from bertwright.files import storage_faults, to_json, write_atomic
from bertwright.metrics.calibration import calibration_error, reliability
from bertwright.recipes.finetuning.curve import draw_curve
from bertwright.recipes.finetuning.dev_folder import (
    CLASSES,
    CONFUSION,
    CURVE,
    ERRORS,
    RELIABILITY,
    SCATTER,
    clear_dev,
)
from bertwright.recipes.finetuning.pictures import draw_confusion, draw_reliability, draw_scatter
from bertwright.tasks.showing import Fault, Showing, worst_first
from bertwright.tasks.task import PredictionT, RowT, Task

# Lines of errors.jsonl: more than anyone reads, and little enough to open in an editor.
MOST_ERRORS = 1000


def show_on_dev(
    out: Path,
    rows: Sequence[RowT],
    plain: tuple[Task[RowT, PredictionT], Sequence[PredictionT]],
    tuned: tuple[Task[RowT, PredictionT], Sequence[PredictionT]],
    metrics: Sequence[dict[str, Any]],
    best_by: str,
    say: Callable[[str], None],
) -> dict[str, Any]:
    """Write OUT/dev anew, each file whole or absent; returns what bertwright.json tells of it.

    plain, tuned: the task before and after `tuned`, with its answers to the dev rows. metrics: those of metrics.jsonl.
    """
    before, after = plain[0].showing(rows, plain[1]), tuned[0].showing(rows, tuned[1])
    clear_dev(out)
    folder = out / DEV
    with storage_faults(folder):
        folder.mkdir(exist_ok=True)
    record: dict[str, Any] = {}
    if after.classes:
        record["classes"] = {label: score._asdict() for label, score in after.classes.items()}
        write_atomic(folder / CLASSES, to_json(record["classes"]))
    faults = worst_first(after.faults)
    record["errors"] = {"rows": len(faults), "written": len(faults[:MOST_ERRORS])}
    write_atomic(folder / ERRORS, "".join(_line(fault) for fault in faults[:MOST_ERRORS]).encode())
    if faults[MOST_ERRORS:]:
        say(f"{folder / ERRORS}: the worst {MOST_ERRORS:,} of {len(faults):,}; the others are left out")
    record |= _calibration(before, after, tuned[0])
    for sentence in tuned[0].chosen:
        say(f"chosen on dev: {sentence}")
    if importlib.util.find_spec("matplotlib") is None:
        say("pictures were not drawn: install matplotlib with pip install 'bertwright[report]'")
    else:
        _draw(folder, before, after, tuned[0].labels, metrics, best_by)
    say(f"classes, errors and pictures: {folder}")
    return record


def _line(fault: Fault) -> str:
    return json.dumps({**fault.row, **fault.answer, "loss": fault.loss}, ensure_ascii=False) + "\n"


def _calibration(before: Showing, after: Showing, task: Task[Any, Any]) -> dict[str, Any]:
    found: dict[str, Any] = {}
    if before.sure is not None and after.sure is not None:
        found["ece_before"] = calibration_error(reliability(before.sure, _right(before)))
        found["ece_after"] = calibration_error(reliability(after.sure, _right(after)))
    if task.chosen:
        found["chosen"] = list(task.chosen)
    return {"calibration": found} if found else {}


def _draw(
    folder: Path,
    before: Showing,
    after: Showing,
    labels: Sequence[str],
    metrics: Sequence[dict[str, Any]],
    best_by: str,
) -> None:
    if after.confusion is not None:
        draw_confusion(after.confusion, labels, folder / CONFUSION)
    if before.sure is not None and after.sure is not None:
        curves = [("as trained", before.sure, _right(before))]
        if (before.sure != after.sure).any():
            curves.append(("as chosen on dev", after.sure, _right(after)))
        draw_reliability(curves, folder / RELIABILITY)
    if after.gold is not None and after.measured is not None:
        draw_scatter(after.gold, after.measured, folder / SCATTER)
    draw_curve(metrics, best_by, folder / CURVE)


def _right(showing: Showing) -> NDArray[Any]:
    assert showing.right is not None
    return showing.right
