"""Tokens that were added to a vocabulary: found before a text is cut, on every way that a text takes."""

from __future__ import annotations

import json
import pickle
from pathlib import Path
from typing import Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from bertwright.tokens.added import AddedTokens
from bertwright.tokens.layout import read_tokenizer, tokenizer_files, unused_tokens
from bertwright.tokens.tokenizer import Tokenizer
from bertwright.tokens.vocabulary import SPECIALS, Vocabulary

PIECES = [*SPECIALS, "[unused0]", "the", "dog", "##s", "s", "[", "]", "e", "##1", "zeb"]
ADDED = {"[E1]": False, "[E1]x": False, "zebra": True, "[unused0]": False}
TOKENIZER = Tokenizer(Vocabulary([*PIECES, "[E1]", "[E1]x", "zebra"]), added=ADDED)


@pytest.mark.parametrize(
    ("text", "pieces"),
    [
        ("the [E1]dog[E1]", ["the", "[E1]", "dog", "[E1]"]),
        ("[e1]", ["[", "e", "##1", "]"]),
        ("[E1]xzebras", ["[E1]x", "zebra", "s"]),
        ("Zebra ZEBRAS zeb", ["zebra", "zebra", "s", "zeb"]),
        ("[unused0][UNUSED0]", ["[unused0]", "[", "[UNK]", "]"]),
        ("[MASK]", ["[", "[UNK]", "]"]),
        ("", []),
    ],
)
def test_they_are_found_wherever_they_stand(text: str, pieces: list[str]) -> None:
    assert TOKENIZER.pieces(TOKENIZER.ids(text)) == pieces
    assert list(TOKENIZER.encode(text).pieces) == pieces


def test_the_longest_of_many_is_found_and_none_costs_much() -> None:
    many = {f"term{number}x": number % 2 == 0 for number in range(3000)} | {"term12": True, "K" * 100: False}
    found = AddedTokens(many, {token: number for number, token in enumerate(many)})
    text = "a TERM12X term13x TERM13X term129 \u212a" + "K" * 100
    assert [text[each.start : each.end] for each in found.find(text)] == ["TERM12X", "term13x", "term12", "K" * 100]
    # The Kelvin sign is a k in lower case, a long s is no s.
    odd = AddedTokens(
        {"k1": True, "s": True, "COVID": True, "covid-19": True}, {"k1": 7, "s": 8, "COVID": 9, "covid-19": 10}
    )
    assert list(odd.find("\u212a1 \u017fs Covid-19")) == [(0, 2, 7), (4, 5, 8), (6, 14, 10)]
    # What Python takes for another case of a letter does not hide a shorter token.
    assert list(AddedTokens({"kos": True, "ko": True}, {"kos": 7, "ko": 8}).find("ko\u017f")) == [(0, 2, 8)]
    nested = {"a" * size: False for size in range(1, 101)}
    assert [each.end for each in AddedTokens(nested, dict.fromkeys(nested, 1)).find("a" * 150)] == [100, 150]


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("un café", ["café"]),
        ("Un CAFE\u0301s", ["CAFE\u0301"]),
        ("un cafe", ["cafe"]),
        ("İstanbul, istanbul", ["İstanbul", "istanbul"]),
        ("ca\u200bfe", ["ca\u200bfe"]),
        # Two letters of a syllable of three are no whole character of it.
        ("하한", ["하"]),
        ("\u0301\u200b", []),
    ],
)
def test_in_the_text_as_it_is_folded(text: str, found: list[str]) -> None:
    sought = {"café": True, "İstanbul": True, "하": True, "\u0301": True}
    added = AddedTokens(sought, {token: number for number, token in enumerate(sought)})
    assert [text[each.start : each.end] for each in added.find(text)] == found


def test_accents_that_stay_make_another_token() -> None:
    added = AddedTokens({"Café": True}, {"Café": 7}, lowercase=False, strip_accents=False)
    assert list(added.find("café Cafe Café")) == [(10, 14, 7)]


def test_those_that_are_sought_as_they_stand_go_first() -> None:
    added = AddedTokens({"ab": False, "xa": True}, {"ab": 1, "xa": 2})
    assert [found.id for found in added.find("xab XA")] == [1, 2]


def test_beside_a_mask() -> None:
    encoding = TOKENIZER.encode("the [MASK][E1]s", allow_mask=True)
    assert encoding.pieces == ("the", "[MASK]", "[E1]", "s")
    assert encoding.spans == ((0, 3), (4, 10), (10, 14), (14, 15))
    assert encoding.words == (0, 1, 2, 3)


