"""The tokenizer's part of a model directory: `vocab.txt`, `tokenizer.json`, `tokenizer_config.json`.

`AutoTokenizer.from_pretrained` reads them as they lie, and so does the `tokenizers` library. In the other direction any
BERT directory is read, old ones with nothing but a `vocab.txt` as well.

Some differences remain on the side of those libraries that no file can settle: docs/tokens.md lists them, with the
characters concerned.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from bertwright.errors import VocabularyError
from bertwright.files import read_json, to_json
from bertwright.hub import located
from bertwright.tokens.added import LONGEST
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

# As transformers wrote them until 2024, with nothing but their ids.
_OLD_ADDED_FILE = "added_tokens.json"
_ID = re.compile("[0-9]{1,9}")
# Of an added token, whether it must be a whole word, and takes the white space around it.
_WISHES = ("single_word", "lstrip", "rstrip")
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

    vectors = _read_if_there(directory / "config.json").get("vocab_size")
    added, vocabulary = _with_added(
        _listed(config, described, directory), vocabulary, vectors if isinstance(vectors, int) else None
    )
    # Where words take their pieces from; without it, nothing tells.
    model = described.get("model")
    words = model["vocab"] if isinstance(model, dict) and isinstance(model.get("vocab"), dict) else None
    # A null in these two is what some old directories hold for "not set".
    lowercase = switch("do_lower_case", "lowercase", default=True)
    split_cjk = switch("tokenize_chinese_chars", "handle_chinese_chars", default=True)
    return Tokenizer(
        vocabulary,
        lowercase=lowercase is not False,
        strip_accents=switch("strip_accents", "strip_accents", default=None),
        split_cjk=split_cjk is not False,
        added=added,
        apart=None if words is None else added.keys() - words.keys(),
    )


def unused_tokens(directory: Path, tokenizer: Tokenizer) -> tuple[str, ...]:
    """Tokens that transformers looks for before it cuts text into words, and that are not looked for here."""
    listed = _listed(_read_if_there(directory / CONFIG_FILE), _read_if_there(directory / TOKENIZER_FILE), directory)
    return tuple(f"the added token {token!r}" for token in sorted(listed.keys() - tokenizer.added.keys()))


def _listed(config: dict[str, Any], described: dict[str, Any], directory: Path) -> dict[str, dict[str, Any]]:
    """What the files say of the tokens that were added to those of BERT, by their texts; `id` may be missing."""
    in_config, in_tokenizer = config.get("added_tokens_decoder"), described.get("added_tokens")
    found = {
        str(token): {"id": number, "normalized": True}
        for token, number in _read_if_there(directory / _OLD_ADDED_FILE).items()
    }
    several = in_tokenizer if isinstance(in_tokenizer, list) else []
    if isinstance(in_config, dict):
        several = [
            *several,
            *(each | {"id": number} for number, each in in_config.items() if isinstance(each, dict)),
        ]
    for each in several:
        if isinstance(each, dict) and isinstance(each.get("content"), str):
            found[each["content"]] = each
    return {token: each for token, each in found.items() if token not in SPECIALS}


def _with_added(
    listed: Mapping[str, Mapping[str, Any]], vocabulary: Vocabulary, vectors: int | None
) -> tuple[dict[str, bool], Vocabulary]:
    """Those that can be looked for, each with whether in the folded text, and the vocabulary that holds them.

    Left out are those with a wish that is not known here, those whose ids do not follow the vocabulary's, and those
    that a model with so many vectors was never resized for (None: there is no model).
    """
    numbers = {
        token: int(each["id"])
        for token, each in listed.items()
        if 0 < len(token) <= LONGEST
        and _ID.fullmatch(str(each.get("id")))
        and not any(each.get(wish) for wish in _WISHES)
    }
    pieces = list(vocabulary.pieces)
    added = {}
    for token, number in sorted(numbers.items(), key=lambda each: each[1]):
        room = vectors is None or number < vectors
        if room and number == len(pieces) and token not in vocabulary.ids and token.isprintable():
            pieces.append(token)
        if number < len(pieces) and pieces[number] == token:
            added[token] = bool(listed[token].get("normalized"))
    return added, Vocabulary(pieces) if len(pieces) > len(vocabulary) else vocabulary


def _tokenizer_json(tokenizer: Tokenizer) -> dict[str, Any]:
    """The format of the `tokenizers` library, version 1.0."""
    vocabulary = tokenizer.vocabulary
    first, second = _sequence("A", 0), _sequence("B", 1)
    cls, sep, second_sep = _special(CLS, 0), _special(SEP, 0), _special(SEP, 1)
    return {
        "version": "1.0",
        "truncation": None,
        "padding": None,
        "added_tokens": [{"id": number} | described for number, described in _sought(tokenizer)],
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
            "vocab": tokenizer.pieces_of_words(),
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
        "added_tokens_decoder": {str(number): described for number, described in _sought(tokenizer)},
    }


def _sought(tokenizer: Tokenizer) -> list[tuple[int, dict[str, Any]]]:
    """By their ids, the tokens that those libraries look for before they cut a text."""
    ids = tokenizer.vocabulary.ids
    tokens = dict.fromkeys(SPECIALS, False) | tokenizer.added
    return [
        (
            ids[token],
            {"content": token, **dict.fromkeys(_WISHES, False), "normalized": folded, "special": not folded},
        )
        for token, folded in sorted(tokens.items(), key=lambda each: ids[each[0]])
    ]


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
