"""A head goes on where it answers the same, in the order of the task's labels; any other is drawn anew."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch

from bertwright.batches.windows import Lengths
from bertwright.checkpoints.model_directory import LoadedModel
from bertwright.heads.model import Bert, Parts
from bertwright.recipes.finetuning.starting_model import starting_model
from bertwright.tasks.classify import Classify
from bertwright.tasks.multilabel import Multilabel
from bertwright.tasks.regress import Regress
from bertwright.tasks.tag import Tag
from bertwright.tasks.task import Task
from tests.unit.checkpoints.small import CONFIG, TOKENIZER, small_model

LENGTHS = Lengths(max_length=12, overlap=2)
TEXT: dict[str, Any] = {"columns": ("text",), "label_column": "label", "lengths": LENGTHS}
PAIR: dict[str, Any] = {"columns": ("text_a", "text_b"), "label_column": "label", "lengths": LENGTHS}
OURS = {"task": "classify"}
NLI = ("contradiction", "neutral", "entailment")


def loaded(task: str, *labels: str, parts: Parts | None = None, record: dict[str, Any] | None = None) -> LoadedModel:
    model = small_model(parts or Parts(labels=max(1, len(labels))))
    return LoadedModel(Path("m"), model, TOKENIZER, task, labels, record or {}, ())


def started(source: LoadedModel, task: Task[Any, Any]) -> tuple[Bert, str]:
    told: list[str] = []
    return starting_model(source, task, CONFIG, seed=5, say=told.append), "\n".join(told)


def classifier(model: Bert) -> torch.Tensor:
    assert model.classifier is not None
    return model.classifier.dense.weight.detach()


def classifier_bias(model: Bert) -> torch.Tensor:
    assert model.classifier is not None
    return model.classifier.dense.bias.detach()


def test_the_same_labels_in_another_order() -> None:
    source = loaded("classify", *NLI)
    model, told = started(source, Classify("pair", labels=sorted(NLI), **PAIR))
    # contradiction, entailment, neutral.
    assert torch.equal(classifier(model), classifier(source.model)[[0, 2, 1]])
    assert torch.equal(classifier_bias(model), classifier_bias(source.model)[[0, 2, 1]])
    assert told == "m: the classifier goes on from its own weights, which are for the same task"


def test_numbers_of_classes_without_a_name() -> None:
    source = loaded("classify", "LABEL_0", "LABEL_1")
    for labels in (("0", "1"), ("LABEL_0", "LABEL_1")):
        model, _ = started(source, Classify("classify", labels=labels, **TEXT))
        assert torch.equal(classifier(model), classifier(source.model))


@pytest.mark.parametrize(
    ("source", "task", "told"),
    [
        (loaded("classify", "neg", "pos"), Classify("classify", labels=("bad", "good"), **TEXT), "neg, pos"),
        (loaded("classify", "0", "1", record=OURS), Classify("pair", labels=("0", "1"), **PAIR), "0, 1"),
        (loaded("classify", "a", "b"), Multilabel(labels=("a", "b"), **TEXT), "a, b"),
        (loaded("choice"), Regress(**PAIR), ""),
    ],
)  # fmt: skip
def test_a_head_for_something_else_is_drawn_anew(source: LoadedModel, task: Task[Any, Any], told: str) -> None:
    model, said = started(source, task)
    ending = f" with the labels {told}" if told else ""
    assert said == f"m: new weights for classifier; its own is for `{source.task}`{ending}"
    assert classifier(model).shape == classifier(source.model).shape
    assert float(classifier(model).abs().max()) <= 2 * CONFIG.initializer_range
    assert torch.equal(model.encoder.embeddings.word.weight, source.model.encoder.embeddings.word.weight)


@pytest.mark.parametrize("lstm", [0, 4])
def test_a_tagger_in_another_order(lstm: int) -> None:
    source = loaded("tag", "O", "B-per", "I-per", parts=Parts(pooler=False, tags=3, lstm=lstm))
    model, _ = started(source, Tag(labels=("B-per", "I-per", "O"), lengths=LENGTHS, lstm=lstm))
    name = "feature_tagger" if lstm else "tagger"
    theirs, ours = (each.get_parameter(f"{name}.dense.weight") for each in (source.model, model))
    assert torch.equal(ours, theirs[[1, 2, 0]])


def test_a_model_without_a_head_says_no_more_than_before() -> None:
    source = loaded("", parts=Parts(masked_words=True))
    _, said = started(source, Classify("classify", labels=("a", "b"), **TEXT))
    assert said == "m: new weights for classifier"
