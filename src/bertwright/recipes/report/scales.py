"""Where a value stands on an axis, the ticks of the axis, and how its numbers are told."""

from __future__ import annotations

import math
from dataclasses import dataclass

# Highest over median beyond which a linear axis would show one spike and a flat line.
_SPIKY = 30.0


@dataclass(frozen=True, slots=True)
class Scale:
    """An axis from `low` to `high`, linear or logarithmic, with its ticks."""

    low: float
    high: float
    ticks: tuple[float, ...]
    logarithmic: bool = False

    def share(self, value: float) -> float:
        """How far along the axis a value stands, 0 to 1."""
        if self.logarithmic:
            value = math.log(max(value, self.low) / self.low) / math.log(self.high / self.low)
        else:
            value = (value - self.low) / (self.high - self.low)
        return min(1.0, max(0.0, value))


def linear(low: float, high: float, ticks: int = 5) -> Scale:
    """A scale from `low` to `high` with about so many ticks inside, at 1, 2 or 5 times a power of ten."""
    if high <= low:
        low, high = (0.0, 1.0) if low == 0 else (low - abs(low) / 10, low + abs(low) / 10)
    rough = (high - low) / ticks
    power = 10.0 ** math.floor(math.log10(rough))
    step = next(factor * power for factor in (1, 2, 5, 10) if factor * power >= rough * 0.999)
    first, last = math.ceil(low / step - 1e-9), math.floor(high / step + 1e-9)
    # By division where the step is below one: 3 * 0.1 is not 0.3.
    marks = tuple(number * step if step >= 1 else number / round(1 / step, 9) for number in range(first, last + 1))
    return Scale(low, high, marks)


def logarithmic(low: float, high: float) -> Scale:
    """The same over powers of ten, with steps between them where there are few; `low` is above 0."""
    powers = range(math.floor(math.log10(low)), math.ceil(math.log10(high)) + 1)
    factors = (1, 2, 5) if len(powers) <= 3 else (1,)
    every = max(1, len(powers) // 6)
    marks = (factor * 10.0**power for power in powers[::every] for factor in factors)
    return Scale(low, high, tuple(mark for mark in marks if low <= mark <= high), logarithmic=True)


def fitting(lowest: float, highest: float, median: float, *, from_zero: bool) -> Scale:
    """The vertical axis of curves: with some air, from zero where that is asked, logarithmic where spikes are.

    Spikes of thirty times the median would press everything else to the ground.
    """
    if lowest > 0 and highest > _SPIKY * median:
        return logarithmic(lowest / 1.1, highest * 1.1)
    if from_zero and lowest >= 0:
        return linear(0.0, highest * 1.05)
    air = (highest - lowest) * 0.05
    return linear(lowest - air, highest + air)


def plain(value: float) -> str:
    """A number in few characters, as on an axis: 0.25, 1,500, 20k, 3M."""
    size = abs(value)
    for unit, letter in ((1e12, "T"), (1e9, "G"), (1e6, "M"), (1e4, "k")):
        if size >= unit:
            return f"{value / (1e3 if letter == 'k' else unit):.4g}{letter}"
    return f"{value:,.0f}" if size >= 1000 else f"{value:.4g}"


def scientific(value: float) -> str:
    """A number as learning rates are written: 2e-3, 1.5e-4."""
    if value == 0:
        return "0"
    digits, _, power = f"{value:.1e}".partition("e")
    return f"{digits.removesuffix('.0')}e{int(power)}"


def percent(value: float) -> str:
    """A share of one as percent, with as many digits as an axis needs."""
    return f"{100 * value:.3g}%"


def exact(value: float) -> str:
    """A measured number for a table."""
    return f"{value:,.0f}" if abs(value) >= 1000 else f"{value:.4g}"


def exact_percent(value: float) -> str:
    """A measured share for a table."""
    return f"{value:.1%}" if abs(value) < 0.9995 else f"{value:.2%}"


def time_unit(seconds: float) -> tuple[float, str]:
    """The unit in which a time of training reads best: its seconds and its name."""
    for size, name in ((86400.0, "days"), (3600.0, "hours"), (60.0, "minutes")):
        if seconds >= 2 * size:
            return size, name
    return 1.0, "seconds"
