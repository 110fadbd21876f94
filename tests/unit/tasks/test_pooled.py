"""Tasks with one answer to a text: their losses, what they decode, and texts of several windows."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import torch
from torch.nn import functional

from bertwright.batches.windows import Lengths
from bertwright.encoder.config import EncoderConfig
from bertwright.errors import RowError, SettingsError
from bertwright.heads.model import Bert
from bertwright.tasks.classify import Classify, balanced_weights, labels_of
from bertwright.tasks.decoding import decoded, outputs_of
from bertwright.tasks.embed import Embed, refuse_outside
from bertwright.tasks.multilabel import Multilabel, all_labels, balanced_label_weights
from bertwright.tasks.pooled import mean_by_owner
from bertwright.tasks.regress import Regress, refuse_one_score, scale_of
from bertwright.tasks.rows import Row
from bertwright.tasks.task import Task
from bertwright.tokens.tokenizer import Tokenizer
from tests.support import PETS

TOKENIZER = Tokenizer(PETS)
CONFIG = EncoderConfig(
    vocab_size=len(PETS),
    hidden_size=16,
    num_hidden_layers=1,
    num_attention_heads=2,
    intermediate_size=32,
    max_position_embeddings=16,
    initializer_range=0.5,
)
LENGTHS = Lengths(max_length=8, overlap=2, most=4)
SHORT, LONG = "the cat sat", "the cat sat the dog ran home the dogs ran"
ABOUT: dict[str, Any] = {"columns": ("text",), "label_column": "label", "lengths": LENGTHS}


def model_of(task: Task[Any, Any]) -> Bert:
    model = Bert(CONFIG, task.parts)
    model.initialise(3)
    return model.eval()


def row(text: str, **label: Any) -> Row:
    return replace(Row((text,), None, "rows.jsonl:1"), **label)


def whole_loss(task: Task[Any, Any], model: Bert, rows: Sequence[Row]) -> torch.Tensor:
    batch = task.batch(task.items(rows, TOKENIZER), PETS.pad_id)
    return task.loss(model, batch, batch.counts)[0]


def parted_loss(task: Task[Any, Any], model: Bert, rows: Sequence[Row]) -> torch.Tensor:
    """The same rows, each through the model alone, as micro-batches are."""
    batches = [task.batch(task.items([each], TOKENIZER), PETS.pad_id) for each in rows]
    totals: Mapping[str, float] = {name: sum(batch.counts[name] for batch in batches) for name in batches[0].counts}
    return torch.stack([task.loss(model, batch, totals)[0] for batch in batches]).sum()


def test_the_scores_of_a_long_text_are_the_mean_over_its_windows() -> None:
    task = Classify("classify", labels=("no", "yes"), **ABOUT)
    model = model_of(task)
    (item,) = task.items([row(LONG)], TOKENIZER)
    assert len(item.windows) == 3
    (said,) = outputs_of(model, task, [item], PETS.pad_id)
    (found,) = decoded(task, [row(LONG)], [item], outputs_of(model, task, [item], PETS.pad_id))
    wanted = torch.from_numpy(np.mean(said, axis=0)).softmax(0)
    assert found.probabilities == pytest.approx({"no": float(wanted[0]), "yes": float(wanted[1])})
    assert found.label == ("yes" if wanted[1] > wanted[0] else "no")
    loss = whole_loss(task, model, [row(LONG, label="yes")])
    assert float(loss.detach()) == pytest.approx(-float(wanted[1].log()), abs=1e-5)


@pytest.mark.parametrize(
    ("task", "rows"),
    [
        (
            Classify("classify", labels=("a", "b"), weights=[0.2, 0.5], smoothing=0.1, **ABOUT),
            [row(SHORT, label="a"), row(LONG, label="b"), row("dog", label="b")],
        ),
        (
            Multilabel(labels=("a", "b"), weights=[1.0, 3.0], **ABOUT),
            [row(SHORT, labels=()), row(LONG, labels=("a", "b")), row("dog", labels=("b",))],
        ),
        (Regress(**ABOUT), [row(SHORT, score=0.5), row(LONG, score=5.0), row("dog", score=-1.0)]),
        (
            Embed(label_column="score", lengths=LENGTHS, top=5.0),
            [Row((SHORT, "dog"), None, "", score=0.0), Row((LONG, SHORT), None, "", score=5.0)],
        ),
    ],
    ids=["classify", "multilabel", "regress", "embed"],
)
def test_parts_of_a_step_add_up_to_the_whole(task: Task[Any, Any], rows: list[Row]) -> None:
    model = model_of(task)
    whole, parts = whole_loss(task, model, rows), parted_loss(task, model, rows)
    torch.testing.assert_close(parts, whole, rtol=1e-5, atol=1e-6)
    gradients = [torch.autograd.grad(loss, list(model.encoder.parameters())) for loss in (whole, parts)]
    for one, other in zip(*gradients, strict=True):
        torch.testing.assert_close(one, other, rtol=1e-3, atol=1e-5)


def test_the_mean_by_owner() -> None:
    values = torch.tensor([[1.0, 2.0], [3.0, 4.0], [5.0, 6.0]])
    assert mean_by_owner(values, torch.tensor([0, 0, 1])).tolist() == [[2.0, 3.0], [5.0, 6.0]]
    assert mean_by_owner(values, torch.tensor([0, 1, 2])) is values


def test_labels_are_sorted_as_numbers_where_they_are_and_weighed() -> None:
    rows = [row("", label=label) for label in ("10", "9", "9", "9")]
    assert labels_of(rows) == ("9", "10")
    assert balanced_weights(rows, ("9", "10")) == pytest.approx([4 / 6, 2])
    with pytest.raises(RowError, match=r"^rows.jsonl: all rows have the label '9'; two labels or more are needed$"):
        labels_of(rows[1:])
    with pytest.raises(RowError, match=r"^rows.jsonl:1: the label 'z' is unknown; the model's are: a, b; correct it"):
        Classify("classify", labels=("a", "b"), **ABOUT).items([row("", label="z")], TOKENIZER)


def test_the_majority_of_the_training_rows_is_the_bar() -> None:
    train = [row("", label=label) for label in "aab"]
    task = Classify("classify", labels=("a", "b"), **ABOUT)
    # Always "a": of the four, one; F1 is 2/5 for "a" and 0 for "b".
    found = task.baseline(train, [row("", label=label) for label in "abbb"])
    assert found == {"accuracy": 0.25, "macro_f1": pytest.approx(0.2), "mcc": 0.0}


def test_the_most_frequent_label_is_the_bar_where_there_are_several() -> None:
    def labelled(*labels: str) -> Row:
        return Row(("",), None, "rows:1", labels)

    task = Multilabel(labels=("a", "b"), **ABOUT)
    found = task.baseline([labelled("a", "b"), labelled("a")], [labelled("a"), labelled("b"), labelled("a", "b")])
    # "a" three times: two of them right, of four labels that there are.
    assert found == {"micro_f1": pytest.approx(4 / 7), "macro_f1": pytest.approx(0.4), "exact": pytest.approx(1 / 3)}


def test_the_temperature_leaves_the_label_and_an_unsure_answer_is_none() -> None:
    (item,) = Classify("classify", labels=("a", "b"), **ABOUT).items([row(SHORT)], TOKENIZER)
    said = [np.array([2.0, 0.0], dtype=np.float32)]
    plain = Classify("classify", labels=("a", "b"), **ABOUT).decode(row(SHORT), item, said)
    warm = Classify("classify", labels=("a", "b"), temperature=4.0, **ABOUT).decode(row(SHORT), item, said)
    assert (plain.label, warm.label) == ("a", "a")
    assert plain.probabilities["a"] == pytest.approx(1 / (1 + np.exp(-2.0)))
    assert warm.probabilities["a"] == pytest.approx(1 / (1 + np.exp(-0.5)))
    shy = Classify("classify", labels=("a", "b"), temperature=4.0, abstain_below=0.7, **ABOUT)
    unsure = shy.decode(row(SHORT), item, said)
    assert unsure.label is None
    sure = shy.decode(row(SHORT), item, [np.array([9.0, 0.0], dtype=np.float32)])
    rows = [row(SHORT, label="b"), row(SHORT, label="a")]
    scores = shy.scores(rows, [unsure, sure])
    assert (scores["accuracy"], scores["coverage"], scores["accuracy_where_sure"]) == (0.5, 0.5, 1.0)


def test_any_number_of_labels() -> None:
    task = Multilabel(labels=("a", "b", "c"), **ABOUT)
    (item,) = task.items([row(SHORT, labels=("c", "a"))], TOKENIZER)
    assert item.target.tolist() == [True, False, True]
    found = task.decode(row(SHORT), item, [np.array([0.0, -5.0, 3.0], dtype=np.float32)])
    assert found.labels == ("c", "a")
    assert list(found.probabilities) == ["c", "a", "b"]
    assert task.scores([row(SHORT, labels=("a",))], [found]) == {
        "micro_f1": pytest.approx(2 / 3),
        "macro_f1": pytest.approx(0.5),
        "exact": 0.0,
    }
    rows = [row("", labels=("a", "b")), row("", labels=("a",)), row("", labels=())]
    assert all_labels(rows) == ("a", "b")
    assert balanced_label_weights(rows, ("a", "b")) == [0.5, 2.0]
    with pytest.raises(RowError, match="no row has a label"):
        all_labels(rows[2:])


def test_a_vector_is_the_mean_over_windows_weighted_by_their_tokens() -> None:
    for pooling in ("mean", "cls"):
        task = Embed(columns=("text",), lengths=LENGTHS, pooling=pooling)
        model = model_of(task)
        rows = [Row((LONG,), None, "")]
        (item,) = task.items(rows, TOKENIZER)
        (said,) = outputs_of(model, task, [item], PETS.pad_id)
        (found,) = decoded(task, rows, [item], outputs_of(model, task, [item], PETS.pad_id))
        sizes = [len(window) for window in item.windows] if pooling == "mean" else [1, 1, 1]
        np.testing.assert_allclose(found.vectors[0], np.average(said, axis=0, weights=sizes), rtol=1e-6)


def test_partners_find_one_another() -> None:
    task = Embed(lengths=LENGTHS, scale=10.0)
    model = model_of(task)
    rows = [Row((SHORT, "the cats sat"), None, ""), Row(("dog ran", LONG), None, "")]
    items = task.items(rows, TOKENIZER)
    found = decoded(task, rows, items, outputs_of(model, task, items, PETS.pad_id))
    near = torch.tensor(
        [
            [
                functional.cosine_similarity(torch.from_numpy(a.vectors[0]), torch.from_numpy(b.vectors[1]), dim=0)
                for b in found
            ]
            for a in found
        ]
    )
    wanted = functional.cross_entropy(10 * near, torch.tensor([0, 1]))
    batch = task.batch(items, PETS.pad_id)
    loss, figures = task.loss(model, batch, batch.counts)
    assert float(loss.detach()) == pytest.approx(float(wanted), abs=1e-5)
    share = float((near.argmax(dim=1) == torch.tensor([0, 1])).float().mean())
    assert float(figures["nearest"]) == share == task.scores(rows, found)["nearest"]


def test_a_partner_that_two_share_is_found_by_both() -> None:
    task = Embed(lengths=LENGTHS)
    model = model_of(task)
    rows = [Row((SHORT, "the cats sat"), None, ""), Row(("dog ran", "the cats sat"), None, "")]
    items = task.items(rows, TOKENIZER)
    batch = task.batch(items, PETS.pad_id)
    loss, figures = task.loss(model, batch, batch.counts)
    # There is nothing to choose from.
    assert (float(loss.detach()), float(figures["nearest"])) == (0.0, 1.0)
    assert not task.in_parts
    found = decoded(task, rows, items, outputs_of(model, task, items, PETS.pad_id))
    assert task.scores(rows, found) == {"nearest": 1.0}
    assert task.showing(rows, found).faults == []


def test_a_text_with_two_partners_finds_either_and_never_itself() -> None:
    task = Embed(lengths=LENGTHS)
    model = model_of(task)
    # Nothing is a wrong partner here: both rows have one first text, and below each first text is the other's partner.
    for pairs in (((SHORT, "the cats sat"), (SHORT, "dog ran")), ((SHORT, "dog ran"), ("dog ran", SHORT))):
        rows = [Row(pair, None, "") for pair in pairs]
        items = task.items(rows, TOKENIZER)
        batch = task.batch(items, PETS.pad_id)
        loss, figures = task.loss(model, batch, batch.counts)
        assert (float(loss.detach()), float(figures["nearest"])) == (0.0, 1.0)
        found = decoded(task, rows, items, outputs_of(model, task, items, PETS.pad_id))
        assert task.scores(rows, found) == {"nearest": 1.0}
        assert task.showing(rows, found).faults == []


def test_a_partner_is_one_in_whichever_row_its_text_stands() -> None:
    task = Embed(lengths=LENGTHS)
    model = model_of(task)
    a, b, c, d = SHORT, "dog ran", "the cats sat", "home"
    rows = [Row(pair, None, "") for pair in ((a, b), (a, c), (b, c), (d, c))]
    items = task.items(rows, TOKENIZER)
    batch = task.batch(items, PETS.pad_id)
    loss, _ = task.loss(model, batch, batch.counts)
    found = decoded(task, rows, items, outputs_of(model, task, items, PETS.pad_id))
    vectors = torch.tensor(np.stack([each.vectors for each in found]))
    near = 20 * torch.nn.functional.cosine_similarity(vectors[:, None, 0], vectors[None, :, 1], dim=-1)
    # Of a, b and c are partners; of b and d c is, and b is no rival of itself: d alone has one, which is b.
    wanted = torch.logsumexp(near[3, [0, 3]], dim=0) - near[3, 3]
    assert float(loss.detach()) == pytest.approx(float(wanted) / 4, abs=1e-5)
    assert task.scores(rows, found)["nearest"] in (0.75, 1.0)


def test_one_column_is_no_pair(tmp_path: Any) -> None:
    with pytest.raises(SettingsError, match="`embed` learns from pairs and is scored on them, but one column is named"):
        Embed(columns=("a",), lengths=LENGTHS).read(tmp_path / "rows.csv", lambda _: None)
    with pytest.raises(RowError, match="there is no column `body`"):
        Embed(columns=("body",), lengths=LENGTHS, named=True).unlabelled([("a:1", {"text": "x"})])


def test_one_value_is_nothing_to_learn() -> None:
    with pytest.raises(RowError, match=r"^rows.jsonl: all rows have the labels a, b; rows without some of them are"):
        all_labels([Row(("",), None, "rows.jsonl:1", ("a", "b")), Row(("",), None, "rows.jsonl:2", ("b", "a"))])
    with pytest.raises(RowError, match=r"^rows.jsonl: all rows have the score 3.0; two scores or more are needed$"):
        refuse_one_score([Row(("",), None, f"rows.jsonl:{line}", score=3.0) for line in (1, 2)])


def test_scores_that_32_bits_cannot_tell_apart_are_refused() -> None:
    for scores in ((1e308, 1.5e308), (1e30, 2e30), (0.0, 5e-324)):
        rows = [row("", score=score) for score in scores]
        with pytest.raises(RowError, match=r"^rows.jsonl: scores go from .* cannot tell apart; write them on another"):
            scale_of(rows)


def test_standard_scores_are_trained_and_the_rows_own_are_written() -> None:
    rows = [row(SHORT, score=20.0), row(LONG, score=80.0)]
    assert scale_of(rows) == (50.0, 30.0)
    task = Regress(mean=50.0, deviation=30.0, **ABOUT)
    model = model_of(task)
    items = task.items(rows, TOKENIZER)
    batch = task.batch(items, PETS.pad_id)
    assert batch.targets[0].tolist() == [-1, 1]
    loss, figures = task.loss(model, batch, batch.counts)
    assert float(figures["squared_error"]) == pytest.approx(900 * float(loss.detach()))
    standard = [found.score for found in decoded(task, rows, items, outputs_of(model, task, items, PETS.pad_id))]
    # As training is measured, so the written model answers, and one that goes on begins where it ended.
    assert model.classifier is not None
    trained = [parameter.detach().clone() for parameter in model.classifier.parameters()]
    written = task.after_training(model)
    assert (written.mean, written.deviation) == (0, 1)
    own = [found.score for found in decoded(written, rows, items, outputs_of(model, written, items, PETS.pad_id))]
    assert own == pytest.approx(standard, rel=1e-5)
    Regress(mean=50.0, deviation=30.0, **ABOUT).before_training(model)
    for parameter, before in zip(model.classifier.parameters(), trained, strict=True):
        torch.testing.assert_close(parameter, before)


def test_a_score_outside_its_scale_is_refused(tmp_path: Any) -> None:
    path = tmp_path / "rows.csv"
    path.write_text("text_a,text_b,score\na,b,5\na,c,6\n")
    with pytest.raises(RowError, match=r"rows.csv:3: the score 6 is outside 0 to 5; set similar_score to the score of"):
        refuse_outside(Embed(label_column="score", lengths=LENGTHS).read(path, lambda _: None), 5.0)
