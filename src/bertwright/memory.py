"""Keeping big blocks of memory between training steps and between the batches of a server, and giving them back.

glibc gives every block above 32 MB back to the system when it is freed, and a training step then touches fresh, zeroed
pages for every large tensor. On a virtual machine that was half of a training step. What a thread frees it gives back
too, as soon as enough lies free at the end of the thread's own heap: of the processor time of a server that reads in 8
bits, up to a sixth went there, by chance in some starts and not in others. Kept or not, blocks of ever other sizes
leave holes between them, which grow for hours: a server gives them back, but seldom (serving/app.py).
"""

from __future__ import annotations

import contextlib
import ctypes
import platform

_M_TRIM_THRESHOLD, _M_MMAP_THRESHOLD = -1, -3


def keep_big_blocks() -> None:
    """Tell glibc to reuse big blocks instead of mapping each anew; does nothing with another C library."""
    with contextlib.suppress(OSError, AttributeError):
        if libc := _glibc():
            libc.mallopt(_M_MMAP_THRESHOLD, 1 << 30)
            libc.mallopt(_M_TRIM_THRESHOLD, -1)


def give_back_free_pages() -> None:
    """Give all pages that lie free back to the system; does nothing with another C library."""
    with contextlib.suppress(OSError, AttributeError):
        if libc := _glibc():
            libc.malloc_trim(0)


def _glibc() -> ctypes.CDLL | None:
    return ctypes.CDLL(None) if platform.libc_ver()[0] == "glibc" else None
