from __future__ import annotations

import random
from collections import Counter
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bertwright.errors import VocabularyError
from bertwright.tokens.learn import learn_vocabulary
from bertwright.tokens.tokenizer import Tokenizer

SPECIALS = ("[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]")
HUGS = {"hug": 10, "pug": 5, "pun": 12, "bun": 4, "hugs": 5}


def test_the_hugs_by_eye() -> None:
    # u+g 20, then u+n 16, then h+ug 15 (hug, hugs), then p+un 12, then hug+s and p+ug 5 each: "hug" is before "p".
    alphabet = ("b", "h", "p", "##g", "##n", "##s", "##u")
    joined = ("##ug", "##un", "hug", "pun", "hugs", "pug", "bun")
    assert learn_vocabulary(HUGS, 19).pieces == SPECIALS + alphabet + joined
    assert learn_vocabulary(HUGS, 14).pieces == (SPECIALS + alphabet + joined)[:14]


def test_a_corpus_gives_no_more_than_it_has() -> None:
    assert len(learn_vocabulary(HUGS, 1000)) == 19
    assert learn_vocabulary(HUGS, 1000, min_frequency=5).pieces[-1] == "pug"
    assert learn_vocabulary({}, 100).pieces == SPECIALS


def test_unused_pieces_stand_where_the_official_ones_do() -> None:
    assert learn_vocabulary({"a": 1}, 9, unused=2).pieces == (
        "[PAD]",
        "[unused0]",
        "[unused1]",
        "[UNK]",
        "[CLS]",
        "[SEP]",
        "[MASK]",
        "a",
    )


def test_repeated_letters_are_joined_from_the_left() -> None:
    assert learn_vocabulary({"aaaaa": 3}, 100).pieces[5:] == ("a", "##a", "##aa", "##aaaa", "aaaaa")


def test_a_character_beyond_the_alphabet_takes_its_words_along() -> None:
    found = learn_vocabulary({"ab": 9, "abz": 5, "zb": 1}, 100, alphabet_limit=2)
    assert found.pieces[5:] == ("a", "##b", "ab")


def test_a_lone_surrogate_never_gets_in() -> None:
    assert learn_vocabulary({"a\ud800": 9, "ab": 2}, 100).pieces[5:] == ("a", "##b", "ab")


def test_text_that_looks_like_a_special_piece_makes_none() -> None:
    assert learn_vocabulary({"[MASK]": 50, "##b": 50, "a": 1}, 100).pieces.count("[MASK]") == 1


def test_too_small_a_size_says_what_would_do() -> None:
    with pytest.raises(VocabularyError) as caught:
        learn_vocabulary(HUGS, 11)
    assert str(caught.value) == (
        "a vocabulary of 11 pieces cannot hold 5 special pieces and an alphabet of 7; "
        "ask for at least 12 pieces, or lower --alphabet (here 1000)"
    )
    assert len(learn_vocabulary(HUGS, 12)) == 12


def test_progress_ends_at_what_was_learned() -> None:
    reports: list[tuple[int, int]] = []
    learn_vocabulary(HUGS, 1000, on_progress=lambda done, size: reports.append((done, size)))
    assert reports[-1] == (19, 1000)
    assert reports == sorted(reports)


counts = st.dictionaries(st.text("abcé中", min_size=1, max_size=8), st.integers(1, 9), max_size=20)


@given(counts, st.integers(15, 60), st.integers(1, 4), st.randoms())
def test_the_order_of_the_words_does_not_matter(
    words: dict[str, int], size: int, least: int, shuffler: random.Random
) -> None:
    shuffled = list(words.items())
    shuffler.shuffle(shuffled)
    expected = learn_vocabulary(words, size, min_frequency=least)
    assert learn_vocabulary(dict(shuffled), size, min_frequency=least) == expected
    assert learn_vocabulary(Counter(words), size, min_frequency=least) == expected


@given(counts, st.integers(15, 60), st.integers(1, 4))
def test_quick_counting_finds_what_counting_anew_finds(words: dict[str, int], size: int, least: int) -> None:
    assert learn_vocabulary(words, size, min_frequency=least).pieces == slowly_learned(words, size, least)


def slowly_learned(words: dict[str, int], size: int, least: int) -> tuple[str, ...]:
    """The definition: count all pairs anew, join the first of the most frequent, go on."""
    spelled = [([word[0], *("##" + char for char in word[1:])], count) for word, count in words.items()]
    symbols = {symbol for symbol_list, _ in spelled for symbol in symbol_list}
    pieces = [*SPECIALS, *sorted(symbols, key=lambda symbol: (symbol.startswith("##"), symbol))]
    while len(pieces) < size:
        pairs: Counter[tuple[str, str]] = Counter()
        for symbol_list, count in spelled:
            for pair in pairwise(symbol_list):
                pairs[pair] += count
        frequent = [(-count, pair) for pair, count in pairs.items() if count >= least]
        if not frequent:
            break
        first, second = min(frequent)[1]
        joined = first + second.removeprefix("##")
        for symbol_list, _ in spelled:
            at = 0
            while at < len(symbol_list) - 1:
                if symbol_list[at : at + 2] == [first, second]:
                    symbol_list[at : at + 2] = [joined]
                at += 1
        if joined not in pieces:
            pieces.append(joined)
    return tuple(pieces)


@given(counts)
def test_every_counted_word_can_be_spelled(words: dict[str, int]) -> None:
    vocabulary = learn_vocabulary(words, 40)
    tokenizer = Tokenizer(vocabulary, strip_accents=False, split_cjk=False)
    assert all(vocabulary.unk_id not in tokenizer.ids(word) for word in words)
