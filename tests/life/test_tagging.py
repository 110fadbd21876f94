"""From labelled words to spans through the command line, with a model small enough for a test."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

import bertwright
from bertwright.checkpoints.model_directory import read_model, write_model
from bertwright.cli.main import main
from bertwright.encoder.config import EncoderConfig
from bertwright.errors import ModelError, RowError, SettingsError
from bertwright.heads.model import Bert, Parts
from bertwright.tokens.layout import read_tokenizer
from tests.made_text import ANIMALS, sentence, write_corpus

Told = Callable[[], str]


def tagged(random: np.random.Generator, count: int) -> tuple[list[str], list[str]]:
    """The bear of the forest hides . and so on -> words, and tags of animals and of places of two words."""
    words: list[str] = []
    tags: list[str] = []
    for _ in range(count):
        one = [*sentence(str(random.choice(list(ANIMALS))), random).removesuffix(".").split(), "."]
        words += one
        tags += ["O", "B-animal", "O", "B-place", "I-place", *["O"] * (len(one) - 5)]
    return words, tags


def write_spans(path: Path, count: int, seed: int) -> Path:
    """Texts with spans of characters, as JSONL."""
    random = np.random.default_rng(seed)
    lines = []
    for _ in range(count):
        words, tags = tagged(random, int(random.integers(1, 12)))
        text, spans = "", []
        for word, tag in zip(words, tags, strict=True):
            start = len(text)
            text += word + " "
            if tag.startswith("B-"):
                spans.append({"start": start, "end": start + len(word), "label": tag[2:]})
            elif tag.startswith("I-"):
                spans[-1]["end"] = start + len(word)
        lines.append(json.dumps({"text": text, "spans": spans}))
    path.write_text("\n".join(lines) + "\n")
    return path


def write_columns(path: Path, sentences: list[tuple[list[str], list[str]]]) -> Path:
    """Words and tags as columns."""
    blocks = ["".join(f"{word} {tag}\n" for word, tag in zip(*each, strict=True)) for each in sentences]
    path.write_text("\n".join(blocks))
    return path


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A model with random weights, one fine-tuned from it, and one whose encoder was left as it is."""
    home = tmp_path_factory.mktemp("tagging")
    corpus = write_corpus(home / "corpus.jsonl", 20)
    assert main(["vocab", str(corpus), "--size", "120", "--out", str(home / "vocab")]) == 0
    tokenizer = read_tokenizer(home / "vocab")
    config = EncoderConfig(
        vocab_size=len(tokenizer.vocabulary),
        num_hidden_layers=2,
        hidden_size=32,
        num_attention_heads=2,
        intermediate_size=64,
        max_position_embeddings=64,
        initializer_range=0.2,
    )
    model = Bert(config, Parts())
    model.initialise(0)
    (home / "model").mkdir()
    write_model(home / "model", model, tokenizer)
    random = np.random.default_rng(2)
    write_columns(home / "dev.conll", [tagged(random, 1 + number % 4) for number in range(40)])
    write_spans(home / "train.jsonl", 300, seed=1)
    frozen = ["epochs=6", "tag_features=last-four", "lstm_size=16"]
    for out, settings in (("tagger", ["epochs=5"]), ("features", frozen)):
        more = setting("learning_rate=5e-3", "batch_size=8", *settings)
        assert main(["finetune", str(home / "model"), *files(home, out), *more]) == 0
    return home


def files(home: Path, out: str) -> list[str]:
    places = ["--train", str(home / "train.jsonl"), "--dev", str(home / "dev.conll"), "--out", str(home / out)]
    return ["--task", "tag", *places]


def setting(*settings: str) -> list[str]:
    return [part for each in ("precision=fp32", *settings) for part in ("--set", each)]


def evaluated(model: Path, data: Path, capsys: pytest.CaptureFixture[str]) -> dict[str, float]:
    capsys.readouterr()
    assert main(["evaluate", str(model), str(data), "--json"]) == 0
    scores: dict[str, float] = json.loads(capsys.readouterr().out)
    return scores


@pytest.mark.parametrize("name", ["tagger", "features"])
def test_evaluate_says_what_the_model_says_of_itself(home: Path, name: str, capsys: pytest.CaptureFixture[str]) -> None:
    scores = evaluated(home / name, home / "dev.conll", capsys)
    record = json.loads((home / name / "bertwright.json").read_text())
    assert list(scores) == ["f1", "precision", "recall", "accuracy"]
    assert scores == pytest.approx(record["metrics"], abs=1e-9)
    assert scores["f1"] > 0.95
    assert record["task"] == "tag"
    assert read_model(home / name).labels == ("O", "B-animal", "I-animal", "B-place", "I-place")


