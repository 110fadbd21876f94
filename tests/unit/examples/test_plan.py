from __future__ import annotations

import numpy as np
import pytest

from bertwright.examples.plan import SHARDS_PER_WINDOW, Cursor, ExamplePlan
from bertwright.examples.settings import ExampleSettings
from tests.support import numbered, shards_of

RANDOM = np.random.default_rng(0)
LENGTHS = [RANDOM.integers(1, 12, size=RANDOM.integers(1, 6)).tolist() for _ in range(120)]
SHARDS = shards_of(numbered(LENGTHS), 4)  # 30 shards: three windows of 8 and one of 6
SETTINGS = ExampleSettings(max_length=16)


def plan(seed: int = 0) -> ExamplePlan:
    return ExamplePlan(SHARDS, SETTINGS, seed)


def examples(plan: ExamplePlan, cursor: Cursor, count: int) -> list[tuple[int, ...]]:
    """(epoch, first token of A, length of A, first token of B, length of B, label) of each example."""
    found: list[tuple[int, ...]] = []
    for run, size in plan.locate(cursor, count):
        rows: dict[tuple[int, int], tuple[int, ...]] = {}
        for placed in plan.pairs(run, size):
            shard, pairs = placed.shard, placed.pairs
            for row, slot, a, m, b, n, label in zip(
                placed.rows.tolist(),
                placed.slots.tolist(),
                pairs.a_start.tolist(),
                pairs.a_length.tolist(),
                pairs.b_start.tolist(),
                pairs.b_length.tolist(),
                pairs.is_next.tolist(),
                strict=True,
            ):
                rows[row, slot] = (run.epoch, int(shard.tokens[a]), m, int(shard.tokens[b]), n, int(label))
        assert sorted({row for row, _ in rows}) == list(range(size))
        # An example is the sequences of its row, one after the other.
        found += [sum((rows[key] for key in sorted(rows) if key[0] == row), ()) for row in range(size)]
    return found


def test_an_example_does_not_depend_on_how_it_is_asked_for() -> None:
    one = plan()
    assert len(SHARDS) > 3 * SHARDS_PER_WINDOW
    total = one.size(0) + one.size(1)
    straight = examples(one, Cursor(), total)
    assert len(one._windows) == 2  # however many there are
    for size in (1, 7, 64, one.size(0) - 1):
        cursor = Cursor()
        found: list[tuple[int, ...]] = []
        other = plan()
        while len(found) < total:
            found += examples(other, cursor, size)
            cursor = other.advance(cursor, size)
        assert found[:total] == straight
    other = plan()
    for index in np.random.default_rng(1).permutation(total)[:200].tolist():
        assert examples(other, other.advance(Cursor(), index), 3)[: total - index] == straight[index : index + 3]


def test_a_late_epoch_needs_no_earlier_one() -> None:
    one, other = plan(), plan()
    for epoch in range(4):
        examples(one, Cursor(epoch), 10)
    assert examples(one, Cursor(4), 50) == examples(other, Cursor(4), 50)


def test_an_epoch_holds_every_pair_once_in_an_order_of_its_own() -> None:
    one = plan()
    first, second = (examples(one, Cursor(epoch), one.size(epoch)) for epoch in (0, 1))
    assert len(set(first)) == one.size(0) == one.report(0).examples
    assert [example[1] for example in first] != [example[1] for example in second]
    assert first != sorted(first)
    other = plan(seed=1)
    assert examples(other, Cursor(), 50) != first[:50]


@pytest.mark.parametrize(("distinct", "counted"), [(None, [0, 1, 2, 3, 4]), (2, [0, 1])])
def test_an_epoch_that_comes_again_is_not_counted_again(distinct: int | None, counted: list[int]) -> None:
    one = ExamplePlan(SHARDS, SETTINGS.model_copy(update={"distinct_epochs": distinct}), 0)
    progress: dict[int, list[int]] = {epoch: [] for epoch in range(5)}
    sizes = [one.report(epoch, progress[epoch].append).examples for epoch in range(5)]
    assert [epoch for epoch, windows in progress.items() if windows] == counted
    assert sizes == [plan().size(epoch % (distinct or 5)) for epoch in range(5)]
    # A place in them is counted from the sizes, so it says the same too.
    assert one.advance(Cursor(), sum(sizes[:4]) + 3) == Cursor(4, 3)


@pytest.mark.parametrize("epoch", range(3))
def test_labels_are_balanced_over_an_epoch_of_many_shards(epoch: int) -> None:
    report = plan().report(epoch)
    assert abs(2 * report.is_next - report.sequences) <= -(-len(SHARDS) // SHARDS_PER_WINDOW)  # an odd one in each


def test_the_report_accounts_for_every_token() -> None:
    report = plan().report(0)
    assert report.corpus_tokens == sum(map(sum, LENGTHS))
    assert (report.truncated_tokens, report.single_tokens) == (0, sum(sum(lengths) == 1 for lengths in LENGTHS))
    sequences = [
        row[at : at + 6] for row in examples(plan(), Cursor(), report.examples) for at in range(0, len(row), 6)
    ]
    assert len(sequences) == report.sequences > report.examples
    assert report.example_tokens == sum(a + b + 3 for _, _, a, _, b, _ in sequences)
    trimmed = ExamplePlan(SHARDS, SETTINGS.model_copy(update={"too_long": "trim"}), 0).report(0)
    assert trimmed.truncated_tokens > 0
    assert 0 <= trimmed.single_tokens <= len(LENGTHS)


def test_advancing_crosses_epochs() -> None:
    one = plan()
    assert one.advance(Cursor(0, 5), 0) == Cursor(0, 5)
    assert one.advance(Cursor(0, one.size(0) - 1), 1) == Cursor(1, 0)
    assert one.advance(Cursor(), one.size(0) + one.size(1) + 3) == Cursor(2, 3)
