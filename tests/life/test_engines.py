"""Every engine says what torch in fp32 says, of every head; and a Ray cluster writes the same files."""

from __future__ import annotations

import importlib.util
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import bertwright
from bertwright.cli.main import main
from bertwright.inference.int8 import multiplies_int8
from bertwright.inference.opening import EngineName
from tests.life.served import HEADS, write_models

ROWS: dict[str, list[dict[str, Any]]] = {
    "classifier": [{"text": "i like dog"}, {"text": ""}, {"text": "i like dog playing " * 9}],
    "pairs": [{"text_a": "i like", "text_b": "dog"}, {"text_a": "playing " * 20, "text_b": "dog"}],
    "rater": [{"text_a": "i like", "text_b": "dog"}],
    "multi": [{"text": "i like dog"}],
    "tagger": [{"text": "i like dog playing"}],
    "answerer": [{"question": "dog", "context": "i like dog playing " * 9}],
    "sentences": [{"text": "i like dog"}, {"text": "playing " * 30}],
}


int8 = pytest.mark.skipif(not multiplies_int8(), reason="this torch multiplies no 8 bits")


@pytest.fixture(scope="module")
def homes(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    return write_models(tmp_path_factory.mktemp("engines"))


def numbers(value: Any) -> list[float]:
    """All numbers of an answer, in their order."""
    if isinstance(value, dict):
        return [number for each in value.values() for number in numbers(each)]
    if isinstance(value, list):
        return [number for each in value for number in numbers(each)]
    return [float(value)] if isinstance(value, int | float) else []


@pytest.mark.slow
@pytest.mark.parametrize("name", ROWS)
def test_openvino_says_the_same(homes: dict[str, Path], name: str) -> None:
    pytest.importorskip("openvino")
    torch, openvino = (bertwright.load(homes[name], engine=engine) for engine in ("torch", "openvino"))
    assert (torch.runner.engine_told, openvino.runner.engine_told) == ("torch fp32 on cpu", "openvino fp32 on cpu")
    for one, other in zip(torch.predict(ROWS[name]), openvino.predict(ROWS[name]), strict=True):
        assert numbers(other["prediction"]) == pytest.approx(numbers(one["prediction"]), abs=1e-4)
    # What is not its own task stays with torch.
    texts = ["i like dog", "playing " * 30]
    np.testing.assert_allclose(openvino.embed(texts, "cls"), torch.embed(texts, "cls"), atol=1e-5)


def test_of_itself_it_is_torch_in_fp32_however_many_texts_there_are(homes: dict[str, Path]) -> None:
    for lasting in (False, True):
        assert bertwright.load(homes["sentences"], "cpu", lasting=lasting).runner.engine_told == "torch fp32 on cpu"


def test_an_engine_that_holds_to_its_threads_says_so(homes: dict[str, Path]) -> None:
    pytest.importorskip("openvino")
    engines: dict[EngineName, bool] = {"torch": True, "torch-compiled": False, "openvino": False}
    for engine, spreads in engines.items():
        assert bertwright.load(homes["sentences"], "cpu", engine=engine).runner.spreads == spreads


@pytest.mark.parametrize("engine", ["torch-bf16", "torch-int8", "torch-compiled", "openvino-bf16"])
@pytest.mark.slow
def test_the_others_are_near(homes: dict[str, Path], engine: EngineName) -> None:
    if engine.startswith("openvino"):
        pytest.importorskip("openvino")
    if engine == "torch-int8" and not multiplies_int8():
        pytest.skip("this torch multiplies no 8 bits")
    texts = ["i like dog", "dog", "playing " * 30]
    wanted = bertwright.load(homes["sentences"], engine="torch").embed(texts)
    found = bertwright.load(homes["sentences"], engine=engine).embed(texts)
    assert (wanted * found).sum(axis=1).min() > 0.999
    if engine == "torch-compiled":
        np.testing.assert_allclose(found, wanted, atol=1e-5)


@int8
@pytest.mark.parametrize("name", [*ROWS, "pretrained"])
def test_int8_answers_for_every_head(homes: dict[str, Path], name: str) -> None:
    exact, near = (bertwright.load(homes[name], engine=engine) for engine in ("torch", "torch-int8"))
    assert near.runner.engine_told == "torch int8 on cpu"
    assert near.runner.weights_hash() == f"{exact.runner.weights_hash()}-int8"
    if name == "pretrained":
        scores = [
            {each.word: each.probability for each in model.fill("i [MASK]")[0].candidates} for model in (exact, near)
        ]
        assert scores[1] == pytest.approx(scores[0], abs=0.02)
        return
    for one, other in zip(exact.predict(ROWS[name]), near.predict(ROWS[name]), strict=True):
        if name not in ("tagger", "answerer"):  # of random weights: a place that is nearly as good may win
            assert numbers(other["prediction"]) == pytest.approx(numbers(one["prediction"]), abs=0.05)
        assert type(other["prediction"]) is type(one["prediction"])


@int8
def test_in_int8_a_text_is_answered_alike_in_any_company(homes: dict[str, Path]) -> None:
    near = bertwright.load(homes["sentences"], engine="torch-int8")
    texts = ["i like dog", "playing " * 30, "", "dog dog dog i like"]
    alone = np.concatenate([near.embed([text]) for text in texts])
    np.testing.assert_allclose(near.embed(texts), alone, atol=1e-5)


def test_an_engine_that_is_none_for_it_is_refused(
    homes: dict[str, Path], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    rows = tmp_path / "rows.jsonl"
    rows.write_text('{"text": "dog"}\n')
    for options, told in (
        (["--engine", "ray"], "--engine ray writes a file; name it with --out"),
        (["--workers", "2"], "--workers is for --engine ray; leave it out"),
    ):
        assert main(["predict", str(homes["classifier"]), str(rows), *options]) == 2
        assert told in capsys.readouterr().err
    # Neither has rows of its own.
    assert set(HEADS) - set(ROWS) == {"pretrained", "chooser"}


@pytest.mark.slow
@pytest.mark.skipif(not importlib.util.find_spec("ray"), reason="the extra `ray` is not installed")
def test_ray_writes_the_same_files(homes: dict[str, Path], tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    rows = tmp_path / "rows.jsonl"
    rows.write_text('{"text": "i like dog"}\n{"text": "playing"}\n' * 1500)
    here, there = tmp_path / "here.jsonl", tmp_path / "there.jsonl"
    assert main(["predict", str(homes["classifier"]), str(rows), "--out", str(here)]) == 0
    ray = ["--engine", "ray", "--workers", "2"]
    assert main(["predict", str(homes["classifier"]), str(rows), "--out", str(there), *ray]) == 0
    assert "3,000 rows -> " in capsys.readouterr().err
    assert there.read_bytes() == here.read_bytes()
    texts = tmp_path / "texts.txt"
    texts.write_text("i like dog\nplaying\n" * 1500)
    for name, more in (("here.npy", []), ("there.npy", ray)):
        assert main(["embed", str(homes["sentences"]), str(texts), "--out", str(tmp_path / name), *more]) == 0
    np.testing.assert_allclose(np.load(tmp_path / "there.npy"), np.load(tmp_path / "here.npy"), atol=1e-6)
