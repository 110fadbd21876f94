"""Pictures of a model's answers; matplotlib is the extra `report`, and whoever calls has looked that it is there."""

from __future__ import annotations

import io
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from bertwright.files import write_atomic
from bertwright.metrics.calibration import calibration_error, reliability

if TYPE_CHECKING:
    from matplotlib.figure import Figure

# Labels of a matrix that can still be read, their characters, and those that fit beside one another.
MOST_LABELS = 25
_LONGEST_LABEL = 22
_UPRIGHT = 10
# Points of a scatter that still show where they are dense.
_MOST_POINTS = 5000
# For labels in Chinese, Japanese or Korean, where the machine has one of them.
_EAST_ASIAN = ("Noto Sans CJK SC", "Noto Sans CJK JP", "Noto Sans SC", "Source Han Sans SC", "WenQuanYi Zen Hei")


@contextmanager
def drawing(path: Path, width: float, height: float) -> Iterator[Figure]:
    """A figure of so many inches, written as PNG when the block ends well."""
    from matplotlib import rc_context  # noqa: PLC0415  # an extra; most commands need none
    from matplotlib.backends.backend_agg import FigureCanvasAgg  # noqa: PLC0415
    from matplotlib.figure import Figure  # noqa: PLC0415

    with rc_context({"font.family": _fonts(), "font.size": 9, "axes.titlesize": 10}):
        figure = Figure(figsize=(width, height), layout="constrained")
        FigureCanvasAgg(figure)
        yield figure
        picture = io.BytesIO()
        figure.savefig(picture, format="png", dpi=100)
    write_atomic(path, picture.getvalue())


def most_confused(confusion: NDArray[np.int64], most: int = MOST_LABELS) -> list[int]:
    """The labels in most wrong cells, at most so many, in their own order."""
    wrong = confusion - np.diag(np.diag(confusion))
    often = wrong.sum(axis=0) + wrong.sum(axis=1)
    return sorted(np.argsort(-often, kind="stable")[:most].tolist())


def draw_confusion(confusion: NDArray[np.int64], labels: Sequence[str], path: Path) -> None:
    """Counts, (labels, labels): row gold, column predicted; the colour is the share of the gold label's rows."""
    shown = most_confused(confusion)
    counts = confusion[np.ix_(shown, shown)]
    support = confusion.sum(axis=1)[shown]
    shares = counts / np.maximum(support, 1)[:, None]
    drawn = _drawable()
    names = [_short(labels[number]) for number in shown]
    # What no font of this machine has would be boxes.
    names = [name if drawn(name) else f"no. {number + 1}" for name, number in zip(names, shown, strict=True)]
    upright = len(names) <= 3 and max(map(len, names)) <= _UPRIGHT
    side = 2.6 + 0.36 * len(shown) if len(shown) > 8 else 2.4 + 0.62 * len(shown)
    with drawing(path, side + 0.8, side) as figure:
        axis = figure.subplots()
        image = axis.imshow(shares, cmap="Blues", vmin=0, vmax=1)
        places = range(len(shown))
        # A `$` in a label is no formula.
        axis.set_xticks(places, names, rotation=0 if upright else 90, parse_math=False)
        axis.set_yticks(places, names, parse_math=False)
        for row, column in np.argwhere(counts > 0).tolist():
            colour = "white" if shares[row, column] > 0.55 else "black"
            size = 9 if len(shown) <= 8 else 6.5
            count = str(counts[row, column])
            axis.text(column, row, count, ha="center", va="center", color=colour, fontsize=size)
        axis.set_xlabel("predicted")
        axis.set_ylabel("gold")
        axis.set_title("rows of dev")
        if len(shown) < len(labels):
            axis.set_title(f"rows of dev, the {len(shown)} of {len(labels)} labels most often confused")
        figure.colorbar(image, ax=axis, shrink=0.8, label="share of the gold label's rows")


def draw_reliability(curves: Sequence[tuple[str, NDArray[Any], NDArray[Any]]], path: Path) -> None:
    """For each (name, probabilities, whether right) how often it is right, and below how often it is so sure."""
    with drawing(path, 5, 5.6) as figure:
        upper, lower = figure.subplots(2, 1, sharex=True, height_ratios=(3, 1))
        upper.plot([0, 1], [0, 1], "--", color="grey", linewidth=1)
        edges = np.arange(11) / 10
        for number, (name, sure, right) in enumerate(curves):
            bins = reliability(sure, right)
            label = f"{name}: ECE {calibration_error(bins):.3f}"
            colour = f"C{number}"
            x, y = [each.confidence for each in bins], [each.accuracy for each in bins]
            upper.plot(x, y, "o-", color=colour, label=label, linewidth=1.2, markersize=4)
            lower.stairs(np.histogram(sure, edges)[0] / len(sure), edges, color=colour, linewidth=1.2)
        upper.set_ylabel("share that is right")
        upper.set_xlim(0, 1)
        upper.set_ylim(0, 1.02)
        upper.grid(alpha=0.3)
        lower.set_ylabel("share of all")
        lower.set_xlabel("probability")
        lower.grid(alpha=0.3)
        figure.legend(loc="outside upper center", ncols=1, frameon=False)


def draw_scatter(gold: NDArray[Any], measured: NDArray[Any], path: Path) -> None:
    """Numbers wanted against numbers given, (rows,) each; of many rows, evenly spaced ones."""
    chosen = np.linspace(0, len(gold) - 1, min(len(gold), _MOST_POINTS)).astype(int)
    with drawing(path, 5, 4.6) as figure:
        axis = figure.subplots()
        # Without it, numbers that are all about the same would fill the picture as good ones do.
        ends = [float(gold.min()), float(gold.max())]
        axis.plot(ends, ends, "--", color="grey", linewidth=1)
        axis.scatter(gold[chosen], measured[chosen], s=12, alpha=max(0.15, min(0.7, 100 / len(chosen))), linewidths=0)
        axis.set_xlabel("gold")
        axis.set_ylabel("predicted")
        axis.grid(alpha=0.3)
        axis.set_title("rows of dev" if len(chosen) == len(gold) else f"{len(chosen):,} of {len(gold):,} rows of dev")


def _fonts() -> list[str]:
    from matplotlib import font_manager  # noqa: PLC0415

    known = set(font_manager.get_font_names())
    return ["DejaVu Sans", *(name for name in _EAST_ASIAN if name in known)]


def _drawable() -> Callable[[str], bool]:
    """Whether the fonts that are drawn with have every character of a text."""
    from matplotlib import font_manager  # noqa: PLC0415

    fonts = [font_manager.get_font(font_manager.findfont(name)) for name in _fonts()]
    return lambda text: all(any(font.get_char_index(ord(char)) for font in fonts) for char in text)


def _short(label: str) -> str:
    label = " ".join(label.split())
    return label if len(label) <= _LONGEST_LABEL else label[: _LONGEST_LABEL - 1] + "…"
