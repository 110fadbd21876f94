from __future__ import annotations

import itertools
import json
from collections.abc import Sequence
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import ValidationError

from bertwright.batches.pretraining import PretrainingBatch
from bertwright.examples.masking import IGNORED
from bertwright.recipes.course import Course, sizes_of
from bertwright.recipes.recipe import PretrainRecipe
from bertwright.training.loop import Portion
from bertwright.training.world import World
from tests.support import letters, numbered, shards_of

# Twelve documents of four sentences: 288 tokens, all of them different, in six shards.
SHARDS = shards_of(numbered([[5, 7, 6, 6]] * 12), 2)
VOCABULARY = letters(300)
# Steps 0 to 5 are short rows, 6 to 8 longer ones and fewer.
PHASES = [{"share": 2 / 3, "max_length": 16}, {"share": 1 / 3, "max_length": 24, "batch_size": 4}]


def recipe(
    *, micro: int | None = None, sharding: str = "ddp", phases: Sequence[dict[str, Any]] = (), **training: Any
) -> PretrainRecipe:
    return PretrainRecipe.model_validate(
        {
            "model": {"preset": "bert-tiny"},
            "examples": {"max_length": 16},
            "training": {"steps": 9, "batch_size": 6} | training,
            "machine": {"micro_batch_size": micro, "sharding": sharding},
            "phases": list(phases),
        }
    )


def course(chosen: PretrainRecipe, rank: int = 0, size: int = 1, **how: Any) -> Course:
    return Course(chosen, SHARDS, VOCABULARY, World(torch.device("cpu"), rank, size), **how)


def content(batches: Sequence[PretrainingBatch]) -> dict[str, list[Any]]:
    """Rows one under the other, and hidden words and labelled pairs one after the other."""
    rows = {
        name: [row for batch in batches for row in getattr(batch, name).tolist()]
        for name in ("input_ids", "token_type_ids", "attention_mask")
    }
    # Rows have room for as many words and pairs as the fullest row of their batch: what is left over says nothing.
    labels = {
        name: [label for batch in batches for label in getattr(batch, name).tolist() if label != IGNORED]
        for name in ("masked_labels", "next_sentence_labels")
    }
    return rows | labels


def told(portion: Portion[PretrainingBatch]) -> tuple[Any, ...]:
    return content(portion.batches), list(portion.first_rows), portion.examples


def test_a_run_without_phases_is_one() -> None:
    found = course(recipe())
    (stretch,) = found.stretches
    assert (stretch.first, stretch.last, stretch.plan.seed) == (0, 9, 0)
    portions = list(found.portions(0))
    assert len(portions) == 9
    for portion in portions:
        (batch,) = portion.batches
        assert (batch.input_ids.shape, list(portion.first_rows)) == ((6, 16), [0])
    size = stretch.plan.size(0)
    assert portions[0].examples == "examples 0 to 5 of epoch 0"
    assert portions[1].examples == "examples 6 to 11 of epoch 0"
    assert 6 < size < 9 * 6  # several epochs, whose end lies within a step
    assert "of epoch 1" in portions[-1].examples


def test_phases_have_their_steps_lengths_sizes_and_seeds() -> None:
    found = course(recipe(phases=PHASES, seed=7))
    assert [(stretch.first, stretch.last, stretch.examples.max_length) for stretch in found.stretches] == [
        (0, 6, 16),
        (6, 9, 24),
    ]
    shapes = [tuple(portion.batches[0].input_ids.shape) for portion in found.portions(0)]
    assert shapes == [(6, 16)] * 6 + [(4, 24)] * 3
    first, second = (stretch.plan.seed for stretch in found.stretches)
    assert first == 7
    assert second not in {7, *(other.plan.seed for other in course(recipe(phases=PHASES, seed=8)).stretches)}
    assert found.place(6) == {"step": 6, "epoch": 0, "index": 0}
    assert [found.stretch(step).first for step in (0, 5, 6, 8, 9)] == [0, 0, 6, 6, 6]


def test_a_later_phase_of_the_same_length_sees_the_text_in_another_order() -> None:
    twice = course(recipe(phases=[{"share": 0.5, "max_length": 16}] * 2, steps=2))
    first, second = (content(portion.batches) for portion in twice.portions(0))
    assert first["input_ids"] != second["input_ids"]


@pytest.mark.parametrize(
    ("shares", "steps", "bounds"),
    [
        ((0.9, 0.1), 1000, [0, 900, 1000]),
        ((1 / 3, 1 / 3, 1 / 3), 10, [0, 3, 7, 10]),
        ((0.3333335, 0.333333, 0.333333), 3_000_000, [0, 1000000, 2000000, 3000000]),  # adds up to a bit less than 1
    ],
)
def test_phases_take_all_steps(shares: tuple[float, ...], steps: int, bounds: list[int]) -> None:
    phases = [{"share": share, "max_length": 16} for share in shares]
    found = recipe(phases=phases, steps=steps).phase_bounds
    assert [first for first, _ in found] == pytest.approx(bounds[:-1], abs=2)
    assert [found[0][0], found[-1][1]] == [0, steps]
    assert all(last == first for (_, last), (first, _) in itertools.pairwise(found))


