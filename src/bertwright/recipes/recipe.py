"""A recipe: everything that pretraining follows from, but the data."""

from __future__ import annotations

import importlib.resources
import itertools
from pathlib import Path
from typing import Any, Literal, Self

from pydantic import Field, model_validator

from bertwright.encoder.config import PRESETS, EncoderConfig, check_heads
from bertwright.errors import SettingsError
from bertwright.examples.settings import ExampleSettings
from bertwright.settings import Settings
from bertwright.training.settings import MachineSettings, TrainingSettings


class ModelSettings(Settings):
    """The encoder's shape: a preset, and what differs from it. The vocabulary's size comes from the shards."""

    # The paper's base and large, or one of the smaller ones of Turc et al. 2019.
    preset: Literal["bert-tiny", "bert-mini", "bert-small", "bert-medium", "bert-base", "bert-large"]
    # Numbers in the vector of a token; None, as for all below: the preset's.
    hidden_size: int | None = Field(default=None, ge=1)
    # Layers of the encoder.
    num_hidden_layers: int | None = Field(default=None, ge=1)
    # Heads of attention in a layer; they divide `hidden_size`.
    num_attention_heads: int | None = Field(default=None, ge=1)
    # Numbers in the middle of a layer's feed-forward part: four times `hidden_size` in every preset.
    intermediate_size: int | None = Field(default=None, ge=1)
    # Tokens of the longest text that the model can read; 512 in every preset.
    max_position_embeddings: int | None = Field(default=None, ge=8)
    # Dropout of the embeddings and of what each part of a layer adds.
    hidden_dropout_prob: float | None = Field(default=None, ge=0, lt=1)
    # Dropout of the attention's weights.
    attention_probs_dropout_prob: float | None = Field(default=None, ge=0, lt=1)
    # Deviation of the random weights that training begins with; 0.02 in every preset.
    initializer_range: float | None = Field(default=None, gt=0)

    @model_validator(mode="after")
    def _fits_together(self) -> Self:
        shape = self._shape()
        check_heads(hidden_size=shape["hidden_size"], num_attention_heads=shape["num_attention_heads"])
        return self

    def config(self, vocab_size: int, pad_token_id: int) -> EncoderConfig:
        """The encoder's numbers."""
        return EncoderConfig.from_values(self._shape() | {"vocab_size": vocab_size, "pad_token_id": pad_token_id})

    def _shape(self) -> dict[str, Any]:
        changed = {name: value for name, value in self.model_dump(exclude={"preset"}).items() if value is not None}
        return PRESETS[self.preset].model_dump() | changed


class Phase(Settings):
    """A part of a run, which differs from the rest in how long its examples are (paper, appendix A.2)."""

    # Share of the steps.
    share: float = Field(gt=0, le=1)
    # Tokens in a row, instead of `examples.max_length`.
    max_length: int = Field(ge=8, le=512)
    # Examples in a step, instead of `training.batch_size`.
    batch_size: int | None = Field(default=None, ge=1)


class PretrainRecipe(Settings):
    """Everything that pretraining follows from, but the data."""

    model: ModelSettings
    examples: ExampleSettings = ExampleSettings()
    training: TrainingSettings
    # What the machine at hand decides; a run may go on with others.
    machine: MachineSettings = MachineSettings()
    # Phases one after the other, whose shares add up to 1; none is one phase of `examples.max_length`.
    phases: list[Phase] = Field(default_factory=list)
    # Held-out examples that each evaluation measures on, always the same ones, of `examples.max_length`.
    evaluation_examples: int = Field(default=512, ge=1)

    @model_validator(mode="after")
    def _shares_add_up(self) -> Self:
        total = sum(phase.share for phase in self.phases)
        if self.phases and abs(total - 1) > 1e-6:
            raise ValueError(f"the `share`s of the phases add up to {total:g}, not to 1")
        return self

    @model_validator(mode="after")
    def _phases_have_steps(self) -> Self:
        for number, (first, last) in enumerate(self.phase_bounds, start=1):
            if first == last:
                share, steps = self.phases[number - 1].share, self.training.steps
                raise ValueError(f"phase {number} has a `share` of {share:g}, less than one of {steps:,} steps")
        return self

    @property
    def phase_bounds(self) -> list[tuple[int, int]]:
        """First and last (exclusive) step of each phase; where there are none, all steps are one."""
        steps = self.training.steps
        ends = list(itertools.accumulate(phase.share for phase in self.phases))[:-1]
        return list(itertools.pairwise([0, *(round(end * steps) for end in ends), steps]))

    @property
    def longest(self) -> int:
        """Tokens in the longest row of any phase."""
        return max([self.examples.max_length, *(phase.max_length for phase in self.phases)])

    @property
    def identity(self) -> dict[str, Any]:
        """What the weights follow from."""
        return self.model_dump(exclude={"machine"})


def recipe_names() -> list[str]:
    """The recipes that come with bertwright."""
    folder = importlib.resources.files("bertwright.recipes")
    return sorted(item.name.removesuffix(".toml") for item in folder.iterdir() if item.name.endswith(".toml"))


def load_recipe(recipe: str, overrides: list[str] | None = None) -> PretrainRecipe:
    """A recipe by name or by path, with `key=value` overrides. Raises SettingsError."""
    if recipe in recipe_names():
        text = (importlib.resources.files("bertwright.recipes") / f"{recipe}.toml").read_text(encoding="utf-8")
        return PretrainRecipe.from_toml(text, where=recipe, overrides=overrides)
    path = Path(recipe)
    if not path.is_file():
        known = ", ".join(recipe_names())
        raise SettingsError("no such recipe or file", where=recipe, cure=f"recipes are: {known}")
    return PretrainRecipe.from_file(path, overrides)
