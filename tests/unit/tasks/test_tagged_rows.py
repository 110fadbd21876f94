from __future__ import annotations

import gzip
import json
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from bertwright.errors import RowError, SettingsError
from bertwright.tasks.tagged_rows import TaggedRow, TaggedRows, column_there, read_tagged, rows_to_tag, tagged_records


def columns(path: Path, content: str) -> Path:
    path.write_bytes(content.encode())
    return path


def objects(path: Path, *rows: dict[str, Any]) -> Path:
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    return path


def short(found: TaggedRows) -> list[str]:
    """The sentences as `word/tag word/tag`."""
    return [
        " ".join(f"{word}/{tag}" for word, tag in zip(row.words, row.tags or (), strict=True)) for row in found.rows
    ]


def fault(path: Path, **options: Any) -> str:
    with pytest.raises(RowError) as caught:
        read_tagged(path, **options)
    return str(caught.value)


@pytest.mark.parametrize("ending", [".conll", ".bio", ".iob", ".txt", ".tsv", ".CONLL"])
def test_columns(tmp_path: Path, ending: str) -> None:
    path = columns(tmp_path / f"a{ending}", "U.N.\tB-org\nofficial\tO\n\n\nEkeus\tB-per\n")
    assert read_tagged(path) == TaggedRows(
        rows=[
            TaggedRow(("U.N.", "official"), ("B-org", "O"), f"{path}:1"),
            TaggedRow(("Ekeus",), ("B-per",), f"{path}:5"),
        ],
        scheme="BIO2",
    )


@pytest.mark.parametrize(
    "content",
    [
        "a O\nb B-x\n\nc O\n",
        "a O\nb B-x\n\nc O",
        "a O\r\nb B-x\r\n\r\nc O\r\n",
        "\n\n a  O \nb\tB-x \n \t\nc O\n\n\n",
        "\ufeffa O\nb B-x\n\nc O\n",
        "-DOCSTART- -X- -X- O\n\na O\nb B-x\n\n-DOCSTART-\tO\nc O\n",
        "a O\nb B-x\n-DOCSTART- O\nc O\n",
        "# id = 1\n# text = a b\na O\nb B-x\n\n# a comment\nc O\n",
    ],
    ids=["plain", "no end", "CRLF", "odd spaces", "mark", "documents", "a document ends a sentence", "comments"],
)
def test_the_same_sentences(tmp_path: Path, content: str) -> None:
    assert short(read_tagged(columns(tmp_path / "a.conll", content))) == ["a/O b/B-x", "c/O"]


def test_columns_between_and_compressed_and_what_is_left_out(tmp_path: Path) -> None:
    path = tmp_path / "a.conll.gz"
    path.write_bytes(gzip.compress(b"-DOCSTART- -X- O\n\n# one\nEU NNP I-org\nGerman JJ I-misc\nPeter NNP B-misc\n"))
    found = read_tagged(path)
    assert short(found) == ["EU/B-org German/B-misc Peter/B-misc"]
    assert (found.scheme, found.mended, found.left_out) == ("IOB1", 0, 2)
    assert short(read_tagged(columns(tmp_path / "b.bio", "a NN S-x\n"))) == ["a/B-x"]
    named = columns(tmp_path / "c.conll", "1 a O NN\n2 b B-x NN\n")
    assert short(read_tagged(named, words_column="2", tags_column="3")) == ["a/O b/B-x"]


def test_a_word_is_kept_as_it_lies(tmp_path: Path) -> None:
    path = columns(tmp_path / "a.conll", "New York\tB-x\n\tO\n  \tO\n\u00a0 O\n\u200b O\n\u3000\tO\n#\tO\n# O\n#a O\n")
    assert read_tagged(path).rows[0].words == ("New York", "", "  ", "\u00a0", "\u200b", "\u3000", "#", "#", "#a")


def test_wrong_sequences_are_counted(tmp_path: Path) -> None:
    found = read_tagged(columns(tmp_path / "a.conll", "a B-x\nb I-y\n\nc I-x\n"))
    assert short(found) == ["a/B-x b/B-y", "c/B-x"]
    assert (found.scheme, found.mended) == ("BIO2", 2)


def test_words_without_tags(tmp_path: Path) -> None:
    path = columns(tmp_path / "a.txt", "# one\nNew\nYork\n\n#\n")
    assert read_tagged(path, tags=False).rows == [
        TaggedRow(("New", "York"), None, f"{path}:2"),
        TaggedRow(("#",), None, f"{path}:5"),
    ]
    # Tags that are none do no harm where they are not read; `#` is a word where it stands in as many columns.
    tagged = read_tagged(columns(tmp_path / "b.conll", "# two three\na Q-x\n# NN\n"), tags=False)
    assert [row.words for row in tagged.rows] == [("a", "#")]
    assert (tagged.scheme, tagged.mended, tagged.left_out) == (None, 0, 1)


