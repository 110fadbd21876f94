"""A corpus and a model on the Hugging Face hub: what its client asks for, answered by a server on loopback."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
import threading
from collections.abc import Iterator, Mapping
from hashlib import sha256
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest
import torch

from bertwright.checkpoints.model_directory import read_model, write_model
from bertwright.checkpoints.names import to_theirs
from bertwright.heads.model import PRETRAINING
from bertwright.interchange.convert import convert
from bertwright.progress import Silent
from tests.made_text import write_corpus
from tests.unit.checkpoints.small import TOKENIZER, small_model

REPOSITORY = "someone/corpus"


class _Hub(BaseHTTPRequestHandler):
    """The few answers of the hub that reading the files of a dataset or a model takes."""

    files: dict[str, bytes]
    protocol_version = "HTTP/1.1"

    def do_GET(self) -> None:
        path = self.path.partition("?")[0]
        if re.fullmatch(rf"/api/(datasets|models)/{REPOSITORY}(/revision/\w+)?", path):
            self._json({"id": REPOSITORY, "sha": "0" * 40, "siblings": [{"rfilename": name} for name in self.files]})
        elif re.match(rf"/api/(datasets|models)/{REPOSITORY}/tree/", path):
            self._json([self._entry(name) for name in self.files])
        elif found := re.match(rf"(/datasets)?/{REPOSITORY}/resolve/\w+/(.*)", path):
            self._file(found[2])
        else:
            self._json({"error": "not found"}, 404, {"X-Error-Code": "RepoNotFound"})

    do_HEAD = do_GET  # noqa: N815  # the name that http.server looks for

    def do_POST(self) -> None:
        asked = self.rfile.read(int(self.headers["Content-Length"])).decode()
        self._json([self._entry(name) for name in self.files if name in asked])

    def _entry(self, name: str) -> dict[str, Any]:
        return {"type": "file", "path": name, "size": len(self.files[name]), "oid": "1" * 40}

    def _file(self, name: str) -> None:
        if name not in self.files:
            self._json({"error": "not found"}, 404)
            return
        content, wanted = self.files[name], re.fullmatch(r"bytes=(\d+)-(\d*)", self.headers.get("Range", ""))
        first = int(wanted[1]) if wanted else 0
        last = int(wanted[2]) if wanted and wanted[2] else len(content) - 1
        self._answer(content[first : last + 1], 206 if wanted else 200, "application/octet-stream")

    def _json(self, values: object, status: int = 200, more: Mapping[str, str] | None = None) -> None:
        self._answer(json.dumps(values).encode(), status, "application/json", more)

    def _answer(self, content: bytes, status: int, kind: str, more: Mapping[str, str] | None = None) -> None:
        self.send_response(status)
        headers = {
            "Content-Type": kind,
            "Content-Length": str(len(content)),
            "ETag": f'"{sha256(content).hexdigest()}"',
            "X-Repo-Commit": "0" * 40,
        }
        for name, value in (headers | dict(more or {})).items():
            self.send_header(name, value)
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(content)

    def log_message(self, *_: object) -> None:
        """Say nothing."""


@pytest.fixture
def hub(tmp_path: Path) -> Iterator[tuple[dict[str, bytes], dict[str, str]]]:
    """The files of the hub's only dataset, and the environment by which a client finds it."""
    files: dict[str, bytes] = {}
    server = ThreadingHTTPServer(("127.0.0.1", 0), type("Hub", (_Hub,), {"files": files}))
    threading.Thread(target=server.serve_forever, daemon=True).start()
    try:
        endpoint = f"http://127.0.0.1:{server.server_port}"
        yield files, os.environ | {"HF_ENDPOINT": endpoint, "HF_HOME": str(tmp_path / "home"), "HF_HUB_OFFLINE": "0"}
    finally:
        server.shutdown()
        server.server_close()


def run(*arguments: str, environment: dict[str, str]) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "bertwright", *arguments]
    return subprocess.run(command, capture_output=True, text=True, env=environment, check=False, timeout=120)


def test_a_dataset_on_the_hub_is_a_corpus(tmp_path: Path, hub: tuple[dict[str, bytes], dict[str, str]]) -> None:
    files, environment = hub
    local = write_corpus(tmp_path / "a.jsonl", 30)
    files["a.jsonl"] = local.read_bytes()
    files["README.md"] = b"# A dataset"
    vocabularies = []
    for name, corpus in (("disk", str(local)), ("hub", f"hf://datasets/{REPOSITORY}/*.jsonl")):
        done = run("vocab", corpus, "--size", "120", "--out", str(tmp_path / name), environment=environment)
        assert done.returncode == 0, done.stderr
        vocabularies.append((tmp_path / name / "vocab.txt").read_bytes())
    assert vocabularies[0] == vocabularies[1]


