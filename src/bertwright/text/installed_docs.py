"""Real English text that every machine with this tool has: the documentation inside its Python libraries.

The standard library and every installed package are read with `ast`; nothing is imported, so nothing can run. A module
is a document: its docstring, then those of its classes and functions as they stand in the source. What is kept reads as
prose; headings, examples, tables and bare signatures are dropped, and so is a paragraph that was met before, such as a
licence or the text of a wrapper. A report counts them.

Left out altogether: tests, demonstrations, and the copies of other packages that some packages carry along.
"""

from __future__ import annotations

import ast
import inspect
import os
import re
import sys
import sysconfig
import warnings
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

LARGEST_SOURCE = 1 << 20  # bytes; larger files are generated tables

_LEFT_OUT = frozenset({
    *("test", "tests", "_tests", "conftest"),
    *("idlelib", "turtledemo", "lib2to3", "ensurepip", "pydoc_data"),  # of the standard library
    *("site-packages", "dist-packages"),  # each is a root of its own
    *("_vendor", "_vendored", "vendored", "_distutils", "extern"),  # copies
    "bertwright",  # so that an installation in place and a plain one give the same text
})  # fmt: skip
_TEST_FILE = re.compile(r"test_.*|.*_tests?")

_BLANK_LINES = re.compile(r"\n[ \t]*\n")
_RULE = re.compile(r"""\s*([-=~^"'`#*+_.])\1{2,}[\s\-=+~^]*""")  # under a heading, or a row of a table
_SIGNATURE = re.compile(r"\s*[`*]*\w+(\s*,\s*\*{0,2}\w+)*`{0,2}\s*:(?!:)(\s.*)?")  # `axis : int or None, optional`
_EXAMPLE = re.compile(r"\s*(>>>|In \[\d+\]:|\$ )")
_DIRECTIVE = re.compile(r"\s*\.\. (\S+::|_\S+:|\[)")
_ROLE = re.compile(r":[A-Za-z][\w:+.-]*:`[~!]?([^`<>]+?)(?:\s*<[^`<>]*>)?`")
_EMPHASIS = re.compile(r"(?<![\w*])(\*{1,2})([A-Za-z][^*]*)\1(?![\w*])")  # and neither x**2 nor **kwargs

_WORD = re.compile(r"[A-Za-z]+(?:['’/-][A-Za-z]+)*")
_AROUND_WORD = ".,;:!?()[]\"'*<>"
# Hardly an English sentence does without one of these, and hardly a line of code has any.
_FUNCTION_WORDS = frozenset({
    *("a", "an", "the", "this", "that", "these", "those", "it", "its", "of", "to", "in", "on", "at", "by", "with"),
    *("from", "is", "are", "was", "be", "been", "has", "have", "does", "do", "can", "may", "must", "should", "will"),
    *("would", "if", "when", "where", "which", "whether", "while", "because", "so", "than", "then", "or", "and"),
    *("but", "not", "no", "only", "any", "all", "each", "you", "we", "they", "there"),
})  # fmt: skip


@dataclass(frozen=True, slots=True)
class LibraryDocument:
    """The documentation of one module. `package` is the name at the top: `asyncio` of `asyncio.events`."""

    package: str
    module: str
    paragraphs: tuple[str, ...]


@dataclass
class LibraryReport:
    """What was read and what was left, to be told at the end (law 4)."""

    modules: int = 0
    modules_without_text: int = 0
    skipped_unreadable: int = 0
    skipped_huge: int = 0
    paragraphs: int = 0
    dropped_paragraphs: int = 0
    duplicate_paragraphs: int = 0
    characters: int = 0


def library_documents(
    report: LibraryReport | None = None,
    roots: Sequence[Path] | None = None,
    on_progress: Callable[[int, int], None] | None = None,
) -> Iterator[LibraryDocument]:
    """Documents of all modules below `roots`, by package, then by path; the same libraries give the same documents.

    `roots` are folders that hold packages; by default the standard library and every site-packages folder in use.
    `on_progress` is told the number of modules done and of all. A file that cannot be read or parsed is counted.
    """
    report = report if report is not None else LibraryReport()
    sources = sorted(
        source
        for number, root in enumerate(package_roots() if roots is None else roots)
        for source in _sources(root, number)
    )
    seen: set[str] = set()
    for done, (_, _, parts, path) in enumerate(sources, start=1):
        paragraphs = [text for text in _paragraphs_of(Path(path), report) if not _met_before(text, seen, report)]
        report.paragraphs += len(paragraphs)
        report.characters += sum(map(len, paragraphs))
        if paragraphs:
            yield LibraryDocument(parts[0], ".".join(parts), tuple(paragraphs))
        else:
            report.modules_without_text += 1
        if on_progress is not None:
            on_progress(done, len(sources))