@pytest.mark.parametrize(
    ("content", "what"),
    [
        ("a O\nb NN O\n", "{0}:2: this line has 3 column(s), and {0}:1 has 2; part columns by one tab where a word "),
        ("a\tO\n\nb\n", "{0}:3: this line has 1 column(s), and {0}:1 has 2; "),
        ("a\tO\t\nb\tO\n", "{0}:1: the tag '' fits no scheme; a tag is O, or B-, "),
        ("a\nb\n", "{0}:1: this line has one column, not a word and a tag; part the word from its tag by a tab or a "),
        ("a O\nb Q-per\n", "{0}:2: the tag 'Q-per' fits no scheme; a tag is O, or B-, I-, E-, S-, L- or U- and a kind"),
        ("a B-\n", "{0}:1: the tag 'B-' fits no scheme; "),
        ("a S-x\n\nb U-x\n", "{0}:3: tags of IOBES ('S-x') and of BILOU ('U-x') stand in one file; choose one"),
        ("\n# one\n-DOCSTART- O\n", "{0}: holds no rows"),
        ("", "{0}: holds no rows"),
        ("a O\nb\0 O\n", "{0}:2: this is a binary file, not text; "),
    ],
)
def test_columns_that_are_none(tmp_path: Path, content: str, what: str) -> None:
    path = columns(tmp_path / "a.conll", content)
    assert fault(path).startswith(what.format(path))


def test_files_and_columns_that_are_not_there(tmp_path: Path) -> None:
    assert fault(tmp_path / "no.conll") == f"{tmp_path / 'no.conll'}: no such file"
    assert fault(tmp_path / "a.xml") == (
        f"{tmp_path / 'a.xml'}: do not know how to read tagged words from `.xml`; "
        "give .jsonl, .csv, .tsv, .parquet, or columns as .conll, .bio, .iob, .txt, .tsv"
    )
    path = columns(tmp_path / "a.conll", "a O\n")
    assert fault(path, tags_column="3") == f"{path}:1: there is no column 3; this line has 2"
    for name in ("tags", "0", "-1", "²"):
        with pytest.raises(SettingsError) as caught:
            read_tagged(path, tags_column=name)
        assert str(caught.value) == (
            f"the columns of a CoNLL file have no names, and {name!r} is no number of one; "
            "give 1 for the first, or nothing: the first holds words, the last tags"
        )


def test_a_long_line_is_named_and_not_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("bertwright.lines.MAX_LINE_BYTES", 1 << 20)
    path = columns(tmp_path / "a.conll", "a O\n" + "b" * (2 << 20) + " O\n")
    assert fault(path) == f"{path}:2: a line is longer than 1 MB; break it"


@pytest.mark.parametrize(
    "row",
    [
        {"words": ["a", "b"], "tags": ["O", "B-x"]},
        {"tokens": ["a", "b"], "tags": ["O", "B-x"], "spans": []},
        {"words": "a b", "tags": "O B-x"},
        {"text": "a b", "tags": ["O", "S-x"]},
        {"text": " a\tb", "spans": [{"start": 3, "end": 4, "label": "x"}]},
    ],
)
def test_rows_of_words(tmp_path: Path, row: dict[str, Any]) -> None:
    path = objects(tmp_path / "a.jsonl", row)
    found = read_tagged(path)
    assert short(found) == ["a/O b/B-x"]
    assert found.rows[0].where == f"{path}:1"
    pq.write_table(pa.Table.from_pylist([row]), tmp_path / "a.parquet")
    assert short(read_tagged(tmp_path / "a.parquet")) == ["a/O b/B-x"]


def test_columns_by_name(tmp_path: Path) -> None:
    path = objects(tmp_path / "a.jsonl", {"text": "play it", "words": ["x"], "slots": ["O", "B-item"], "tags": 1})
    assert short(read_tagged(path, words_column="text", tags_column="slots")) == ["play/O it/B-item"]
    marked = {"sentence": "play it", "marks": [{"start": 5, "end": 7, "label": "item"}]}
    path = objects(tmp_path / "b.jsonl", marked, {"sentence": "no, stop", "marks": []})
    found = read_tagged(path, words_column="sentence", tags_column="marks")
    assert short(found) == ["play/O it/B-item", "no/O ,/O stop/O"]


