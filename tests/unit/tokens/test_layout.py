from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from bertwright.errors import VocabularyError
from bertwright.tokens.layout import read_tokenizer, tokenizer_files
from bertwright.tokens.tokenizer import Tokenizer
from bertwright.tokens.vocabulary import Vocabulary

CHARACTERS = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZéÉüÜ.,!?'-[]中文0123456789"
SPECIALS = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"]
VOCABULARY = Vocabulary([*SPECIALS, *CHARACTERS, *(f"##{char}" for char in CHARACTERS), "the", "##ing", "Run", "run"])

TEXTS = [
    "The quick, brown Fox isn't running!",
    "Élan vital über alles; ÜBER café cafe\u0301",
    "中文 and English中文mixed, 中",
    "a\u200bb\tc\nd\u3000e\xa0f",
    "",
    "0123 [x] - 'q'",
    "snowman ☃ is unknown",
]
SWITCHES = [
    {"lowercase": True, "strip_accents": True, "split_cjk": True},
    {"lowercase": False, "strip_accents": False, "split_cjk": True},
    {"lowercase": True, "strip_accents": False, "split_cjk": True},
    {"lowercase": False, "strip_accents": True, "split_cjk": False},
    {"lowercase": True, "strip_accents": True, "split_cjk": False},
]


def lay_out(directory: Path, tokenizer: Tokenizer, *, without: tuple[str, ...] = ()) -> Path:
    for name, content in tokenizer_files(tokenizer, max_length=128).items():
        if name not in without:
            (directory / name).write_bytes(content)
    (directory / "config.json").write_text('{"model_type": "bert"}', encoding="utf-8")
    return directory


@pytest.mark.parametrize("switches", SWITCHES)
def test_transformers_reads_what_is_written(tmp_path: Path, switches: dict[str, Any]) -> None:
    transformers = pytest.importorskip("transformers")
    tokenizer = Tokenizer(VOCABULARY, **switches)
    theirs = transformers.AutoTokenizer.from_pretrained(lay_out(tmp_path, tokenizer))
    assert theirs.model_max_length == 128
    assert len(theirs) == len(VOCABULARY)
    assert theirs.all_special_tokens == ["[UNK]", "[SEP]", "[PAD]", "[CLS]", "[MASK]"]
    for text in TEXTS:
        ids = tokenizer.ids(text)
        cls, sep = VOCABULARY.cls_id, VOCABULARY.sep_id
        assert theirs(text)["input_ids"] == [cls, *ids, sep]
        pair = theirs(text, "the end")
        other = tokenizer.ids("the end")
        assert pair["input_ids"] == [cls, *ids, sep, *other, sep]
        assert pair["token_type_ids"] == [0] * (len(ids) + 2) + [1] * (len(other) + 1)


@pytest.mark.parametrize("switches", SWITCHES)
def test_the_tokenizers_library_reads_what_is_written(tmp_path: Path, switches: dict[str, Any]) -> None:
    tokenizers = pytest.importorskip("tokenizers")
    tokenizer = Tokenizer(VOCABULARY, **switches)
    theirs = tokenizers.Tokenizer.from_file(str(lay_out(tmp_path, tokenizer) / "tokenizer.json"))
    for text in [*TEXTS, "a" * 150, "a" * 201]:
        encoded = theirs.encode(text, add_special_tokens=False)
        assert encoded.ids == tokenizer.ids(text)
    assert theirs.decode(tokenizer.ids("run running")) == "run running"


@pytest.mark.parametrize("switches", SWITCHES)
@pytest.mark.parametrize(
    "without",
    [(), ("vocab.txt",), ("tokenizer.json",), ("tokenizer_config.json",), ("vocab.txt", "tokenizer_config.json")],
)
def test_it_comes_back_as_it_was(tmp_path: Path, switches: dict[str, Any], without: tuple[str, ...]) -> None:
    found = read_tokenizer(lay_out(tmp_path, Tokenizer(VOCABULARY, **switches), without=without))
    assert found.vocabulary == VOCABULARY
    assert found.settings() == switches


def test_what_transformers_saves_is_read(tmp_path: Path) -> None:
    transformers = pytest.importorskip("transformers")
    tokenizer = Tokenizer(VOCABULARY, lowercase=True, strip_accents=False)
    saved = tmp_path / "saved"
    transformers.AutoTokenizer.from_pretrained(lay_out(tmp_path, tokenizer)).save_pretrained(saved)
    found = read_tokenizer(saved)
    assert found.vocabulary == VOCABULARY
    assert found.settings() == tokenizer.settings()


