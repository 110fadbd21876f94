"""Pretraining steps of transformers and of bertwright, in turn, on the same batches.

    python benchmarks/pretrain.py                    L4 H256, vocabulary 30,522, 128 tokens, batch 32
    python benchmarks/pretrain.py --shape base       L12 H768; several shapes one after the other: --shape mini base
    python benchmarks/pretrain.py --device cuda --shape gpu-base
    python benchmarks/pretrain.py --json

Peer: transformers' BertForPreTraining with bf16 autocast, fused AdamW and clipping, in its own best attention, once as
it comes and once with the allocator setting that bertwright makes for itself, so that both what a user meets and what
the model code alone is worth can be read. Every contender runs in a process of its own, in turn, for several rounds;
the figure is the median over all steps of all rounds, the ratio that of medians.

Each process also measures how fast the machine multiplies large matrices just then, before and after its steps. The
share of that rate counts the products that a step needs (the vocabulary at hidden words only, the last layer only where
it is looked at), for the peer as for us: what it computes beyond them is no use to anyone.
"""

from __future__ import annotations

import argparse
import itertools
import json
import platform
import statistics
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass, field

import torch

from bertwright.batches.pretraining import PretrainingBatch
from bertwright.batches.random_rows import random_batch
from bertwright.encoder.config import EncoderConfig
from bertwright.examples.settings import ExampleSettings
from bertwright.heads.model import PRETRAINING, Bert
from bertwright.memory import keep_big_blocks
from bertwright.tasks.operations import operations_per_token
from bertwright.tasks.pretrain import objective
from bertwright.training.compilation import compile_encoder
from bertwright.training.loop import Hooks, Trainee, train, undivided
from bertwright.training.meter import Report
from bertwright.training.optimizers import build_optimizers
from bertwright.training.peak import matmul_rate
from bertwright.training.precision import choose_dtype
from bertwright.training.settings import TrainingSettings
from bertwright.training.signals import StopWish
from bertwright.training.world import alone

# Words to guess in a row: 15% of 128.
LENGTH, PREDICTIONS, WARMUP = 128, 19, 3


@dataclass(frozen=True)
class Shape:
    layers: int
    hidden: int
    heads: int
    vocabulary: int
    batch: int
    steps: int

    def config(self) -> EncoderConfig:
        return EncoderConfig(
            vocab_size=self.vocabulary,
            hidden_size=self.hidden,
            num_hidden_layers=self.layers,
            num_attention_heads=self.heads,
            intermediate_size=4 * self.hidden,
        )


SHAPES = {
    "mini": Shape(4, 256, 4, 30522, 32, 10),
    "quickstart": Shape(4, 256, 4, 8000, 32, 20),
    "base": Shape(12, 768, 12, 30522, 32, 3),
    "gpu-base": Shape(12, 768, 12, 30522, 256, 20),
    "gpu-large": Shape(24, 1024, 16, 30522, 96, 20),
}
CONTENDERS = {
    "ours": "bertwright",
    "ours+compile": "bertwright, machine.compile = true",
    "sdpa": "transformers, sdpa attention, as it comes",
    "eager": "transformers, eager attention, as it comes",
    "sdpa+malloc": "transformers, sdpa attention, our allocator setting",
    "eager+malloc": "transformers, eager attention, our allocator setting",
}


def time_ours(shape: Shape, batch: PretrainingBatch, device: torch.device, *, compiled: bool) -> list[float]:
    keep_big_blocks()
    model = Bert(shape.config(), PRETRAINING)
    model.initialise(0)
    model.to(device)
    if compiled:
        compile_encoder(model)
    settings = TrainingSettings(steps=WARMUP + shape.steps, log_every=1, save_every=10**9, evaluate_every=10**9)
    moments = [time.perf_counter()]

    def report(_: Report) -> None:
        moments.append(time.perf_counter())

    def nothing(_: int) -> None:
        pass

    # The real loop with everything that users get: schedule, clipping, accuracies, a report after each step.
    train(
        Trainee(model, build_optimizers(model, settings)),
        settings,
        portions=undivided([batch] * settings.steps),
        objective=objective,
        dtype=choose_dtype("auto", device),
        hooks=Hooks(report=report, evaluate=nothing, save=nothing),
        wish=StopWish(),
        world=alone(device),
    )
    return [later - earlier for earlier, later in itertools.pairwise(moments)][WARMUP : settings.steps]


def time_peer(
    shape: Shape, batch: PretrainingBatch, device: torch.device, attention: str, *, malloc: bool
) -> list[float]:
    from transformers import BertConfig, BertForPreTraining

    if malloc:
        keep_big_blocks()
    config = BertConfig(**shape.config().model_dump(), attn_implementation=attention)  # type: ignore[call-arg]
    model = BertForPreTraining(config).train().to(device)
    batch = batch.to(device)
    optimizer = torch.optim.AdamW(model.parameters(), lr=1e-4, fused=True)
    labels = torch.full_like(batch.input_ids, -100)
    labels.scatter_(1, batch.masked_positions, batch.masked_labels.view(batch.masked_positions.shape))

    def step() -> None:
        with torch.autocast(device.type, torch.bfloat16):
            output = model(
                input_ids=batch.input_ids,
                token_type_ids=batch.token_type_ids,
                attention_mask=batch.attention_mask.long(),
                labels=labels,
                next_sentence_label=batch.next_sentence_labels,
            )
        output.loss.backward()
        torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimizer.step()
        optimizer.zero_grad()

    return timed(step, shape.steps, device)


