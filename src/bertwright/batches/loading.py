"""Building batches ahead of the training step, on a thread."""

from __future__ import annotations

import queue
import threading
from typing import TYPE_CHECKING, TypeVar

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

T = TypeVar("T")
_END = object()


def ahead(items: Iterable[T], depth: int = 2) -> Iterator[T]:
    """The same items in the same order, up to `depth` of them made in advance on a thread.

    A thread and not a process: building a batch is numpy, which lets go of the interpreter lock, and takes far less
    time than a step. An error while building is raised here.
    """
    made: queue.Queue[object] = queue.Queue(maxsize=depth)
    stopped = threading.Event()

    def put(item: object) -> None:
        while not stopped.is_set():
            try:
                made.put(item, timeout=0.1)
            except queue.Full:
                continue
            return

    def work() -> None:
        try:
            for item in items:
                put(item)
                if stopped.is_set():
                    return
            put(_END)
        except BaseException as error:  # noqa: BLE001  # it is raised again on the caller's side
            put(error)

    thread = threading.Thread(target=work, name="bertwright-batches", daemon=True)
    thread.start()
    try:
        while (item := made.get()) is not _END:
            if isinstance(item, BaseException):
                raise item
            yield item  # type: ignore[misc]  # what is not the end nor an error is a T
    finally:
        stopped.set()
        thread.join()
