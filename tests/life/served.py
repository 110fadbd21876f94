"""Small models with every head, on disk, for tests of the server."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from bertwright.checkpoints.model_directory import write_model
from bertwright.heads.model import PRETRAINING, Parts
from tests.unit.checkpoints.small import TOKENIZER, small_model

HEADS: dict[str, tuple[Parts, tuple[str, ...], dict[str, Any]]] = {
    "pretrained": (PRETRAINING, (), {}),
    "classifier": (Parts(labels=2), ("no", "yes"), {"task": "classify"}),
    "pairs": (
        Parts(labels=2),
        ("no", "yes"),
        {"task": "pair", "columns": {"texts": ["text_a", "text_b"], "label": "label"}},
    ),
    "rater": (
        Parts(labels=1),
        (),
        {"task": "regress", "columns": {"texts": ["text_a", "text_b"], "label": "score"}},
    ),
    "multi": (Parts(labels=3), ("a", "b", "c"), {"task": "multilabel"}),
    "tagger": (Parts(pooler=False, tags=3), ("O", "B-X", "I-X"), {"task": "tag"}),
    "answerer": (Parts(pooler=False, spans=True), (), {"task": "answer", "null_threshold": 0.0}),
    "chooser": (Parts(labels=1), (), {"task": "choice"}),
    "sentences": (Parts(pooler=False), (), {"task": "embed", "pooling": "mean", "normalize": True}),
}


def write_models(home: Path) -> dict[str, Path]:
    """A directory for each head, by its name."""
    found = {}
    for number, (name, (parts, labels, record)) in enumerate(HEADS.items()):
        found[name] = home / name
        found[name].mkdir()
        write_model(found[name], small_model(parts, seed=number), TOKENIZER, labels=labels, record=record)
    return found
