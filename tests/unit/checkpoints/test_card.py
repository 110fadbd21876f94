from __future__ import annotations

from typing import Any

import pytest

from bertwright.checkpoints.card import model_card
from bertwright.checkpoints.markdown import inline, table
from bertwright.heads.model import Parts
from tests.unit.checkpoints.small import small_model

ROWS = {"in_windows": 0, "cut_rows": 0, "cut_tokens": 0}
RECORD: dict[str, Any] = {
    "lineage": [
        {"step": "vocabulary", "sha256": "ab" * 32, "size": 10},
        {"step": "pretrain", "from": "random weights", "recipe": {"model": {"preset": "bert-tiny", "dropout": None}}},
        {"step": "finetune", "settings": {"epochs": 3, "max_length": None}, "task": "classify"},
    ],
    "task": "classify",
    "max_length": 12,
    "overlap": 4,
    "max_windows": 16,
    "metrics": {"accuracy": 0.75},
    "metrics_without_shared_rows": {"accuracy": 0.5},
    "baseline": {"accuracy": 0.25},
    "data": {
        "train": {"file": "train.jsonl", "rows": 9, **ROWS},
        "dev": {"file": "dev.jsonl", "rows": 4, **ROWS},
        "labels": {"a|b": [6, 3], "c": [3, 1]},
    },
    "shared_rows": {
        "rows": 2,
        "share_of_dev": 0.5,
        "exact": 2,
        "other_label": 1,
        "repeated_in_train": 0,
        "disputed_in_train": 0,
    },
    "seeds": {
        "kept": 7,
        "scores": {"accuracy": {"mean": 0.74, "deviation": 0.01, "low": 0.71, "high": 0.77, "count": 3}},
    },
    "search": {"best": {"epochs": 3}, "tried": [{}, {}]},
    "ladder": {
        "rung": "field",
        "scored_on": "test",
        "rungs": [{"rung": "general", "accuracy": 0.7}, {"rung": "field", "accuracy": 0.75}],
    },
    "training": {"steps": 90, "best_step": 60, "best_by": "accuracy"},
    "classes": {
        "a|b": {"precision": 1.0, "recall": 0.75, "f1": 6 / 7, "support": 3},
        "c": {"precision": 0.0, "recall": 0.0, "f1": 0.0, "support": 1},
    },
    "errors": {"rows": 1, "written": 1},
    "calibration": {"ece_before": 0.2, "ece_after": 0.1, "chosen": ["probabilities are tempered"]},
}


def card(record: dict[str, Any], *pictures: str) -> str:
    return model_card("my_model", small_model(Parts(labels=2)), ("a|b", "c"), record, pictures)


@pytest.mark.parametrize(
    "line",
    [
        "Heads: classes: a\\|b, c.",
        "| metric | value | on rows not in train | without a model |",
        "| accuracy | 0.7500 | 0.5000 | 0.2500 |",
        "Without a model: always the most frequent label of train.",
        "| train | train.jsonl | 9 | 0 | 0 |",
        "| a\\|b | 6 | 3 |",
        "| a\\|b | 1.0000 | 0.7500 | 0.8571 | 3 |",
        "The run of the median score of 3, that of seed 7.",
        "| accuracy | 0.7400 | 0.0100 | 0.7100 to 0.7700 |",
        "Of 2 settings tried the best on dev: epochs 3. The best of many on the same rows looks better than it is.",
        "Adapted as the rung `field`, the best on dev. Means over all seeds, on test:",
        "| general | 0.7000 |",
        "Of 90 steps the weights of step 60 were kept: they have the best accuracy on dev.",
        "| epochs | 3 |",
        "- Probabilities are tempered.",
        "![Gold labels against predicted ones](dev/confusion.png)",
        "- **vocabulary**: sha256 abababababababab; size 10",
        "  - model: preset bert-tiny",
        "- **finetune**: task classify",
    ],
)
def test_the_card_of_a_classifier_says(line: str) -> None:
    assert line in card(RECORD, "dev/confusion.png").splitlines()


def test_the_card_shows_no_picture_that_is_not_there() -> None:
    assert "![" not in card(RECORD)


def test_the_card_says_that_rows_stand_in_both_files() -> None:
    assert "**Dev rows that stand in train too: 2 (50.0%)**" in card(RECORD)
    assert "with another label: 1." in card(RECORD)
    none = RECORD | {"shared_rows": RECORD["shared_rows"] | {"rows": 0}}
    assert "No dev row stands in train." in card(none)


def test_the_card_counts_the_errors() -> None:
    told = "Dev rows whose answer is not the gold one, the worst first: "
    assert f"{told}all 1 in `dev/errors.jsonl`." in card(RECORD).splitlines()
    many = RECORD | {"errors": {"rows": 2500, "written": 1000}}
    assert f"{told}the worst 1,000 of 2,500 in `dev/errors.jsonl`." in card(many).splitlines()


def test_of_many_classes_the_worst_are_shown() -> None:
    score = RECORD["classes"]["c"]
    classes = {f"class {number}": score | {"f1": number / 100, "support": int(number > 0)} for number in range(40)}
    lines = [line for line in card(RECORD | {"classes": classes}).splitlines() if line.startswith("| class ")]
    # The first of them is not in dev.
    assert [line.split()[2] for line in lines[1:]] == [str(number) for number in range(1, 16)]


def test_a_card_of_pretraining_tells_what_needs_no_model() -> None:
    record = {"metrics": {"mlm_loss": 2.5, "nsp_loss": 0.5}, "baseline": {"mlm_loss": 5.0}}
    lines = model_card("m", small_model(Parts(masked_words=True)), (), record).splitlines()
    assert "## Measured on held-out data" in lines
    assert "| mlm_loss | 2.5000 | 5.0000 |" in lines
    assert "| nsp_loss | 0.5000 |  |" in lines


def test_nothing_in_a_value_is_taken_for_markdown() -> None:
    assert inline("_a_b_ | <c> *d*\n`e`") == "\\_a_b\\_ \\| \\<c\\> \\*d\\* \\`e\\`"
    assert inline([1, 0.25, True]) == "1, 0.25, yes"
    assert inline("x" * 100) == "x" * 79 + "…"
    assert table(["name", "count"], [["a", 1], ["b", ""]]) == [
        "| name | count |",
        "| --- | ---: |",
        "| a | 1 |",
        "| b |  |",
    ]