def timed(step: Callable[[], None], steps: int, device: torch.device) -> list[float]:
    for _ in range(WARMUP):
        step()
    seconds = []
    for _ in range(steps):
        start = time.perf_counter()
        step()
        if device.type == "cuda":
            torch.cuda.synchronize()
        seconds.append(time.perf_counter() - start)
    return seconds


def child(shape: Shape, contender: str, device: torch.device) -> None:
    torch.manual_seed(0)
    batch = random_batch(shape.vocabulary, shape.batch, LENGTH, PREDICTIONS)
    who, _, how = contender.partition("+")
    dtype = choose_dtype("auto", device)
    rates = [matmul_rate(dtype, device)]
    seconds = (
        time_ours(shape, batch, device, compiled=how == "compile")
        if who == "ours"
        else time_peer(shape, batch, device, who, malloc=how == "malloc")
    )
    rates.append(matmul_rate(dtype, device))
    print(json.dumps({"seconds": seconds, "matmul_rates": rates}))


@dataclass
class Measured:
    """What all rounds of one contender gave: seconds a step, and products of matrices a second around them."""

    seconds: list[float] = field(default_factory=list)
    matmul_rates: list[float] = field(default_factory=list)

    def tokens_per_second(self, shape: Shape) -> float:
        return shape.batch * LENGTH / statistics.median(self.seconds)

    def share(self, shape: Shape) -> float:
        operations = operations_per_token(shape.config(), ExampleSettings(max_length=LENGTH))
        return self.tokens_per_second(shape) * operations / statistics.median(self.matmul_rates)


def measure(name: str, device: str, rounds: int) -> dict[str, Measured]:
    """All contenders at one shape, in turn."""
    # The allocator is the CPU's affair, and on a CPU compiling pays nothing (docs/benchmarks.md).
    left_out = "+malloc" if device == "cuda" else "+compile"
    found = {contender: Measured() for contender in CONTENDERS if not contender.endswith(left_out)}
    for number in range(rounds):
        for contender, measured in found.items():
            command = [sys.executable, __file__, "--shape", name, "--device", device, "--child", contender]
            done = subprocess.run(command, stdout=subprocess.PIPE, text=True, check=True)
            told = json.loads(done.stdout.splitlines()[-1])
            measured.seconds += told["seconds"]
            measured.matmul_rates += told["matmul_rates"]
            print(f"{name}, round {number + 1} of {rounds}: {contender}", file=sys.stderr)
    return found


def rows_of(name: str, found: dict[str, Measured]) -> list[dict[str, object]]:
    shape = SHAPES[name]
    ours = max((m for who, m in found.items() if who.startswith("ours")), key=lambda m: m.tokens_per_second(shape))
    peers = {"as it comes": ["sdpa", "eager"], "with our allocator setting": ["sdpa+malloc", "eager+malloc"]}
    rows = []
    for how, names in peers.items():
        rates = [found[who].tokens_per_second(shape) for who in names if who in found]
        if rates:
            rows.append(
                {
                    "name": f"pretraining step, {name}, s{LENGTH}, batch {shape.batch}, peer {how}",
                    "peer": round(max(rates)),
                    "ours": round(ours.tokens_per_second(shape)),
                    "unit": "tokens/s",
                    "ratio": round(ours.tokens_per_second(shape) / max(rates), 2),
                    "share_of_matmul_rate": round(ours.share(shape), 3),
                }
            )
    return rows


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--shape", choices=SHAPES, nargs="+", default=["mini"])
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--device", choices=["cpu", "cuda"], default="cpu")
    parser.add_argument("--json", action="store_true")
    parser.add_argument("--child", choices=CONTENDERS, help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.child:
        child(SHAPES[arguments.shape[0]], arguments.child, torch.device(arguments.device))
        return
    where = (
        torch.cuda.get_device_name()
        if arguments.device == "cuda"
        else f"{platform.machine()}, {torch.get_num_threads()} threads"
    )
    machine = f"{where}, torch {torch.__version__}"
    rows = []
    if not arguments.json:
        print(machine)
    for name in arguments.shape:
        found, shape = measure(name, arguments.device, arguments.rounds), SHAPES[name]
        rows += rows_of(name, found)
        if arguments.json:
            continue
        for contender, measured in found.items():
            spread = f"{min(measured.seconds) * 1e3:.0f}-{max(measured.seconds) * 1e3:.0f} ms a step"
            rate = f"{statistics.median(measured.matmul_rates) / 1e12:.3g} TFLOP/s"
            print(
                f"{measured.tokens_per_second(shape):>9,.0f} tokens/s  {measured.share(shape):>4.0%} of {rate}  "
                f"{CONTENDERS[contender]} ({spread})"
            )
        for row in rows_of(name, found):
            print(f"{row['ratio']:>8.2f}x  {row['name']}")
    if arguments.json:
        print(json.dumps({"machine": machine, "rows": rows}, indent=2))


if __name__ == "__main__":
    main()
