"""The pieces a model knows, and their ids: `vocab.txt`, one piece a line, the line number is the id."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Mapping, Sequence
from functools import cached_property
from pathlib import Path
from types import MappingProxyType
from typing import NamedTuple, Self

from bertwright.errors import VocabularyError

PAD, UNK, CLS, SEP, MASK = "[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"
SPECIALS = (PAD, UNK, CLS, SEP, MASK)

_UNWRITABLE = re.compile(r"\A\Z|\n|\r\Z|[\ud800-\udfff]")


class Vocabulary:
    """An immutable list of pieces; the id of a piece is its place in the list.

    Raises VocabularyError if a special piece is missing, a piece stands twice, or a piece cannot be a line of a file.
    """

    def __init__(self, pieces: Sequence[str]) -> None:
        self._pieces = tuple(pieces)
        fault = _first_fault(self._pieces)
        if fault is not None:
            where = None if fault.piece_id is None else f"piece {fault.piece_id}"
            raise VocabularyError(fault.what, where=where, cure=fault.cure)
        self._ids = {piece: number for number, piece in enumerate(self._pieces)}

    @classmethod
    def read(cls, path: Path) -> Self:
        r"""Read a `vocab.txt`.

        A line ends at "\n" (or "\r\n") and nowhere else: an official vocabulary has U+2028 as a piece. Blank lines
        at the end are left out. Raises VocabularyError, with the line, for what is no such file.
        """
        try:
            content = path.read_bytes()
        except OSError as error:
            raise VocabularyError(
                f"cannot be read ({error.strerror})", where=path, cure="name a vocab.txt, one piece a line"
            ) from None
        return cls.parse(content, path)

    @classmethod
    def parse(cls, content: bytes, path: object) -> Self:
        """The same of bytes that were read already; `path` is where they lay, for what is told."""
        try:
            text = content.decode("utf-8-sig")
        except UnicodeDecodeError as error:
            line = content.count(b"\n", 0, error.start) + 1
            raise VocabularyError("is not UTF-8", where=f"{path}:{line}", cure="save the file as UTF-8") from None
        lines = [line.removesuffix("\r") for line in text.split("\n")]
        while lines and not lines[-1]:
            lines.pop()
        fault = _first_fault(lines)
        if fault is not None:
            where = path if fault.piece_id is None else f"{path}:{fault.piece_id + 1}"
            raise VocabularyError(fault.what, where=where, cure=fault.cure)
        return cls(lines)

    @property
    def pieces(self) -> tuple[str, ...]:
        """All pieces in the order of their ids."""
        return self._pieces

    @cached_property
    def ids(self) -> Mapping[str, int]:
        """From piece to id, read-only."""
        return MappingProxyType(self._ids)

    def id(self, piece: str) -> int | None:
        """Return the id of `piece`, or None where there is no such piece."""
        return self._ids.get(piece)

    @property
    def pad_id(self) -> int:
        """The id of [PAD]."""
        return self._ids[PAD]

    @property
    def unk_id(self) -> int:
        """The id of [UNK]."""
        return self._ids[UNK]

    @property
    def cls_id(self) -> int:
        """The id of [CLS]."""
        return self._ids[CLS]

    @property
    def sep_id(self) -> int:
        """The id of [SEP]."""
        return self._ids[SEP]

    @property
    def mask_id(self) -> int:
        """The id of [MASK]."""
        return self._ids[MASK]

    @property
    def special_ids(self) -> tuple[int, ...]:
        """The ids of [PAD], [UNK], [CLS], [SEP], [MASK], in this order."""
        return tuple(self._ids[piece] for piece in SPECIALS)

    def to_bytes(self) -> bytes:
        """Return the content of a `vocab.txt`: `Vocabulary.read` of it is equal to this vocabulary."""
        return "".join(f"{piece}\n" for piece in self._pieces).encode()

    @cached_property
    def sha256(self) -> str:
        """The SHA-256 of `to_bytes()`, in hexadecimal: names this vocabulary in lineages and manifests."""
        return hashlib.sha256(self.to_bytes()).hexdigest()

    def __len__(self) -> int:
        return len(self._pieces)

    def __eq__(self, other: object) -> bool:
        return self._pieces == other._pieces if isinstance(other, Vocabulary) else NotImplemented

    def __hash__(self) -> int:
        return hash(self._pieces)

    def __reduce__(self) -> tuple[type[Vocabulary], tuple[tuple[str, ...]]]:
        return Vocabulary, (self._pieces,)

    def __repr__(self) -> str:
        return f"<Vocabulary of {len(self)} pieces, {self.sha256[:12]}>"


class _Fault(NamedTuple):
    piece_id: int | None
    what: str
    cure: str


def _first_fault(pieces: Sequence[str]) -> _Fault | None:
    # The cures keep every other line where it is: removing one would shift the ids that a model was trained with.
    first: dict[str, int] = {}
    for index, piece in enumerate(pieces):
        if _UNWRITABLE.search(piece) or (index == 0 and piece.startswith("\ufeff")):
            what = f"{piece!r} cannot be a piece" if piece else "is blank"
            return _Fault(index, what, f"put a placeholder such as [unused{index}] there")
        if piece in first:
            return _Fault(
                index,
                f"{piece!r} already has the id {first[piece]}",
                f"put a placeholder such as [unused{index}] there",
            )
        first[piece] = index
    missing = [piece for piece in SPECIALS if piece not in first]
    if missing:
        return _Fault(
            None,
            f"has no {', '.join(missing)}",
            "a BERT vocabulary holds [PAD], [UNK], [CLS], [SEP] and [MASK], one a line",
        )
    return None
