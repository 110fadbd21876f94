"""Files that a reader of the book has: a folder of text, rows with few labels, questions, names, and Chinese."""

from __future__ import annotations

import json
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import numpy as np

from tests.made_text import ANIMALS, TIMES, VERBS, documents, sentence

_GOOD = ["房间很干净", "早餐很好吃", "服务很热情", "位置很方便", "价格很合理"]
_BAD = ["房间很小", "早餐不好吃", "服务很冷淡", "位置很偏僻", "价格太贵"]
_PLACES = ["这家酒店", "北京的宾馆", "图书馆旁边的旅馆", "大学附近的饭店"]


def write_folder(folder: Path, count: int) -> Path:
    """Documents as prose in a few .txt files, a blank line between them; a document has one paragraph."""
    folder.mkdir(parents=True)
    texts = [text.replace("\n\n", " ") for _, text in documents(count)]
    for number in range(4):
        (folder / f"{number}.txt").write_text("\n\n".join(texts[number::4]) + "\n", encoding="utf-8")
    return folder


def write_texts(path: Path, count: int, seed: int, sentences: int = 1) -> Path:
    """Rows with a text and no label."""
    random = np.random.default_rng(seed)
    places = list(ANIMALS)
    return _jsonl(
        path,
        (
            {"text": " ".join(sentence(str(random.choice(places)), random) for _ in range(sentences))}
            for _ in range(count)
        ),
    )


def write_questions(path: Path, count: int, seed: int) -> Path:
    """Who waits in winter? A third of the contexts do not tell."""
    random = np.random.default_rng(seed)
    animals = [animal for some in ANIMALS.values() for animal in some]

    def rows() -> Iterable[dict[str, Any]]:
        for number in range(count):
            verb, other = (str(word) for word in random.choice(VERBS, 2, replace=False))
            time, animal = str(random.choice(TIMES)), str(random.choice(animals))
            told = bool(random.random() < 2 / 3)
            before = f"The {random.choice(animals)} {other} {time}. "
            context = f"{before}The {animal} {verb if told else other} {time}."
            answers = (
                {"text": [animal], "answer_start": [len(before) + 4]} if told else {"text": [], "answer_start": []}
            )
            yield {"id": str(number), "question": f"Who {verb} {time}?", "context": context, "answers": answers}

    return _jsonl(path, rows())


def write_names(path: Path, count: int, seed: int) -> Path:
    """Columns of words and tags: an animal and its place are named in each sentence."""
    random = np.random.default_rng(seed)
    blocks = []
    for _ in range(count):
        words = [*sentence(str(random.choice(list(ANIMALS))), random).removesuffix(".").split(), "."]
        tags = ["O", "B-animal", "O", "B-place", "I-place", *["O"] * (len(words) - 5)]
        blocks.append("".join(f"{word}\t{tag}\n" for word, tag in zip(words, tags, strict=True)))
    path.write_text("\n".join(blocks), encoding="utf-8")
    return path


def write_chinese(folder: Path, count: int) -> Path:
    """Reviews of hotels, a paragraph a document."""
    random = np.random.default_rng(0)
    folder.mkdir(parents=True)
    texts = ["".join(_review(random, str(random.choice(["好", "差"]))) for _ in range(6)) for _ in range(count)]
    (folder / "reviews.txt").write_text("\n\n".join(texts) + "\n", encoding="utf-8")
    return folder


def write_chinese_rows(path: Path, count: int, seed: int) -> Path:
    """Reviews and whether they are good."""
    random = np.random.default_rng(seed)
    labels = [str(label) for label in random.choice(["好", "差"], count)]
    return _jsonl(path, ({"text": _review(random, label), "label": label} for label in labels))


def _review(random: np.random.Generator, label: str) -> str:
    said = _GOOD if label == "好" else _BAD
    first, second = (str(part) for part in random.choice(said, 2, replace=False))
    return f"{random.choice(_PLACES)}的{first}，{second}。"


def _jsonl(path: Path, rows: Iterable[dict[str, Any]]) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows), encoding="utf-8")
    return path
