"""bertwright predict."""

from __future__ import annotations

import itertools
import json
from pathlib import Path
from typing import Annotated

import typer

from bertwright.cli.talk import Talk, out

_CHUNK = 1024


def run(
    model: Annotated[Path, typer.Argument(help="Fine-tuned model directory.")],
    file: Annotated[
        str, typer.Argument(help='Rows with text, or text_a and text_b: .jsonl, .csv, .tsv; "-": JSONL.')
    ] = "-",
) -> None:
    """Classify rows: JSONL out, each row with its prediction beside what it held.

    Example: echo '{"text": "Return the sum."}' | bertwright predict classifier
    """
    from bertwright.inference.predictor import load
    from bertwright.tasks.rows import PAIR, SINGLE, records, text_of

    predictor = load(model)
    talk = Talk()
    rows = records(None if file == "-" else Path(file))
    done = cut = 0
    with talk.task("predicting", None, "rows") as task:
        while chunk := list(itertools.islice(rows, _CHUNK)):
            fields = [PAIR if PAIR[0] in values else SINGLE for _, values in chunk]
            texts = [
                [text_of(values, name, place) for name in names]
                for (place, values), names in zip(chunk, fields, strict=True)
            ]
            for (_, values), result in zip(chunk, predictor.classify(texts), strict=True):
                told = {"label": result.label, "probabilities": result.probabilities}
                out(json.dumps(values | {"prediction": told}, ensure_ascii=False))
                cut += bool(result.cut)
            done += len(chunk)
            task.update(done)
    if cut:
        talk.say(f"{cut:,} of {done:,} rows did not fit {predictor.max_length} tokens; what was over was not seen")
