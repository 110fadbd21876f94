r"""English words as the Penn Treebank parts them: don't is do and n't, the comma and the last full stop stand alone.

The Chinese scores count such words (cmrc.py). The rules are those of nltk's word_tokenize, for what can reach them
there: lower-case text that has lost - : _ * ^ / \ ~ ` + = and the typographic quotes “ ” ’.
"""

from __future__ import annotations

import re

# In the order in which they are applied. A straight quote becomes `` where it opens and '' where it closes.
_RULES = [
    (re.compile(pattern), replacement)
    for pattern, replacement in (
        (r"[«‘„]", r" \g<0> "),
        (r'^"', " `` "),
        (r"""(?<=[ (\[{<])(?:"|'')""", "`` "),
        # An apostrophe that opens a word, unless the word is the tail of a shortened one: 'tis, but not 's.
        (r"(?<!\w)'(?!(?:re|ve|ll|m|t|s|d|n)\b)(?=\w)", "' "),
        # A comma inside a number stays there.
        (r",(\D)", r" , \1"),
        (r",$", " , "),
        (r"\.{2,}", r" \g<0> "),
        (r"[;@#$%&?!‒–—―]", r" \g<0> "),
        (r"(?<=[^'])' ", " ' "),
        (r"[\[\](){}<>]", r" \g<0> "),
        (r"^|$", " "),
        (r"»", r" \g<0> "),
        (r"''|\"", " '' "),
        (r"\s+", " "),
        (r"(?<=[^' ])('[smd]?) ", r" \1 "),
        (r"(?<=[^' ])('ll|'re|'ve|n't) ", r" \1 "),
    )
]
# Words that are two, each with its parts.
_TWO = {
    "cannot": "can not",
    "d'ye": "d 'ye",
    "gimme": "gim me",
    "gonna": "gon na",
    "gotta": "got ta",
    "lemme": "lem me",
    "more'n": "more 'n",
    "wanna": "wan na",
    "'tis": "'t is",
    "'twas": "'t was",
}
_TWO_IN_ONE = re.compile(r"\b(?:cannot|d'ye|gimme|gonna|gotta|lemme|more'n|wanna(?=\s))\b|(?<= )'t(?:is|was)\b")

# Where Punkt considers the end of a sentence: before a mark of this list, before a space, and at the end of the text.
_STOP = re.compile(r"""(?<=[^.\s])\.(?=[])}"';:@({[*?!]|[>»]*\s|[])}>"'»]*$)""")
# A letter or a number that is a word by itself, as of an initial or in a list.
_SINGLE = re.compile(r"(?:(?<![\w.])[^\W\d_]|(?<![\w.,])[\d.,]*\d)$")


def words(text: str) -> list[str]:
    """The words of lower-case text, in order.

    A full stop is parted from its word at the end of a sentence. nltk asks a trained model (Punkt) where sentences end;
    here every full stop before a space ends one, but after a single letter or a number where the text goes on in lower
    case, as Punkt does. What it knows besides, some hundred abbreviations such as dr. and inc., is not known here.
    """
    text = _STOP.sub(_part_stop, text.strip())
    for pattern, replacement in _RULES:
        text = pattern.sub(replacement, text)
    return _TWO_IN_ONE.sub(lambda found: f" {_TWO[found[0]]} ", text).split()


def _part_stop(stop: re.Match[str]) -> str:
    """The full stop with a space before it where it ends a sentence, else as it is."""
    before = stop.string[: stop.start()]
    after = stop.string[stop.end() :].lstrip()[:1]
    single = _SINGLE.search(before)
    goes_on = after.islower() or (after != "" and after in ",;:.!?")
    return "." if single and goes_on else " ."
