"""Training states written on a thread, while training goes on."""

from __future__ import annotations

from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import suppress
from typing import TYPE_CHECKING, Literal

from bertwright.checkpoints.training_state import best_step, newest_step, prune_states, write_state
from bertwright.errors import DiskFull

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from bertwright.checkpoints.training_state import TrainingState


class StateWriter:
    """Writes states on a thread while training goes on; the newest `keep` and the best one stay.

    `when_full` is what a full disk does: "stop" raises DiskFull from the next call, "go on" tells `say`, with the
    step, at once and from the thread, and the next save tries again. Every other fault is raised from the next call.
    States that `folder` has already count as written.
    """

    def __init__(
        self, folder: Path, *, keep: int, when_full: Literal["stop", "go on"], say: Callable[[str, int], None]
    ) -> None:
        assert keep >= 1
        self._folder, self._keep, self._when_full, self._say = folder, keep, when_full, say
        self._saved, self._best = newest_step(folder), best_step(folder)
        # Its thread begins with the first state; Python waits for it at the end, unless it is killed.
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="checkpoint")
        self._writing: Future[None] | None = None

    def best(self) -> int | None:
        """The step of the best state that is whole on disk, after the one under way; raises that one's fault."""
        self._wait()
        return self._best

    def write(self, state: TrainingState, *, best: bool = False) -> None:
        """Begin to write a state, after the one before is done; raises that one's fault, and then writes nothing."""
        self._wait()
        self._writing = self._thread.submit(self._write, state, best=best)

    def close(self) -> None:
        """Wait for the last state; raises its fault."""
        try:
            self._wait()
        finally:
            self._thread.shutdown()

    def _wait(self) -> None:
        # Forgotten before it is asked: a fault is raised once.
        writing, self._writing = self._writing, None
        if writing is not None:
            writing.result()

    def _write(self, state: TrainingState, *, best: bool) -> None:
        try:
            write_state(self._folder, state, best=best)
        except DiskFull:
            self._tell_full(state.step)
            return
        self._saved = state.step
        if best:
            self._best = state.step
        # Only now may older ones go: for a moment there is one more on the disk than is kept. Some file systems need
        # room to remove; the next save tries again.
        with suppress(DiskFull):
            prune_states(self._folder, keep=self._keep, best=self._best)

    def _tell_full(self, step: int) -> None:
        message = f"{self._folder}: the disk is full, so the checkpoint of step {step:,} was not kept; "
        kept = f"that of step {self._saved:,} is" if self._saved else "nothing was saved before it"
        if self._when_full == "stop":
            cure = "go on with --resume" if self._saved else "start again"
            raise DiskFull(f"{message}{kept}. Free some space and {cure}") from None
        self._say(f"{message}{kept}. Training goes on, and the next save tries again", step)
