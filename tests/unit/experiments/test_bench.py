"""What an experiment keeps, when it goes on and when it stops."""

from __future__ import annotations

from pathlib import Path

import pytest

from lab.bench import Bench, OutOfTime, level, parser, share, show


def bench(out: Path, *more: str) -> Bench:
    return Bench("tried", parser("").parse_args(["--out", str(out), "--quick", *more]))


def test_a_run_is_done_once_for_the_same_settings(tmp_path: Path) -> None:
    done: list[int] = []

    def make() -> dict[str, float]:
        done.append(1)
        return {"accuracy": 0.5}

    assert bench(tmp_path).once("a", {"steps": 1}, make) == {"accuracy": 0.5}
    assert bench(tmp_path).once("a", {"steps": 1}, make) == {"accuracy": 0.5}
    assert len(done) == 1
    bench(tmp_path).once("a", {"steps": 2}, make)
    assert len(done) == 2


def test_when_the_minutes_are_over_no_further_run_begins(tmp_path: Path) -> None:
    tried = bench(tmp_path, "--minutes", "0")
    tried.once("the first", {}, lambda: {"loss": 1.0})
    with pytest.raises(OutOfTime):
        tried.once("the second", {}, lambda: {"loss": 1.0})
    # What is there already takes no time.
    assert tried.once("the first", {}, lambda: {"loss": 2.0}) == {"loss": 1.0}


def test_shares_are_told_in_hundredths_with_students_interval() -> None:
    # t of 2 degrees of freedom is 4.303, the deviation 1: 4.303 / sqrt(3) = 2.48.
    assert share([0.80, 0.81, 0.82]) == {"mean": 81.0, "low": 78.5, "high": 83.5, "seeds": 3}
    assert level([6.5]) == {"mean": 6.5, "low": 6.5, "high": 6.5, "seeds": 1}


def test_a_table_is_as_wide_as_it_must_be(capsys: pytest.CaptureFixture[str]) -> None:
    show([{"name": "a", "score": share([0.80, 0.81, 0.82])}, {"name": "longer", "score": share([0.5])}])
    assert capsys.readouterr().out.splitlines() == [
        "name    score",
        "a       81 (78.5 to 83.5)",
        "longer  50",
    ]
