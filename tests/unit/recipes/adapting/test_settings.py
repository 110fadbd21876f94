from __future__ import annotations

import re
from pathlib import Path

from bertwright.encoder.config import EncoderConfig
from bertwright.recipes.adapting.settings import AdaptSettings

GUIDE = (Path(__file__).parents[4] / "docs/adapting.md").read_text(encoding="utf-8")
SHAPE = EncoderConfig(
    vocab_size=100,
    hidden_size=8,
    num_hidden_layers=3,
    num_attention_heads=2,
    intermediate_size=16,
    max_position_embeddings=64,
    hidden_dropout_prob=0.25,
    attention_probs_dropout_prob=0.0,
)


def test_the_settings_in_the_guide_are_the_defaults_but_for_two() -> None:
    (text,) = re.findall(r"```toml\n(.*?)```", GUIDE, flags=re.DOTALL)
    found = AdaptSettings.from_toml(text)
    assert found.replaced(["dropout=0.5", "field.most_steps=1"]) == AdaptSettings().replaced(
        ["dropout=0.5", "field.most_steps=1"]
    )


def test_a_part_of_a_table_leaves_the_rest_of_it_as_it_was() -> None:
    found = AdaptSettings.from_toml("[task]\nlearning_rate = 1e-4\n")
    assert (found.task.learning_rate, found.task.epochs, found.field.epochs) == (1e-4, 100, 1)


def test_a_stage_has_the_shape_and_the_dropout_of_the_model() -> None:
    settings = AdaptSettings().replaced(["task.evaluations=4", "log_every=50"])
    recipe = settings.recipe(settings.task, "none", SHAPE, steps=101, seed=7)
    assert recipe.model.config(100, 0) == SHAPE
    assert recipe.examples.segments == "none"
    training = recipe.training
    assert (training.steps, training.evaluate_every, training.save_every, training.log_every) == (101, 26, 26, 26)
    assert (training.seed, training.learning_rate, training.warmup_fraction) == (7, 5e-5, 0.06)
    with_dropout = settings.replaced(["dropout=0.5"]).recipe(settings.task, "none", SHAPE, steps=1, seed=7)
    dropped = with_dropout.model.config(100, 0)
    assert (dropped.hidden_dropout_prob, dropped.attention_probs_dropout_prob) == (0.5, 0.5)
