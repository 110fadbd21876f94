"""The curves of a run as a picture; matplotlib is the extra `report`."""

from __future__ import annotations

import importlib.util
import io
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from bertwright.files import write_atomic


def draw_curves(metrics: Sequence[dict[str, Any]], path: Path, baseline: dict[str, float] | None = None) -> bool:
    """Draw loss, both accuracies and rate over the steps; returns False where matplotlib is not installed.

    metrics: objects of metrics.jsonl; those with `held_out_` figures are measured, the others are means of batches.
    """
    if importlib.util.find_spec("matplotlib") is None:
        return False
    from matplotlib.backends.backend_agg import FigureCanvasAgg  # noqa: PLC0415  # an extra; most commands need none
    from matplotlib.figure import Figure  # noqa: PLC0415

    figure = Figure(figsize=(12, 7), layout="constrained")
    FigureCanvasAgg(figure)
    axes = figure.subplots(2, 2)
    panels = (
        (axes[0, 0], "mlm_loss", "masked-word loss (nats)"),
        (axes[0, 1], "mlm_accuracy", "masked-word accuracy"),
        (axes[1, 0], "nsp_accuracy", "next-sentence accuracy"),
        (axes[1, 1], "tokens_per_second", "tokens/s"),
    )
    for axis, name, title in panels:
        for prefix, label, style in (("", "training", "-"), ("held_out_", "held out", "o-")):
            points = [(row["step"], row[prefix + name]) for row in metrics if prefix + name in row]
            if points:
                steps, values = zip(*points, strict=True)
                axis.plot(steps, values, style, label=label, linewidth=1.2, markersize=4)
        if baseline and name in baseline:
            axis.axhline(baseline[name], color="grey", linestyle="--", linewidth=1, label="unigram baseline")
        if name == "nsp_accuracy":
            axis.axhline(0.5, color="grey", linestyle="--", linewidth=1, label="chance")
        axis.set_title(title)
        axis.set_xlabel("step")
        axis.grid(alpha=0.3)
        axis.set_ylim(bottom=0 if name != "nsp_accuracy" else 0.4)
        if axis.get_legend_handles_labels()[1]:
            axis.legend(frameon=False)
    picture = io.BytesIO()
    figure.savefig(picture, format="png", dpi=110)
    write_atomic(path, picture.getvalue())
    return True
