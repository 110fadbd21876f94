"""The stages of an adaptation, each a run of pretraining that begins where the one before ended."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import torch

from bertwright.checkpoints.configuration import CONFIG
from bertwright.checkpoints.model_directory import read_model, with_parts, write_model
from bertwright.checkpoints.record import RECORD
from bertwright.errors import ModelError, Stopped
from bertwright.examples.plan import ExamplePlan
from bertwright.files import read_json
from bertwright.heads.model import Bert
from bertwright.progress import Progress
from bertwright.randomness import Stream
from bertwright.recipes.adapting.settings import AdaptSettings, Segments, StageSettings
from bertwright.recipes.first_model import start_of
from bertwright.recipes.pretrain import pretrain
from bertwright.recipes.recipe import PretrainRecipe
from bertwright.shards.read import Shard, ShardDirectory

_NEW_HEAD_FRACTION = 0.1


@dataclass(frozen=True, slots=True)
class Text:
    """A text to go through: `field` or `task`, its shards, its settings, and whether its documents are pairs."""

    name: str
    shards: ShardDirectory
    settings: StageSettings
    pairs: bool = False


@dataclass(frozen=True, slots=True)
class Stage:
    """One run: its name, what it goes through, the parts that move (all where none is named) and where it lies."""

    name: str
    shards: ShardDirectory
    recipe: PretrainRecipe
    trained: tuple[str, ...]
    out: Path


def plan_stages(
    texts: Sequence[Text], begin: Bert, folder: Path, settings: AdaptSettings, progress: Progress
) -> list[Stage]:
    """The head alone where that is wanted, then each text."""
    fraction = settings.head_first_fraction
    if fraction is None:
        fraction = 0.0 if begin.parts.masked_words else _NEW_HEAD_FRACTION
    stages: list[Stage] = []
    for text in texts:
        segments, why = _segments(text, begin, settings)
        steps = _steps(text, settings, segments)
        if fraction and not stages and steps > 1:
            alone = min(steps - 1, max(1, round(steps * fraction)))
            steps -= alone
            begun = text.settings.model_copy(update={"learning_rate": settings.head_learning_rate})
            # Another seed, so that the head does not meet the very examples that all parts begin with.
            seed = Stream(settings.seed, "head").integer()
            recipe = settings.recipe(begun, "none", begin.config, steps=alone, seed=seed)
            out = folder / text.name / "head"
            stages.append(Stage("head", text.shards, recipe, ("masked_words",), out))
            progress.say(f"the masked-word head is trained alone for the first {alone:,} steps")
        progress.say(f"{text.name} text, {steps:,} steps: {why}")
        recipe = settings.recipe(text.settings, segments, begin.config, steps=steps, seed=settings.seed)
        stages.append(Stage(text.name, text.shards, recipe, (), folder / text.name / "model"))
    return stages


def _segments(text: Text, begin: Bert, settings: AdaptSettings) -> tuple[Segments, str]:
    """Whether next sentence goes along, and the reason in words."""
    counts = text.shards.manifest.counts
    each = counts["sentences"] / (counts["train_documents"] + counts["held_out_documents"])
    why = None
    if settings.next_sentence == "never":
        why = "`next_sentence` says so"
    elif not begin.parts.next_sentence or begin.config.type_vocab_size < 2:
        why = "the model has no next-sentence head"
    elif text.pairs:
        why = "the two texts of a row do not follow each other"
    elif each < 2:
        why = f"a document has {each:.1f} sentences on average"
    if why is None:
        return "next_sentence", "masked words and next sentence"
    return "none", f"masked words alone, because {why}"


def _steps(text: Text, settings: AdaptSettings, segments: Segments) -> int:
    """As many steps as the epochs take, and no more than are wanted."""
    plan = ExamplePlan(text.shards.shards("train"), settings.examples.settings(segments), settings.seed)
    steps = -(-plan.size(0) * text.settings.epochs // text.settings.batch_size)
    return max(1, min(steps, text.settings.most_steps or steps))


def run_stage(
    stage: Stage, begin: Path, watched: Mapping[str, Sequence[Shard]], *, tensorboard: bool, progress: Progress
) -> dict[str, dict[str, float]]:
    """Train a stage from the model `begin`, or go on with it; one that is finished is passed over.

    Returns what was measured on the watched texts `before` and `after` it. Raises Stopped after saving.
    """
    if not _is_finished(stage, begin):
        resume = (stage.out / "run" / "run.json").exists()
        try:
            pretrain(
                stage.recipe,
                stage.shards.path,
                stage.out,
                init=begin,
                trained=stage.trained,
                watched=watched,
                resume=resume,
                tensorboard=tensorboard,
                progress=progress,
            )
        except Stopped as stop:
            raise Stopped(f"stage {stage.name}: {stop}", stop.signal_number) from None
    _keep_parts(stage.out, begin, progress)
    measured = read_json(stage.out / RECORD, ModelError).get("watched", {})
    return measured if isinstance(measured, dict) else {}


def _is_finished(stage: Stage, begin: Path) -> bool:
    """Whether the very same run has written its model."""
    if not (stage.out / CONFIG).exists() or not (stage.out / "run" / "run.json").exists():
        return False
    known = read_json(stage.out / "run" / "run.json", ModelError)
    wanted = {
        "recipe": json.loads(json.dumps(stage.recipe.identity)),
        "data": stage.shards.manifest.identity,
        "init": start_of(begin, read_model(begin).model),
    }
    return all(known.get(name) == value for name, value in wanted.items())


def _keep_parts(path: Path, begin: Path, progress: Progress) -> None:
    """Give a stage's model the pooler and next-sentence head of the one before, where the stage had no use for them.

    Fine-tuning begins with the pooler, and a later stage may go on with both.
    """
    after, before = read_model(path), read_model(begin).model
    parts = after.model.parts
    both = replace(
        parts,
        pooler=parts.pooler or before.parts.pooler,
        next_sentence=parts.next_sentence or before.parts.next_sentence,
    )
    if both == parts:
        return
    model, drawn = with_parts(after.model, both, seed=0)
    known = dict(before.named_parameters())
    with torch.no_grad():
        for name, parameter in model.named_parameters():
            if name in drawn:
                parameter.copy_(known[name])
    write_model(path, model, after.tokenizer, record=after.record)
    kept = " and ".join(sorted({name.partition(".")[0] for name in drawn}))
    progress.say(f"kept as before, for masked words alone do not move them: {kept}")
