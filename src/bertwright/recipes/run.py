"""A run's directory: the model to be, and under `run/` all that it takes to go on.

OUT/run/run.json            what the run is: recipe, data, start
OUT/run/metrics.jsonl       one object a report
OUT/run/checkpoints/        the newest `machine.keep_checkpoints` training states, and the best of pretraining
OUT/run/best.safetensors    the best weights of a fine-tuning until now
OUT/run/curves.png          of pretraining, drawn from metrics.jsonl at its end (extra `report`)
OUT/run/tensorboard/        the same figures as event files, with --tensorboard
OUT/dev/                    what a fine-tuning showed of the model on its dev rows
OUT/...                     the model directory, once there is a model
"""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import signal
import time
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from bertwright.batches.loading import ahead
from bertwright.checkpoints.configuration import CONFIG
from bertwright.checkpoints.model_directory import DEV, MODEL_FILES
from bertwright.checkpoints.snapshot import restore, snapshot
from bertwright.checkpoints.training_state import newest_state, newest_step, read_state, state_path
from bertwright.checkpoints.writer import StateWriter
from bertwright.errors import DiskFull, DivergenceError, ModelError, Stopped, ToldElsewhere
from bertwright.files import (
    OLD,
    PARTIAL,
    beside,
    hold,
    refuse_existing,
    storage_faults,
    to_json,
    write_atomic,
)
from bertwright.heads.model import Bert
from bertwright.progress import Progress
from bertwright.recipes.finetuning.dev_folder import clear_dev
from bertwright.recipes.resuming import refuse_other
from bertwright.recipes.tensorboard import Board
from bertwright.training.loop import BatchT, Hooks, Portion, Trainee, train
from bertwright.training.meter import Report
from bertwright.training.settings import MachineSettings, TrainingSettings
from bertwright.training.signals import stop_wishes
from bertwright.training.watch import Watch
from bertwright.training.world import World

_CHECKPOINTS = "checkpoints"


