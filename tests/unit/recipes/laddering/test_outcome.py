from __future__ import annotations

from pathlib import Path

import pytest

from bertwright.metrics.intervals import paired
from bertwright.recipes.laddering.outcome import Climbed, Rung, best_rung, verdict

# Means 0.5, 0.6, 0.52 and 0.3. With three seeds an interval reaches 2.484 sample deviations to either side.
GENERAL = Rung("general", {"f1": (0.49, 0.50, 0.51)}, 0, 60)
FIELD = Rung("field", {"f1": (0.61, 0.60, 0.59)}, 600, 90)
TASK = Rung("task", {"f1": (0.49, 0.55, 0.52)}, 30, 90)
BOTH = Rung("field+task", {"f1": (0.29, 0.32, 0.29)}, 630, 90)


def climbed(*rungs: Rung, scored_on: str = "dev") -> Climbed:
    return Climbed(Path("a/biology"), "tag", "f1", scored_on, 200, rungs, "field", 1, {})


def test_the_table_tells_each_rung_its_gain_and_what_it_allows_to_say() -> None:
    heads, *rows = [line.split("  ") for line in climbed(GENERAL, FIELD, TASK, BOTH).table()]
    cells = [[cell.strip() for cell in row if cell] for row in rows]
    assert [cell.strip() for cell in heads if cell] == [
        "rung", "f1", "95% interval", "gain over general", "95% interval of the gain", "minutes",
    ]  # fmt: skip
    assert cells == [
        ["general", "0.5000", "0.4752 to 0.5248", "0.0 + 1.0"],
        ["field", "0.6000", "0.5752 to 0.6248", "+0.1000", "+0.0503 to +0.1497", "gain", "10.0 + 1.5"],
        ["task", "0.5200", "0.4455 to 0.5945", "+0.0200", "-0.0457 to +0.0857", "no gain shown", "0.5 + 1.5"],
        ["field+task", "0.3000", "0.2570 to 0.3430", "-0.2000", "-0.2497 to -0.1503", "loss", "10.5 + 1.5"],
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("differences", "said"),
    [
        ((0.02, 0.03, 0.04), "gain"),
        ((-0.02, -0.03, -0.04), "loss"),
        ((0.0, 0.0, 0.0), "no gain shown"),
        ((-0.5, 0.5, 0.5), "no gain shown"),
        ((0.25, 0.25), "gain, the same in all seeds"),
    ],
)
def test_a_gain_is_one_where_its_interval_lies_above_nothing(differences: tuple[float, ...], said: str) -> None:
    assert verdict(paired(differences, [0.0] * len(differences))) == said


def test_gains_are_paired_seed_by_seed() -> None:
    # Seeds differ by 0.1 each, rungs by 0.01 or 0.02 in each seed: unpaired, nothing could be seen.
    one = Rung("general", {"f1": (0.5, 0.6, 0.7)})
    other = Rung("field", {"f1": (0.51, 0.62, 0.71)})
    gain = climbed(one, other).gain(other)
    assert gain.mean == pytest.approx(0.04 / 3)
    assert verdict(gain) == "no gain shown"  # 0.0133 - 2.484 * 0.0058 < 0
    assert gain.deviation == pytest.approx(0.00577, abs=1e-5)


def test_the_table_tells_of_test_where_there_is_one_and_the_best_is_of_dev() -> None:
    one = Rung("general", {"f1": (0.5, 0.5), "test_f1": (0.7, 0.8)})
    other = Rung("field", {"f1": (0.6, 0.6), "test_f1": (0.5, 0.6)})
    found = climbed(one, other, scored_on="test")
    assert found.as_json()["rungs"][1]["gain"]["mean"] == pytest.approx(-0.2)
    assert best_rung(found.rungs, "f1") == "field"
    # Of equal ones the first, which took the least.
    assert best_rung((one, Rung("task", {"f1": (0.4, 0.6)})), "f1") == "general"
    assert found.notes()[0] == "scored on the 200 rows of test"


def test_what_few_seeds_are_worth_is_said() -> None:
    notes = climbed(GENERAL, FIELD).notes()
    assert notes[0] == (
        "scored on the 200 rows of dev, by which each run's best weights were chosen too: "
        "give --test for scores that nothing chose"
    )
    assert notes[1] == (
        "3 seeds: a 95% interval reaches 2.48 sample deviations to either side, with 10 seeds 0.72: "
        "small gains need more seeds"
    )
    ten = climbed(Rung("general", {"f1": (0.5,) * 10}), Rung("field", {"f1": (0.5,) * 10})).notes()
    assert ten[1] == "10 seeds: a 95% interval reaches 0.72 sample deviations to either side"


def test_the_page_can_be_pasted() -> None:
    lines = climbed(GENERAL, TASK).markdown().splitlines()
    assert lines[:6] == [
        "# biology: from general text to the task",
        "",
        "| rung | f1 | 95% interval | gain over general | 95% interval of the gain |  | minutes |",
        "|---|---|---|---|---|---|---|",
        "| general | 0.5000 | 0.4752 to 0.5248 |  |  |  | 0.0 + 1.0 |",
        "| task | 0.5200 | 0.4455 to 0.5945 | +0.0200 | -0.0457 to +0.0857 | no gain shown | 0.5 + 1.5 |",
    ]
    assert lines[-1] == (
        "- kept in `best`: rung field, whose mean on dev is highest, the run of its median score there (seed 1)"
    )
