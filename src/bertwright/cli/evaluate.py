"""bertwright evaluate."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated

import typer

from bertwright.cli.choices import OnErrorChoice, ScoringChoice
from bertwright.cli.talk import Talk, out


def run(
    model: Annotated[Path, typer.Argument(help="Model directory.")],
    data: Annotated[Path, typer.Argument(help="Labelled rows, or a shard directory for a pretrained model.")],
    text_column: Annotated[
        list[str] | None, typer.Option(help="Column that holds the text; twice for pairs. Default: as in training.")
    ] = None,
    label_column: Annotated[
        str | None, typer.Option(help="Column that holds the label. Default: as in training.")
    ] = None,
    on_error: Annotated[
        OnErrorChoice, typer.Option(help="skip: count questions that cannot be read and go on.")
    ] = OnErrorChoice.stop,
    precision: Annotated[
        ScoringChoice,
        typer.Option(
            help="bf16: twice as fast where the processor multiplies it. int8: what --engine torch-int8 is worth."
        ),
    ] = ScoringChoice.fp32,
    null_threshold: Annotated[
        float | None, typer.Option(help="answer: the odds above which there is none. Default: as in training.")
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="One JSON object.")] = False,
) -> None:
    """Score a model on data of its task.

    Example: bertwright evaluate classifier test.jsonl
    """
    from bertwright.recipes.evaluate import evaluate

    scores = evaluate(
        model,
        data,
        text_columns=text_column,
        label_column=label_column,
        on_error=on_error.value,
        precision=precision.value,
        null_threshold=null_threshold,
        progress=Talk(),
    )
    if as_json:
        out(json.dumps(scores))
        return
    for name, value in scores.items():
        out(f"{name:<20}{value:.4f}")
