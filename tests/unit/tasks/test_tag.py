from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from bertwright.batches.sequences import InputBatch
from bertwright.batches.windows import Lengths
from bertwright.encoder.config import EncoderConfig
from bertwright.errors import RowError, SettingsError
from bertwright.examples.masking import IGNORED
from bertwright.heads.model import Bert
from bertwright.records import Record
from bertwright.tasks import decoding
from bertwright.tasks.tag import Tag, Tagged, balanced_tag_weights, one_column, tag_labels
from bertwright.tasks.tag_schemes import BIO2, mend
from bertwright.tasks.tagged_rows import TaggedRow, row_of
from bertwright.tasks.task import Item, Said
from bertwright.tokens.tokenizer import Tokenizer
from bertwright.tokens.vocabulary import SPECIALS, Vocabulary

WORDS = ["anna", "sleeps", "in", "paris", ".", "##s", "-", "hong", "kong", "中", "cafe"]
TOKENIZER = Tokenizer(Vocabulary([*SPECIALS, *WORDS]))
PAD = TOKENIZER.vocabulary.pad_id
LABELS = ("O", "B-loc", "I-loc", "B-per", "I-per")
ZERO_WIDTH = "\u200b"


def tagger(*, labels: Sequence[str] = LABELS, length: int = 64, overlap: int = 2, foreign: bool = False) -> Tag:
    return Tag(labels=labels, lengths=Lengths(max_length=length, overlap=overlap, most=1), foreign=foreign)


def tagged(sentence: str) -> TaggedRow:
    """anna/B-per sleeps/O -> a row of these words and tags."""
    parts = [part.rpartition("/") for part in sentence.split(" ")]
    return TaggedRow(tuple(word for word, _, _ in parts), tuple(tag for _, _, tag in parts), "rows:1")


def item_of(task: Tag, row: TaggedRow) -> Item:
    (item,) = task.items([row], TOKENIZER)
    return item


def said_of(task: Tag, item: Item, wanted: Sequence[str], *, sure: float = 9.0) -> list[Said]:
    """A model that is sure of a tag for each word, says so where it is decided, and elsewhere the contrary."""
    found = []
    for window in item.windows:
        said = np.zeros((len(window), len(task.labels)), dtype=np.float32)
        for first, tag in zip(item.about, wanted, strict=True):
            place = first - window.first + window.offset
            if first >= 0 and window.offset <= place < len(window) - 1:
                right = window.decides[0] <= first < window.decides[1]
                said[place, task.labels.index(tag)] = sure if right else -sure
        found.append(said)
    return found


def decoded(task: Tag, row: TaggedRow, wanted: Sequence[str]) -> Tagged:
    item = item_of(task, row)
    return task.decode(row, item, said_of(task, item, wanted))


def test_a_word_is_its_first_piece() -> None:
    item = item_of(tagger(), tagged("annas/B-per sleeps/O in/O hong-kong/B-loc ./O"))
    assert " ".join(TOKENIZER.pieces(item.windows[0].ids.tolist())) == "[CLS] anna ##s sleeps in hong - kong . [SEP]"
    assert item.about == (0, 2, 3, 4, 7)


def test_in_training_every_word_counts_once() -> None:
    task = tagger(length=8, overlap=2)
    row = tagged("annas/B-per annas/I-per sleeps/O in/O hong-kong/B-loc anna/B-per ./O in/O paris/B-loc")
    lessons = task.lessons([item_of(task, row)])
    shown = [
        " ".join(
            piece if label == IGNORED else f"{piece}/{LABELS[label]}"
            for piece, label in zip(TOKENIZER.pieces(lesson.windows[0].ids), lesson.target, strict=True)
        )
        for lesson in lessons
    ]
    assert shown == [
        "[CLS] anna/B-per ##s anna/I-per ##s sleeps/O in [SEP]",
        "[CLS] sleeps in/O hong/B-loc - kong anna [SEP]",
        "[CLS] - kong anna/B-per ./O in/O paris/B-loc [SEP]",
    ]


