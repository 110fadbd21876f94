"""One word to pieces: greedy longest-match-first (the WordpieceTokenizer of the original code)."""

from __future__ import annotations

from collections.abc import Mapping

CONTINUATION = "##"
LONGEST_WORD = 200  # characters; the original gives up on longer words and says [UNK]

# id, first character, one past the last character
Piece = tuple[int, int, int]


class WordPiece:
    """Spells words with the pieces of a vocabulary.

    `ids` maps each piece to its id; a piece that continues a word starts with "##".
    """

    def __init__(self, ids: Mapping[str, int]) -> None:
        self._heads = dict(ids)
        # Without their "##", so that no string is put together for every candidate of every word.
        self._tails = {piece[2:]: number for piece, number in ids.items() if piece.startswith(CONTINUATION)}
        # At least one character is tried, also of a vocabulary without any piece that goes on with a word.
        self._longest_head = max([1, *map(len, self._heads)])
        self._longest_tail = max([1, *map(len, self._tails)])

    def split(self, word: str) -> list[Piece]:
        """Spell `word` from left to right, always with the longest piece that fits.

        Returns (id, start, end) for each piece, in characters of `word`; nothing at all when the word cannot be spelled
        or is longer than 200 characters: it is then one [UNK] as a whole.
        """
        length = len(word)
        if length > LONGEST_WORD:
            return []
        if (whole := self._heads.get(word)) is not None:
            return [(whole, 0, length)]
        found: list[Piece] = []
        pieces, longest = self._heads, self._longest_head
        start = 0
        while start < length:
            end = min(length, start + longest)
            while (piece := pieces.get(word[start:end])) is None:
                end -= 1
                if end <= start:
                    return []
            found.append((piece, start, end))
            pieces, longest = self._tails, self._longest_tail
            start = end
        return found

    def ids(self, word: str) -> tuple[int, ...]:
        """The ids of `split` alone, faster; nothing at all for [UNK]."""
        length = len(word)
        if length > LONGEST_WORD:
            return ()
        if (whole := self._heads.get(word)) is not None:
            return (whole,)
        found = []
        pieces, longest = self._heads, self._longest_head
        while word:
            end = longest if longest < length else length  # noqa: FURB136  # min() would be a call
            while (piece := pieces.get(word[:end])) is None:
                end -= 1
                if not end:
                    return ()
            found.append(piece)
            pieces, longest = self._tails, self._longest_tail
            word = word[end:]
            length -= end
        return tuple(found)
