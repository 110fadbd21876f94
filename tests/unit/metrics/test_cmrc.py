"""The expected values are what the official script gave (baseline/cmrc2018_evaluate.py of ymcui/cmrc2018, nltk 3.10.4).

The script is not ours to copy. Besides the questions below, it and these functions agreed on the exact match of 7,745
questions of CMRC 2018 and DRCD with answers cut off-centre, and on the F1 of all but two, which hold abbreviations
(see treebank.words). nltk's model of sentences (Punkt) was there with its abbreviations and collocations, without its
table of which words are written upper and lower case: the script lower-cases all text.
"""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bertwright.metrics.cmrc import cmrc_scores, segments


@pytest.mark.parametrize(
    ("predicted", "golds", "exact", "f1"),
    [
        ("北京", ["北京市"], 0, 0.8),
        ("北京市。", ["北京市"], 1, 1),
        ("《红楼梦》", ["红楼梦"], 1, 1),
        ("", ["北京"], 0, 0),
        ("。。", ["，"], 1, 0),  # punctuation only
        ("……", ["…"], 0, 0),  # the ellipsis stays
        ("约3.5公里", ["3.5公里", "3.5 公里"], 0, 6 / 7),
        ("1,000人", ["1000人"], 0, 0.5),
        ("BERT模型", ["bert 模型"], 0, 1),  # a space parts words, and counts in the exact match
        (" 北京 ", ["北京"], 1, 1),
        (" 北 京 ", ["北京"], 0, 1),
        ("New York Times", ["new york"], 0, 0.8),
        ("the new york times", ["纽约时报the new york post"], 0, 0.5),
        ("他来了他走了", ["他走了他来了"], 0, 0.5),  # one run of three, not two
        ("周杰伦、方文山", ["方文山、周杰伦"], 0, 0.5),
        ("2008年8月8日", ["8月8日", "8月"], 0, 0.8),
        ("AC/DC乐队", ["acdc乐队"], 1, 1),
        ("a-b", ["a b"], 0, 0),
        ("don't", ["do n't"], 0, 1),
        ("cannot", ["can not"], 0, 1),
        ("u.s.", ["u.s"], 0, 2 / 3),
        ("“天下”", ['"天下"'], 0, 2 / 3),  # straight quotes count as words
        ("カタカナ", ["カタカナ語"], 0, 2 / 3),  # kana between spaces is one word
        ("㐀", ["㐀㐁"], 0, 0),  # and so are Chinese characters outside 4e00..9fa5
        ("龥龥", ["龥"], 0, 2 / 3),
        ("龦龧", ["龦"], 0, 0),
    ],
)
def test_scores_are_those_of_the_script(predicted: str, golds: list[str], exact: float, f1: float) -> None:
    assert cmrc_scores([predicted], [golds]) == pytest.approx({"exact_match": exact, "f1": f1})


def test_means_over_questions() -> None:
    assert cmrc_scores(["北京", "上海。"], [["北京市"], ["广州", "上海"]]) == pytest.approx(
        {"exact_match": 0.5, "f1": 0.9}
    )
    with pytest.raises(ValueError, match=r"zip\(\)"):
        cmrc_scores(["北京"], [])


def test_segments() -> None:
    assert segments(" 在New York，1,000人（don't）") == ["在", "new", "york1,000", "人", "do", "n't"]


TEXT = st.text("北京的了。，《 ab,.1", max_size=8)


@given(TEXT, TEXT, st.text("。，《》：", max_size=4))
def test_laws(one: str, other: str, marks: str) -> None:
    scores, turned = cmrc_scores([one], [[other]]), cmrc_scores([other], [[one]])
    assert 0 <= scores["f1"] <= 1
    assert scores == pytest.approx(turned)
    # Marks at the ends change nothing, nor does a gold answer that fits worse.
    if one == one.strip():
        assert cmrc_scores([f"{marks}{one}{marks}"], [[other]]) == scores
    assert cmrc_scores([one], [[other, one]])["exact_match"] == 1