@given(st.lists(st.sampled_from(["anna", "annas", "hong-kong", ZERO_WIDTH, "\x07", "?", "."]), min_size=1, max_size=60))
def test_no_word_is_taught_twice_or_left_out(words: list[str]) -> None:
    task = tagger(length=8, overlap=2)
    row = TaggedRow(tuple(words), ("O",) * len(words), "rows:1")
    item = item_of(task, row)
    assert item.lost == 0
    spoken = sum(first >= 0 for first in item.about)
    assert spoken == sum(word not in (ZERO_WIDTH, "\x07") for word in words)
    if spoken:
        batch = task.batch(task.lessons([item]), PAD)
        assert int((batch.targets[0] != IGNORED).sum()) == spoken
        assert batch.counts == {"words": spoken, "weight": spoken}


def test_windows_without_a_word_to_decide_are_not_taught() -> None:
    task = tagger(length=8, overlap=0)
    item = item_of(task, tagged("anna" + "s" * 20 + "/B-per ./O"))
    assert len(item.windows) == 4
    taught = [lesson.target[lesson.target != IGNORED].tolist() for lesson in task.lessons([item])]
    assert taught == [[LABELS.index("B-per")], [LABELS.index("O")]]
    with pytest.raises(
        RowError, match="no word of the training rows gives a piece; they hold nothing that can be read"
    ):
        task.lessons([item_of(task, TaggedRow((ZERO_WIDTH,), ("B-per",), "rows:1"))])


def test_each_word_is_decided_by_its_window() -> None:
    words = ("anna", "sleeps", "in", "paris") * 30
    wanted = ("B-per", "O", "O", "B-loc") * 30
    row = TaggedRow(words, None, "")
    task = tagger(length=12, overlap=4)
    assert len(item_of(task, row).windows) > 10
    assert decoded(task, row, wanted).tags == wanted


def test_the_sequence_is_always_one_of_bio2() -> None:
    found = decoded(tagger(), TaggedRow(("anna", "sleeps", "in", "paris"), None, ""), ["I-per", "I-loc", "O", "I-loc"])
    assert mend(found.tags, BIO2) == (found.tags, 0)
    assert found.tags == ("B-loc", "I-loc", "O", "O")  # the first word gives way to what is sure of the second


@pytest.mark.parametrize("gold", ["B-per", "I-per", "O"])
def test_a_word_that_gives_no_piece_is_outside_and_scored(gold: str) -> None:
    row = TaggedRow(("anna", ZERO_WIDTH, "anna"), ("B-per", gold, "I-per"), "rows:1")
    task = tagger()
    found = decoded(task, row, ["B-per", "O", "I-per"])
    assert found.tags[1] == "O"
    # What is said of the third word is I-, which may not stand after O.
    assert found.tags == ("B-per", "O", "O")
    assert task.scores([row], [found])["accuracy"] == pytest.approx((1 + (gold == "O")) / 3)


def test_a_sentence_of_words_without_pieces_has_its_tags() -> None:
    row = TaggedRow((ZERO_WIDTH, "\x00"), ("B-per", "I-per"), "rows:1")
    task = tagger()
    found = decoded(task, row, ["O", "O"])
    assert (found.tags, found.spans) == (("O", "O"), ())
    assert task.scores([row], [found]) == {"f1": 0, "precision": 0, "recall": 0, "accuracy": 0}


def test_an_empty_text_has_no_words() -> None:
    assert decoded(tagger(), row_of(""), []) == Tagged((), (), (), "")
    assert decoded(tagger(), row_of(" \n"), []) == Tagged((), (), (), " \n")


def test_spans_point_into_the_callers_text() -> None:
    text = "In  Hong-Kong, Anna\u00a0Anna sleeps."
    row = row_of(text)
    assert row.words == ("In", "Hong", "-", "Kong", ",", "Anna", "Anna", "sleeps", ".")
    found = decoded(tagger(), row, ["O", "B-loc", "I-loc", "I-loc", "O", "B-per", "I-per", "O", "O"])
    assert [(s.kind, s.start, s.end, s.text, s.words) for s in found.spans] == [
        ("loc", 4, 13, "Hong-Kong", (1, 4)),
        ("per", 15, 24, "Anna\u00a0Anna", (5, 7)),
    ]
    assert found.text == text


def test_spans_of_words_point_into_the_words_joined() -> None:
    row = row_of(["in", "Hong Kong", "", "!"])
    found = decoded(tagger(), row, ["O", "B-loc", "O", "B-loc"])
    assert found.words == row.words
    assert found.text == "in Hong Kong  !"
    assert [(s.start, s.end, s.text) for s in found.spans] == [(3, 12, "Hong Kong"), (14, 15, "!")]


