"""What a model is, before or after it exists: its shape and all its parameters by component."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from bertwright.checkpoints.configuration import CONFIG
from bertwright.checkpoints.model_directory import read_model
from bertwright.encoder.config import PRESETS, EncoderConfig
from bertwright.errors import ModelError
from bertwright.heads.model import PRETRAINING, Component, Parts, parameter_table
from bertwright.hub import located
from bertwright.recipes.recipe import load_recipe, recipe_names


@dataclass(frozen=True, slots=True)
class Inspection:
    """The numbers that fix an encoder, and its parameters by component; their sum is `total`."""

    model: str
    config: EncoderConfig
    components: tuple[Component, ...]

    @property
    def total(self) -> int:
        """All parameters; shared ones count once."""
        return sum(component.parameters for component in self.components)

    def as_json(self) -> dict[str, Any]:
        """The same as plain values."""
        components = [_plain(component) for component in self.components]
        return {"model": self.model, "config": self.config.model_dump(), "total": self.total, "components": components}


def inspect(model: str | Path) -> Inspection:
    """Inspect a preset such as bert-base, a model directory, or a recipe by name or file. Raises ModelError."""
    config, parts = _find(str(model))
    return Inspection(str(model), config, tuple(parameter_table(config, parts)))


def _find(model: str) -> tuple[EncoderConfig, Parts]:
    path = Path(model)
    if model in PRESETS:
        return PRESETS[model], Parts()
    # `make quickstart` leaves a folder that has the name of a recipe, and is no model.
    if path.is_dir() and ((path / CONFIG).exists() or model not in recipe_names()):
        loaded = read_model(path)
        return loaded.model.config, loaded.model.parts
    if model in recipe_names() or model.endswith(".toml"):
        # A recipe has no vocabulary yet: shown with the size of the paper's.
        return load_recipe(model).model.config(vocab_size=30522, pad_token_id=0), PRETRAINING
    if (found := located(path)) != path:
        loaded = read_model(found)
        return loaded.model.config, loaded.model.parts
    raise ModelError("no such preset, recipe or directory", where=model, cure=f"presets are {', '.join(PRESETS)}")


def _plain(row: Component) -> dict[str, Any]:
    found: dict[str, Any] = {"name": row.name, "parameters": row.parameters}
    if row.shape:
        found["shape"] = row.shape
    if row.parts:
        found["parts"] = [_plain(part) for part in row.parts]
    return found
