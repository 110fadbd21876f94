"""A made-up language about animals and places: small, ours, and with something to learn in it."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np

ANIMALS = {
    "sea": ["whale", "shark", "seal", "crab"],
    "farm": ["horse", "goat", "sheep", "hen"],
    "forest": ["bear", "wolf", "owl", "deer"],
}
TOOLS = {"kitchen": ["spoon", "kettle", "skillet"], "garage": ["wrench", "hammer", "pliers"]}
VERBS = ["sleeps", "eats", "plays", "waits", "hides"]
TIMES = ["at night", "in winter", "every morning", "after the rain"]


def sentence(place: str, random: np.random.Generator) -> str:
    """One sentence about a place: its animals are only ever seen there."""
    animal, verb, time = (str(random.choice(words)) for words in (ANIMALS[place], VERBS, TIMES))
    return f"The {animal} of the {place} {verb} {time}."


def documents(count: int, seed: int = 0) -> list[tuple[str, str]]:
    """(place, text) pairs; a document stays at its place."""
    random = np.random.default_rng(seed)
    found = []
    for _ in range(count):
        place = str(random.choice(list(ANIMALS)))
        paragraphs = [" ".join(sentence(place, random) for _ in range(4)) for _ in range(3)]
        found.append((place, "\n\n".join(paragraphs)))
    return found


def write_corpus(path: Path, count: int = 120) -> Path:
    """The documents as .jsonl."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("".join(json.dumps({"text": text}) + "\n" for _, text in documents(count)), encoding="utf-8")
    return path


def tools(count: int, seed: int, sentences: int = 8) -> list[str]:
    """Documents that each stay in one room, whose tools are only ever seen there."""
    random = np.random.default_rng(seed)
    found = []
    for _ in range(count):
        room = str(random.choice(list(TOOLS)))
        said = [
            f"The {random.choice(TOOLS[room])} of the {room} {random.choice(['lies', 'hangs', 'rusts'])} "
            f"{random.choice(['below the shelf', 'beside the sink', 'in a drawer'])}."
            for _ in range(sentences)
        ]
        found.append(" ".join(said))
    return found


def write_packages(root: Path, modules: int) -> None:
    """One package a place, of so many modules, whose functions are documented by passages about that place."""
    random = np.random.default_rng(0)
    for place in ANIMALS:
        (root / place).mkdir(parents=True)
        for module in range(modules):
            functions = []
            for number in range(3):
                passage = " ".join(sentence(place, random).replace(f" of the {place}", "") for _ in range(6))
                functions.append(f'def f{number}():\n    """{passage}"""\n')
            (root / place / f"m{module}.py").write_text("\n".join(functions))


def write_rows(path: Path, count: int, seed: int, *, pair: bool = False) -> Path:
    """Sentences without the place's name and the place as label, or pairs and whether they share it."""
    random = np.random.default_rng(seed)
    path.parent.mkdir(parents=True, exist_ok=True)
    places = list(ANIMALS)
    rows: list[dict[str, str]] = []
    for _ in range(count):
        place = str(random.choice(places))
        text = sentence(place, random).replace(f" of the {place}", "")
        if not pair:
            rows.append({"text": text, "label": place})
            continue
        other = place if random.random() < 0.5 else str(random.choice(places))
        second = sentence(other, random).replace(f" of the {other}", "")
        rows.append({"text_a": text, "text_b": second, "label": "same" if other == place else "other"})
    if path.suffix == ".jsonl":
        lines = [json.dumps(row) for row in rows]
    else:
        lines = ["\t".join(rows[0]), *("\t".join(row.values()) for row in rows)]
    path.write_text("\n".join(lines) + "\n", encoding="utf-8")
    return path


def prose(count: int, seed: int = 0, *, sentences: int = 12, vocabulary: int = 5000) -> list[list[str]]:
    """Documents as lists of sentences out of invented words; a document has terms of its own.

    Nothing in it stands twice but by design, so that a doctor finds nothing wrong.
    """
    random = np.random.default_rng(seed)
    syllables = [first + second for first in "bdfgklmnprstvz" for second in "aeiou"]
    words = ["".join(random.choice(syllables, random.integers(2, 5))) for _ in range(vocabulary)]
    found = []
    for _ in range(count):
        terms = random.integers(len(words), size=3)
        document = []
        for length in random.integers(6, 20, sentences).tolist():
            chosen = random.integers(len(words), size=length)
            chosen[random.integers(length)] = terms[random.integers(3)]
            document.append(" ".join(words[number] for number in chosen.tolist()).capitalize() + ".")
        found.append(document)
    return found


def write_prose(path: Path, documents: list[list[str]]) -> Path:
    """Such documents as .jsonl, a paragraph each, or as .txt in the layout of the original code."""
    if path.suffix == ".jsonl":
        text = "".join(json.dumps({"text": " ".join(document)}) + "\n" for document in documents)
    else:
        text = "\n".join("\n".join(document) + "\n" for document in documents)
    path.write_text(text, encoding="utf-8")
    return path
