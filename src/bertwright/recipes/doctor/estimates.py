"""How large the shards of a corpus will be, and how long preparing it and training on it will take on this machine.

Training is timed for a few seconds on a small preset, with the real loop on random ids. From that follows what this
machine computes in a second, and from the number of operations a token costs in each preset its time.
"""

from __future__ import annotations

import itertools
from dataclasses import dataclass

import numpy as np
import torch

from bertwright.batches.random_rows import random_batch
from bertwright.encoder.config import PRESETS, EncoderConfig
from bertwright.examples.settings import ExampleSettings
from bertwright.heads.model import PRETRAINING, Bert, parameter_table
from bertwright.parallel import processors
from bertwright.progress import Progress
from bertwright.recipes.doctor.measures import Measures
from bertwright.shards.format import token_dtype
from bertwright.tasks.operations import operations_per_token
from bertwright.tasks.pretrain import objective
from bertwright.training.loop import Hooks, Trainee, train, undivided
from bertwright.training.meter import Report
from bertwright.training.optimizers import build_optimizers
from bertwright.training.precision import choose_dtype
from bertwright.training.settings import TrainingSettings
from bertwright.training.signals import StopWish
from bertwright.training.world import alone

# The vocabulary that presets are told with where there is none yet: that of the paper.
PAPER_VOCABULARY = PRESETS["bert-base"].vocab_size
# What is timed, by kind of device. On a CPU one speaks for all: on two cores tiny reached 0.9 times as many operations
# a second as mini, medium 1.2 times. A GPU is hardly busy with tiny, and full with base; what lies between is taken in
# the middle.
_TIMED = {"cpu": ("bert-mini",), "cuda": ("bert-tiny", "bert-base")}
_SECONDS = 3.0
# Steps that are not counted, for the first ones allocate; and those that must be.
_WARMING, _COUNTED = 2, 3
# After so many seconds it is enough, however few steps they were.
_TOO_LONG = 12.0
# A step shorter than this measures overheads; the batch grows until it is longer, or as large as in the paper.
_SHORTEST_STEP = 0.05
_SMALLEST_BATCH, _LARGEST_BATCH = 8, 256


@dataclass(frozen=True, kw_only=True, slots=True)
class Speed:
    """What was measured: operations a second while training a preset, at that batch and number of threads.

    `busy` says that other work kept some of the cores, so that one thread was quicker than all of them.
    """

    preset: str
    threads: int
    busy: bool
    operations_per_second: float
    batch_size: int
    seconds_a_step: float


@dataclass(frozen=True, kw_only=True, slots=True)
class PresetTime:
    """Pretraining one preset on the corpus: `steps` of `batch_size` examples go over it `epochs` times."""

    preset: str
    parameters: int
    tokens_per_parameter: float
    epoch_seconds: float
    epochs_seconds: float
    steps: int


@dataclass(frozen=True, kw_only=True, slots=True)
class Timing:
    """About how long things take on this machine."""

    device: str
    precision: str
    cores: int
    # Text that one core prepares in a second, and what the corpus then takes on one core and on all.
    prepare_bytes_per_second: float
    prepare_seconds_one_core: float
    prepare_seconds_all_cores: float
    speeds: tuple[Speed, ...]
    epochs: int
    batch_size: int
    presets: tuple[PresetTime, ...]


def shard_bytes(measures: Measures, vocabulary_size: int) -> int:
    """The size of the shards: an id and the bit of a word's beginning a token, 8 bytes a sentence and a document."""
    ids = np.dtype(token_dtype(vocabulary_size)).itemsize
    bits = measures.tokens // 8
    return measures.tokens * ids + bits + 8 * (measures.sentences_stored + measures.documents)


