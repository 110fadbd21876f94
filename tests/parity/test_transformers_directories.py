"""Model directories go both ways: transformers loads ours as they lie, and what it saves loads here."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor

from bertwright.checkpoints.configuration import CHOICE
from bertwright.checkpoints.model_directory import read_model, write_model
from bertwright.encoder.config import EncoderConfig
from bertwright.heads.model import PRETRAINING, Bert, Parts
from bertwright.tokens.layout import tokenizer_files
from bertwright.tokens.tokenizer import Tokenizer
from bertwright.tokens.vocabulary import SPECIALS, Vocabulary
from tests.parity.reference import (
    Examples,
    assert_vectors_near,
    config_of_transformers,
    examples,
    put_weights,
    random_model,
)

transformers: Any = pytest.importorskip("transformers")

TOKENIZER = Tokenizer(Vocabulary([*SPECIALS, "i", "like", "dog", "play", "##ing", "中"]))
# The vocabulary is padded, as many are.
CONFIG = EncoderConfig(
    num_hidden_layers=2,
    hidden_size=32,
    num_attention_heads=4,
    intermediate_size=72,
    vocab_size=16,
    max_position_embeddings=20,
)
LABELS = ("bad", "good", "so-so")
BATCH = examples(CONFIG, seed=5)

POOLER = {"bert.pooler.dense.bias", "bert.pooler.dense.weight"}
WORDS = {
    "cls.predictions.bias",
    "cls.predictions.transform.LayerNorm.bias",
    "cls.predictions.transform.LayerNorm.weight",
    "cls.predictions.transform.dense.bias",
    "cls.predictions.transform.dense.weight",
}
FEATURES = {"feature_tagger.dense.bias", "feature_tagger.dense.weight"} | {
    f"feature_tagger.lstm.{kind}_{part}_l{layer}{way}"
    for kind in ("weight", "bias")
    for part in ("ih", "hh")
    for layer in (0, 1)
    for way in ("", "_reverse")
}
NEXT = {"cls.seq_relationship.bias", "cls.seq_relationship.weight"}
CLASSES = {"classifier.bias", "classifier.weight"}
NOTHING: set[str] = set()


def our_outputs(model: Bert, batch: Examples) -> dict[str, Tensor]:
    """Everything that the model can say of the batch, by name."""
    with torch.inference_mode():
        hidden = model.encoder(*batch.inputs).hidden
        found = {"hidden": hidden[batch.attention_mask]}
        if model.pooler is not None:
            found["pooled"] = pooled = model.pooled(hidden)
            if model.next_sentence is not None:
                found["next sentence"] = model.next_sentence(pooled)
        if model.masked_words is not None:
            found["words"] = model.word_scores(hidden[batch.attention_mask])
        if model.classifier is not None:
            found["classes"] = model.class_scores(*batch.inputs)
        if model.tagger is not None:
            found["tags"] = model.tag_scores(*batch.inputs)[batch.attention_mask]
        if model.spans is not None:
            found["spans"] = model.span_scores(*batch.inputs)[batch.attention_mask]
    return found


def their_outputs(model: Any, batch: Examples) -> dict[str, Tensor]:
    """The same of a model of transformers, whichever heads it has."""
    with torch.inference_mode():
        output = model(**batch.named, output_hidden_states=True)
        encoder = model.bert if hasattr(model, "bert") else model
        hidden = output.hidden_states[-1]
        found = {"hidden": hidden[batch.attention_mask]}
        if encoder.pooler is not None:
            found["pooled"] = encoder.pooler(hidden)
    kind = type(model).__name__
    if kind == "BertForPreTraining":
        found["words"] = output.prediction_logits[batch.attention_mask]
        found["next sentence"] = output.seq_relationship_logits
    elif kind == "BertForMaskedLM":
        found["words"] = output.logits[batch.attention_mask]
    elif kind == "BertForNextSentencePrediction":
        found["next sentence"] = output.logits
    elif kind == "BertForSequenceClassification":
        found["classes"] = output.logits
    elif kind == "BertForTokenClassification":
        found["tags"] = output.logits[batch.attention_mask]
    elif kind == "BertForQuestionAnswering":
        found["spans"] = torch.stack([output.start_logits, output.end_logits], dim=-1)[batch.attention_mask]
    return found


def assert_same(found: dict[str, Tensor], wanted: dict[str, Tensor], *, only: set[str] | None = None) -> None:
    names = wanted.keys() if only is None else only
    assert names <= found.keys()
    for name in names:
        assert_vectors_near(found[name], wanted[name], name)


def keys_of(info: dict[str, Any]) -> tuple[set[str], set[str]]:
    """The missing and the unexpected keys that transformers reports; the bias of the tied decoder is a second name."""
    assert not info["mismatched_keys"]
    assert not info["error_msgs"]
    return set(info["missing_keys"]) - {"cls.predictions.decoder.bias"}, set(info["unexpected_keys"])


@pytest.mark.parametrize(
    ("parts", "loader", "missing", "unexpected"),
    [
        pytest.param(*case, id=f"{name} by {case[1]}")
        for name, case in [
            ("pretraining", (PRETRAINING, "AutoModel", NOTHING, WORDS | NEXT)),
            ("pretraining", (PRETRAINING, "AutoModelForMaskedLM", NOTHING, POOLER | NEXT)),
            ("pretraining", (PRETRAINING, "AutoModelForPreTraining", NOTHING, NOTHING)),
            ("pretraining", (PRETRAINING, "AutoModelForNextSentencePrediction", NOTHING, WORDS)),
            ("pretraining", (PRETRAINING, "AutoModelForSequenceClassification", CLASSES, WORDS | NEXT)),
            ("words only", (Parts(pooler=False, masked_words=True), "AutoModelForMaskedLM", NOTHING, NOTHING)),
            ("next only", (Parts(next_sentence=True), "AutoModelForNextSentencePrediction", NOTHING, NOTHING)),
            ("encoder", (Parts(), "AutoModel", NOTHING, NOTHING)),
            ("classifier", (Parts(labels=3), "AutoModel", NOTHING, CLASSES)),
            ("classifier", (Parts(labels=3), "AutoModelForSequenceClassification", NOTHING, NOTHING)),
            ("number", (Parts(labels=1), "AutoModelForSequenceClassification", NOTHING, NOTHING)),
            ("tagger", (Parts(pooler=False, tags=3), "AutoModelForTokenClassification", NOTHING, NOTHING)),
            ("features", (Parts(tags=3, lstm=5), "AutoModel", NOTHING, FEATURES)),
            ("answer", (Parts(pooler=False, spans=True), "AutoModelForQuestionAnswering", NOTHING, NOTHING)),
        ]
    ],
)
def test_transformers_loads_our_directory(
    tmp_path: Path,
    parts: Parts,
    loader: str,
    missing: set[str],
    unexpected: set[str],
) -> None:
    ours = random_model(CONFIG, parts, deviation=0.2, seed=6)
    named = 3 in (parts.labels, parts.tags)
    record = {"task": "regress"} if parts.labels == 1 else {}
    write_model(tmp_path, ours, TOKENIZER, labels=LABELS if named else (), record=record)

    theirs, info = getattr(transformers, loader).from_pretrained(tmp_path, output_loading_info=True)
    assert keys_of(info) == (missing, unexpected)
    wanted = our_outputs(ours, BATCH)
    drawn_anew = {"classes"} if "classifier.weight" in missing else set()
    found = their_outputs(theirs.eval(), BATCH)
    assert_same(found, wanted, only=found.keys() - drawn_anew)
    if parts.labels == 1:
        assert (theirs.config.problem_type, theirs.config.num_labels) == ("regression", 1)
    if named:
        assert theirs.config.id2label == dict(enumerate(LABELS))
        assert theirs.config.label2id == {label: number for number, label in enumerate(LABELS)}


def test_transformers_loads_our_tokenizer(tmp_path: Path) -> None:
    write_model(tmp_path, random_model(CONFIG, PRETRAINING, deviation=0.2, seed=6), TOKENIZER)
    theirs = transformers.AutoTokenizer.from_pretrained(tmp_path)
    assert theirs.model_max_length == CONFIG.max_position_embeddings
    assert theirs("I like dog", "playing")["input_ids"] == [2, 5, 6, 7, 3, 8, 9, 3]
    assert theirs("I like dog", "playing")["token_type_ids"] == [0, 0, 0, 0, 0, 1, 1, 1]


def test_our_directory_loads_here_as_it_was(tmp_path: Path) -> None:
    ours = random_model(CONFIG, Parts(masked_words=True, next_sentence=True, labels=3), deviation=0.2, seed=6)
    write_model(tmp_path, ours, TOKENIZER, labels=LABELS, record={"task": "classify"})
    found = read_model(tmp_path)
    assert found.labels == LABELS
    assert found.record == {"task": "classify"}
    assert found.unused == ()
    assert found.tokenizer.vocabulary == TOKENIZER.vocabulary
    assert found.model.config == CONFIG
    assert found.model.parts == ours.parts
    assert not found.model.training
    for (name, parameter), (same, other) in zip(found.model.named_parameters(), ours.named_parameters(), strict=True):
        assert name == same
        assert parameter.requires_grad
        assert torch.equal(parameter, other), name


def their_model(kind: str, parts: Parts, **more: Any) -> Any:
    """A model of transformers with random weights everywhere."""
    ours = random_model(CONFIG, parts, deviation=0.2, seed=7)
    config = config_of_transformers(transformers, CONFIG, "sdpa")
    if parts.labels == 1:
        config.num_labels = 1
    elif parts.labels or parts.tags:
        config.id2label, config.label2id = dict(enumerate(LABELS)), {label: i for i, label in enumerate(LABELS)}
    theirs = getattr(transformers, kind)(config, **more)
    put_weights(theirs, ours)
    return theirs


THEIRS = [
    pytest.param("BertModel", Parts(), {}, id="BertModel"),
    pytest.param("BertModel", Parts(pooler=False), {"add_pooling_layer": False}, id="BertModel without pooler"),
    pytest.param("BertForMaskedLM", Parts(pooler=False, masked_words=True), {}, id="BertForMaskedLM"),
    pytest.param("BertForPreTraining", PRETRAINING, {}, id="BertForPreTraining"),
    pytest.param("BertForNextSentencePrediction", Parts(next_sentence=True), {}, id="BertForNextSentencePrediction"),
    pytest.param("BertForSequenceClassification", Parts(labels=3), {}, id="BertForSequenceClassification"),
    pytest.param("BertForSequenceClassification", Parts(labels=1), {}, id="BertForSequenceClassification of a number"),
    pytest.param("BertForTokenClassification", Parts(pooler=False, tags=3), {}, id="BertForTokenClassification"),
    pytest.param("BertForQuestionAnswering", Parts(pooler=False, spans=True), {}, id="BertForQuestionAnswering"),
]


def add_tokenizer(path: Path) -> None:
    for name, content in tokenizer_files(TOKENIZER, max_length=CONFIG.max_position_embeddings).items():
        (path / name).write_bytes(content)


def assert_loads_here(path: Path, theirs: Any, parts: Parts) -> None:
    found = read_model(path)
    assert found.model.parts == parts
    assert found.model.config == CONFIG
    assert found.unused == ()
    assert found.labels == (LABELS if 3 in (parts.labels, parts.tags) else ())
    kinds = {0: "", 1: "regress", 3: "classify"}
    assert found.task == ("tag" if parts.tags else "answer" if parts.spans else kinds[parts.labels])
    assert found.record == {}
    assert_same(our_outputs(found.model, BATCH), their_outputs(theirs, BATCH))


@pytest.mark.parametrize("files", ["one file", "shards"])
@pytest.mark.parametrize(("kind", "parts", "more"), THEIRS)
def test_what_transformers_saves_loads_here(
    tmp_path: Path, kind: str, parts: Parts, more: dict[str, Any], files: str
) -> None:
    theirs = their_model(kind, parts, **more)
    theirs.save_pretrained(tmp_path, max_shard_size="20KB" if files == "shards" else "5GB")
    add_tokenizer(tmp_path)
    assert (len(list(tmp_path.glob("*.safetensors"))) > 1) == (files == "shards")
    assert_loads_here(tmp_path, theirs, parts)


def test_a_choice_saved_by_transformers_loads_here(tmp_path: Path) -> None:
    theirs = their_model("BertForMultipleChoice", Parts(labels=1))
    theirs.save_pretrained(tmp_path)
    add_tokenizer(tmp_path)
    found = read_model(tmp_path)
    assert (found.task, found.labels, found.unused) == (CHOICE, (), ())
    with torch.inference_mode():
        scores = found.model.class_scores(*BATCH.inputs)[:, 0]
        choices = {
            "input_ids": BATCH.input_ids[None],
            "token_type_ids": BATCH.token_type_ids[None],
            "attention_mask": BATCH.attention_mask[None].long(),
        }
        assert_vectors_near(scores, theirs.eval()(**choices).logits[0], "choices")


def test_a_resized_vocabulary_saved_by_transformers_loads_here(tmp_path: Path) -> None:
    theirs = their_model("BertForMaskedLM", Parts(pooler=False, masked_words=True))
    theirs.resize_token_embeddings(21, mean_resizing=False)
    theirs.save_pretrained(tmp_path)
    add_tokenizer(tmp_path)
    found = read_model(tmp_path)
    assert (found.model.config.vocab_size, found.unused) == (21, ())
    with torch.inference_mode():
        hidden = found.model.encoder(*BATCH.inputs).hidden
        wanted = theirs.eval()(BATCH.input_ids, BATCH.attention_mask.long(), BATCH.token_type_ids).logits
    scores = found.model.word_scores(hidden[BATCH.attention_mask])
    assert_vectors_near(scores, wanted[BATCH.attention_mask], "words")


@pytest.mark.parametrize("archive", [True, False], ids=["zip", "before torch 1.6"])
@pytest.mark.parametrize(("kind", "parts", "more"), THEIRS)
def test_an_old_bin_file_loads_here(
    tmp_path: Path, kind: str, parts: Parts, more: dict[str, Any], archive: bool
) -> None:
    theirs = their_model(kind, parts, **more)
    theirs.config.save_pretrained(tmp_path)
    tensors = {
        name.replace("LayerNorm.weight", "LayerNorm.gamma").replace("LayerNorm.bias", "LayerNorm.beta"): tensor
        for name, tensor in theirs.state_dict().items()
    }
    # Files of 2018 and 2019 hold the position numbers and the tied decoder too.
    start = "" if kind == "BertModel" else "bert."
    tensors[f"{start}embeddings.position_ids"] = torch.arange(CONFIG.max_position_embeddings)[None]
    torch.save(tensors, tmp_path / "pytorch_model.bin", _use_new_zipfile_serialization=archive)
    (tmp_path / "vocab.txt").write_bytes(TOKENIZER.vocabulary.to_bytes())
    assert_loads_here(tmp_path, theirs, parts)


def test_half_precision_is_read_as_fp32(tmp_path: Path) -> None:
    theirs = their_model("BertForPreTraining", PRETRAINING).to(torch.bfloat16)
    theirs.save_pretrained(tmp_path)
    add_tokenizer(tmp_path)
    assert {parameter.dtype for parameter in read_model(tmp_path).model.parameters()} == {torch.float32}
    assert_loads_here(tmp_path, theirs.float(), PRETRAINING)


@pytest.mark.parametrize(
    ("problem", "labels", "task"),
    [
        ("single_label_classification", 3, "classify"),
        ("multi_label_classification", 3, "multilabel"),
        ("regression", 1, "regress"),
        ("regression", 3, ""),
        ("what nobody knows", 3, ""),
    ],
)
def test_what_a_head_is_for(tmp_path: Path, problem: str, labels: int, task: str) -> None:
    theirs = their_model("BertForSequenceClassification", Parts(labels=labels))
    theirs.save_pretrained(tmp_path)
    add_tokenizer(tmp_path)
    config = json.loads((tmp_path / "config.json").read_text())
    (tmp_path / "config.json").write_text(json.dumps(config | {"problem_type": problem}))
    found = read_model(tmp_path)
    assert found.task == task
    assert found.model.parts == (Parts(labels=labels) if task else Parts())
    assert set(found.unused) == (NOTHING if task else CLASSES)
    assert_same(our_outputs(found.model, BATCH), their_outputs(theirs, BATCH), only={"hidden", "pooled"})
    if task:
        (again := tmp_path / "again").mkdir()
        write_model(again, found.model, found.tokenizer, labels=found.labels, record={"task": task})
        assert read_model(again).task == task


def test_what_loads_here_is_written_for_transformers_again(tmp_path: Path) -> None:
    theirs = their_model("BertForSequenceClassification", Parts(labels=3))
    (first := tmp_path / "theirs").mkdir()
    (second := tmp_path / "ours").mkdir()
    theirs.save_pretrained(first)
    add_tokenizer(first)
    loaded = read_model(first)
    write_model(second, loaded.model, loaded.tokenizer, labels=loaded.labels)
    again = transformers.AutoModelForSequenceClassification.from_pretrained(second)
    for (name, parameter), (same, other) in zip(again.named_parameters(), theirs.named_parameters(), strict=True):
        assert name == same
        assert torch.equal(parameter, other), name
    known = json.loads((second / "config.json").read_text(encoding="utf-8"))
    assert known["architectures"] == ["BertForSequenceClassification"]
