from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from bertwright.progress import Silent
from bertwright.recipes.doctor.diagnosis import diagnose
from bertwright.recipes.doctor.findings import Course, Finding, find
from bertwright.recipes.doctor.measures import Boilerplate, Duplicates, Line, Measures, VocabularyFit
from tests.made_text import prose, write_prose

COURSE = Course(
    corpus="corpus.jsonl",
    language="en",
    text_column="text",
    held_out=0.02,
    max_length=128,
    epochs=40,
    recipe_steps=900_000,
    recipe_batch=256,
)
FIT = VocabularyFit(where="vocab", size=30522, seen=30000, rare=500, tokens_per_word=1.2, missing_characters=())


@pytest.fixture(scope="module")
def healthy(tmp_path_factory: pytest.TempPathFactory) -> Measures:
    """A corpus as large as the paper's, with a vocabulary that fits it."""
    corpus = write_prose(tmp_path_factory.mktemp("healthy") / "corpus.jsonl", prose(200, sentences=100))
    measured = diagnose([str(corpus)], timing=False, workers=1, progress=Silent()).measures
    assert measured.pairs is not None
    scale = 10_000
    return replace(
        measured,
        unit="tokens",
        documents=measured.documents * scale,
        held_out_documents=measured.held_out_documents * scale,
        sentences=measured.sentences * scale,
        tokens=measured.tokens * scale,
        words=measured.words * scale,
        characters=measured.characters * scale,
        pairs=replace(measured.pairs, examples=measured.pairs.examples * scale),
        duplicates=Duplicates(
            exact=0, exact_complete=True, exact_examples=(), near=0, near_among=500_000, near_examples=()
        ),
        vocabulary=FIT,
    )


def test_a_healthy_corpus_has_none(healthy: Measures) -> None:
    assert find(healthy, COURSE) == []


def changed(healthy: Measures, **changes: Any) -> list[Finding]:
    text = {name: changes.pop(name) for name in list(changes) if hasattr(healthy.text, name)}
    return find(replace(healthy, text=replace(healthy.text, **text), **changes), COURSE)


@pytest.mark.parametrize(
    ("changes", "grade", "name", "what", "cure"),
    [
        ({"documents": 1, "held_out_documents": 0}, "error", "a single document", "`prepare` refuses", "blank lines"),
        ({"held_out_documents": 0}, "warning", "nothing held out", "nothing to measure on", "--held-out 0.1"),
        ({"held_out_documents": 3}, "note", "few held out", "3 documents are kept aside", "--held-out 0.1"),
        ({"broken_documents": 2}, "warning", "documents without end", "2 times no document ended", "blank line"),
        ({"empty_documents": 100_000}, "note", "empty documents", "100,000 rows hold no text", "passed over"),
        ({"single_sentence_documents": 500_000}, "note", "single-sentence documents", "(25.0%)", "segments=none"),
        ({"single_sentence_documents": 1_500_000}, "warning", "single-sentence documents", "(75.0%)", "join what"),
        ({"unknown": 60_000_000}, "warning", "[UNK]", "of the tokens are [UNK]", "bertwright vocab corpus.jsonl"),
        ({"sentences_broken": 2_000_000}, "note", "long sentences", "2,000,000 sentences are longer", "--language en"),
        ({"mojibake_documents": 30_000}, "warning", "wrong encoding", "(1.50%", "convert"),
        ({"markup_documents": 30_000}, "note", "HTML", "30,000 documents hold HTML", "trafilatura"),
        ({"replacement": 20_000_000}, "warning", "lost characters", "U+FFFD stands there 20,000,000", "encoding"),
        ({"control": 20_000_000}, "warning", "control characters", "20,000,000 control", "drops them"),
        ({"scripts": {"Cyrillic": 9, "Latin": 1}}, "warning", "another language", "90%", "--language ru"),
        ({"tokens": 900_000}, "warning", "little text", "900,000 tokens are little", "--init MODEL"),
        (
            {"vocabulary": replace(FIT, tokens_per_word=1.7)},
            "note",
            "words in many pieces",
            "takes 1.70 tokens",
            "bertwright vocab extend MODEL corpus.jsonl",
        ),
        ({"vocabulary": replace(FIT, rare=20_000)}, "note", "pieces hardly met", "20,000 of 30,522", "start from"),
        (
            {"boilerplate": Boilerplate(distinct=7, share=0.03, least=2000, missing=0, lines=(Line(
                text="All rights reserved.", documents=9000, share=0.02),))},
            "warning",
            "boilerplate",
            "7 lines stand in 2,000 documents or more each, 3.0% of the text; in 9,000 documents: 'All rights",
            "remove them",
        ),
        (
            {"duplicates": Duplicates(exact=40_000, exact_complete=False, exact_examples=(("a:1", "b:2"),), near=900,
                near_among=500_000, near_examples=(("a:3", "b:4"),))},
            "warning",
            "duplicates",
            "about 40,000 documents were there before, word for word (2.00%), as a:1 and b:2",
            "--dedupe exact",
        ),
    ],
)  # fmt: skip
def test_each_fault_is_told_by_itself(
    healthy: Measures, changes: dict[str, Any], grade: str, name: str, what: str, cure: str
) -> None:
    found = [finding for finding in changed(healthy, **changes) if finding.name == name]
    assert [finding.grade for finding in found] == [grade]
    assert what in found[0].what
    assert cure in found[0].cure


def test_the_gravest_come_first(healthy: Measures) -> None:
    found = changed(
        healthy, documents=1, held_out_documents=0, tokens=900_000, unknown=100_000, sentences_broken=2_000_000
    )
    grades = [finding.grade for finding in found]
    assert grades == sorted(grades, key=["error", "warning", "note"].index)
    warnings = [finding.share for finding in found if finding.grade == "warning"]
    assert warnings == sorted(warnings, reverse=True)
    assert len(warnings) > 1


def test_a_small_corpus_gets_numbers_to_go_on_with(healthy: Measures) -> None:
    assert healthy.pairs is not None
    small = replace(
        healthy,
        words=2_000_000,
        tokens=2_000_000,
        vocabulary=None,
        pairs=replace(healthy.pairs, examples=20_000),
    )
    found = {finding.name: finding for finding in find(small, COURSE)}
    assert found["little text for a vocabulary"].cure.startswith("bertwright vocab corpus.jsonl --size 10000")
    # 900,000 steps of 256 are 11,520 times 20,000; 40 epochs of them are 3,125 steps.
    assert "11,520 times" in found["more steps than text"].what
    assert found["more steps than text"].cure == "--set training.steps=3125 for 40 epochs"
