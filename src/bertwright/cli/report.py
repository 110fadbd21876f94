"""bertwright report."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from bertwright.cli.talk import Talk


def run(
    runs: Annotated[
        list[Path], typer.Argument(metavar="RUN", help="Output directories of pretrain, adapt or finetune.")
    ],
    out: Annotated[Path, typer.Option(help="File to write; an earlier report is replaced.")] = Path("report.html"),
) -> None:
    """Draw runs over one another on one HTML page: curves, pace, accuracy by word frequency, recipes.

    A run may still be going on.

    Example: bertwright report model other-model --out report.html
    """
    from bertwright.recipes.report.writing import write_report

    write_report(runs, out, Talk())
