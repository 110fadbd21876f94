"""1,800 hard texts for each official vocabulary, id for id what the original code gave."""

from __future__ import annotations

import gzip
import json
from pathlib import Path
from typing import Any

import pytest

from bertwright.tokens.tokenizer import Tokenizer
from bertwright.tokens.vocabulary import Vocabulary

pytestmark = pytest.mark.data

LOWERCASE = {
    "bert-base-uncased": True,
    "bert-base-chinese": True,
    "bert-base-cased": False,
    "bert-base-multilingual-cased": False,
}
SIZES = {
    "bert-base-uncased": 30522,
    "bert-base-chinese": 21128,
    "bert-base-cased": 28996,
    "bert-base-multilingual-cased": 119547,
}


def vocabulary(data_dir: Path, name: str) -> Vocabulary:
    return Vocabulary.read(data_dir / "vocab" / f"{name}-vocab.txt")


def rows(data_dir: Path, name: str) -> list[dict[str, Any]]:
    path = data_dir / "reference" / "tokenization" / f"{name}.jsonl.gz"
    with gzip.open(path, "rt", encoding="utf-8") as file:
        return [json.loads(line) for line in file]


@pytest.mark.parametrize("name", LOWERCASE)
def test_ids_and_pieces_are_those_of_the_original(name: str, data_dir: Path) -> None:
    tokenizer = Tokenizer(vocabulary(data_dir, name), lowercase=LOWERCASE[name])
    references = rows(data_dir, name)
    assert len(references) == 1800
    for row in references:
        text = row["text"]
        assert tokenizer.ids(text) == row["ids"], repr(text)
        encoding = tokenizer.encode(text)
        assert list(encoding.ids) == row["ids"], repr(text)
        assert list(encoding.pieces) == row["tokens"], repr(text)
        assert all(0 <= start < end <= len(text) for start, end in encoding.spans), repr(text)
    assert tokenizer.ids_many(row["text"] for row in references) == [row["ids"] for row in references]


@pytest.mark.parametrize("name", SIZES)
def test_an_official_vocabulary_is_read_line_by_line_and_written_byte_by_byte(name: str, data_dir: Path) -> None:
    found = vocabulary(data_dir, name)
    content = (data_dir / "vocab" / f"{name}-vocab.txt").read_bytes()
    assert len(found) == SIZES[name]
    assert found.to_bytes() == content
    for number, line in enumerate(content.removesuffix(b"\n").split(b"\n")):
        assert found.id(line.decode()) == number


@pytest.mark.parametrize("name", LOWERCASE)
def test_transformers_gives_the_same_ids_from_the_files_written(name: str, data_dir: Path, tmp_path: Path) -> None:
    transformers = pytest.importorskip("transformers")
    from bertwright.tokens.layout import read_tokenizer, tokenizer_files

    tokenizer = Tokenizer(vocabulary(data_dir, name), lowercase=LOWERCASE[name])
    for file, content in tokenizer_files(tokenizer).items():
        (tmp_path / file).write_bytes(content)
    (tmp_path / "config.json").write_text('{"model_type": "bert"}', encoding="utf-8")
    theirs = transformers.AutoTokenizer.from_pretrained(tmp_path)
    assert read_tokenizer(tmp_path).vocabulary == tokenizer.vocabulary

    # The texts on which the two are built to agree (bertwright.tokens.layout says where they are not).
    texts = [row["text"] for row in rows(data_dir, name) if all(map(_is_common, row["text"]))]
    texts = [text for text in texts if "[" not in text and max(map(len, text.split()), default=0) <= 100]
    assert len(texts) > 300
    for text in texts:
        assert theirs(text, add_special_tokens=False)["input_ids"] == tokenizer.ids(text), repr(text)


def _is_common(char: str) -> bool:
    return (
        char in "\t\n\r“”‘’–—…，。！？《》、：；（）"
        or " " <= char <= "~"
        or "À" <= char <= "ÿ"
        or "一" <= char <= "龥"
    )
