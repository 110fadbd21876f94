from __future__ import annotations

import numpy as np
import pytest
from numpy.typing import NDArray

from bertwright.text import duplicates
from bertwright.text.duplicates import RUN, SLOTS, NearDuplicates, signatures, text_digest


def signed(*documents: list[int]) -> NDArray[np.uint32]:
    tokens = np.array([token for document in documents for token in document], dtype=np.uint16)
    return signatures(tokens, np.cumsum([0, *map(len, documents)]))


def jaccard(one: list[int], two: list[int]) -> float:
    runs = [{tuple(document[at : at + RUN]) for at in range(len(document) - RUN + 1)} for document in (one, two)]
    return len(runs[0] & runs[1]) / len(runs[0] | runs[1])


def changed(document: list[int], every: int) -> list[int]:
    return [token + 30_000 if place % every == 0 else token for place, token in enumerate(document, start=1)]


def test_the_digest_is_that_of_the_text() -> None:
    assert text_digest(("a", "b")) == text_digest(("a\nb",)) != text_digest(("a", "c"))
    assert 0 <= text_digest(()) < 2**64


def test_signatures_estimate_how_much_two_documents_share() -> None:
    random = np.random.default_rng(0)
    document = random.integers(0, 20_000, 3000).tolist()
    for every in (20, 50, 200):
        other = changed(document, every)
        one, two = signed(document, other)
        share = jaccard(document, other)
        assert abs((one == two).mean() - share) < 4 * (share * (1 - share) / SLOTS) ** 0.5


def test_a_signature_is_its_documents_alone() -> None:
    documents = [[5, 6, 7, 8, 9, 10], [5], [], [6, 7], [5, 6, 7, 8, 9, 10]]
    together = signed(*documents)
    assert together.shape == (5, SLOTS)
    for row, document in enumerate(documents):
        np.testing.assert_array_equal(together[row], signed(document)[0])
    np.testing.assert_array_equal(together[0], together[4])


@pytest.mark.parametrize("recent", [1, 1 << 16])  # at 1 the sorted arrays are used from the second document on
def test_near_duplicates_are_found_and_others_are_not(monkeypatch: pytest.MonkeyPatch, recent: int) -> None:
    monkeypatch.setattr(duplicates, "_RECENT", recent)
    random = np.random.default_rng(1)
    seen = NearDuplicates()
    originals = [random.integers(0, 20_000, 800).tolist() for _ in range(60)]
    assert not any(seen.alike(signature) for signature in signed(*originals))
    assert all(seen.alike(signature) for signature in signed(*originals))
    nearly = [changed(document, 150) for document in originals]  # Jaccard index some 0.94
    assert sum(seen.alike(signature) for signature in signed(*nearly)) == 60
    far = [changed(document, 20) for document in originals]  # some 0.6
    assert sum(seen.alike(signature) for signature in signed(*far)) <= 1
