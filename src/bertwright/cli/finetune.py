"""bertwright finetune."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer

from bertwright.cli.choices import OnErrorChoice, RowLabel, RowTexts
from bertwright.cli.talk import Talk


def run(
    model: Annotated[Path, typer.Argument(help="Model directory to start from.")],
    task: Annotated[
        str,
        typer.Option(
            help="classify (text,label), pair (text_a,text_b,label), multilabel (text,labels), regress "
            "(text_a,text_b,score), tag (words,tags), answer (question,context,answers) or embed (text_a,text_b and, "
            "where there is one, score)."
        ),
    ],
    train: Annotated[
        Path,
        typer.Option(help="Training rows: .jsonl, .csv, .tsv or .parquet; tags also .conll, questions SQuAD's .json."),
    ],
    dev: Annotated[Path, typer.Option(help="Rows to score on while training; the best weights are kept.")],
    out: Annotated[Path, typer.Option(help="Directory that becomes the model.")],
    recipe: Annotated[Path | None, typer.Option(help="TOML file with settings, as epochs = 5.")] = None,
    set_: Annotated[list[str] | None, typer.Option("--set", help="A setting, as in epochs=5.")] = None,
    text_column: RowTexts = None,
    label_column: RowLabel = None,
    on_error: Annotated[
        OnErrorChoice | None, typer.Option(help="skip: count questions that cannot be read and go on.")
    ] = None,
    seeds: Annotated[
        int, typer.Option(min=1, help="Train so many times with other seeds, and keep the run of the median score.")
    ] = 1,
    search: Annotated[
        list[str] | None,
        typer.Option(help='Try settings first: "paper" for its grid, or as in "epochs=[2, 3]", several times.'),
    ] = None,
    trials: Annotated[
        int | None, typer.Option(min=1, help="Try only so many of them, chosen by Optuna; extra [search].")
    ] = None,
    from_scratch: Annotated[
        bool, typer.Option("--from-scratch", help="Draw all weights anew, to see what pretraining is worth.")
    ] = False,
    resume: Annotated[bool, typer.Option("--resume", help="Go on with the run in --out.")] = False,
    overwrite: Annotated[bool, typer.Option("--overwrite", help="Begin anew, whatever --out holds.")] = False,
    tensorboard: Annotated[bool, typer.Option("--tensorboard", help="Write the figures for TensorBoard too.")] = False,
) -> None:
    """Fine-tune a model on labelled rows; it is scored on dev, and the best weights are kept.

    Example: bertwright finetune model --task classify --train train.jsonl --dev dev.jsonl --out classifier
    """
    from bertwright.memory import keep_big_blocks
    from bertwright.recipes.finetuning.finetune import finetune
    from bertwright.recipes.finetuning.search import grid_of
    from bertwright.recipes.finetuning.settings import FinetuneSettings
    from bertwright.recipes.finetuning.several import finetune_several

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
    what: dict[str, Any] = {
        "settings": settings,
        "resume": resume,
        "overwrite": overwrite,
        "tensorboard": tensorboard,
        "from_scratch": from_scratch,
        "progress": talk,
    }
    if seeds > 1 or search or trials is not None:
        grid = grid_of(search) if search else None
        several = finetune_several(model, task, train, dev, out, seeds=seeds, grid=grid, trials=trials, **what)
        done = several.kept
        if several.found:
            talk.say(f"best settings: {', '.join(f'{name} {value}' for name, value in several.found.items())}")
        for name, found in several.intervals.items():
            talk.say(
                f"{name} over {found.count} seeds: {found.mean:.4f}, deviation {found.deviation:.4f}, "
                f"95% interval {found.low:.4f} to {found.high:.4f}"
            )
    else:
        done = finetune(model, task, train, dev, out, **what)
    told = ", ".join(f"{name} {value:.4f}" for name, value in done.scores.items())
    bar = done.baseline.get(done.best_by)
    beside = "" if bar is None else f" (without a model: {done.best_by} {bar:.4f})"
    talk.say(f"best on dev: {told}{beside} -> {done.out}")
