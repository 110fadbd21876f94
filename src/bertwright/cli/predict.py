"""bertwright predict."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer

from bertwright.cli.choices import BulkChoice
from bertwright.cli.talk import Talk
from bertwright.cli.talk import out as print_line


def run(
    model: Annotated[Path, typer.Argument(help="Fine-tuned model directory.")],
    file: Annotated[
        str,
        typer.Argument(help='Rows with what the model reads: .jsonl .csv .tsv .parquet (tags: .conll); "-": JSONL.'),
    ] = "-",
    text_column: Annotated[
        list[str] | None, typer.Option(help="Column that holds the text; twice for pairs. Default: as in training.")
    ] = None,
    null_threshold: Annotated[
        float | None, typer.Option(help="answer: the odds above which there is none. Default: as in training.")
    ] = None,
    out: Annotated[
        Path | None, typer.Option(help="File to write; rows of a file go on after a kill. Default: stdout.")
    ] = None,
    overwrite: Annotated[bool, typer.Option("--overwrite", help="Replace --out.")] = False,
    engine: Annotated[
        BulkChoice, typer.Option(help="What runs the model; ray: workers of a cluster (RAY_ADDRESS), with --out.")
    ] = BulkChoice.auto,
    workers: Annotated[int | None, typer.Option(min=1, help="ray: how many; one a core by default.")] = None,
) -> None:
    """Answer rows: JSONL out, each row with its prediction beside what it held.

    Example: echo '{"text": "Return the sum."}' | bertwright predict classifier
    """
    from bertwright.errors import SettingsError
    from bertwright.recipes.bulk.predict import predict_file, predict_lines

    talk = Talk()
    wishes: Any = {"text_columns": text_column, "null_threshold": null_threshold}
    wishes |= {"where": engine.value, "progress": talk}
    if workers is not None and engine is not BulkChoice.ray:
        raise SettingsError("--workers is for --engine ray", cure="leave it out")
    if out is None:
        if engine is BulkChoice.ray:
            raise SettingsError("--engine ray writes a file", cure="name it with --out")
        predictor, written = predict_lines(model, file, print_line, **wishes)
    else:
        predictor, written = predict_file(model, file, out, workers=workers, overwrite=overwrite, **wishes)
        talk.say(f"{written.rows:,} rows -> {out}")
    if written.cut:
        told = f"{written.cut:,} of {written.rows:,} rows did not fit {predictor.max_length} tokens"
        talk.say(f"{told}; what was over was not seen")
