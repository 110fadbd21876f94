"""A ladder as a picture; matplotlib is the extra `report`."""

from __future__ import annotations

import importlib.util
import io
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from bertwright.files import write_atomic
from bertwright.metrics.intervals import Interval, interval
from bertwright.recipes.laddering.outcome import NO_GAIN, Climbed, verdict


def draw_ladder(found: Climbed, path: Path) -> bool:
    """Draw scores and gains with their intervals, and each seed as a dot; False where matplotlib is not installed."""
    if importlib.util.find_spec("matplotlib") is None:
        return False
    from matplotlib.backends.backend_agg import FigureCanvasAgg  # noqa: PLC0415  # an extra; most commands need none
    from matplotlib.figure import Figure  # noqa: PLC0415

    figure = Figure(figsize=(10, 1.6 + 0.6 * len(found.rungs)), layout="constrained")
    FigureCanvasAgg(figure)
    left, right = figure.subplots(1, 2, sharey=True)
    first = found.values(found.rungs[0])
    for place, rung in enumerate(found.rungs):
        values = found.values(rung)
        _point(left, place, interval(values), values, "tab:blue")
        if place:
            gains = [one - other for one, other in zip(values, first, strict=True)]
            shown = verdict(found.gain(rung)) != NO_GAIN
            _point(right, place, found.gain(rung), gains, "tab:blue" if shown else "grey")
    right.axvline(0, color="grey", linestyle="--", linewidth=1)
    left.set_title(f"{found.metric} on {found.scored_on}", fontsize="medium")
    right.set_title("gain over general, paired by seed (grey: no gain shown)", fontsize="medium")
    left.set_yticks(range(len(found.rungs)), [rung.name for rung in found.rungs])
    # The first rung lies lowest, as on a ladder.
    left.set_ylim(-0.6, len(found.rungs) - 0.4)
    for axis in (left, right):
        axis.grid(axis="x", alpha=0.3)
    figure.supxlabel(f"mean and 95% interval over {found.seeds} seeds; each dot is a seed", fontsize=9)
    picture = io.BytesIO()
    figure.savefig(picture, format="png", dpi=110)
    write_atomic(path, picture.getvalue())
    return True


def _point(axis: Any, place: int, found: Interval, values: Sequence[float], colour: str) -> None:
    reach = [[found.mean - found.low], [found.high - found.mean]]
    axis.errorbar([found.mean], [place], xerr=reach, fmt="o", color=colour, capsize=4, zorder=2)
    axis.plot(values, [place + 0.18] * len(values), ".", color="grey", markersize=5, zorder=1)
