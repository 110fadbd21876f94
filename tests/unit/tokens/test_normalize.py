from __future__ import annotations

import sys
import unicodedata

import pytest
from hypothesis import example, given

from bertwright.tokens.normalize import (
    SPLITTING_CONTROLS,
    aligned_words,
    chunks,
    is_control,
    located_chunks,
    split_at_cjk,
    words,
)
from tests.unit.tokens.literal import literal_words
from tests.unit.tokens.strategies import switches, texts


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("  Hello,\tWORLD!\n", ["hello", ",", "world", "!"]),
        ("naïve Café", ["naive", "cafe"]),
        ("我爱BERT吗", ["我", "爱", "bert", "吗"]),
        ("re-use $5 1^2", ["re", "-", "use", "$", "5", "1", "^", "2"]),
        ("a\0b\ufffdc\u200bd\x85e", ["abcde"]),  # they vanish, U+0085 included, though Python would split there
        ("a\u2028b\u3000c\xa0d", ["a", "b", "c", "d"]),
        ("ΟΔΟΣ ΣΟΣ中", ["οδος", "σος", "中"]),  # isolation comes first, so each last sigma is final
        ("İ", ["i"]),
        ("안녕", ["안녕"]),  # decomposed to jamo
        ("\u0301", []),
        ("[MASK]", ["[", "mask", "]"]),
        ("5€", ["5€"]),
        ("", []),
    ],
)
def test_words_of_the_original(text: str, expected: list[str]) -> None:
    assert words(text) == [unicodedata.normalize("NFD", word) for word in expected]


def test_the_three_switches_are_independent() -> None:
    text = "Éa中b"
    assert words(text, lowercase=False, strip_accents=False, split_cjk=False) == ["Éa中b"]
    assert words(text, lowercase=True, strip_accents=False, split_cjk=False) == ["éa中b"]
    assert words(text, lowercase=False, strip_accents=True, split_cjk=False) == ["Ea中b"]
    assert words(text, lowercase=False, strip_accents=False, split_cjk=True) == ["Éa", "中", "b"]


def test_accents_follow_case_unless_told_otherwise() -> None:
    assert words("É") == ["e"]
    assert words("É", lowercase=False) == ["É"]


@given(texts, switches)
@example("ΑΣ.Α", {"lowercase": True, "strip_accents": False, "split_cjk": True})
@example("ΑΣ中Α", {"lowercase": True, "strip_accents": False, "split_cjk": True})
def test_words_are_those_of_the_literal_tokenizer(text: str, switch: dict[str, bool]) -> None:
    assert words(text, **switch) == literal_words(text, **switch)


@given(texts, switches)
@example("e\u302e\u0323\U0001d165", {"lowercase": True, "strip_accents": True, "split_cjk": True})
def test_aligned_words_are_the_words_with_ordered_spans_inside_the_text(text: str, switch: dict[str, bool]) -> None:
    aligned = aligned_words(text, **switch)
    assert [word.text for word in aligned] == words(text, **switch)
    assert all(len(word.spans) == len(word.text) for word in aligned)
    spans = [span for word in aligned for span in word.spans]
    assert all(0 <= start < end <= len(text) for start, end in spans)
    assert [start for start, _ in spans] == sorted(start for start, _ in spans)


@given(texts, switches)
@example("ΑΣ.Α", {"lowercase": True, "strip_accents": False, "split_cjk": True})
@example("a\x85b", {"lowercase": True, "strip_accents": True, "split_cjk": True})
def test_the_words_of_a_text_are_those_of_its_chunks(text: str, switch: dict[str, bool]) -> None:
    expected = words(text, **switch)
    assert [word for chunk in chunks(text) for word in words(chunk, **switch)] == expected
    cjk = switch["split_cjk"]
    assert [word for chunk, _ in located_chunks(text, split_cjk=cjk) for word in words(chunk, **switch)] == expected
    if cjk:
        parts = [part for chunk in chunks(text) for part in split_at_cjk(chunk)]
        assert [word for part in parts for word in words(part, **switch)] == expected


@given(texts)
def test_located_chunks_stand_where_they_say(text: str) -> None:
    assert all(text[start : start + len(chunk)] == chunk for chunk, start in located_chunks(text))


def test_all_controls_that_python_splits_at_are_known() -> None:
    found = {char for char in map(chr, range(sys.maxunicode + 1)) if char.isspace() and is_control(char)}
    assert found == set(SPLITTING_CONTROLS)


def test_lowering_depends_on_context_for_sigma_alone() -> None:
    # `chunks` cuts before lowering on the strength of this.
    odd = [
        char
        for char in map(chr, range(sys.maxunicode + 1))
        if any(f"a{char}{end}".lower() != f"a{char.lower()}{end}" for end in ("", ".", "a", ".a"))
    ]
    assert odd == ["Σ"]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("Ab, c", [("ab", [(0, 1), (1, 2)]), (",", [(2, 3)]), ("c", [(4, 5)])]),
        ("cafe\u0301 x", [("cafe", [(0, 1), (1, 2), (2, 3), (3, 5)]), ("x", [(6, 7)])]),  # the accent goes with its e
        ("aİb", [("aib", [(0, 1), (1, 2), (2, 3)])]),  # lowers to i and a dot above
        ("a\u200bb中", [("ab", [(0, 1), (2, 3)]), ("中", [(3, 4)])]),
        ("가", [("\u1100\u1161", [(0, 1), (0, 1)])]),
        ("x👍🏽y", [("x👍🏽y", [(0, 1), (1, 2), (2, 3), (3, 4)])]),
        ("a\x85b", [("ab", [(0, 1), (2, 3)])]),
    ],
)
def test_every_character_knows_where_it_came_from(text: str, expected: list[tuple[str, list[tuple[int, int]]]]) -> None:
    assert [(word.text, list(word.spans)) for word in aligned_words(text)] == expected
