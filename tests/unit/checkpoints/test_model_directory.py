from __future__ import annotations

import json
import os
import pickle
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file, save_file

from bertwright.checkpoints.model_directory import read_model, with_parts, write_model
from bertwright.checkpoints.names import to_theirs
from bertwright.checkpoints.weights import write_tensors
from bertwright.errors import ModelError
from bertwright.heads.model import PRETRAINING, Parts
from bertwright.tokens.tokenizer import Tokenizer
from bertwright.tokens.vocabulary import SPECIALS, Vocabulary
from tests.unit.checkpoints.small import CONFIG, TOKENIZER, small_model

DECODER = "cls.predictions.decoder.weight"
WORDS = "bert.embeddings.word_embeddings.weight"


@pytest.fixture
def directory(tmp_path: Path) -> Path:
    """A whole directory of a pretrained model."""
    write_model(tmp_path, small_model(PRETRAINING), TOKENIZER, record={"task": "pretrain"})
    return tmp_path


def change_config(directory: Path, **changes: Any) -> None:
    path = directory / "config.json"
    path.write_text(json.dumps(json.loads(path.read_text(encoding="utf-8")) | changes), encoding="utf-8")


def change_weights(directory: Path, change: Callable[[dict[str, torch.Tensor]], object]) -> None:
    path = directory / "model.safetensors"
    tensors = {name: tensor.clone() for name, tensor in load_file(path).items()}
    change(tensors)
    save_file(tensors, path)


def as_bin(directory: Path) -> Path:
    """Take the weights out of the directory; returns where the old kind of file is to lie."""
    (directory / "model.safetensors").unlink()
    return directory / "pytorch_model.bin"


def fault(directory: Path) -> str:
    """The message without the directory it begins with."""
    with pytest.raises(ModelError) as caught:
        read_model(directory)
    message = str(caught.value)
    assert message.startswith(str(directory))
    assert "\n" not in message
    assert caught.value.exit_code == 2
    return message.removeprefix(str(directory))


def test_the_files_of_a_directory(directory: Path) -> None:
    assert sorted(path.name for path in directory.iterdir()) == [
        "README.md",
        "bertwright.json",
        "config.json",
        "model.safetensors",
        "tokenizer.json",
        "tokenizer_config.json",
        "vocab.txt",
    ]
    assert json.loads((directory / "config.json").read_text(encoding="utf-8")) == {
        "architectures": ["BertForPreTraining"],
        "model_type": "bert",
        **CONFIG.model_dump(),
        "hidden_act": "gelu",
        "position_embedding_type": "absolute",
        "tie_word_embeddings": True,
        "dtype": "float32",
    }


def test_a_kill_while_writing_leaves_no_config(directory: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def kill(*_: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr("bertwright.checkpoints.model_directory.write_tensors", kill)
    with pytest.raises(KeyboardInterrupt):
        write_model(directory, small_model(Parts()), TOKENIZER)
    assert fault(directory).startswith(": holds no config.json")


def test_no_directory(tmp_path: Path) -> None:
    assert fault(tmp_path / "nowhere") == ": no such model directory"


def test_no_config(directory: Path) -> None:
    (directory / "config.json").unlink()
    assert fault(directory) == (
        ": holds no config.json, so it is no model directory; "
        "it holds a vocabulary: a model is made by bertwright pretrain"
    )


THAN = "than its layers; take a BERT such as google-bert/bert-base-uncased"


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"model_type": "electra"}, f"this is a 'electra' model, not a BERT; its embeddings are narrower {THAN}"),
        ({"model_type": "gpt2"}, "this is a 'gpt2' model, not a BERT; a BERT's `model_type` is 'bert'"),
        ({"hidden_act": "gelu_new"}, "`hidden_act` is 'gelu_new', but only 'gelu' is BERT's"),
        ({"hidden_act": "relu"}, "`hidden_act` is 'relu', but only 'gelu' is BERT's"),
        (
            {"position_embedding_type": "relative_key"},
            "`position_embedding_type` is 'relative_key', but only 'absolute' is BERT's",
        ),
        ({"is_decoder": True}, "`is_decoder` is True, but only False is BERT's"),
        ({"num_attention_heads": 3}, "`hidden_size` 8 is no multiple of `num_attention_heads` 3"),
        ({"hidden_size": "8"}, "`hidden_size` is '8', but should be a valid integer"),
        ({"num_hidden_layers": 0}, "`num_hidden_layers` is 0, but should be greater than or equal to 1"),
    ],
)
def test_what_is_no_bert_is_refused(directory: Path, changes: dict[str, Any], message: str) -> None:
    change_config(directory, **changes)
    assert fault(directory) == f"/config.json: {message}"