@given(
    st.lists(st.lists(st.sampled_from(["[E1]", "Zebra", "[unused0]", " ", "dog", "s", "é", "中", "["])).map("".join))
)
@example(["[E1]", "", "[E1][E1]"])
@example([])
def test_all_ways_give_the_same(texts: list[str]) -> None:
    wanted = [list(TOKENIZER.encode(text).ids) for text in texts]
    assert TOKENIZER.ids_many(texts) == wanted
    assert [TOKENIZER.ids(text) for text in texts] == wanted
    found = TOKENIZER.arrays(texts)
    assert [found.ids[a:b].tolist() for a, b in zip(found.offsets, found.offsets[1:], strict=False)] == wanted
    assert len(found.word_starts) == len(found.ids) == found.offsets[-1]


def test_each_begins_a_word_and_the_one_after_it_too() -> None:
    assert TOKENIZER.arrays(["the[E1]dogs"]).word_starts.tolist() == [True, True, True, False]


def test_they_are_sent_to_workers_and_follow_another_vocabulary() -> None:
    assert pickle.loads(pickle.dumps(TOKENIZER)).added == ADDED
    shorter = TOKENIZER.over(Vocabulary([*PIECES, "[E1]"]))
    assert shorter.added == {"[E1]": False, "[unused0]": False}


def test_pieces_that_come_after_them_make_them_no_part_of_words(tmp_path: Path) -> None:
    tokenizer = Tokenizer(Vocabulary([*PIECES, "gene"]), added={"gene": False})
    longer = tokenizer.over(Vocabulary([*PIECES, "gene", "##x", "cell"]))
    for name, content in tokenizer_files(longer).items():
        (tmp_path / name).write_bytes(content)
    for each in (tokenizer, longer, read_tokenizer(tmp_path), pickle.loads(pickle.dumps(longer))):
        # Sought as it stands; in another case it is a word, of which it is no piece.
        assert each.pieces(each.ids("gene Gene")) == ["gene", "[UNK]"]
        assert "gene" not in each.pieces_of_words()


def test_they_come_back(tmp_path: Path) -> None:
    for name, content in tokenizer_files(TOKENIZER).items():
        (tmp_path / name).write_bytes(content)
    found = read_tokenizer(tmp_path)
    assert (found.added, found.vocabulary) == (ADDED, TOKENIZER.vocabulary)
    assert unused_tokens(tmp_path, found) == ()


def test_transformers_cuts_as_we_do(tmp_path: Path) -> None:
    """What it saves is read here, and what is written of that is read there."""
    transformers: Any = pytest.importorskip("transformers")
    for name, content in tokenizer_files(Tokenizer(Vocabulary(PIECES))).items():
        (tmp_path / name).write_bytes(content)
    theirs = transformers.AutoTokenizer.from_pretrained(tmp_path)
    theirs.add_tokens(["zebra", "New York", "Café", "İstanbul"])
    theirs.add_special_tokens({"additional_special_tokens": ["[E1]", "[unused0]"]})
    (saved := tmp_path / "saved").mkdir()
    theirs.save_pretrained(saved)
    ours = read_tokenizer(saved)
    normal = dict.fromkeys(["zebra", "New York", "Café", "İstanbul"], True)
    assert ours.added == normal | {"[E1]": False, "[unused0]": False}
    (again := tmp_path / "again").mkdir()
    for name, content in tokenizer_files(ours).items():
        (again / name).write_bytes(content)
    back = transformers.AutoTokenizer.from_pretrained(again)
    for text in (
        "the [E1]dog[E1] zebras",
        "ZEBRA [e1] new york, New Yorks",
        "[unused0] [UNUSED0] zeb",
        "dogzebradog",
        "CAFE café cafe\u0301",
        "istanbul İSTANBUL",
    ):
        wanted = theirs(text, add_special_tokens=False)["input_ids"]
        assert ours.ids(text) == wanted, text
        assert back(text, add_special_tokens=False)["input_ids"] == wanted, text


def test_what_cannot_be_looked_for_is_told(tmp_path: Path) -> None:
    """A wish that is not known here, an id that does not follow, and an old file that is."""
    (tmp_path / "vocab.txt").write_bytes(Vocabulary(PIECES).to_bytes())
    described = {
        "15": {"content": "word", "single_word": True},
        "99": {"content": "far"},
        "x": {"content": "odd"},
        "9" * 5000: {"content": "huge"},
    }
    (tmp_path / "tokenizer_config.json").write_text(json.dumps({"added_tokens_decoder": described}))
    (tmp_path / "added_tokens.json").write_text(json.dumps({"[ENT]": 15, "dog": 7, "the": 7}))
    found = read_tokenizer(tmp_path)
    assert found.added == {"[ENT]": True, "dog": True}
    assert found.pieces(found.ids("[ent]dog")) == ["[ENT]", "dog"]
    names = ("far", "huge", "odd", "the", "word")
    assert unused_tokens(tmp_path, found) == tuple(f"the added token {name!r}" for name in names)
