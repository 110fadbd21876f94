"""Tokens that are looked for in a text before it is cut into words, as transformers' `add_tokens` makes them."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from typing import Any, NamedTuple

# Characters of a token: a pattern of tokens that begin alike is as deep as they are long.
LONGEST = 100


class Found(NamedTuple):
    """An added token in a text: text[start:end], and its id."""

    start: int
    end: int
    id: int


class AddedTokens:
    """Finds added tokens wherever they stand, within words too; of several that begin together the longest.

    Case is all that is passed over: an accent that the tokenizer strips makes another token here.
    """

    def __init__(self, tokens: Mapping[str, bool], ids: Mapping[str, int]) -> None:
        """tokens: each with whether it is found in any case."""
        exact = [token for token, any_case in tokens.items() if not any_case]
        others = [token.lower() for token, any_case in tokens.items() if any_case]
        self._ids = {token: ids[token] for token in exact}
        self._ids_by_lower = {token.lower(): ids[token] for token, any_case in tokens.items() if any_case}
        self._patterns = [
            re.compile(_trie(some), flags) for some, flags in ((exact, 0), (others, re.IGNORECASE)) if some
        ]

    def __bool__(self) -> bool:
        return bool(self._patterns)

    def find(self, text: str) -> Iterator[Found]:
        """Those of a text, from left to right; no two overlap."""
        ahead = [self._search(pattern, text, 0) for pattern in self._patterns]
        while found := [match for match in ahead if match]:
            first = min(found, key=lambda match: (match.start(), -match.end()))
            yield Found(first.start(), first.end(), self._id(first.group()))
            end = first.end()
            ahead = [
                match if match is None or match.start() >= end else self._search(pattern, text, end)
                for pattern, match in zip(self._patterns, ahead, strict=True)
            ]

    def _search(self, pattern: re.Pattern[str], text: str, at: int) -> re.Match[str] | None:
        while match := pattern.search(text, at):
            # To Python `ſ` is an `s` of another case; in lower case it is no `s`, and so it is none to others.
            if match.group() in self._ids or match.group().lower() in self._ids_by_lower:
                return match
            at = match.start() + 1
        return None

    def _id(self, found: str) -> int:
        number = self._ids.get(found)
        return self._ids_by_lower[found.lower()] if number is None else number


def _trie(tokens: Iterable[str]) -> str:
    """A pattern of the longest token that begins at a place; as quick with thousands of them as with one."""
    root: dict[str, Any] = {}
    for token in tokens:
        node = root
        for char in token:
            node = node.setdefault(char, {})
        node[""] = {}
    return _pattern(root)


def _pattern(node: dict[str, Any]) -> str:
    chain = ""
    # Where nothing branches there is no need to go deeper: a token may be longer than the stack is deep.
    while len(node) == 1 and "" not in node:
        ((char, node),) = node.items()
        chain += re.escape(char)
    rest = "|".join(re.escape(char) + _pattern(after) for char, after in node.items() if char)
    if not rest:
        return chain
    return f"{chain}(?:{rest})?" if "" in node else f"{chain}(?:{rest})"
