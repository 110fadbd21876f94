"""config.json: what it tells of a model, and what is told of one in it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from bertwright.encoder.config import EncoderConfig
from bertwright.errors import ModelError, SettingsError

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from bertwright.heads.model import Bert, Parts

CONFIG = "config.json"
# A score for each choice, of which the highest is chosen: a head that others train and we run.
CHOICE = "choice"
# transformers' `problem_type`, and the task that it is here.
_TASKS = {
    "single_label_classification": "classify",
    "multi_label_classification": "multilabel",
    "regression": "regress",
}
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


def is_of(values: dict[str, Any], kind: str) -> bool:
    """Whether config.json calls the model one for a kind of work, as transformers names it."""
    names = values.get("architectures")
    return isinstance(names, list) and any(kind in str(name) for name in names)


def task_name(parts: Parts, values: dict[str, Any]) -> str:
    """What the head is for, by config.json and the weights; empty where that is none of ours."""
    if parts.tags:
        return "tag"
    if parts.spans:
        return "answer"
    if not parts.labels:
        return ""
    if is_of(values, "MultipleChoice"):
        return CHOICE if parts.labels == 1 else ""
    kind = values.get("problem_type") or ("regression" if parts.labels == 1 else "single_label_classification")
    return _TASKS.get(str(kind), "") if (kind == "regression") == (parts.labels == 1) else ""


def headless(values: dict[str, Any], parts: Parts) -> list[str]:
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
    return [f"Bert{kind}" for kind, head in there.items() if is_of(values, kind) and not head]


def labels_of(values: dict[str, Any], count: int, where: Path) -> tuple[str, ...]:
    """Names of the classes; as transformers has it, LABEL_0 and so on for those that have none."""
    names = values.get("id2label") or {}
    if not isinstance(names, dict) or not all(isinstance(name, str) for name in names.values()):
        raise ModelError('`id2label` must be an object of names, as in {"0": "no"}', where=where, cure="correct it")
    labels = tuple(names.get(str(number), f"LABEL_{number}") for number in range(count))
    if len(set(labels)) < count:
        raise ModelError("`id2label` gives two classes one name", where=where, cure="correct it")
    return labels
