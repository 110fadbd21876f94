"""Texts that are likely to break a tokenizer."""

from __future__ import annotations

from hypothesis import strategies as st

# Everything that a shortcut could get wrong: sigmas, growing capitals, combining marks that are dropped (Mn) and that
# are kept but reordered (Mc), Hangul, ideographs inside and outside the blocks, whitespace of every kind, controls that
# Python splits at, format characters, a lone surrogate, an emoji sequence, punctuation in and out of ASCII.
HARD = (
    "aAbBzé\u0301\u0308\u0323\u302e\u302f\U0001d165İıΣσςßǅ"
    "한각\u1100\u1161\u11a8中文\uf900\U00020000\U0002f800々ア가"
    " \t\n\r\x0b\x0c\x1c\x1d\x1e\x1f\x85\xa0\u1680\u2000\u2028\u2029\u202f\u205f\u3000"
    "\0\x01\x7f\ufffd\u200b\u200d\u00ad\ufeff\ud800\ue000\U000e0001"
    "👩🏽‍🚀.,!?'\"[]#$^`~-–—“”…。，「€\u037e\u1fef·\u0387"
)

texts = st.text(st.one_of(st.sampled_from(HARD), st.sampled_from("abe Σ.中"), st.characters()), max_size=40)
switches = st.fixed_dictionaries({name: st.booleans() for name in ("lowercase", "strip_accents", "split_cjk")})
