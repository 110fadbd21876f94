"""bertwright parity."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated

import typer

from bertwright.cli.talk import Talk, out


def run(
    one: Annotated[str, typer.Argument(help="A model in any form.")],
    other: Annotated[str, typer.Argument(help="The same model in another form.")],
    text: Annotated[
        Path | None, typer.Option(help="Texts to compare on, one a line, or column text of .jsonl, .csv, .parquet.")
    ] = None,
    most: Annotated[int, typer.Option(help="Texts to take of that file.", min=1)] = 1000,
    tolerance: Annotated[float, typer.Option(help="The greatest difference that passes.", min=0)] = 1e-4,
    trust: Annotated[
        bool, typer.Option("--trust", help="Open packages of torch.export too, which may run code.")
    ] = False,
    as_json: Annotated[bool, typer.Option("--json", help="One JSON object.")] = False,
) -> None:
    """Do two forms of one model say the same? Exits with 1 where they do not.

    `transformers:` or `sentence-transformers:` before a directory has that library run it, `torch-bf16:`, `torch-int8:`
    or `torch-compiled:` that engine.

    Example: bertwright parity uncased_L-12_H-768_A-12.zip transformers:bert-base
    """
    from bertwright.interchange.check import compare_forms, report

    found = compare_forms(one, other, text, most=most, tolerance=tolerance, trusted=trust, progress=Talk())
    if as_json:
        out(json.dumps(found.as_json(), ensure_ascii=False))
    else:
        for line in report(found):
            out(line)
    if not found.passed:
        raise typer.Exit(1)
