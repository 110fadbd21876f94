from __future__ import annotations

import gzip
import io
import json
from pathlib import Path

import fsspec
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from bertwright.errors import CorpusError, SettingsError
from bertwright.text.documents import Document, ReadReport, corpus_files, layout_of, read_documents

PROSE = """It was the best of times,
it was the worst of times

and a second document
over two lines
"""

SENTENCES = """The first sentence.
Is this the second?

“Another document.”
With two, too!
"""


def write(path: Path, text: str) -> str:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text, encoding="utf-8")
    return str(path)


def paragraphs(*sources: str) -> list[tuple[str, ...]]:
    return [document.paragraphs for document in read_documents(sources)]


def fault(*sources: str) -> str:
    with pytest.raises(CorpusError) as caught:
        list(read_documents(sources))
    return str(caught.value)


def test_broken_lines_of_prose_are_joined(tmp_path: Path) -> None:
    path = write(tmp_path / "a.txt", PROSE)
    report = ReadReport()
    assert list(read_documents([path], report)) == [
        Document(("It was the best of times, it was the worst of times",), f"{path}:1"),
        Document(("and a second document over two lines",), f"{path}:4"),
    ]
    assert report == ReadReport(files=1, layouts={path: "prose"})


def test_a_sentence_a_line_stays_a_sentence_a_line(tmp_path: Path) -> None:
    path = write(tmp_path / "a.txt", SENTENCES)
    report = ReadReport()
    assert list(read_documents([path], report)) == [
        Document(("The first sentence.", "Is this the second?"), f"{path}:1"),
        Document(("“Another document.”", "With two, too!"), f"{path}:4"),
    ]
    assert report.layouts == {path: "sentences"}


def test_the_layout_is_seen_from_the_ends_of_lines() -> None:
    assert layout_of(["One.", "", "Two!", "Three?", "four"]) == "sentences"
    assert layout_of(["One.", "two", "three"]) == "prose"
    assert layout_of(["中文句子。", "又一句！"]) == "sentences"


def test_blank_lines_at_the_ends_and_in_rows_make_no_documents(tmp_path: Path) -> None:
    path = write(tmp_path / "a.txt", "\n \n\nfirst one\n\n\t\n\nsecond one\n\n")
    assert [document.where for document in read_documents([path])] == [f"{path}:4", f"{path}:8"]
    assert paragraphs(write(tmp_path / "b.txt", "")) == []
    assert paragraphs(write(tmp_path / "c.txt", "\n\n \n")) == []


def test_a_document_longer_than_the_probe_is_one_document(tmp_path: Path) -> None:
    lines = [f"line number {number}" for number in range(2500)]
    assert paragraphs(write(tmp_path / "a.txt", "\n".join(lines))) == [(" ".join(lines),)]


def test_a_row_of_jsonl_is_a_document(tmp_path: Path) -> None:
    rows = [
        {"text": "One paragraph\nover two lines.\n\nAnother.", "id": 1},
        {"text": " \n "},
        {"text": "A lone surrogate \ud800."},
    ]
    path = write(tmp_path / "a.jsonl", "\n".join(json.dumps(row) for row in rows).replace("\n", "\n\n", 1))
    report = ReadReport()
    assert list(read_documents([path], report)) == [
        Document(("One paragraph over two lines.", "Another."), f"{path}:1"),
        Document(("A lone surrogate ?.",), f"{path}:4"),
    ]
    assert report == ReadReport(files=1, empty_documents=1)


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ("{text: 1}", "this line is no JSON; one object a line is expected"),
        ("[" * 100_000, "this line is no JSON; one object a line is expected"),
        ("9" * 5000, "this line is no JSON; one object a line is expected"),
        (
            '{"texts": "a"}',
            "no text in the column `text`; the columns are `texts`; name the column with --text-column",
        ),
        ('{"text": 1}', "no text in the column `text`; the columns are `text`; name the column with --text-column"),
        ('["text"]', "this line is no JSON object"),
    ],
)
def test_a_fault_in_jsonl_is_named_with_its_line(tmp_path: Path, line: str, message: str) -> None:
    path = write(tmp_path / "a.jsonl", '{"text": "good"}\n' + line + "\n")
    assert fault(path) == f"{path}:2: {message}"


