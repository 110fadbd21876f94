"""bertwright adapt."""

from __future__ import annotations

import json
import shlex
from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer

from bertwright.cli.choices import Workers
from bertwright.cli.talk import Talk, out


class MaskingChoice(StrEnum):
    """What is hidden together."""

    token = "token"  # noqa: S105  # of text, and no secret
    whole_word = "whole_word"
    span = "span"


def run(
    model: Annotated[Path, typer.Argument(help="Model directory to start from.")],
    to: Annotated[Path, typer.Option("--out", help="Directory that becomes the model.")],
    corpus: Annotated[
        list[str] | None,
        typer.Argument(help="The field's text: .txt .jsonl .csv .tsv .parquet, folders, globs, s3://..."),
    ] = None,
    task_data: Annotated[
        list[str] | None, typer.Option(help="The task's own rows, seen after the field; labels are not looked at.")
    ] = None,
    text_column: Annotated[
        list[str] | None, typer.Option(help="Column that holds the text; twice for pairs in --task-data.")
    ] = None,
    extend: Annotated[int, typer.Option(min=0, help="Words of the field to add to the vocabulary.")] = 0,
    general: Annotated[
        list[str] | None, typer.Option(help="General text, of which a sample is watched for what is forgotten.")
    ] = None,
    masking: Annotated[MaskingChoice | None, typer.Option(help="What is hidden together.")] = None,
    steps: Annotated[int | None, typer.Option(min=1, help="Steps at most, on each text.")] = None,
    recipe: Annotated[Path | None, typer.Option(help="TOML file with settings, as [field] epochs = 2.")] = None,
    set_: Annotated[list[str] | None, typer.Option("--set", help="A setting, as in field.epochs=2.")] = None,
    workers: Workers = None,
    resume: Annotated[bool, typer.Option("--resume", help="Go on with the adaptation in --out.")] = False,
    overwrite: Annotated[bool, typer.Option("--overwrite", help="Begin anew, whatever --out holds.")] = False,
    tensorboard: Annotated[bool, typer.Option("--tensorboard", help="Write the figures for TensorBoard too.")] = False,
    as_json: Annotated[bool, typer.Option("--json", help="What was measured as one JSON object.")] = False,
) -> None:
    """Go on pretraining a model on a field's text, then on a task's own, before fine-tuning.

    Ctrl-C saves; --resume goes on and ends in the same weights.

    Example: bertwright adapt model field.jsonl --task-data train.jsonl --general wiki.jsonl --out adapted
    """
    from bertwright.memory import keep_big_blocks
    from bertwright.recipes.adapting.adapt import adapt
    from bertwright.recipes.adapting.settings import AdaptSettings

    keep_big_blocks()
    talk = Talk()
    task_files = task_data or []
    overrides = _overrides(text_column or [], masking, steps) + (set_ or [])
    settings = AdaptSettings.from_file(recipe, overrides) if recipe else AdaptSettings().replaced(overrides)
    done = adapt(
        model,
        corpus or [],
        to,
        task_data=task_files,
        general=general or [],
        extend=extend,
        settings=settings,
        workers=workers,
        resume=resume,
        overwrite=overwrite,
        tensorboard=tensorboard,
        progress=talk,
    )
    for line in (*done.table(), *done.advice):
        talk.say(line)
    if as_json:
        out(json.dumps(done.as_json()))
    train = shlex.quote(task_files[0]) if task_files else "TRAIN"
    talk.say(
        f"{done.out} is a model directory; try: bertwright finetune {shlex.quote(str(done.out))} --task classify "
        f"--train {train} --dev DEV --out CLASSIFIER"
    )


def _overrides(text_columns: list[str], masking: MaskingChoice | None, steps: int | None) -> list[str]:
    """Options that are settings too, as `--set` has them; a --set of the same name comes later, and holds."""
    found = []
    if text_columns:
        found.append(f"task.text_columns={json.dumps(text_columns)}")
    if len(text_columns) == 1:
        found.append(f"text_column={json.dumps(text_columns[0])}")
    if masking is not None:
        found.append(f"examples.masked_unit={masking.value}")
    if steps is not None:
        found += [f"{stage}.most_steps={steps}" for stage in ("field", "task")]
    return found
