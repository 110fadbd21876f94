"""bertwright predict."""

from __future__ import annotations

import json
from datetime import date, time
from pathlib import Path
from typing import Annotated, Any

import typer

from bertwright.cli.talk import Talk, out


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
) -> None:
    """Answer rows: JSONL out, each row with its prediction beside what it held.

    Example: echo '{"text": "Return the sum."}' | bertwright predict classifier
    """
    from bertwright.inference.predictor import load

    predictor = load(model)
    talk = Talk()
    done = cut = 0
    with talk.task("predicting", None, "rows") as task:
        rows = predictor.predict(file, text_columns=text_column, null_threshold=null_threshold, progress=task.update)
        for row in rows:
            out(json.dumps(row, ensure_ascii=False, default=_as_json))
            done += 1
            cut += bool(row["prediction"]["cut"])
    if cut:
        talk.say(f"{cut:,} of {done:,} rows did not fit {predictor.max_length} tokens; what was over was not seen")


def _as_json(value: Any) -> Any:
    """A cell of Parquet that JSON has no form for, such as a date: as text."""
    if isinstance(value, bytes):
        return value.decode("utf-8", "replace")
    return value.isoformat() if isinstance(value, date | time) else str(value)
