"""Questions on texts through the command line: fine-tuned, scored, answered, with a model small enough for a test."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import bertwright
from bertwright.checkpoints.model_directory import write_model
from bertwright.cli.main import main
from bertwright.encoder.config import EncoderConfig
from bertwright.errors import ModelError, RowError, SettingsError
from bertwright.heads.model import Bert, Parts
from bertwright.tokens.tokenizer import Tokenizer
from bertwright.tokens.vocabulary import SPECIALS, Vocabulary

PLACES = ["sea", "farm", "wood", "caf", "##e"]
FILLERS = ["the", "whale", "goat", "bear", "sleeps", "eats", "plays", "there", "now", "often"]
TOKENIZER = Tokenizer(Vocabulary([*SPECIALS, *PLACES, *FILLERS, "where", "is", "it", "?", "."]))
SETTINGS = ["--set", "max_length=24", "--set", "overlap=8", "--set", "epochs=8", "--set", "learning_rate=5e-3"]


def questions(count: int, seed: int, *, none: float) -> list[dict[str, Any]]:
    """The answer is the one place that a text names, its first word or its fiftieth; a share of `none` name none."""
    random = np.random.default_rng(seed)
    found = []
    for number in range(count):
        words = [str(word) for word in random.choice(FILLERS, size=random.integers(3, 50))]
        answers = []
        if random.random() >= none:
            place = str(random.choice(["Sea", "farm", "wood", "café"]))
            at = int(random.integers(0, len(words)))
            words.insert(at, place)
            answers = [{"text": place, "answer_start": len(" ".join([*words[:at], ""]))}]
        found.append({"id": str(number), "question": "Where is it?", "context": " ".join(words), "answers": answers})
    return found


def squad(path: Path, rows: list[dict[str, Any]]) -> Path:
    paragraphs = [{"context": row["context"], "qas": [row]} for row in rows]
    path.write_text(json.dumps({"version": "v2.0", "data": [{"title": "places", "paragraphs": paragraphs}]}))
    return path


def jsonl(path: Path, rows: list[dict[str, Any]]) -> Path:
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    return path


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An encoder of random weights, and models that were taught with it on texts which all hold an answer or not."""
    home = tmp_path_factory.mktemp("answers")
    config = EncoderConfig(
        num_hidden_layers=1,
        hidden_size=32,
        num_attention_heads=2,
        intermediate_size=64,
        vocab_size=len(TOKENIZER.vocabulary),
        max_position_embeddings=24,
        initializer_range=0.1,
    )
    model = Bert(config, Parts(pooler=False))
    model.initialise(1)
    (home / "model").mkdir()
    write_model(home / "model", model, TOKENIZER)
    for name, none, write in (("always", 0.0, jsonl), ("maybe", 0.4, squad)):
        suffix = "json" if write is squad else "jsonl"
        train = write(home / f"{name}-train.{suffix}", questions(300, 1, none=none))
        dev = write(home / f"{name}-dev.{suffix}", questions(80, 2, none=none))
        files = ["--train", str(train), "--dev", str(dev), "--out", str(home / name)]
        assert main(["finetune", str(home / "model"), "--task", "answer", *files, *SETTINGS]) == 0
    return home


def record_of(model: Path) -> dict[str, Any]:
    found: dict[str, Any] = json.loads((model / "bertwright.json").read_text())
    return found


@pytest.mark.parametrize(("name", "dev"), [("always", "always-dev.jsonl"), ("maybe", "maybe-dev.json")])
def test_evaluate_gives_the_scores_that_were_recorded(
    home: Path, name: str, dev: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["evaluate", str(home / name), str(home / dev), "--json"]) == 0
    scores = json.loads(capsys.readouterr().out)
    assert scores == pytest.approx(record_of(home / name)["metrics"], abs=1e-9)
    assert scores["f1"] > 0.9
    assert ("no_answer_accuracy" in scores) == (name == "maybe")
    assert record_of(home / name)["metric"] == "squad"
    assert ("null_threshold" in record_of(home / name)) == (name == "maybe")


