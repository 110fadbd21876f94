"""From text to prediction through the command line, with a model small enough for a test."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch

import bertwright
from bertwright.checkpoints.model_directory import read_model
from bertwright.cli.main import main
from bertwright.inference.int8 import multiplies_int8
from tests.made_text import write_corpus, write_rows

TINY = [
    "--set", "model.preset=bert-tiny",
    "--set", "model.num_hidden_layers=1",
    "--set", "model.hidden_size=64",
    "--set", "model.intermediate_size=128",
    "--set", "examples.max_length=48",
    "--set", "model.initializer_range=0.1",
    "--set", "training.steps=1200",
    "--set", "training.batch_size=16",
    "--set", "training.learning_rate=5e-3",
    "--set", "training.evaluate_every=600",
    "--set", "training.precision=fp32",
]  # fmt: skip

Read = Callable[[], str]


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder in which the life was lived up to a pretrained model and two classifiers."""
    home = tmp_path_factory.mktemp("life")
    corpus = write_corpus(home / "corpus.jsonl")
    assert main(["vocab", str(corpus), "--size", "120", "--out", str(home / "vocab")]) == 0
    arguments = ["--vocab", str(home / "vocab"), "--out", str(home / "shards"), "--held-out", "0.1"]
    assert main(["prepare", str(corpus), *arguments]) == 0
    assert main(["pretrain", "quickstart", "--data", str(home / "shards"), "--out", str(home / "model"), *TINY]) == 0
    for task, suffix in (("classify", "jsonl"), ("pair", "tsv")):
        train = write_rows(home / f"{task}-train.{suffix}", 300, 1, pair=task == "pair")
        dev = write_rows(home / f"{task}-dev.{suffix}", 60, 2, pair=task == "pair")
        files = ["--train", str(train), "--dev", str(dev), "--out", str(home / task)]
        settings = ["--set", "epochs=10", "--set", "learning_rate=2e-3", "--set", "precision=fp32"]
        assert main(["finetune", str(home / "model"), "--task", task, *files, *settings]) == 0
    return home


def last_scores(home: Path) -> dict[str, float]:
    lines = (home / "model/run/metrics.jsonl").read_text().splitlines()
    scores: dict[str, float] = [row for row in map(json.loads, lines) if "held_out_mlm_accuracy" in row][-1]
    return scores


def test_pretraining_beats_the_unigram_baseline(home: Path) -> None:
    record = json.loads((home / "model/bertwright.json").read_text())
    assert last_scores(home)["held_out_mlm_accuracy"] > record["baseline"]["mlm_accuracy"] + 0.2
    assert record["metrics"]["mlm_loss"] < record["baseline"]["mlm_loss"]


def test_the_curves_are_a_picture(home: Path) -> None:
    assert (home / "model/run/curves.png").read_bytes().startswith(b"\x89PNG")


def test_fill_knows_where_a_whale_lives(home: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["fill", str(home / "model"), "The whale of the [MASK] sleeps at night.", "--json"]) == 0
    answer = json.loads(capsys.readouterr().out)
    assert answer["text"][answer["masks"][0]["start"] : answer["masks"][0]["end"]] == "[MASK]"
    assert answer["masks"][0]["candidates"][0]["word"] == "sea"


def test_the_classifier_tells_the_place(home: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["evaluate", str(home / "classify"), str(home / "classify-dev.jsonl"), "--json"]) == 0
    scores = json.loads(capsys.readouterr().out)
    assert set(scores) == {"accuracy", "macro_f1", "mcc"}
    assert scores["accuracy"] > 0.9


