"""Sentences of a paragraph, in any language, by the rules of the sentencex library.

The original code expects its input split already. sentencex (Wikimedia) knows abbreviations and sentence marks of some
300 languages and reads over 100 MB/s; a rule set of our own would be neither. See docs/decisions/0005-sentences.md.
"""

from __future__ import annotations

import re

import sentencex

from bertwright.errors import SettingsError

_LANGUAGE = re.compile(r"[a-z]{2,3}(-[a-z0-9]{2,8})*", re.IGNORECASE)


def check_language(language: str) -> None:
    """Raise SettingsError where `language` is no code; one that sentencex does not know gets its general rules."""
    if not _LANGUAGE.fullmatch(language):
        raise SettingsError(f"`--language` is {language!r}, which is no language code", cure="give one as en, de or zh")


def split_sentences(paragraph: str, language: str = "en") -> list[str]:
    """The sentences of one paragraph, in order, without surrounding white space; nothing else is lost."""
    return [sentence for part in sentencex.segment(language, paragraph) if (sentence := part.strip())]
