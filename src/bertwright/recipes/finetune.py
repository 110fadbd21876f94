"""A model and labelled rows -> a classifier, the best on the dev rows kept."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from pydantic import Field

from bertwright.checkpoints.model_directory import LoadedModel, read_model, with_parts, write_model
from bertwright.checkpoints.weights import read_tensors, weights_hash, write_tensors
from bertwright.errors import ModelError, RowError, SettingsError
from bertwright.files import sha256
from bertwright.heads.model import Bert, Parts
from bertwright.lines import STANDARD_INPUT
from bertwright.progress import Progress
from bertwright.recipes.run import Run, open_run
from bertwright.recipes.tensorboard import refuse_without_tensorboard
from bertwright.settings import Settings
from bertwright.tasks.classify import (
    Features,
    evaluate,
    labels_of,
    majority_accuracy,
    make_features,
    objective,
    training_batches,
)
from bertwright.tasks.rows import CLASSIFYING, columns_of, read_rows
from bertwright.training.loop import Trainee, undivided
from bertwright.training.optimizers import build_optimizers
from bertwright.training.precision import choose_dtype, computing_in
from bertwright.training.settings import PrecisionName, TrainingSettings
from bertwright.training.world import alone
from bertwright.version import VERSION

_BEST = "best.safetensors"


class FinetuneSettings(Settings):
    """How a model is fine-tuned; the defaults are the paper's middle choices (appendix A.3)."""

    # Times that every training row is seen.
    epochs: int = Field(default=3, ge=1)
    # Tokens in an input, [CLS] and [SEP] included; longer ones are cut.
    max_length: int = Field(default=128, ge=8, le=512)
    batch_size: int = Field(default=32, ge=1)
    learning_rate: float = Field(default=5e-5, gt=0)
    warmup_fraction: float = Field(default=0.1, ge=0, le=1)
    weight_decay: float = Field(default=0.01, ge=0)
    seed: int = Field(default=0, ge=0, lt=2**63)
    precision: PrecisionName = "auto"
    # Times in an epoch that the dev rows are scored.
    evaluations_per_epoch: int = Field(default=1, ge=1)
    # The dev score by which the best weights are chosen.
    keep_best_by: str = Field(default="accuracy", pattern="^(accuracy|macro_f1|mcc)$")
    # Dropout in training; None leaves the model's own.
    dropout: float | None = Field(default=None, ge=0, lt=1)
    # Columns of the rows; None is `text`, or `text_a` and `text_b` for pairs.
    text_columns: list[str] | None = None
    label_column: str = "label"

    def training(self, rows: int) -> TrainingSettings:
        """The same as settings of the training loop, for so many rows."""
        steps = math.ceil(rows * self.epochs / self.batch_size)
        every = max(1, math.ceil(steps / (self.epochs * self.evaluations_per_epoch)))
        return TrainingSettings(
            steps=steps,
            batch_size=self.batch_size,
            learning_rate=self.learning_rate,
            warmup_fraction=self.warmup_fraction,
            weight_decay=self.weight_decay,
            seed=self.seed,
            precision=self.precision,
            log_every=min(10, every),
            evaluate_every=every,
            save_every=every,
        )


@dataclass(frozen=True, slots=True)
class Finetuned:
    """A finished fine-tuning: the best dev scores, and the accuracy of always giving the most frequent label."""

    out: Path
    scores: dict[str, float]
    majority: float
    labels: tuple[str, ...]