def test_folders_globs_and_files_are_read_in_a_fixed_order(tmp_path: Path) -> None:
    for name in ("b.txt", "a.txt", "sub/c.txt", "sub/notes.md", "sub/d.jsonl"):
        write(tmp_path / name, '{"text": "row"}' if name.endswith("l") else name)
    (tmp_path / "sub" / "e.TXT.gz").write_bytes(gzip.compress(b"e"))
    found = [Path(place).relative_to(tmp_path).as_posix() for place in corpus_files([str(tmp_path)])]
    assert found == ["a.txt", "b.txt", "sub/c.txt", "sub/d.jsonl", "sub/e.TXT.gz"]
    assert paragraphs(str(tmp_path / "b.txt"), str(tmp_path / "**" / "[ac].txt")) == [
        ("b.txt",),
        ("a.txt",),
        ("sub/c.txt",),
    ]
    assert paragraphs(str(tmp_path / "sub")) == [("sub/c.txt",), ("row",), ("e",)]


def test_what_a_folder_holds_beside_a_corpus_is_counted(tmp_path: Path) -> None:
    # Our own outputs may lie in it, whole and under way: a vocabulary is no document.
    for name in (
        "a.txt",
        "b.md",
        "c.PDF",
        "d.md",
        "e",
        "vocab/vocab.txt",
        "vocab/tokenizer_config.json",
        "sub/vocab.txt",
    ):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text("text")
    (tmp_path / ".out.bertwright-partial/tokenizer").mkdir(parents=True)
    (tmp_path / ".out.bertwright-partial/tokenizer/vocab.txt").write_text("text")
    report = ReadReport()
    found = [document.where for document in read_documents([str(tmp_path)], report)]
    assert found == [f"{tmp_path}/a.txt:1", f"{tmp_path}/sub/vocab.txt:1"]
    assert report.passed_over_told() == (
        "passed over in folders: 2 .md, 1 .json, 1 .pdf, 1 hidden, 1 of a tokenizer, 1 of other kinds"
    )


def test_a_name_with_brackets_is_a_file_before_it_is_a_glob(tmp_path: Path) -> None:
    assert paragraphs(write(tmp_path / "[1].txt", "text")) == [("text",)]


