"""What an adaptation found: hidden words of each held-out text, before and after each stage."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

TEXTS = ("field", "task", "general")
# A held-out loss so many nats above its lowest is worth a word.
_RISE = 0.02


@dataclass(frozen=True, slots=True)
class Measured:
    """Figures after a stage (or `before` all), as `field_mlm_loss`; without those of texts that were not measured."""

    after: str
    figures: dict[str, float]


@dataclass(frozen=True, slots=True)
class Adapted:
    """A finished adaptation."""

    out: Path
    measured: tuple[Measured, ...]
    # What there is to say about it, a sentence each.
    advice: tuple[str, ...] = ()
    # What its runs took in all sittings, without the preparing of the texts.
    seconds: float = 0.0

    def as_json(self) -> dict[str, Any]:
        """The same as plain values."""
        return {
            "out": str(self.out),
            "measured": [{"after": found.after, **found.figures} for found in self.measured],
            "advice": list(self.advice),
        }

    def table(self) -> list[str]:
        """The same as lines: a row a text, a column a stage."""
        if not any(found.figures for found in self.measured):
            return ["nothing was held out, so nothing was measured: give more text, or a larger held_out"]
        heads = [found.after if found.after == "before" else f"after {found.after}" for found in self.measured]
        lines = ["held-out text: MLM loss (accuracy)" + "".join(f"{head:>18}" for head in heads)]
        for text in TEXTS:
            cells = [_cell(found.figures, text) for found in self.measured]
            if any(cells):
                lines.append(f"  {text:<32}" + "".join(f"{cell or '-':>18}" for cell in cells))
        return lines


def _cell(figures: dict[str, float], text: str) -> str:
    if f"{text}_mlm_loss" not in figures:
        return ""
    return f"{figures[f'{text}_mlm_loss']:.3f} ({figures[f'{text}_mlm_accuracy']:.1%})"


def measured_of(found: Sequence[tuple[str, dict[str, dict[str, float]]]], *, head_is_new: bool) -> tuple[Measured, ...]:
    """The figures of stages, each with what was watched before and after it. A head of random weights tells nothing."""
    columns = [Measured(name, watched.get("after", {})) for name, watched in found]
    if not head_is_new and found:
        columns.insert(0, Measured("before", found[0][1].get("before", {})))
    return tuple(columns)


def overlong(text: str, rows: Sequence[dict[str, Any]]) -> str | None:
    """A sentence where the held-out loss of a stage's own text was lower on the way than at the end."""
    losses = [(row[f"{text}_mlm_loss"], row["step"]) for row in rows if f"{text}_mlm_loss" in row]
    if not losses or losses[-1][0] < min(losses)[0] + _RISE:
        return None
    best, step = min(losses)
    return (
        f"{text} text: the held-out loss was lowest at step {step:,} ({best:.3f}) and is {losses[-1][0]:.3f} at the "
        f"end: fewer steps may be better, as with --set {text}.most_steps={max(1, step)}"
    )
