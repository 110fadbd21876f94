"""Tokens that are looked for in a text before it is cut into words, as transformers' `add_tokens` makes them."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import NamedTuple


class Found(NamedTuple):
    """An added token in a text: text[start:end], and its id."""

    start: int
    end: int
    id: int


class AddedTokens:
    """Finds added tokens wherever they stand, within words too; of several that begin together the longest."""

    def __init__(self, tokens: Mapping[str, bool], ids: Mapping[str, int]) -> None:
        """tokens: each with whether it is found in any case."""
        longest_first = sorted(tokens, key=len, reverse=True)
        self._ids = [ids[token] for token in longest_first]
        parts = [f"((?i:{re.escape(token)}))" if tokens[token] else f"({re.escape(token)})" for token in longest_first]
        self._pattern = re.compile("|".join(parts)) if parts else None

    def __bool__(self) -> bool:
        return self._pattern is not None

    def find(self, text: str) -> Iterator[Found]:
        """Those of a text, from left to right; no two overlap."""
        for match in self._pattern.finditer(text) if self._pattern else ():
            assert match.lastindex is not None
            yield Found(match.start(), match.end(), self._ids[match.lastindex - 1])