def test_predict_gives_spans_of_the_text(home: Path, capsys: pytest.CaptureFixture[str]) -> None:
    rows = home / "rows.jsonl"
    text = "  The seal of the sea eats.\tThe OWL of the forest hides."
    rows.write_text(
        json.dumps({"id": 7, "text": text}) + "\n" + json.dumps({"words": ["The", "hen", "of", "the", "farm"]}) + "\n"
    )
    capsys.readouterr()
    assert main(["predict", str(home / "tagger"), str(rows)]) == 0
    first, second = (json.loads(line) for line in capsys.readouterr().out.splitlines())
    assert (first["id"], first["text"], first["prediction"]["cut"]) == (7, text, 0)
    found = first["prediction"]["spans"]
    assert [(span["label"], span["text"]) for span in found] == [
        ("animal", "seal"), ("place", "the sea"), ("animal", "OWL"), ("place", "the forest"),
    ]  # fmt: skip
    for span in found:
        assert text[span["start"] : span["end"]] == span["text"]
        assert 0.3 < span["probability"] <= 1
    assert second["prediction"]["words"] == ["The", "hen", "of", "the", "farm"]
    assert second["prediction"]["tags"] == ["O", "B-animal", "O", "B-place", "I-place"]


def test_python_says_the_same(home: Path) -> None:
    model = bertwright.load(home / "tagger")
    text = "The bear of the forest sleeps."
    whole, words, empty = model.tag([text, ["The", "bear", "of", "the", "forest", "sleeps", "."], ""])
    assert [(span.kind, span.text, span.start, span.end) for span in whole.spans] == [
        ("animal", "bear", 4, 8),
        ("place", "the forest", 12, 22),
    ]
    assert whole.tags == words.tags
    assert (empty.words, empty.tags, empty.spans) == ((), (), ())
    assert next(model.predict([{"text": text}]))["prediction"]["tags"] == list(whole.tags)
    with pytest.raises(SettingsError, match="a list of texts is expected, and this is one text"):
        model.tag("The bear.")
    with pytest.raises(ModelError, match="has no tagger; fine-tune one with: bertwright finetune MODEL --task tag"):
        bertwright.load(home / "model").tag(["The bear."])


def test_the_gold_of_every_word_of_a_long_sentence_is_scored(home: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """80 sentences are one of more than 700 words, and the model takes 62 of them at a time."""
    random = np.random.default_rng(5)
    words, tags = tagged(random, 80)
    assert len(words) > 700
    long = write_columns(home / "long.conll", [(words, tags)])
    scores = evaluated(home / "tagger", long, capsys)
    assert scores["f1"] > 0.7  # of those who see 62 words alone, no more than 0.16
    # One gold tag less is one word less that is right, wherever it stands.
    for place in (1, len(words) // 2, len(words) - 1):
        other = [*tags]
        other[place] = "B-animal" if tags[place] == "O" else "O"
        worse = evaluated(home / "tagger", write_columns(home / "other.conll", [(words, other)]), capsys)
        assert abs(worse["accuracy"] - scores["accuracy"]) == pytest.approx(1 / len(words))


def test_python_refuses_what_is_no_text(home: Path) -> None:
    model = bertwright.load(home / "tagger")
    with pytest.raises(RowError, match="neither a text nor a list of words"):
        model.tag([["a", 3]])  # type: ignore[list-item]


def test_an_encoder_that_is_frozen_whole_has_nothing_to_learn_without_a_head(
    home: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    rows = tmp_path / "pairs.jsonl"
    rows.write_text("".join(json.dumps({"text_a": word, "text_b": f"the {word}"}) + "\n" for word in ANIMALS))
    out = tmp_path / "out"
    arguments = [
        "--task",
        "embed",
        "--train",
        str(rows),
        "--dev",
        str(rows),
        "--out",
        str(out),
        "--set",
        "freeze=encoder",
    ]
    assert main(["finetune", str(home / "model"), *arguments]) == 2
    what = "bertwright: `freeze` is 'encoder', and `embed` has no head: nothing is left to learn; freeze less"
    assert capsys.readouterr().err.splitlines()[-1] == what
    assert not out.exists()
