"""Pretraining steps of transformers and of bertwright, in turn, on the same batches.

    python benchmarks/pretrain.py                    L4 H256, vocabulary 30,522, 128 tokens, batch 32
    python benchmarks/pretrain.py --shape base       L12 H768
    python benchmarks/pretrain.py --device cuda --shape gpu-base
    python benchmarks/pretrain.py --json

Peer: transformers' BertForPreTraining with bf16 autocast, fused AdamW and clipping, in its own best attention, once as
it comes and once with the allocator setting that bertwright makes for itself, so that both what a user meets and what
the model code alone is worth can be read. Every contender runs in a process of its own, in turn, for several rounds;
the figure is the median over all steps of all rounds, the ratio that of medians.
"""

from __future__ import annotations

import sys

if __name__ == "__main__":
    # Python puts this folder first, and would take the script tokenize.py for its own module of that name.
    sys.path.pop(0)

import argparse
import itertools
import json
import platform
import statistics
import subprocess
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass

import torch

from bertwright.batches.pretraining import PretrainingBatch
from bertwright.encoder.config import EncoderConfig
from bertwright.heads.model import PRETRAINING, Bert
from bertwright.tasks.pretrain import objective
from bertwright.training.compilation import compile_encoder
from bertwright.training.loop import Hooks, Report, Trainee, train
from bertwright.training.memory import keep_big_blocks
from bertwright.training.optimizers import build_optimizers
from bertwright.training.precision import choose_dtype
from bertwright.training.settings import TrainingSettings
from bertwright.training.signals import StopWish

LENGTH, WARMUP = 128, 3


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
    "ours+compile": "bertwright, training.compile = true",
    "sdpa": "transformers, sdpa attention, as it comes",
    "eager": "transformers, eager attention, as it comes",
    "sdpa+malloc": "transformers, sdpa attention, our allocator setting",
    "eager+malloc": "transformers, eager attention, our allocator setting",
}


def make_batch(shape: Shape) -> PretrainingBatch:
    """Full sequences of random ids in two segments, 19 hidden words each (15% of 128)."""
    generator = torch.Generator().manual_seed(0)
    ids = torch.randint(1000, shape.vocabulary, (shape.batch, LENGTH), generator=generator)
    positions = torch.stack(
        [torch.randperm(LENGTH - 2, generator=generator)[:19].sort().values + 1 for _ in range(shape.batch)]
    )
    labels = ids.gather(1, positions)
    segments = (torch.arange(LENGTH) >= LENGTH // 2).long().expand(shape.batch, -1)
    return PretrainingBatch(
        input_ids=ids.scatter(1, positions, 103),
        token_type_ids=segments.contiguous(),
        attention_mask=torch.ones_like(ids),
        first_positions=torch.zeros(shape.batch, 1, dtype=torch.long),
        masked_positions=positions,
        masked_labels=labels.flatten(),
        next_sentence_labels=torch.arange(shape.batch) % 2,
    )


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
        batches=iter([batch] * settings.steps),
        objective=objective,
        dtype=choose_dtype("auto", device),
        hooks=Hooks(report=report, evaluate=nothing, save=nothing),
        wish=StopWish(),
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
    batch = make_batch(shape)
    who, _, how = contender.partition("+")
    seconds = (
        time_ours(shape, batch, device, compiled=how == "compile")
        if who == "ours"
        else time_peer(shape, batch, device, who, malloc=how == "malloc")
    )
    print(json.dumps(seconds))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--shape", choices=SHAPES, default="mini")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--device", choices=["cpu", "cuda"], default="cpu")
    parser.add_argument("--json", action="store_true")
    parser.add_argument("--child", choices=CONTENDERS, help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    shape = SHAPES[arguments.shape]
    if arguments.child:
        child(shape, arguments.child, torch.device(arguments.device))
        return
    # The allocator is the CPU's affair, and on a CPU compiling pays nothing (docs/benchmarks.md).
    left_out = "+malloc" if arguments.device == "cuda" else "+compile"
    contenders = [name for name in CONTENDERS if not name.endswith(left_out)]
    seconds: dict[str, list[float]] = {name: [] for name in contenders}
    for number in range(arguments.rounds):
        for name in contenders:
            command = [sys.executable, __file__, "--shape", arguments.shape, "--device", arguments.device]
            command += ["--child", name]
            done = subprocess.run(command, stdout=subprocess.PIPE, text=True, check=True)
            seconds[name] += json.loads(done.stdout.splitlines()[-1])
            print(f"round {number + 1} of {arguments.rounds}: {name}", file=sys.stderr)
    rates = {name: shape.batch * LENGTH / statistics.median(values) for name, values in seconds.items()}
    ours = max(rate for name, rate in rates.items() if name.startswith("ours"))
    best = {"as it comes": max(rates["sdpa"], rates["eager"])}
    if arguments.device == "cpu":
        best["with our allocator setting"] = max(rates["sdpa+malloc"], rates["eager+malloc"])
    rows = [
        {
            "name": f"pretraining step, {arguments.shape}, s{LENGTH}, batch {shape.batch}, peer {how}",
            "peer": round(peer),
            "ours": round(ours),
            "unit": "tokens/s",
            "ratio": round(ours / peer, 2),
        }
        for how, peer in best.items()
    ]
    where = (
        torch.cuda.get_device_name()
        if arguments.device == "cuda"
        else f"{platform.machine()}, {torch.get_num_threads()} threads"
    )
    machine = f"{where}, torch {torch.__version__}"
    if arguments.json:
        print(json.dumps({"machine": machine, "shape": asdict(shape), "rows": rows}, indent=2))
        return
    print(machine)
    for name in contenders:
        what, values = CONTENDERS[name], seconds[name]
        spread = f"{min(values) * 1e3:.0f}-{max(values) * 1e3:.0f} ms a step"
        print(f"{rates[name]:>9,.0f} tokens/s   {what} ({spread})")
    for row in rows:
        print(f"{row['ratio']:>8.2f}x  {row['name']}")


if __name__ == "__main__":
    main()
