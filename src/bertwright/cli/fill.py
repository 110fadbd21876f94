"""bertwright fill."""

from __future__ import annotations

import json
from dataclasses import asdict
from pathlib import Path
from typing import Annotated

import typer

from bertwright.cli.talk import Talk, out


def run(
    model: Annotated[Path, typer.Argument(help="Pretrained model directory.")],
    text: Annotated[
        str, typer.Argument(help='A text with one [MASK] or more, or "-" for standard input, a text a line.')
    ],
    top: Annotated[int, typer.Option(min=1, help="Words to show for each [MASK].")] = 5,
    as_json: Annotated[bool, typer.Option("--json", help="One JSON object a text.")] = False,
) -> None:
    """Fill the [MASK]s of a text: the likeliest words and their probabilities.

    Example: bertwright fill model "The function returns a [MASK]."
    """
    from bertwright.errors import RowError
    from bertwright.inference.predictor import load
    from bertwright.lines import lines_of

    predictor = load(model, say=Talk().say)
    texts = lines_of(text, RowError) if text == "-" else iter([(0, text)])
    for number, one in texts:
        try:
            filled = predictor.fill(one, top)
        except RowError as fault:
            raise RowError(fault.what, where=f"standard input:{number}" if number else None, cure=fault.cure) from None
        if as_json:
            out(json.dumps({"text": one, "masks": [asdict(mask) for mask in filled]}, ensure_ascii=False))
            continue
        out(one)
        for mask in filled:
            words = "  ".join(f"{candidate.word} {candidate.probability:.1%}" for candidate in mask.candidates)
            out(f"  [MASK] at {mask.start}: {words}")
