from __future__ import annotations

from collections import Counter

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bertwright.text.characters import count_characters, markup, mojibake, odd_characters, printable


@given(st.text(st.characters()))  # lone surrogates too
def test_counts_are_those_of_a_plain_counter(text: str) -> None:
    points, counts = count_characters(text)
    found = dict(zip(map(chr, points.tolist()), counts.tolist(), strict=True))
    assert found == Counter(text)


def test_odd_characters_are_told_from_white_space() -> None:
    odd = odd_characters(Counter("a\tb\n\x85c\x00\x07\x07\ufffd\ue000\U000e0fff"))
    assert (odd.control, odd.replacement, odd.private_use) == (3, 1, 2)


@pytest.mark.parametrize("text", ["Müller’s naïve café – “Ünïcödé” …", "où êtes-vous ? São Paulo, NÃO! Â mâle â"])
def test_mojibake_is_found_where_it_was_made_and_nowhere_else(text: str) -> None:
    assert mojibake(text) == 0
    assert mojibake("Müller naïve café".encode().decode("latin-1")) == 3
    assert mojibake("it’s – “so”".encode().decode("cp1252", "replace")) >= 3
    assert mojibake("it’s".encode().decode("latin-1")) == 1


def test_tags_are_told_from_comparisons() -> None:
    assert markup("x < 3 and y > 4, a<b, R&D, <unk>, List<String>") == 0
    assert markup("<p class='x'>One</p><br/>two &amp; three&nbsp;&#39;") == 6


@given(st.text(), st.integers(1, 40))
def test_what_is_shown_is_short_and_moves_no_cursor(text: str, longest: int) -> None:
    shown = printable(text, longest)
    assert len(shown) <= longest
    assert shown.isprintable()
    assert printable("a\x1b[31m\n b", 20) == "a [31m b"
