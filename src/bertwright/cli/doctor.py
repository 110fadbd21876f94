"""bertwright doctor."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.cells import cell_len, set_cell_size

from bertwright.cli.choices import Corpus, OnErrorChoice, TextColumn, Workers
from bertwright.cli.talk import Talk, out

if TYPE_CHECKING:
    from bertwright.recipes.doctor.diagnosis import Diagnosis
    from bertwright.recipes.doctor.findings import Finding
    from bertwright.recipes.doctor.measures import Spread
    from bertwright.recipes.doctor.summary import Table

_BLOCKS = "▁▂▃▄▅▆▇█"


def run(
    corpus: Corpus,
    vocab: Annotated[
        Path | None, typer.Option(help="Model directory, tokenizer directory, or a vocab.txt; without it words count.")
    ] = None,
    language: Annotated[str, typer.Option(help="Language code, for finding sentences.")] = "en",
    text_column: TextColumn = "text",
    on_error: Annotated[OnErrorChoice, typer.Option(help="stop: end at the first bad line.")] = OnErrorChoice.skip,
    max_length: Annotated[int, typer.Option(min=8, max=512, help="Tokens in an example.")] = 128,
    epochs: Annotated[int, typer.Option(min=1, help="Times that training goes over the text; 40 in the paper.")] = 40,
    timing: Annotated[bool, typer.Option("--timing/--no-timing", help="Measure what this machine can do.")] = True,
    workers: Workers = None,
    as_json: Annotated[bool, typer.Option("--json", help="One JSON object.")] = False,
    html: Annotated[Path | None, typer.Option(help="File to write, one page with plots.")] = None,
    overwrite: Annotated[bool, typer.Option("--overwrite", help="Replace --html.")] = False,
) -> None:
    """Look at a corpus: what is in it, what will go wrong with it, and what to do.

    Lines that are no documents are counted and told.

    Example: bertwright doctor corpus.jsonl --vocab vocab --html corpus.html
    """
    from bertwright.errors import UserFault
    from bertwright.files import write_atomic
    from bertwright.memory import keep_big_blocks
    from bertwright.recipes.doctor.diagnosis import diagnose
    from bertwright.recipes.doctor.page import page

    # Told before the work, not after it.
    if html is not None:
        if html.is_file() and not overwrite:
            raise UserFault("exists", where=html, cure="choose another --html, or give --overwrite")
        if html.is_dir() or not html.resolve().parent.is_dir():
            raise UserFault("is a directory" if html.is_dir() else "its folder does not exist", where=html)
    keep_big_blocks()
    talk = Talk()
    found = diagnose(
        corpus,
        vocab=vocab,
        language=language,
        text_column=text_column,
        on_error=on_error.value,
        max_length=max_length,
        epochs=epochs,
        timing=timing,
        workers=workers,
        progress=talk,
    )
    if html is not None:
        write_atomic(html, page(found).encode("utf-8", "replace"))
        talk.say(f"a page with plots: {html}")
    if as_json:
        out(json.dumps(found.as_json(), ensure_ascii=False, indent=2))
    else:
        _print(found)


def _print(found: Diagnosis) -> None:
    from bertwright.recipes.doctor.summary import headline, tables

    for number, table in enumerate(tables(found)):
        _print_table(table)
        if number == 0:
            _print_lengths(found)
    out(f"Findings: {headline(found)}")
    for finding in found.findings:
        _print_finding(finding)


def _print_table(table: Table) -> None:
    out(table.title)
    rows = [row for row in (table.header, *table.rows) if row]
    # The last column of a table without a header is words: it is not aligned, however long one of them is.
    figures = len(table.header) or 2
    words = max(cell_len(row[0]) for row in rows)
    widths = [max(len(row[column]) for row in rows if column < len(row)) for column in range(1, figures)]
    for row in rows:
        shown = [f"{cell:>{width}}" for cell, width in zip(row[1:figures], widths, strict=False)]
        # An ideograph takes the room of two letters.
        out("  ".join(["", set_cell_size(row[0], words), *shown, *row[figures:]]).rstrip())
    out("")


def _print_lengths(found: Diagnosis) -> None:
    m = found.measures
    kinds: tuple[tuple[str, Spread], ...] = (
        (f"{m.unit} in a sentence", m.sentence_lengths),
        ("sentences in a document", m.document_sentences),
        (f"{m.unit} in a document", m.document_lengths),
    )
    rows = [("", "median", "95%", "longest", "how many, by doublings")]
    rows += [
        (name, f"{spread.median:,}", f"{spread.p95:,}", f"{spread.longest:,}", _bars(spread)) for name, spread in kinds
    ]
    widths = [max(len(row[column]) for row in rows) for column in range(4)]
    out("Lengths")
    for name, *figures, bars in rows:
        shown = [f"{figure:>{width}}" for figure, width in zip(figures, widths[1:], strict=True)]
        out("  ".join(["", f"{name:<{widths[0]}}", *shown, bars]))
    out("")


def _bars(spread: Spread) -> str:
    """One block for each doubling, from the shortest to the longest."""
    if not spread.histogram:
        return ""
    highest = max(count for _, _, count in spread.histogram)
    blocks = [
        _BLOCKS[round((len(_BLOCKS) - 1) * count / highest)] if count else " " for _, _, count in spread.histogram
    ]
    return f"{spread.histogram[0][0]:,} {''.join(blocks)} {spread.histogram[-1][1]:,}"


def _print_finding(finding: Finding) -> None:
    out(f"  {finding.grade}: {finding.name}")
    out(f"    {finding.what}")
    out(f"    -> {finding.cure}")
