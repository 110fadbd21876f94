"""The server as a process: clients that go away, floods, signals, hostile requests."""

from __future__ import annotations

import json
import shutil
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path

import httpx
import numpy as np
import pytest

import bertwright
from bertwright.checkpoints.model_directory import write_model
from bertwright.encoder.config import EncoderConfig
from bertwright.heads.model import Parts
from tests.unit.checkpoints.small import TOKENIZER, small_model

LONG = "i like dog playing " * 20
# Slow enough that a request can be met on its way.
SLOW = EncoderConfig(
    num_hidden_layers=8,
    hidden_size=256,
    num_attention_heads=4,
    intermediate_size=1024,
    vocab_size=10,
    max_position_embeddings=128,
)


@pytest.fixture(scope="module")
def slow(tmp_path_factory: pytest.TempPathFactory) -> Path:
    home = tmp_path_factory.mktemp("slow") / "slow"
    home.mkdir()
    write_model(home, small_model(Parts(pooler=False), config=SLOW), TOKENIZER)
    return home


class Process:
    """A server that listens; its log is read as it comes."""

    def __init__(self, models: list[str], settings: list[str]) -> None:
        options = [part for setting in settings for part in ("--set", setting)]
        command = [sys.executable, "-m", "bertwright", "serve", *models, "--port", "0", "--engine", "torch", *options]
        self.process = subprocess.Popen(command, stderr=subprocess.PIPE, text=True)
        self.lines: list[dict[str, object]] = []
        self._ready = threading.Event()
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()
        assert self._ready.wait(120), "it never said that it serves"

    def _read(self) -> None:
        assert self.process.stderr is not None
        for line in self.process.stderr:
            self.lines.append(json.loads(line))
            message = str(self.lines[-1].get("message", ""))
            if " at http://" in message:
                self.address = message.rpartition(" ")[2]
                self._ready.set()

    def end(self) -> None:
        self.process.kill()
        self.process.wait()
        self._reader.join()
        assert self.process.stderr is not None
        self.process.stderr.close()

    def said(self, part: str) -> bool:
        return any(part in json.dumps(line) for line in self.lines)


@contextmanager
def serving(*models: str, settings: tuple[str, ...] = ()) -> Iterator[Process]:
    server = Process(list(models), list(settings))
    try:
        yield server
    finally:
        server.end()


def waiting(server: Process) -> float:
    text = httpx.get(f"{server.address}/metrics").text
    return float(next(line for line in text.splitlines() if line.startswith("bertwright_waiting_tokens{")).split()[-1])


def until(holds: object, what: str) -> None:
    assert callable(holds)
    for _ in range(600):
        if holds():
            return
        time.sleep(0.05)
    raise AssertionError(what)


def test_who_sends_half_a_body_is_told_so(slow: Path) -> None:
    with serving(str(slow), settings=("timeout_seconds=1",)) as server:
        host, _, port = server.address.removeprefix("http://").rpartition(":")
        with socket.create_connection((host, int(port)), timeout=60) as connection:
            head = b"POST /embed HTTP/1.1\r\nhost: x\r\ncontent-type: application/json\r\ncontent-length: 100\r\n\r\n"
            connection.sendall(head + b'{"inputs"')
            told = b""
            while part := connection.recv(4096):
                told += part
                if b"}" in told:
                    break
        assert told.startswith(b"HTTP/1.1 408 ")
        assert b"the body did not come in 1 seconds" in told


def test_who_goes_away_frees_the_place(slow: Path) -> None:
    with serving(str(slow), settings=("max_texts=2000", "max_tokens=1000000", "max_waiting_tokens=10000000")) as server:
        body = json.dumps({"inputs": [LONG] * 2000}).encode()
        host, _, port = server.address.removeprefix("http://").rpartition(":")
        with socket.create_connection((host, int(port))) as connection:
            head = b"POST /embed HTTP/1.1\r\nhost: x\r\ncontent-type: application/json\r\ncontent-length: %d\r\n\r\n"
            connection.sendall(head % len(body) + body)
            until(lambda: waiting(server) > 50_000, "the request is waiting")
        until(lambda: waiting(server) == 0, "its place is free")
        until(lambda: server.said('"status": 499'), "it is in the log")
        assert httpx.post(f"{server.address}/embed", json={"inputs": "dog"}, timeout=60).status_code == 200


def test_a_flood_is_told_to_come_again_and_nothing_is_answered_wrongly(slow: Path) -> None:
    texts = [("i like dog playing " * (1 + number % 25)).strip() for number in range(60)]
    wanted = bertwright.load(slow).embed(texts, normalize=True)
    with serving(str(slow), settings=("max_waiting_tokens=1000",)) as server:
        statuses: list[int] = []

        def ask(number: int) -> None:
            while True:
                answer = httpx.post(f"{server.address}/embed", json={"inputs": texts[number]}, timeout=120)
                statuses.append(answer.status_code)
                if answer.status_code == 200:
                    np.testing.assert_allclose(answer.json()[0], wanted[number], atol=1e-4)
                    return
                assert answer.status_code == 429
                assert 1 <= int(answer.headers["retry-after"]) <= 60
                time.sleep(0.2)

        with ThreadPoolExecutor(60) as pool:
            list(pool.map(ask, range(60)))
        assert statuses.count(200) == 60
        assert 429 in statuses, "a thousand tokens are less than sixty texts"
        assert waiting(server) == 0


