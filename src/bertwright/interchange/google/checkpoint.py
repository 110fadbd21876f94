"""The checkpoints of the original code: `bert_config.json`, `vocab.txt` and a TensorFlow checkpoint, read and written.

No TensorFlow is needed. The original's `gelu` is the exact one (erf) in the paper and in the first releases, and its
tanh form since 2019; here it is the exact one, as in transformers. The two differ by at most 0.0005.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

from bertwright.checkpoints.configuration import config_values, encoder_config
from bertwright.checkpoints.model_directory import LoadedModel, model_of
from bertwright.checkpoints.names import to_theirs
from bertwright.checkpoints.record import RECORD, checked_record
from bertwright.encoder.config import EncoderConfig
from bertwright.errors import ModelError
from bertwright.files import to_json, write_atomic
from bertwright.heads.model import Parts, unfilled
from bertwright.interchange.google.bundle import Bundle, write_bundle
from bertwright.interchange.google.files import Files, config_name, opened, read_small
from bertwright.interchange.google.names import is_of_training, to_google, to_transformers
from bertwright.progress import Progress
from bertwright.tokens.layout import VOCAB_FILE
from bertwright.tokens.tokenizer import Tokenizer
from bertwright.tokens.vocabulary import Vocabulary

CONFIG = "bert_config.json"
PREFIX = "bert_model.ckpt"
FILES = (CONFIG, VOCAB_FILE, f"{PREFIX}.*", RECORD)
# A vocabulary is of text in lower case where fewer of its pieces than this have a capital letter. The Chinese one has a
# few, and English text is put in lower case for it all the same.
_CAPITALS = 0.01
# Of the tokenizer, under transformers' names; the original takes the first as a flag and knows no others.
_SWITCHES = {
    "do_lower_case": "lowercase",
    "strip_accents": "strip_accents",
    "tokenize_chinese_chars": "split_cjk",
}
_ADDED = "added_tokens"
_APART = "added_tokens_apart"


def read_checkpoint(source: Path, *, lowercase: bool | None = None, progress: Progress) -> LoadedModel:
    """Read a checkpoint of the original code: a folder, a .zip, or the prefix of its files.

    lowercase: whether text is put in lower case; None: as the vocabulary shows. The checksums of all that is
    read are verified. What has no place here is left out and told. Raises ModelError or VocabularyError.
    """
    with opened(source) as (files, prefix):
        name = config_name(files)
        values = _json(files, name)
        config = encoder_config(values, Path(files.told(name)))
        if VOCAB_FILE not in files.names():
            what = f"has no {VOCAB_FILE}, and without its vocabulary a model can read nothing"
            raise ModelError(what, where=source, cure="copy it there from where the checkpoint was released")
        vocabulary = Vocabulary.parse(read_small(files, VOCAB_FILE), files.told(VOCAB_FILE))
        tokenizer = _tokenizer(vocabulary, values, source, progress, lowercase=lowercase)
        bundle = Bundle(files, prefix)
        theirs = {}
        names = _wanted(bundle, config, source)
        with progress.task("reading", len(names), "variables") as bar:
            for each, tensor in bundle.read(names, bar.update).items():
                to, transposed = names[each]
                theirs[to] = tensor.T.contiguous() if transposed and tensor.ndim == 2 else tensor
        record = {}
        if RECORD in files.names():
            record = checked_record(_json(files, RECORD), Path(files.told(RECORD)))
    left = [each for each in bundle.entries if each not in names]
    of_training = [each for each in left if is_of_training(each)]
    if of_training:
        progress.say(f"{source}: left out, {len(of_training):,} variables of training, such as {of_training[0]}")
    loaded = model_of(source, values, tokenizer, theirs, record, config_name=name)
    unknown = tuple(each for each in left if not is_of_training(each))
    return replace(loaded, unused=loaded.unused + unknown)


def _wanted(bundle: Bundle, config: EncoderConfig, source: Path) -> dict[str, tuple[str, bool]]:
    """The variables that a model of this shape has, each with what `to_transformers` says of it.

    Raises ModelError where one has another shape, before anything of it is read.
    """
    every = unfilled(config, Parts(masked_words=True, next_sentence=True, spans=True))
    shapes = {name: tuple(tensor.shape) for name, tensor in to_theirs(dict(every.named_parameters())).items()}
    found = {}
    for each, entry in bundle.entries.items():
        known = to_transformers(each)
        if known is None:
            continue
        name, transposed = known
        if name.startswith("classifier."):
            # As many classes as there are.
            classes = entry.shape[0] if entry.shape else 0
            expected = (classes, config.hidden_size)[: 2 if name.endswith("weight") else 1]
        elif name in shapes:
            expected = shapes[name][::-1] if transposed else shapes[name]
        else:
            continue
        if entry.shape != expected:
            what = f"`{each}` has shape {entry.shape}, but {CONFIG} makes it {expected}"
            raise ModelError(what, where=source)
        found[each] = known
    return found


def write_checkpoint(path: Path, loaded: LoadedModel, *, say: Callable[[str], None]) -> None:
    """Write a model into the existing directory `path` as the original code has it.

    bert_config.json also tells labels, the kind of the head and how text is cut into tokens, all of which the original
    passes over. Raises ModelError where a part of the model has no place there.
    """
    if loaded.model.parts.lstm:
        what = "its tagger reads the last four layers through an LSTM, which the original code does not have"
        raise ModelError(what, where=loaded.path, cure="convert with --to hf")
    if loaded.model.parts.tags:
        say("the original code has no tagger: its weights get the names that forks of it use, output_weights and so on")
    if not loaded.model.parts.pooler:
        say("the model has no pooler, which the original code will draw anew")
    theirs = to_theirs({name: parameter.detach() for name, parameter in loaded.model.named_parameters()})
    variables = {}
    for name, tensor in theirs.items():
        to, transposed = to_google(name)
        variables[to] = tensor.T if transposed else tensor
    write_bundle(path, PREFIX, variables)
    write_atomic(path / VOCAB_FILE, loaded.tokenizer.vocabulary.to_bytes())
    write_atomic(path / RECORD, to_json(loaded.record))
    values = config_values(loaded.model, loaded.labels, loaded.task)
    switches = {key: getattr(loaded.tokenizer, name) for key, name in _SWITCHES.items()}
    tokens = loaded.tokenizer
    added = {_ADDED: tokens.added, _APART: sorted(tokens.apart)} if tokens.added else {}
    if added:
        say(f"the original code cuts added tokens as any text: {', '.join(loaded.tokenizer.added)}")
    write_atomic(path / CONFIG, to_json(values | switches | added))


def _tokenizer(
    vocabulary: Vocabulary, values: dict[str, Any], source: Path, progress: Progress, *, lowercase: bool | None
) -> Tokenizer:
    """As bert_config.json says, if we wrote it; else in the case that is given, or that the vocabulary shows."""
    told = {name: values[key] for key, name in _SWITCHES.items() if isinstance(values.get(key), bool)}
    if lowercase is None and "lowercase" not in told:
        lowercase = _is_lowercase(vocabulary)
        case = "lower" if lowercase else "its own"
        progress.say(f"{source}: text is read in {case} case, as the vocabulary shows")
    if lowercase is not None:
        told["lowercase"] = lowercase
    added = values.get(_ADDED)
    if not isinstance(added, dict):
        added = {}
    sought = {token: folded is True for token, folded in added.items() if token in vocabulary.ids}
    apart = values.get(_APART)
    known = [token for token in sought if token in apart] if isinstance(apart, list) else None
    return Tokenizer(vocabulary, **told, added=sought, apart=known)


def _is_lowercase(vocabulary: Vocabulary) -> bool:
    capitals = sum(piece != piece.lower() for piece in vocabulary.pieces if not piece.startswith("["))
    return capitals < _CAPITALS * len(vocabulary)


def _json(files: Files, name: str) -> dict[str, Any]:
    where = files.told(name)
    if name not in files.names():
        raise ModelError(f"holds no {name}, which tells the shape of the model", where=files.told(""))
    try:
        values = json.loads(read_small(files, name))
    except (ValueError, RecursionError):
        raise ModelError("is no JSON", where=where, cure="copy it again") from None
    if not isinstance(values, dict):
        raise ModelError("a JSON object was expected", where=where)
    return values