def test_a_text_stays_with_its_words(tmp_path: Path) -> None:
    text = "Kiruna's café \ud800"
    path = objects(tmp_path / "a.jsonl", {"text": text, "spans": [{"start": 0, "end": 7, "label": "loc"}]})
    row = TaggedRow(
        ("Kiruna", "'", "s", "café", "?"),
        ("B-loc", "I-loc", "O", "O", "O"),
        f"{path}:1",
        "Kiruna's café ?",
        ((0, 6), (6, 7), (7, 8), (9, 13), (14, 15)),
    )
    assert read_tagged(path).rows == [row]
    untagged = TaggedRow(row.words, None, row.where, row.text, row.spans)
    assert read_tagged(path, tags=False).rows == [untagged]
    # Tags for each part between white space keep these parts whole.
    path = objects(tmp_path / "b.jsonl", {"text": " it's a  a", "tags": "O B-x O"})
    assert read_tagged(path).rows[0].spans == ((1, 5), (6, 7), (9, 10))


def test_what_is_to_be_tagged_is_read_from_every_form_that_is_trained_on(tmp_path: Path) -> None:
    columns = tmp_path / "a.conll"
    columns.write_text("Paris B-loc\ncalls O\n\nhello\tO\n".replace("\t", " "))
    assert list(tagged_records(columns, None)) == [
        (f"{columns}:1", {"words": ["Paris", "calls"]}),
        (f"{columns}:4", {"words": ["hello"]}),
    ]
    rows = objects(tmp_path / "a.jsonl", {"text": "Paris calls", "id": 3})
    assert list(tagged_records(rows, "1")) == [(f"{rows}:1", {"text": "Paris calls", "id": 3})]


def test_rows_without_words_are_counted_and_trimmed_spans_too(tmp_path: Path) -> None:
    path = objects(
        tmp_path / "a.jsonl",
        {"text": " ", "spans": []},
        {"words": [], "tags": []},
        {"words": ["", " "], "tags": ["O", "O"]},
        {"text": "a b", "spans": [{"start": 1, "end": 3, "label": "x"}]},
    )
    found = read_tagged(path)
    assert [row.words for row in found.rows] == [("", " "), ("a", "b")]
    assert (found.scheme, found.mended, found.widened, found.left_out) == ("BIO2", 0, 1, 2)


def test_a_tsv_is_a_table_where_its_first_line_names_a_column_of_words(tmp_path: Path) -> None:
    table = tmp_path / "a.tsv"
    table.write_text("id\ttext\ttags\n1\tAnna saw Paris\tB-per O B-loc\n")
    assert list(tagged_records(table, None)) == [
        (f"{table}:2", {"id": "1", "text": "Anna saw Paris", "tags": "B-per O B-loc"})
    ]
    assert short(read_tagged(table)) == ["Anna/B-per saw/O Paris/B-loc"]
    other = tmp_path / "b.tsv"
    other.write_text("id\tsentence\n1\tAnna saw\n")
    assert list(tagged_records(other, "sentence")) == [(f"{other}:2", {"id": "1", "sentence": "Anna saw"})]
    with pytest.raises(SettingsError, match="the columns of a CoNLL file have no names, and 'body' is no number of"):
        list(tagged_records(other, "body"))
    # What is predicted is what is evaluated, whatever the model was trained on.
    third = tmp_path / "d.tsv"
    third.write_text("id\ttext\n1\tAnna saw\n2\tParis\n")
    assert len(list(tagged_records(third, None, trained="sentence"))) == 2
    header = columns(tmp_path / "e.tsv", "tokens\ttags\nParis\tB-loc\n\nAnna\tB-per\n")
    assert fault(header) == (
        f"{header}:1: this line names columns, as that of a table, and line 3 is blank, as between sentences; "
        "remove the one or the other"
    )
    alone = columns(tmp_path / "f.tsv", "text\nParis\n\nAnna\n")
    assert [row["words"] for _, row in tagged_records(alone, None)] == [["text", "Paris"], ["Anna"]]
    # A word, and not the name of a column.
    words = columns(tmp_path / "c.tsv", "text\tO\nParis\tB-loc\n")
    assert short(read_tagged(words)) == ["text/O Paris/B-loc"]