class Run:
    """One training run on disk, as one of its processes sees it; made by `open_run`. Only the first process writes."""

    def __init__(
        self, out: Path, machine: MachineSettings, world: World, progress: Progress, *, tensorboard: bool
    ) -> None:
        self.out = out
        self.world = world
        self.progress = progress
        self.folder = out / "run"
        self.checkpoints = self.folder / _CHECKPOINTS
        self.metrics_path = self.folder / "metrics.jsonl"
        self.events_folder = self.folder / "tensorboard"
        self._machine = machine
        self._writer: StateWriter | None = None
        self._tensorboard = tensorboard
        self._board: Board | None = None
        # Checkpoints that the disk was too full for, as the thread that writes them told.
        self._dropped: deque[tuple[str, int]] = deque()
        # Lines of metrics.jsonl that found no room on the disk yet.
        self._unwritten: list[str] = []
        self._earlier_seconds = 0.0
        self._begun = time.perf_counter()
        # Of this sitting: what the checkpoints held training up.
        self._saving_seconds = 0.0
        # Whether it goes on with what is there.
        self.resumed = False

    @property
    def seconds(self) -> float:
        """Time spent on the run, in this sitting and in those before it that were saved."""
        return self._earlier_seconds + time.perf_counter() - self._begun

    def save(self, trainee: Trainee, *, better: bool = False, **extra: Any) -> None:
        """Save the state of the step reached: copied here, written on a thread. `better`: it is the best so far.

        Every process calls it, for each may hold a share of the weights.
        """
        begun = time.perf_counter()
        skipped = {"skipped": trainee.skipped, "skipped_in_a_row": trainee.skipped_in_a_row}
        state = snapshot(trainee, {"seconds": self.seconds, **skipped, **extra}, keep=self.world.is_first)
        # A full disk is told once, and not by the others as a process that is gone.
        self.world.of_first(lambda: self._states.write(state, best=better))
        self._saving_seconds += time.perf_counter() - begun

    def lost(self, step: int | None) -> bool:
        """Whether the state of `step`, saved as the best (None: none was), found no room; waits until that is known.

        Every process calls it, and the first alone answers, for it alone writes.
        """
        begun = time.perf_counter()
        going_on = self._machine.when_disk_full == "go on"  # else the next save ends the run
        lost = self.world.of_first(lambda: going_on and step is not None and self._states.best() != step)
        self._saving_seconds += time.perf_counter() - begun
        return lost

    @property
    def _states(self) -> StateWriter:
        if self._writer is None:
            machine = self._machine
            self._writer = StateWriter(
                self.checkpoints, keep=machine.keep_checkpoints, when_full=machine.when_disk_full, say=self._drop
            )
        return self._writer

    def _drop(self, sentence: str, step: int) -> None:
        """Say from the writing thread what found no room; the one that trains writes it down, as all the figures."""
        self.progress.say(sentence)
        self._dropped.append((sentence, step))

    def restore(self, trainee: Trainee, steps: int) -> dict[str, Any]:
        """Put the newest state into `trainee`; returns what was saved with it, empty where there is no state yet."""
        # The first process alone clears up what a kill left; then each reads the state that it named.
        found: list[str] = []
        step = self.world.of_first(lambda: self._newest_step(found))
        if step is None:
            self._continue_figures(-1)
            self._record_found(found, 0)
            if self.resumed:
                self.progress.say(f"no checkpoint had been written yet: beginning again with step 0 of {steps:,}")
            return {}
        state = read_state(state_path(self.checkpoints, step))
        restore(trainee, state, self.checkpoints)
        values = state.values
        trainee.skipped, trainee.skipped_in_a_row = values.get("skipped", 0), values.get("skipped_in_a_row", 0)
        self._earlier_seconds = float(values.get("seconds", 0))
        self._continue_figures(trainee.step)
        self._record_found(found, trainee.step)
        self.progress.say(f"going on from step {trainee.step:,} of {steps:,}")
        among = "one process" if self.world.size == 1 else f"{self.world.size} processes"
        self.record({"step": trainee.step, "event": f"went on, {among}"})
        return values

    def train(
        self,
        title: str,
        trainee: Trainee,
        settings: TrainingSettings,
        *,
        portions: Iterable[Portion[BatchT]],
        objective: Callable[[Bert, BatchT, Mapping[str, float]], tuple[Tensor, dict[str, Tensor]]],
        dtype: torch.dtype,
        headline: Callable[[dict[str, float]], str],
        evaluate: Callable[[int, Callable[[str], None]], bool | None],
        save: Callable[[int], None],
        watch: Watch | None = None,
        share_of_peak: Callable[[int, float], float] | None = None,
    ) -> None:
        """Train to the last step or until `evaluate` has seen enough, recording and showing each report.

        `headline` is what the bar shows of a report's figures; `evaluate` is given the step and a function that shows
        how far it is, and returns true to end here; `watch` looks at the masked-word loss; `share_of_peak` maps a step
        and its tokens a second to the share of the machine's speed. The rest is as in `bertwright.training.loop.train`.
        Raises Stopped after saving.
        """
        # torchrun passes signals on, also to a single process.
        wishes = stop_wishes(launched="TORCHELASTIC_RUN_ID" in os.environ)
        with self.progress.task(title, settings.steps, "steps") as bar, wishes as wish:
            bar.update(trainee.step)

            def report(found: Report) -> None:
                rates = {"learning_rate": found.learning_rate, "tokens_per_second": found.tokens_per_second}
                shown = f"{found.tokens_per_second:,.0f} tokens/s"
                if share_of_peak is not None:
                    rates["share_of_peak"] = share_of_peak(found.step, found.tokens_per_second)
                    shown += f"  {rates['share_of_peak']:.0%} of peak"
                self.record({"step": found.step, **found.figures, **rates, "seconds": self.seconds})
                bar.update(found.step, f"{headline(found.figures) if found.figures else 'no step moved'}  {shown}")
                if found.skipped:
                    steps = "one step was" if found.skipped == 1 else f"{found.skipped} steps were"
                    self._event(f"{steps} skipped: the gradient was not finite", found.step)
                if watch is not None and "mlm_loss" in found.figures:
                    said = watch.look(found.step, found.figures["mlm_loss"])
                    if said is not None:
                        self._event(said, found.step)

            def measure(step: int) -> bool | None:
                return evaluate(step, lambda figures: bar.update(step, figures))

            begun = time.perf_counter()
            try:
                finished = train(
                    trainee,
                    settings,
                    portions=ahead(portions),
                    objective=objective,
                    dtype=dtype,
                    hooks=Hooks(report=report, evaluate=measure, save=save),
                    wish=wish,
                    world=self.world,
                )
            except DivergenceError:
                steps = f"{trainee.skipped_in_a_row} steps in a row"
                self.record({"step": trainee.step, "event": f"ended: the gradient was not finite in {steps}"})
                raise
            finally:
                # Whatever ends the run, the checkpoint under way is still finished.
                before = time.perf_counter()
                try:
                    self._close_states()
                finally:
                    self._close_metrics()
                self._saving_seconds += time.perf_counter() - before
        if not finished:
            number = wish.signal_number or signal.SIGTERM
            if not self.world.is_first:
                raise ToldElsewhere(128 + number)
            saved = newest_step(self.checkpoints)
            # Where the disk is full and the run is to go on all the same, not all may be there.
            kept = " and saved" if saved == trainee.step else f", of which the first {saved:,} are saved"
            kept = kept if trainee.step else ", before there was anything to save"
            message = f"stopped at step {trainee.step:,} of {settings.steps:,}{kept}; go on with --resume"
            raise Stopped(message, number)
        elapsed = time.perf_counter() - begun
        self.progress.say(f"checkpoints took {self._saving_seconds / elapsed:.1%} of the time")

    def _newest_step(self, found: list[str]) -> int | None:
        """The step of the newest whole state; what is said of others goes to `found` too."""

        def tell(sentence: str) -> None:
            self.progress.say(sentence)
            found.append(sentence)

        state = newest_state(self.checkpoints, tell)
        return None if state is None else state.step

    def _record_found(self, found: Sequence[str], step: int) -> None:
        for sentence in found:
            self.record({"step": step, "event": sentence})

    def _close_states(self) -> None:
        writer, self._writer = self._writer, None
        if writer is not None:
            try:
                writer.close()
            finally:
                self._record_dropped()

    def _event(self, sentence: str, step: int) -> None:
        """Say what happened, and keep it with the figures."""
        self.progress.say(f"step {step:,}: {sentence}")
        self.record({"step": step, "event": sentence})

    def record(self, values: dict[str, Any]) -> None:
        """Add an object to metrics.jsonl, and to TensorBoard where that is wanted.

        On a full disk it waits for the next one, so that no run ends by it.
        """
        if not self.world.is_first:
            return
        self._record_dropped()
        self._keep(values)

    def _record_dropped(self) -> None:
        while self._dropped:
            sentence, step = self._dropped.popleft()
            self._keep({"step": step, "event": sentence})

    def _keep(self, values: dict[str, Any]) -> None:
        self._unwritten.append(json.dumps(values) + "\n")
        with contextlib.suppress(DiskFull):
            self._write_metrics()
        if self._board is not None:
            # What finds no room here is in metrics.jsonl, and comes with the next start.
            board, self._board = self._board, None
            with contextlib.suppress(DiskFull), storage_faults(self.events_folder):
                board.add(values)
                self._board = board

    def _write_metrics(self) -> None:
        content = "".join(self._unwritten).encode()
        with storage_faults(self.metrics_path), self.metrics_path.open("ab", buffering=0) as file:
            before = file.tell()
            try:
                while content:
                    content = content[file.write(content) :]
            except OSError:
                # Half a line would take the next one with it.
                file.truncate(before)
                raise
        self._unwritten.clear()

    def _close_metrics(self) -> None:
        """Try the last time to write what waits."""
        if not self._unwritten:
            return
        try:
            self._write_metrics()
        except DiskFull:
            self.progress.say(
                f"{self.metrics_path}: the disk is full, and its last {len(self._unwritten)} lines are lost"
            )
            self._unwritten.clear()

    def metrics(self) -> list[dict[str, Any]]:
        """All objects of metrics.jsonl; a last line cut by a kill is left out."""
        found = []
        if self.metrics_path.exists():
            for line in self.metrics_path.read_text(encoding="utf-8", errors="replace").splitlines():
                with contextlib.suppress(json.JSONDecodeError):
                    values = json.loads(line)
                    if isinstance(values, dict) and isinstance(values.get("step"), int):
                        found.append(values)
        return found

    def told_seconds(self) -> float:
        """The time that the run had taken at its last report, over all sittings."""
        return max((float(values["seconds"]) for values in self.metrics() if "seconds" in values), default=0.0)

    def _continue_figures(self, step: int) -> None:
        """Drop what was reported after the step that the run goes on from: it is done again. -1: nothing was saved."""
        if not self.world.is_first:
            return
        kept = [values for values in self.metrics() if values["step"] <= step]
        write_atomic(self.metrics_path, "".join(json.dumps(values) + "\n" for values in kept).encode())
        if self._tensorboard:
            with contextlib.suppress(DiskFull), storage_faults(self.events_folder):
                self._board = Board(self.events_folder, kept, self.seconds)

    def close(self) -> None:
        """Finish what stays open while the run goes on."""
        if self._board is not None:
            with contextlib.suppress(DiskFull), storage_faults(self.events_folder):
                self._board.close()


