from __future__ import annotations

import sys

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bertwright.errors import SettingsError, VocabularyError
from bertwright.text.chinese import words_and_rest
from bertwright.tokens.segmented import check_segmenter, segmented_pieces
from bertwright.tokens.tokenizer import Tokenizer
from bertwright.tokens.vocabulary import SPECIALS, Vocabulary

TOKENIZER = Tokenizer(Vocabulary([*SPECIALS, *"北京大学的研究生喜欢读书abc1,-", "##a", "##b", "##1"]))


def true_words(text: str, segmenter: str) -> list[str]:
    """The pieces of a text, put together where a true word goes on."""
    found = segmented_pieces(TOKENIZER, [text], segmenter)  # type: ignore[arg-type]  # one of its names
    words: list[str] = []
    for piece, begins in zip(TOKENIZER.pieces(found.ids.tolist()), found.word_starts.tolist(), strict=True):
        if begins:
            words.append(piece)
        else:
            words[-1] += piece.removeprefix("##")
    return words


def test_chinese_words() -> None:
    text = "北京大学的研究生喜欢读书,ab-1"
    assert true_words(text, "none") == [*"北京大学的研究生喜欢读书", ",", "ab-1"]
    assert true_words(text, "jieba") == ["北京大学", "的", "研究生", "喜欢", "读书", ",", "ab-1"]


def test_an_added_token_that_would_be_cut_is_refused() -> None:
    vocabulary = Vocabulary([*SPECIALS, *"深度学习", "深度学习", "drug"])
    for token, refused in (("drug", False), ("深度学习", True)):
        tokenizer = Tokenizer(vocabulary, added={token: False})
        check_segmenter("none", tokenizer)
        if not refused:
            check_segmenter("jieba", tokenizer)
            continue
        with pytest.raises(VocabularyError, match="`--segmenter jieba` would cut the added token `深度学习`, which is"):
            check_segmenter("jieba", tokenizer)


def test_unknown_characters_belong_to_words_too() -> None:
    assert true_words("北京图书馆", "jieba") == ["北京", "[UNK]书[UNK]"]


@given(st.lists(st.text(st.sampled_from("北京大学研究图书馆ab, -.\u3000Σ"), max_size=12), max_size=4))
def test_a_segmenter_changes_no_id(texts: list[str]) -> None:
    plain, segmented = (segmented_pieces(TOKENIZER, texts, name) for name in ("none", "jieba"))
    assert plain.ids.tolist() == segmented.ids.tolist()
    assert plain.offsets.tolist() == segmented.offsets.tolist()
    assert all("".join(part for part, _ in words_and_rest(text)) == text for text in texts)


def test_what_a_segmenter_needs(monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(VocabularyError, match="this vocabulary does not part them; leave it away"):
        check_segmenter("jieba", Tokenizer(TOKENIZER.vocabulary, split_cjk=False))
    monkeypatch.setitem(sys.modules, "rjieba", None)
    with pytest.raises(SettingsError, match=r"`--segmenter jieba` needs rjieba; pip install 'bertwright\[zh\]'"):
        check_segmenter("jieba", TOKENIZER)