def test_a_phase_of_no_step_is_refused() -> None:
    phases = [{"share": 0.99, "max_length": 16}, {"share": 0.01, "max_length": 24}]
    assert recipe(phases=phases, steps=100).phase_bounds == [(0, 99), (99, 100)]
    with pytest.raises(ValidationError, match=r"phase 2 has a `share` of 0\.01, less than one of 9 steps"):
        recipe(phases=phases)


def test_batches_that_grow() -> None:
    chosen = recipe(steps=12, ramp_from=2, ramp_fraction=0.5)
    wanted = [2, 2, 2, 4, 4, 4, 6, 6, 6, 6, 6, 6]
    assert sizes_of(chosen).tolist() == wanted
    portions = list(course(chosen).portions(0))
    assert [len(portion.batches[0].input_ids) for portion in portions] == wanted
    # No example is left out or taken twice where the size changes.
    assert [portion.examples for portion in portions[2:5]] == [
        "examples 4 to 5 of epoch 0",
        "examples 6 to 9 of epoch 0",
        "examples 10 to 13 of epoch 0",
    ]


def test_a_phase_may_set_the_size_on_its_own() -> None:
    assert sizes_of(recipe(phases=PHASES)).tolist() == [6] * 6 + [4] * 3


@given(
    size=st.integers(4, 17),
    processes=st.integers(1, 4),
    micro=st.none() | st.integers(1, 6),
    sharding=st.sampled_from(["ddp", "fsdp", "hybrid"]),
)
@settings(max_examples=60)
def test_processes_and_parts_take_the_examples_of_one(
    size: int, processes: int, micro: int | None, sharding: str
) -> None:
    whole = course(recipe(batch_size=size, steps=3))
    chosen = recipe(batch_size=size, steps=3, micro=micro, sharding=sharding)
    shared = [course(chosen, rank, processes) for rank in range(processes)]
    for step, expected in enumerate(whole.portions(0)):
        portions = [next(each.portions(step)) for each in shared]
        batches = [batch for portion in portions for batch in portion.batches]
        assert content(batches) == content(expected.batches)
        rows = [len(batch.input_ids) for batch in batches]
        assert min(rows) >= 1
        # Dropout counts rows through the whole step.
        firsts = [first for portion in portions for first in portion.first_rows]
        assert firsts == np.cumsum([0, *rows[:-1]]).tolist()
        parts = [len(portion.batches) for portion in portions]
        if sharding == "ddp":
            assert max(rows) <= (micro or size)
            assert max(parts) - min(parts) <= (micro == 1)
        else:
            # These go in step. One example at a time is two where shares differ by one, and there are as many parts.
            assert max(rows) <= max(2, micro or size)
            assert max(parts) == min(parts)
        if micro is None:
            assert len(batches) == processes
        assert {portion.examples for portion in portions} == {expected.examples}


@pytest.mark.parametrize(("sharding", "rows"), [("ddp", [[1, 1], [1, 1, 1]]), ("fsdp", [[1, 1], [1, 2]])])
def test_one_example_at_a_time_where_shares_differ_by_one(sharding: str, rows: list[list[int]]) -> None:
    chosen = recipe(batch_size=5, micro=1, sharding=sharding)
    portions = [next(course(chosen, rank, 2).portions(0)) for rank in range(2)]
    assert [[len(batch.input_ids) for batch in portion.batches] for portion in portions] == rows


@pytest.mark.parametrize(
    "how",
    [
        {},
        {"ramp_from": 2, "ramp_fraction": 0.5},
        {"phases": PHASES},
        {"phases": PHASES, "ramp_from": 3, "micro": 2},
    ],
    ids=["plain", "ramp", "phases", "all"],
)
def test_a_course_begun_at_a_place_goes_on_as_the_one_that_ran_through(how: dict[str, Any]) -> None:
    """At every step, so at phase borders and where an epoch ends within a step too; with as many processes as now."""
    chosen = recipe(**how)
    through = course(chosen)
    wanted = [told(portion) for portion in through.portions(0)]
    for step in range(10):
        place = json.loads(json.dumps(through.place(step)))
        found = course(chosen, place=place)
        assert [told(portion) for portion in found.portions(step)] == wanted[step:], step
        assert [found.place(later) for later in range(step, 10)] == [through.place(later) for later in range(step, 10)]
    moved = course(chosen, 1, 2, place=through.place(4))
    assert [portion.examples for portion in moved.portions(4)] == [examples for _, _, examples in wanted[4:]]


def test_rows_of_a_trial_are_those_of_the_step() -> None:
    found = course(recipe(phases=PHASES))
    assert found.rows(6, 3).input_ids.tolist() == content(next(found.portions(6)).batches)["input_ids"][:3]
