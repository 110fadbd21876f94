"""A fine-tuning of a few lines, for what `bertwright finetune` does not do: other encoders, and other teachers."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor

from bertwright.batches.sequences import InputBatch, LabelledBatch, by_length, pad
from bertwright.batches.windows import Lengths, Window, cut_windows
from bertwright.checkpoints.model_directory import LoadedModel, with_parts
from bertwright.heads.model import Bert, Parts
from bertwright.objectives import classification_loss
from bertwright.tasks.lessons import LessonPlan
from bertwright.tokens.tokenizer import Tokenizer
from bertwright.training.loop import Hooks, Portion, Trainee, train
from bertwright.training.optimizers import build_optimizers
from bertwright.training.settings import TrainingSettings
from bertwright.training.signals import StopWish
from bertwright.training.world import alone

# A model and its inputs -> (rows, labels).
Scores = Callable[[Bert, InputBatch], Tensor]
# The inputs and what the model says of them -> what is added to the loss of a batch, a mean over its rows.
Lesson = Callable[[InputBatch, Tensor], Tensor]
_TOKENS_AT_ONCE = 8192


@dataclass(frozen=True)
class Labelled:
    """Rows ready to be learnt: one window each, and the number of its label."""

    windows: Sequence[Window]
    labels: Sequence[int]


def read_labelled(path: Path, tokenizer: Tokenizer, labels: Sequence[str], *, max_length: int = 128) -> Labelled:
    """Rows of .jsonl with `text` or `text_a` and `text_b`, and `label`; of a longer text the beginning."""
    rows = rows_in(path)
    lengths = Lengths(max_length=max_length, overlap=0, most=1)
    windows = []
    for row in rows:
        texts = [row["text"]] if "text" in row else [row["text_a"], row["text_b"]]
        parts = [tokenizer.ids(text) for text in texts]
        windows.append(cut_windows(parts, lengths, tokenizer.vocabulary).windows[0])
    numbers = {label: number for number, label in enumerate(labels)}
    return Labelled(windows, [numbers[str(row["label"])] for row in rows])


def labels_in(path: Path) -> list[str]:
    """The labels of a file, in order."""
    return sorted({str(row["label"]) for row in rows_in(path)})


def rows_in(path: Path) -> list[dict[str, str]]:
    return [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]


def first_token(model: Bert, inputs: InputBatch) -> Tensor:
    """The scores of the classifier over [CLS], as in the paper."""
    return model.class_scores(inputs.input_ids, inputs.token_type_ids, inputs.attention_mask)


def last_token(model: Bert, inputs: InputBatch) -> Tensor:
    """The same over the last [SEP], which a model that reads from left to right has seen the whole row by."""
    last = inputs.attention_mask.sum(dim=1, keepdim=True) - 1
    hidden = model.encoder(inputs.input_ids, inputs.token_type_ids, inputs.attention_mask, wanted=last).hidden
    assert model.classifier is not None
    scores: Tensor = model.classifier(model.pooled(hidden))
    return scores


def classifier_on(loaded: LoadedModel, labels: int, seed: int) -> Bert:
    """The encoder with a new pooler and classifier, and the dropout of 0.1 that fine-tuning has in the paper."""
    config = loaded.config.model_copy(update={"hidden_dropout_prob": 0.1, "attention_probs_dropout_prob": 0.1})
    model, _ = with_parts(loaded.model, Parts(labels=labels), seed=seed, config=config)
    return model


def learn(
    model: Bert,
    rows: Labelled,
    pad_id: int,
    *,
    seed: int,
    epochs: int = 3,
    learning_rate: float = 5e-4,
    scores: Scores = first_token,
    lesson: Lesson | None = None,
    after_step: Callable[[int], None] | None = None,
) -> int:
    """Fine-tune in place: AdamW, a warm-up of a tenth, a straight fall to 0. Returns the number of steps.

    after_step: told the number of steps done, after each.
    """
    world = alone()
    model.to(world.device)
    plan = LessonPlan([len(window) for window in rows.windows], batch_size=32, epochs=epochs, seed=seed)
    every = 1 if after_step is not None else plan.steps
    settings = TrainingSettings(
        steps=plan.steps,
        learning_rate=learning_rate,
        warmup_fraction=0.1,
        seed=seed,
        precision="fp32",
        log_every=plan.steps,
        evaluate_every=every,
        save_every=plan.steps,
    )

    def portions() -> Iterator[Portion[LabelledBatch]]:
        for numbers in plan.batches():
            inputs = pad([rows.windows[number] for number in numbers], pad_id)
            labels = torch.tensor([rows.labels[number] for number in numbers])
            yield Portion([LabelledBatch(inputs, torch.arange(len(labels)), (labels,), {"rows": len(labels)})], [0])

    def objective(model: Bert, batch: LabelledBatch, totals: Mapping[str, float]) -> tuple[Tensor, dict[str, Tensor]]:
        said = scores(model, batch.inputs)
        loss = classification_loss(said, batch.targets[0], totals["rows"])
        if lesson is not None:
            loss = loss + lesson(batch.inputs, said)
        return loss, {}

    def evaluate(step: int) -> None:
        if after_step is not None:
            after_step(step)

    train(
        Trainee(model, build_optimizers(model, settings)),
        settings,
        portions=portions(),
        objective=objective,
        dtype=torch.float32,
        hooks=Hooks(report=lambda _: None, evaluate=evaluate, save=lambda _: None),
        wish=StopWish(),
        world=world,
    )
    return plan.steps


def told(model: Bert, rows: Labelled, pad_id: int, *, scores: Scores = first_token) -> Tensor:
    """What a model says of rows: (rows, labels)."""
    model.eval()
    device = next(model.parameters()).device
    found: Tensor | None = None
    with torch.no_grad():
        for numbers in by_length([len(window) for window in rows.windows], _TOKENS_AT_ONCE):
            inputs = pad([rows.windows[number] for number in numbers], pad_id)
            said = scores(model, inputs.to(device)).cpu()
            if found is None:
                found = torch.zeros(len(rows.windows), said.shape[1])
            found[numbers] = said
    assert found is not None
    return found


def accuracy(said: Tensor, rows: Labelled) -> float:
    """The share of rows whose highest score is that of their label; said: (rows, labels)."""
    return float((said.argmax(dim=1) == torch.tensor(rows.labels)).float().mean())
