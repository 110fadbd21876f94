"""The expected words are those of nltk 3.10.4's word_tokenize; nltk needs a model of its own, so it is not run here."""

from __future__ import annotations

import pytest

from bertwright.metrics.treebank import words


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("", ""),
        ("i don't know, he's gone.", "i do n't know , he 's gone ."),
        ("they'll we've you're i'm i'd", "they 'll we 've you 're i 'm i 'd"),
        ('cannot say \'tis "so"', "can not say ' tis `` so ''"),
        ("gonna wanna gimme", "gon na wan na gim me"),
        ("rock 'n' roll 's", "rock 'n ' roll 's"),
        ("\"open\" and ''close''", "`` open '' and `` close ''"),
        ("«oui» ‘non", "« oui » ‘ non"),
        ("(a) 1,000 [b] {c} <d>", "( a ) 1,000 [ b ] { c } < d >"),
        ("a,b 1,b b,1 ,,", "a , b 1 , b b,1 , ,"),
        ("it cost $3.88; 5% off & more @home #1", "it cost $ 3.88 ; 5 % off & more @ home # 1"),
        ("wait... what?! no", "wait ... what ? ! no"),
        ("1990–2000", "1990 – 2000"),
        ("he left. she stayed. (end.)", "he left . she stayed . ( end . )"),
        ("j. smith has no. 5. yes", "j. smith has no . 5. yes"),
        (".5 5. 5.5.", ".5 5 . 5.5 ."),
        ("e.g. by t.f. gilbert", "e.g . by t.f . gilbert"),
    ],
)
def test_words_are_those_of_nltk(text: str, expected: str) -> None:
    assert words(text) == expected.split()


def test_abbreviations_are_not_known() -> None:
    # Where nltk leaves st. and dr. whole.
    assert words("st. paul and dr. no") == ["st", ".", "paul", "and", "dr", ".", "no"]
