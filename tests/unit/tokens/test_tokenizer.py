from __future__ import annotations

import itertools
import pickle
import sys
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

import bertwright.tokens.tokenizer as under_test
from bertwright.errors import VocabularyError
from bertwright.tokens import bulk
from bertwright.tokens.normalize import chunks, words
from bertwright.tokens.tokenizer import Tokenizer
from bertwright.tokens.true_words import begins_word, is_unspaced
from bertwright.tokens.vocabulary import Vocabulary
from tests.unit.tokens.literal import literal_pieces
from tests.unit.tokens.strategies import switches, texts

SPECIALS = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"]
ELEVEN = [*SPECIALS, "want", "##want", "##ed", "wa", "un", "runn", "##ing", ",", "[", "]", "mask"]
TOKENIZER = Tokenizer(Vocabulary(ELEVEN))

# Both forms of most characters that the strategy draws, so that few words end as [UNK].
_RICH = [*"abez.,!?'\"[]#$^`~-–—“”…。中文々éÉABιİΣσςßα\u1100\u1161\u0301\u302e", "ab", "be"]
RICH = Vocabulary([*SPECIALS, *_RICH, *(f"##{piece}" for piece in _RICH), "##ea", "##σα"])


def test_the_eleven_words() -> None:
    text = "UNwantéd running, huh"
    assert TOKENIZER.ids(text) == [9, 6, 7, 10, 11, 12, 1]
    encoding = TOKENIZER.encode(text)
    assert encoding.ids == (9, 6, 7, 10, 11, 12, 1)
    assert encoding.pieces == ("un", "##want", "##ed", "runn", "##ing", ",", "[UNK]")
    assert [text[start:end] for start, end in encoding.spans] == ["UN", "want", "éd", "runn", "ing", ",", "huh"]
    assert encoding.words == (0, 0, 0, 1, 1, 2, 3)


def test_text_never_becomes_a_special_piece() -> None:
    assert TOKENIZER.encode("[MASK] [unk]").pieces == ("[", "mask", "]", "[", "[UNK]", "]")
    assert TOKENIZER.ids("[MASK]") == [13, 15, 14]


def test_a_mask_is_a_mask_when_asked() -> None:
    text = "want[MASK],[MASK]\x85[mask]"
    encoding = TOKENIZER.encode(text, allow_mask=True)
    assert encoding.pieces == ("want", "[MASK]", ",", "[MASK]", "[", "mask", "]")
    assert [text[start:end] for start, end in encoding.spans] == ["want", "[MASK]", ",", "[MASK]", "[", "mask", "]"]
    assert encoding.words == (0, 1, 2, 3, 4, 5, 6)
    assert TOKENIZER.encode("[MASK]", allow_mask=True).spans == ((0, 6),)


@given(texts, switches)
@example("ΑΣ.Α ΑΣ中", {"lowercase": True, "strip_accents": True, "split_cjk": True})
@example("ABE\x85AB\x1cé", {"lowercase": True, "strip_accents": True, "split_cjk": True})
@example("a" * 201, {"lowercase": True, "strip_accents": True, "split_cjk": True})
def test_both_paths_give_what_the_literal_tokenizer_gives(text: str, switch: dict[str, Any]) -> None:
    tokenizer = Tokenizer(RICH, **switch)
    expected = literal_pieces(text, RICH.ids, **switch)
    assert tokenizer.pieces(tokenizer.ids(text)) == expected
    assert tokenizer.pieces(tokenizer.ids(text)) == expected  # now out of the cache
    for _ in range(2):
        encoding = tokenizer.encode(text)
        assert list(encoding.pieces) == expected
        assert list(encoding.ids) == tokenizer.ids(text)
    segments = [literal_pieces(segment, RICH.ids, **switch) for segment in f"{text}[MASK]{text}".split("[MASK]")]
    masked = tokenizer.encode(f"{text}[MASK]{text}", allow_mask=True)
    assert list(masked.pieces) == segments[0] + [piece for rest in segments[1:] for piece in ("[MASK]", *rest)]


@given(texts, switches)
def test_spans_point_into_the_text_in_order_and_words_count_up(text: str, switch: dict[str, Any]) -> None:
    encoding = Tokenizer(RICH, **switch).encode(text)
    assert len(encoding.ids) == len(encoding.pieces) == len(encoding.spans) == len(encoding.words)
    assert all(0 <= start < end <= len(text) for start, end in encoding.spans)
    starts = [start for start, _ in encoding.spans]
    assert starts == sorted(starts)
    assert sorted(set(encoding.words)) == list(range(len(set(encoding.words))))
    assert list(encoding.words) == sorted(encoding.words)


@given(texts.map(lambda text: "".join(char for char in text if char in "abezABéÉ,.! 中\n")))
def test_a_span_holds_what_its_piece_says(text: str) -> None:
    encoding = Tokenizer(RICH, strip_accents=False).encode(text)
    for piece, (start, end) in zip(encoding.pieces, encoding.spans, strict=True):
        if piece != "[UNK]":
            assert text[start:end].lower() == piece.removeprefix("##")


