"""Tokens that are looked for in a text before it is cut into words, as transformers' `add_tokens` makes them."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from typing import Any, NamedTuple

from bertwright.tokens.normalize import aligned_fold, fold

# Characters of a token: a pattern of tokens that begin alike is as deep as they are long.
LONGEST = 100


class Found(NamedTuple):
    """An added token in a text: text[start:end], and its id."""

    start: int
    end: int
    id: int


class AddedTokens:
    """Finds added tokens wherever they stand, within words too; of several that begin together the longest.

    Those that are sought as they stand go before those that are sought in the text as the tokenizer folds it (lower
    case, no accents), whose ends must be ends of characters of the caller's own text.
    """

    def __init__(
        self, tokens: Mapping[str, bool], ids: Mapping[str, int], *, lowercase: bool = True, strip_accents: bool = True
    ) -> None:
        """tokens: each with whether it is sought in the folded text."""
        self._switches = {"lowercase": lowercase, "strip_accents": strip_accents}
        self._exact = {token: ids[token] for token, folded in tokens.items() if not folded}
        self._folded: dict[str, int] = {}
        for token, folded in tokens.items():
            # Of two that are folded alike the first is found, as in the library that such tokens come from.
            if folded and (sought := fold(token, **self._switches)):
                self._folded.setdefault(sought, ids[token])
        self._exact_pattern, self._folded_pattern = (
            re.compile(_trie(some)) if some else None for some in (self._exact, self._folded)
        )

    def __bool__(self) -> bool:
        return bool(self._exact or self._folded)

    def find(self, text: str) -> Iterator[Found]:
        """Those of a text, from left to right; no two overlap."""
        at = 0
        for match in self._exact_pattern.finditer(text) if self._exact_pattern else ():
            yield from self._find_folded(text[at : match.start()], at)
            yield Found(match.start(), match.end(), self._exact[match.group()])
            at = match.end()
        yield from self._find_folded(text[at:], at)

    def _find_folded(self, text: str, offset: int) -> Iterator[Found]:
        """Those of a part of a text that begins at `offset`."""
        # To fold in one go costs little; to know where each character came from costs much, and is seldom needed.
        if self._folded_pattern is None or not self._folded_pattern.search(fold(text, **self._switches)):
            return
        letters, spans = aligned_fold(text, **self._switches)
        at = 0
        while match := self._folded_pattern.search(letters, at):
            start, end = match.span()
            if _divides(spans, start) or _divides(spans, end):
                at = start + 1
                continue
            yield Found(offset + spans[start][0], offset + spans[end - 1][1], self._folded[match.group()])
            at = end


def _divides(spans: list[tuple[int, int]], place: int) -> bool:
    """Whether the letters before and after a place came from one character, as those of a Hangul syllable do."""
    return 0 < place < len(spans) and spans[place - 1][0] == spans[place][0]


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
