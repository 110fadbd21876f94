"""bertwright ladder."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated

import typer

from bertwright.cli.choices import RowLabel, RowTexts, Workers
from bertwright.cli.talk import Talk, out


def run(
    model: Annotated[Path, typer.Argument(help="Model directory to start from.")],
    task: Annotated[str, typer.Option(help="As of finetune: classify, pair, multilabel, regress, embed ...")],
    train: Annotated[Path, typer.Option(help="Training rows; their text is what the task rungs adapt to.")],
    dev: Annotated[Path, typer.Option(help="Rows to score on while training; the best weights are kept.")],
    to: Annotated[Path, typer.Option("--out", help="Directory for the rungs, the table and the best model.")],
    field: Annotated[list[str] | None, typer.Option(help="The field's text, as of adapt; several times.")] = None,
    test: Annotated[Path | None, typer.Option(help="Rows that nothing was chosen by, to tell the rungs by.")] = None,
    seeds: Annotated[int, typer.Option(min=2, help="Fine-tunings of each rung.")] = 3,
    general: Annotated[
        list[str] | None, typer.Option(help="General text, of which a sample is watched for what is forgotten.")
    ] = None,
    extend: Annotated[int, typer.Option(min=0, help="Words of the field to add, on the rungs that see it.")] = 0,
    rungs: Annotated[
        str | None, typer.Option(help="Of general,field,task,field+task, parted by commas; all by default.")
    ] = None,
    adapt_set: Annotated[
        list[str] | None, typer.Option(help="A setting of the adaptations, as in field.epochs=2.")
    ] = None,
    set_: Annotated[list[str] | None, typer.Option("--set", help="A setting of fine-tuning, as in epochs=5.")] = None,
    text_column: RowTexts = None,
    label_column: RowLabel = None,
    workers: Workers = None,
    resume: Annotated[bool, typer.Option("--resume", help="Go on with the ladder in --out.")] = False,
    overwrite: Annotated[bool, typer.Option("--overwrite", help="Begin anew where --out holds a ladder.")] = False,
    as_json: Annotated[bool, typer.Option("--json", help="The table as one JSON object.")] = False,
) -> None:
    """Fine-tune a model as it is, adapted to a field, to the task's text, and to both: what is each worth?

    Ctrl-C saves; --resume goes on.

    Example: bertwright ladder model --field field.jsonl --task classify --train train.jsonl --dev dev.jsonl --out rungs
    """
    from bertwright.memory import keep_big_blocks
    from bertwright.recipes.adapting.settings import AdaptSettings
    from bertwright.recipes.finetuning.settings import FinetuneSettings
    from bertwright.recipes.laddering.ladder import climb

    keep_big_blocks()
    talk = Talk()
    settings = FinetuneSettings().replaced(set_ or [])
    if label_column is not None:
        settings = settings.model_copy(update={"label_column": label_column})
    if text_column:
        settings = settings.model_copy(update={"text_columns": text_column})
    found = climb(
        model,
        task,
        train,
        dev,
        to,
        field=field or [],
        test_file=test,
        general=general or [],
        rungs=None if rungs is None else [name.strip() for name in rungs.split(",")],
        seeds=seeds,
        extend=extend,
        adapting=AdaptSettings().replaced(adapt_set or [], option="--adapt-set"),
        settings=settings,
        workers=workers,
        resume=resume,
        overwrite=overwrite,
        progress=talk,
    )
    # The table is data where no other form of it is asked for.
    tell = talk.say if as_json else out
    for line in found.table():
        tell(line)
    for note in (*found.notes(), found.kept):
        talk.say(note)
    if as_json:
        out(json.dumps(found.as_json()))
    talk.say(f"{to}/ladder.md is the same table, to be pasted; {to}/best is a model directory")
