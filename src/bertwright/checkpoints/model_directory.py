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
from bertwright.checkpoints.finetuned_card import PICTURES
from bertwright.checkpoints.graphs import graph_in
from bertwright.checkpoints.names import plain_name, to_ours, to_theirs
from bertwright.checkpoints.sentence_layout import MODULES, SentenceLayout, read_sentence_layout
from bertwright.checkpoints.weights import SAFETENSORS, read_weights, write_tensors
from bertwright.encoder.config import EncoderConfig
from bertwright.encoder.encoder import initialise
from bertwright.errors import ModelError, SettingsError
from bertwright.files import read_json, storage_faults, to_json, write_atomic
from bertwright.heads.model import Bert, Parts
from bertwright.hub import located
from bertwright.tokens.layout import TOKENIZER_FILES, VOCAB_FILE, added_tokens, read_tokenizer, tokenizer_files
from bertwright.tokens.tokenizer import Tokenizer
from bertwright.tokens.vocabulary import Vocabulary

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from torch import Tensor


CONFIG = "config.json"
RECORD = "bertwright.json"
CARD = "README.md"
DEV = "dev"
MODEL_FILES = (CONFIG, SAFETENSORS, *TOKENIZER_FILES, RECORD, CARD)
# A score for each choice, of which the highest is chosen: a head that others train and we run.
CHOICE = "choice"
# transformers' `problem_type`, and the task that it is here.
_TASKS = {
    "single_label_classification": "classify",
    "multi_label_classification": "multilabel",
    "regression": "regress",
}
_TOLD = 3
# Some old directories have a few pieces more than vectors, and would fail on them; many more are another vocabulary.
_UNHEARD = 0.01
# What sets them apart, of those that people take for BERT, and which BERT to take instead.
_COUSINS = {
    "roberta": "its tokens are bytes and its positions begin at 2; take a BERT such as google-bert/bert-base-cased",
    "xlm-roberta": "its tokens are SentencePiece's; take a BERT such as google-bert/bert-base-multilingual-cased",
    "camembert": "it is a RoBERTa; take a BERT such as google-bert/bert-base-multilingual-cased",
    "distilbert": "it has no segments and no pooler; take a small BERT such as google/bert_uncased_L-6_H-768_A-12",
    "albert": "its layers share their weights; take a small BERT such as google/bert_uncased_L-4_H-512_A-8",
    "electra": "its embeddings are narrower than its layers; take a BERT such as google-bert/bert-base-uncased",
    "mobilebert": "its layers have bottlenecks; take a small BERT such as google/bert_uncased_L-4_H-512_A-8",
    "deberta": "its attention looks at distances; take a BERT such as google-bert/bert-base-uncased",
    "deberta-v2": "its attention looks at distances; take a BERT such as google-bert/bert-base-uncased",
    "modernbert": "its positions are rotated and its layers gated; take a BERT such as google-bert/bert-base-uncased",
    "mpnet": "its positions are relative; take a BERT such as sentence-transformers/all-MiniLM-L6-v2",
    "nomic_bert": "its positions are rotated; take a BERT such as sentence-transformers/all-MiniLM-L6-v2",
}
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
        positions = min(512, self.model.config.max_position_embeddings)
        return min(positions, self.record.get("max_length", positions))


