from __future__ import annotations

import pytest

from bertwright.tokens.wordpiece import WordPiece

PIECES = ["[UNK]", "want", "##want", "##ed", "wa", "un", "runn", "##ing", ",", "ru", "##n"]
WORDPIECE = WordPiece({piece: number for number, piece in enumerate(PIECES)})


@pytest.mark.parametrize(
    ("word", "expected"),
    [
        ("unwanted", [(5, 0, 2), (2, 2, 6), (3, 6, 8)]),
        ("running", [(6, 0, 4), (7, 4, 7)]),
        ("want", [(1, 0, 4)]),  # not "wa": the longest piece that fits
        ("run", [(9, 0, 2), (10, 2, 3)]),
        ("unwantedX", []),  # one character that cannot be spelled spoils the whole word
        ("ed", []),  # known only as a continuation
        ("", []),
    ],
)
def test_longest_match_first(word: str, expected: list[tuple[int, int, int]]) -> None:
    assert WORDPIECE.split(word) == expected


def test_a_greedy_choice_is_never_taken_back() -> None:
    assert WordPiece({"ab": 0, "a": 1, "##bc": 2}).split("abc") == []


def test_words_of_more_than_200_characters_are_given_up() -> None:
    wordpiece = WordPiece({"a": 0, "##a": 1})
    assert len(wordpiece.split("a" * 200)) == 200
    assert wordpiece.split("a" * 201) == []


def test_an_empty_vocabulary_spells_nothing() -> None:
    assert WordPiece({}).split("a") == []


@pytest.mark.parametrize("pieces", [["a"], ["a", "##"]])
def test_a_vocabulary_in_which_nothing_goes_on_with_a_word(pieces: list[str]) -> None:
    wordpiece = WordPiece({piece: number for number, piece in enumerate(pieces)})
    assert wordpiece.split("ab") == []
    assert wordpiece.ids("ab") == ()
    assert wordpiece.ids("a") == (0,)
