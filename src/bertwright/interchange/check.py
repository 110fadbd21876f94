"""Two forms of a model, opened and compared on text, and what came of it as lines to read."""

from __future__ import annotations

from itertools import islice
from math import inf
from pathlib import Path

from bertwright.errors import RowError
from bertwright.inference.engines.engine import Engine
from bertwright.interchange.opening import open_engine
from bertwright.interchange.parity import Parity, compare
from bertwright.interchange.texts import TEXTS
from bertwright.lines import lines_of, told
from bertwright.progress import Progress
from bertwright.records import kind_of, read_records
from bertwright.tasks.rows import text_of


def compare_forms(
    one: str,
    other: str,
    text: Path | None,
    *,
    most: int = 1000,
    tolerance: float,
    trusted: bool = False,
    progress: Progress,
) -> Parity:
    """Open two forms and compare them on the texts of a file, by default on those of `interchange.texts`.

    Raises ModelError, RowError.
    """
    texts = list(TEXTS) if text is None else read_texts(text, most)
    a, b = (open_engine(each, trusted=trusted, progress=progress) for each in (one, other))
    return compare_engines(a, b, texts, tolerance, progress)


def compare_engines(one: Engine, other: Engine, texts: list[str], tolerance: float, progress: Progress) -> Parity:
    """The same of two that are open."""
    with progress.task("comparing", None, "inputs") as bar:
        return compare(one, other, texts, tolerance=tolerance, on_progress=bar.update)


def read_texts(path: Path, most: int) -> list[str]:
    """The first texts of a file that are not blank: its lines, or its column `text`. Raises RowError."""
    if kind_of(path) == ".txt":
        texts = (line for _, line in lines_of(path, RowError))
    else:
        texts = (
            text_of(values, "text", place, "name the column `text`") for place, values in read_records(path, RowError)
        )
    found = list(islice((text for text in texts if text.strip()), most))
    if not found:
        raise RowError("holds no texts", where=told(path))
    return found


def report(parity: Parity) -> list[str]:
    """A table of the differences and, where there is a tolerance, PASS or FAIL."""
    one, other = parity.forms
    lines = [f"{one} and {other}, {parity.texts:,} texts, {parity.tokens:,} tokens"]
    lines.append(f"  {'':<26}{'worst':>10}{'mean':>10}   predictions alike")
    for each in parity.differences:
        alike = "" if each.agreement is None else f"{each.agreement:.2%}"
        if each.least_cosine is not None:
            alike = f"least cosine {each.least_cosine:.6f}"
        lines.append(f"  {each.name:<26}{each.worst:>10.1e}{each.mean:>10.1e}   {alike}".rstrip())
    lines += [f"  {name:<26}in one of the two alone" for name in parity.alone]
    if parity.unlike is not None:
        lines.append(f"  tokens differ, first of: {parity.unlike[:80]!r}")
    if parity.tolerance == inf:
        return lines
    worst = max((each.worst for each in parity.differences), default=0.0)
    verdict = "PASS" if parity.passed else "FAIL"
    why = "the tokens differ" if parity.unlike is not None else f"worst difference {worst:.1e}"
    why = "each has a head that the other has not" if parity.strangers else why
    lines.append(f"{verdict}: {why}, tolerance {parity.tolerance:g}")
    return lines