def write_model(
    path: Path,
    model: Bert,
    tokenizer: Tokenizer,
    *,
    labels: Sequence[str] = (),
    record: dict[str, Any] | None = None,
    name: str | None = None,
) -> None:
    """Write a model into the existing directory `path`, every file whole or absent.

    config.json goes last: a directory without it is not yet a model. `labels` are those of the classifier or tagger,
    none where it gives a number. `name` heads the model card (default: the directory's), which shows the pictures that
    lie in `dev` already.
    """
    record = record or {}
    with storage_faults(path):
        (path / CONFIG).unlink(missing_ok=True)
    write_tensors(path / SAFETENSORS, to_theirs(dict(model.named_parameters())))
    for file_name, content in tokenizer_files(tokenizer, max_length=model.config.max_position_embeddings).items():
        write_atomic(path / file_name, content)
    write_atomic(path / RECORD, to_json(record))
    write_card(path, model, labels, record, name=name)
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
    write_atomic(path / CARD, model_card(name or path.name, model, labels, record, pictures, form=form).encode())


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
    loaded = model_of(path, values, tokenizer, read_weights(path), _record(path / RECORD))
    added = tuple(f"the added token {token!r}" for token in added_tokens(path, tokenizer.vocabulary))
    return replace(loaded, unused=loaded.unused + added)


def _sentence_encoder(path: Path, layout: SentenceLayout) -> LoadedModel:
    """A directory of sentence-transformers, whose encoder may lie in a folder of it."""
    loaded = _read(layout.transformer)
    tokenizer = loaded.tokenizer
    if layout.lowercase and not tokenizer.lowercase:
        # Its accents stay: they put a text in lower case and do no more.
        tokenizer = Tokenizer(tokenizer.vocabulary, lowercase=True, strip_accents=False, split_cjk=tokenizer.split_cjk)
    # What bertwright.json says was written later, and knows more.
    record = layout.record | loaded.record
    task = _agreed(loaded.task, record.get("task", ""), path / MODULES)
    return replace(
        loaded, path=path, tokenizer=tokenizer, task=task, record=record, unused=loaded.unused + layout.unused
    )


def config_and_record(path: Path) -> tuple[EncoderConfig, dict[str, Any]]:
    """The shape and bertwright.json of a directory, whatever its weights lie in. Raises ModelError."""
    if not (path / CONFIG).exists():
        raise ModelError("holds no config.json, so it is no model directory", where=path)
    return encoder_config(read_json(path / CONFIG, ModelError), path / CONFIG), _record(path / RECORD)


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
    unheard = len(tokenizer.vocabulary) - config.vocab_size
    if unheard > config.vocab_size * _UNHEARD:
        raise ModelError(
            f"the vocabulary has {len(tokenizer.vocabulary)} pieces, but the model only {config.vocab_size}",
            where=path / VOCAB_FILE,
            cure="put the vocabulary there that the model was trained with",
        )
    if unheard > 0:
        tokenizer = Tokenizer(Vocabulary(tokenizer.vocabulary.pieces[: config.vocab_size]), **tokenizer.settings())
    # A classifier without a pooler is one of tokens: that of a sequence stands on it.
    of_tokens = _is_of(values, "TokenClassification") or not any("pooler.dense" in name for name in theirs)
    ours, unused = to_ours(theirs, of_tokens=of_tokens)
    parts = _parts_in(ours)
    unused += [f"the head of {name}, whose weights are missing" for name in _headless(values, parts)]
    task = _task(parts, values)
    if parts.labels and not task:
        # Its scores mean something that is unknown here.
        unused += ["classifier.weight", "classifier.bias"]
        del ours["classifier.dense.weight"], ours["classifier.dense.bias"]
        parts = replace(parts, labels=0)
    with torch.device("meta"):
        model = Bert(config, parts)
    if unheard > 0:
        unused.append(f"the last {unheard} pieces of the vocabulary, which have no vectors")
    unused += sorted(to_theirs({name: ours[name] for name in ours.keys() - dict(model.named_parameters()).keys()}))
    _refuse_unfit(model, theirs, path)
    model.load_state_dict({name: ours[name].contiguous() for name in dict(model.named_parameters())}, assign=True)
    _refuse_untied(theirs, values, path)
    labels = _labels(values, 0 if task in ("regress", CHOICE) else parts.labels or parts.tags, path / config_name)
    task = _agreed(task, record.get("task", ""), path / RECORD)
    left = tuple(name for name in unused if not name.startswith(_TIED_OR_DERIVED))
    return LoadedModel(path, model.eval(), tokenizer, task, labels, record, left)


