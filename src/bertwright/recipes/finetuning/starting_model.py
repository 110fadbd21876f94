"""The model that fine-tuning starts from: the encoder that was given, and its head where that answers the same."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any

import torch

from bertwright.checkpoints.model_directory import LoadedModel, with_parts
from bertwright.encoder.config import EncoderConfig
from bertwright.heads.model import Bert
from bertwright.tasks.task import Task

# The parts that have an output for each label.
_HEADS = ("classifier", "tagger", "feature_tagger")
_TOLD_LABELS = 10


def starting_model(
    loaded: LoadedModel, task: Task[Any, Any], config: EncoderConfig, *, seed: int, say: Callable[[str], None]
) -> Bert:
    """The model with the parts of a task.

    A head goes on from its own weights where it is for the same task and the same labels, whatever their order: labels
    from training rows are sorted, those of a foreign model are not. Any other is drawn anew with `seed`, also where its
    shape would fit: two labels of another task would start as the wrong ones.
    """
    order = _known_labels(loaded, task)
    model, drawn = with_parts(loaded.model, task.parts, seed=seed, config=config, anew=_HEADS if order is None else ())
    if drawn:
        new = sorted({name.partition(".")[0] for name in drawn})
        had = "" if order is not None else _what_it_had(loaded, new)
        say(f"{loaded.path}: new weights for {', '.join(new)}{had}")
    kept = [name for name in _HEADS if getattr(model, name) is not None and not any(d.startswith(name) for d in drawn)]
    if kept:
        task.before_training(model)
    for name in kept:
        say(f"{loaded.path}: the {name} goes on from its own weights, which are for the same task")
        if order:
            dense = model.get_submodule(f"{name}.dense")
            with torch.no_grad():
                for parameter in dense.parameters():
                    parameter.copy_(parameter[order].clone())
    return model


def _known_labels(loaded: LoadedModel, task: Task[Any, Any]) -> list[int] | None:
    """For each label of the task which of the model's outputs it is; None where they are not the same answers."""
    # A foreign model does not say whether it reads one text or two.
    same = (task.name,) if loaded.record.get("task") or task.name != "pair" else ("pair", "classify")
    if loaded.task not in same:
        return None
    # LABEL_0 is the name of a class without one: the rows' own number, if that is what they call it.
    for theirs in (list(loaded.labels), [re.sub(r"^LABEL_(?=[0-9]+$)", "", label) for label in loaded.labels]):
        if sorted(theirs) == sorted(task.labels):
            return [theirs.index(label) for label in task.labels]
    return None


def _what_it_had(loaded: LoadedModel, new: list[str]) -> str:
    """Of a head that is not gone on with, what it was for."""
    if not any(name in _HEADS and getattr(loaded.model, name) is not None for name in new):
        return ""
    labels = ", ".join(loaded.labels[:_TOLD_LABELS]) + (", ..." if len(loaded.labels) > _TOLD_LABELS else "")
    return f"; its own is for `{loaded.task}`" + (f" with the labels {labels}" if labels else "")
