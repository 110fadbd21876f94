"""The same work on several processes, or on a Ray cluster: results in the order of the items, whoever made them.

Work is a function of an item. It is sent once to each worker, with all that it carries; then items go out and results
come back, a bounded number under way, so that a slow reader of results holds up the workers and not the memory.
"""

from __future__ import annotations

import os
import signal
import threading
import time
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from contextlib import contextmanager
from multiprocessing import get_context, resource_tracker
from typing import Any, Literal, TypeVar

from bertwright.errors import OperationalFault, SettingsError

Engine = Literal["local", "ray"]
Item = TypeVar("Item")
Result = TypeVar("Result")

# Items under way for each worker: one at work, one waiting so that it never idles.
_AHEAD = 2


def processors() -> int:
    """Cores that this process may use."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def in_order(
    work: Callable[[Item], Result],
    items: Iterable[Item],
    *,
    workers: int = 1,
    engine: Engine = "local",
    on_gpus: bool = False,
) -> Iterator[Result]:
    """`work` of each item, in the order of the items. `work` and its results are pickled; one worker needs no process.

    on_gpus: the work is faster on a GPU, and each worker of Ray has one where there are enough that nobody uses.
    Raises what `work` raises, and OperationalFault where a worker is gone.
    """
    if engine == "ray":
        return _on_ray(work, items, workers, on_gpus=on_gpus)
    return map(work, items) if workers == 1 else _on_processes(work, items, workers)


def _on_processes(work: Callable[[Item], Result], items: Iterable[Item], workers: int) -> Iterator[Result]:
    # "spawn" and not "fork": a copy of a process with threads (torch's, a progress bar's) may hang in a lock.
    pool = ProcessPoolExecutor(workers, get_context("spawn"), _begin, (work, os.getpid()))
    try:
        waiting: deque[Future[Any]] = deque()
        resource_tracker.ensure_running()  # it unblocks SIGINT where it is started
        for item in items:
            with _interrupts_held():
                waiting.append(pool.submit(_work_on, item))
            if len(waiting) >= _AHEAD * workers:
                yield waiting.popleft().result()
        while waiting:
            yield waiting.popleft().result()
    except BrokenProcessPool:
        what = "a worker process ended before its work was done, as one does that the system kills for its memory"
        raise OperationalFault(f"{what}; start again with fewer --workers") from None
    finally:
        pool.shutdown(wait=True, cancel_futures=True)


@contextmanager
def _interrupts_held() -> Iterator[None]:
    """A block that Ctrl-C waits for; processes started in it never hear one.

    A worker comes to life when work is given to it, and until it has imported everything it could not ignore Ctrl-C:
    each would end in a traceback of its own.
    """
    before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


_work: Callable[[Any], Any] | None = None


def _begin(work: Callable[[Any], Any], parent: int) -> None:
    global _work  # noqa: PLW0603  # a worker process has one work for all its life
    _work = work
    # Ctrl-C goes to the whole group; the parent decides what to do about it.
    signal.signal(signal.SIGINT, signal.SIG_IGN)

    def end_with_parent() -> None:
        while os.getppid() == parent:
            time.sleep(1)
        os._exit(1)  # nobody is left to take a result

    threading.Thread(target=end_with_parent, daemon=True).start()


def _work_on(item: Any) -> Any:
    assert _work is not None
    return _work(item)


def _on_ray(work: Callable[[Item], Result], items: Iterable[Item], workers: int, *, on_gpus: bool) -> Iterator[Result]:
    try:
        import ray  # noqa: PLC0415  # an extra, and a second to import
    except ImportError:
        raise SettingsError("`--engine ray` needs Ray", cure="pip install 'bertwright[ray]'") from None
    own = not ray.is_initialized()
    if own:
        # RAY_ADDRESS names a cluster; without it a local one is made for this run.
        ray.init(address=os.environ.get("RAY_ADDRESS"), log_to_driver=False, include_dashboard=False)
    try:
        carried = ray.put(work)

        # Spread over the machines: an actor that asks for nothing may lie beside all others, on the first GPU.
        free = ray.available_resources().get("GPU", 0) if on_gpus else 0  # type: ignore[no-untyped-call]
        gpus = int(free >= workers)

        @ray.remote(scheduling_strategy="SPREAD", num_gpus=gpus)
        class Worker:
            def __init__(self, work: Callable[[Any], Any]) -> None:
                self.work = work

            def on(self, item: Any) -> Any:
                return self.work(item)

        crew = [
            Worker.remote(carried)  # type: ignore[attr-defined]  # ray adds it
            for _ in range(workers)
        ]
        waiting: deque[Any] = deque()
        for number, item in enumerate(items):
            waiting.append(crew[number % workers].on.remote(item))
            if len(waiting) >= _AHEAD * workers:
                yield ray.get(waiting.popleft())
        while waiting:
            yield ray.get(waiting.popleft())
    except ray.exceptions.RayTaskError as error:
        raise (error.cause if isinstance(error.cause, Exception) else error) from None
    except ray.exceptions.RayError as error:
        raise OperationalFault(f"Ray could not do the work: {str(error).splitlines()[0]}") from None
    finally:
        if own:
            ray.shutdown()
