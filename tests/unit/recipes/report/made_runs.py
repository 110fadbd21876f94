"""Runs as they lie on disk, written by hand."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

IDENTITY = {
    "recipe": {"model": {"preset": "bert-tiny"}, "training": {"steps": 100, "learning_rate": 1e-3}},
    "data": "a",
}
BANDS = [
    {"from": 0, "to": 0, "words": 2, "accuracy": 0.0, "loss": 11.0, "unigram_accuracy": 0.0, "unigram_loss": 14.0},
    {"from": 1000, "to": 9999, "words": 6, "accuracy": 0.5, "loss": 3.0, "unigram_accuracy": 0.25, "unigram_loss": 4.0},
]


def write_run(out: Path, rows: Sequence[Any], *, identity: dict[str, Any] | None = None, tail: str = "") -> Path:
    """A run in the output directory `out`; `tail` follows its last whole line."""
    folder = out / "run"
    folder.mkdir(parents=True)
    (folder / "run.json").write_text(json.dumps(identity or IDENTITY))
    lines = [row if isinstance(row, str) else json.dumps(row) for row in rows]
    (folder / "metrics.jsonl").write_text("".join(f"{line}\n" for line in lines) + tail)
    return out


def pretraining(steps: int = 100, every: int = 10) -> Iterator[dict[str, Any]]:
    """A report at every so many steps, and an evaluation at the fifth of them and the last."""
    for step in range(every, steps + 1, every):
        yield {
            "step": step,
            "mlm_loss": 10 - step / steps,
            "mlm_accuracy": step / steps / 2,
            "nsp_loss": 0.7,
            "nsp_accuracy": 0.55,
            "loss": 10.7 - step / steps,
            "gradient_norm": 1.0,
            "learning_rate": 1e-3 * (1 - step / steps),
            "tokens_per_second": 30_000 + step,
            "seconds": step / 10,
        }
        if step in (5 * every, steps):
            measured = {"held_out_mlm_loss": 9.5 - step / steps, "held_out_mlm_accuracy": step / steps / 4}
            yield {"step": step, **measured, "held_out_nsp_accuracy": 0.6, "held_out_by_frequency": BANDS}


def tuning() -> Iterator[dict[str, Any]]:
    """A fine-tuning whose best dev accuracy is not its last."""
    for step, accuracy in ((10, 0.7), (20, 0.8), (30, 0.75)):
        yield {"step": step, "loss": 1 / step, "accuracy": 0.9, "learning_rate": 1e-5, "tokens_per_second": 5.0,
               "seconds": 2.0 * step}  # fmt: skip
        yield {"step": step, "dev_accuracy": accuracy, "dev_macro_f1": accuracy - 0.1, "dev_mcc": 0.5}
