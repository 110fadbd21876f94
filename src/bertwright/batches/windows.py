"""A text of any length as inputs that the encoder takes: windows that overlap.

    max_length 8, overlap 2, the text t0 ... t9:

    [CLS] t0 t1 t2 t3 t4 t5 [SEP]                 decides t0 ... t4
          [CLS] t4 t5 t6 t7 t8 t9 [SEP]           decides t5 ... t9

Training, scores and predictions all cut alike, and `overlap` has one meaning everywhere: the tokens that
two neighbours share. (Others call it stride or doc_stride, and some mean by that how far a window moves on.) What two
windows see is decided by the one that sees more around it, as in `run_squad.py` of the original code.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from bertwright.tokens.vocabulary import Vocabulary


@dataclass(frozen=True, kw_only=True, slots=True)
class Lengths:
    """How long texts are cut: tokens in a window, [CLS] and [SEP] included; tokens that neighbours share.

    most: windows that a text may have where one answer is made of all of them; None where there is no end.
    """

    max_length: int = 512
    overlap: int = 128
    most: int | None = None


@dataclass(frozen=True, slots=True)
class Window:
    """One input: `[CLS] part [SEP]`, or `[CLS] A [SEP] B [SEP]` where one of the two may be a part of a longer text.

    ids: int32. second: the place where segment 1 begins, len(ids) where there is none. offset: the place of the part's
    first token; first: that token's number in the text. decides: the text's tokens, from and up to, that are this
    window's to decide.
    """

    ids: NDArray[np.int32]
    second: int
    offset: int
    first: int
    decides: tuple[int, int]

    def __len__(self) -> int:
        return len(self.ids)

    @property
    def decided(self) -> slice:
        """The places in `ids` of the tokens that it decides."""
        shift = self.offset - self.first
        return slice(self.decides[0] + shift, self.decides[1] + shift)


@dataclass(frozen=True, slots=True)
class Cut:
    """The windows of a text or a pair; `lost` counts the tokens that are in none of them."""

    windows: tuple[Window, ...]
    lost: int = 0


def cut_windows(
    parts: Sequence[Sequence[int]], lengths: Lengths, vocabulary: Vocabulary, *, moving: int | None = None
) -> Cut:
    """One or two texts, as ids without special tokens, as windows.

    Of a pair that is too long one text moves on from window to window, the other stands in all of them: `moving` says
    which (None: the longer). The one that stands is cut where it would take more than half of the room from a text that
    needs it.
    """
    room = lengths.max_length - 1 - len(parts)
    if len(parts) == 1:
        moving = 0
    elif moving is None:
        moving = int(len(parts[1]) >= len(parts[0]))
    text = parts[moving]
    standing = parts[1 - moving] if len(parts) == 2 else ()
    space = max(room - len(standing), min(len(text), room - room // 2))
    kept = standing[: room - space]
    lost = len(standing) - len(kept)
    starts = _starts(len(text), space, min(lengths.overlap, space // 2))[: lengths.most]
    ends = [min(start + space, len(text)) for start in starts]
    lost += len(text) - ends[-1]
    borders = [0, *((end + start) // 2 for end, start in zip(ends[:-1], starts[1:], strict=True)), ends[-1]]

    cls, sep = [vocabulary.cls_id], [vocabulary.sep_id]
    found = []
    for number, (start, end) in enumerate(zip(starts, ends, strict=True)):
        part = list(text[start:end])
        if len(parts) == 1:
            ids, second, offset = cls + part + sep, end - start + 2, 1
        elif moving == 1:
            ids, second, offset = cls + list(kept) + sep + part + sep, len(kept) + 2, len(kept) + 2
        else:
            ids, second, offset = cls + part + sep + list(kept) + sep, len(part) + 2, 1
        decides = (borders[number], borders[number + 1])
        found.append(Window(np.array(ids, dtype=np.int32), second, offset, start, decides))
    return Cut(tuple(found), lost)


def _starts(count: int, space: int, overlap: int) -> list[int]:
    """Where the windows of a text of `count` tokens begin; the last one is moved back so that it is full."""
    if count <= space:
        return [0]
    step = space - overlap
    return [*range(0, count - space, step), count - space]
