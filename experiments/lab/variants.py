"""Models that differ in one setting of their pretraining, side by side: held-out words and fine-tuned scores."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from bertwright.shards.read import open_shards
from lab.bench import Bench, Json, level, share
from lab.corpus import shards
from lab.finetuning import SETS, finetuned
from lab.pretraining import held_out_of, measured, pretrained


@dataclass(frozen=True)
class Variant:
    """A pretraining: its name in tables, and what differs from the usual recipe. little: on the small corpus."""

    name: str
    changed: dict[str, Any] = field(default_factory=dict)
    little: bool = False


@dataclass(frozen=True)
class Column:
    """A fine-tuning of every variant: a set, the settings that differ, and how tables name it."""

    name: str
    of: str
    changed: dict[str, Any] = field(default_factory=dict)


def model_of(bench: Bench, variant: Variant) -> Path:
    """The directory of the variant's model."""
    return pretrained(bench, variant.changed, shards(bench, little=variant.little))


def words_of(bench: Bench, variant: Variant) -> Json:
    """How well hidden words of held-out text are told: the same words and the same masks for every variant.

    Always running text with 15% of the tokens hidden, 80/10/10, so that one loss is a measure of another.
    """

    def make() -> Json:
        model = model_of(bench, variant)
        batches = held_out_of(bench, open_shards(shards(bench, little=variant.little)))
        return dict(measured(model, batches))

    return bench.once(f"words/{variant.name}", _settings(bench, variant), make)


def score_of(bench: Bench, variant: Variant, column: Column, seed: int) -> float:
    """The score on test of the variant's model, fine-tuned with one seed."""
    settings = _settings(bench, variant) | {"set": column.of, "seed": seed, "finetune": column.changed}
    found = bench.once(
        f"{column.name}/{variant.name}/{seed}",
        settings,
        lambda: dict(finetuned(bench, model_of(bench, variant), column.of, seed, **column.changed)),
    )
    score: float = found[SETS[column.of].metric]
    return score


def compare(
    bench: Bench,
    variants: Sequence[Variant],
    columns: Sequence[Column],
    more: Callable[[Variant], Json] | None = None,
) -> list[Json]:
    """A row for each variant: held-out loss, the figures of `more`, and the score on test of each column.

    Each variant is one pretraining; the intervals hold the luck of fine-tuning alone. A quick run takes the first and
    the last variant, and the last column.
    """
    if bench.quick:
        variants, columns = [variants[0], variants[-1]], columns[-1:]
    words = {variant.name: words_of(bench, variant) for variant in variants}
    extra = {variant.name: more(variant) if more is not None else {} for variant in variants}
    scores: dict[tuple[str, str], list[float]] = {}
    # Seed after seed, so that a sitting that was stopped has as much of each variant.
    for seed in range(bench.seeds):
        for column in columns:
            for variant in variants:
                scores.setdefault((column.name, variant.name), []).append(score_of(bench, variant, column, seed))
    return [
        {
            "pretraining": variant.name,
            "MLM loss": level([words[variant.name]["mlm_loss"]]),
            "MLM accuracy": share([words[variant.name]["mlm_accuracy"]]),
            **extra[variant.name],
            **{column.name: share(scores[column.name, variant.name]) for column in columns},
        }
        for variant in variants
    ]


def panels_of(table: Sequence[Json], names: Sequence[str]) -> dict[str, Json]:
    """Columns of a table as `draw_points` takes them."""
    key = next(iter(table[0]))
    return {name: {row[key]: row[name] for row in table if name in row} for name in names}


def _settings(bench: Bench, variant: Variant) -> Json:
    return {"changed": variant.changed, "steps": bench.steps, "little": variant.little}