def test_a_dash_is_standard_input(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sys.stdin", io.TextIOWrapper(io.BytesIO(b"from a pipe\n\nbytes \xff\n")))
    documents = read_documents(["-"])
    with pytest.raises(CorpusError) as caught:
        list(documents)
    assert str(caught.value) == (
        "standard input:3: bytes that are not UTF-8 (0xff at byte 7 of the line); "
        "convert the file, as in: iconv -f latin1 -t utf-8"
    )
    monkeypatch.setattr("sys.stdin", io.TextIOWrapper(io.BytesIO(b"from a pipe\n")))
    assert list(read_documents(["-"])) == [Document(("from a pipe",), "standard input:1")]


def test_what_is_no_corpus_is_named(tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    write(tmp_path / "a.md", "text")
    write(tmp_path / "README", "text")
    kinds = "give .txt, .jsonl, .csv, .tsv, .parquet, plain or .gz/.zst/.xz"
    assert fault() == "no corpus was given; name files or folders, or - for standard input"
    assert fault(str(tmp_path / "no.txt")) == f"{tmp_path / 'no.txt'}: no such file or folder"
    assert fault(str(tmp_path / "*.txt")) == f"{tmp_path / '*.txt'}: no file matches"
    assert (
        fault(str(tmp_path / "empty"))
        == f"{tmp_path / 'empty'}: this folder holds no file of .txt, .jsonl, .csv, .tsv, .parquet"
    )
    assert fault(str(tmp_path / "a.md")) == f"{tmp_path / 'a.md'}: do not know how to read `.md`; {kinds}"
    assert fault(str(tmp_path / "README")) == (
        f"{tmp_path / 'README'}: do not know how to read `a file without an ending`; {kinds}"
    )


def test_a_binary_file_is_named_with_its_line(tmp_path: Path) -> None:
    path = tmp_path / "a.txt"
    path.write_bytes(b"text\n\x00\x01\n")
    assert fault(str(path)) == f"{path}:2: this is a binary file, not text; give text in UTF-8"


def test_every_table_gives_the_same_documents(tmp_path: Path) -> None:
    texts = ['First one.\n\nIts second, "quoted" part.', "第二篇。"]
    (tmp_path / "a.jsonl").write_text("".join(json.dumps({"body": text}) + "\n" for text in texts), encoding="utf-8")
    quoted = ['"' + text.replace('"', '""') + '"' for text in texts]
    (tmp_path / "a.csv").write_text("id,body\n" + "".join(f"{n},{text}\n" for n, text in enumerate(quoted)))
    (tmp_path / "a.csv.gz").write_bytes(gzip.compress((tmp_path / "a.csv").read_bytes()))
    pq.write_table(pa.table({"id": [0, 1], "body": texts}), tmp_path / "a.parquet")
    expected = [("First one.", 'Its second, "quoted" part.'), ("第二篇。",)]
    for name in ("a.jsonl", "a.csv", "a.csv.gz", "a.parquet"):
        found = [document.paragraphs for document in read_documents([str(tmp_path / name)], text_column="body")]
        assert found == expected, name


def test_a_missing_column_of_parquet_is_named(tmp_path: Path) -> None:
    pq.write_table(pa.table({"body": ["a"]}), tmp_path / "a.parquet")
    message = "no text in the column `text`; the columns are `body`; name the column with --text-column"
    assert fault(str(tmp_path / "a.parquet")) == f"{tmp_path}/a.parquet:row 1: {message}"
    (tmp_path / "b.parquet").write_bytes(b"PAR1 and then nothing of the kind")
    assert fault(str(tmp_path / "b.parquet")).startswith(f"{tmp_path}/b.parquet: cannot be read as Parquet: ")


def test_what_is_skipped_is_counted_and_the_rest_is_read(tmp_path: Path) -> None:
    good = b'{"text": "good"}\n'
    (tmp_path / "a.jsonl").write_bytes(good + b"{\n" + b'{"text": 3}\n' + b'{"text": "caf\xe9"}\n' + b"[1]\n" + good)
    (tmp_path / "b.csv").write_text("text,n\ngood,1\nbad\ngood,2\n")
    (tmp_path / "c.txt.gz").write_bytes(gzip.compress(b"good\n" * 1000)[:-10])
    report = ReadReport()
    found = list(read_documents([str(tmp_path)], report, on_error="skip"))
    assert [document.paragraphs for document in found[:4]] == [("good",)] * 4
    assert report.skipped == 6
    assert [message.partition("; name")[0] for message in report.first_skipped[:2]] == [
        f"{tmp_path}/a.jsonl:2: this line is no JSON; one object a line is expected",
        f"{tmp_path}/a.jsonl:3: no text in the column `text`; the columns are `text`",
    ]
    assert len(report.first_skipped) == 5


def test_a_line_that_is_too_long_is_skipped_whole(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("bertwright.lines.MAX_LINE_BYTES", 1000)
    path = tmp_path / "a.jsonl"
    path.write_text(json.dumps({"text": "x" * 5000}) + "\n" + '{"text": "good"}\n')
    report = ReadReport()
    assert [d.paragraphs for d in read_documents([str(path)], report, on_error="skip")] == [("good",)]
    assert report.skipped == 1


def test_a_document_without_end_is_broken(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("bertwright.text.documents.LONGEST_DOCUMENT", 30)
    path = write(tmp_path / "a.txt", "ten letters\n" * 7 + "\nnext\n")
    report = ReadReport()
    found = [document.paragraphs for document in read_documents([path], report)]
    assert found == [(" ".join(["ten letters"] * count),) for count in (3, 3, 1)] + [("next",)]
    assert report.broken_documents == 2


def test_an_address_is_read_like_a_file() -> None:
    system = fsspec.filesystem("memory")
    system.pipe("/bucket/a.txt", b"first\n\nsecond\n")
    system.pipe("/bucket/deep/b.jsonl.gz", gzip.compress(b'{"text": "third"}\n'))
    system.pipe("/bucket/notes.md", b"no corpus")
    assert corpus_files(["memory://bucket"]) == ["memory:///bucket/a.txt", "memory:///bucket/deep/b.jsonl.gz"]
    assert paragraphs("memory://bucket") == [("first",), ("second",), ("third",)]
    assert paragraphs("memory://bucket/*.txt") == [("first",), ("second",)]
    assert paragraphs("memory://bucket/deep/b.jsonl.gz") == [("third",)]
    assert fault("memory://bucket/none.txt") == (
        "memory://bucket/none.txt: no such file, and no folder with files to read"
    )


def test_an_address_that_nothing_here_reads() -> None:
    with pytest.raises(SettingsError, match="nonsense://a: cannot open this address: Protocol not known"):
        list(read_documents(["nonsense://a"]))