def estimate_timing(
    measures: Measures,
    seconds: float,
    examples: ExampleSettings,
    *,
    vocabulary_size: int,
    epochs: int,
    batch_size: int,
    wish: StopWish,
    progress: Progress,
) -> Timing:
    """Time a few training steps, and tell from them what the corpus takes.

    seconds: processor time that splitting and tokenising took. Stops early where `wish` is uttered.
    """
    device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
    speeds = []
    timed = _TIMED[device.type]
    with progress.task("timing training steps", len(timed), "presets") as task:
        for done, preset in enumerate(timed, start=1):
            speeds.append(time_preset(preset, vocabulary_size, examples, device, wish))
            task.update(done, f"{speeds[-1].operations_per_second / 1e9:,.0f} GFLOP/s at {preset}")
    count = measures.pairs.examples if measures.pairs else 0
    presets = []
    for name, preset_config in PRESETS.items():
        config = preset_config.replaced([f"vocab_size={vocabulary_size}"])
        parameters = sum(row.parameters for row in parameter_table(config, PRETRAINING))
        work = count * examples.max_length * operations_per_token(config, examples)
        epoch = work / _rate(config, speeds)
        presets.append(
            PresetTime(
                preset=name,
                parameters=parameters,
                tokens_per_parameter=measures.tokens / parameters,
                epoch_seconds=epoch,
                epochs_seconds=epochs * epoch,
                steps=-(-epochs * count // batch_size),
            )
        )
    return Timing(
        device=torch.cuda.get_device_name() if device.type == "cuda" else "CPU",
        precision=str(choose_dtype("auto", device)).removeprefix("torch."),
        cores=processors(),
        prepare_bytes_per_second=measures.text_bytes / max(seconds, 1e-9),
        prepare_seconds_one_core=seconds,
        prepare_seconds_all_cores=seconds / processors(),
        speeds=tuple(speeds),
        epochs=epochs,
        batch_size=batch_size,
        presets=tuple(presets),
    )


def time_preset(
    preset: str, vocabulary_size: int, examples: ExampleSettings, device: torch.device, wish: StopWish
) -> Speed:
    """Train a preset on random ids for some seconds, with the loop that pretraining has."""
    config = PRESETS[preset].replaced([f"vocab_size={vocabulary_size}"])
    size, threads, busy = _SMALLEST_BATCH, torch.get_num_threads(), False
    while True:
        step = _step_seconds(config, examples, size, device, wish)
        if step >= _SHORTEST_STEP or size >= _LARGEST_BATCH or wish.signal_number is not None:
            break
        size = min(_LARGEST_BATCH, max(2 * size, int(size * _SHORTEST_STEP / step)))
    if device.type == "cpu" and threads > 1 and wish.signal_number is None:
        # Threads wait for each other, and where other work holds a core for a moment, all of them wait: a step was seen
        # to take sixty times as long. That passes, and would make nonsense of an estimate.
        torch.set_num_threads(1)
        try:
            alone = _step_seconds(config, examples, size, device, wish, seconds=0.0)
        finally:
            torch.set_num_threads(threads)
        if alone < step:
            step, threads, busy = alone, 1, True
    operations = operations_per_token(config, examples) * size * examples.max_length
    return Speed(
        preset=preset,
        threads=threads,
        busy=busy,
        operations_per_second=operations / step,
        batch_size=size,
        seconds_a_step=step,
    )


def _step_seconds(
    config: EncoderConfig,
    examples: ExampleSettings,
    size: int,
    device: torch.device,
    wish: StopWish,
    seconds: float = _SECONDS,
) -> float:
    """The time of the quickest step at this batch: other work on the machine only ever adds to it."""
    # The loop draws dropout from a seed of each step, which is not to leave a trace in the caller's generator.
    with torch.random.fork_rng():
        model = Bert(config, PRETRAINING)
        model.initialise(0)
        # More steps than there is time for: the schedule reaches no end.
        settings = TrainingSettings(steps=1_000_000, batch_size=size, log_every=1)
        trainee = Trainee(model.to(device), build_optimizers(model, settings))
        ends: list[float] = []
        enough = StopWish()
        tokens = size * examples.max_length
        batch = random_batch(config.vocab_size, size, examples.max_length, examples.max_predictions)

        def report(told: Report) -> None:
            ends.append(tokens / told.tokens_per_second)
            done = ends[_WARMING:]
            short = min(done, default=_SHORTEST_STEP) < _SHORTEST_STEP and size < _LARGEST_BATCH
            measured = short or sum(done) >= seconds
            too_long = sum(ends) >= _TOO_LONG and done
            if (len(done) >= _COUNTED and measured) or too_long or wish.signal_number is not None:
                enough.signal_number = wish.signal_number or -1

        train(
            trainee,
            settings,
            portions=undivided(itertools.repeat(batch)),
            objective=objective,
            dtype=choose_dtype("auto", device),
            hooks=Hooks(report=report, evaluate=lambda _: None, save=lambda _: None),
            wish=enough,
            world=alone(device),
        )
    return min(ends[_WARMING:] or ends)


def _rate(config: EncoderConfig, speeds: list[Speed]) -> float:
    """Operations a second for a shape: as measured at its width, in the middle between two widths."""
    widths = [np.log(PRESETS[speed.preset].hidden_size) for speed in speeds]
    rates = [np.log(speed.operations_per_second) for speed in speeds]
    return float(np.exp(np.interp(np.log(config.hidden_size), widths, rates)))
