"""The pictures of the experiments; matplotlib is the extra `report`."""

from __future__ import annotations

import io
import textwrap
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure

from bertwright.files import write_atomic


@contextmanager
def drawing(path: Path, width: float, height: float) -> Iterator[Figure]:
    """A figure of so many inches, written as PNG when the block ends well."""
    figure = Figure(figsize=(width, height), layout="constrained")
    FigureCanvasAgg(figure)
    yield figure
    picture = io.BytesIO()
    figure.savefig(picture, format="png", dpi=100)
    write_atomic(path, picture.getvalue())


def draw_points(path: Path, panels: Mapping[str, Mapping[str, Any]], *, story: str, unit: str = "%") -> None:
    """Panels beside one another, each a mean with its interval for every name, from top to bottom.

    panels: title -> name -> what `share` or `level` gives. story: what the bars are, below the picture. A single value
    has no bar, and no panel spans less than a fiftieth of what it shows: noise would look like a finding.
    """
    names = list(next(iter(panels.values())))
    with drawing(path, 2.2 + 2.9 * len(panels), 1.5 + 0.36 * len(names)) as figure:
        axes = figure.subplots(1, len(panels), sharey=True, squeeze=False)[0]
        for axis, (title, values) in zip(axes, panels.items(), strict=True):
            for place, name in enumerate(names):
                if (each := values.get(name)) is None:
                    continue
                reach = None if each["seeds"] == 1 else [[each["mean"] - each["low"]], [each["high"] - each["mean"]]]
                axis.errorbar([each["mean"]], [place], xerr=reach, fmt="o", capsize=4, color=f"C{place % 10}")
            axis.set_title(title, fontsize="medium")
            axis.set_xlabel("nats" if "loss" in title else unit)
            low, high = axis.get_xlim()
            if high - low < (least := max(abs(low), abs(high)) / 50):
                axis.set_xlim((low + high - least) / 2, (low + high + least) / 2)
            axis.set_yticks(range(len(names)), names)
            axis.set_ylim(len(names) - 0.5, -0.5)
            axis.grid(axis="x", alpha=0.3)
        _tell(figure, story)


def draw_curves(
    path: Path, panels: Mapping[str, Mapping[str, Sequence[tuple[float, Any]]]], *, across: str, story: str
) -> None:
    """Panels of curves, each point a mean with its interval: title -> name -> (x, what `share` gives) in order."""
    with drawing(path, 1.0 + 3.9 * len(panels), 3.6) as figure:
        axes = figure.subplots(1, len(panels), squeeze=False)[0]
        for axis, (title, curves) in zip(axes, panels.items(), strict=True):
            for number, (name, points) in enumerate(curves.items()):
                x = [at for at, _ in points]
                colour = f"C{number}"
                axis.plot(x, [each["mean"] for _, each in points], "o-", color=colour, label=name, markersize=4)
                low, high = ([each[end] for _, each in points] for end in ("low", "high"))
                axis.fill_between(x, low, high, color=colour, alpha=0.15, linewidth=0)
            axis.set_title(title, fontsize="medium")
            axis.set_xlabel(across)
            axis.grid(alpha=0.3)
            axis.legend(fontsize="small")
        axes[0].set_ylabel("accuracy, %")
        _tell(figure, story)


def _tell(figure: Figure, story: str) -> None:
    """What the picture shows, below it, in as many lines as it takes."""
    figure.supxlabel(textwrap.fill(story, int(15 * figure.get_figwidth())), fontsize=9)
