"""The same fine-tuning with several seeds: what a score is worth, and the run in the middle of them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from bertwright.metrics.intervals import Interval, interval
from bertwright.progress import Progress
from bertwright.recipes.finetuning.series import Result, Series
from bertwright.recipes.finetuning.settings import FinetuneSettings


@dataclass(frozen=True, slots=True)
class Repeated:
    """The run that was kept, and mean, deviation and interval of each score over all of them."""

    kept: Result
    seed: int
    intervals: dict[str, Interval]
    # In the order of their seeds.
    runs: tuple[Result, ...]


def repeat(series: Series, settings: FinetuneSettings, seeds: int, progress: Progress) -> Repeated:
    """Fine-tune with the seed of the settings and those that follow it; the run of the median score is kept.

    A single run says little: between the seeds of one fine-tuning lie often several points (Dodge et al. 2020), and
    whoever reports the best of several reports luck. Of an even number of runs the lower of the two in the middle is
    kept, so that the model is never better than its card by choice.
    """
    results: list[tuple[int, Result]] = []
    for number in range(seeds):
        seed = settings.seed + number
        progress.say(f"seed {seed}, {number + 1} of {seeds}:")
        results.append((seed, series.run(f"seed-{seed}", settings.model_copy(update={"seed": seed}), {"seed": seed})))
    ranked = sorted(results, key=lambda each: (each[1].score, -each[0]))
    seed, kept = ranked[(len(ranked) - 1) // 2]
    runs = tuple(result for _, result in results)
    return Repeated(kept, seed, intervals_of(runs), runs)


def intervals_of(results: Sequence[Result]) -> dict[str, Interval]:
    """Each score that all results have."""
    names = [name for name in results[0].scores if all(name in each.scores for each in results)]
    return {name: interval([each.scores[name] for each in results]) for name in names}
