"""A corpus in an object store: a real S3 protocol, spoken with a server on loopback."""

from __future__ import annotations

import gzip
from collections.abc import Iterator
from pathlib import Path

import fsspec
import pytest
from moto.server import ThreadedMotoServer

from bertwright.cli.main import main
from tests.made_text import write_corpus


@pytest.fixture
def bucket(monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    """An empty bucket, and the environment by which any S3 client finds it."""
    server = ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
    server.start()
    try:
        host, port = server.get_host_and_port()
        for name, value in {
            "AWS_ENDPOINT_URL": f"http://{host}:{port}",
            "AWS_ACCESS_KEY_ID": "somebody",
            "AWS_SECRET_ACCESS_KEY": "secret",
            "AWS_DEFAULT_REGION": "us-east-1",
        }.items():
            monkeypatch.setenv(name, value)
        system = fsspec.filesystem("s3", skip_instance_cache=True)
        system.mkdir("corpora")
        yield "s3://corpora"
    finally:
        fsspec.filesystem("s3").clear_instance_cache()
        server.stop()


def content(directory: Path) -> dict[str, bytes]:
    return {str(path.relative_to(directory)): path.read_bytes() for path in directory.rglob("*") if path.is_file()}


@pytest.mark.filterwarnings("ignore::DeprecationWarning", "ignore::ResourceWarning")  # of the server and its client
def test_a_bucket_is_a_corpus_like_any_other(tmp_path: Path, bucket: str, capsys: pytest.CaptureFixture[str]) -> None:
    local = tmp_path / "local"
    write_corpus(local / "a.jsonl", 30)
    (local / "b.jsonl.gz").write_bytes(gzip.compress(write_corpus(tmp_path / "b.jsonl", 50).read_bytes()))
    system = fsspec.filesystem("s3")
    for path in local.iterdir():
        system.put(str(path), f"{bucket}/deep/{path.name}")

    for name, corpus in (("from-disk", str(local)), ("from-bucket", bucket)):
        vocab, shards = tmp_path / f"{name}-vocab", tmp_path / name
        assert main(["vocab", corpus, "--size", "120", "--out", str(vocab)]) == 0
        assert main(["prepare", corpus, "--vocab", str(vocab), "--out", str(shards)]) == 0
    assert content(tmp_path / "from-bucket") == content(tmp_path / "from-disk")

    arguments = ["--vocab", str(tmp_path / "from-disk-vocab"), "--out", str(tmp_path / "none")]
    assert main(["prepare", f"{bucket}/no/such.jsonl", *arguments]) == 2
    assert capsys.readouterr().err.splitlines()[-1] == (
        f"bertwright: {bucket}/no/such.jsonl: no such file, and no folder with files to read"
    )
    assert not (tmp_path / "none").exists()
