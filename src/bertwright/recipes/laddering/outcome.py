"""What a ladder found: each rung's score over the seeds, its gain over the first, and how sure both are."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import mean
from typing import Any

from bertwright.metrics.intervals import Interval, interval, paired, t_quantile
from bertwright.recipes.laddering.rungs import GENERAL

# Seeds that the reach of an interval is compared with, where there are fewer.
_MANY = 10
NO_GAIN = "no gain shown"
# Below this, differences differ by their last bits alone.
_ROUNDING = 1e-9


@dataclass(frozen=True, slots=True)
class Rung:
    """A finished rung: every score of every seed, in the order of the seeds, and the seconds that its runs took.

    `measured` are the held-out figures of its adaptation, as of `Adapted.as_json`. Scores on test are `test_...`.
    """

    name: str
    scores: dict[str, tuple[float, ...]]
    adapting: float = 0.0
    fine_tuning: float = 0.0
    measured: tuple[dict[str, Any], ...] = ()


@dataclass(frozen=True, slots=True)
class Climbed:
    """A finished ladder.

    `metric` is the score by which the best weights were chosen on dev, `scored_on` the rows that the table tells of
    (test or dev) and `rows` their number. `best` is the rung whose model is kept: that of the best mean on dev.
    """

    out: Path
    task: str
    metric: str
    scored_on: str
    rows: int
    rungs: tuple[Rung, ...]
    best: str
    kept_seed: int
    baseline: dict[str, float]

    @property
    def seeds(self) -> int:
        """The number of seeds."""
        return len(self.values(self.rungs[0]))

    def values(self, rung: Rung) -> tuple[float, ...]:
        """The scores of the table, one a seed."""
        return rung.scores[f"test_{self.metric}" if self.scored_on == "test" else self.metric]

    def gain(self, rung: Rung) -> Interval:
        """By how much a rung is above the first, seed by seed."""
        return paired(self.values(rung), self.values(self.rungs[0]))

    def table(self) -> list[str]:
        """A row a rung, as lines."""
        cells = [_heads(self.metric), *(self._cells(rung) for rung in self.rungs)]
        widths = [max(map(len, column)) for column in zip(*cells, strict=True)]
        return ["  ".join(map(str.ljust, row, widths)).rstrip() for row in cells]

    def notes(self) -> list[str]:
        """What one must know to read the table, a sentence each."""
        found = [f"scored on the {self.rows:,} rows of {self.scored_on}"]
        if self.scored_on == "dev":
            found[0] += ", by which each run's best weights were chosen too: give --test for scores that nothing chose"
        bar = self.baseline.get(self.metric)
        if bar is not None:
            found.append(f"without a model, by the training rows alone: {self.metric} {bar:.4f} on dev")
        reach = _reach(self.seeds)
        more = f", with {_MANY} seeds {_reach(_MANY):.2f}: small gains need more seeds" if self.seeds < _MANY else ""
        found.append(f"{self.seeds} seeds: a 95% interval reaches {reach:.2f} sample deviations to either side{more}")
        found.append(
            "gains are paired, seed by seed; the intervals are of the seeds of fine-tuning alone: each adaptation was "
            "run once, and other rows would score otherwise"
        )
        found.append("minutes are those of training, adapting from the model given + fine-tuning with all seeds")
        return found

    def markdown(self) -> str:
        """The table with all that it takes to read it, to be pasted."""
        lines = [f"# {self.out.name}: from general text to the task", ""]
        lines += [f"| {' | '.join(_heads(self.metric))} |", "|---|---|---|---|---|---|---|"]
        lines += [f"| {' | '.join(self._cells(rung))} |" for rung in self.rungs]
        lines += ["", *(f"- {note}" for note in self.notes()), f"- {self.kept}"]
        return "\n".join(lines) + "\n"

    @property
    def kept(self) -> str:
        """Which model is kept, and why that one."""
        return (
            f"kept in `best`: rung {self.best}, whose mean on dev is highest, the run of its median score there "
            f"(seed {self.kept_seed})"
        )

    def as_json(self) -> dict[str, Any]:
        """The same as plain values."""
        return {
            "task": self.task,
            "metric": self.metric,
            "scored_on": self.scored_on,
            "rows": self.rows,
            "seeds": self.seeds,
            "level": 0.95,
            "rungs": [self._rung_json(rung) for rung in self.rungs],
            "baseline": self.baseline,
            "best": {"rung": self.best, "seed": self.kept_seed},
            "notes": self.notes(),
        }

    def _rung_json(self, rung: Rung) -> dict[str, Any]:
        first = rung.name == GENERAL
        return {
            "rung": rung.name,
            **interval(self.values(rung))._asdict(),
            "gain": None if first else self.gain(rung)._asdict() | {"verdict": verdict(self.gain(rung))},
            "scores": {name: list(values) for name, values in rung.scores.items()},
            "minutes": {"adapting": round(rung.adapting / 60, 2), "fine_tuning": round(rung.fine_tuning / 60, 2)},
            "held_out": list(rung.measured),
        }

    def _cells(self, rung: Rung) -> list[str]:
        found = interval(self.values(rung))
        minutes = f"{rung.adapting / 60:.1f} + {rung.fine_tuning / 60:.1f}"
        cells = [rung.name, f"{found.mean:.4f}", f"{found.low:.4f} to {found.high:.4f}"]
        if rung.name == GENERAL:
            return [*cells, "", "", "", minutes]
        gain = self.gain(rung)
        return [*cells, f"{gain.mean:+.4f}", f"{gain.low:+.4f} to {gain.high:+.4f}", verdict(gain), minutes]


def _heads(metric: str) -> list[str]:
    return ["rung", metric, "95% interval", "gain over general", "95% interval of the gain", "", "minutes"]


def verdict(gain: Interval) -> str:
    """What a gain's interval allows to say."""
    if gain.low <= 0 <= gain.high:
        return NO_GAIN
    # Equal differences of few seeds, as of scores on few rows, leave no spread to make an interval of.
    sure = ", the same in all seeds" if gain.deviation < _ROUNDING else ""
    return ("gain" if gain.mean > 0 else "loss") + sure


def best_rung(rungs: Sequence[Rung], metric: str) -> str:
    """The rung of the best mean on dev, of equal ones the first, which took the least."""
    return max(rungs, key=lambda rung: mean(rung.scores[metric])).name


def _reach(seeds: int) -> float:
    return t_quantile(0.95, seeds - 1) / math.sqrt(seeds)
