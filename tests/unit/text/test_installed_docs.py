from __future__ import annotations

import itertools
from pathlib import Path

import pytest

import bertwright.text.installed_docs as under_test
from bertwright.text.installed_docs import LibraryDocument, LibraryReport, library_documents, package_roots

ZOO = '''"""The zoo of a library.

It keeps animals, and it feeds
them *twice* a day with ``hay`` from :class:`Barn <zoo.Barn>`.

Notes
-----
An animal that is not fed leaves the zoo after x**2 days.
"""

if True:
    class Barn:
        """Where the hay lies until it is eaten.

        >>> Barn().hay
        the number of the bales that are in the barn
        """

        def fill(self, bales):
            """Fill the barn with hay.

            Parameters
            ----------
            bales : int or None, optional
                How many bales of hay are to be put in.

            bales = int(bales) for the_bale in bales if bales[0] == 1

            Short words.
            """
            def inner():
                "Inner functions have a docstring of their own too."
            return "This is no docstring but a value of the code."

try:
    async def feed():
        """Give every animal of the zoo its share."""
except ValueError:
    def feed():
        """Give no animal of the zoo a share."""
'''

LICENCE = '"""You may copy this file if you keep the notice."""\n'


def library(root: Path, **files: str | bytes) -> Path:
    for name, content in files.items():
        path = root.joinpath(*name.split("__in__")).with_suffix(".py")
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content if isinstance(content, bytes) else content.encode())
    return root


def test_a_module_is_a_document_of_its_prose_in_the_order_of_the_source(tmp_path: Path) -> None:
    report = LibraryReport()
    library(tmp_path, zoo__in__animals=ZOO)
    found = list(library_documents(report, [tmp_path]))
    assert found == [
        LibraryDocument(
            "zoo",
            "zoo.animals",
            (
                "The zoo of a library.",
                "It keeps animals, and it feeds them twice a day with hay from Barn.",
                "An animal that is not fed leaves the zoo after x**2 days.",
                "Where the hay lies until it is eaten.",
                "Fill the barn with hay.",
                "How many bales of hay are to be put in.",
                "Inner functions have a docstring of their own too.",
                "Give every animal of the zoo its share.",
                "Give no animal of the zoo a share.",
            ),
        )
    ]
    characters = sum(map(len, found[0].paragraphs))
    # The example, the line of code and the two short words.
    assert report == LibraryReport(modules=1, paragraphs=9, dropped_paragraphs=3, characters=characters)


def test_a_paragraph_is_kept_where_it_stands_first_and_counted_after(tmp_path: Path) -> None:
    report = LibraryReport()
    library(tmp_path, b__in____init__=LICENCE, a__in__z=LICENCE, a__in__sub__in__c=LICENCE)
    # By package and then by the parts of the name, whatever order the file system has: a.sub.c stands before a.z.
    assert [document.module for document in library_documents(report, [tmp_path])] == ["a.sub.c"]
    assert (report.modules, report.modules_without_text, report.duplicate_paragraphs) == (3, 2, 2)


def test_modules_are_named_by_where_they_lie(tmp_path: Path) -> None:
    texts = (f'"""This module is number {word} of the library."""' for word in ("one", "two", "three", "four"))
    names = ("single", "pack__in____init__", "pack__in__part", "pack__in__sub__in____init__")
    first = library(tmp_path / "first", **dict(zip(names, texts, strict=True)))
    second = library(tmp_path / "second", other='"""This module lies in the other one of the roots."""')
    found = [(document.package, document.module) for document in library_documents(roots=[first, second])]
    assert found == [
        ("other", "other"),
        ("pack", "pack"),
        ("pack", "pack.part"),
        ("pack", "pack.sub"),
        ("single", "single"),
    ]


def test_what_cannot_be_read_is_counted_and_no_reason_to_stop(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(under_test, "LARGEST_SOURCE", 200)
    library(
        tmp_path,
        a_syntax="def (",
        b_null=b'"""The text of this module is not read."""\0',
        c_encoding='"""Bytes that are no text in the file: é."""'.encode("latin-1"),
        d_huge=LICENCE + "#" * 200,
        e_escape='"""An \\invalid escape is a warning of theirs and not ours."""',
        f_latin='# coding: latin-1\n"""The café is a place where the coffee is good."""'.encode("latin-1"),
        g_surrogate='"""An escape such as \\ud800 is no character that the text may hold."""',
    )
    report = LibraryReport()
    found = [document.paragraphs[0] for document in library_documents(report, [tmp_path])]
    assert found == [
        "An \\invalid escape is a warning of theirs and not ours.",
        "The café is a place where the coffee is good.",
        "An escape such as ? is no character that the text may hold.",
    ]
    assert (report.skipped_unreadable, report.skipped_huge, report.modules) == (3, 1, 3)


def test_tests_copies_and_what_is_no_module_are_left_out(tmp_path: Path) -> None:
    text = '"""This one is kept out of the text, number {}."""'
    places = ("p__in__tests__in__a", "p__in__test_b", "p__in___vendor__in__c", "p__in__d_test", "q-1.dist-info__in__e")
    files = {name: text.format(number) for number, name in enumerate(places)}
    library(tmp_path, **files, p__in__kept='"""This one is in the text."""')
    (tmp_path / "p" / "notes.txt").write_text("This is not even a file of Python.")
    report = LibraryReport()
    assert [document.module for document in library_documents(report, [tmp_path])] == ["p.kept"]
    assert report.modules == 1


def test_progress_counts_up_to_all_modules(tmp_path: Path) -> None:
    library(tmp_path, a=LICENCE, b="x = 1", c="")
    told: list[tuple[int, int]] = []
    list(library_documents(roots=[tmp_path], on_progress=lambda done, total: told.append((done, total))))
    assert told == [(1, 3), (2, 3), (3, 3)]


@pytest.mark.parametrize(
    ("paragraph", "expected"),
    [
        ("Return the value of the key.", "Return the value of the key."),
        ("Return the value.", ""),  # too short
        ("value = table[key] if key in table else the_default", ""),
        ("import os import sys import time import json", ""),  # letters alone, but no sentence
        ("Gibt den Wert eines Schlüssels als Zahl zurück.", ""),
        ("aGVsbG8gd29ybGQ= dGhpcyBpcyBub3QgdGV4dA== YW5kIHRoaXM= MTIz NDU2", ""),
        ("+----+----+\n| a  | b  |\n+====+====+\n| the | of |", ""),
        ("Returns\n-------\nThe number of rows that\nwere read.", "The number of rows that were read."),
        ("rows : list of str\n    The rows that are to be read.", "The rows that are to be read."),
        ("One of the rows is read::\n>>> read(rows)\nthe row that is read", "One of the rows is read::"),
        (".. math:: the sum of all the rows is one", ""),
        ("Note that **every row** takes `n` **kwargs and *args.", "Note that every row takes n **kwargs and *args."),
    ],
)
def test_only_english_prose_is_kept(paragraph: str, expected: str) -> None:
    assert under_test._prose(paragraph.split("\n")) == expected


def test_this_machine_has_some() -> None:
    assert any(root.name.startswith("python3") for root in package_roots())
    found = list(itertools.islice(library_documents(roots=[package_roots()[0]]), 60))
    assert {"argparse", "asyncio"} <= {document.package for document in found}
    assert sum(len(" ".join(document.paragraphs)) for document in found) > 50_000