def finetune(
    source: Path,
    task: str,
    train_file: Path,
    dev_file: Path,
    out: Path,
    *,
    settings: FinetuneSettings,
    resume: bool = False,
    overwrite: bool = False,
    from_scratch: bool = False,
    tensorboard: bool = False,
    device: torch.device | None = None,
    progress: Progress,
) -> Finetuned:
    """Fine-tune a model directory on labelled files; `out` becomes a model directory.

    `from_scratch` keeps the shape and the vocabulary but draws all weights anew, to see what pretraining was worth.
    `tensorboard` writes event files too.
    Raises Stopped after saving, or UserFault.
    """
    world = alone(device)
    if tensorboard:
        refuse_without_tensorboard()
    if task not in CLASSIFYING:
        raise SettingsError(f"`--task` must be {' or '.join(CLASSIFYING)}, but is {task!r}")
    if source.resolve() == out.resolve():
        raise ModelError("is the model to start from, and would be lost", where=out, cure="choose another --out")
    for file in (train_file, dev_file):
        if str(file) == STANDARD_INPUT:
            raise RowError("rows are read more than once, and standard input only once", cure="save them to a file")
    columns = columns_of(task, settings.text_columns)
    loaded = read_model(source)
    positions = loaded.model.config.max_position_embeddings
    if settings.max_length > positions:
        what = f"`max_length` is {settings.max_length}, but the model has {positions} positions"
        raise SettingsError(what, cure=f"set it to {positions} or less")
    train_rows = read_rows(train_file, columns, settings.label_column)
    dev_rows = read_rows(dev_file, columns, settings.label_column)
    labels = labels_of(train_rows)
    # Made before anything is written: what is wrong with the rows leaves no run behind.
    features = {
        "train": make_features(train_rows, labels, loaded.tokenizer, settings.max_length),
        "dev": make_features(dev_rows, labels, loaded.tokenizer, settings.max_length),
    }
    if task == "pair" and loaded.model.config.type_vocab_size < 2:
        raise ModelError("has one segment type, and a pair needs two", where=source)
    model = _model(loaded, len(labels), settings, from_scratch=from_scratch, progress=progress)
    identity = {
        "settings": settings.model_dump(),
        "task": task,
        "model": "random weights" if from_scratch else f"weights sha256 {weights_hash(loaded.model)}",
        "config": loaded.model.config.model_dump(),
        "vocabulary_sha256": loaded.tokenizer.vocabulary.sha256,
        "tokenizer": loaded.tokenizer.settings(),
        "train": sha256(train_file),
        "dev": sha256(dev_file),
        "precision": str(choose_dtype(settings.precision, world.device)).removeprefix("torch."),
    }
    with open_run(
        out,
        identity,
        world=world,
        resume=resume,
        overwrite=overwrite,
        tensorboard=tensorboard,
        progress=progress,
    ) as run:
        session = _Session(
            run,
            task=task,
            loaded=loaded,
            model=model.to(world.device),
            settings=settings,
            labels=labels,
            train_features=features["train"],
            dev_features=features["dev"],
            progress=progress,
        )
        return session.go(identity)


def _model(
    loaded: LoadedModel, labels: int, settings: FinetuneSettings, *, from_scratch: bool, progress: Progress
) -> Bert:
    config = loaded.model.config
    if settings.dropout is not None:
        dropout = {"hidden_dropout_prob": settings.dropout, "attention_probs_dropout_prob": settings.dropout}
        config = config.model_copy(update=dropout)
    parts = Parts(labels=labels)
    if from_scratch:
        model = Bert(config, parts)
        model.initialise(settings.seed)
        return model
    model, drawn = with_parts(loaded.model, parts, seed=settings.seed, config=config)
    progress.say(f"{loaded.path}: new weights for {', '.join(sorted({name.split('.')[0] for name in drawn}))}")
    if loaded.unused:
        progress.say(f"{loaded.path}: not used, {', '.join(loaded.unused)}")
    return model


