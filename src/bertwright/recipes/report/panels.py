"""Which plots a report has: each figure of the runs over steps, time and tokens, and accuracy by word frequency."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Literal

import numpy as np

from bertwright.recipes.report.plot import SMALL, WIDE, Axis, Level, Line, Moment, Size, grouped_plot, plot
from bertwright.recipes.report.runs import LONGEST_NAME, Band, RunRecord, Series
from bertwright.recipes.report.scales import (
    exact,
    exact_percent,
    fitting,
    linear,
    percent,
    plain,
    scientific,
    time_unit,
)
from bertwright.recipes.report.thinning import Curve, thin
from bertwright.text.characters import printable

AxisName = Literal["steps", "seconds", "tokens"]
Section = Literal["Learning", "Pace", "Other figures"]
# Figures that are measured now and then, on text or rows that training does not see.
MEASURED = {"held_out_": "held out", "dev_": "dev"}
FREQUENCY, FREQUENCY_OVER = "Accuracy by word frequency", "Accuracy of each band"
_GROUPS = "times in the training text; below them, hidden words measured"
# Moments of one kind in one plot: more would cover each other.
_MOST_MOMENTS = 100


@dataclass(frozen=True, slots=True)
class Figure:
    """What a figure is called and how its values are told, on an axis and in a table."""

    title: str
    section: Section = "Learning"
    unit: str = ""
    on_axis: Callable[[float], str] = plain
    in_table: Callable[[float], str] = exact
    from_zero: bool = False
    level: Level | None = None


def _share(title: str, *, section: Section = "Learning", from_zero: bool = False, level: Level | None = None) -> Figure:
    return Figure(title, section, "", percent, exact_percent, from_zero, level)


# In the order of the page. What else a run records is drawn too, under its own name.
FIGURES: dict[str, Figure] = {
    "mlm_loss": Figure("masked-word loss", unit="nats"),
    "mlm_accuracy": _share("masked-word accuracy", from_zero=True),
    "nsp_loss": Figure("next-sentence loss", unit="nats"),
    "nsp_accuracy": _share("next-sentence accuracy", level=Level(0.5, "chance")),
    "loss": Figure("loss", unit="nats"),
    "accuracy": _share("accuracy"),
    "macro_f1": _share("macro F1"),
    "mcc": _share("Matthews correlation"),
    "learning_rate": Figure("learning rate", "Pace", on_axis=scientific, from_zero=True),
    "gradient_norm": Figure("gradient norm before clipping", "Pace"),
    "tokens_per_second": Figure("throughput", "Pace", "tokens/s", from_zero=True),
    "share_of_peak": _share("share of the device's peak", section="Pace", from_zero=True),
}


@dataclass(frozen=True, slots=True)
class Panel:
    """A plot with its caption: a drawing for every axis that the runs have, or a single one over none of them."""

    section: str
    title: str
    more: str
    drawings: dict[AxisName, str] = field(default_factory=dict)
    overall: str = ""
    thinned: bool = False


def split_name(key: str) -> tuple[str, str]:
    """Where a figure was measured ("" for training, else a key of MEASURED) and its plain name."""
    prefix = next((prefix for prefix in MEASURED if key.startswith(prefix)), "")
    return prefix, key.removeprefix(prefix)


def figure_of(name: str) -> Figure:
    """How a figure is drawn, by its plain name."""
    return FIGURES.get(name) or Figure(printable(name.replace("_", " "), LONGEST_NAME), "Other figures")


def axes_of(runs: Sequence[RunRecord]) -> list[AxisName]:
    """The axes along which anything can be drawn, steps first."""
    names: tuple[AxisName, ...] = ("steps", "seconds", "tokens")
    return [name for name in names if any(math.isfinite(_furthest(run, name)) for run in runs)]


def curve_panels(runs: Sequence[RunRecord]) -> list[Panel]:
    """A panel a figure: what training tells as thin lines, what was measured as lines with marks.

    The loss of pretraining is left out: it is the sum of two that are drawn.
    """
    found = {split_name(key)[1] for run in runs for key in run.figures}
    names = [name for name in FIGURES if name in found] + sorted(found - FIGURES.keys())
    panels = []
    for name in names:
        figure = figure_of(name)
        series = [
            (number, split_name(key)[0], each)
            for number, run in enumerate(runs)
            for key, each in run.figures.items()
            if split_name(key)[1] == name and not (key == "loss" and "mlm_loss" in run.figures)
        ]
        if not series:
            continue
        levels = _unigram_levels(runs, name) + ([figure.level] if figure.level else [])
        told = [f"with marks: {MEASURED[prefix]}" if prefix else "thin: training" for prefix in _places(series)]
        # A figure of training alone needs no word on it.
        told = told if told != ["thin: training"] else []
        panels.append(_panel(figure, figure.title, [figure.unit, *told], runs, series, levels))
    return panels


def frequency_panels(runs: Sequence[RunRecord]) -> list[Panel]:
    """Accuracy and loss by word frequency at the last evaluation of each run, and the accuracy of each band over it."""
    bands = {(band.least, band.most): band for run in reversed(runs) for band in run.bands}
    if not bands:
        return []
    ordered = [bands[limits] for limits in sorted(bands)]
    more = "at the last evaluation"
    measured = {tuple((band.least, band.words, band.unigram_loss) for band in run.bands) for run in runs if run.bands}
    if len(measured) > 1:
        first = next(run.name for run in runs if run.bands)
        more += f"; words and baseline of {first}, for the texts differ"
    labels = [(_times(band, short=len(ordered) > 6), plain(band.words)) for band in ordered]
    panels = []
    for name in ("accuracy", "loss"):
        baseline = [band.unigram_accuracy if name == "accuracy" else band.unigram_loss for band in ordered]
        lines = []
        for number, run in enumerate(runs):
            mine = {(band.least, band.most): getattr(band, name).values[-1] for band in run.bands}
            if mine:
                lines.append((number, run.name, [mine.get((band.least, band.most)) for band in ordered]))
        values = [float(value) for _, _, each in lines for value in each if value is not None] + baseline
        figure = figure_of(f"mlm_{name}")
        scale = fitting(min(values), max(values), max(values), from_zero=True)
        vertical = Axis(scale, figure.title, figure.on_axis)
        drawing = grouped_plot(labels, _GROUPS, vertical, lines, ("unigram baseline", baseline))
        panels.append(Panel(FREQUENCY, figure.title, more, overall=drawing))
    # One scale for all bands, so that they can be compared.
    reached = [float(band.accuracy.values.max()) for run in runs for band in run.bands]
    highest = max([band.unigram_accuracy for band in ordered] + reached)
    for band in ordered:
        series = [
            (number, "held_out_", each.accuracy)
            for number, run in enumerate(runs)
            for each in run.bands
            if (each.least, each.most) == (band.least, band.most)
        ]
        levels = [Level(band.unigram_accuracy, "unigram")]
        title = f"{_times(band)} times" if band.most else "never"
        words = [f"{band.words:,} hidden words"]
        figure = FIGURES["mlm_accuracy"]
        panels.append(
            _panel(figure, title, words, runs, series, levels, section=FREQUENCY_OVER, highest=highest, size=SMALL)
        )
    return panels


def _places(series: Sequence[tuple[int, str, Series]]) -> list[str]:
    return sorted({prefix for _, prefix, _ in series})


def _panel(
    figure: Figure,
    title: str,
    more: Sequence[str],
    runs: Sequence[RunRecord],
    series: Sequence[tuple[int, str, Series]],
    levels: Sequence[Level],
    *,
    section: str = "",
    highest: float | None = None,
    size: Size = WIDE,
) -> Panel:
    drawings: dict[AxisName, str] = {}
    logarithmic = thinned = False
    shown = [number for number in range(len(runs)) if any(number == each for each, _, _ in series)]
    of_these = [runs[number] for number in shown]
    for name in axes_of(of_these):
        horizontal, unit = _horizontal(of_these, name, 6 if size is WIDE else 4)
        lines = []
        for number, prefix, each in series:
            places, values = each.along(name)
            if len(places):
                where = MEASURED.get(prefix, "training")
                lines.append(Line(number, f"{runs[number].name}, {where}", thin(places / unit, values), bool(prefix)))
        vertical = _vertical(figure, [line.curve for line in lines], levels, highest)
        if vertical is None:
            continue
        logarithmic |= vertical.scale.logarithmic
        thinned |= any(line.curve.thinned for line in lines)
        moments = _moments(runs, shown, name, unit) if size is WIDE else ()
        drawings[name] = plot(horizontal, vertical, lines, levels, moments, size)
    told = "; ".join(filter(None, [*more, "logarithmic" if logarithmic else ""]))
    return Panel(section or figure.section, title, told, drawings, thinned=thinned)


def _horizontal(runs: Sequence[RunRecord], name: AxisName, ticks: int) -> tuple[Axis, float]:
    """The axis that all runs share, and what its values are divided by."""
    furthest = max(far for run in runs if math.isfinite(far := _furthest(run, name)))
    unit, title = time_unit(furthest) if name == "seconds" else (1.0, "step" if name == "steps" else "tokens seen")
    return Axis(linear(0.0, max(furthest / unit, 1e-9), ticks), title, plain), unit


def _furthest(run: RunRecord, name: AxisName) -> float:
    return {"steps": float(run.last_step), "seconds": run.seconds, "tokens": run.tokens}[name]


def _vertical(figure: Figure, curves: Sequence[Curve], levels: Sequence[Level], highest: float | None) -> Axis | None:
    if not curves:
        return None
    compared = [level.value for level in levels]
    low = min([float(curve.lowest.min()) for curve in curves] + compared)
    high = max([float(curve.highest.max()) for curve in curves] + compared)
    median = float(np.median(np.concatenate([curve.means for curve in curves])))
    if figure.from_zero:
        # Never logarithmic: what begins at zero is compared by its height.
        median = math.inf
    scale = fitting(low, high if highest is None else highest, median, from_zero=figure.from_zero)
    return Axis(scale, figure.title, figure.on_axis)


def _unigram_levels(runs: Sequence[RunRecord], name: str) -> list[Level]:
    """The unigram baseline over all words, from that of the bands; one a run where their held-out texts differ."""
    if name not in ("mlm_accuracy", "mlm_loss"):
        return []
    found: dict[float, str] = {}
    for run in runs:
        words = sum(band.words for band in run.bands)
        if words:
            total = sum(
                band.words * (band.unigram_accuracy if name == "mlm_accuracy" else band.unigram_loss)
                for band in run.bands
            )
            found.setdefault(round(total / words, 6), run.name)
    return [Level(value, "unigram baseline" if len(found) == 1 else f"unigram, {run}") for value, run in found.items()]


def _moments(runs: Sequence[RunRecord], shown: Sequence[int], name: AxisName, unit: float) -> list[Moment]:
    found = []
    for number in shown:
        run = runs[number]
        for event in run.events:
            places = np.asarray(getattr(event, name), dtype=np.float64)
            places = places[np.isfinite(places)] / unit
            if len(places) > _MOST_MOMENTS:
                places = places[np.linspace(0, len(places) - 1, _MOST_MOMENTS).astype(int)]
            found += [Moment(number, place, f"{run.name}: {event.what}") for place in places.tolist()]
    return found


def _times(band: Band, *, short: bool = False) -> str:
    """1-9, 10-99, 1k-10k: the last number of the large ones rounded up, as nobody reads 9,999; or 1+, 10+, 1k+."""
    if not band.most:
        return "never"
    if short:
        return f"{_thousands(band.least)}+"
    if band.least < 1000:
        return f"{band.least}–{band.most}"
    return f"{_thousands(band.least)}–{_thousands(band.most + 1)}"


def _thousands(count: int) -> str:
    for size, letter in ((10**9, "G"), (10**6, "M"), (10**3, "k")):
        if count >= size:
            return f"{count / size:g}{letter}"
    return str(count)
