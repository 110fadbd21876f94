from __future__ import annotations

import pytest

from bertwright.randomness import Stream
from bertwright.text.places import Places
from bertwright.text.seen import SeenTexts


def test_the_first_place_is_told() -> None:
    seen = SeenTexts()
    assert [seen.earlier(digest, place) for place, digest in enumerate([7, 8, 7, 7, 9])] == [None, None, 0, 0, None]
    assert seen.complete
    assert seen.repeated_share() == 2 / 5


def test_beyond_the_memory_the_share_is_estimated() -> None:
    digests = [Stream(0, "digests").integer(number) << 1 for number in range(20_000)]
    # Every text twice but each tenth, which comes four times: of 44,000 documents 24,000 were there before.
    texts = digests + digests + digests[::10] * 2
    seen = SeenTexts(most=2000)
    for place, digest in enumerate(texts):
        seen.earlier(digest, place)
    assert not seen.complete
    assert seen.repeated_share() == pytest.approx(24 / 44, abs=0.01)


def test_places_come_back() -> None:
    places = Places()
    told = ["a.txt:1", "a.txt:17", "s3://bucket/b.jsonl:5", "c.parquet:row 3", "a:b.txt:2", "standard input:9"]
    numbers = [places.number(where) for where in told]
    assert [places.tell(number) for number in numbers] == told
    assert max(numbers) < 1 << 63