def test_what_the_hub_does_not_have_is_told(tmp_path: Path, hub: tuple[dict[str, bytes], dict[str, str]]) -> None:
    _, environment = hub
    for address in (f"hf://datasets/{REPOSITORY}/none.jsonl", "hf://datasets/someone/else/a.jsonl"):
        done = run("vocab", address, "--size", "120", "--out", str(tmp_path / "no"), environment=environment)
        assert done.returncode == 2, done.stderr
        assert done.stderr.count("\n") == 1
        assert address in done.stderr
        assert "Traceback" not in done.stderr


def put_model(files: dict[str, bytes], directory: Path, *, old: bool = False) -> None:
    """The files of a small model, and others that nobody needs; `old`: the weights as .bin."""
    write_model(directory, small_model(PRETRAINING), TOKENIZER)
    files |= {path.name: path.read_bytes() for path in directory.iterdir()}
    del files["bertwright.json"]
    files |= {"tf_model.h5": b"large", "onnx/model.onnx": b"large"}
    if old:
        del files["model.safetensors"]
        torch.save(to_theirs(dict(small_model(PRETRAINING).named_parameters())), directory / "pytorch_model.bin")
        files["pytorch_model.bin"] = (directory / "pytorch_model.bin").read_bytes()


@pytest.mark.parametrize("old", [False, True])
def test_a_model_of_the_hub_is_named_as_there(
    tmp_path: Path, hub: tuple[dict[str, bytes], dict[str, str]], old: bool
) -> None:
    files, environment = hub
    put_model(files, tmp_path, old=old)
    done = run("convert", REPOSITORY, str(tmp_path / "copy"), environment=environment)
    assert done.returncode == 0, done.stderr
    assert_same_weights(tmp_path / "copy")
    fetched = {path.name for path in (tmp_path / "home").rglob("*")}
    assert fetched >= {"config.json", "vocab.txt"}
    assert fetched & {"tf_model.h5", "model.onnx", "README.md"} == set()
    done = run("tokenize", REPOSITORY, "--json", environment=environment)
    assert done.returncode == 0, done.stderr

    (origin,) = json.loads((tmp_path / "copy/bertwright.json").read_text())["lineage"]
    assert (origin["form"], origin["source"], origin["revision"]) == ("hf", REPOSITORY, "0" * 40)

    # What was fetched is used without a connection too.
    for offline in ({"HF_HUB_OFFLINE": "1"}, {"HF_ENDPOINT": "http://127.0.0.1:9"}):
        done = run("inspect", REPOSITORY, environment=environment | offline)
        assert done.returncode == 0, done.stderr


def test_a_sentence_encoder_of_the_hub_is_known_as_one(
    tmp_path: Path, hub: tuple[dict[str, bytes], dict[str, str]]
) -> None:
    files, environment = hub
    put_model({}, tmp_path)
    local = tmp_path / "sentences"
    convert(tmp_path, local, "sentence-transformers", progress=Silent())
    (local / "bertwright.json").unlink()
    files |= {str(path.relative_to(local)): path.read_bytes() for path in local.rglob("*") if path.is_file()}
    done = run("convert", REPOSITORY, str(tmp_path / "copy"), environment=environment)
    assert done.returncode == 0, done.stderr
    record = json.loads((tmp_path / "copy/bertwright.json").read_text())
    assert (record["task"], record["pooling"]) == ("embed", "mean")
    assert record["lineage"][0]["form"] == "sentence-transformers"


def test_a_model_that_the_hub_does_not_have(tmp_path: Path, hub: tuple[dict[str, bytes], dict[str, str]]) -> None:
    _, environment = hub
    for name, more, told in (
        ("someone/else", {}, "someone/else: no such directory, and no such model on the hub"),
        (
            "someone/else",
            {"HF_HUB_OFFLINE": "1"},
            "someone/else: no such directory; the hub cannot be reached, ",
        ),
        (f"{tmp_path}/else", {}, f"{tmp_path}/else: no such preset, recipe or directory"),
        ("tests/else", {}, "tests/else: no such preset, recipe or directory"),
    ):
        done = run("inspect", name, environment=environment | more)
        assert done.returncode == 2, done.stderr
        assert done.stderr.count("\n") == 1
        assert done.stderr.startswith(f"bertwright: {told}")


def assert_same_weights(copy: Path) -> None:
    ours, theirs = (dict(model.named_parameters()) for model in (small_model(PRETRAINING), read_model(copy).model))
    assert all(torch.equal(ours[name], theirs[name]) for name in ours)
