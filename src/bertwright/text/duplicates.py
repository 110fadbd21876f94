"""Documents that a corpus holds twice, exactly or nearly.

Nearly alike are two documents that share four fifths of their runs of five tokens (Jaccard index), estimated by MinHash
signatures (Broder 1997; the library rensa computes them). Candidates are documents that agree in one band of the
signature; those are compared in full, one byte of each slot being kept for that.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from bertwright.errors import SettingsError

Dedupe = Literal["none", "exact", "near"]

ALIKE = 0.8
RUN = 5
SLOTS = 128
# 16 bands of 8 slots find 95 of 100 pairs with an index of 0.8, and all but 1 in 10,000 of 0.9.
_BANDS = 16
_SEED = 42
# Entries of a band that stay in a dict before they are merged into its sorted arrays, which take a tenth of the room.
_RECENT = 1 << 16


def text_digest(paragraphs: Sequence[str]) -> int:
    """64 bits that name a document's text."""
    return int.from_bytes(hashlib.blake2b("\n".join(paragraphs).encode(), digest_size=8).digest(), "little")


def signatures(tokens: NDArray[np.unsignedinteger], offsets: NDArray[np.int64]) -> NDArray[np.uint32]:
    """MinHash signatures of documents, (documents, SLOTS).

    tokens: ids of all documents; offsets: (documents + 1,) where each begins. Raises SettingsError without rensa.
    """
    try:
        import rensa  # noqa: PLC0415  # an extra
    except ImportError:
        raise SettingsError("`--dedupe near` needs rensa", cure="pip install 'bertwright[near]'") from None
    lengths = np.diff(offsets)
    # Between documents stands what fills up a run, so that none goes over the end of its document; a document that is
    # shorter than a run is one run.
    shift = (RUN - 1) * np.arange(len(lengths))
    padded = np.zeros(len(tokens) + (RUN - 1) * len(lengths), dtype=np.uint64)
    padded[np.arange(len(tokens)) + np.repeat(shift, lengths)] = tokens.astype(np.uint64) + np.uint64(1)
    mixed = padded * np.uint64(0x9E3779B97F4A7C15)
    runs = mixed.copy()
    for step in range(1, RUN):
        runs[:-step] = (runs[:-step] ^ (runs[:-step] >> np.uint64(29))) * np.uint64(0xBF58476D1CE4E5B9) + mixed[step:]
    kept = np.maximum(lengths - (RUN - 1), np.minimum(lengths, 1))
    rows = np.concatenate([[0], np.cumsum(kept)])
    inside = np.arange(rows[-1]) + np.repeat(offsets[:-1] + shift - rows[:-1], kept)
    matrix = rensa.RMinHash.digest_matrix_from_flat_token_hashes(runs[inside], rows.astype(np.uint64), SLOTS, _SEED)
    return np.array(matrix.to_rows(), dtype=np.uint32).reshape(len(kept), SLOTS)


class NearDuplicates:
    """The documents seen so far, by their signatures; some 350 bytes each."""

    def __init__(self) -> None:
        self._bytes = np.empty((1024, SLOTS), dtype=np.uint8)
        self._count = 0
        self._bands = [_Band() for _ in range(_BANDS)]

    def alike(self, signature: NDArray[np.uint32]) -> bool:
        """Whether a document like this one was seen; if not, this one is from now on. signature: (SLOTS,)."""
        return self.earlier(signature) is not None

    def earlier(self, signature: NDArray[np.uint32]) -> int | None:
        """The number of a document like this one, counted from 0 over those kept; None where this is the next one."""
        keys = [_key(band) for band in signature.reshape(_BANDS, -1)]
        small = signature.astype(np.uint8)
        candidates = {owner for key, band in zip(keys, self._bands, strict=True) for owner in band.owners(key)}
        for owner in sorted(candidates):
            agreeing = float((self._bytes[owner] == small).mean())
            # Of slots that differ, 1 in 256 agrees in its last byte.
            if (agreeing - 1 / 256) / (1 - 1 / 256) >= ALIKE:
                return owner
        if self._count == len(self._bytes):
            self._bytes = np.concatenate([self._bytes, np.empty_like(self._bytes)])
        self._bytes[self._count] = small
        for key, band in zip(keys, self._bands, strict=True):
            band.add(key, self._count)
        self._count += 1
        return None


def _key(band: NDArray[np.uint32]) -> int:
    return int.from_bytes(hashlib.blake2b(band.tobytes(), digest_size=8).digest(), "little")


class _Band:
    """From a band's value to the documents that have it: two sorted arrays, and a dict of what came lately."""

    def __init__(self) -> None:
        self._keys = np.empty(0, dtype=np.uint64)
        self._owners = np.empty(0, dtype=np.uint32)
        self._recent: dict[int, list[int]] = {}

    def owners(self, key: int) -> list[int]:
        found = list(self._recent.get(key, ()))
        if len(self._keys):
            first = int(np.searchsorted(self._keys, np.uint64(key)))
            while first < len(self._keys) and int(self._keys[first]) == key:
                found.append(int(self._owners[first]))
                first += 1
        return found

    def add(self, key: int, owner: int) -> None:
        self._recent.setdefault(key, []).append(owner)
        if len(self._recent) >= max(_RECENT, len(self._keys) // 4):
            keys = np.array([key for key, owners in self._recent.items() for _ in owners], dtype=np.uint64)
            owners = np.array([owner for owners in self._recent.values() for owner in owners], dtype=np.uint32)
            keys, owners = np.concatenate([self._keys, keys]), np.concatenate([self._owners, owners])
            order = np.argsort(keys, kind="stable")
            self._keys, self._owners, self._recent = keys[order], owners[order], {}
