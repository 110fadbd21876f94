"""Which script a letter belongs to, and which scripts a language is written in.

Python's Unicode tables hold no script property, but the name of a letter begins with its script: LATIN SMALL LETTER A,
HANGUL SYLLABLE GA. A table of block ranges would be one more thing to keep up with Unicode, and names know letters
outside their script's blocks. Only letters (categories L*) count: digits and marks are shared between scripts.
"""

from __future__ import annotations

import unicodedata
from collections import Counter
from collections.abc import Mapping

OTHER = "Other"

# Names that do not begin with the script's own name.
_RENAMED = {
    "CJK": "Han",
    "IDEOGRAPHIC": "Han",
    "KATAKANA-HIRAGANA": "Katakana",
    "BOPOMOFO": "Bopomofo",
    "OHM": "Greek",
    "KELVIN": "Latin",
    "ANGSTROM": "Latin",
    "FEMININE": "Latin",
    "MASCULINE": "Latin",
}
_WIDTHS = ("FULLWIDTH", "HALFWIDTH")
# Letters of no script: symbols for mathematics and phonetics.
_SHARED = ("MATHEMATICAL", "MODIFIER", "MICRO", "DOUBLE-STRUCK", "BLACK-LETTER", "SCRIPT", "ALEF", "INFORMATION")
# First words that are an adjective or the first half of a name.
_TWO_WORDS = ("OLD", "NEW", "TAI", "CANADIAN", "LINEAR", "MEETEI", "OL")

_BY_LANGUAGE = {
    ("Latin",): (
        "af az ca cs cy da de en eo es et eu fi fil fr ga gl hr hu id is it lt lv ms mt nl no nb nn pl pt ro sk sl sq "
        "sv sw tl tr uz vi"
    ),
    ("Han",): "zh yue wuu",
    ("Han", "Hiragana", "Katakana"): "ja",
    ("Hangul", "Han"): "ko",
    ("Cyrillic",): "ru uk be bg mk kk ky mn tg",
    ("Cyrillic", "Latin"): "sr",
    ("Arabic",): "ar fa ur ps ug sd",
    ("Devanagari",): "hi mr ne sa",
    ("Thai",): "th",
    ("Greek",): "el",
    ("Hebrew",): "he yi",
    ("Bengali",): "bn as",
    ("Tamil",): "ta",
    ("Telugu",): "te",
    ("Kannada",): "kn",
    ("Malayalam",): "ml",
    ("Gujarati",): "gu",
    ("Gurmukhi",): "pa",
    ("Sinhala",): "si",
    ("Georgian",): "ka",
    ("Armenian",): "hy",
    ("Ethiopic",): "am ti",
    ("Khmer",): "km",
    ("Lao",): "lo",
    ("Myanmar",): "my",
    ("Tibetan",): "bo dz",
}
_SCRIPTS = {code: scripts for scripts, codes in _BY_LANGUAGE.items() for code in codes.split()}
# The language to try where most letters are of a script.
_LANGUAGE = {scripts[0]: codes.split()[0] for scripts, codes in reversed(_BY_LANGUAGE.items())} | {"Latin": "en"}


def script_of(char: str) -> str | None:
    """The script of a letter, as in Latin or Han; OTHER for a letter of none, None for what is no letter."""
    if not unicodedata.category(char).startswith("L"):
        return None
    words = unicodedata.name(char, "").split()
    if words and words[0] in _WIDTHS:
        words = words[1:]
    if not words or words[0] in _SHARED:
        return OTHER
    if words[0] in _TWO_WORDS:
        return " ".join(words[:2]).title()
    return _RENAMED.get(words[0], words[0].title())


def scripts_of(characters: Mapping[str, int]) -> Counter[str]:
    """How many letters of each script there are, given how often each character stands there."""
    found: Counter[str] = Counter()
    for char, count in characters.items():
        if (script := script_of(char)) is not None:
            found[script] += count
    return found


def scripts_of_language(language: str) -> tuple[str, ...] | None:
    """The scripts that a language is written in; None where that is not known here."""
    return _SCRIPTS.get(language.lower().partition("-")[0])


def language_of(scripts: Mapping[str, int]) -> str | None:
    """The code of a language that letters of these scripts suggest; None where nothing does."""
    total = sum(scripts.values())
    if not total:
        return None
    kana = scripts.get("Hiragana", 0) + scripts.get("Katakana", 0)
    if kana >= 0.05 * total:
        return "ja"
    return _LANGUAGE.get(max(scripts, key=lambda script: (scripts[script], script)))
