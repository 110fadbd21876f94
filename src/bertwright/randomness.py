"""Counter-based random numbers: every draw is a function of its key and its counter, and nothing keeps a state.

Philox4x32-10 of Salmon et al., "Parallel random numbers: as easy as 1, 2, 3" (SC 2011), vectorised over counters. A
stream is keyed by (seed, purpose, numbers...); a draw is addressed by (index, lane). That is what makes an example the
same whichever worker, rank or restart asks for it (law 1).
"""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import ArrayLike, NDArray

_MULTIPLIERS = (np.uint64(0xD2511F53), np.uint64(0xCD9E8D57))
_WEYL = (0x9E3779B9, 0xBB67AE85)
_ROUNDS = 10
_LOW = np.uint64(0xFFFFFFFF)
_SHIFT = np.uint64(32)


def philox4x32(counter: NDArray[np.uint64], key: tuple[int, int]) -> NDArray[np.uint64]:
    """Ten rounds of Philox.

    `counter` is (..., 4) with 32-bit values held in uint64; returns the same shape, 32 random bits in each.
    """
    c0, c1, c2, c3 = (counter[..., i] for i in range(4))
    k0, k1 = key
    for _ in range(_ROUNDS):
        product0 = c0 * _MULTIPLIERS[0]
        product1 = c2 * _MULTIPLIERS[1]
        c0, c1, c2, c3 = (
            (product1 >> _SHIFT) ^ c1 ^ np.uint64(k0),
            product1 & _LOW,
            (product0 >> _SHIFT) ^ c3 ^ np.uint64(k1),
            product0 & _LOW,
        )
        k0, k1 = (k0 + _WEYL[0]) & 0xFFFFFFFF, (k1 + _WEYL[1]) & 0xFFFFFFFF
    return np.stack([c0, c1, c2, c3], axis=-1)


class Stream:
    """Random numbers for one purpose, addressed by `index` (64 bits) and `lane` (64 bits)."""

    def __init__(self, seed: int, purpose: str, *numbers: int) -> None:
        # A hash and not the bare numbers: neighbouring seeds, epochs and shards must have unrelated keys.
        text = "/".join([str(seed), purpose, *map(str, numbers)])
        digest = hashlib.blake2b(text.encode(), digest_size=8).digest()
        self._key = (int.from_bytes(digest[:4], "little"), int.from_bytes(digest[4:], "little"))

    def words(self, index: ArrayLike, lane: ArrayLike = 0) -> NDArray[np.uint64]:
        """Four 32-bit random words for each (index, lane), broadcast: shape (*broadcast, 4), held in uint64."""
        indices, lanes = np.broadcast_arrays(np.asarray(index, dtype=np.uint64), np.asarray(lane, dtype=np.uint64))
        counter = np.stack([indices & _LOW, indices >> _SHIFT, lanes & _LOW, lanes >> _SHIFT], axis=-1)
        return philox4x32(counter, self._key)

    def below(self, bound: ArrayLike, index: ArrayLike, lane: ArrayLike = 0) -> NDArray[np.int64]:
        """Uniform integers in [0, bound), one for each (index, lane); `bound` is below 2**31.

        Multiply and shift: off from uniform by at most bound / 2**62, which no sample of ours could show.
        """
        return scale(self._wide(index, lane), bound)

    def uniform(self, index: ArrayLike, lane: ArrayLike = 0) -> NDArray[np.float64]:
        """Uniform floats in [0, 1) with 53 random bits, one for each (index, lane)."""
        return (self._wide(index, lane) >> np.uint64(11)).astype(np.float64) * 2.0**-53

    def permutation(self, size: int, lane: int = 0) -> NDArray[np.int64]:
        """A uniform permutation of range(size), by sorting random 64-bit keys (ties, if any, by position)."""
        keys = self._wide(np.arange(size, dtype=np.uint64), lane)
        return np.argsort(keys, kind="stable")

    def integer(self, index: int = 0) -> int:
        """One 63-bit integer, for seeding generators of other libraries."""
        return int(self._wide(index, 0)) >> 1

    def _wide(self, index: ArrayLike, lane: ArrayLike) -> NDArray[np.uint64]:
        words = self.words(index, lane)
        wide: NDArray[np.uint64] = (words[..., 0] << _SHIFT) | words[..., 1]
        return wide


def scale(wide: NDArray[np.uint64], bound: ArrayLike) -> NDArray[np.int64]:
    """Map 64 random bits to [0, bound), bound below 2**31, without a division."""
    bounds = np.asarray(bound, dtype=np.uint64)
    high, low = wide >> _SHIFT, wide & _LOW
    return ((high * bounds + ((low * bounds) >> _SHIFT)) >> _SHIFT).astype(np.int64)