pieces = st.sampled_from(
    ["Anna", "cafe\u0301", "Café", "中文", "👩\u200d🚀", "🇫🇷", "\u0301", ZERO_WIDTH, "\x00", " ", "\n", ".", "’s",
     "ﬁ", "İ", "\ud800", "हिन्दी", "O'Neill"]
)  # fmt: skip


@given(st.lists(pieces, max_size=20).map("".join), st.data())
def test_every_span_is_a_piece_of_the_text(text: str, data: st.DataObject) -> None:
    task, row = tagger(length=10), row_of(text)
    wanted = data.draw(st.lists(st.sampled_from(LABELS), min_size=len(row.words), max_size=len(row.words)))
    found = decoded(task, row, wanted)
    assert len(found.tags) == len(found.words)
    assert mend(found.tags, BIO2) == (found.tags, 0)
    assert len(found.text) == len(text)
    for span in found.spans:
        assert found.text[span.start : span.end] == span.text
        assert span.text.startswith(found.words[span.words[0]])
        assert span.text.endswith(found.words[span.words[1] - 1])
        assert 0 < span.probability <= 1


def test_a_span_is_as_probable_as_its_words_on_average() -> None:
    task, row = tagger(labels=("O", "B-per", "I-per")), row_of("anna anna")
    item = item_of(task, row)
    said = np.zeros((4, 3), dtype=np.float32)
    said[1] = np.log([0.2, 0.7, 0.1])
    said[2] = np.log([0.25, 0.25, 0.5])
    (span,) = task.decode(row, item, [said]).spans
    assert span.probability == pytest.approx((0.7 + 0.5) / 2)
    assert span.text == "anna anna"


def test_as_json_has_it() -> None:
    task, row = tagger(), row_of("Anna sleeps")
    shown = task.shown(decoded(task, row, ["B-per", "O"]))
    probability = pytest.approx(1, abs=1e-3)
    assert json.loads(json.dumps(shown)) == {
        "words": ["Anna", "sleeps"],
        "tags": ["B-per", "O"],
        "spans": [{"start": 0, "end": 4, "text": "Anna", "label": "per", "probability": probability}],
        "cut": 0,
    }


@pytest.mark.parametrize(
    ("labels", "said", "expected", "spans"),
    [
        # Models of CoNLL-2003 in IOB1: hardly any B-, and I- begins spans.
        ("O B-per I-per B-loc I-loc", "I-per I-per O I-loc", "B-per I-per O B-loc", [("per", 0, 2), ("loc", 3, 4)]),
        ("O I-per", "I-per I-per O I-per", "B-per I-per O B-per", [("per", 0, 2), ("per", 3, 4)]),
        ("O B-per I-per E-per S-per", "B-per E-per S-per O", "B-per I-per B-per O", [("per", 0, 2), ("per", 2, 3)]),
        ("O B-per I-per L-per U-per", "U-per B-per L-per O", "B-per B-per I-per O", [("per", 0, 1), ("per", 1, 3)]),
        ("NOUN VERB ADP", "NOUN VERB ADP NOUN", "NOUN VERB ADP NOUN", []),
    ],
)
def test_labels_of_others(labels: str, said: str, expected: str, spans: list[tuple[str, int, int]]) -> None:
    task = tagger(labels=labels.split(), foreign=True)
    found = decoded(task, row_of("anna anna in paris"), said.split())
    assert found.tags == tuple(expected.split())
    assert [(span.kind, *span.words) for span in found.spans] == spans


@pytest.mark.parametrize("labels", ["B-per I-per O", "NOUN VERB"])
def test_a_word_without_pieces_is_outside_whatever_the_labels(labels: str) -> None:
    task = tagger(labels=labels.split(), foreign=True)
    assert decoded(task, row_of([ZERO_WIDTH]), labels.split()[:1]).tags == ("O",)


