"""Ctrl-C and SIGTERM as a wish to stop, heard between two steps."""

from __future__ import annotations

import signal
import threading
from contextlib import contextmanager
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator
    from types import FrameType

_SIGNALS = (signal.SIGINT, signal.SIGTERM)


class StopWish:
    """Which signal asked for an end; None while nobody did."""

    signal_number: int | None = None


@contextmanager
def stop_wishes(*, launched: bool = False) -> Iterator[StopWish]:
    """Turn the first SIGINT or SIGTERM into a wish; a second one ends the process as it always did.

    launched: a launcher started this process and passes signals on. A scheduler that signals every process of a job
    reaches this one twice then, which is no second wish; what ends the process is the launcher's SIGKILL. Only the main
    thread may set handlers; elsewhere the wish just never comes.
    """
    wish = StopWish()
    if threading.current_thread() is not threading.main_thread():
        yield wish
        return
    before = {number: signal.getsignal(number) for number in _SIGNALS}

    def hear(number: int, frame: FrameType | None) -> None:
        del frame
        if wish.signal_number is None:
            wish.signal_number = number
        if not launched:
            for each in _SIGNALS:
                signal.signal(each, before[each])

    for number in _SIGNALS:
        signal.signal(number, hear)
    try:
        yield wish
    finally:
        for number in _SIGNALS:
            signal.signal(number, before[number])
