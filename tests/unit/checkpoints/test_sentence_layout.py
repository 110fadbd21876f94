"""Directories of sentence-transformers: how a text becomes a vector is read from them too."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import bertwright
from bertwright.checkpoints.model_directory import read_model, write_model
from bertwright.errors import ModelError
from bertwright.heads.model import Parts
from bertwright.tokens.tokenizer import Tokenizer
from tests.unit.checkpoints.small import TOKENIZER, small_model


@pytest.fixture
def directory(tmp_path: Path) -> Path:
    path = tmp_path / "model"
    path.mkdir()
    write_model(path, small_model(Parts()), TOKENIZER)
    (path / "bertwright.json").unlink()
    return path


def modules(path: Path, *kinds: str, pooling: dict[str, Any] | None = None, **lengths: Any) -> None:
    places = {"Transformer": "", "Pooling": "1_Pooling"}
    listed = [
        {"idx": number, "path": places.get(kind, f"{number}_{kind}"), "type": f"x.models.{kind}"}
        for number, kind in enumerate(kinds)
    ]
    (path / "modules.json").write_text(json.dumps(listed))
    (path / "1_Pooling").mkdir(exist_ok=True)
    (path / "1_Pooling" / "config.json").write_text(json.dumps(pooling or {}))
    (path / "sentence_bert_config.json").write_text(json.dumps(lengths))


@pytest.mark.parametrize(
    ("pooling", "found"),
    [
        ({}, "mean"),
        ({"pooling_mode_cls_token": True, "pooling_mode_mean_tokens": False}, "cls"),
        ({"pooling_mode_cls_token": False, "pooling_mode_mean_tokens": True, "include_prompt": True}, "mean"),
        ({"pooling_mode": "cls", "include_prompt": True}, "cls"),
        ({"pooling_mode": ["mean"]}, "mean"),
    ],
)
def test_pooling(directory: Path, pooling: dict[str, Any], found: str) -> None:
    modules(directory, "Transformer", "Pooling", pooling=pooling, max_seq_length=9)
    loaded = read_model(directory)
    assert (loaded.task, loaded.longest, loaded.unused) == ("embed", 9, ())
    assert loaded.record == {"task": "embed", "pooling": found, "max_length": 9}


def test_vectors_are_as_the_modules_say(directory: Path) -> None:
    texts = ["I like dog", "play"]
    plain = bertwright.load(directory)
    mean, first = plain.embed(texts), plain.embed(texts, "cls")
    modules(directory, "Transformer", "Pooling", "Normalize", pooling={"pooling_mode": "cls"})
    model = bertwright.load(directory)
    vectors = model.embed(texts)
    assert np.allclose(np.linalg.norm(vectors, axis=1), 1)
    assert np.allclose(vectors, first / np.linalg.norm(first, axis=1, keepdims=True), atol=1e-6)
    assert np.array_equal(model.embed(texts, "mean", normalize=False), mean)
    assert [row["prediction"]["vector"] for row in model.predict([{"text": text} for text in texts])] == [
        pytest.approx(vector.tolist()) for vector in vectors
    ]


def test_the_encoder_may_lie_in_a_folder(directory: Path) -> None:
    old = directory.parent / "old"
    shutil.copytree(directory, old / "0_Transformer")
    modules(old, "Transformer", "Pooling")
    listed = json.loads((old / "modules.json").read_text())
    listed[0]["path"] = "0_Transformer"
    (old / "modules.json").write_text(json.dumps(listed))
    assert read_model(old).task == "embed"
    assert np.array_equal(bertwright.load(old).embed(["dog"]), bertwright.load(directory).embed(["dog"]))


@pytest.mark.parametrize(
    ("kinds", "pooling", "unused"),
    [
        (("Transformer", "Pooling", "Dense"), {}, "2_Dense (Dense)"),
        (("Transformer", "Pooling"), {"pooling_mode": "max"}, "1_Pooling (pooling max)"),
        (
            ("Transformer", "Pooling"),
            {"pooling_mode_cls_token": True, "pooling_mode_max_tokens": True},
            "1_Pooling (pooling cls and max_tokens)",
        ),
    ],
)
def test_what_has_no_place_here_is_told(
    directory: Path, kinds: tuple[str, ...], pooling: dict[str, Any], unused: str
) -> None:
    modules(directory, *kinds, pooling=pooling)
    loaded = read_model(directory)
    assert (loaded.task, loaded.record, loaded.unused) == ("", {}, (unused,))


def test_text_that_is_put_in_lower_case_first(directory: Path) -> None:
    write_model(directory, small_model(Parts()), Tokenizer(TOKENIZER.vocabulary, lowercase=False))
    modules(directory, "Transformer", "Pooling", do_lower_case=True)
    tokenizer = read_model(directory).tokenizer
    assert (tokenizer.lowercase, tokenizer.strip_accents) == (True, False)


@pytest.mark.parametrize(
    ("content", "what"),
    [
        ("{}", "/modules.json: a JSON list was expected"),
        ("[]", "/modules.json: its first module is no Transformer"),
        ("[3]", "/modules.json: 3 is no module with a `type` and a `path` within the directory; copy it again"),
        ('[{"path": "../other", "type": "x.Transformer"}]', "within the directory; copy it again"),
    ],
)
def test_modules_that_are_none(directory: Path, content: str, what: str) -> None:
    (directory / "modules.json").write_text(content)
    with pytest.raises(ModelError) as caught:
        read_model(directory)
    assert what in str(caught.value)


def test_a_fine_tuned_model_beside_such_files_keeps_its_task(directory: Path) -> None:
    write_model(directory, small_model(Parts(labels=2)), TOKENIZER, labels=("a", "b"), record={"task": "classify"})
    modules(directory, "Transformer", "Pooling")
    assert read_model(directory).task == "classify"
