"""What counts as a Chinese character."""

from __future__ import annotations

import re

# Eight blocks, as in the original BERT. Hangul and kana are not among them: those languages put spaces or need none
# here.
BLOCKS = (
    (0x4E00, 0x9FFF),
    (0x3400, 0x4DBF),
    (0x20000, 0x2A6DF),
    (0x2A700, 0x2B73F),
    (0x2B740, 0x2B81F),
    (0x2B820, 0x2CEAF),
    (0xF900, 0xFAFF),
    (0x2F800, 0x2FA1F),
)

# For the inside of a character class of `re`.
IDEOGRAPHS = "".join(f"{chr(first)}-{chr(last)}" for first, last in BLOCKS)
IDEOGRAPH = re.compile(f"[{IDEOGRAPHS}]")