def test_a_config_that_is_no_json(directory: Path) -> None:
    (directory / "config.json").write_text('{"model_type": "bert",\n', encoding="utf-8")
    assert fault(directory).startswith("/config.json:")
    (directory / "config.json").write_text("[]", encoding="utf-8")
    assert fault(directory) == "/config.json: a JSON object was expected"


def test_what_does_not_concern_the_encoder_is_let_be(directory: Path) -> None:
    change_config(directory, gradient_checkpointing=False, use_cache=True, classifier_dropout=None, id2label=None)
    assert read_model(directory).model.config == CONFIG


def test_a_vocabulary_larger_than_the_model(directory: Path) -> None:
    with (directory / "vocab.txt").open("a", encoding="utf-8") as file:
        file.write("cat\n")
    assert fault(directory) == (
        "/vocab.txt: the vocabulary has 11 pieces, but the model only 10; "
        "put the vocabulary there that the model was trained with"
    )


def test_a_checkpoint_of_the_original_code_is_named_as_such(tmp_path: Path) -> None:
    (tmp_path / "bert_model.ckpt.index").touch()
    (tmp_path / "vocab.txt").touch()
    assert fault(tmp_path).endswith(f"it holds a checkpoint of the original code: bertwright convert {tmp_path} DIR")
    packed = tmp_path / "uncased.zip"
    packed.touch()
    with pytest.raises(
        ModelError, match=r"uncased.zip: is a file, and a model is a directory; a checkpoint of the origi"
    ):
        read_model(packed)


def test_a_head_that_is_named_and_not_there(directory: Path) -> None:
    change_config(directory, architectures=["BertForSequenceClassification"])
    assert "the head of BertForSequenceClassification, whose weights are missing" in read_model(directory).unused


def test_tokens_that_were_added_in_another_library_are_told(directory: Path) -> None:
    config = json.loads((directory / "tokenizer_config.json").read_text())
    config["added_tokens_decoder"]["10"] = {"content": "zebra"}
    (directory / "tokenizer_config.json").write_text(json.dumps(config))
    (directory / "added_tokens.json").write_text('{"[ENT]": 11}')
    assert read_model(directory).unused == ("the added token '[ENT]'", "the added token 'zebra'")
    # With vectors of their own they are used.
    wider = small_model(PRETRAINING, config=CONFIG.model_copy(update={"vocab_size": 12}))
    write_tensors(directory / "model.safetensors", to_theirs(dict(wider.named_parameters())))
    change_config(directory, vocab_size=12)
    found = read_model(directory)
    assert found.unused == ()
    assert found.tokenizer.ids("i like[ent]zebra") == [5, 6, 11, 10]


def test_weights_beside_a_graph_are_the_model(directory: Path) -> None:
    (directory / "model.onnx").write_bytes(b"a graph that somebody made of it")
    assert read_model(directory).unused == ()


def test_a_few_pieces_too_many_are_left_out(tmp_path: Path) -> None:
    words = [f"w{number}" for number in range(200)]
    config = CONFIG.model_copy(update={"vocab_size": 205})
    write_model(
        tmp_path, small_model(PRETRAINING, config=config), Tokenizer(Vocabulary([*SPECIALS, *words, "one", "two"]))
    )
    loaded = read_model(tmp_path)
    assert loaded.tokenizer.vocabulary.pieces == (*SPECIALS, *words)
    assert loaded.unused == ("the last 2 pieces of the vocabulary, which have no vectors",)
    assert loaded.tokenizer.ids("w3 one") == [8, loaded.tokenizer.vocabulary.unk_id]


def test_tensors_of_another_shape(directory: Path) -> None:
    change_config(directory, vocab_size=11)
    assert fault(directory) == (
        ": `bert.embeddings.word_embeddings.weight` has shape (10, 8), but config.json makes it (11, 8), "
        "`cls.predictions.bias` has shape (10,), but config.json makes it (11,)"
    )


@pytest.mark.parametrize(
    "missing",
    [
        "bert.embeddings.LayerNorm.bias",
        "bert.encoder.layer.1.output.dense.weight",
        "bert.encoder.layer.0.attention.self.query.bias",
        "bert.encoder.layer.0.attention.self.key.weight",
        "bert.encoder.layer.0.attention.self.value.weight",
        "cls.predictions.bias",
    ],
)
def test_a_tensor_that_is_missing(directory: Path, missing: str) -> None:
    change_weights(directory, lambda tensors: tensors.pop(missing))
    assert fault(directory) == f": the weights lack `{missing}`; the file is not whole; copy it again"