@pytest.mark.parametrize(
    ("config", "expected"),
    [
        (None, (True, True, True)),
        ({}, (True, True, True)),
        ({"do_lower_case": False}, (False, False, True)),
        ({"do_lower_case": True, "strip_accents": None}, (True, True, True)),
        ({"do_lower_case": False, "strip_accents": True, "tokenize_chinese_chars": False}, (False, True, False)),
        ({"tokenizer_class": "DistilBertTokenizerFast", "do_lower_case": None}, (True, True, True)),
    ],
)
def test_an_old_directory_may_hold_little(
    tmp_path: Path, config: dict[str, Any] | None, expected: tuple[bool, bool, bool]
) -> None:
    (tmp_path / "vocab.txt").write_bytes(VOCABULARY.to_bytes())
    if config is not None:
        (tmp_path / "tokenizer_config.json").write_text(json.dumps(config), encoding="utf-8")
    found = read_tokenizer(tmp_path)
    assert (found.lowercase, found.strip_accents, found.split_cjk) == expected


CURE = "; name a BERT model directory, with a vocab.txt or a WordPiece tokenizer.json"


@pytest.mark.parametrize(
    ("files", "message"),
    [
        ({}, f": has neither vocab.txt nor tokenizer.json{CURE}"),
        (
            {"tokenizer_config.json": '{"tokenizer_class": "RobertaTokenizer"}'},
            f"/tokenizer_config.json: `tokenizer_class` must be BertTokenizer, but is RobertaTokenizer{CURE}",
        ),
        (
            {"vocab.txt": "ok", "tokenizer_config.json": '{"do_lower_case":\n yes}'},
            "/tokenizer_config.json:2: this is no JSON: Expecting value",
        ),
        (
            {"vocab.txt": "ok", "tokenizer_config.json": "[]"},
            "/tokenizer_config.json: a JSON object was expected",
        ),
        (
            {"vocab.txt": "ok", "tokenizer_config.json": '{"do_lower_case": "no"}'},
            "/tokenizer_config.json: `do_lower_case` must be true or false, but is 'no'; correct it",
        ),
        (
            {"tokenizer.json": '{"model": {"type": "BPE", "vocab": {}}}'},
            f"/tokenizer.json: `type` must be WordPiece, but is BPE{CURE}",
        ),
        (
            {"tokenizer.json": '{"model": {"type": "WordPiece", "continuing_subword_prefix": "@@"}}'},
            f"/tokenizer.json: `continuing_subword_prefix` must be ##, but is @@{CURE}",
        ),
    ],
)
def test_a_foreign_or_damaged_directory_is_named(tmp_path: Path, files: dict[str, str], message: str) -> None:
    for name, content in files.items():
        (tmp_path / name).write_text(VOCABULARY.to_bytes().decode() if content == "ok" else content, encoding="utf-8")
    with pytest.raises(VocabularyError) as caught:
        read_tokenizer(tmp_path)
    assert str(caught.value) == f"{tmp_path}{message}"


@pytest.mark.parametrize(
    ("part", "change", "message"),
    [
        (None, {"normalizer": {"type": "NFKC"}}, f"`type` must be BertNormalizer, but is NFKC{CURE}"),
        (None, {"pre_tokenizer": None}, f"`type` must be BertPreTokenizer, but is None{CURE}"),
        ("model", {"vocab": {"[PAD]": 0, "a": 2}}, f"the ids of its pieces are not 0, 1, 2 and so on{CURE}"),
        ("model", {"vocab": {"[PAD]": 0, "a": "1"}}, f"the ids of its pieces are not 0, 1, 2 and so on{CURE}"),
        (
            "model",
            {"vocab": {"[PAD]": 0, "": 1}},
            "is blank; put a placeholder such as [unused1] there",
        ),
    ],
)
def test_a_tokenizer_json_must_be_that_of_bert(
    tmp_path: Path, part: str | None, change: dict[str, Any], message: str
) -> None:
    described = json.loads(tokenizer_files(Tokenizer(VOCABULARY))["tokenizer.json"])
    (described if part is None else described[part]).update(change)
    (tmp_path / "tokenizer.json").write_text(json.dumps(described), encoding="utf-8")
    with pytest.raises(VocabularyError) as caught:
        read_tokenizer(tmp_path)
    assert str(caught.value) == f"{tmp_path}/tokenizer.json: {message}"


def test_a_path_that_is_no_directory(tmp_path: Path) -> None:
    with pytest.raises(VocabularyError, match="is no directory"):
        read_tokenizer(tmp_path / "nowhere")