@contextmanager
def open_run(
    out: Path,
    identity: dict[str, Any],
    *,
    machine: MachineSettings | None = None,
    world: World,
    resume: bool,
    overwrite: bool,
    tensorboard: bool = False,
    made: Sequence[str] = (),
    instead: str = "",
    progress: Progress,
) -> Iterator[Run]:
    """Open the run at `out` and keep other processes out of it until the block ends.

    `identity` is everything that the weights follow from. A new run writes it down; a resumed one must have the same.
    `made` names the folders that the run makes in `out`: one that begins anew finds none of them. `instead` is told
    where it began otherwise: what else could be done. Each process of the run calls this, and the first does it. Raises
    ModelError, naming what differs, or UserFault where `out` holds something else.
    """
    run = Run(out, machine or MachineSettings(), world, progress, tensorboard=tensorboard)
    run.resumed = resume

    def claim() -> None:
        if resume:
            refuse_other(_begun(out), out, identity, what="run", overwrite=overwrite, instead=instead)
            held.enter_context(hold(run.folder))
        else:
            _begin_anew(run, identity, held, overwrite=overwrite, made=made)
        for name in made:
            shutil.rmtree(beside(out / name, OLD), ignore_errors=True)

    with ExitStack() as held:
        held.enter_context(storage_faults(out))
        world.of_first(claim)
        held.callback(run.close)
        yield run


