from __future__ import annotations

import pytest

from bertwright.recipes.report.scales import fitting, linear, logarithmic, percent, plain, scientific, time_unit


@pytest.mark.parametrize(
    ("low", "high", "ticks"),
    [
        (0, 100, (0, 20, 40, 60, 80, 100)),
        (0, 0.3, (0, 0.1, 0.2, 0.3)),
        (7.2, 10.3, (8, 9, 10)),
        (0, 1e-3, (0, 0.0002, 0.0004, 0.0006, 0.0008, 0.001)),
        (-0.1, 0.1, (-0.1, -0.05, 0, 0.05, 0.1)),
        (5, 5, (4.6, 4.8, 5, 5.2, 5.4)),
        (0, 0, (0, 0.2, 0.4, 0.6, 0.8, 1)),
    ],
)
def test_ticks_are_round_and_inside(low: float, high: float, ticks: tuple[float, ...]) -> None:
    assert linear(low, high).ticks == pytest.approx(ticks)


def test_where_a_value_stands() -> None:
    assert [linear(2, 4).share(value) for value in (2, 3, 4, 9)] == [0, 0.5, 1, 1]
    assert [logarithmic(1, 100).share(value) for value in (1, 10, 100, -5)] == [0, 0.5, 1, 0]


def test_spikes_make_an_axis_logarithmic() -> None:
    scale = fitting(0.5, 5000, 1.0, from_zero=False)
    assert scale.logarithmic
    assert list(scale.ticks) == [1, 10, 100, 1000]
    calm = [fitting(low, high, 1.0, from_zero=False) for low, high in ((0.5, 29), (-1, 5000))]
    assert [scale.logarithmic for scale in calm] == [False, False]
    assert fitting(0.2, 0.8, 0.5, from_zero=True).low == 0


def test_numbers_as_one_says_them() -> None:
    assert [plain(value) for value in (0, 0.25, 7.5, 1500, 20_000, 1e6, 1.25e9)] == [
        "0", "0.25", "7.5", "1,500", "20k", "1M", "1.25G",
    ]  # fmt: skip
    assert [scientific(value) for value in (0, 2e-3, 1.5e-4, 1e-12)] == ["0", "2e-3", "1.5e-4", "1e-12"]
    assert [percent(value) for value in (0, 0.5, 0.125)] == ["0%", "50%", "12.5%"]
    assert [time_unit(seconds)[1] for seconds in (100, 200, 8000, 2e5)] == ["seconds", "minutes", "hours", "days"]
