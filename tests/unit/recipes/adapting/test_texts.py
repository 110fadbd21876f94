from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path

import pytest

from bertwright.errors import CorpusError, RowError, SettingsError
from bertwright.recipes.adapting.texts import Rows, documents_json, sampled_documents, task_documents

SQUAD = {"data": [{"paragraphs": [{"context": "It was Ann.", "qas": [{"id": "1", "question": "Who?"}]}]}]}


def rows(path: Path, *values: Mapping[str, object]) -> str:
    path.write_text("".join(json.dumps(row) + "\n" for row in values))
    return str(path)


def test_a_row_is_a_document_and_so_is_a_pair(tmp_path: Path) -> None:
    single = rows(tmp_path / "single.jsonl", {"text": "A cat sat.", "label": "pet"}, {"text": "A dog.", "label": "pet"})
    pair = rows(tmp_path / "pair.jsonl", {"text_a": "A cat sat.", "text_b": "A dog ran.", "label": "other"})
    assert task_documents([single], None) == (["A cat sat.", "A dog."], False)
    assert task_documents([pair], None) == (["A cat sat.\n\nA dog ran."], True)
    assert task_documents([single, pair], None) == (["A cat sat.", "A dog.", "A cat sat.\n\nA dog ran."], True)


def test_columns_may_be_named_and_labels_are_not_needed(tmp_path: Path) -> None:
    file = rows(tmp_path / "rows.jsonl", {"premise": "A cat.", "hypothesis": "A pet."})
    assert task_documents([file], ["hypothesis"]) == (["A pet."], False)
    assert task_documents([file], ["premise", "hypothesis"]) == (["A cat.\n\nA pet."], True)
    with pytest.raises(RowError, match="there is neither a column `text` nor `text_a` and `text_b`"):
        task_documents([file], None)


def test_a_text_file_is_read_as_documents(tmp_path: Path) -> None:
    (tmp_path / "task.txt").write_text("A cat sat.\nIt ran.\n\nA dog.\n")
    assert task_documents([str(tmp_path / "task.txt")], None) == (["A cat sat.\n\nIt ran.", "A dog."], False)


def test_a_file_without_rows_is_refused(tmp_path: Path) -> None:
    (tmp_path / "none.jsonl").write_text("\n")
    with pytest.raises(RowError) as caught:
        task_documents([str(tmp_path / "none.jsonl")], None)
    assert str(caught.value) == f"{tmp_path}/none.jsonl: holds no rows"


def test_a_sample_ends_its_reading_early_and_takes_some_of_every_file(tmp_path: Path) -> None:
    for name in "ab":
        lines = [{"text": f"{name} {number:02d}"} for number in range(20)]
        file = rows(tmp_path / f"{name}.jsonl", *lines)
        with Path(file).open("a") as end:
            end.write("{this would be a fault, were it read\n")
    found = list(sampled_documents([str(tmp_path)], characters=40, text_column="text", on_error="stop"))
    # Twenty characters of each file; of each document no more than the 32nd part of 40, which is one.
    assert found == ["a"] * 20 + ["b"] * 20
    found = list(sampled_documents([str(tmp_path)], characters=150, text_column="text", on_error="stop"))
    assert len(found) == 2 * 19
    assert found[:2] == ["a 00", "a 01"]


def test_of_many_files_some_are_opened_evenly_spaced(tmp_path: Path) -> None:
    for number in range(130):
        rows(tmp_path / f"{number:03d}.jsonl", {"text": f"{number:03d}"})
    found = list(sampled_documents([str(tmp_path)], characters=10_000, text_column="text", on_error="stop"))
    assert len(found) == 64
    assert found[:4] == ["000", "002", "004", "006"]
    assert found[-1] == "127"


def test_a_long_document_is_cut_after_a_word(tmp_path: Path) -> None:
    file = rows(tmp_path / "long.jsonl", {"text": "word " * 100}, {"text": "A cat."})
    found = list(sampled_documents([file], characters=32 * 12, text_column="text", on_error="stop"))
    assert found == ["word word", "A cat."]


def test_a_single_document_is_no_sample(tmp_path: Path) -> None:
    file = rows(tmp_path / "one.jsonl", {"text": "A cat."})
    with pytest.raises(CorpusError, match="holds 1 documents, and two are the least"):
        list(sampled_documents([file], characters=100, text_column="text", on_error="stop"))


def test_documents_are_lines_of_json() -> None:
    assert documents_json(["A\n\nB", "猫"]) == '{"text": "A\\n\\nB"}\n{"text": "猫"}\n'.encode()


def test_words_with_tags_are_joined_and_their_tags_are_not_read(tmp_path: Path) -> None:
    columns = "U.N.\tB-org\nofficial\tO\n\nEkeus\tB-per\n"
    forms: dict[str, Rows] = {"rows.conll": "auto", "rows.txt": "tagged", "rows.tsv": "tagged"}
    for name, form in forms.items():
        (tmp_path / name).write_text(columns)
        assert task_documents([str(tmp_path / name)], None, form) == (["U.N. official", "Ekeus"], False), name
    table = rows(tmp_path / "rows.jsonl", {"words": ["U.N.", "offi \n\n cial"], "tags": ["B-org", "O"]})
    # A blank line within a word does not part the sentence.
    assert task_documents([table], None) == (["U.N. offi cial"], False)
    text = rows(tmp_path / "text.jsonl", {"sentence": "U.N. official.", "spans": []})
    assert task_documents([text], ["sentence"], "tagged") == (["U.N. official."], False)
    with pytest.raises(SettingsError, match=r"stand in one column, but 2 are named: a, b; name the one"):
        task_documents([text], ["a", "b"], "tagged")


def test_of_questions_each_context_comes_once(tmp_path: Path) -> None:
    (tmp_path / "squad.json").write_text(json.dumps(SQUAD))
    assert task_documents([str(tmp_path / "squad.json")], None) == (["It was Ann."], False)
    lines = [{"id": f"q{number}", "question": "Who?", "context": f"It was {'AB'[number // 2]}."} for number in range(4)]
    table = rows(tmp_path / "rows.jsonl", *lines)
    assert task_documents([table], None) == (["It was A.", "It was B."], False)
    # What is wrong with a question does not matter to its text, and what has no text can be left out.
    odd = rows(tmp_path / "odd.jsonl", lines[0] | {"question": ""}, lines[0], {"question": "Who?"}, lines[2])
    with pytest.raises(RowError, match=r"odd.jsonl:3: there is no column `context`"):
        task_documents([odd], None)
    said: list[str] = []
    assert task_documents([odd], None, on_error="skip", say=said.append) == (["It was A.", "It was B."], False)
    assert said[0].startswith(f"{odd}: 1 rows without a text were left out; the first: {odd}:3: there is no column")
    with pytest.raises(RowError, match=r"empty.jsonl: holds no text that a question is asked of"):
        task_documents([rows(tmp_path / "empty.jsonl", {"question": "Who?", "context": " "})], None)
