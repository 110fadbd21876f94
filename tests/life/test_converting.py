"""A model of each kind through every form: what comes out says the same, and its card's snippets run."""

from __future__ import annotations

import io
import json
import os
import re
import shlex
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

import bertwright
from bertwright.checkpoints.model_directory import read_model, write_model
from bertwright.cli.main import main
from bertwright.encoder.config import EncoderConfig
from bertwright.errors import ModelError, SettingsError
from bertwright.heads.model import PRETRAINING, Parts
from bertwright.tokens.tokenizer import Tokenizer
from bertwright.tokens.vocabulary import SPECIALS, Vocabulary
from tests.unit.checkpoints.small import small_model

WORDS = ["the", "ferry", "leaves", "at", "nine", "nobody", "takes", "it", "when", "does", ".", "?", "##s"]
TOKENIZER = Tokenizer(Vocabulary([*SPECIALS, *WORDS]))
CONFIG = EncoderConfig(
    num_hidden_layers=2,
    hidden_size=16,
    num_attention_heads=2,
    intermediate_size=32,
    vocab_size=len(TOKENIZER.vocabulary),
    max_position_embeddings=40,
)
KINDS: dict[str, tuple[Parts, tuple[str, ...], dict[str, Any]]] = {
    "pretrained": (PRETRAINING, (), {"lineage": [{"step": "pretrain"}]}),
    "classify": (Parts(labels=3), ("bad", "good", "so-so"), {"task": "classify"}),
    "pair": (Parts(labels=2), ("no", "yes"), {"task": "pair"}),
    "multilabel": (Parts(labels=3), ("a", "b", "c"), {"task": "multilabel"}),
    "regress": (Parts(labels=1), (), {"task": "regress", "columns": {"texts": ["a sentence"]}}),
    "tag": (Parts(pooler=False, tags=3), ("O", "B-x", "I-x"), {"task": "tag"}),
    "answer": (Parts(pooler=False, spans=True), (), {"task": "answer"}),
    "choice": (Parts(labels=1), (), {"task": "choice"}),
    "embed": (Parts(pooler=False), (), {"task": "embed", "pooling": "cls", "normalize": True}),
}


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    home = tmp_path_factory.mktemp("forms")
    for kind, (parts, labels, record) in KINDS.items():
        (home / kind).mkdir()
        # Weights as they are after training, not of any size: norms near 1, products near 0.
        model = small_model(parts, config=CONFIG)
        for parameter in model.parameters():
            parameter.data.mul_(0.2)
        write_model(home / kind, model, TOKENIZER, labels=labels, record=record)
    return home


def converted(source: Path, to: str, *more: str) -> Path:
    out = source.parent / f"{source.name}-{to}{''.join(more)}"
    if not out.exists():
        assert main(["convert", str(source), str(out), "--to", to, *more]) == 0
    return out


def found_by(capsys: pytest.CaptureFixture[str], *arguments: str | Path) -> dict[str, Any]:
    capsys.readouterr()
    assert main(["parity", *map(str, arguments), "--json"]) == 0
    found: dict[str, Any] = json.loads(capsys.readouterr().out)
    return found


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("to", ["hf", "google", "sentence-transformers"])
def test_forms_that_hold_weights_go_there_and_back(home: Path, kind: str, to: str, tmp_path: Path) -> None:
    there = converted(home / kind, to)
    assert main(["convert", str(there), str(tmp_path / "back")]) == 0
    ours, back = read_model(home / kind), read_model(tmp_path / "back")
    weights = dict(back.model.named_parameters())
    kept = to != "sentence-transformers" or kind == "embed"
    for name, parameter in ours.model.named_parameters():
        if kept or name.startswith(("encoder.", "pooler.")):
            assert weights[name].equal(parameter), name
    if kept:
        assert (back.task, back.labels, back.record) == (ours.task, ours.labels, ours.record | back.record)
    if to == "sentence-transformers":
        assert back.task == "embed"


