from __future__ import annotations

import itertools
import json
import random
from pathlib import Path
from typing import Any

import pytest

from bertwright.cli.main import main
from bertwright.progress import Silent
from bertwright.recipes.doctor import pair_sample, tally
from bertwright.recipes.doctor.diagnosis import Diagnosis, diagnose
from bertwright.recipes.doctor.estimates import shard_bytes
from bertwright.recipes.prepare import PrepareSettings, prepare_corpus
from bertwright.recipes.vocabulary import make_vocabulary
from bertwright.text.documents import read_documents
from bertwright.text.sentences import split_sentences
from tests.made_text import prose, write_corpus, write_prose


def examine(*sources: Path | str, **options: Any) -> Diagnosis:
    chosen = {"timing": False, "workers": 1} | options
    return diagnose(list(map(str, sources)), progress=Silent(), **chosen)


def write(path: Path, *texts: str) -> Path:
    path.write_text("".join(json.dumps({"text": text}) + "\n" for text in texts))
    return path


def names(found: Diagnosis) -> set[str]:
    return {finding.name for finding in found.findings}


def test_a_corpus_one_can_count_by_eye(tmp_path: Path) -> None:
    corpus = write(
        tmp_path / "corpus.jsonl",
        "The cat sat. It ran home.\n\nA dog came.",  # 2 paragraphs, 3 sentences, 4 + 4 + 4 words with their full stops
        "One sentence only.",
        "The cat sat. It ran home.\n\nA dog came.",  # there before
        "",
        "Слово.",
    )
    m = examine(corpus).measures
    assert m.unit == "words"
    assert (m.documents, m.empty_documents, m.paragraphs, m.sentences, m.tokens) == (4, 1, 6, 8, 30)
    assert (m.single_sentence_documents, m.skipped, m.files) == (2, 0, 1)
    assert m.characters == 2 * 36 + 18 + 6
    assert m.text_bytes == m.characters + 5 + 5  # Cyrillic letters take two bytes; paragraphs are parted by a line end
    assert m.text.scripts == {"Latin": 2 * 26 + 15, "Cyrillic": 5}
    assert (m.duplicates.exact, m.duplicates.exact_examples) == (1, ((f"{corpus}:1", f"{corpus}:3"),))
    assert (m.sentence_lengths.median, m.sentence_lengths.longest) == (4, 4)
    assert m.document_sentences.histogram == ((1, 1, 2), (2, 3, 2))
    assert m.document_lengths.longest == 12


def test_figures_are_those_of_what_prepare_makes(tmp_path: Path) -> None:
    documents = prose(300)
    documents[7] = [" ".join(["long"] * 300) + "."]  # is broken
    documents[9] = ["ҩ ҩ ҩ."]  # outside the alphabet: a piece is [UNK]
    corpus = write_prose(tmp_path / "corpus.jsonl", documents)
    vocab = tmp_path / "vocab"
    make_vocabulary([str(corpus)], vocab, size=800, alphabet_limit=20, workers=1, progress=Silent())
    settings = PrepareSettings()
    manifest = prepare_corpus(
        [str(corpus)], vocab, tmp_path / "shards", settings=settings, workers=1, progress=Silent()
    )
    found = examine(corpus, vocab=vocab)
    m, counts = found.measures, manifest.counts
    assert m.unit == "tokens"
    assert (m.tokens, m.unknown, counts["unknown_tokens"]) == (counts["tokens"], 3, 3)
    assert (m.sentences_stored, m.sentences_broken) == (counts["sentences"], counts["sentences_broken"])
    assert m.sentences_broken == 1
    assert m.held_out_documents == counts["held_out_documents"]
    assert m.vocabulary is not None
    assert m.vocabulary.missing_characters == (("ҩ", 3),)
    assert m.words == sum(len(sentence.split()) + 1 for document in documents for sentence in document)
    on_disk = sum(path.stat().st_size for path in (tmp_path / "shards").glob("*.npy"))
    assert shard_bytes(m, 800) == pytest.approx(on_disk, rel=0.1)


