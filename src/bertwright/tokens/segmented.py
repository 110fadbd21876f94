"""Pieces of texts in which a segmenter tells the Chinese words."""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np

from bertwright.errors import VocabularyError
from bertwright.text.chinese import Segmenter, refuse_without, words_and_rest
from bertwright.text.ideographs import IDEOGRAPH
from bertwright.tokens.bulk import Pieces
from bertwright.tokens.tokenizer import Tokenizer


def check_segmenter(segmenter: Segmenter, tokenizer: Tokenizer) -> None:
    """Raise SettingsError or VocabularyError where a segmenter cannot be used."""
    refuse_without(segmenter)
    if segmenter != "none" and not tokenizer.split_cjk:
        what = f"`--segmenter {segmenter}` puts characters together, and this vocabulary does not part them"
        raise VocabularyError(what, cure="leave it away")
    if segmenter != "none" and (joined := [token for token in tokenizer.added if IDEOGRAPH.search(token)]):
        what = f"`--segmenter {segmenter}` would cut the added token `{joined[0]}`, which is found in texts as a whole"
        raise VocabularyError(what, cure="leave it away, or take the vocabulary without that token")


def segmented_pieces(tokenizer: Tokenizer, texts: Iterable[str], segmenter: Segmenter) -> Pieces:
    """The pieces of texts; where true words begin is what the segmenter says of ideographs."""
    if segmenter == "none":
        return tokenizer.arrays(texts)
    # An ideograph is a token whatever stands beside it, for no added token holds one: words and what is between them
    # may go one by one.
    cut = [words_and_rest(text) for text in texts]
    found = tokenizer.arrays(part for parts in cut for part, _ in parts)
    chinese = np.array([is_word for parts in cut for _, is_word in parts], dtype=np.bool_)
    found.word_starts[np.repeat(chinese, np.diff(found.offsets))] = False
    found.word_starts[found.offsets[:-1][chinese]] = True
    ends = np.cumsum([0, *map(len, cut)])
    return Pieces(found.ids, found.word_starts, found.offsets[ends])
