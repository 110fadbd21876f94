"""The tokenizer's part of a model directory: `vocab.txt`, `tokenizer.json`, `tokenizer_config.json`.

`AutoTokenizer.from_pretrained` reads them as they lie, and so does the `tokenizers` library. In the other direction any
BERT directory is read, old ones with nothing but a `vocab.txt` as well.

Some differences remain on the side of those libraries that no file can settle: docs/tokens.md lists them, with the
characters concerned.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from bertwright.errors import VocabularyError
from bertwright.files import read_json, to_json
from bertwright.hub import located
from bertwright.tokens.tokenizer import Tokenizer
from bertwright.tokens.vocabulary import CLS, MASK, PAD, SEP, SPECIALS, UNK, Vocabulary
from bertwright.tokens.wordpiece import CONTINUATION, LONGEST_WORD

VOCAB_FILE = "vocab.txt"
TOKENIZER_FILE = "tokenizer.json"
CONFIG_FILE = "tokenizer_config.json"
TOKENIZER_FILES = (VOCAB_FILE, TOKENIZER_FILE, CONFIG_FILE)

# Classes of transformers that are BertTokenizer under another name. BertJapaneseTokenizer, for one, is not: it has a
# vocab.txt too, but splits words with a dictionary.
_BERT_CLASSES = frozenset(
    f"{name}Tokenizer{fast}"
    for name in ("Bert", "ConvBert", "DistilBert", "Electra", "MobileBert", "Realm", "RetriBert", "SqueezeBert")
    for fast in ("", "Fast")
) | {"PreTrainedTokenizerFast", "TokenizersBackend"}

_CURE = "name a BERT model directory, with a vocab.txt or a WordPiece tokenizer.json"


def tokenizer_files(tokenizer: Tokenizer, max_length: int = 512) -> dict[str, bytes]:
    """Return the content of the three files by name. `max_length` counts pieces, [CLS] and [SEP] among them."""
    return {
        VOCAB_FILE: tokenizer.vocabulary.to_bytes(),
        TOKENIZER_FILE: to_json(_tokenizer_json(tokenizer)),
        CONFIG_FILE: to_json(_tokenizer_config(tokenizer, max_length)),
    }


def read_tokenizer(directory: Path) -> Tokenizer:
    """Read the tokenizer of a model directory or of a model of the hub, or a `vocab.txt` by itself.

    The vocabulary comes from `vocab.txt`, or else from a WordPiece `tokenizer.json`. Each switch comes from
    `tokenizer_config.json`, or else from the normaliser in `tokenizer.json`, or else is as in the original uncased
    models: lower case, no accents, ideographs apart. Raises VocabularyError for what is missing, damaged or foreign.
    """
    directory = located(directory, weights=False)
    if directory.is_file():
        return Tokenizer(Vocabulary.read(directory))
    if not directory.is_dir():
        raise VocabularyError("is no directory", where=directory, cure=_CURE)
    config = _read_if_there(directory / CONFIG_FILE)
    name = config.get("tokenizer_class")
    if name is not None and str(name) not in _BERT_CLASSES:
        raise VocabularyError(
            f"`tokenizer_class` must be BertTokenizer, but is {name}", where=directory / CONFIG_FILE, cure=_CURE
        )
    described = _read_if_there(directory / TOKENIZER_FILE)
    if (directory / VOCAB_FILE).exists():
        vocabulary = Vocabulary.read(directory / VOCAB_FILE)
    elif described:
        vocabulary = _vocabulary_within(described, directory / TOKENIZER_FILE)
    else:
        raise VocabularyError(f"has neither {VOCAB_FILE} nor {TOKENIZER_FILE}", where=directory, cure=_CURE)

    normalizer = described.get("normalizer")
    if not isinstance(normalizer, dict) or normalizer.get("type") != "BertNormalizer":
        normalizer = {}

    def switch(key: str, key_of_normalizer: str, *, default: bool | None) -> bool | None:
        value = config[key] if key in config else normalizer.get(key_of_normalizer, default)
        if value is not None and not isinstance(value, bool):
            raise VocabularyError(
                f"`{key}` must be true or false, but is {value!r}", where=directory / CONFIG_FILE, cure="correct it"
            )
        return value

    # A null in these two is what some old directories hold for "not set".
    lowercase = switch("do_lower_case", "lowercase", default=True)
    split_cjk = switch("tokenize_chinese_chars", "handle_chinese_chars", default=True)
    return Tokenizer(
        vocabulary,
        lowercase=lowercase is not False,
        strip_accents=switch("strip_accents", "strip_accents", default=None),
        split_cjk=split_cjk is not False,
    )


def added_tokens(directory: Path, vocabulary: Vocabulary) -> list[str]:
    """Tokens that transformers looks for before it cuts text into words, and that no vocabulary here holds."""
    listed: list[Any] = [_read_if_there(directory / TOKENIZER_FILE).get("added_tokens")]
    described = _read_if_there(directory / CONFIG_FILE).get("added_tokens_decoder")
    listed.append(list(described.values()) if isinstance(described, dict) else [])
    found = [each for some in listed if isinstance(some, list) for each in some if isinstance(each, dict)]
    tokens = [each.get("content") for each in found]
    tokens += _read_if_there(directory / "added_tokens.json")
    return sorted({str(token) for token in tokens if token not in vocabulary.ids})


def _tokenizer_json(tokenizer: Tokenizer) -> dict[str, Any]:
    """The format of the `tokenizers` library, version 1.0."""
    vocabulary = tokenizer.vocabulary
    first, second = _sequence("A", 0), _sequence("B", 1)
    cls, sep, second_sep = _special(CLS, 0), _special(SEP, 0), _special(SEP, 1)
    return {
        "version": "1.0",
        "truncation": None,
        "padding": None,
        "added_tokens": [
            {"id": number, "content": piece} | _ADDED_TOKEN for number, piece in _specials_by_id(vocabulary)
        ],
        "normalizer": {
            "type": "BertNormalizer",
            "clean_text": True,
            "handle_chinese_chars": tokenizer.split_cjk,
            "strip_accents": tokenizer.strip_accents,
            "lowercase": tokenizer.lowercase,
        },
        "pre_tokenizer": {"type": "BertPreTokenizer"},
        "post_processor": {
            "type": "TemplateProcessing",
            "single": [cls, first, sep],
            "pair": [cls, first, sep, second, second_sep],
            "special_tokens": {
                CLS: {"id": CLS, "ids": [vocabulary.cls_id], "tokens": [CLS]},
                SEP: {"id": SEP, "ids": [vocabulary.sep_id], "tokens": [SEP]},
            },
        },
        "decoder": {"type": "WordPiece", "prefix": CONTINUATION, "cleanup": True},
        "model": {
            "type": "WordPiece",
            "unk_token": UNK,
            "continuing_subword_prefix": CONTINUATION,
            "max_input_chars_per_word": LONGEST_WORD,
            "vocab": dict(vocabulary.ids),
        },
    }


def _tokenizer_config(tokenizer: Tokenizer, max_length: int) -> dict[str, Any]:
    return {
        "tokenizer_class": "BertTokenizer",
        "do_lower_case": tokenizer.lowercase,
        "strip_accents": tokenizer.strip_accents,
        "tokenize_chinese_chars": tokenizer.split_cjk,
        "model_max_length": max_length,
        "clean_up_tokenization_spaces": True,
        "pad_token": PAD,
        "unk_token": UNK,
        "cls_token": CLS,
        "sep_token": SEP,
        "mask_token": MASK,
        "added_tokens_decoder": {
            str(number): {"content": piece} | _ADDED_TOKEN for number, piece in _specials_by_id(tokenizer.vocabulary)
        },
    }


_ADDED_TOKEN = {"single_word": False, "lstrip": False, "rstrip": False, "normalized": False, "special": True}


def _specials_by_id(vocabulary: Vocabulary) -> list[tuple[int, str]]:
    return sorted(zip(vocabulary.special_ids, SPECIALS, strict=True))


def _sequence(name: str, type_id: int) -> dict[str, Any]:
    return {"Sequence": {"id": name, "type_id": type_id}}


def _special(piece: str, type_id: int) -> dict[str, Any]:
    return {"SpecialToken": {"id": piece, "type_id": type_id}}


def _read_if_there(path: Path) -> dict[str, Any]:
    return read_json(path, VocabularyError) if path.exists() else {}


def _vocabulary_within(described: Mapping[str, Any], path: Path) -> Vocabulary:
    """Take the vocabulary out of a `tokenizer.json` that describes the tokenizer of BERT, and no other."""
    model = _part(described, "model")
    for part, key, expected in (
        (model, "type", "WordPiece"),
        (model, "continuing_subword_prefix", CONTINUATION),
        (_part(described, "normalizer"), "type", "BertNormalizer"),
        (_part(described, "pre_tokenizer"), "type", "BertPreTokenizer"),
    ):
        # The oldest files leave the type of the model out; only a WordPiece has the prefix.
        found = part.get(key, expected if part is model and CONTINUATION in model.values() else None)
        if found != expected:
            raise VocabularyError(f"`{key}` must be {expected}, but is {found}", where=path, cure=_CURE)
    ids = _part(model, "vocab")
    if sorted(ids.values(), key=str) != sorted(range(len(ids)), key=str):
        raise VocabularyError("the ids of its pieces are not 0, 1, 2 and so on", where=path, cure=_CURE)
    try:
        return Vocabulary(sorted(ids, key=ids.__getitem__))
    except VocabularyError as error:
        raise VocabularyError(error.what, where=path, cure=error.cure) from None


def _part(content: Mapping[str, Any], key: str) -> dict[str, Any]:
    part = content.get(key)
    return part if isinstance(part, dict) else {}