@pytest.mark.parametrize(("precision", "dtype"), [("fp32", torch.float32), ("bf16", torch.bfloat16)])
def test_rows_are_scored_in_what_was_asked_for(
    home: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, precision: str, dtype: torch.dtype
) -> None:
    seen = set()
    gelu = torch.nn.functional.gelu

    def spying(inputs: torch.Tensor) -> torch.Tensor:
        seen.add(inputs.dtype)
        return gelu(inputs)

    monkeypatch.setattr("torch.nn.functional.gelu", spying)
    command = ["evaluate", str(home / "classify"), str(home / "classify-dev.jsonl"), "--precision", precision]
    assert main([*command, "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["accuracy"] > 0.9
    assert seen == {dtype}


@pytest.mark.parametrize("data", ["classify-dev.jsonl", "shards"])
@pytest.mark.skipif(not multiplies_int8(), reason="this torch multiplies no 8 bits")
def test_what_int8_costs_is_told(home: Path, capsys: pytest.CaptureFixture[str], data: str) -> None:
    model = home / ("model" if data == "shards" else "classify")
    scores = []
    for precision in ("fp32", "int8"):
        assert main(["evaluate", str(model), str(home / data), "--precision", precision, "--json"]) == 0
        scores.append(json.loads(capsys.readouterr().out))
    assert scores[1] == pytest.approx(scores[0], abs=0.05)
    if data == "shards":  # no label, but a probability: it tells that something was rounded
        assert scores[1]["mlm_loss"] != scores[0]["mlm_loss"]


def test_the_pair_task_beats_the_majority(home: Path, capsys: pytest.CaptureFixture[str]) -> None:
    record = json.loads((home / "pair/bertwright.json").read_text())
    assert record["metrics"]["accuracy"] > record["baseline"]["accuracy"] + 0.1
    assert main(["evaluate", str(home / "pair"), str(home / "pair-dev.tsv"), "--json"]) == 0
    scores = json.loads(capsys.readouterr().out)
    assert scores == pytest.approx(record["metrics"], abs=1e-6)
    assert [step["step"] for step in record["lineage"]] == ["vocabulary", "prepare", "pretrain", "finetune"]


@pytest.mark.parametrize("task", ["classify", "pair"])
def test_a_fine_tuning_shows_its_answers_to_the_dev_rows(home: Path, task: str) -> None:
    folder = home / task
    names = {path.name for path in (folder / "dev").iterdir()}
    assert names == {"classes.json", "errors.jsonl", "confusion.png", "reliability.png", "curve.png"}
    record = json.loads((folder / "bertwright.json").read_text())
    errors = [json.loads(line) for line in (folder / "dev/errors.jsonl").read_text().splitlines()]
    rows = record["data"]["dev"]["rows"]
    assert len(errors) == record["errors"]["rows"] == round(rows * (1 - record["metrics"]["accuracy"]))
    assert [row["loss"] for row in errors] == sorted((row["loss"] for row in errors), reverse=True)
    assert sum(score["support"] for score in record["classes"].values()) == rows
    card = (folder / "README.md").read_text()
    linked = re.findall(r"!\[[^\]]*\]\(([^)]*)\)", card)
    assert sorted(linked) == ["dev/confusion.png", "dev/curve.png", "dev/reliability.png"]
    assert all((folder / path).read_bytes().startswith(b"\x89PNG") for path in linked)


def test_sentences_that_stand_in_train_and_dev_are_told(home: Path) -> None:
    record = json.loads((home / "classify/bertwright.json").read_text())
    texts = {
        name: [json.loads(line)["text"] for line in (home / f"classify-{name}.jsonl").read_text().splitlines()]
        for name in ("train", "dev")
    }
    shared = sum(text in set(texts["train"]) for text in texts["dev"])
    assert 0 < shared < len(texts["dev"])
    assert record["shared_rows"]["rows"] == record["shared_rows"]["exact"] == shared
    assert record["shared_rows"]["other_label"] == 0
    assert f"**Dev rows that stand in train too: {shared} (" in (home / "classify/README.md").read_text()
    assert record["metrics_without_shared_rows"].keys() == record["metrics"].keys()


def test_answers_below_the_threshold_chosen_on_dev_are_none(
    home: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    # Too short a training, so that some rows are wrong; then the share of right ones among the surest is asked for.
    files = ["--train", str(home / "pair-train.tsv"), "--dev", str(home / "pair-dev.tsv")]
    settings = ["--set", "epochs=1", "--set", "learning_rate=3e-4", "--set", "precision=fp32"]
    learn = ["finetune", str(home / "model"), "--task", "pair", *files, *settings]
    assert main([*learn, "--out", str(tmp_path / "plain")]) == 0
    answers = [
        (max(row["prediction"]["probabilities"].values()), row["prediction"]["label"] == row["label"])
        for row in bertwright.load(tmp_path / "plain").predict(home / "pair-dev.tsv")
    ]
    right = np.cumsum([one for _, one in sorted(answers, reverse=True)])
    assert right[-1] < 60
    wanted = float((right / np.arange(1, 61))[4:].max())
    assert wanted > right[-1] / 60
    assert main([*learn, "--out", str(tmp_path / "m"), "--set", f"abstain_accuracy={wanted - 1e-6}"]) == 0
    record = json.loads((tmp_path / "m/bertwright.json").read_text())
    capsys.readouterr()
    assert main(["evaluate", str(tmp_path / "m"), str(home / "pair-dev.tsv"), "--json"]) == 0
    scores = json.loads(capsys.readouterr().out)
    assert scores == pytest.approx(record["metrics"], abs=1e-6)
    assert record["abstain_below"] > 0
    assert record["temperature"] != 1
    assert scores["accuracy_where_sure"] >= wanted - 1e-6
    errors = [json.loads(line) for line in (tmp_path / "m/dev/errors.jsonl").read_text().splitlines()]
    assert len(errors) == round(60 * (1 - scores["accuracy"])) > 0
    assert [row["loss"] for row in errors] == sorted((row["loss"] for row in errors), reverse=True)


def test_predict_keeps_the_row_and_adds_the_prediction(home: Path, capsys: pytest.CaptureFixture[str]) -> None:
    rows = home / "rows.jsonl"
    rows.write_text('{"id": 7, "text": "The shark eats in winter."}\n{"id": 8, "text": "The hen plays."}\n')
    assert main(["predict", str(home / "classify"), str(rows)]) == 0
    found = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    assert [(row["id"], row["prediction"]["label"]) for row in found] == [(7, "sea"), (8, "farm")]
    assert sum(found[0]["prediction"]["probabilities"].values()) == pytest.approx(1, abs=1e-5)


def test_embed_writes_a_vector_a_text(home: Path) -> None:
    (home / "texts.txt").write_text("The whale sleeps.\nThe whale sleeps.\nThe goat eats every morning.\n")
    for pooling in ("mean", "cls"):
        out = home / f"{pooling}.npy"
        assert (
            main(["embed", str(home / "model"), str(home / "texts.txt"), "--out", str(out), "--pooling", pooling]) == 0
        )
        vectors = np.load(out)
        assert vectors.shape == (3, 64)
        np.testing.assert_allclose(vectors[0], vectors[1], atol=1e-6)
        assert np.abs(vectors[0] - vectors[2]).max() > 1e-3


def test_python_says_the_same_as_the_command_line(home: Path) -> None:
    model = bertwright.load(home / "model")
    assert model.fill("The bear of the [MASK] hides.")[0].candidates[0].word == "forest"
    assert model.embed(["The bear hides."]).shape == (1, 64)
    classifier = bertwright.load(home / "classify")
    assert classifier.classify(["The wolf waits."])[0].label == "forest"
    row = {"id": 3, "text": "The crab hides."}
    found = next(classifier.predict([row]))
    assert (found["id"], found["prediction"]["label"], found["prediction"]["cut"]) == (3, "sea", 0)
    scores = bertwright.evaluate(home / "classify", home / "classify-dev.jsonl")
    assert scores["accuracy"] > 0.9
    assert scores == {key: pytest.approx(value) for key, value in classifier.record["metrics"].items()}
    assert bertwright.evaluate(home / "model", home / "shards")["mlm_accuracy"] > 0.3
    assert bertwright.inspect("bert-large").total == 335_141_888
    shape = bertwright.inspect(home / "model")
    assert shape.total == sum(parameter.numel() for parameter in read_model(home / "model").model.parameters())


def test_tokenize_and_inspect(home: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (home / "one.txt").write_text("The whale\n")
    assert main(["tokenize", str(home / "model"), str(home / "one.txt"), "--json"]) == 0
    found = json.loads(capsys.readouterr().out)
    assert found["pieces"] == ["the", "whale"]
    assert [found["text"][start:end] for start, end in found["spans"]] == ["The", "whale"]
    assert main(["inspect", str(home / "model"), "--json"]) == 0
    table = json.loads(capsys.readouterr().out)
    assert table["total"] == sum(part["parameters"] for part in table["components"])


def test_a_recipe_is_found_beside_the_folder_of_its_name(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "quickstart").mkdir()
    monkeypatch.chdir(tmp_path)
    assert main(["inspect", "quickstart"]) == 0
    assert capsys.readouterr().out.startswith("quickstart: 4 layers, hidden 256,")


def test_inspect_prints_the_papers_numbers(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["inspect", "bert-base"]) == 0
    base = capsys.readouterr().out
    for number in ("23,837,184", "7,087,872", "85,054,464", "590,592", "109,482,240"):
        assert number in base
    assert main(["inspect", "bert-large", "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["total"] == 335_141_888


@pytest.mark.parametrize("task", ["model", "classify"])
def test_transformers_loads_the_directories_as_they_lie(home: Path, task: str) -> None:
    import transformers

    classes = {
        "model": ["AutoModel", "AutoModelForMaskedLM", "AutoModelForPreTraining", "AutoModelForSequenceClassification"],
        "classify": ["AutoModel", "AutoModelForSequenceClassification"],
    }
    tokenizer = transformers.AutoTokenizer.from_pretrained(home / task)
    text = "The whale of the sea sleeps at night."
    ours = bertwright.load(home / task)
    assert tokenizer(text)["input_ids"][1:-1] == ours.tokenizer.ids(text)
    inputs = tokenizer(text, return_tensors="pt")
    for name in classes[task]:
        theirs, info = getattr(transformers, name).from_pretrained(home / task, output_loading_info=True)
        allowed = {"classifier.weight", "classifier.bias"} if task == "model" else set()
        assert set(info["missing_keys"]) <= allowed
        with torch.inference_mode():
            theirs.eval()(**inputs)
    if task == "classify":
        model = transformers.AutoModelForSequenceClassification.from_pretrained(home / task).eval()
        with torch.inference_mode():
            best = model(**inputs).logits.argmax().item()
        assert model.config.id2label[best] == ours.classify([text])[0].label


def test_convert_writes_a_directory_that_says_the_same(home: Path) -> None:
    assert main(["convert", str(home / "classify"), str(home / "copy"), "--to", "hf"]) == 0
    # What was drawn on dev comes along, so that the card is the same but for its name.
    cards = [(home / name / "README.md").read_text().replace(f"{name}", "") for name in ("classify", "copy")]
    assert "![" in cards[0]
    assert (home / "copy/dev/confusion.png").exists()
    assert cards[0].count("![") == cards[1].count("![")
    text = ["The owl plays."]
    assert bertwright.load(home / "copy").classify(text) == bertwright.load(home / "classify").classify(text)


def test_running_text_trains_masked_words_alone(home: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    transformers = pytest.importorskip("transformers")
    more = ["--set", 'examples.segments="none"', "--set", "training.steps=600", "--set", 'examples.masked_unit="span"']
    data, out = ["--data", str(home / "shards")], tmp_path / "model"
    assert main(["pretrain", "quickstart", *data, "--out", str(out), *TINY, *more]) == 0
    told = capsys.readouterr().err
    assert "NSP" not in told
    assert "100.00% of the text is in an example" in told
    capsys.readouterr()
    assert main(["evaluate", str(out), str(home / "shards"), "--json"]) == 0
    scores = json.loads(capsys.readouterr().out)
    record = json.loads((out / "bertwright.json").read_text())
    assert scores["mlm_accuracy"] == pytest.approx(record["metrics"]["mlm_accuracy"], abs=0.05)
    assert scores["mlm_accuracy"] > record["baseline"]["mlm_accuracy"] + 0.2
    assert "nsp_accuracy" not in scores
    _, missing = transformers.AutoModelForMaskedLM.from_pretrained(out, output_loading_info=True)
    assert not missing["missing_keys"]
    # A model with pairs goes on without them, and one without goes on with them.
    for first, segments, steps in ((home / "model", "none", "1"), (out, "next_sentence", "1")):
        again = tmp_path / f"from-{first.name}-{segments}"
        more = ["--set", f'examples.segments="{segments}"', "--set", f"training.steps={steps}", "--init", str(first)]
        assert main(["pretrain", "quickstart", *data, "--out", str(again), *TINY[:-8], *more]) == 0


@pytest.mark.skipif(not any(map(shutil.which, ("g++", "clang++", "c++"))), reason="there is no C++ compiler")
def test_compiling_changes_no_more_than_rounding(home: Path, tmp_path: Path) -> None:
    losses = []
    for compiled in ("false", "true"):
        out = tmp_path / compiled
        short = [*TINY, "--set", "training.steps=6", "--set", "training.log_every=6", "--set"]
        data = ["--data", str(home / "shards"), "--out", str(out)]
        assert main(["pretrain", "quickstart", *data, *short, f"machine.compile={compiled}"]) == 0
        losses.append(json.loads((out / "run/metrics.jsonl").read_text().splitlines()[0])["loss"])
    assert losses[0] == pytest.approx(losses[1], rel=1e-4)


def test_pretraining_goes_on_from_a_model(home: Path, tmp_path: Path) -> None:
    data = ["--data", str(home / "shards"), "--out", str(tmp_path / "on"), "--init", str(home / "model")]
    assert (
        main(["pretrain", "quickstart", *data, *TINY, "--set", "training.steps=1", "--set", "training.log_every=1"])
        == 0
    )
    first = json.loads((tmp_path / "on/run/metrics.jsonl").read_text().splitlines()[0])
    assert first["mlm_loss"] < json.loads((home / "model/run/metrics.jsonl").read_text().splitlines()[0])["mlm_loss"]


def test_a_first_answer_waits_for_no_compiler(home: Path) -> None:
    """torch's takes a second to load: by itself it comes with the first numbers drawn, or with a GPU's kernel."""
    code = (
        "import sys, bertwright; bertwright.load(sys.argv[1]).fill('The [MASK] waits.'); "
        "print([name for name in ('torch._dynamo', 'sympy', 'pandas', 'matplotlib') if name in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code, str(home / "model")], capture_output=True, text=True, check=True)
    assert done.stdout == "[]\n"
