"""Models that differ in one setting of their pretraining, side by side: held-out words and fine-tuned scores."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any

from bertwright.shards.read import open_shards
from lab.bench import Bench, Json, gain, level, share, show
from lab.corpus import shards
from lab.finetuning import SETS, finetuned
from lab.picture import draw_points
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


def model_of(bench: Bench, variant: Variant, seed: int = 0) -> Path:
    """The directory of the variant's model that a seed of fine-tuning begins with."""
    data = shards(bench, little=variant.little)
    return pretrained(bench, variant.changed, data, number=seed % bench.pretrainings)


def over_pretrainings(bench: Bench, what: str, variant: Variant, find: Callable[[Path], Json]) -> list[Json]:
    """What `find` finds of each of the variant's models."""

    def make(number: int) -> Json:
        return find(model_of(bench, variant, number))

    return [
        bench.once(f"{what}/{variant.name}/{number}", _settings(bench, variant, number), partial(make, number))
        for number in range(bench.pretrainings)
    ]


def words_of(bench: Bench, variant: Variant) -> list[Json]:
    """How well hidden words of held-out text are told: the same words and the same masks for every variant.

    Always running text with 15% of the tokens hidden, 80/10/10, so that one loss is a measure of another.
    """

    def find(model: Path) -> Json:
        return dict(measured(model, held_out_of(bench, open_shards(shards(bench, little=variant.little)))))

    return over_pretrainings(bench, "words", variant, find)


def score_of(bench: Bench, variant: Variant, column: Column, seed: int) -> float:
    """The score on test of the variant's model, fine-tuned with one seed."""
    settings = _settings(bench, variant, seed % bench.pretrainings)
    found = bench.once(
        f"{column.name}/{variant.name}/{seed}",
        settings | {"set": column.of, "seed": seed, "finetune": column.changed},
        lambda: dict(finetuned(bench, model_of(bench, variant, seed), column.of, seed, **column.changed)),
    )
    score: float = found[SETS[column.of].metric]
    return score


def compare(
    bench: Bench,
    variants: Sequence[Variant],
    columns: Sequence[Column],
    more: Callable[[Variant], Json] | None = None,
) -> None:
    """Run, keep, print and draw: held-out loss, the figures of `more`, and the score on test of each column.

    A second table has the gains over the first variant, seed by seed. With one pretraining of each the intervals hold
    the luck of fine-tuning alone. A quick run takes the first and the last variant, and the last column.
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
    table = [
        {
            "pretraining": variant.name,
            "MLM loss": level(each["mlm_loss"] for each in words[variant.name]),
            "MLM accuracy": share(each["mlm_accuracy"] for each in words[variant.name]),
            **extra[variant.name],
            **{column.name: share(scores[column.name, variant.name]) for column in columns},
        }
        for variant in variants
    ]
    first = variants[0].name
    gains = [
        {
            f"above {first}": variant.name,
            **{column.name: gain(scores[column.name, variant.name], scores[column.name, first]) for column in columns},
        }
        for variant in variants[1:]
    ]
    bench.finish(table, gains=gains)
    show(table)
    print()
    show(gains)
    panels = {
        name: {row["pretraining"]: row[name] for row in table if row[name]}
        for name in table[0]
        if name not in ("pretraining", "MLM accuracy")
    }
    each = "one pretraining each" if bench.pretrainings == 1 else f"{bench.pretrainings} pretrainings each"
    story = f"{each}; means and 95% intervals over {bench.seeds} seeds of fine-tuning"
    draw_points(bench.picture, panels, story=story)


def _settings(bench: Bench, variant: Variant, number: int) -> Json:
    return {"changed": variant.changed, "steps": bench.steps, "little": variant.little, "pretraining": number}
