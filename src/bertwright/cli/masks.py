"""bertwright masks."""

from __future__ import annotations

import json
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from bertwright.cli.choices import Segmenter, SegmenterChoice
from bertwright.cli.talk import Talk, out

if TYPE_CHECKING:
    from bertwright.recipes.masks import MaskedText


def run(
    vocab: Annotated[Path, typer.Argument(help="Model directory, tokenizer directory, or a vocab.txt.")],
    file: Annotated[str, typer.Argument(help='Text file, or "-" for standard input; a text a line.')] = "-",
    ratio: Annotated[float, typer.Option(min=0.01, max=0.9, help="Share of the tokens that is hidden.")] = 0.15,
    longest_span: Annotated[int, typer.Option(min=1, max=20, help="Words in the longest span.")] = 3,
    segmenter: Segmenter = SegmenterChoice.none,
    seed: Annotated[int, typer.Option(min=0, help="Another seed hides others.")] = 0,
    epochs: Annotated[int, typer.Option(min=1, help="Epochs to show, one below the other.")] = 1,
    as_json: Annotated[bool, typer.Option("--json", help="One object a line.")] = False,
) -> None:
    """Show what masking hides in a text: tokens, whole words and spans, side by side.

    A hidden piece is shown as the model sees it: [MASK]; another word, as {dog}; or left as it stood, as (cat).

    Example: echo "Electrocardiograms showed tachycardia." | bertwright masks model
    """
    from bertwright.errors import RowError
    from bertwright.examples.settings import ExampleSettings
    from bertwright.lines import lines_of, told
    from bertwright.recipes.masks import UNITS, masked_text
    from bertwright.tokens.layout import read_tokenizer
    from bertwright.tokens.segmented import check_segmenter

    tokenizer = read_tokenizer(vocab)
    check_segmenter(segmenter.value, tokenizer)
    talk = Talk()
    for number, line in lines_of(file, RowError):
        if not tokenizer.ids(line):
            continue
        for epoch in range(epochs):
            for unit in UNITS:
                settings = ExampleSettings.from_values({
                    "max_length": 512, "masked_fraction": ratio, "masked_unit": unit, "longest_span": longest_span,
                })  # fmt: skip
                found = masked_text(line, tokenizer, settings, segmenter=segmenter.value, seed=seed, epoch=epoch)
                if found.left_out and (epoch, unit) == (0, UNITS[0]):
                    talk.say(f"{told(file)}:{number}: cut, {found.left_out:,} pieces are more than an example holds")
                if as_json:
                    out(json.dumps({"epoch": epoch, **asdict(found)}, ensure_ascii=False))
                else:
                    label = unit if epochs == 1 else f"{unit}, epoch {epoch}"
                    out(f"{label:<{10 if epochs == 1 else 20}}  {_drawn(found)}")


def _drawn(found: MaskedText) -> str:
    shown = list(found.shown)
    for place in found.chosen:
        if shown[place] == found.pieces[place]:
            shown[place] = f"({shown[place]})"
        elif shown[place] != "[MASK]":
            shown[place] = f"{{{shown[place]}}}"
    return " ".join(shown)