def test_a_layer_that_is_missing(directory: Path) -> None:
    change_config(directory, num_hidden_layers=3)
    layer = "bert.encoder.layer.2.attention"
    assert fault(directory) == (
        f": the weights lack `{layer}.self.query.weight`, `{layer}.self.key.weight`, `{layer}.self.value.weight` "
        "and 13 others; the file is not whole; copy it again"
    )


def test_a_key_of_another_shape(directory: Path) -> None:
    key = "bert.encoder.layer.0.attention.self.key.weight"
    change_weights(directory, lambda tensors: tensors.update({key: torch.zeros(8, 7)}))
    assert fault(directory) == f": `{key}` has shape (8, 7), but config.json makes it (8, 8)"


@pytest.mark.parametrize("names", [["query", "key", "value"], ["key"]])
def test_a_single_number_is_no_weight(directory: Path, names: list[str]) -> None:
    keys = [f"bert.encoder.layer.0.attention.self.{name}.weight" for name in names]
    change_weights(directory, lambda tensors: tensors.update({key: torch.tensor(1.0) for key in keys}))
    told = ", ".join(f"`{key}` has shape (), but config.json makes it (8, 8)" for key in keys)
    assert fault(directory) == f": {told}"


def test_a_classifier_of_a_single_number(tmp_path: Path) -> None:
    write_model(tmp_path, small_model(Parts(labels=2)), TOKENIZER, labels=("no", "yes"))
    change_weights(tmp_path, lambda tensors: tensors.update({"classifier.weight": torch.tensor(1.0)}))
    loaded = read_model(tmp_path)
    assert loaded.task == ""
    assert "classifier.weight" in loaded.unused


def test_whole_numbers_are_no_weights(directory: Path) -> None:
    key = "bert.encoder.layer.0.attention.self.key.weight"
    change_weights(directory, lambda tensors: tensors.update({key: torch.zeros(8, 8, dtype=torch.int64)}))
    assert fault(directory) == f": holds whole numbers where weights belong: `{key}`"


def test_no_weights(directory: Path) -> None:
    (directory / "model.safetensors").unlink()
    assert fault(directory) == ": holds no weights (model.safetensors or pytorch_model.bin)"


@pytest.mark.parametrize("keep", [0, 4, 200, -1])
def test_a_safetensors_file_cut_off(directory: Path, keep: int) -> None:
    path = directory / "model.safetensors"
    path.write_bytes(path.read_bytes()[:keep])
    message = fault(directory)
    assert message.startswith("/model.safetensors: is no whole safetensors file: ")
    assert message.endswith("; copy it again")


def test_a_shard_that_is_missing_or_outside(directory: Path) -> None:
    path = directory / "model.safetensors"
    path.rename(directory / "model-00001-of-00002.safetensors")
    index = directory / "model.safetensors.index.json"
    index.write_text(json.dumps({"weight_map": {"a": "model-00002-of-00002.safetensors"}}), encoding="utf-8")
    assert fault(directory) == "/model-00002-of-00002.safetensors: no such file"
    index.write_text(json.dumps({"weight_map": {"a": "../other.safetensors"}}), encoding="utf-8")
    assert (
        fault(directory) == "/model.safetensors.index.json: names a file outside the directory: '../other.safetensors'"
    )


class Payload:
    """Unpickling it makes a file; a real one would do worse."""

    def __init__(self, marker: Path) -> None:
        self.marker = marker

    def __reduce__(self) -> tuple[Any, ...]:
        return os.mkdir, (str(self.marker),)


@pytest.mark.parametrize("form", ["plain pickle", "zip", "before torch 1.6"])
def test_a_bin_file_that_would_run_code_is_refused_and_does_not(directory: Path, form: str) -> None:
    path, marker = as_bin(directory), directory / "it-ran"
    content = {WORDS: torch.zeros(10, 8), "payload": Payload(marker)}
    if form == "plain pickle":
        path.write_bytes(pickle.dumps(content["payload"]))
    else:
        torch.save(content, path, _use_new_zipfile_serialization=form == "zip")
    assert fault(directory).startswith("/pytorch_model.bin: is no plain file of weights: ")
    assert not marker.exists()

    # The payload is a live one: unpickling it as Python does runs it.
    pickle.loads(pickle.dumps(Payload(marker)))
    assert marker.exists()


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"no weights at all",
        b"PK\x03\x04 a zip, says its head",
        b"\x80\x02.",
        b"\x80\x02a",
        b"\x80\x02J\x01",
        b"\x80\x02h\x07",
    ],
)
def test_a_bin_file_of_something_else(directory: Path, content: bytes) -> None:
    as_bin(directory).write_bytes(content)
    assert fault(directory).startswith("/pytorch_model.bin: is no plain file of weights: ")