class _Session:
    """One sitting of a fine-tuning run."""

    def __init__(
        self,
        run: Run,
        *,
        task: str,
        loaded: LoadedModel,
        model: Bert,
        settings: FinetuneSettings,
        labels: tuple[str, ...],
        train_features: Features,
        dev_features: Features,
        progress: Progress,
    ) -> None:
        self.run, self.task, self.loaded, self.labels, self.progress = run, task, loaded, labels, progress
        self.settings = settings
        self.training = settings.training(len(train_features.classes))
        self.trainee = Trainee(model, build_optimizers(model, self.training))
        self.device = next(model.parameters()).device
        self.dtype = choose_dtype(settings.precision, self.device)
        self.pad_id = loaded.tokenizer.vocabulary.pad_id
        self.train_features, self.dev_features = train_features, dev_features
        self.best: dict[str, float] = {}

    def go(self, identity: dict[str, Any]) -> Finetuned:
        trainee = self.trainee
        saved = self.run.restore(trainee, self.training.steps)
        if saved:
            self.best = saved["best"]
        self._introduce()
        self.run.train(
            "fine-tuning",
            trainee,
            self.training,
            portions=undivided(
                training_batches(
                    self.train_features,
                    batch_size=self.training.batch_size,
                    seed=self.training.seed,
                    start_step=trainee.step,
                    pad_id=self.pad_id,
                )
            ),
            objective=objective,
            dtype=self.dtype,
            headline=lambda figures: f"loss {figures['loss']:.3f}  accuracy {figures['accuracy']:.1%}",
            evaluate=self._evaluate,
            save=self._save,
        )
        majority = majority_accuracy(self.train_features, self.dev_features)
        self._write_model(identity, majority)
        return Finetuned(self.run.out, self.best, majority, self.labels)

    def _introduce(self) -> None:
        self.progress.say(
            f"{len(self.train_features.classes):,} training rows, {len(self.dev_features.classes):,} dev rows, "
            f"{len(self.labels)} labels; {self.training.steps:,} steps of {self.training.batch_size}"
        )
        for name, features in (("training", self.train_features), ("dev", self.dev_features)):
            _tell_cut(self.progress, name, features, self.settings.max_length)

    def _evaluate(self, step: int, tell: Callable[[str], None]) -> None:
        total = len(self.dev_features.classes)
        with computing_in(self.dtype, self.device):
            scores = evaluate(
                self.trainee.model,
                self.dev_features,
                len(self.labels),
                self.pad_id,
                lambda done: tell(f"scoring: {done:,} of {total:,} dev rows"),
            )
        self.run.record({"step": step} | {f"dev_{name}": value for name, value in scores.items()})
        chosen = self.settings.keep_best_by
        better = not self.best or scores[chosen] > self.best[chosen]
        if better:
            # The weights first: a kill in between leaves better weights beside a worse score, and the step is redone.
            write_tensors(self.run.folder / _BEST, dict(self.trainee.model.named_parameters()))
            self.best = scores
        told = "  ".join(f"{name} {value:.4f}" for name, value in scores.items())
        self.progress.say(f"step {step:,}, dev: {told}{'  (best so far)' if better else ''}")

    def _save(self, step: int) -> None:
        del step
        self.run.save(self.trainee, best=self.best)

    def _write_model(self, identity: dict[str, Any], majority: float) -> None:
        tensors = read_tensors(self.run.folder / _BEST)
        with torch.no_grad():
            for name, parameter in self.trainee.model.named_parameters():
                parameter.copy_(tensors[name])
        # Dropout belongs to the training, not to the model: the directory says what the source said.
        model, _ = with_parts(self.trainee.model, self.trainee.model.parts, seed=0, config=self.loaded.model.config)
        lineage = [*self.loaded.record.get("lineage", []), {"step": "finetune", **identity}]
        record = {
            "bertwright": VERSION,
            "lineage": lineage,
            "task": self.task,
            "max_length": self.settings.max_length,
            "columns": {
                "texts": columns_of(self.task, self.settings.text_columns),
                "label": self.settings.label_column,
            },
            "metrics": self.best,
            "baseline": {"majority_accuracy": majority},
        }
        write_model(self.run.out, model, self.loaded.tokenizer, labels=self.labels, record=record)


def _tell_cut(progress: Progress, name: str, features: Features, max_length: int) -> None:
    if features.cut:
        share = features.cut / len(features.classes)
        progress.say(f"{features.cut:,} {name} rows ({share:.1%}) were cut to {max_length} tokens")
