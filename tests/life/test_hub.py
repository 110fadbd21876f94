"""A corpus on the Hugging Face hub: what its client asks for, answered by a server on loopback."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest

from tests.made_text import write_corpus

REPOSITORY = "someone/corpus"


class _Hub(BaseHTTPRequestHandler):
    """The few answers of the hub that reading a dataset's files takes."""

    files: dict[str, bytes]
    protocol_version = "HTTP/1.1"

    def do_GET(self) -> None:
        path = self.path.partition("?")[0]
        if re.fullmatch(rf"/api/datasets/{REPOSITORY}(/revision/\w+)?", path):
            self._json({"id": REPOSITORY, "sha": "0" * 40, "siblings": [{"rfilename": name} for name in self.files]})
        elif path.startswith(f"/api/datasets/{REPOSITORY}/tree/"):
            self._json([self._entry(name) for name in self.files])
        elif path.startswith(f"/datasets/{REPOSITORY}/resolve/"):
            self._file(path.rsplit("/", 1)[1])
        else:
            self._json({"error": "not found"}, 404)

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

    def _json(self, values: object, status: int = 200) -> None:
        self._answer(json.dumps(values).encode(), status, "application/json")

    def _answer(self, content: bytes, status: int, kind: str) -> None:
        self.send_response(status)
        headers = {"Content-Type": kind, "Content-Length": str(len(content)), "ETag": '"1"', "X-Repo-Commit": "0" * 40}
        for name, value in headers.items():
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
