"""bertwright finetune."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from bertwright.cli.choices import OnErrorChoice
from bertwright.cli.talk import Talk


def run(
    model: Annotated[Path, typer.Argument(help="Model directory to start from.")],
    task: Annotated[str, typer.Option(help="classify, pair, multilabel, regress, embed or answer.")],
    train: Annotated[Path, typer.Option(help="Training rows: .jsonl, .csv, .tsv; questions also as SQuAD's .json.")],
    dev: Annotated[Path, typer.Option(help="Rows to score on while training; the best weights are kept.")],
    out: Annotated[Path, typer.Option(help="Directory that becomes the model.")],
    recipe: Annotated[Path | None, typer.Option(help="TOML file with settings, as epochs = 5.")] = None,
    set_: Annotated[list[str] | None, typer.Option("--set", help="A setting, as in epochs=5.")] = None,
    text_column: Annotated[
        list[str] | None, typer.Option(help="Column that holds the text, instead of `text`; twice for pairs.")
    ] = None,
    label_column: Annotated[str | None, typer.Option(help="Column that holds the label, instead of `label`.")] = None,
    on_error: Annotated[
        OnErrorChoice | None, typer.Option(help="skip: count questions that cannot be read and go on.")
    ] = None,
    from_scratch: Annotated[
        bool, typer.Option("--from-scratch", help="Draw all weights anew, to see what pretraining is worth.")
    ] = False,
    resume: Annotated[bool, typer.Option("--resume", help="Go on with the run in --out.")] = False,
    overwrite: Annotated[bool, typer.Option("--overwrite", help="Begin anew, whatever --out holds.")] = False,
    tensorboard: Annotated[bool, typer.Option("--tensorboard", help="Write the figures for TensorBoard too.")] = False,
) -> None:
    """Fine-tune a model on labelled rows; accuracy, macro F1 and MCC on dev, best kept.

    Example: bertwright finetune model --task classify --train train.jsonl --dev dev.jsonl --out classifier
    """
    from bertwright.recipes.finetune import finetune
    from bertwright.recipes.finetuning.settings import FinetuneSettings
    from bertwright.training.memory import keep_big_blocks

    keep_big_blocks()
    talk = Talk()
    overrides = set_ or []
    settings = FinetuneSettings.from_file(recipe, overrides) if recipe else FinetuneSettings().replaced(overrides)
    if label_column is not None:
        settings = settings.model_copy(update={"label_column": label_column})
    if text_column:
        settings = settings.model_copy(update={"text_columns": text_column})
    if on_error is not None:
        settings = settings.model_copy(update={"on_error": on_error.value})
    done = finetune(
        model,
        task,
        train,
        dev,
        out,
        settings=settings,
        resume=resume,
        overwrite=overwrite,
        tensorboard=tensorboard,
        from_scratch=from_scratch,
        progress=talk,
    )
    told = ", ".join(f"{name} {value:.4f}" for name, value in done.scores.items())
    bar = done.baseline.get("majority_accuracy")
    beside = "" if bar is None else f" (always the most frequent label: accuracy {bar:.4f})"
    talk.say(f"best on dev: {told}{beside} -> {done.out}")
