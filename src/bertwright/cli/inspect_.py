"""bertwright inspect; the underscore keeps the file apart from Python's own `inspect`."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from bertwright.cli.talk import out

if TYPE_CHECKING:
    from bertwright.encoder.config import EncoderConfig
    from bertwright.heads.model import Component, Parts


def run(
    model: Annotated[str, typer.Argument(help="A preset as bert-base, a model directory, or a recipe file.")],
    as_json: Annotated[bool, typer.Option("--json", help="One JSON object.")] = False,
) -> None:
    """Show an encoder's shape and all its parameters by component.

    Example: bertwright inspect bert-base
    """
    from bertwright.heads.model import parameter_table

    config, parts = _find(model)
    rows = parameter_table(config, parts)
    total = sum(row.parameters for row in rows)
    if as_json:
        found = {"model": model, "config": config.model_dump(), "total": total, "components": list(map(_as_json, rows))}
        out(json.dumps(found, indent=2))
        return
    out(
        f"{model}: {config.num_hidden_layers} layers, hidden {config.hidden_size}, {config.num_attention_heads} heads, "
        f"feed-forward {config.intermediate_size}, vocabulary {config.vocab_size:,}, "
        f"{config.max_position_embeddings} positions"
    )
    lines = [(name, f"{parameters:,}", shape) for name, parameters, shape in _lines(rows, "")]
    lines.append(("total", f"{total:,}", ""))
    widths = [max(len(line[column]) for line in lines) for column in (0, 1)]
    for name, parameters, shape in lines:
        out(f"{name:<{widths[0]}}  {parameters:>{widths[1]}}  {shape}".rstrip())


def _find(model: str) -> tuple[EncoderConfig, Parts]:
    from bertwright.checkpoints.model_directory import read_model
    from bertwright.encoder.config import PRESETS
    from bertwright.heads.model import PRETRAINING, Parts
    from bertwright.recipes.pretrain import load_recipe, recipe_names

    if model in PRESETS:
        return PRESETS[model], Parts()
    if Path(model).is_dir():
        loaded = read_model(Path(model))
        return loaded.model.config, loaded.model.parts
    if model in recipe_names() or model.endswith(".toml"):
        # A recipe has no vocabulary yet: shown with the size of the paper's.
        return load_recipe(model).model.config(vocab_size=30522, pad_token_id=0), PRETRAINING
    from bertwright.errors import ModelError

    raise ModelError("no such preset, recipe or directory", where=model, cure=f"presets are {', '.join(PRESETS)}")


def _lines(rows: tuple[Component, ...] | list[Component], indent: str) -> Iterator[tuple[str, int, str]]:
    for row in rows:
        yield indent + row.name, row.parameters, row.shape
        yield from _lines(row.parts, indent + "  ")


def _as_json(row: Component) -> dict[str, Any]:
    found: dict[str, Any] = {"name": row.name, "parameters": row.parameters}
    if row.shape:
        found["shape"] = row.shape
    if row.parts:
        found["parts"] = list(map(_as_json, row.parts))
    return found
