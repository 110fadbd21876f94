"""How tags of words tell spans: IOB1, BIO2, IOBES and BILOU, all of which become BIO2.

    words    Anna  Maria  saw  Hong  Kong  Macau
    IOB1     I-per I-per  O    I-loc I-loc B-loc      B- only where a span touches one of its own kind
    BIO2     B-per I-per  O    B-loc I-loc B-loc      B- at every beginning
    IOBES    B-per E-per  O    B-loc E-loc S-loc      E- at the end, S- where a word is a span; M- for I- (BMES) too
    BILOU    B-per L-per  O    B-loc L-loc U-loc      the same with L- and U-

A tag is `O`, or a letter, a hyphen and the kind of the span, which may hold hyphens itself: `B-a-b` begins an `a-b`.

A sequence that its scheme does not allow is read as conlleval does (the script of the CoNLL shared tasks): an inner tag
that does not go on with the span before it begins one. How often that was so is counted.
"""

from __future__ import annotations

import re
import sys
from collections.abc import Iterable, Sequence

from bertwright.errors import RowError

OUTSIDE = "O"
IOB1, BIO2, IOBES, BILOU = "IOB1", "BIO2", "IOBES", "BILOU"
# The letters of each scheme by what they do: begin a span, go on with it, end it, or both begin and end it.
_LETTERS = {
    IOB1: {"B": "begin", "I": "inner"},
    BIO2: {"B": "begin", "I": "inner"},
    IOBES: {"B": "begin", "I": "inner", "M": "inner", "E": "end", "S": "single"},
    BILOU: {"B": "begin", "I": "inner", "L": "end", "U": "single"},
}
# What tells the two from each other and from the rest.
IOBES_ONLY, BILOU_ONLY = frozenset("ESM"), frozenset("LU")
_TAG = re.compile(r"([BIMESLU])-(\S|\S.*\S)", re.DOTALL)


def split_tag(tag: str, where: object | None = None) -> tuple[str, str]:
    """The letter and the kind of a tag, `("O", "")` of what is outside. Raises RowError where it fits no scheme."""
    if tag == OUTSIDE:
        return OUTSIDE, ""
    match = _TAG.fullmatch(tag)
    if match is None:
        cure = "a tag is O, or B-, I-, E-, S-, L- or U- and a kind, as in B-person"
        raise RowError(f"the tag {tag!r} fits no scheme", where=where, cure=cure)
    return match[1], match[2]


def is_tag(text: str) -> bool:
    """Whether a text is a tag of any scheme."""
    return text == OUTSIDE or _TAG.fullmatch(text) is not None


def scheme_of(sentences: Iterable[Sequence[str]]) -> str:
    """The scheme of a file, found from the tags of all its sentences: IOB1, BIO2, IOBES or BILOU.

    B- and I- alone are IOB1 only where some I- begins a span and every B- touches a span of its kind before it; what
    could be either, or is neither, is BIO2. Raises RowError where tags of IOBES and of BILOU stand in one file.
    """
    first: dict[str, str] = {}
    inner_begins = begins_apart = False
    for tags in sentences:
        before = ""
        for tag in tags:
            letter, kind = split_tag(tag)
            first.setdefault(letter, tag)
            inner_begins |= letter == "I" and kind != before
            begins_apart |= letter == "B" and kind != before
            before = kind
    ends = [tag for letter, tag in first.items() if letter in IOBES_ONLY]
    lasts = [tag for letter, tag in first.items() if letter in BILOU_ONLY]
    if ends and lasts:
        raise RowError(f"tags of IOBES ({ends[0]!r}) and of BILOU ({lasts[0]!r}) stand in one file", cure="choose one")
    if ends or lasts:
        return IOBES if ends else BILOU
    return IOB1 if inner_begins and not begins_apart else BIO2


def mend(tags: Sequence[str], scheme: str) -> tuple[tuple[str, ...], int]:
    """The tags of a sentence in BIO2, and how many steps from one to the next the scheme does not allow.

    In IOBES and BILOU, a span that is left without its end is such a step too, also at the end of the sentence.
    Raises RowError where a tag is none of the scheme's.
    """
    roles = _LETTERS[scheme]
    ended = scheme in (IOBES, BILOU)
    found: list[str] = []
    wrong = 0
    before = ""  # the kind of the span that may go on, or nothing
    for tag in tags:
        letter, kind = split_tag(tag)
        if letter == OUTSIDE:
            wrong += ended and before != ""
            before = ""
            found.append(OUTSIDE)
            continue
        if letter not in roles:
            known = ", ".join(f"{each}-" for each in roles)
            raise RowError(f"the tag {tag!r} is none of {scheme}", cure=f"its tags are O, {known}")
        role = roles[letter]
        follows = kind == before
        begins = role in ("begin", "single") or not follows
        if scheme == IOB1:
            wrong += role == "begin" and not follows
        elif ended:
            # A span that goes on must not be begun anew, and one that has ended not gone on with.
            wrong += before != "" if role in ("begin", "single") else not follows
        else:
            wrong += role == "inner" and not follows
        found.append(sys.intern(f"{'B' if begins else 'I'}-{kind}"))
        before = "" if role in ("end", "single") else kind
    return tuple(found), wrong + (ended and before != "")


def labels_of_tags(sentences: Iterable[Sequence[str]]) -> tuple[str, ...]:
    """The classes of a tagger: `O`, then B- and I- of each kind in the BIO2 tags of all sentences, kinds sorted.

    Both stand there for each kind, though the training rows may hold spans of one word only.
    """
    kinds = {split_tag(tag)[1] for tag in {tag for tags in sentences for tag in tags}} - {""}
    return (OUTSIDE, *(f"{letter}-{kind}" for kind in sorted(kinds) for letter in "BI"))
