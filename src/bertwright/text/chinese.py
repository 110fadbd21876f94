"""Chinese words: which ideographs belong together.

BERT cuts Chinese into single ideographs, and so do shards; only masking whole words wants to know more. The library
rjieba tells (jieba's dictionary and model, in Rust, some 10 MB/s); what it takes for a word is a convention of its own.
"""

from __future__ import annotations

import re
from types import ModuleType
from typing import Literal

from bertwright.errors import SettingsError
from bertwright.text.ideographs import IDEOGRAPH, IDEOGRAPHS

Segmenter = Literal["none", "jieba"]

_RUN = re.compile(f"[{IDEOGRAPHS}]+|[^{IDEOGRAPHS}]+")


def refuse_without(segmenter: Segmenter) -> None:
    """Raise SettingsError where the library of a segmenter is missing."""
    if segmenter == "jieba":
        _library()


def words_and_rest(text: str) -> list[tuple[str, bool]]:
    """Cut a text into Chinese words, told by true, and what stands between them; together they are the text."""
    if not IDEOGRAPH.search(text):
        return [(text, False)]
    jieba = _library()
    found: list[tuple[str, bool]] = []
    for run in _RUN.findall(text):
        if IDEOGRAPH.match(run):
            found += [(word, True) for word in jieba.cut(run)]
        else:
            found.append((run, False))
    return found


def _library() -> ModuleType:
    try:
        import rjieba  # noqa: PLC0415  # an extra
    except ImportError:
        raise SettingsError("`--segmenter jieba` needs rjieba", cure="pip install 'bertwright[zh]'") from None
    return rjieba