def test_predictions_are_parts_of_the_text_wherever_they_stand(home: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["predict", str(home / "maybe"), str(home / "maybe-dev.json")]) == 0
    found = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    assert [row["id"] for row in found] == [str(number) for number in range(80)]
    late = 0
    for row in found:
        context, answer = row["context"], row["prediction"]
        spans = [*answer["best"], *([answer] if answer["text"] else [])]
        assert all(context[span["start"] : span["end"]] == span["text"] for span in spans)
        assert len({span["text"] for span in answer["best"]}) == len(answer["best"])
        if not answer["text"]:
            assert (answer["start"], answer["end"]) == (None, None)
        late += bool(answer["text"]) and len(context[: answer["start"]].split()) > 24
    assert late > 5, "answers past the first window are found"
    assert {row["prediction"]["text"] for row in found} >= {"", "Sea", "café"}


def test_python_answers_one_question_or_many(home: Path) -> None:
    model = bertwright.load(home / "maybe")
    context = "the whale sleeps often the cafe\u0301 eats now"
    one = model.answer("Where is it?", context)
    assert (one.text, one.start, one.end) == ("cafe\u0301", 27, 32)
    many = model.answer([("Where is it?", context), ("Where is it?", ""), ("Where is it?", "the bear eats now")])
    assert [each.text for each in many] == ["cafe\u0301", "", ""]
    assert many[0].score == pytest.approx(one.score, abs=1e-4)
    assert bertwright.load(home / "always").answer("Where is it?", "the bear eats now").text != ""
    with pytest.raises(SettingsError, match=r"as in answer\(question, context\)"):
        model.answer("Where is it?")  # type: ignore[arg-type]
    with pytest.raises(SettingsError, match="pairs of a question and a context are expected"):
        model.answer(["Is"])  # type: ignore[list-item]
    with pytest.raises(RowError, match=r"^question 2: `question` is empty; ask something"):
        model.answer([("Where is it?", context), (" ", context)])
    with pytest.raises(ModelError) as caught:
        bertwright.load(home / "model").answer([("Where is it?", context)])
    assert str(caught.value) == (
        f"{home / 'model'}: has no head that finds answers; fine-tune one with: bertwright finetune MODEL --task answer"
    )


