from __future__ import annotations

import itertools

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from bertwright.tokens.normalize import words
from bertwright.tokens.true_words import begins_word, edges, is_unspaced, within_word


@pytest.mark.parametrize(
    ("chunk", "expected"),
    [
        ("state-of-the-art", ["state-of-the-art"]),
        ("hello,", ["hello", ","]),
        ("(well-known)", ["(", "well-known", ")"]),
        ("don't", ["don't"]),
        ("rock'n'roll!", ["rock'n'roll", "!"]),
        ("l’été", ["l’été"]),
        ("'quoted'", ["'", "quoted", "'"]),
        ("wait--what", ["wait", "-", "-", "what"]),
        ("U.S.", ["U.S", "."]),
        ("10,000.50", ["10,000.50"]),
        ("one,two", ["one", ",", "two"]),
        ("12:30", ["12:30"]),
        ("snake_case", ["snake_case"]),
        ("and/or", ["and", "/", "or"]),
        ("5-fold", ["5-fold"]),
        ("-5", ["-", "5"]),
        ("北京-上海", ["北", "京", "-", "上", "海"]),
        ("paral·lel", ["paral·lel"]),
        ("नमस्ते-दुनिया", ["नमस्ते-दुनिया"]),
    ],
)
def test_true_words(chunk: str, expected: list[str]) -> None:
    basic = words(chunk, lowercase=False, strip_accents=False)
    found: list[str] = []
    for word, begins in zip(basic, begins_word(basic), strict=True):
        if begins:
            found.append(word)
        else:
            found[-1] += word
    assert found == expected


def test_scripts_without_spaces_come_as_phrases() -> None:
    assert list(map(is_unspaced, ["สวัสดีครับ", "ありがとう", "カタカナ", "ខ្ញុំ"])) == [True] * 4
    assert list(map(is_unspaced, ["hello", "привет", "안녕", "नमस्ते", "中"])) == [False] * 5


# A run of basic words as they may stand next to each other.
_runs = st.lists(st.sampled_from(["a", "b1", "2", "é", "中", "-", "'", ",", ".", ":", "/", "_"]), max_size=8)


@given(st.lists(_runs, max_size=6))
def test_many_chunks_at_once_are_as_one_by_one(chunks: list[list[str]]) -> None:
    found = within_word(
        np.array([edges([word]) for chunk in chunks for word in chunk], dtype=np.uint8),
        np.array(list(itertools.accumulate(map(len, chunks), initial=0))),
    )
    assert found.tolist() == [not begins for chunk in chunks for begins in begins_word(chunk)]
