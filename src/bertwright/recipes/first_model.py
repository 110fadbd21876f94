"""The model that a pretraining run begins with: random weights, or those of another model."""

from __future__ import annotations

from pathlib import Path

from bertwright.checkpoints.model_directory import read_model, with_parts
from bertwright.checkpoints.weights import weights_hash
from bertwright.encoder.config import EncoderConfig
from bertwright.errors import ModelError, SettingsError, ShardError
from bertwright.heads.model import PRETRAINING, WORDS_ALONE, Bert
from bertwright.progress import Progress
from bertwright.recipes.recipe import PretrainRecipe
from bertwright.shards.read import ShardDirectory


def first_model(
    recipe: PretrainRecipe, shards: ShardDirectory, init: Path | None, progress: Progress
) -> tuple[Bert, str]:
    """The model of step 0 and what it is: random weights, or those of `init`."""
    if not shards.manifest.of("train"):
        raise ShardError("holds no shards to train on", where=shards.path)
    vocabulary = shards.tokenizer.vocabulary
    config = recipe.model.config(len(vocabulary), vocabulary.pad_id)
    longest = recipe.longest
    parts = WORDS_ALONE if recipe.examples.segments == "none" else PRETRAINING
    if init is None:
        _refuse_long(longest, config)
        model = Bert(config, parts)
        model.initialise(recipe.training.seed)
        return model, "random weights"
    loaded = read_model(init)
    if loaded.tokenizer.vocabulary.sha256 != vocabulary.sha256:
        raise ModelError(
            "the vocabulary does not match the shards: they were made with another one",
            where=init,
            cure=f"prepare the corpus with --vocab {init}",
        )
    ours, theirs = (each.identity() for each in (loaded.tokenizer, shards.tokenizer))
    if ours != theirs:
        raise ModelError(
            "lower case, accents, CJK or added tokens are treated otherwise in the shards",
            where=init,
            cure=f"prepare the corpus with --vocab {init}",
        )
    if loaded.model.config.type_vocab_size < 2 and parts.next_sentence:
        raise ModelError("has one segment type, and next-sentence pairs need two", where=init)
    dropout = {name: getattr(config, name) for name in ("hidden_dropout_prob", "attention_probs_dropout_prob")}
    kept = loaded.model.config.model_copy(update=dropout)
    _refuse_long(longest, kept)
    if any(getattr(kept, name) != getattr(config, name) for name in ("hidden_size", "num_hidden_layers")):
        progress.say(f"{init}: its shape holds, not the recipe's ({kept.num_hidden_layers} layers, {kept.hidden_size})")
    model, drawn = with_parts(loaded.model, parts, seed=recipe.training.seed, config=kept)
    if drawn:
        progress.say(f"{init}: new weights for {', '.join(sorted({name.split('.')[0] for name in drawn}))}")
    dropped = dict(loaded.model.named_parameters()).keys() - dict(model.named_parameters()).keys()
    unused = [*loaded.unused, *sorted({name.split(".")[0] for name in dropped})]
    if unused:
        progress.say(f"{init}: not used, {', '.join(unused)}")
    return model, start_of(init, loaded.model)


def start_of(init: Path, model: Bert) -> str:
    """What a run that begins with a model says that it began with."""
    return f"{init.name}, weights sha256 {weights_hash(model)}"


def _refuse_long(max_length: int, config: EncoderConfig) -> None:
    if max_length > config.max_position_embeddings:
        raise SettingsError(
            f"`max_length` is {max_length}, but the model has {config.max_position_embeddings} positions",
            cure=f"set it to {config.max_position_embeddings} or less",
        )
