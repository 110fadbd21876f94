from __future__ import annotations

import sys
import unicodedata
from collections import Counter

import pytest

from bertwright.text.scripts import OTHER, language_of, script_of, scripts_of, scripts_of_language


@pytest.mark.parametrize(
    ("letters", "script"),
    [
        ("aZéßþŁ", "Latin"),
        ("ＡｚªKÅ", "Latin"),  # full width, ordinals, Kelvin and Ångström
        ("人々㐀豈", "Han"),
        ("あゔ", "Hiragana"),
        ("アｶー", "Katakana"),
        ("한ㄱ", "Hangul"),
        ("жѣ", "Cyrillic"),
        ("ابپ", "Arabic"),
        ("कआ", "Devanagari"),
        ("กข", "Thai"),
        ("αΩΏ", "Greek"),
        ("אש", "Hebrew"),
        ("Ⴀა", "Georgian"),
        ("ሀ", "Ethiopic"),
        ("ᐃ", "Canadian Syllabics"),
        ("𝐀µʰ", OTHER),
    ],
)
def test_each_letter_has_its_script(letters: str, script: str) -> None:
    assert {script_of(letter) for letter in letters} == {script}


@pytest.mark.parametrize("char", [*"1 .,_€\u0301\n١。"])
def test_what_is_no_letter_has_none(char: str) -> None:
    assert script_of(char) is None


def test_every_letter_of_unicode_has_an_answer() -> None:
    letters = [chr(point) for point in range(sys.maxunicode + 1) if unicodedata.category(chr(point))[0] == "L"]
    assert all(map(script_of, letters))


def test_letters_are_counted() -> None:
    assert scripts_of(Counter("Die 2 Wörter: слово, 字")) == {"Latin": 9, "Cyrillic": 5, "Han": 1}


def test_languages_and_their_scripts() -> None:
    assert scripts_of_language("en") == scripts_of_language("pt-BR") == ("Latin",)
    assert scripts_of_language("zh-Hant") == ("Han",)
    assert scripts_of_language("xx") is None
    assert language_of({"Han": 90, "Latin": 10}) == "zh"
    assert language_of({"Han": 60, "Hiragana": 40}) == "ja"
    assert language_of({"Cyrillic": 3}) == "ru"
    assert language_of({"Latin": 3, "Greek": 1}) == "en"
    assert language_of({"Runic": 3}) is None
    assert language_of({}) is None