def test_a_bin_file_cut_off(directory: Path) -> None:
    tensors = load_file(directory / "model.safetensors")
    path = as_bin(directory)
    torch.save(tensors, path)
    path.write_bytes(path.read_bytes()[:-100])
    assert fault(directory).startswith("/pytorch_model.bin: is no plain file of weights: ")


def test_a_bin_file_of_other_things_than_tensors(directory: Path) -> None:
    torch.save({"epoch": 3}, as_bin(directory))
    assert fault(directory) == "/pytorch_model.bin: holds something other than named tensors"


UNTIED = ": the masked-word head has word embeddings of its own; BERT shares them"


def test_a_decoder_of_its_own(directory: Path) -> None:
    change_weights(directory, lambda tensors: tensors.update({DECODER: tensors[WORDS].clone()}))
    assert read_model(directory).unused == ()  # the same words a second time, as old files have them
    change_weights(directory, lambda tensors: tensors.update({DECODER: tensors[WORDS] + 1e-6}))
    assert fault(directory) == UNTIED


def test_a_config_that_unties_the_decoder(directory: Path) -> None:
    change_config(directory, tie_word_embeddings=False)
    assert fault(directory) == UNTIED


def test_untied_does_not_matter_without_a_decoder(tmp_path: Path) -> None:
    write_model(tmp_path, small_model(Parts(labels=2)), TOKENIZER, labels=("no", "yes"))
    change_config(tmp_path, tie_word_embeddings=False)
    assert read_model(tmp_path).labels == ("no", "yes")


def test_weights_without_a_place_are_told(directory: Path) -> None:
    change_weights(directory, lambda tensors: tensors.update({"qa_outputs.bias": torch.zeros(2)}))
    assert read_model(directory).unused == ("qa_outputs.bias",)


def test_the_classes_of_a_foreign_directory_may_have_no_names(tmp_path: Path) -> None:
    write_model(tmp_path, small_model(Parts(labels=2)), TOKENIZER, labels=("no", "yes"))
    change_config(tmp_path, id2label=None)
    assert read_model(tmp_path).labels == ("LABEL_0", "LABEL_1")


def test_a_model_with_other_parts_keeps_the_encoder_and_draws_the_rest() -> None:
    source = small_model(PRETRAINING)
    model, drawn = with_parts(source, Parts(labels=3), seed=1)
    assert drawn == ["classifier.dense.weight", "classifier.dense.bias"]
    known = dict(source.named_parameters())
    for name, parameter in model.named_parameters():
        if name not in drawn:
            assert torch.equal(parameter, known[name]), name
            assert parameter.data_ptr() != known[name].data_ptr()
    assert model.classifier is not None
    assert float(model.classifier.dense.weight.detach().abs().max()) <= 2 * CONFIG.initializer_range
    again, _ = with_parts(source, Parts(labels=3), seed=1)
    assert again.classifier is not None
    assert torch.equal(model.classifier.dense.weight, again.classifier.dense.weight)


def test_layers_that_the_config_does_not_know_are_told(directory: Path) -> None:
    values = json.loads((directory / "config.json").read_text())
    (directory / "config.json").write_text(json.dumps(values | {"num_hidden_layers": values["num_hidden_layers"] - 1}))
    unused = read_model(directory).unused
    assert unused
    assert all(f".layer.{values['num_hidden_layers'] - 1}." in name for name in unused)


def test_a_tagger_of_features_is_kept_beside_the_encoder(tmp_path: Path) -> None:
    ours, labels = small_model(Parts(pooler=False, tags=3, lstm=5)), ("O", "B-x", "I-x")
    write_model(tmp_path, ours, TOKENIZER, labels=labels, record={"task": "tag"})
    config = json.loads((tmp_path / "config.json").read_text(encoding="utf-8"))
    assert config["architectures"] == ["BertModel"]
    found = read_model(tmp_path)
    assert (found.task, found.labels, found.unused) == ("tag", labels, ())
    assert found.model.parts == ours.parts
    ids, mask = torch.tensor([[2, 5, 6, 3]]), torch.ones(1, 4, dtype=torch.bool)
    with torch.inference_mode():
        wanted = ours.tag_scores(ids, torch.zeros_like(ids), mask)
        assert torch.equal(found.model.tag_scores(ids, torch.zeros_like(ids), mask), wanted)
    # The layers are two, and it reads no more than there are.
    assert ours.feature_tagger is not None
    assert ours.feature_tagger.layers == 2

    change_weights(tmp_path, lambda tensors: tensors.pop("feature_tagger.lstm.bias_ih_l1"))
    assert (
        fault(tmp_path) == ": the weights lack `feature_tagger.lstm.bias_ih_l1`; the file is not whole; copy it again"
    )
