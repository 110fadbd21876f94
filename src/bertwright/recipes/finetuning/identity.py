"""What makes a fine-tuning the one it is: a run or a series goes on only with all of it as it began."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import torch

from bertwright.checkpoints.model_directory import LoadedModel
from bertwright.checkpoints.weights import weights_hash
from bertwright.files import sha256
from bertwright.recipes.finetuning.settings import FinetuneSettings
from bertwright.training.precision import choose_dtype

# Stands where the weights would be named.
FROM_SCRATCH = "random weights"


def identity_of(
    loaded: LoadedModel,
    task: str,
    train_file: Path,
    dev_file: Path,
    settings: FinetuneSettings,
    *,
    from_scratch: bool,
    device: torch.device,
) -> dict[str, Any]:
    """As JSON has it."""
    return {
        "settings": settings.seen_by(task),
        "task": task,
        "model": FROM_SCRATCH if from_scratch else f"weights sha256 {weights_hash(loaded.model)}",
        "config": loaded.model.config.model_dump(),
        "vocabulary_sha256": loaded.tokenizer.vocabulary.sha256,
        "tokenizer": loaded.tokenizer.identity(),
        "train": sha256(train_file),
        "dev": sha256(dev_file),
        # What the head is trained on: of a run that began with the scores as they are the weights mean something else.
        **({"scores": "standard"} if task == "regress" else {}),
        "precision": str(choose_dtype(settings.precision, device)).removeprefix("torch."),
    }
