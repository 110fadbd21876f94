"""Do documents that stand one after the other belong together? By the rare words that they share.

Sentences of one text share names and terms with the sentence before more often than with one far away; sentences out
of a list do not. That needs no language's grammar, and is how a text is known whose every sentence was made a document.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

# A word in more documents tells nothing of what a document is about: in a hundredth of them, or, where they are few, in
# ten, but not in more than a twentieth, or in four.
_RARE_SHARE, _RARE_COUNT = 0.01, 10
_RARE_SHARE_OF_FEW, _RARE_COUNT_OF_FEW = 0.05, 4


def shared_words(
    tokens: NDArray[np.integer], offsets: NDArray[np.int64]
) -> tuple[NDArray[np.bool_], NDArray[np.bool_]]:
    """Whether each document shares a rare word with the next one, and with one half of all documents away.

    tokens: ids of all documents; offsets: (documents + 1,) where each begins. Returns two arrays (documents,).
    """
    count = len(offsets) - 1
    document = np.repeat(np.arange(count), np.diff(offsets))
    pairs = np.unique(np.stack([tokens.astype(np.int64), document]), axis=1)
    _, place, documents_of = np.unique(pairs[0], return_inverse=True, return_counts=True)
    few = max(_RARE_COUNT_OF_FEW, min(_RARE_COUNT, _RARE_SHARE_OF_FEW * count))
    rare = documents_of <= max(few, _RARE_SHARE * count)
    keep = rare[place]
    keys = place[keep] * count + pairs[1][keep]
    documents = pairs[1][keep]
    found = []
    for distance in (1, max(1, count // 2)):
        other = (documents + distance) % count
        meets = np.isin(keys - documents + other, keys)
        shares = np.zeros(count, dtype=bool)
        shares[documents[meets]] = True
        found.append(shares)
    return found[0], found[1]