def with_parts(source: Bert, parts: Parts, *, seed: int, config: EncoderConfig | None = None) -> tuple[Bert, list[str]]:
    """A model with other parts on the same encoder: what both have is copied, the rest drawn anew.

    Returns it and the names of the weights that were drawn.
    """
    known = {name: parameter.detach() for name, parameter in source.named_parameters()}
    with torch.device("meta"):
        model = Bert(config or source.config, parts)
    shapes = {name: parameter.shape for name, parameter in model.named_parameters()}
    drawn = [name for name, shape in shapes.items() if name not in known or known[name].shape != shape]
    for part in sorted({name.partition(".")[0] for name in drawn}):
        # Nothing of the encoder is drawn to be thrown away: of a large model that takes seconds.
        anew = model.get_submodule(part).to_empty(device="cpu")
        initialise(anew, standard_deviation=model.config.initializer_range, seed=seed)
        known |= {
            f"{part}.{name}": each.detach() for name, each in anew.named_parameters() if f"{part}.{name}" in drawn
        }
    model.load_state_dict({name: known[name].clone() for name in shapes}, assign=True)
    if model.masked_words is not None and "masked_words.bias" in drawn:
        nn.init.zeros_(model.masked_words.bias)
    return model, drawn


def encoder_config(values: dict[str, Any], where: Path) -> EncoderConfig:
    """The shape of an encoder from config.json. Raises ModelError where it is not BERT's."""
    kind = values.get("model_type", "bert")
    if kind != "bert":
        cure = _COUSINS.get(str(kind), "a BERT's `model_type` is 'bert'")
        raise ModelError(f"this is a {kind!r} model, not a BERT", where=where, cure=cure)
    # What would change the arithmetic is refused; all else in a foreign config.json does not concern the encoder.
    for key, wanted in (("hidden_act", "gelu"), ("position_embedding_type", "absolute"), ("is_decoder", False)):
        found = values.get(key, wanted)
        if found is not None and found != wanted:
            raise ModelError(f"`{key}` is {found!r}, but only {wanted!r} is BERT's", where=where)
    known = {name: values[name] for name in EncoderConfig.model_fields if values.get(name) is not None}
    try:
        return EncoderConfig.from_values(known, where=str(where))
    except SettingsError as error:
        raise ModelError(str(error)) from None


def _labels(values: dict[str, Any], count: int, where: Path) -> tuple[str, ...]:
    """Names of the classes; as transformers has it, LABEL_0 and so on for those that have none."""
    names = values.get("id2label") or {}
    if not isinstance(names, dict) or not all(isinstance(name, str) for name in names.values()):
        raise ModelError('`id2label` must be an object of names, as in {"0": "no"}', where=where, cure="correct it")
    labels = tuple(names.get(str(number), f"LABEL_{number}") for number in range(count))
    if len(set(labels)) < count:
        raise ModelError("`id2label` gives two classes one name", where=where, cure="correct it")
    return labels


def _record(path: Path) -> dict[str, Any]:
    """bertwright.json, or an empty one. Raises ModelError where it is not what every command of ours writes."""
    return checked_record(read_json(path, ModelError), path) if path.exists() else {}


def checked_record(record: dict[str, Any], path: Path) -> dict[str, Any]:
    """What was read from bertwright.json. Raises ModelError where it is not what every command of ours writes."""
    lineage = record.get("lineage", [])
    cure = "remove the file to use the model as one of unknown origin"
    if not isinstance(lineage, list) or not all(
        isinstance(s, dict) and isinstance(s.get("step"), str) for s in lineage
    ):
        raise ModelError("`lineage` must be a list of objects with a `step`", where=path, cure=cure)
    longest = record.get("max_length", 512)
    if type(longest) is not int or longest < 8:  # a truth value is an int too
        raise ModelError(f"`max_length` must be a number of tokens, but is {longest!r}", where=path, cure=cure)
    for name, kind in (("task", str), ("columns", dict), ("metrics", dict)):
        if not isinstance(record.get(name, kind()), kind):
            raise ModelError(f"`{name}` is {record[name]!r}, which no command writes", where=path, cure=cure)
    return record


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


