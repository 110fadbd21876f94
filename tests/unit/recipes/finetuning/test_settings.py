"""How long the inputs of a fine-tuning are where nobody says it."""

from __future__ import annotations

import pytest

from bertwright.batches.windows import Lengths
from bertwright.errors import SettingsError
from bertwright.recipes.finetuning.settings import FinetuneSettings


@pytest.mark.parametrize(
    ("task", "positions", "trained", "longest", "overlap"),
    [
        ("classify", 512, 512, 512, 128),
        ("answer", 512, 512, 384, 128),
        # Of 512 positions those past the 128 of the pretraining have never been trained.
        ("classify", 512, 128, 128, 32),
        ("answer", 512, 128, 128, 42),
        ("tag", 64, 64, 64, 16),
    ],
)
def test_inputs_are_as_long_as_the_model_was_trained_on(
    task: str, positions: int, trained: int, longest: int, overlap: int
) -> None:
    found = FinetuneSettings().lengths(positions, task, trained)
    assert found == Lengths(max_length=longest, overlap=overlap, most=16)


def test_who_wishes_it_may_train_more_positions() -> None:
    assert FinetuneSettings(max_length=256).lengths(512, "classify", 128).max_length == 256
    with pytest.raises(
        SettingsError, match="`max_length` is 512, but the model has 256 positions; set it to 256 or less"
    ):
        FinetuneSettings(max_length=512).lengths(256, "classify", 128)
