"""The table by component, to the last parameter: numbers of the paper's models, worked out by hand."""

from __future__ import annotations

import pytest

from bertwright.encoder.config import PRESETS
from bertwright.heads.model import PRETRAINING, Component, Parts, parameter_table


def flat(rows: tuple[Component, ...] | list[Component]) -> dict[str, int]:
    found = {}
    for row in rows:
        found[row.name] = row.parameters
        found |= flat(row.parts)
    return found


def test_bert_base() -> None:
    rows = parameter_table(PRESETS["bert-base"], Parts())
    assert sum(row.parameters for row in rows) == 109_482_240
    assert [(row.name, row.parameters) for row in rows] == [
        ("embeddings", 23_837_184),
        ("12 layers", 85_054_464),
        ("pooler", 590_592),
    ]
    embeddings, layers, _ = rows
    assert [(part.name, part.parameters, part.shape) for part in embeddings.parts] == [
        ("words", 23_440_896, "30522 x 768"),
        ("segments", 1_536, "2 x 768"),
        ("positions", 393_216, "512 x 768"),
        ("norm", 1_536, "768 + 768"),
    ]
    (one,) = layers.parts
    assert (one.name, one.parameters) == ("one layer", 7_087_872)
    assert [(part.name, part.parameters, part.shape) for part in one.parts] == [
        ("query, key, value", 1_771_776, "2304 x 768 + 2304"),
        ("attention output", 590_592, "768 x 768 + 768"),
        ("attention norm", 1_536, "768 + 768"),
        ("feed-forward in", 2_362_368, "3072 x 768 + 3072"),
        ("feed-forward out", 2_360_064, "768 x 3072 + 768"),
        ("feed-forward norm", 1_536, "768 + 768"),
    ]


def test_bert_large() -> None:
    rows = parameter_table(PRESETS["bert-large"], Parts())
    assert sum(row.parameters for row in rows) == 335_141_888
    assert flat(rows)["24 layers"] == 24 * 12_596_224


# Totals of the models that Turc et al. published.
@pytest.mark.parametrize(
    ("preset", "total"),
    [
        ("bert-tiny", 4_385_920),
        ("bert-mini", 11_170_560),
        ("bert-small", 28_763_648),
        ("bert-medium", 41_373_184),
    ],
)
def test_smaller_models(preset: str, total: int) -> None:
    assert sum(row.parameters for row in parameter_table(PRESETS[preset], Parts())) == total


def test_heads_are_rows_of_their_own() -> None:
    found = flat(parameter_table(PRESETS["bert-base"], Parts(masked_words=True, next_sentence=True, labels=3)))
    # Dense, norm and a bias for each word; the words themselves are the input's.
    assert found["masked-word head (words are shared)"] == 768 * 768 + 768 + 2 * 768 + 30_522
    assert found["next-sentence head"] == 2 * 768 + 2
    assert found["classifier"] == 3 * 768 + 3
    assert sum(row.parameters for row in parameter_table(PRESETS["bert-base"], PRETRAINING)) == 110_106_428
