"""What makes a fine-tuning the one it is: a run or a series goes on only with all of it as it began."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from bertwright.checkpoints.model_directory import LoadedModel
from bertwright.checkpoints.weights import weights_hash
from bertwright.files import sha256
from bertwright.recipes.finetuning.settings import FinetuneSettings


def identity_of(
    loaded: LoadedModel, task: str, train_file: Path, dev_file: Path, settings: FinetuneSettings, *, from_scratch: bool
) -> dict[str, Any]:
    """As JSON has it."""
    known = settings.seen_by(task)
    # How many tokens go through the model at once changes no result.
    del known["micro_batch_tokens"]
    return {
        "settings": known,
        "task": task,
        "model": "random weights" if from_scratch else f"weights sha256 {weights_hash(loaded.model)}",
        "config": loaded.model.config.model_dump(),
        "vocabulary_sha256": loaded.tokenizer.vocabulary.sha256,
        "tokenizer": loaded.tokenizer.settings(),
        "train": sha256(train_file),
        "dev": sha256(dev_file),
    }
