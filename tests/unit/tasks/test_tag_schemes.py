from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bertwright.errors import RowError
from bertwright.tasks.tag_schemes import is_tag, labels_of_tags, mend, scheme_of, split_tag

BIO2 = ["B-per", "I-per", "O", "B-loc", "I-loc", "B-loc"]
WRITTEN = {
    "IOB1": ["I-per", "I-per", "O", "I-loc", "I-loc", "B-loc"],
    "BIO2": BIO2,
    "IOBES": ["B-per", "E-per", "O", "B-loc", "E-loc", "S-loc"],
    "BILOU": ["B-per", "L-per", "O", "B-loc", "L-loc", "U-loc"],
}


@pytest.mark.parametrize("scheme", WRITTEN)
def test_every_scheme_becomes_bio2_and_is_found(scheme: str) -> None:
    assert scheme_of([["O"], WRITTEN[scheme]]) == scheme
    assert mend(WRITTEN[scheme], scheme) == (tuple(BIO2), 0)


@pytest.mark.parametrize(
    ("sentences", "scheme"),
    [
        ([], "BIO2"),
        (["O O"], "BIO2"),
        (["B-x O", "B-x I-x"], "BIO2"),
        (["I-x O", "O I-x I-x"], "IOB1"),  # inner tags alone: IOB1 in which no two spans touch
        (["I-x I-x O", "B-x I-x"], "BIO2"),  # neither: BIO2 with a fault in it
        (["I-x B-y"], "BIO2"),  # B- beside another kind is not IOB1 either
        (["B-x M-x E-x S-x"], "IOBES"),  # BMES
        (["B-x I-x", "O U-y"], "BILOU"),
    ],
)
def test_a_scheme_is_found_from_all_sentences(sentences: list[str], scheme: str) -> None:
    assert scheme_of([sentence.split() for sentence in sentences]) == scheme


@pytest.mark.parametrize(
    ("scheme", "tags", "read", "wrong"),
    [
        ("BIO2", "I-x I-x", "B-x I-x", 1),
        ("BIO2", "B-x I-y I-y", "B-x B-y I-y", 1),
        ("BIO2", "B-x O I-x", "B-x O B-x", 1),
        ("IOB1", "O B-x I-x", "O B-x I-x", 1),
        ("IOBES", "B-x O", "B-x O", 1),  # no end
        ("IOBES", "O B-x", "O B-x", 1),  # none at the end of the sentence either
        ("IOBES", "B-x E-x E-x", "B-x I-x B-x", 1),
        ("IOBES", "S-x I-x E-x", "B-x B-x I-x", 1),
        ("IOBES", "B-x B-x E-x", "B-x B-x I-x", 1),
        ("IOBES", "B-x E-y S-y", "B-x B-y B-y", 1),
        ("IOBES", "B-x M-x E-x", "B-x I-x I-x", 0),
        ("BILOU", "I-x U-x", "B-x B-x", 2),  # goes on with nothing, and then has no end
    ],
)
def test_a_wrong_sequence_is_read_as_conlleval_reads_it_and_counted(
    scheme: str, tags: str, read: str, wrong: int
) -> None:
    assert mend(tags.split(), scheme) == (tuple(read.split()), wrong)


def test_a_kind_may_hold_hyphens_and_spaces() -> None:
    assert split_tag("B-a-b") == ("B", "a-b")
    assert split_tag("I--") == ("I", "-")
    assert mend(["S-a-b", "B-full name", "E-full name"], "IOBES") == (("B-a-b", "B-full name", "I-full name"), 0)


@pytest.mark.parametrize(
    "tag", ["Q-per", "B-", "B", "", "o", "per-B", "B_per", "b-per", "B- per", "B-per ", "O-", "OO"]
)
def test_what_is_no_tag(tag: str) -> None:
    assert not is_tag(tag)
    with pytest.raises(RowError) as caught:
        mend(["O", tag], "BIO2")
    cure = "a tag is O, or B-, I-, E-, S-, L- or U- and a kind, as in B-person"
    assert str(caught.value) == f"the tag {tag!r} fits no scheme; {cure}"


def test_tags_of_another_scheme_are_faults() -> None:
    with pytest.raises(RowError) as caught:
        mend(["S-x"], "BIO2")
    assert str(caught.value) == "the tag 'S-x' is none of BIO2; its tags are O, B-, I-"
    with pytest.raises(RowError) as caught:
        scheme_of([["S-x"], ["O", "U-y"]])
    assert str(caught.value) == "tags of IOBES ('S-x') and of BILOU ('U-y') stand in one file; choose one"


def test_labels_have_both_tags_of_each_kind() -> None:
    assert labels_of_tags([["B-per", "O"], ["B-a-b", "I-a-b"]]) == ("O", "B-a-b", "I-a-b", "B-per", "I-per")
    assert labels_of_tags([["O"]]) == ("O",)


# Sentences as rows of spans: so many words, and of which kind, or of none.
SENTENCES = st.lists(st.tuples(st.integers(1, 4), st.sampled_from(["", "x", "y", "a-b"])), max_size=8)


def spans(tags: tuple[str, ...]) -> list[tuple[int, int, str]]:
    """The spans of BIO2 tags."""
    found: list[tuple[int, int, str]] = []
    for place, tag in enumerate(tags):
        if tag[0] == "B":
            found.append((place, place + 1, tag[2:]))
        elif tag[0] == "I":
            start, end, kind = found.pop()
            assert (end, kind) == (place, tag[2:])
            found.append((start, place + 1, kind))
    return found


def written(sentence: list[tuple[int, str]], letters: str) -> list[str]:
    """A sentence with the letters for the first word of a span, those between, the last, and an only one."""
    begin, inner, end, single = list(letters)
    tags = []
    for size, kind in sentence:
        row = [single] if size == 1 else [begin, *inner * (size - 2), end]
        tags += [f"{letter}-{kind}" if kind else "O" for letter in row]
    return tags


@given(SENTENCES, st.sampled_from([("IOBES", "BIES"), ("IOBES", "BMES"), ("BILOU", "BILU"), ("BIO2", "BIIB")]))
def test_spans_survive(sentence: list[tuple[int, str]], scheme: tuple[str, str]) -> None:
    ends = [0]
    for size, _ in sentence:
        ends.append(ends[-1] + size)
    expected = [(ends[i], ends[i + 1], kind) for i, (_, kind) in enumerate(sentence) if kind]
    tags, wrong = mend(written(sentence, scheme[1]), scheme[0])
    assert (spans(tags), wrong) == (expected, 0)


@given(st.lists(st.sampled_from(["O", "B-x", "I-x", "B-y", "I-y"])))
def test_mending_ends_in_bio2_and_bio2_stays_as_it_is(tags: list[str]) -> None:
    mended, wrong = mend(tags, "BIO2")
    assert mend(mended, "BIO2") == (mended, 0)
    assert sum(one != other for one, other in zip(tags, mended, strict=True)) == wrong
    assert mend(tags, "IOB1")[0] == mended  # the two differ in what they call wrong, not in how they are read
