"""bertwright inspect; the underscore keeps the file apart from Python's own `inspect`."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator
from typing import TYPE_CHECKING, Annotated

import typer

from bertwright.cli.talk import out

if TYPE_CHECKING:
    from bertwright.heads.model import Component


def run(
    model: Annotated[str, typer.Argument(help="A preset as bert-base, a model directory, or a recipe.")],
    as_json: Annotated[bool, typer.Option("--json", help="One JSON object.")] = False,
) -> None:
    """Show an encoder's shape and all its parameters by component.

    Example: bertwright inspect bert-base
    """
    from bertwright.recipes.inspection import inspect

    found = inspect(model)
    if as_json:
        out(json.dumps(found.as_json(), indent=2))
        return
    config = found.config
    out(
        f"{model}: {config.num_hidden_layers} layers, hidden {config.hidden_size}, {config.num_attention_heads} heads, "
        f"feed-forward {config.intermediate_size}, vocabulary {config.vocab_size:,}, "
        f"{config.max_position_embeddings} positions"
    )
    lines = [(name, f"{parameters:,}", shape) for name, parameters, shape in _lines(found.components, "")]
    lines.append(("total", f"{found.total:,}", ""))
    widths = [max(len(line[column]) for line in lines) for column in (0, 1)]
    for name, parameters, shape in lines:
        out(f"{name:<{widths[0]}}  {parameters:>{widths[1]}}  {shape}".rstrip())


def _lines(rows: Iterable[Component], indent: str) -> Iterator[tuple[str, int, str]]:
    for row in rows:
        yield indent + row.name, row.parameters, row.shape
        yield from _lines(row.parts, indent + "  ")
