"""The model directory: what every command reads and writes (law 2).

config.json  model.safetensors  vocab.txt  tokenizer.json  tokenizer_config.json   as transformers has them
bertwright.json                                                                    lineage, task and metrics
README.md                                                                          the model card
dev/                                                                               what a fine-tuning showed on dev
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

import torch
from torch import nn

from bertwright.checkpoints.card import model_card
from bertwright.checkpoints.configuration import (
    CHOICE,
    CONFIG,
    config_values,
    encoder_config,
    headless,
    is_of,
    labels_of,
    task_name,
)
from bertwright.checkpoints.finetuned_card import PICTURES
from bertwright.checkpoints.graphs import graph_in
from bertwright.checkpoints.names import plain_name, to_ours, to_theirs
from bertwright.checkpoints.record import RECORD, agreed_task, longest_of, read_record
from bertwright.checkpoints.sentence_layout import MODULES, SentenceLayout, read_sentence_layout
from bertwright.checkpoints.tokenizers import fitted, in_lower_case
from bertwright.checkpoints.weights import SAFETENSORS, read_weights, write_tensors
from bertwright.encoder.config import EncoderConfig
from bertwright.encoder.encoder import initialise
from bertwright.errors import ModelError
from bertwright.files import read_json, storage_faults, to_json, write_atomic
from bertwright.heads.model import Bert, Parts, unfilled
from bertwright.hub import located
from bertwright.tokens.layout import TOKENIZER_FILES, VOCAB_FILE, read_tokenizer, tokenizer_files, unused_tokens
from bertwright.tokens.tokenizer import Tokenizer

if TYPE_CHECKING:
    from collections.abc import Collection, Sequence
    from pathlib import Path

    from torch import Tensor


CARD = "README.md"
DEV = "dev"
MODEL_FILES = (CONFIG, SAFETENSORS, *TOKENIZER_FILES, RECORD, CARD)
_TOLD = 3
_TIED_OR_DERIVED = ("cls.predictions.decoder.", "bert.embeddings.position_ids")


@dataclass(frozen=True, slots=True)
class LoadedModel:
    """A model directory in memory.

    `task` is what its head was made for, empty where it has none but those of pretraining. `labels` are the classes or
    tags in order. `record` is bertwright.json, empty for a foreign directory. `unused` names the weights that have no
    place here.
    """

    path: Path
    model: Bert
    tokenizer: Tokenizer
    task: str = ""
    labels: tuple[str, ...] = ()
    record: dict[str, Any] = field(default_factory=dict)
    unused: tuple[str, ...] = ()

    @property
    def longest(self) -> int:
        """Tokens that an input may have: as many as the model was trained on, where its record tells."""
        return longest_of(self.config, self.record)

    @property
    def config(self) -> EncoderConfig:
        """The shape of the encoder."""
        return self.model.config

    @property
    def lstm(self) -> int:
        """The size of the LSTM that its tagger reads through; 0 where there is none."""
        return self.model.parts.lstm


def write_model(
    path: Path,
    model: Bert,
    tokenizer: Tokenizer,
    *,
    labels: Sequence[str] = (),
    record: dict[str, Any] | None = None,
    name: str | None = None,
    form: str = "hf",
) -> None:
    """Write a model into the existing directory `path`, every file whole or absent.

    config.json goes last: a directory without it is not yet a model. `labels` are those of the classifier or tagger,
    none where it gives a number. `name` heads the model card (default: the directory's), which shows the pictures that
    lie in `dev` already. form: what the directory is for the card, as for `model_card`.
    """
    record = record or {}
    with storage_faults(path):
        (path / CONFIG).unlink(missing_ok=True)
    write_tensors(path / SAFETENSORS, to_theirs(dict(model.named_parameters())))
    for file_name, content in tokenizer_files(tokenizer, max_length=model.config.max_position_embeddings).items():
        write_atomic(path / file_name, content)
    write_atomic(path / RECORD, to_json(record))
    write_card(path, model, labels, record, name=name, form=form)
    write_atomic(path / CONFIG, to_json(config_values(model, labels, record.get("task", ""))))


def write_card(
    path: Path,
    model: Bert,
    labels: Sequence[str],
    record: dict[str, Any],
    *,
    name: str | None = None,
    form: str = "hf",
) -> None:
    """Write the model card alone, with the pictures that lie in `dev`.

    name: as for `write_model`. form: as for `model_card`.
    """
    pictures = [f"{DEV}/{picture}" for picture in PICTURES if (path / DEV / picture).is_file()]
    if not (path / DEV).is_dir():
        # A converted model: the rows it got wrong are listed where it was fine-tuned.
        record = {key: value for key, value in record.items() if key != "errors"}
    try:
        card = model_card(name or path.name, model, labels, record, pictures, form=form)
    except (AttributeError, IndexError, KeyError, TypeError, ValueError) as error:
        # Of a record that others wrote, or changed: only what is computed with is checked when it is read.
        what = f"the model's {RECORD} says what no command writes ({type(error).__name__}: {error})"
        raise ModelError(what, cure="remove that file to use the model as one of unknown origin") from error
    write_atomic(path / CARD, card.encode())


def read_model(path: Path) -> LoadedModel:
    """Read a model directory, ours or one of transformers' or sentence-transformers'.

    Where there is none, `path` may be the name of a model on the hub. Raises ModelError or VocabularyError.
    """
    path = located(path)
    if path.is_file():
        what = "is a file, and a model is a directory"
        raise ModelError(what, where=path, cure=f"a checkpoint of the original code: bertwright convert {path} DIR")
    if not path.is_dir():
        raise ModelError("no such model directory", where=path)
    layout = read_sentence_layout(path)
    if layout is not None:
        return _sentence_encoder(path, layout)
    return _read(path)


def _read(path: Path) -> LoadedModel:
    if not (path / CONFIG).exists():
        raise ModelError("holds no config.json, so it is no model directory", where=path, cure=_what_it_is(path))
    values = read_json(path / CONFIG, ModelError)
    if form := graph_in(path):
        what = f"holds a graph ({form}), and weights are needed, which no graph gives back"
        raise ModelError(what, where=path, cure="name the model that it was exported from")
    # What is wrong with the shape is told before a gigabyte is read.
    encoder_config(values, path / CONFIG)
    tokenizer = read_tokenizer(path)
    loaded = model_of(path, values, tokenizer, read_weights(path), read_record(path / RECORD))
    return replace(loaded, unused=loaded.unused + unused_tokens(path, loaded.tokenizer))


def _sentence_encoder(path: Path, layout: SentenceLayout) -> LoadedModel:
    """A directory of sentence-transformers, whose encoder may lie in a folder of it."""
    loaded = _read(layout.transformer)
    tokenizer = in_lower_case(loaded.tokenizer) if layout.lowercase else loaded.tokenizer
    # What bertwright.json says was written later, and knows more.
    record = layout.record | loaded.record
    task = agreed_task(loaded.task, record.get("task", ""), path / MODULES)
    return replace(
        loaded, path=path, tokenizer=tokenizer, task=task, record=record, unused=loaded.unused + layout.unused
    )


def model_of(
    path: Path,
    values: dict[str, Any],
    tokenizer: Tokenizer,
    theirs: dict[str, Tensor],
    record: dict[str, Any],
    *,
    config_name: str = CONFIG,
) -> LoadedModel:
    """A model of what a directory at `path` holds, read already.

    values: config.json. theirs: the weights under transformers' names. record: bertwright.json. Raises ModelError.
    """
    config = encoder_config(values, path / config_name)
    tokenizer, unheard = fitted(tokenizer, config.vocab_size, path)
    # A classifier without a pooler is one of tokens: that of a sequence stands on it.
    of_tokens = is_of(values, "TokenClassification") or not any("pooler.dense" in name for name in theirs)
    # A single number is no weight of ours, whatever its name.
    single = [name for name, tensor in theirs.items() if not tensor.ndim]
    ours, unused = to_ours({name: theirs[name] for name in theirs if name not in single}, of_tokens=of_tokens)
    unused += single
    parts = _parts_in(ours)
    unused += [f"the head of {name}, whose weights are missing" for name in headless(values, parts)]
    task = task_name(parts, values)
    if parts.labels and not task:
        # Its scores mean something that is unknown here.
        unused += ["classifier.weight", "classifier.bias"]
        del ours["classifier.dense.weight"], ours["classifier.dense.bias"]
        parts = replace(parts, labels=0)
    model = unfilled(config, parts)
    unused += unheard
    unused += sorted(to_theirs({name: ours[name] for name in ours.keys() - dict(model.named_parameters()).keys()}))
    _refuse_unfit(model, theirs, path)
    model.load_state_dict({name: ours[name].contiguous() for name in dict(model.named_parameters())}, assign=True)
    _refuse_untied(theirs, values, path)
    labels = labels_of(values, 0 if task in ("regress", CHOICE) else parts.labels or parts.tags, path / config_name)
    task = agreed_task(task, record.get("task", ""), path / RECORD)
    left = tuple(name for name in unused if not name.startswith(_TIED_OR_DERIVED))
    return LoadedModel(path, model.eval(), tokenizer, task, labels, record, left)


def with_parts(
    source: Bert, parts: Parts, *, seed: int, config: EncoderConfig | None = None, anew: Collection[str] = ()
) -> tuple[Bert, list[str]]:
    """A model with other parts on the same encoder: what both have is copied, the rest drawn anew.

    anew: parts that are drawn although both have them. Returns it and the names of the weights that were drawn.
    """
    known = {name: parameter.detach() for name, parameter in source.named_parameters()}
    model = unfilled(config or source.config, parts)
    shapes = {name: parameter.shape for name, parameter in model.named_parameters()}
    drawn = [
        name
        for name, shape in shapes.items()
        if name not in known or known[name].shape != shape or name.partition(".")[0] in anew
    ]
    for part in sorted({name.partition(".")[0] for name in drawn}):
        # Nothing of the encoder is drawn to be thrown away: of a large model that takes seconds.
        fresh = model.get_submodule(part).to_empty(device="cpu")
        initialise(fresh, standard_deviation=model.config.initializer_range, seed=seed)
        known |= {
            f"{part}.{name}": each.detach() for name, each in fresh.named_parameters() if f"{part}.{name}" in drawn
        }
    model.load_state_dict({name: known[name].clone() for name in shapes}, assign=True)
    if model.masked_words is not None and "masked_words.bias" in drawn:
        nn.init.zeros_(model.masked_words.bias)
    return model, drawn


def _what_it_is(path: Path) -> str:
    if (path / "manifest.json").exists():
        return "it holds shards: pretrain on them with --data"
    if (path / "run" / "run.json").exists():
        return "it holds a run that was stopped: go on with --resume"
    if any(path.glob("*.index")):
        return f"it holds a checkpoint of the original code: bertwright convert {path} DIR"
    if (path / VOCAB_FILE).exists():
        return "it holds a vocabulary: a model is made by bertwright pretrain"
    return "a model directory is what pretrain, finetune and convert write"


def _parts_in(ours: dict[str, Tensor]) -> Parts:
    """Which parts a file of weights holds."""
    classifier, tagger = ours.get("classifier.dense.weight"), ours.get("tagger.dense.weight")
    lstm = ours.get("feature_tagger.lstm.weight_hh_l0")
    if lstm is not None:
        tagger = ours.get("feature_tagger.dense.weight")
    return Parts(
        pooler="pooler.dense.weight" in ours,
        masked_words="masked_words.dense.weight" in ours,
        next_sentence="next_sentence.dense.weight" in ours,
        labels=0 if classifier is None else len(classifier),
        tags=0 if tagger is None else len(tagger),
        lstm=0 if lstm is None or tagger is None else lstm.shape[-1],
        spans="spans.dense.weight" in ours,
    )


def _refuse_unfit(model: Bert, theirs: dict[str, Tensor], path: Path) -> None:
    """Tell what is missing and what has another shape, under the names of the file."""
    found = {plain_name(name): tuple(tensor.shape) for name, tensor in theirs.items()}
    whole = [name for name, tensor in theirs.items() if not tensor.is_floating_point()]
    shapes = {name: tuple(tensor.shape) for name, tensor in to_theirs(dict(model.named_parameters())).items()}
    missing = [name for name in shapes if name not in found]
    if missing:
        what = f"the weights lack {_some([f'`{name}`' for name in missing])}"
        raise ModelError(what, where=path, cure="the file is not whole; copy it again")
    unlike = [
        f"`{name}` has shape {found[name]}, but config.json makes it {shape}"
        for name, shape in shapes.items()
        if found[name] != shape
    ]
    if unlike:
        raise ModelError(_some(unlike), where=path)
    if wrong := [f"`{name}`" for name in whole if plain_name(name) in shapes]:
        raise ModelError(f"holds whole numbers where weights belong: {_some(wrong)}", where=path)


def _some(things: Sequence[str]) -> str:
    """The first few of a list, and how many there are beside."""
    told = ", ".join(things[:_TOLD])
    return told if len(things) <= _TOLD else f"{told} and {len(things) - _TOLD} others"


def _refuse_untied(theirs: dict[str, Tensor], values: dict[str, Any], path: Path) -> None:
    decoder = theirs.get("cls.predictions.decoder.weight")
    words = theirs.get("bert.embeddings.word_embeddings.weight")
    has_head = "cls.predictions.transform.dense.weight" in theirs
    if (has_head and values.get("tie_word_embeddings") is False) or (
        decoder is not None and words is not None and not torch.equal(decoder, words)
    ):
        raise ModelError("the masked-word head has word embeddings of its own; BERT shares them", where=path)