def test_the_threshold_may_be_given(home: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """As for a directory of transformers, which has none."""
    for name in ("config.json", "model.safetensors", "vocab.txt", "tokenizer_config.json"):
        (tmp_path / name).write_bytes((home / "maybe" / name).read_bytes())
    dev = str(home / "maybe-dev.json")
    assert main(["evaluate", str(tmp_path), dev, "--json"]) == 0
    shown = capsys.readouterr()
    always = json.loads(shown.out)
    assert always["no_answer_accuracy"] == 0
    told = re.search(r"--null-threshold (\S+), the best on these rows, would bring F1 (\S+)", shown.err)
    assert told is not None
    assert main(["evaluate", str(tmp_path), dev, "--json", "--null-threshold", told[1]]) == 0
    shown = capsys.readouterr()
    given = json.loads(shown.out)
    assert "--null-threshold" not in shown.err
    assert given["f1"] == pytest.approx(float(told[2]), abs=1e-4)
    assert given["f1"] > always["f1"] + 0.2

    model = bertwright.load(tmp_path)
    assert model.answer("Where is it?", "the bear eats now").text != ""
    assert model.answer("Where is it?", "the bear eats now", null_threshold=float(told[1])).text == ""
    assert main(["predict", str(home / "maybe"), dev, "--null-threshold", "-1000"]) == 0
    assert {json.loads(line)["prediction"]["text"] for line in capsys.readouterr().out.splitlines()} == {""}


def test_a_question_without_its_context_is_a_fault_of_its_line(
    home: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    rows = tmp_path / "rows.jsonl"
    rows.write_text('{"question": "Where is it?", "context": ""}\n{"question": "Where is it?"}\n')
    assert main(["predict", str(home / "maybe"), str(rows)]) == 2
    assert capsys.readouterr().err.splitlines()[-1] == (
        f"bertwright: {rows}:2: there is no column `context`; the columns are `question`; "
        "expected are `question` and `context`"
    )


def test_bad_questions_stop_it_or_are_left_out(home: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    bad = {"id": "x", "question": "Where is it?", "context": "the farm", "answers": [{"text": "sea"}]}
    data = jsonl(tmp_path / "bad.jsonl", [bad, *questions(20, 3, none=0.0)])
    fault = (
        f"{data}:1: the answer 'sea' of the question 'x' does not stand in its context; "
        "correct it, or leave such questions out with --on-error skip"
    )
    files = ["--train", str(data), "--dev", str(data), "--out", str(tmp_path / "out")]
    learn = ["finetune", str(home / "model"), "--task", "answer", *files, *SETTINGS, "--set", "epochs=1"]
    for command in (learn, ["evaluate", str(home / "always"), str(data)]):
        assert main(command) == 2
        assert capsys.readouterr().err.splitlines()[-1] == f"bertwright: {fault}"
        assert main([*command, "--on-error", "skip"]) == 0
        assert f"{data}: 1 questions left out; the first: {fault}" in capsys.readouterr().err
    assert not record_of(tmp_path / "out").get("null_threshold")


def test_options_that_mean_nothing_here_are_refused(
    home: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    dev = home / "always-dev.jsonl"
    rows = tmp_path / "rows.jsonl"
    rows.write_text('{"text": "the sea", "label": "a"}\n')
    learn = ["finetune", str(home / "model"), "--out", str(tmp_path / "out")]
    columns = "bertwright: `answer` reads `question`, `context` and `answers`; name no columns"
    texts = "classify and pair and multilabel and regress and embed and tag"
    for command, told in (
        (
            [*learn, "--task", "answer", "--train", str(dev), "--dev", str(dev), "--text-column", "context"],
            f"bertwright: `text_columns` is ['context'], but it is for {texts}, and not for answer",
        ),
        (["evaluate", str(home / "always"), str(dev), "--label-column", "answers"], columns),
        (["predict", str(home / "always"), str(dev), "--text-column", "context"], columns),
        (
            ["evaluate", str(home / "always"), str(dev), "--null-threshold", "nan"],
            "bertwright: `null_threshold` is nan, not a finite number; as in --null-threshold 0",
        ),
        (
            [*learn, "--task", "classify", "--train", str(rows), "--dev", str(rows), "--on-error", "skip"],
            "bertwright: `on_error` is 'skip', but it is for answer, and not for classify",
        ),
    ):
        assert main(command) == 2
        assert capsys.readouterr().err.splitlines()[-1] == told
    assert not (tmp_path / "out").exists()


def test_questions_without_any_answer_are_refused(
    home: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    data = jsonl(tmp_path / "none.jsonl", questions(20, 3, none=1.0))
    files = ["--train", str(data), "--dev", str(data), "--out", str(tmp_path / "out")]
    assert main(["finetune", str(home / "model"), "--task", "answer", *files]) == 2
    assert capsys.readouterr().err.splitlines()[-1] == (
        f"bertwright: {data}: no question has an answer, so there is nothing to find; add questions with answers"
    )
    # As dev rows they are fine.
    files = ["--train", str(home / "maybe-train.json"), "--dev", str(data), "--out", str(tmp_path / "out")]
    settings = [*SETTINGS, "--set", "epochs=1"]
    assert main(["finetune", str(home / "model"), "--task", "answer", *files, *settings]) == 0
    assert set(record_of(tmp_path / "out")["metrics"]) == {"exact_match", "f1", "no_answer_accuracy"}
