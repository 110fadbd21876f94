"""A model and labelled rows -> a model of a task, the best on the dev rows kept."""

from __future__ import annotations

import copy
from pathlib import Path
from typing import Any

import torch

from bertwright.checkpoints.model_directory import LoadedModel, read_model
from bertwright.errors import ModelError, SettingsError
from bertwright.heads.model import Bert
from bertwright.inference.known_task import normalizes, pooling_of, whole_texts
from bertwright.progress import Progress
from bertwright.recipes.finetuning.assembly import Lesson, assemble
from bertwright.recipes.finetuning.checks import check_best_by, check_settings, check_wish
from bertwright.recipes.finetuning.identity import identity_of
from bertwright.recipes.finetuning.row_counts import row_counts
from bertwright.recipes.finetuning.settings import FinetuneSettings
from bertwright.recipes.finetuning.sitting import Finetuned, Sitting
from bertwright.recipes.finetuning.starting_model import starting_model
from bertwright.recipes.resuming import refuse_both
from bertwright.recipes.run import open_run, refuse_used
from bertwright.recipes.tensorboard import refuse_without_tensorboard
from bertwright.tasks.embed import Embed
from bertwright.tasks.task import Task
from bertwright.training.freezing import freeze
from bertwright.training.world import alone

# Of other fine-tunings, in the directory of this one.
_MADE = ("series",)


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
    check_wish(task, (train_file, dev_file))
    if source.resolve() == out.resolve():
        raise ModelError("is the model to start from, and would be lost", where=out, cure="choose another --out")
    refuse_both(resume=resume, overwrite=overwrite)
    if not resume:
        refuse_used(out, overwrite=overwrite, made=_MADE)
    loaded = read_model(source)
    check_settings(settings, task, loaded.model.config, loaded.longest)
    positions = loaded.model.config.max_position_embeddings
    if task == Embed.name:
        settings = _as_the_source(settings, loaded, progress)
        positions = min(positions, loaded.longest)
    # All read and cut before anything is written: what is wrong with the rows leaves no run behind.
    lesson = assemble(
        task, train_file, dev_file, settings, settings.lengths(positions, task, loaded.longest), progress.say
    )
    check_best_by(settings, lesson.task)
    items = {
        "train": lesson.task.items(lesson.train, loaded.tokenizer),
        "dev": _as_scored(lesson.task).items(lesson.dev, loaded.tokenizer),
    }
    if loaded.model.config.type_vocab_size < 2 and any(
        window.second < len(window) for item in items["train"] for window in item.windows
    ):
        raise ModelError("has one segment type, and a pair needs two", where=source)
    model = _model(loaded, lesson, settings, from_scratch=from_scratch, progress=progress)
    identity = identity_of(loaded, task, train_file, dev_file, settings, from_scratch=from_scratch, device=world.device)
    counts = row_counts(train_file, items["train"]), row_counts(dev_file, items["dev"])
    sitting = Sitting(lesson, items, counts, loaded, model, settings, progress, world.device)
    with open_run(
        out,
        identity,
        world=world,
        resume=resume,
        overwrite=overwrite,
        tensorboard=tensorboard,
        made=_MADE,
        progress=progress,
    ) as run:
        return sitting.go(run, identity)


def _as_the_source(settings: FinetuneSettings, loaded: LoadedModel, progress: Progress) -> FinetuneSettings:
    """With the pooling and the length of vectors of a model that makes some already, where no others are wished."""
    pooling = settings.pooling or pooling_of(loaded)
    normalize = normalizes(loaded) if settings.normalize is None else settings.normalize
    what = "the mean over the tokens" if pooling == "mean" else "that of [CLS]"
    progress.say(f"a text's vector is {what}{', of length 1' if normalize else ''}")
    return settings.model_copy(update={"pooling": pooling, "normalize": normalize})


def _as_scored(task: Task[Any, Any]) -> Task[Any, Any]:
    """A task that reads texts as the finished model will: of long ones it makes a vector of all windows."""
    if task.name != Embed.name:
        return task
    whole = copy.copy(task)
    whole.lengths = whole_texts(task.lengths)
    return whole


def _model(
    loaded: LoadedModel, lesson: Lesson, settings: FinetuneSettings, *, from_scratch: bool, progress: Progress
) -> Bert:
    config = loaded.model.config
    if settings.dropout is not None:
        dropout = {"hidden_dropout_prob": settings.dropout, "attention_probs_dropout_prob": settings.dropout}
        config = config.model_copy(update=dropout)
    if from_scratch:
        model = Bert(config, lesson.task.parts)
        model.initialise(settings.seed)
    else:
        model = starting_model(loaded, lesson.task, config, seed=settings.seed, say=progress.say)
        if loaded.unused:
            progress.say(f"{loaded.path}: not used, {', '.join(loaded.unused)}")
    frozen = freeze(model, "encoder" if settings.tag_features == "last-four" else settings.freeze)
    if not any(parameter.requires_grad for parameter in model.parameters()):
        what = f"`freeze` is {settings.freeze!r}, and `{lesson.task.name}` has no head"
        raise SettingsError(f"{what}: nothing is left to learn", cure="freeze less")
    if frozen:
        everything = sum(parameter.numel() for parameter in model.parameters())
        progress.say(f"{frozen:,} of {everything:,} weights are frozen")
    return model
