"""bertwright tokenize."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated

import typer

from bertwright.cli.talk import out


def run(
    vocab: Annotated[Path, typer.Argument(help="Model directory, tokenizer directory, or a vocab.txt.")],
    file: Annotated[str, typer.Argument(help='Text file, or "-" for standard input; a text a line.')] = "-",
    as_json: Annotated[bool, typer.Option("--json", help="One object a line: ids, pieces, spans, words.")] = False,
) -> None:
    """Cut texts into WordPieces.

    Example: echo "I like playing" | bertwright tokenize model
    """
    from bertwright.errors import RowError
    from bertwright.lines import lines_of
    from bertwright.tokens.layout import read_tokenizer

    tokenizer = read_tokenizer(vocab)
    for _, line in lines_of(file, RowError):
        encoding = tokenizer.encode(line)
        if as_json:
            found = {
                "text": line,
                "ids": encoding.ids,
                "pieces": encoding.pieces,
                "spans": encoding.spans,
                "words": encoding.words,
            }
            out(json.dumps(found, ensure_ascii=False))
        else:
            out(" ".join(encoding.pieces))