def refuse_used(out: Path, *, overwrite: bool, made: Sequence[str] = ()) -> None:
    """Raise ModelError or UserFault where no run can be begun at `out`; nothing is touched.

    `open_run` does it too; whoever reads for minutes before that looks here first.
    """
    path = _begun(out)
    if path.exists() and not overwrite:
        finished = "a finished run" if (out / CONFIG).exists() else "a run that was stopped"
        raise ModelError(f"holds {finished}", where=out, cure="go on with --resume, or begin anew with --overwrite")
    # Beside a run anything may lie, and stays: only the run is begun anew. Where there is no run, only a model is.
    replaceable: Sequence[str] = ("*",) if path.exists() else (*MODEL_FILES, DEV, *made)
    if _is_only_begun(path.parent):
        replaceable = (*replaceable, path.parent.name)
        overwrite = overwrite or not any(entry != path.parent for entry in out.iterdir())
    refuse_existing(out, overwrite=replaceable if overwrite else ())


def _begin_anew(
    run: Run, identity: dict[str, Any], held: ExitStack, *, overwrite: bool, made: Sequence[str] = ()
) -> None:
    refuse_used(run.out, overwrite=overwrite, made=made)
    run.folder.mkdir(parents=True, exist_ok=True)
    held.enter_context(hold(run.folder))
    (run.out / CONFIG).unlink(missing_ok=True)
    clear_dev(run.out)
    shutil.rmtree(run.checkpoints, ignore_errors=True)
    shutil.rmtree(run.events_folder, ignore_errors=True)
    run.metrics_path.unlink(missing_ok=True)
    run.checkpoints.mkdir()
    for name in made:
        # Moved away whole, by one rename: after a kill, neither the old run nor the new one finds a part of it.
        old = beside(run.out / name, OLD)
        shutil.rmtree(old, ignore_errors=True)
        if (run.out / name).exists():
            (run.out / name).rename(old)
    write_atomic(_begun(run.out), to_json(identity))


def _begun(out: Path) -> Path:
    """The file that says what the run is."""
    return out / "run" / "run.json"


def _is_only_begun(folder: Path) -> bool:
    """Whether `run/` is what a kill left before run.json was written: nothing that anyone could go on with."""
    if not folder.is_dir():
        return False
    names = {entry.name for entry in folder.iterdir()}
    ours = {_CHECKPOINTS, beside(folder / "run.json", PARTIAL).name}
    return names <= ours and not any((folder / _CHECKPOINTS).glob("*"))
