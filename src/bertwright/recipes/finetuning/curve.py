"""How a fine-tuning went, as a picture."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from bertwright.recipes.finetuning.pictures import drawing

# Points of a line that are marked: a line of one alone would not be seen.
_FEW = 20


def best_scoring(metrics: Sequence[dict[str, Any]], best_by: str) -> dict[str, Any] | None:
    """The object of metrics.jsonl whose weights were kept: of equal scores the latest; None where there is none."""
    name = f"dev_{best_by}"
    return max((row for row in reversed(metrics) if name in row), key=lambda row: row[name], default=None)


def draw_curve(metrics: Sequence[dict[str, Any]], best_by: str, path: Path) -> None:
    """Training loss, dev scores with the best marked, and the learning rate over the steps; needs matplotlib."""
    with drawing(path, 10, 3.4) as figure:
        loss, scores, rate = figure.subplots(1, 3)
        for axis, name, title in ((loss, "loss", "training loss"), (rate, "learning_rate", "learning rate")):
            points = [(row["step"], row[name]) for row in metrics if name in row]
            mark = "o-" if len(points) <= _FEW else "-"
            axis.plot([s for s, _ in points], [v for _, v in points], mark, linewidth=1.2, markersize=3)
            axis.set_title(title)
            axis.set_ylim(bottom=0)
        rate.ticklabel_format(axis="y", style="sci", scilimits=(0, 0))
        scored = [row for row in metrics if f"dev_{best_by}" in row]
        names = [name for name in (scored[0] if scored else {}) if name.startswith("dev_")]
        for name in names:
            values = [(row["step"], row[name]) for row in scored if name in row]
            label = name.removeprefix("dev_").replace("_", " ")
            axis = scores
            axis.plot([s for s, _ in values], [v for _, v in values], "o-", label=label, linewidth=1.2, markersize=3)
        best = best_scoring(metrics, best_by)
        if best is not None:
            told = f"best {best_by.replace('_', ' ')}: {best[f'dev_{best_by}']:.3f}"
            place = ([best["step"]], [best[f"dev_{best_by}"]])
            scores.plot(*place, "*", color="black", markersize=11, label=told, zorder=5)
        scores.set_title("dev scores")
        for axis in (loss, scores, rate):
            axis.set_xlabel("step")
            axis.locator_params(axis="x", integer=True)
            axis.grid(alpha=0.3)
        # Below, where no line can run into it.
        figure.legend(*scores.get_legend_handles_labels(), loc="outside lower center", ncols=5, frameon=False)
