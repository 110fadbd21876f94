"""Small models pretrained for the experiments, each once: two experiments that want the same one share it."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from bertwright.batches.pretraining import PretrainingBatch
from bertwright.checkpoints.model_directory import read_model
from bertwright.examples.settings import ExampleSettings
from bertwright.files import to_json
from bertwright.heads.model import Bert
from bertwright.recipes.held_out import held_out_batches
from bertwright.recipes.pretrain import pretrain
from bertwright.recipes.recipe import PretrainRecipe, load_recipe
from bertwright.shards.read import ShardDirectory, open_shards
from bertwright.tasks.pretrain import held_out_scores
from bertwright.training.world import alone
from lab.bench import Bench

# The model and the training that every experiment starts from; each changes what it is about.
USUAL: dict[str, Any] = {
    "model.preset": "bert-tiny",
    "model.max_position_embeddings": 128,
    "examples.segments": "none",
    "training.batch_size": 16,  # so short a run learns more from small batches (docs/pretraining.md)
    "training.log_every": 50,
    "training.save_every": 200,
    "evaluation_examples": 128,
}
QUICK: dict[str, Any] = {
    "model.hidden_size": 32,
    "model.num_hidden_layers": 1,
    "model.num_attention_heads": 2,
    "model.intermediate_size": 64,
    "training.batch_size": 4,
    "training.precision": "fp32",
    "evaluation_examples": 8,
}
# Held-out examples of 128 tokens that models are compared on.
MEASURED = 512


def recipe_of(bench: Bench, changed: dict[str, Any] | None = None) -> PretrainRecipe:
    """The recipe `quickstart` with what all experiments change, then what one of them does."""
    steps = {"training.steps": bench.steps, "training.evaluate_every": bench.steps}
    values = USUAL | steps | (changed or {}) | (QUICK if bench.quick else {})
    return load_recipe("quickstart", [f"{name}={json.dumps(value)}" for name, value in values.items()])


def pretrained(bench: Bench, changed: dict[str, Any], data: Path, *, number: int = 0) -> Path:
    """The directory of a model pretrained on the shards of `data`, made on first need; gone on with where it stood.

    number: of several pretrainings that differ in their seed alone.
    """
    recipe = recipe_of(bench, changed | {"training.seed": number})
    manifest = open_shards(data).manifest
    digest = hashlib.sha256(to_json({"recipe": recipe.identity, "data": manifest.identity})).hexdigest()[:10]
    out = bench.out / "models" / digest
    if not (out / "config.json").exists():
        resume = (out / "run" / "run.json").exists()
        with bench.unit():
            pretrain(recipe, data, out, resume=resume, overwrite=not resume, progress=bench.progress)
    return out


def held_out_of(
    bench: Bench, shards: ShardDirectory, settings: ExampleSettings | None = None
) -> list[PretrainingBatch]:
    """Held-out text as batches: the same words hidden for every model, whatever it learnt from.

    settings: those of the usual recipe where none are given.
    """
    settings = settings or recipe_of(bench).examples
    most = 8 if bench.quick else MEASURED
    return list(held_out_batches(shards.shards("held_out"), settings, shards.tokenizer.vocabulary, most=most))


def measured(model: Path | Bert, batches: Sequence[PretrainingBatch]) -> dict[str, float]:
    """Loss and accuracy on held-out batches, as `held_out_scores` has them."""
    bert = model if isinstance(model, Bert) else read_model(model).model
    return held_out_scores(bert.to(alone().device), batches)
