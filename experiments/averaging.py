"""Averaging the weights of a fine-tuning, and learning from oneself (Xu et al. 2020): what do they give?

    python experiments/averaging.py --data DIR --out DIR
    python experiments/averaging.py --data DIR --out DIR --model DIR

    last           the weights of the last step, as usual
    averaged       the mean of the weights at ten steps of the last epoch
    self-distilled a teacher goes along, the mean of the weights of the last five steps; the mean squared difference to
                   its scores is added to the loss
    born again     a second fine-tuning from the same start, which learns from the scores of the first as well as from
                   the labels (Furlanello et al. 2018); twice the work
    ensemble       the mean of the scores of the first and the second model: what two models at once would give

All of a seed share the order of the rows and the first weights of the head, so gains are paired. Nothing is chosen on
dev: the number of epochs is fixed, and all are scored on test.
"""

from __future__ import annotations

import argparse
import copy
from collections import deque
from collections.abc import Callable
from functools import partial
from pathlib import Path

import torch
from torch import Tensor
from torch.nn import functional

from bertwright.batches.sequences import InputBatch
from bertwright.checkpoints.model_directory import read_model
from bertwright.heads.model import Bert
from lab.bench import Bench, Json, gain, go, parser, share, show
from lab.classifier import Labelled, accuracy, classifier_on, first_token, labels_in, learn, read_labelled, told
from lab.corpus import shards
from lab.finetuning import TITLES, rows_of
from lab.picture import draw_points
from lab.pretraining import pretrained

WAYS = ("last", "averaged", "self-distilled", "born again", "ensemble")
SETS = ("sst2", "trec", "mrpc")
# Weights that the teacher is the mean of, and those that `averaged` is.
TEACHER, AVERAGED = 5, 10
# What the difference to the teacher's scores counts beside the labels.
WEIGHT = 1.0
Weights = dict[str, Tensor]


def mean_of(many: list[Weights]) -> Weights:
    """The mean of each weight."""
    return {name: torch.stack([each[name] for each in many]).mean(dim=0) for name in many[0]}


def weights_of(model: Bert) -> Weights:
    return {name: value.detach().clone() for name, value in model.state_dict().items()}


def towards(teacher: Bert, inputs: InputBatch, said: Tensor) -> Tensor:
    """The mean squared difference of a student's scores to a teacher's, (rows, labels) each; it moves the student."""
    with torch.no_grad():
        wanted = first_token(teacher, inputs)
    return WEIGHT * functional.mse_loss(said, wanted)


class Teacher:
    """The mean of the last few weights of the model that it teaches."""

    def __init__(self, student: Bert) -> None:
        self.student = student
        self.model = copy.deepcopy(student).eval()
        self.recent: deque[Weights] = deque(maxlen=TEACHER)

    def lesson(self, inputs: InputBatch, said: Tensor) -> Tensor:
        """The mean squared difference to the teacher's scores; nothing before the first step."""
        if not self.recent:
            return said.new_zeros(())
        return towards(self.model, inputs, said)

    def after_step(self, step: int) -> None:
        """Take in the weights of a step."""
        del step
        self.recent.append(weights_of(self.student))
        self.model.load_state_dict(mean_of(list(self.recent)))


def scores_of(bench: Bench, source: Path, name: str, seed: int) -> Json:
    """Accuracy on test in every way, of one seed."""
    rows, loaded = rows_of(bench, name), read_model(source)
    labels = labels_in(rows / "train.jsonl")
    pad_id = loaded.tokenizer.vocabulary.pad_id
    train, test = (read_labelled(rows / f"{part}.jsonl", loaded.tokenizer, labels) for part in ("train", "test"))
    epochs = 1 if bench.quick else 3

    def fine_tuned(**more: object) -> Bert:
        model = classifier_on(loaded, len(labels), seed)
        learn(model, train, pad_id, seed=seed, epochs=epochs, **more)  # type: ignore[arg-type]
        return model

    first, averaged = with_average(lambda: classifier_on(loaded, len(labels), seed), train, pad_id, seed, epochs)
    said_first = told(first, test, pad_id)
    found = {"last": accuracy(said_first, test), "averaged": accuracy(told(averaged, test, pad_id), test)}

    student = classifier_on(loaded, len(labels), seed)
    teacher = Teacher(student)
    learn(student, train, pad_id, seed=seed, epochs=epochs, lesson=teacher.lesson, after_step=teacher.after_step)
    found["self-distilled"] = accuracy(told(student, test, pad_id), test)

    again = fine_tuned(lesson=partial(towards, first.eval()))
    said_again = told(again, test, pad_id)
    found["born again"] = accuracy(said_again, test)
    found["ensemble"] = accuracy(said_first.softmax(dim=1) + said_again.softmax(dim=1), test)
    return dict(found)


def with_average(begin: Callable[[], Bert], train: Labelled, pad_id: int, seed: int, epochs: int) -> tuple[Bert, Bert]:
    """A fine-tuned model, and one with the mean of its weights at AVERAGED steps of its last epoch."""
    model = begin()
    steps = epochs * -(-len(train.windows) // 32)
    every = max(1, steps // epochs // AVERAGED)
    kept: deque[Weights] = deque(maxlen=AVERAGED)

    def after_step(step: int) -> None:
        if (steps - step) % every == 0:
            kept.append(weights_of(model))

    learn(model, train, pad_id, seed=seed, epochs=epochs, after_step=after_step)
    averaged = copy.deepcopy(model)
    averaged.load_state_dict(mean_of(list(kept)))
    return model, averaged


def experiment(bench: Bench, given: Path | None, sets: list[str]) -> None:
    source = given or pretrained(bench, {}, shards(bench))
    sets = sets[:1] if bench.quick else sets
    runs = {
        (name, seed): bench.once(
            f"{name}/{seed}",
            {"model": source.name, "steps": bench.steps, "weight": WEIGHT},
            partial(scores_of, bench, source, name, seed),
        )
        for seed in range(bench.seeds)
        for name in sets
    }

    def values(name: str, way: str) -> list[float]:
        return [runs[name, seed][way] for seed in range(bench.seeds)]

    table = []
    for name in sets:
        for way in WAYS:
            row: Json = {"set": name, "way": way, "accuracy": share(values(name, way))}
            row["gain over last"] = gain(values(name, way), values(name, "last"))
            table.append(row)
    bench.finish(table)
    show(table)
    panels = {TITLES[name]: {row["way"]: row["gain over last"] for row in table if row["set"] == name} for name in sets}
    story = f"points of accuracy above the last step's weights, paired; 95% intervals over {bench.seeds} seeds"
    draw_points(bench.picture, panels, story=story, unit="points")


if __name__ == "__main__":
    parsed = parser(__doc__)
    parsed.add_argument("--model", type=Path, help="model directory to start from")
    parsed.add_argument("--sets", nargs="+", choices=SETS, default=list(SETS))
    arguments: argparse.Namespace = parsed.parse_args()
    go("averaging", arguments, lambda bench: experiment(bench, arguments.model, arguments.sets))