@pytest.mark.slow
@pytest.mark.parametrize("kind", KINDS)
def test_onnx(home: Path, kind: str, capsys: pytest.CaptureFixture[str]) -> None:
    paths = [converted(home / kind, "onnx"), converted(home / kind, "onnx", "--fused")]
    for path in paths:
        found = found_by(capsys, home / kind, path)
        assert found["passed"]
        assert set(found["alone"]) <= {"last_hidden_state"}
        assert found["forms"] == ["hf", "onnx"]
        assert all(each["worst"] < 1e-4 for each in found["differences"])
        assert all(each["agreement"] in (None, 1.0) for each in found["differences"])
    onnx = pytest.importorskip("onnx")
    graph = onnx.load(paths[1] / "model.onnx").graph
    assert sum(node.op_type == "Attention" for node in graph.node) == 2
    shape = [dimension.dim_param for dimension in graph.input[0].type.tensor_type.shape.dim]
    assert shape == ["batch", "length"]


@pytest.mark.slow
@pytest.mark.parametrize("kind", ["pretrained", "tag", "embed"])
def test_openvino_and_packages_of_torch(home: Path, kind: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert found_by(capsys, home / kind, converted(home / kind, "openvino"))["passed"]
    package = converted(home / kind, "torch-export")
    assert main(["parity", str(home / kind), str(package)]) == 2
    told = "a package of torch.export runs whatever code it holds when it is opened; give --trust if you made it"
    assert capsys.readouterr().err.splitlines()[-1] == f"bertwright: {package}: {told}"
    assert found_by(capsys, home / kind, package, "--trust")["passed"]


@pytest.mark.slow
def test_int8_tells_what_it_costs(home: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    rows = tmp_path / "rows.jsonl"
    model = bertwright.load(home / "classify")
    texts = [f"{WORDS[number % 10]} {WORDS[number % 7]} {WORDS[number % 3]}." for number in range(120)]
    with rows.open("w") as file:
        for text, found in zip(texts, model.classify(texts), strict=True):
            file.write(json.dumps({"text": text, "label": found.label}) + "\n")
    convert = ["convert", str(home / "classify"), str(tmp_path / "int8"), "--to", "openvino", "--precision", "int8"]
    assert main(convert) == 2
    assert "int8 takes its ranges from text of yours" in capsys.readouterr().err
    assert main([*convert, "--calibrate", str(rows)]) == 0
    shown = capsys.readouterr()
    assert shown.out == ""
    told = re.search(r"on 24 rows kept aside, before and after: accuracy 1.0000 -> ([01]\.\d+)", shown.err)
    assert told is not None
    assert float(told[1]) > 0.7
    record = json.loads((tmp_path / "int8/bertwright.json").read_text())
    assert record["exported"]["scores"]["accuracy"] == [1.0, pytest.approx(float(told[1]), abs=1e-4)]
    assert record["precision"] == "int8"
    assert record["lineage"][-1]["calibrated_on"] == "rows.jsonl"


@pytest.mark.slow
def test_bf16_and_int8_of_texts_tell_how_much_is_alike(home: Path, tmp_path: Path) -> None:
    texts = tmp_path / "texts.txt"
    texts.write_text("".join(f"the {WORDS[number % 10]} {WORDS[number % 7]}.\n" for number in range(60)))
    for precision, more in (("bf16", []), ("int8", ["--calibrate", str(texts)])):
        out = tmp_path / precision
        convert = ["convert", str(home / "classify"), str(out), "--to", "openvino", "--precision", precision]
        assert main([*convert, *more]) == 0
        exported = json.loads((out / "bertwright.json").read_text())["exported"]
        assert exported["precision"] == precision
        assert 0.7 < exported["alike"]["logits"] <= 1
        assert "scores" not in exported


@pytest.mark.slow
@pytest.mark.parametrize("more", [[], ["--fused"]], ids=["plain", "fused"])
def test_int8_of_onnx_finds_its_ranges_itself(
    home: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], more: list[str]
) -> None:
    texts = tmp_path / "texts.txt"
    texts.write_text("".join(f"the {WORDS[number % 10]} {WORDS[number % 7]}.\n" for number in range(60)))
    convert = ["convert", str(home / "classify"), str(tmp_path / "fp32"), "--to", "onnx", *more]
    assert main(convert) == 0
    convert = ["convert", str(home / "classify"), str(tmp_path / "int8"), "--to", "onnx", "--precision", "int8", *more]
    assert main(convert) == 0
    sizes = {name: (tmp_path / name / "model.onnx").stat().st_size for name in ("fp32", "int8")}
    assert sizes["int8"] < sizes["fp32"]
    assert sorted(path.name for path in (tmp_path / "int8").iterdir()) == sorted(
        path.name for path in (tmp_path / "fp32").iterdir()
    )
    record = json.loads((tmp_path / "int8/bertwright.json").read_text())
    assert (record["precision"], record["lineage"][-1]["precision"]) == ("int8", "int8")
    assert 0.7 < record["exported"]["alike"]["logits"] <= 1
    assert main([*convert, "--calibrate", str(texts), "--overwrite"]) == 0
    assert json.loads((tmp_path / "int8/bertwright.json").read_text())["lineage"][-1]["measured_on"] == "texts.txt"
    capsys.readouterr()
    (tmp_path / "one.jsonl").write_text(json.dumps({"text": "the ferry leaves at nine."}) + "\n")
    assert main(["predict", str(tmp_path / "int8"), str(tmp_path / "one.jsonl")]) == 0
    shown = capsys.readouterr()
    assert "onnx int8 on cpu" in shown.err
    assert json.loads(shown.out)["prediction"]["label"] in bertwright.load(home / "classify").labels


@pytest.mark.slow
def test_int8_of_pairs_without_labels(home: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    rows = tmp_path / "pairs.jsonl"
    pairs = [{"text_a": WORDS[number % 10], "text_b": f"the {WORDS[number % 7]}."} for number in range(60)]
    rows.write_text("".join(json.dumps(pair) + "\n" for pair in pairs))
    convert = ["convert", str(home / "pair"), str(tmp_path / "out"), "--to", "openvino", "--precision", "int8"]
    assert main([*convert, "--calibrate", str(rows)]) == 0
    assert "not labelled rows of `pair` (" in capsys.readouterr().err
    exported = json.loads((tmp_path / "out/bertwright.json").read_text())["exported"]
    assert 0.5 < exported["alike"]["logits"] <= 1


def test_wishes_that_do_not_fit_are_refused(home: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    own = "says in its own files whether case matters; --lower-case is for checkpoints of the original code"
    for more, told in (
        (["--to", "google", "--fused"], "--fused is for --to onnx; leave it out"),
        (["--precision", "bf16"], "--precision bf16 is for --to openvino; leave it out"),
        (["--to", "onnx", "--precision", "bf16"], "--precision bf16 is for --to openvino; leave it out"),
        (["--precision", "int8"], "--precision int8 is for --to openvino and --to onnx; leave it out"),
        (["--calibrate", "x.jsonl"], "--calibrate is for --precision int8; leave it out"),
        (["--keep-case"], f"{home / 'classify'}: {own}; leave it out"),
    ):
        assert main(["convert", str(home / "classify"), str(tmp_path / "out"), *more]) == 2
        assert capsys.readouterr().err.splitlines()[-1] == f"bertwright: {told}"
    assert not (tmp_path / "out").exists()


ASKED: dict[str, dict[str, Any]] = {
    "classify": {"text": "the ferry leaves at nine. " * 12},
    "pair": {"text_a": "the ferry leaves at nine. " * 12, "text_b": "nobody takes it"},
    "multilabel": {"text": "the ferry leaves"},
    "regress": {"a sentence": "the ferry leaves"},
    "tag": {"words": ["the", "ferry", "leaves"] * 20},
    "answer": {"question": "when does it?", "context": "the ferry leaves at nine. " * 12},
    "embed": {"text": "the ferry leaves at nine. " * 12},
}


def assert_alike(one: Any, other: Any) -> None:
    """The same JSON, but for the last bits of its numbers."""
    if isinstance(one, dict):
        assert one.keys() == other.keys()
        for key in one:
            assert_alike(one[key], other[key])
    elif isinstance(one, list):
        assert len(one) == len(other)
        for a, b in zip(one, other, strict=True):
            assert_alike(a, b)
    else:
        assert one == (pytest.approx(other, abs=1e-4) if isinstance(other, float) else other)


@pytest.mark.slow
@pytest.mark.parametrize("kind", ASKED)
@pytest.mark.parametrize("to", ["onnx", "openvino"])
def test_a_graph_answers_as_the_model_does(home: Path, kind: str, to: str) -> None:
    """Texts of several windows too."""
    model, graph = bertwright.load(home / kind), bertwright.load(converted(home / kind, to))
    assert graph.labels == model.labels
    found, wanted = (next(each.predict([ASKED[kind]]))["prediction"] for each in (graph, model))
    assert_alike(found, wanted)


@pytest.mark.slow
@pytest.mark.parametrize("to", ["onnx", "openvino"])
def test_a_graph_fills_embeds_and_chooses(home: Path, to: str) -> None:
    masked, choices = "the [MASK] leaves at [MASK].", ["it", "nobody takes it"]
    model, graph = (bertwright.load(each) for each in (home / "pretrained", converted(home / "pretrained", to)))
    for a, b in zip(graph.fill(masked, 3), model.fill(masked, 3), strict=True):
        assert (a.start, a.end) == (b.start, b.end)
        assert [each.word for each in a.candidates] == [each.word for each in b.candidates]
    texts = ["the ferry leaves at nine. " * 12, "", "nobody takes it"]
    np.testing.assert_allclose(graph.embed(texts), model.embed(texts), atol=1e-4)
    model, graph = (bertwright.load(each) for each in (home / "embed", converted(home / "embed", to)))
    np.testing.assert_allclose(graph.embed(texts), model.embed(texts), atol=1e-5)
    np.testing.assert_allclose(graph.embed(texts, pooling="mean"), model.embed(texts, pooling="mean"), atol=1e-4)
    model, graph = (bertwright.load(each) for each in (home / "choice", converted(home / "choice", to)))
    assert graph.choose("the ferry", choices).probabilities == pytest.approx(
        model.choose("the ferry", choices).probabilities, abs=1e-5
    )


@pytest.mark.slow
def test_what_a_graph_cannot_do_is_told(home: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    graph, package = converted(home / "classify", "onnx"), converted(home / "classify", "torch-export")
    rows = tmp_path / "rows.jsonl"
    rows.write_text('{"text": "it", "label": "bad"}\n{"text": "ferry", "label": "good"}\n')
    assert main(["evaluate", str(graph), str(rows), "--json"]) == 0
    found = json.loads(capsys.readouterr().out)
    assert main(["evaluate", str(home / "classify"), str(rows), "--json"]) == 0
    assert found == json.loads(capsys.readouterr().out)
    for arguments, told in (
        (["evaluate", graph, rows, "--precision", "bf16"], "--precision is for weights: a graph is run as it was"),
        (["evaluate", graph, rows, "--precision", "int8"], "--precision is for weights: a graph is run as it was"),
        (["fill", graph, "the [MASK]"], "has no masked-word head"),
        (["embed", graph, rows, "--out", tmp_path / "x.npy"], "gives no 'last_hidden_state', which `embed` needs"),
        (["predict", package, rows], "a package of torch.export runs whatever code it holds when it is opened"),
        (["finetune", graph, "--task", "classify", "--train", rows, "--dev", rows, "--out", tmp_path / "m"], "a graph"),
    ):
        assert main(list(map(str, arguments))) == 2
        assert told in capsys.readouterr().err.splitlines()[-1]
    shutil.copytree(graph, tmp_path / "odd")
    values = json.loads((graph / "config.json").read_text())
    (tmp_path / "odd/config.json").write_text(json.dumps(values | {"id2label": {"0": "bad", "1": "good"}}))
    assert main(["predict", str(tmp_path / "odd"), str(rows)]) == 2
    assert "gives 3 scores, and config.json names 2 labels; export the model again" in capsys.readouterr().err
    with pytest.raises(SettingsError, match="a graph is run on the CPU"):
        bertwright.load(graph, device="cuda")


@pytest.mark.slow
def test_a_graph_is_no_model_to_train_on(home: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    graph = converted(home / "classify", "torch-export")
    assert main(["convert", str(graph), str(tmp_path / "out"), "--to", "hf"]) == 2
    assert capsys.readouterr().err.splitlines()[-1] == (
        f"bertwright: {graph}: holds a graph (torch-export), and weights are needed, which no graph gives back; "
        "name the model that it was exported from"
    )


@pytest.mark.parametrize("to", ["google", "onnx", "openvino", "torch-export"])
def test_an_lstm_has_no_place_in_them(tmp_path: Path, to: str, capsys: pytest.CaptureFixture[str]) -> None:
    source = tmp_path / "source"
    source.mkdir()
    model = small_model(Parts(pooler=False, tags=3, lstm=4), config=CONFIG)
    write_model(source, model, TOKENIZER, labels=("O", "B-x", "I-x"), record={"task": "tag"})
    assert main(["convert", str(source), str(tmp_path / "out"), "--to", to]) == 2
    assert re.match(r"bertwright: .*/source: its tagger (is|reads) .*LSTM", capsys.readouterr().err.splitlines()[-1])
    assert not (tmp_path / "out").exists()


def test_forms_of_other_models_fail(home: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    other = tmp_path / "other"
    other.mkdir()
    model = small_model(KINDS["classify"][0], config=CONFIG, seed=1)
    write_model(other, model, TOKENIZER, labels=KINDS["classify"][1])
    assert main(["parity", str(home / "classify"), str(other)]) == 1
    shown = capsys.readouterr().out.splitlines()
    assert shown[0].startswith("hf and hf, 28 texts, ")
    assert shown[-1].startswith("FAIL: worst difference ")
    assert main(["parity", str(home / "classify"), str(home / "answer")]) == 1
    assert capsys.readouterr().out.splitlines()[-1] == "FAIL: each has a head that the other has not, tolerance 0.0001"


def test_parity_on_texts_of_ones_own(home: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "texts.txt").write_text("the ferry\n\nleaves at nine.\nnobody\n")
    found = found_by(capsys, home / "classify", home / "classify", "--text", tmp_path / "texts.txt", "--most", "2")
    assert (found["texts"], found["passed"]) == (2, True)
    (tmp_path / "empty.txt").write_text("\n\n")
    assert main(["parity", str(home / "tag"), str(home / "tag"), "--text", str(tmp_path / "empty.txt")]) == 2
    assert capsys.readouterr().err == f"bertwright: {tmp_path / 'empty.txt'}: holds no texts\n"


def test_other_libraries_say_the_same(home: Path, capsys: pytest.CaptureFixture[str]) -> None:
    pytest.importorskip("transformers")
    pytest.importorskip("sentence_transformers")
    for kind, said in (
        ("pretrained", {"last_hidden_state", "prediction_logits", "seq_relationship_logits"}),
        ("classify", {"last_hidden_state", "logits"}),
        ("choice", {"last_hidden_state", "logits"}),
        ("tag", {"last_hidden_state", "logits"}),
        ("answer", {"last_hidden_state", "start_logits", "end_logits"}),
    ):
        found = found_by(capsys, home / kind, f"transformers:{converted(home / kind, 'hf')}", "--tolerance", "1e-5")
        assert {each["name"] for each in found["differences"]} == said


@pytest.mark.parametrize("engine", ["torch-bf16", "torch-int8"])
def test_what_fewer_bits_change_is_told(home: Path, engine: str, capsys: pytest.CaptureFixture[str]) -> None:
    found = found_by(capsys, home / "classify", f"{engine}:{home / 'classify'}", "--tolerance", "1")
    worst = {each["name"]: each["worst"] for each in found["differences"]}
    assert worst.keys() == {"last_hidden_state", "logits"}
    assert all(1e-5 < each < 1 for each in worst.values()), worst


@pytest.mark.parametrize("pooling", ["mean", "cls"])
@pytest.mark.parametrize("normalize", [False, True])
def test_sentence_transformers_gives_the_same_vectors_there_and_back(
    home: Path, tmp_path: Path, pooling: str, normalize: bool, capsys: pytest.CaptureFixture[str]
) -> None:
    library = pytest.importorskip("sentence_transformers")
    source = tmp_path / "source"
    source.mkdir()
    record = {"task": "embed", "pooling": pooling, "normalize": normalize}
    write_model(source, read_model(home / "embed").model, TOKENIZER, record=record)
    path = converted(source, "sentence-transformers")
    found = found_by(capsys, source, f"sentence-transformers:{path}", "--tolerance", "1e-5")
    assert {each["name"] for each in found["differences"]} == {"last_hidden_state", "sentence_embedding"}
    # And what that library writes of it is read here.
    library.SentenceTransformer(str(path), device="cpu").save(str(tmp_path / "saved"))
    assert found_by(capsys, source, tmp_path / "saved", "--tolerance", "1e-5")["passed"]


def test_a_choice_is_the_one_that_transformers_makes(home: Path, capsys: pytest.CaptureFixture[str]) -> None:
    transformers = pytest.importorskip("transformers")
    text, choices = "when does the ferry leaves?", ["at nine.", "nobody takes it.", "the ferry"]
    chosen = bertwright.load(home / "choice").choose(text, choices)
    theirs = transformers.AutoModelForMultipleChoice.from_pretrained(home / "choice").eval()
    tokenizer = transformers.AutoTokenizer.from_pretrained(home / "choice")
    inputs = tokenizer([text] * 3, choices, padding=True, return_tensors="pt")
    with torch.inference_mode():
        shares = theirs(**{name: tensor[None] for name, tensor in inputs.items()}).logits[0].softmax(0)
    assert chosen.probabilities == pytest.approx(shares.tolist(), abs=1e-5)
    assert chosen.choice == int(shares.argmax())
    assert main(["predict", str(home / "choice"), "-"]) == 2
    assert "chooses between texts" in capsys.readouterr().err
    with pytest.raises(ModelError, match="has no head that chooses"):
        bertwright.load(home / "classify").choose(text, choices)


def test_a_sentence_encoder_goes_on_as_it_was(home: Path, tmp_path: Path) -> None:
    """Fine-tuned from a directory of sentence-transformers, it keeps its pooling, its normalisation and its length."""
    rows = tmp_path / "rows.jsonl"
    pairs = [("the ferry leaves", "nobody takes it"), ("at nine", "when does it"), ("it leaves", "the ferry .")]
    rows.write_text("".join(json.dumps({"text_a": a, "text_b": b}) + "\n" for a, b in pairs))
    learn = [
        "finetune",
        str(converted(home / "embed", "sentence-transformers")),
        "--task",
        "embed",
        "--train",
        str(rows),
    ]
    learn += ["--dev", str(rows), "--set", "epochs=1"]
    assert main([*learn, "--out", str(tmp_path / "out")]) == 0
    record = json.loads((tmp_path / "out/bertwright.json").read_text())
    assert (record["pooling"], record["normalize"], record["max_length"]) == ("cls", True, 40)
    assert np.allclose(np.linalg.norm(bertwright.load(tmp_path / "out").embed(["it leaves"]), axis=1), 1)
    wishes = ["--set", "pooling=mean", "--set", "normalize=false", "--out", str(tmp_path / "other")]
    assert main([*learn, *wishes]) == 0
    record = json.loads((tmp_path / "other/bertwright.json").read_text())
    assert (record["pooling"], record.get("normalize")) == ("mean", None)


def test_what_was_drawn_on_dev_comes_along(home: Path, tmp_path: Path) -> None:
    source = tmp_path / "source"
    (source / "dev").mkdir(parents=True)
    (source / "dev/confusion.png").write_bytes(b"a picture")
    loaded = read_model(home / "classify")
    record = {"task": "classify", "metrics": {"accuracy": 0.5}}
    write_model(source, loaded.model, TOKENIZER, labels=loaded.labels, record=record)
    for _ in range(2):
        assert main(["convert", str(source), str(tmp_path / "copy"), "--overwrite"]) == 0
    assert (tmp_path / "copy/dev/confusion.png").read_bytes() == b"a picture"


def snippets(card: str) -> list[tuple[str, str]]:
    return re.findall(r"^```(sh|python)\n(.*?)^```$", card, flags=re.MULTILINE | re.DOTALL)


@pytest.mark.slow
@pytest.mark.parametrize("kind", [*KINDS, "google", "sentence-transformers", "onnx", "openvino", "torch-export"])
def test_the_snippets_of_a_card_run(
    home: Path, kind: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    pytest.importorskip("transformers")
    path = converted(home / "classify", kind) if kind not in KINDS else home / kind
    found = snippets((path / "README.md").read_text())
    languages = {
        "google": ["sh"],
        "sentence-transformers": ["python", "python"],
        "torch-export": ["python"],
        "choice": ["python"],
    }
    assert [language for language, _ in found] == languages.get(kind, ["sh", "python", "python"])
    monkeypatch.chdir(home)
    for language, code in found:
        capsys.readouterr()
        if language == "sh":
            # `echo TEXT | bertwright ...`: the processes take seconds to start, and one test has them do so.
            before, _, after = code.partition(" | ")
            if after:
                monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(f"{shlex.split(before)[1]}\n".encode())))
            assert main(shlex.split(after or before)[1:]) == 0
            assert capsys.readouterr().out or (home / "vectors.npy").exists() or kind == "google"
        else:
            exec(code, {})
            assert capsys.readouterr().out


@pytest.mark.slow
def test_the_command_of_a_card_runs_in_a_shell(home: Path) -> None:
    _, command = snippets((home / "classify/README.md").read_text())[0]
    environment = os.environ | {"PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}"}
    done = subprocess.run(command, shell=True, cwd=home, env=environment, capture_output=True, text=True, check=True)
    assert json.loads(done.stdout)["prediction"]["label"] in KINDS["classify"][1]


def test_a_model_says_where_it_came_from(home: Path, tmp_path: Path) -> None:
    assert main(["convert", str(converted(home / "pretrained", "google")), str(tmp_path / "ours")]) == 0
    assert json.loads((tmp_path / "ours/bertwright.json").read_text())["lineage"] == [{"step": "pretrain"}]
    foreign = tmp_path / "foreign"
    foreign.mkdir()
    for name in ("config.json", "model.safetensors", "vocab.txt"):
        (foreign / name).write_bytes((home / "pretrained" / name).read_bytes())
    assert main(["convert", str(foreign), str(tmp_path / "known"), "--to", "google"]) == 0
    (step,) = json.loads((tmp_path / "known/bertwright.json").read_text())["lineage"]
    assert (step["step"], step["form"], step["source"]) == ("convert", "hf", "foreign")


def test_embed_takes_the_models_own_pooling(home: Path, tmp_path: Path) -> None:
    (tmp_path / "texts.txt").write_text("the ferry leaves\nnobody takes it\n")
    embed = ["embed", str(home / "embed"), str(tmp_path / "texts.txt"), "--out", str(tmp_path / "out.npy")]
    assert main(embed) == 0
    vectors = np.load(tmp_path / "out.npy")
    model = bertwright.load(home / "embed")
    texts = ["the ferry leaves", "nobody takes it"]
    assert np.array_equal(vectors, model.embed(texts))
    assert np.allclose(np.linalg.norm(vectors, axis=1), 1)
    assert main([*embed, "--overwrite", "--pooling", "mean", "--no-normalize"]) == 0
    assert np.array_equal(np.load(tmp_path / "out.npy"), model.embed(texts, "mean", normalize=False))
