from __future__ import annotations

import json
from pathlib import Path

import pytest

from bertwright.cli.main import main
from bertwright.examples.settings import ExampleSettings, MaskedUnit
from bertwright.recipes.masks import UNITS, masked_text
from bertwright.tokens.tokenizer import Tokenizer
from bertwright.tokens.vocabulary import SPECIALS, Vocabulary

TOKENIZER = Tokenizer(Vocabulary([*SPECIALS, "play", "##ing", "##ed", "the", "cat", "."]))
TEXT = "The cat played playing the played cat playing. " * 4


@pytest.mark.parametrize("unit", UNITS)
def test_what_is_shown_is_the_text_but_for_what_was_chosen(unit: MaskedUnit) -> None:
    settings = ExampleSettings.from_values({"max_length": 64, "masked_unit": unit})
    found = masked_text(TEXT, TOKENIZER, settings, seed=0, epoch=0)
    assert list(found.pieces) == TOKENIZER.pieces(TOKENIZER.ids(TEXT))
    assert len(found.chosen) == round(0.15 * (len(found.pieces) + 2))
    changed = [place for place, (a, b) in enumerate(zip(found.pieces, found.shown, strict=True)) if a != b]
    assert set(changed) <= set(found.chosen)
    if unit != "token":
        for place, piece in enumerate(found.pieces):
            if piece.startswith("##"):
                assert (place in found.chosen) == (place - 1 in found.chosen)


def test_the_verb_shows_every_mode(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "vocab.txt").write_bytes(TOKENIZER.vocabulary.to_bytes())
    (tmp_path / "text.txt").write_text(f"{TEXT}\n\n")
    arguments = ["masks", str(tmp_path / "vocab.txt"), str(tmp_path / "text.txt")]
    assert main([*arguments, "--epochs", "2"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert [line.split("  ")[0].strip() for line in lines] == [f"{u}, epoch {e}" for e in (0, 1) for u in UNITS]
    assert all("[MASK]" in line for line in lines)
    (tmp_path / "long.txt").write_text(TEXT * 20)
    assert main(["masks", str(tmp_path / "vocab.txt"), str(tmp_path / "long.txt")]) == 0
    # 52 pieces, twenty times, of which [CLS] and [SEP] leave room for 510.
    assert "long.txt:1: cut, 530 pieces are more than an example holds" in capsys.readouterr().err
    assert main([*arguments, "--json"]) == 0
    shown = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    assert [row["unit"] for row in shown] == list(UNITS)