def test_long_sentences_are_scored_to_the_last_word() -> None:
    """Three in a hundred words are of a span, and the last of all 700 too: a model that sees none has recall 0."""
    tags = (["B-per"] + ["O"] * 34) * 20
    tags[-1] = "B-loc"
    row = TaggedRow(("annas",) * 700, tuple(tags), "rows:1")
    task = tagger(length=512, overlap=128)
    item = item_of(task, row)
    assert (len(item.windows), item.lost) == (4, 0)
    right = task.decode(row, item, said_of(task, item, tags))
    assert task.scores([row], [right]) == {"f1": 1, "precision": 1, "recall": 1, "accuracy": 1}
    none = task.decode(row, item, said_of(task, item, ["O"] * 700))
    assert task.scores([row], [none]) == {"f1": 0, "precision": 0, "recall": 0, "accuracy": pytest.approx(679 / 700)}


CONFIG = EncoderConfig(
    num_hidden_layers=2, hidden_size=8, num_attention_heads=2, intermediate_size=16, vocab_size=20,
    max_position_embeddings=64, hidden_dropout_prob=0.0, attention_probs_dropout_prob=0.0,
)  # fmt: skip


def model_for(task: Tag) -> Bert:
    model = Bert(CONFIG.model_copy(update={"initializer_range": 0.5}), task.parts)
    model.initialise(3)
    return model


ROWS = [
    tagged("annas/B-per sleeps/O in/O hong-kong/B-loc ./O"),
    tagged("paris/B-loc ./O"),
    tagged("anna/B-per anna/I-per sleeps/O"),
]


@pytest.mark.parametrize("lstm", [0, 5])
@pytest.mark.parametrize("weights", [None, [0.5, 2.0, 3.0, 4.0, 5.0]])
def test_parts_of_a_step_add_up_to_the_whole(weights: list[float] | None, lstm: int) -> None:
    lengths = Lengths(max_length=8, overlap=2)
    task = Tag(labels=LABELS, lengths=lengths, weights=weights, smoothing=0.1, lstm=lstm)
    model = model_for(task).eval()
    lessons = task.lessons(task.items(ROWS, TOKENIZER))
    whole = task.batch(lessons, PAD)
    assert whole.counts["words"] == 10
    with torch.no_grad():
        loss, figures = task.loss(model, whole, whole.counts)
        parts = [task.loss(model, task.batch([lesson], PAD), whole.counts) for lesson in lessons]
    assert float(sum(part for part, _ in parts)) == pytest.approx(float(loss), rel=1e-5)
    assert float(sum(each["accuracy"] for _, each in parts)) == pytest.approx(float(figures["accuracy"]))
    # And by hand, over the words one by one.
    labels = whole.targets[0]
    scores = task.outputs(model, whole.inputs).detach()[labels != IGNORED]
    plain = torch.nn.functional.cross_entropy(
        scores,
        labels[labels != IGNORED],
        weight=None if weights is None else torch.tensor(weights),
        label_smoothing=0.1,
    )
    assert float(loss) == pytest.approx(float(plain), rel=1e-5)


def test_answers_do_not_depend_on_company() -> None:
    task = tagger(length=8)
    model = model_for(task)
    items = task.items(ROWS, TOKENIZER)

    def answered(rows: list[TaggedRow], chosen: list[Item]) -> list[Tagged]:
        return decoding.decoded(task, rows, chosen, decoding.outputs_of(model, task, chosen, PAD))

    together = answered(ROWS, items)
    alone = [answered([row], [item])[0] for row, item in zip(ROWS, items, strict=True)]
    assert [each.tags for each in together] == [each.tags for each in alone]


def test_the_tagger_of_features_says_as_much_as_the_other() -> None:
    task = Tag(labels=LABELS, lengths=Lengths(max_length=16), lstm=5)
    inputs = InputBatch(torch.full((2, 4), 6), torch.zeros(2, 4, dtype=torch.long), torch.ones(2, 4, dtype=torch.bool))
    assert task.outputs(model_for(task), inputs).shape == (2, 4, 5)


def test_what_there_is_to_learn() -> None:
    assert tag_labels(ROWS, Path("rows")) == LABELS
    weights = balanced_tag_weights(ROWS, LABELS)
    # Of ten words five are O, two B-loc, two B-per, one I-per; I-loc none.
    assert weights == [10 / (4 * 5), 10 / (4 * 2), 1, 10 / (4 * 2), 10 / 4]
    with pytest.raises(
        RowError, match=r"^rows: every word is tagged O, so there is nothing to find; give rows with spans$"
    ):
        tag_labels([tagged("in/O paris/O")], Path("rows"))