def test_lists_in_the_cells_of_a_table(tmp_path: Path) -> None:
    table = tmp_path / "a.csv"
    table.write_text('text,spans\n"Anna, saw","[{""start"": 0, ""end"": 4, ""label"": ""per""}]"\nParis,[]\n')
    assert short(read_tagged(table)) == ["Anna/B-per ,/O saw/O", "Paris/O"]
    table.write_text('text,tags\nAnna saw,"[""B-per"", ""O""]"\n')
    assert short(read_tagged(table)) == ["Anna/B-per saw/O"]
    table.write_text("text,spans\nAnna,[1\n")
    assert fault(table).startswith(f"{table}:2: `spans` begins as a list and is no JSON: '[1'; write [")


def test_the_columns_of_a_training_are_looked_at_where_a_file_has_them(tmp_path: Path) -> None:
    words = columns(tmp_path / "a.conll", "Paris B-loc\n")
    rows = objects(tmp_path / "a.jsonl", {"sentence": "Paris", "text": "no"})
    assert [column_there(words, name) for name in (None, "1", "sentence")] == [None, "1", None]
    assert [column_there(rows, name) for name in (None, "1", "sentence")] == [None, None, "sentence"]
    read = list(tagged_records(words, None, trained="sentence"))
    assert [row.words for row in rows_to_tag(read, None, "sentence")] == [("Paris",)]
    read = list(tagged_records(rows, None, trained="sentence"))
    assert [row.words for row in rows_to_tag(read, None, "sentence")] == [("Paris",)]
    assert [row.words for row in rows_to_tag(read, "text", "sentence")] == [("no",)]


def test_a_span_that_shares_its_only_word_is_kept_as_missed(tmp_path: Path) -> None:
    dose = [{"start": 5, "end": 7, "label": "dose"}, {"start": 7, "end": 9, "label": "unit"}]
    found = read_tagged(objects(tmp_path / "a.jsonl", {"text": "Take 10mg", "spans": dose}))
    assert [(row.tags, row.lost) for row in found.rows] == [(("O", "B-dose"), ("unit",))]
    assert (found.widened, found.lost) == (1, 1)


@pytest.mark.parametrize(
    ("row", "what"),
    [
        (
            {"words": ["a", "b"], "tags": ["O"]},
            "`words` has 2 words, `tags` 1 tags; one tag for each word is expected",
        ),
        (
            {"text": "a b", "tags": []},
            "`text` has 2 words, `tags` 0 tags; one tag for each word is expected, and a text is split at white space",
        ),
        ({"words": ["a"]}, "there is no column `tags`; the columns are `words`; name it with --label-column"),
        ({"sentence": ["a"], "tags": ["O"]}, "there is no column `words`; the columns are `sentence`, `tags`; name "),
        (
            {"words": ["a"], "tags": [3]},
            "`tags` holds 3, not a string; write the names of the tags, not their numbers",
        ),
        ({"words": ["a", None], "tags": ["O", "O"]}, "`words` holds None, not a string"),
        ({"words": 3, "tags": ["O"]}, "`words` is 3, not a list of strings"),
        ({"words": ["a"], "tags": None}, "`tags` is None, not a list of strings"),
        ({"words": ["a"], "tags": ["X"]}, "the tag 'X' fits no scheme; a tag is O, or "),
        (
            {"words": ["a"], "spans": [{"start": 0, "end": 1, "label": "x"}]},
            "`spans` holds spans, and `words` is a list; spans of characters need a text; give a tag for each word",
        ),
        (
            {"text": "a", "spans": [{"start": 0, "end": 2, "label": "x"}]},
            "a span of `spans` goes from 0 to 2, outside of the text of 1 characters; count characters from 0, ",
        ),
    ],
)
def test_rows_that_are_none(tmp_path: Path, row: dict[str, Any], what: str) -> None:
    path = objects(tmp_path / "a.jsonl", {"words": ["a"], "tags": ["O"]}, row)
    assert fault(path).startswith(f"{path}:2: {what}")


# As in the list that comes with the data: sentences of train, dev and test, where there are such.
SENTENCES = {
    "wnut17": (3394, 1009, 1287),
    "ncbi_disease": (5424, 923, 940),
    "bc5cdr": (3942, 3949, 4139),
    "msra": (46000, 4658, 4631),
    "cluener": (10748, 1343),
    "resume": (3821, 463, 477),
}


@pytest.mark.data
@pytest.mark.parametrize("name", SENTENCES)
def test_public_files_are_read_whole(data_dir: Path, name: str) -> None:
    found = [
        read_tagged(data_dir / "ner" / name / f"{part}.conll.gz")
        for part, _ in zip(("train", "dev", "test"), SENTENCES[name], strict=False)
    ]
    assert tuple(len(each.rows) for each in found) == SENTENCES[name]
    assert [(each.scheme, each.mended, each.left_out) for each in found] == [("BIO2", 0, 0)] * len(found)
