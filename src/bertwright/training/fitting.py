"""How many examples fit a GPU at once, found by trial."""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch

from bertwright.errors import OperationalFault

if TYPE_CHECKING:
    from collections.abc import Callable


def largest_fitting(most: int, attempt: Callable[[int], None]) -> int:
    """The largest of most, most / 2, most / 4 ... for which `attempt` does not run out of memory.

    Raises OperationalFault where not even one example fits.
    """
    size = most
    while True:
        if _fits(size, attempt):
            return size
        if size == 1:
            cure = "set machine.recompute=true, or take a smaller model"
            raise OperationalFault(f"the memory of the GPU is too small for one example; {cure}")
        size = -(-size // 2)


def _fits(size: int, attempt: Callable[[int], None]) -> bool:
    try:
        attempt(size)
    except torch.OutOfMemoryError:
        fits = False
    else:
        fits = True
    # What the attempt left in the allocator's hands, in blocks of its own sizes.
    if torch.cuda.is_available():
        torch.cuda.empty_cache()
    return fits
