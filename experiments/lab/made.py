"""Made text for --quick: small, ours, and with something to learn in it. What comes of it means nothing."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np

from bertwright.files import write_atomic

PLACES = {
    "harbour": ["ferry", "trawler", "lighthouse", "dockyard"],
    "orchard": ["appletree", "beehive", "ladder", "scarecrow"],
    "library": ["bookshelf", "readingroom", "catalogue", "manuscript"],
}
WHENS = ["at dawn", "in autumn", "every evening", "after the storm"]


def made_sentence(place: str, random: np.random.Generator) -> str:
    """A sentence about a place, whose things are only ever seen there."""
    thing, when = str(random.choice(PLACES[place])), str(random.choice(WHENS))
    return f"The {thing} of the {place} was seen {when}."


def write_made_corpus(path: Path, documents: int, seed: int) -> None:
    """A .jsonl of documents that each stay at one place."""
    random = np.random.default_rng(seed)
    lines = []
    for _ in range(documents):
        place = str(random.choice(list(PLACES)))
        lines.append(json.dumps({"text": " ".join(made_sentence(place, random) for _ in range(10))}))
    write_atomic(path, ("\n".join(lines) + "\n").encode())


def made_rows(task: str, count: int, seed: int) -> list[dict[str, Any]]:
    """Rows of `classify`, `pair`, `regress` or `tag`: which place it is, or whether two are the same."""
    random = np.random.default_rng(seed)
    places = list(PLACES)
    rows: list[dict[str, Any]] = []
    for number in range(count):
        place, other = places[number % 3], str(random.choice(places))
        text, second = made_sentence(place, random), made_sentence(other, random)
        if task == "classify":
            rows.append({"text": text, "label": place})
        elif task == "pair":
            rows.append({"text_a": text, "text_b": second, "label": "same" if place == other else "other"})
        elif task == "regress":
            rows.append({"text_a": text, "text_b": second, "score": 5.0 if place == other else float(number % 2)})
        else:
            words = text[:-1].split()
            rows.append({"words": words, "tags": ["B-THING" if word in PLACES[place] else "O" for word in words]})
    return rows