def _is_of(values: dict[str, Any], kind: str) -> bool:
    """Whether config.json calls the model one for a kind of work, as transformers names it."""
    names = values.get("architectures")
    return isinstance(names, list) and any(kind in str(name) for name in names)


def _headless(values: dict[str, Any], parts: Parts) -> list[str]:
    """The classes that config.json names whose head the weights lack."""
    there = {
        "ForSequenceClassification": parts.labels,
        "ForMultipleChoice": parts.labels,
        "ForTokenClassification": parts.tags,
        "ForQuestionAnswering": parts.spans,
        "ForMaskedLM": parts.masked_words,
        "ForPreTraining": parts.masked_words and parts.next_sentence,
        "ForNextSentencePrediction": parts.next_sentence,
    }
    return [f"Bert{kind}" for kind, head in there.items() if _is_of(values, kind) and not head]


def _task(parts: Parts, values: dict[str, Any]) -> str:
    """What the head is for, by config.json and the weights; empty where that is none of ours."""
    if parts.tags:
        return "tag"
    if parts.spans:
        return "answer"
    if not parts.labels:
        return ""
    if _is_of(values, "MultipleChoice"):
        return CHOICE if parts.labels == 1 else ""
    kind = values.get("problem_type") or ("regression" if parts.labels == 1 else "single_label_classification")
    return _TASKS.get(kind, "") if (kind == "regression") == (parts.labels == 1) else ""


def _agreed(task: str, recorded: str, where: Path) -> str:
    """The task as bertwright.json has it, which may tell more than config.json, but nothing else. Raises ModelError."""
    finer = {"classify": ("classify", "pair"), "": ("embed",)}.get(task, (task,))
    if recorded in finer:
        return recorded
    if recorded and task:
        cure = "remove the file to use the model as one of unknown origin"
        raise ModelError(f"`task` is {recorded!r}, but the model's head is one to {task}", where=where, cure=cure)
    return task


def _refuse_unfit(model: Bert, theirs: dict[str, Tensor], path: Path) -> None:
    """Tell what is missing and what has another shape, under the names of the file."""
    found = {plain_name(name): tuple(tensor.shape) for name, tensor in theirs.items()}
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


def config_values(model: Bert, labels: Sequence[str], task: str) -> dict[str, Any]:
    """What config.json tells of a model."""
    values: dict[str, Any] = {
        "architectures": [_architecture(model.parts, task)],
        "model_type": "bert",
        **model.config.model_dump(),
        "hidden_act": "gelu",
        "position_embedding_type": "absolute",
        "tie_word_embeddings": True,
        "dtype": "float32",
    }
    if model.parts.labels and task != CHOICE:
        kinds = {name: kind for kind, name in _TASKS.items()}
        values["problem_type"] = kinds.get(task, "single_label_classification")
        # transformers counts the labels by their names.
        labels = labels or [f"LABEL_{number}" for number in range(model.parts.labels)]
    if labels:
        values["id2label"] = {str(number): label for number, label in enumerate(labels)}
        values["label2id"] = {label: number for number, label in enumerate(labels)}
    return values


def _architecture(parts: Parts, task: str) -> str:
    if task == CHOICE:
        return "BertForMultipleChoice"
    if parts.labels:
        return "BertForSequenceClassification"
    if parts.lstm:
        return "BertModel"  # there is no class for what stands on it
    if parts.tags:
        return "BertForTokenClassification"
    if parts.spans:
        return "BertForQuestionAnswering"
    if parts.masked_words:
        return "BertForPreTraining" if parts.next_sentence else "BertForMaskedLM"
    return "BertForNextSentencePrediction" if parts.next_sentence else "BertModel"
