"""The tables of a report: final figures, what happened, and how the recipes differ."""

from __future__ import annotations

import json
import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from bertwright.recipes.report.panels import FIGURES, MEASURED, figure_of, split_name
from bertwright.recipes.report.runs import RunRecord, Series
from bertwright.recipes.report.scales import exact, time_unit
from bertwright.text.characters import printable

NOTHING = "–"
_MOST_EVENTS = 50
_LONGEST_VALUE = 60
_DEEPEST = 8
_SHORT = {"days": "days", "hours": "h", "minutes": "min", "seconds": "s"}


@dataclass(frozen=True, slots=True)
class Table:
    """Cells as text, of two lines where there is a newline.

    `run_rows` and `run_columns` say whether the rows, or the columns after the first, are the runs in order.
    """

    header: tuple[str, ...]
    rows: list[tuple[str, ...]]
    run_rows: bool = False
    run_columns: bool = False


def final_figures(runs: Sequence[RunRecord]) -> Table:
    """A row a run: how far it is, and the last value of each figure; of measured ones the best, where that is another.

    Training's own values are told only where nothing was measured: they are of fewer words and differ with each batch.
    """
    found = {split_name(key) for run in runs for key in run.figures}
    names = [name for name, figure in FIGURES.items() if figure.section == "Learning"]
    columns = [(prefix, name) for name in names for prefix in MEASURED if (prefix, name) in found]
    columns = columns or [("", name) for name in names if ("", name) in found]
    header = ["run", "step", "time", *(_column(prefix, name) for prefix, name in columns), "tokens/s, median"]
    rows = []
    for run in runs:
        cells = [run.name, _progress(run), _time(run.seconds)]
        cells += [_last(run.figures.get(prefix + name), prefix, name) for prefix, name in columns]
        rate = run.figures.get("tokens_per_second")
        cells.append(NOTHING if rate is None else f"{np.median(rate.values):,.0f}")
        rows.append(tuple(cells))
    return Table(tuple(header), rows, run_rows=True)


def events(runs: Sequence[RunRecord]) -> Table:
    """What happened, how often, and at which steps; the first of each run come first."""
    rows: list[tuple[str, ...]] = []
    for run in runs:
        told = sorted(run.events, key=lambda event: event.steps[0])
        for event in told[:_MOST_EVENTS]:
            steps = f"{event.steps[0]:,.0f}", f"{max(event.steps):,.0f}" if len(event.steps) > 1 else ""
            rows.append((run.name, event.what, f"{len(event.steps):,}", *steps))
        if len(told) > _MOST_EVENTS:
            rows.append((run.name, f"and {len(told) - _MOST_EVENTS:,} kinds more", "", "", ""))
    return Table(("run", "what", "times", "at step", "last at"), rows)


def differences(runs: Sequence[RunRecord]) -> tuple[Table, Table]:
    """The settings in which the runs differ, and those that all have in common; names as `--set` takes them."""
    flat = [dict(_flat(run.identity)) for run in runs]
    keys = list(dict.fromkeys(key for settings in flat for key in settings))
    different: list[tuple[str, ...]] = []
    common: list[tuple[str, ...]] = []
    for key in keys:
        values = [settings.get(key, NOTHING) for settings in flat]
        if len(set(values)) > 1:
            different.append((key, *map(_shown, values)))
        else:
            common.append((key, _shown(values[0])))
    names = tuple(run.name for run in runs)
    return Table(("setting", *names), different, run_columns=True), Table(("setting", "value"), common)


def _flat(values: dict[str, Any], before: str = "") -> list[tuple[str, str]]:
    found = []
    for key, value in values.items():
        # `recipe` and `settings` are what --set speaks of; it does not name them.
        name = before if not before and key in ("recipe", "settings") and isinstance(value, dict) else f"{before}{key}"
        if isinstance(value, dict) and name.count(".") < _DEEPEST:
            found += _flat(value, f"{name}." if name else "")
        else:
            told = value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
            found.append((name, "none" if value is None else told))
    return found


def _shown(value: str) -> str:
    # Only now: two long values may differ in what is cut off.
    return printable(value, _LONGEST_VALUE)


def _column(prefix: str, name: str) -> str:
    return f"{MEASURED[prefix] if prefix else 'training'} {figure_of(name).title}"


def _progress(run: RunRecord) -> str:
    recipe = run.identity.get("recipe")
    training = recipe.get("training") if isinstance(recipe, dict) else None
    steps = training.get("steps") if isinstance(training, dict) else None
    return f"{run.last_step:,} of {steps:,}" if isinstance(steps, int) else f"{run.last_step:,}"


def _time(seconds: float) -> str:
    if not math.isfinite(seconds):
        return NOTHING
    size, unit = time_unit(seconds)
    return f"{seconds / size:.3g} {_SHORT[unit]}"


def _last(series: Series | None, prefix: str, name: str) -> str:
    if series is None:
        return NOTHING
    tell = figure_of(name).in_table
    values = series.values
    last = tell(float(values[-1]))
    if not prefix:
        return last
    place = int(values.argmin() if "loss" in name else values.argmax())
    best = tell(float(values[place]))
    return last if best == last else f"{last}\nbest {best} at {exact(float(series.steps[place]))}"