@pytest.mark.skipif(sys.platform == "win32", reason="there is no SIGTERM to handle")
def test_told_to_stop_it_answers_what_it_has_taken(slow: Path) -> None:
    with serving(str(slow), settings=("max_texts=1000", "max_tokens=1000000")) as server, ThreadPoolExecutor(1) as pool:
        taken = pool.submit(httpx.post, f"{server.address}/embed", json={"inputs": [LONG] * 150}, timeout=120)
        until(lambda: waiting(server) > 0, "the request is waiting")
        server.process.send_signal(signal.SIGTERM)
        assert len(taken.result(120).json()) == 150
        assert server.process.wait(60) == 0


@pytest.mark.skipif(sys.platform == "win32", reason="there is no SIGHUP")
def test_a_model_is_swapped_without_dropping_a_request(slow: Path, tmp_path: Path) -> None:
    place = tmp_path / "m"
    shutil.copytree(slow, place)
    old = bertwright.load(slow).embed([LONG], normalize=True)[0]
    (other := tmp_path / "other").mkdir()
    write_model(other, small_model(Parts(pooler=False), config=SLOW, seed=7), TOKENIZER)
    new = bertwright.load(other).embed([LONG], normalize=True)[0]
    with serving(str(place)) as server:
        found: list[bool] = []
        stop = threading.Event()

        def ask() -> None:
            with httpx.Client(timeout=60) as client:
                while not stop.is_set():
                    answer = client.post(f"{server.address}/embed", json={"inputs": LONG})
                    assert answer.status_code == 200, answer.text
                    vector = np.array(answer.json()[0])
                    is_new = np.allclose(vector, new, atol=1e-4)
                    assert is_new or np.allclose(vector, old, atol=1e-4)
                    found.append(is_new)

        with ThreadPoolExecutor(4) as pool:
            asking = [pool.submit(ask) for _ in range(4)]
            until(lambda: len(found) > 8, "it answers")
            for file in other.iterdir():
                shutil.copy(file, place / file.name)
            server.process.send_signal(signal.SIGHUP)
            until(lambda: server.said("read again from"), "it tells of the new one")
            seen = len(found)
            until(lambda: len(found) > seen + 8, "it goes on")
            # Broken now: the one that is there stays.
            (place / "model.safetensors").write_bytes(b"broken")
            server.process.send_signal(signal.SIGHUP)
            until(lambda: server.said("still the one that was there"), "it tells that it stays")
            stop.set()
            for each in asking:
                each.result(60)
        assert not found[0]
        assert found[-1]


def test_what_is_no_http_and_what_never_ends(slow: Path) -> None:
    with serving(str(slow), settings=("max_body_bytes=2000",)) as server:
        host, _, port = server.address.removeprefix("http://").rpartition(":")
        with socket.create_connection((host, int(port))) as connection:
            connection.sendall(b"\x16\x03\x01 nonsense\r\n\r\n")
            assert b" 400 " in connection.recv(1000)
        # Without a length, in parts that go on.
        with socket.create_connection((host, int(port))) as connection:
            connection.sendall(b"POST /embed HTTP/1.1\r\nhost: x\r\ncontent-type: application/json\r\n")
            connection.sendall(b"transfer-encoding: chunked\r\n\r\n")
            for _ in range(5):
                connection.sendall(b"258\r\n" + b"x" * 600 + b"\r\n")
            assert b" 413 " in connection.recv(1000)
        half = socket.create_connection((host, int(port)))
        half.sendall(b"POST /embed HTTP/1.1\r\nhost: x\r\ncontent-length: 100\r\n\r\n{")
        half.close()
        assert httpx.get(f"{server.address}/health").status_code == 200
        assert not server.said("defect")


def test_a_port_that_is_taken_and_models_that_are_none(slow: Path, tmp_path: Path) -> None:
    def run(*arguments: str) -> tuple[int, str]:
        done = subprocess.run(
            [sys.executable, "-m", "bertwright", "serve", *arguments],
            capture_output=True,
            text=True,
            timeout=120,
            check=False,
        )
        return done.returncode, done.stderr.splitlines()[-1]

    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        code, told = run(str(slow), "--port", str(port))
    assert (code, told) == (1, f"bertwright: cannot listen at 127.0.0.1:{port}; is another server there?")
    code, told = run(str(tmp_path))
    assert code == 2
    assert told.startswith(f"bertwright: {tmp_path}: holds no config.json, so it is no model directory; ")
    assert run(str(slow), f"slow={slow}")[1].endswith("two models would be called 'slow'; name one, as in other=DIR")
    (tmp_path / "keys").write_text("# none\n")
    assert run(str(slow), "--api-keys", str(tmp_path / "keys"))[1].endswith("keys: holds no key; write one a line")