def test_a_healthy_corpus_gets_a_clean_bill(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    corpus = write_prose(tmp_path / "corpus.jsonl", prose(2500, sentences=40))
    assert main(["doctor", str(corpus), "--no-timing", "--workers", "2"]) == 0
    told = capsys.readouterr().out
    assert "Findings: nothing wrong found\n" in told
    assert [line for line in told.splitlines() if line.startswith("  note: ")] == [
        "  note: little text",
        "  note: little text for a vocabulary",
        "  note: more steps than text",
    ]


def test_any_number_of_workers_says_the_same(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("bertwright.recipes.doctor.diagnosis._CHARACTERS_AT_ONCE", 20_000)
    # All that is sampled or summarised is, here.
    monkeypatch.setattr(pair_sample.PairSample.__init__, "__defaults__", (2000,))
    monkeypatch.setattr(tally, "MOST_SIGNATURES", 100)
    documents = prose(400)
    documents[100:120] = documents[:20]
    chance = random.Random(0)
    for document in documents:
        document.insert(chance.randrange(12), "All rights reserved by the Sea.")
    for part in (0, 1):
        write_prose(tmp_path / f"{part}.jsonl", documents[part::2])
    write_prose(tmp_path / "2.txt", [[sentence] for document in prose(20, 1) for sentence in document])
    found = [json.dumps(examine(tmp_path, workers=workers).as_json()) for workers in (1, 2, 3)]
    assert found[1:] == found[:1] * 2
    assert '"blank line after every sentence"' in found[0]


@pytest.mark.parametrize("name", ["corpus.txt", "corpus.jsonl"])
def test_sentences_taken_for_documents_are_told_from_a_list(tmp_path: Path, name: str) -> None:
    sentences = [[sentence] for document in prose(60) for sentence in document]
    running = examine(write_prose(tmp_path / name, sentences))
    mistake = "blank line after every sentence" if name.endswith(".txt") else "a row for every sentence"
    assert running.findings[0].name == mistake or running.findings[1].name == mistake
    (found,) = running.measures.mistakes
    assert (found.name, found.files, found.documents) == (mistake, 1, 720)
    assert running.measures.pairs is not None
    assert running.measures.pairs.original_is_next == 0
    random.Random(0).shuffle(sentences)
    listed = examine(write_prose(tmp_path / name, sentences))
    assert not listed.measures.mistakes
    assert "single-sentence documents" in names(listed)
    assert "single-sentence documents" not in names(running)


def test_a_text_without_a_blank_line(tmp_path: Path) -> None:
    book = [sentence for document in prose(100) for sentence in document]
    found = examine(write_prose(tmp_path / "book.txt", [book]))
    assert found.findings[0].name == "a single document"
    assert found.findings[0].grade == "error"
    assert found.measures.mistakes[0].name == "no blank line"
    # The same with documents beside it is not refused, but told.
    write_prose(tmp_path / "others.txt", prose(100, 1))
    found = examine(tmp_path)
    assert "a single document" not in names(found)
    assert "no blank line" in names(found)
    assert found.measures.layouts == {"sentences": 2}
    assert not examine(tmp_path / "others.txt").measures.mistakes


def test_boilerplate_is_found_in_lines_and_in_sentences(tmp_path: Path) -> None:
    texts = [" ".join(document) for document in prose(100)]
    for number in range(0, 60, 2):
        texts[number] = f"Home | About | Contact\n{texts[number]}"
    for number in range(10):
        texts[number] += " Read more of this on our lovely website."
    m = examine(write(tmp_path / "corpus.jsonl", *texts)).measures
    assert [(line.text, line.documents) for line in m.boilerplate.lines] == [
        ("Home | About | Contact", 30),
        ("Read more of this on our lovely website.", 10),
    ]
    assert m.boilerplate.share == pytest.approx((30 * 22 + 10 * 40) / m.characters)


def test_copies_are_no_boilerplate(tmp_path: Path) -> None:
    texts = [" ".join(document) for document in prose(100)]
    m = examine(write(tmp_path / "corpus.jsonl", *texts, *texts[:1] * 20)).measures
    assert m.duplicates.exact == 20
    assert m.boilerplate.distinct == 0


def test_near_duplicates(tmp_path: Path) -> None:
    pytest.importorskip("rensa")
    texts = [" ".join(document) for document in prose(100, sentences=30)]
    corpus = write(tmp_path / "corpus.jsonl", *texts, texts[3] + " And one more.", texts[3])
    found = examine(corpus)
    assert (found.measures.duplicates.exact, found.measures.duplicates.near) == (1, 1)
    assert found.measures.duplicates.near_examples == ((f"{corpus}:4", f"{corpus}:101"),)
    assert {"duplicates", "near duplicates"} <= names(found)


def test_without_the_library_near_duplicates_are_said_to_be_unknown(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("importlib.util.find_spec", lambda _: None)
    found = examine(write(tmp_path / "corpus.jsonl", "One. Two.", "Three. Four."))
    assert found.measures.duplicates.near is None
    (finding,) = (finding for finding in found.findings if finding.name == "near duplicates unknown")
    assert finding.cure == "pip install 'bertwright[near]'"


def test_chinese_under_the_rules_of_english(tmp_path: Path) -> None:
    # 3,000 ideographs, each as often as the others: 999 of them and the full stop, which is most frequent, are kept.
    signs = [chr(0x4E00 + number) for number in range(3000)]
    texts = ["".join(signs[start : start + 20]) + "。" for start in range(0, 3000, 20)]
    corpus = write(tmp_path / "corpus.jsonl", *("".join(texts[n : n + 5]) for n in range(0, 150, 5)))
    found = {finding.name: finding for finding in examine(corpus).findings}
    assert found["another language"].cure == "--language zh, here and for prepare"
    assert found["a large alphabet"].cure == f"bertwright vocab {corpus} --alphabet 3500"
    assert "63.52%" in found["a large alphabet"].what
    assert "another language" not in names(examine(corpus, language="zh"))


def test_damage_is_seen_in_the_characters(tmp_path: Path) -> None:
    texts = [" ".join(document) for document in prose(40)]
    texts[0] += " Ein schöner Fall für Müller.".encode().decode("latin-1")
    texts[1] += " lost \ufffd\ufffd here, \x07."
    texts[2] = f"<div><p>{texts[2]}</p></div>"
    found = examine(write(tmp_path / "corpus.jsonl", *texts))
    assert {"wrong encoding", "lost characters", "control characters", "HTML"} <= names(found)
    text = found.measures.text
    assert (text.mojibake_documents, text.replacement, text.control, text.markup) == (1, 2, 1, 4)


def test_lines_that_are_no_documents_are_told(tmp_path: Path) -> None:
    corpus = write_corpus(tmp_path / "corpus.jsonl", 200)
    corpus.write_text(corpus.read_text() + '{\n{"no": "text"}\n')
    found = examine(corpus)
    assert found.measures.skipped == 2
    (finding,) = (finding for finding in found.findings if finding.name == "unreadable lines")
    assert finding.grade == "note"
    assert f"{corpus}:201: this line is no JSON" in finding.what


def test_standard_input_and_other_readers(tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: Any) -> None:
    import gzip
    import io

    write_prose(tmp_path / "corpus.txt", prose(30))
    content = (tmp_path / "corpus.txt").read_bytes()
    (tmp_path / "corpus.txt.gz").write_bytes(gzip.compress(content))
    told = []
    for place in (str(tmp_path / "corpus.txt"), str(tmp_path / "corpus.txt.gz"), "-"):
        monkeypatch.setattr("sys.stdin", io.TextIOWrapper(io.BytesIO(content)))
        assert main(["doctor", place, "--no-timing", "--workers", "1", "--json"]) == 0
        measures = json.loads(capsys.readouterr().out)["measures"]
        told.append({name: measures[name] for name in ("documents", "sentences", "tokens", "text", "pairs")})
    assert told[0]["documents"] == 30
    assert told[1:] == told[:1] * 2


def test_paragraphs_taken_for_documents(tmp_path: Path) -> None:
    # So many words that two documents hardly share one by chance.
    documents = prose(60, sentences=40, vocabulary=100_000)
    paragraphs = [document[at : at + 4] for document in documents for at in range(0, 40, 4)]
    found = examine(write_prose(tmp_path / "corpus.txt", paragraphs))
    assert [(mistake.name, mistake.documents) for mistake in found.measures.mistakes] == [
        ("blank line after every paragraph", 600)
    ]
    assert "examples are not full" not in names(found)  # it follows from that
    random.Random(0).shuffle(paragraphs)
    assert "examples are not full" in names(examine(write_prose(tmp_path / "corpus.txt", paragraphs)))


@pytest.mark.data
def test_real_prose_in_every_layout(tmp_path: Path, data_dir: Path) -> None:
    articles = itertools.islice(read_documents([str(data_dir / "raw/en/wikipedia_core.jsonl.zst")]), 150)
    documents = [[split_sentences(paragraph) for paragraph in article.paragraphs] for article in articles]
    layouts = {
        "blank line after every sentence": [[s] for document in documents for p in document for s in p],
        "blank line after every paragraph": [p for document in documents for p in document],
        "no blank line": [[s for document in documents for p in document for s in p]],
    }
    for name, layout in layouts.items():
        mistakes = examine(write_prose(tmp_path / "corpus.txt", layout)).measures.mistakes
        assert [mistake.name for mistake in mistakes] == [name]
    found = examine(write_prose(tmp_path / "corpus.txt", [[s for p in document for s in p] for document in documents]))
    assert found.measures.mistakes == ()
    assert names(found) <= {"little text", "few held out", "little text for a vocabulary", "more steps than text"}