def package_roots() -> list[Path]:
    """The folder of the standard library, and every site-packages folder that this interpreter looks in."""
    folders = [Path(sysconfig.get_path("stdlib"))]
    folders += [Path(entry) for entry in sys.path if Path(entry).name in {"site-packages", "dist-packages"}]
    return list(dict.fromkeys(folder.resolve() for folder in folders if folder.is_dir()))


def _sources(root: Path, number: int) -> Iterator[tuple[str, int, tuple[str, ...], str]]:
    """(package, number of the root, parts of the module's name, path) of every module below `root`."""
    for folder, subfolders, files in os.walk(root):
        # What has no name that one could import is no package: caches, metadata, shared libraries.
        subfolders[:] = [name for name in subfolders if name.isidentifier() and not _is_left_out(name)]
        above = Path(folder).relative_to(root).parts
        for file in files:
            name, ending = os.path.splitext(file)  # noqa: PTH122  # Path is slow, and there are 10,000 files
            if ending != ".py" or not name.isidentifier() or _is_left_out(name):
                continue
            parts = above if name == "__init__" else (*above, name)
            if parts:
                yield parts[0], number, parts, os.path.join(folder, file)  # noqa: PTH118  # the same


def _is_left_out(name: str) -> bool:
    return name in _LEFT_OUT or name == "__pycache__" or _TEST_FILE.fullmatch(name) is not None


def _paragraphs_of(path: Path, report: LibraryReport) -> Iterator[str]:
    try:
        if path.stat().st_size > LARGEST_SOURCE:
            report.skipped_huge += 1
            return
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of other people's invalid escapes
            tree = ast.parse(path.read_bytes())
    # Null bytes are a ValueError; the parser's own limits a MemoryError or a RecursionError.
    except (OSError, SyntaxError, ValueError, MemoryError, RecursionError):
        report.skipped_unreadable += 1
        return
    report.modules += 1
    for docstring in _docstrings(tree):
        for block in _BLANK_LINES.split(inspect.cleandoc(docstring)):
            text = _prose(block.split("\n"))
            if text:
                yield text
            elif block.strip():
                report.dropped_paragraphs += 1


def _docstrings(node: ast.AST) -> Iterator[str]:
    """Docstrings of a module and all that is defined in it, in the order of the source."""
    body: Sequence[ast.AST] = getattr(node, "body", ())
    if isinstance(node, (ast.Module, ast.ClassDef, ast.FunctionDef, ast.AsyncFunctionDef)) and body:
        match body[0]:
            case ast.Expr(value=ast.Constant(value=str() as text)):
                # A lone surrogate, which an escape can make, is in no text.
                yield text if text.isascii() else text.encode("utf-8", "replace").decode()
    # Definitions also stand under `if` and `try`. Expressions hold none, and walking them would take most of the time.
    for field in ("body", "handlers", "orelse", "finalbody", "cases"):
        children = getattr(node, field, ())
        if isinstance(children, list):
            for child in children:
                if isinstance(child, (ast.stmt, ast.excepthandler, ast.match_case)) and hasattr(child, "body"):
                    yield from _docstrings(child)


def _prose(lines: list[str]) -> str:
    """One paragraph as one line without markup; empty where it is no English prose."""
    kept: list[str] = []
    for number, line in enumerate(lines):
        if _EXAMPLE.match(line) or _DIRECTIVE.match(line):
            break  # the output of an example, or the options of a directive, follow it
        following = lines[number + 1] if number + 1 < len(lines) else ""
        if _RULE.fullmatch(line) or _RULE.fullmatch(following):
            continue  # a heading is no sentence
        if _SIGNATURE.fullmatch(line) and _indent(following) > _indent(line):
            continue  # what it means stands on the lines below, indented
        kept.append(line.strip())
    text = _ROLE.sub(r"\1", " ".join(kept)).replace("`", "")
    text = " ".join(_EMPHASIS.sub(r"\2", text).split())
    return text if is_english_prose(text) else ""


def _indent(line: str) -> int:
    return len(line) - len(line.lstrip()) if line.strip() else -1


def is_english_prose(text: str) -> bool:
    """Whether `text` reads as English: at least five words, seven in ten plain ones, and one such as `the` or `of`."""
    tokens = text.split()
    words = [word.lower() for token in tokens if _WORD.fullmatch(word := token.strip(_AROUND_WORD))]
    return len(words) >= 5 and len(words) >= 0.7 * len(tokens) and not _FUNCTION_WORDS.isdisjoint(words)


def _met_before(text: str, seen: set[str], report: LibraryReport) -> bool:
    if text in seen:
        report.duplicate_paragraphs += 1
        return True
    seen.add(text)
    return False
