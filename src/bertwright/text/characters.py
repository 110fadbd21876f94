"""How often each character stands in a text, and what characters tell of how the text was made.

Counting goes by numpy over code points, some hundred times as fast as a loop over characters; all that is asked about
characters is then asked once of each distinct one.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

REPLACEMENT = "\ufffd"
# UTF-8 that was read as Latin-1 or Windows-1252: an accented letter or a typographic mark has become two or three.
_MOJIBAKE = re.compile("[ÃÂ][\u0080-\u00bf]|â€[\u0080-\u00ff“”˜™œž¦¢]|â\u0080[\u0080-\u00bf]")
_TAG = re.compile(
    r"</?(?:a|abbr|article|b|blockquote|body|br|center|code|dd|div|dl|dt|em|font|footer|form|h[1-6]|head|header|hr|html"
    r"|i|iframe|img|input|label|li|link|main|meta|nav|noscript|ol|option|p|pre|ref|script|section|select|small|span"
    r"|strong|style|sub|sup|table|tbody|td|textarea|th|thead|title|tr|u|ul)(?:\s[^<>]{0,300})?/?>"
    r"|&(?:amp|lt|gt|quot|nbsp|apos|mdash|ndash|hellip|#\d{1,6}|#x[0-9a-f]{1,6});",
    re.IGNORECASE,
)


def count_characters(text: str) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """The distinct code points of a text in order, and how often each stands there."""
    counts = np.bincount(np.frombuffer(text.encode("utf-32-le", "surrogatepass"), dtype=np.uint32))
    found = np.flatnonzero(counts)
    return found, counts[found]


def mojibake(text: str) -> int:
    """How many characters were decoded with the wrong encoding, as é that became Ã©."""
    if "Ã" in text or "Â" in text or "â" in text:
        return sum(1 for _ in _MOJIBAKE.finditer(text))
    return 0


def markup(text: str) -> int:
    """How many HTML tags and character references stand in a text."""
    return sum(1 for _ in _TAG.finditer(text)) if "<" in text or "&" in text else 0


@dataclass(frozen=True, slots=True)
class OddCharacters:
    """Occurrences of characters that no text should hold."""

    control: int
    replacement: int
    private_use: int


def odd_characters(characters: Mapping[str, int]) -> OddCharacters:
    """Count control characters (Cc, but for white space), U+FFFD, and private or unassigned ones."""
    control = private = 0
    for char, count in characters.items():
        category = unicodedata.category(char)
        control += count if category == "Cc" and not char.isspace() else 0
        private += count if category in ("Co", "Cn") else 0
    return OddCharacters(control, characters.get(REPLACEMENT, 0), private)


def printable(text: str, longest: int) -> str:
    """A text that can be shown anywhere: on one line, no longer than that, with nothing that moves a cursor."""
    shown = "".join(char if char.isprintable() else " " for char in " ".join(text[: 4 * longest].split()))
    return shown if len(shown) <= longest else shown[: longest - 1] + "…"


def most(counts: Mapping[str, int], number: int) -> list[tuple[str, int]]:
    """The most frequent ones, ties by their text."""
    ordered: Iterable[tuple[str, int]] = sorted(counts.items(), key=lambda item: (-item[1], item[0]))
    return list(ordered)[:number]