def test_kinds_that_the_model_does_not_have_are_scored_and_said(tmp_path: Path) -> None:
    file = tmp_path / "dev.conll"
    file.write_text("anna B-per\nsleeps O\nin O\nparis B-city\n")
    told: list[str] = []
    task = tagger()
    rows = task.read(file, told.append)
    assert told == [f"{file}: 1 spans are of kinds that the model does not have: city"]
    found = decoded(task, rows[0], ["B-per", "O", "O", "O"])
    assert task.scores(rows, [found]) == {"f1": pytest.approx(2 / 3), "precision": 1, "recall": 0.5, "accuracy": 0.75}
    file.write_text("anna B-name\nparis B-city\n")
    with pytest.raises(RowError) as fault:
        task.read(file, told.append)
    assert str(fault.value) == (
        f"{file}:1: no span is of a kind that the model has: city, name; "
        "the model's labels are: O, B-loc, I-loc, B-per, I-per; correct the kinds, or train on rows with them"
    )


def test_what_was_mended_or_left_out_is_said(tmp_path: Path) -> None:
    file = tmp_path / "dev.conll"
    file.write_text("-DOCSTART- O\n\nanna B-per\nsleeps I-loc\nparis B-loc\n")
    told: list[str] = []
    assert tagger().read(file, told.append)[0].tags == ("B-per", "B-loc", "B-loc")
    assert told == [
        f"{file}: 1 tags were mended (read as BIO2, as conlleval reads them)",
        f"{file}: 1 lines or rows without words were left out",
    ]


def test_a_gold_span_without_a_word_of_its_own_counts_as_missed(tmp_path: Path) -> None:
    spans = [{"start": 0, "end": 4, "label": "per"}, {"start": 4, "end": 8, "label": "loc"}]
    file = tmp_path / "a.jsonl"
    file.write_text(json.dumps({"text": "annaroma slept", "spans": spans}) + "\n")
    told: list[str] = []
    rows = tagger().read(file, told.append)
    shared = "spans share their only word with another: they can be neither learnt nor found, and count as missed"
    assert told == [
        f"{file}: 1 spans do not begin and end where words do, and were taken for whole words",
        f"{file}: 1 {shared}",
    ]
    found = [Tagged(rows[0].words, ("B-per", "O"), (), "")]
    assert tagger().scores(rows, found) == {"f1": pytest.approx(2 / 3), "precision": 1, "recall": 0.5, "accuracy": 1}
    assert tagger().showing(rows, found).classes["loc"].recall == 0


def test_rows_to_be_answered_come_out_one_for_one() -> None:
    records: list[Record] = [
        ("rows:1", {"text": "Anna sleeps."}),
        ("rows:2", {"words": ["Anna"]}),
        ("rows:3", {"text": ""}),
    ]
    assert [row.words for row in tagger().unlabelled(records)] == [("Anna", "sleeps", "."), ("Anna",), ()]
    of_conll = Tag(labels=LABELS, lengths=Lengths(), words_column="2")
    assert of_conll.unlabelled(records)[0].words == ("Anna", "sleeps", ".")
    named = Tag(labels=LABELS, lengths=Lengths(), words_column="sentence")
    with pytest.raises(RowError, match="rows:1: there is no column `sentence`; the columns are `text`"):
        named.unlabelled(records)


def test_there_is_one_column() -> None:
    assert one_column(None) is None
    assert one_column(["words"]) == "words"
    with pytest.raises(SettingsError, match=r"^`tag` reads 1 column, but 2 are named: a, b; give --text-column once$"):
        one_column(["a", "b"])


def test_without_a_model_each_word_has_its_most_frequent_tag() -> None:
    train = [tagged("anna/B-per sleeps/O in/O paris/B-loc"), tagged("paris/B-per anna/O"), tagged("paris/B-loc anna/O")]
    # "paris" is found, "anna" is missed, and "kong" was never seen: one span of three, and nothing that is none.
    found = tagger().baseline(train, [tagged("anna/B-per in/O paris/B-loc"), tagged("kong/B-loc")])
    assert found == {"f1": 0.5, "precision": 1.0, "recall": pytest.approx(1 / 3), "accuracy": 0.5}
