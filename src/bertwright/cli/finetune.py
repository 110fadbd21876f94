"""bertwright finetune."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from bertwright.cli.talk import Talk


def run(
    model: Annotated[Path, typer.Argument(help="Model directory to start from.")],
    task: Annotated[str, typer.Option(help="classify (text,label) or pair (text_a,text_b,label).")],
    train: Annotated[Path, typer.Option(help="Training rows: .jsonl, .csv or .tsv.")],
    dev: Annotated[Path, typer.Option(help="Rows to score on while training; the best weights are kept.")],
    out: Annotated[Path, typer.Option(help="Directory that becomes the model.")],
    set_: Annotated[list[str] | None, typer.Option("--set", help="A setting, as in epochs=5.")] = None,
    label_column: Annotated[str, typer.Option(help="Column that holds the label.")] = "label",
    from_scratch: Annotated[
        bool, typer.Option("--from-scratch", help="Draw all weights anew, to see what pretraining is worth.")
    ] = False,
    resume: Annotated[bool, typer.Option("--resume", help="Go on with the run in --out.")] = False,
    overwrite: Annotated[bool, typer.Option("--overwrite", help="Begin anew, whatever --out holds.")] = False,
) -> None:
    """Fine-tune a model on labelled rows; accuracy, macro F1 and MCC on dev, best kept.

    Example: bertwright finetune model --task classify --train train.jsonl --dev dev.jsonl --out classifier
    """
    from bertwright.recipes.finetune import FinetuneSettings, finetune
    from bertwright.training.memory import keep_big_blocks

    keep_big_blocks()
    talk = Talk()
    settings = FinetuneSettings(label_column=label_column).replaced(set_ or [])
    done = finetune(
        model,
        task,
        train,
        dev,
        out,
        settings=settings,
        resume=resume,
        overwrite=overwrite,
        from_scratch=from_scratch,
        progress=talk,
    )
    told = ", ".join(f"{name} {value:.4f}" for name, value in done.scores.items())
    talk.say(f"best on dev: {told} (always the most frequent label: accuracy {done.majority:.4f}) -> {done.out}")