def test_a_full_cache_forgets_and_still_answers(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(under_test, "CACHED_CHUNKS", 3)
    monkeypatch.setattr(under_test, "CACHED_ALIGNED_CHUNKS", 3)
    tokenizer = Tokenizer(Vocabulary(ELEVEN))
    several = ["want", "wanted", "running", ",", "unwanted", "x", "y", "running", "want"] * 3
    assert [tokenizer.ids(text) for text in several] == TOKENIZER.ids_many(several)
    assert [tokenizer.encode(text) for text in several] == [TOKENIZER.encode(text) for text in several]
    assert len(tokenizer._chunks) <= 3
    assert len(tokenizer._chunks._old) <= 3


@given(st.lists(texts, max_size=6), switches)
@example(["ΑΣ.Α", "a\x0bb", "\ud800 x,"], {"lowercase": True, "strip_accents": True, "split_cjk": True})
@example(["0.\xa00 a\0-b a\u2010\u3000b"], {"lowercase": False, "strip_accents": False, "split_cjk": False})
@example(["x-\ud800-x don't"], {"lowercase": False, "strip_accents": False, "split_cjk": False})
def test_many_texts_at_once_have_the_pieces_of_each_by_itself(several: list[str], switch: dict[str, Any]) -> None:
    tokenizer = Tokenizer(RICH, **switch)
    expected = [tokenizer.ids(text) for text in several]
    assert tokenizer.ids_many(several) == expected
    assert tokenizer.ids_many(several) == expected  # everything is known by now
    found = tokenizer.arrays(several)
    assert found.ids.tolist() == [number for ids in expected for number in ids]
    assert found.offsets.tolist() == list(itertools.accumulate(map(len, expected), initial=0))
    assert found.word_starts.tolist() == [start for text in several for start in plain_word_starts(text, switch)]


def plain_word_starts(text: str, switch: dict[str, Any]) -> list[bool]:
    """Whether a true word begins with each piece of a text, chunk by chunk and word by word."""
    starts = []
    for chunk in chunks(text):
        basic = words(chunk, **switch)
        for word, begins in zip(basic, begins_word(basic), strict=True):
            pieces = literal_pieces(word, RICH.ids, lowercase=False, strip_accents=False, split_cjk=False)
            starts += [begins, *[is_unspaced(word)] * (len(pieces) - 1)]
    return starts


def test_threads_may_share_a_tokenizer() -> None:
    several = [[f"want{number}ed running un{number % 7}" for number in range(start, start + 400)] for start in range(8)]
    expected = [[TOKENIZER.ids(text) for text in some] for some in several]
    before = sys.getswitchinterval()
    sys.setswitchinterval(1e-6)
    try:
        for _ in range(5):
            tokenizer = Tokenizer(Vocabulary(ELEVEN))
            with ThreadPoolExecutor(8) as pool:
                assert list(pool.map(tokenizer.ids_many, several)) == expected
    finally:
        sys.setswitchinterval(before)


def test_a_full_memory_of_parts_begins_anew(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(bulk, "_KNOWN_PARTS", 2)
    monkeypatch.setattr(bulk, "_CHARACTERS_AT_ONCE", 5)
    tokenizer = Tokenizer(Vocabulary(ELEVEN))
    several = ["want", "wanted", "running", ",", "unwanted", "x", "y", "running", "want"] * 3
    assert tokenizer.ids_many(several) == [TOKENIZER.ids(text) for text in several]
    assert len(tokenizer._bulk) <= 3


def test_what_is_still_in_use_survives_a_full_cache() -> None:
    computed: list[str] = []

    def compute(key: str) -> str:
        computed.append(key)
        return key.upper()

    cache = under_test._Cache(compute, limit=2)
    assert [cache[key] for key in "abcacdab"] == list("ABCACDAB")
    assert computed == ["a", "b", "c", "d", "b"]  # "a" was taken over, "b" came too late


def test_long_chunks_are_not_kept() -> None:
    tokenizer = Tokenizer(Vocabulary(ELEVEN))
    assert tokenizer.ids("x" * 65) == [1]
    assert len(tokenizer._chunks) == 0


def test_decoding_joins_pieces_and_leaves_padding_out() -> None:
    assert TOKENIZER.decode([2, 9, 6, 7, 10, 11, 12, 4, 1, 3, 0, 0]) == "unwanted running , [MASK] [UNK]"
    assert TOKENIZER.decode([7, 5]) == "ed want"
    assert TOKENIZER.decode([]) == ""


@pytest.mark.parametrize("number", [16, -1])
def test_an_id_outside_the_vocabulary_is_the_callers_fault(number: int) -> None:
    with pytest.raises(VocabularyError) as caught:
        TOKENIZER.pieces([number])
    assert str(caught.value) == (
        f"id {number} is outside the vocabulary, whose ids are 0 to 15; use the vocabulary that the ids were made with"
    )


def test_settings_name_the_switches_and_accents_follow_case() -> None:
    vocabulary = Vocabulary(ELEVEN)
    assert Tokenizer(vocabulary, lowercase=False).settings() == {
        "lowercase": False,
        "strip_accents": False,
        "split_cjk": True,
    }
    assert Tokenizer(vocabulary, strip_accents=False, split_cjk=False).settings() == {
        "lowercase": True,
        "strip_accents": False,
        "split_cjk": False,
    }


def test_it_can_be_sent_to_workers_without_its_cache() -> None:
    tokenizer = Tokenizer(Vocabulary(ELEVEN), lowercase=False, strip_accents=True, split_cjk=False)
    before = pickle.dumps(tokenizer)
    tokenizer.ids("wanted running")
    assert pickle.dumps(tokenizer) == before
    copy = pickle.loads(before)
    assert copy.settings() == tokenizer.settings()
    assert copy.ids("wanted running") == tokenizer.ids("wanted running")
