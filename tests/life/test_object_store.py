"""A corpus, and shards, in an object store: a real S3 protocol, spoken with a server on loopback."""

from __future__ import annotations

import gzip
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import fsspec
import pytest
from moto.server import ThreadedMotoServer

import bertwright.shards.store as under_test
from bertwright.cli.main import main
from bertwright.recipes.run import Run
from tests.made_text import write_corpus


@pytest.fixture
def server() -> Iterator[ThreadedMotoServer]:
    server = ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
    server.start()
    yield server
    server.stop()


@pytest.fixture
def bucket(server: ThreadedMotoServer, monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    """An empty bucket, and the environment by which any S3 client finds it."""
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
        # Servers of one process have their buckets in common.
        name = f"corpora-{port}"
        system.mkdir(name)
        yield f"s3://{name}"
    finally:
        fsspec.filesystem("s3").clear_instance_cache()


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


SMALL = [
    "bert-tiny",
    "--set", "model.num_hidden_layers=1",
    "--set", "model.hidden_size=32",
    "--set", "model.intermediate_size=32",
    "--set", "examples.max_length=48",
    "--set", "training.steps=50",
    "--set", "training.batch_size=16",
    "--set", "training.evaluate_every=25",
    "--set", "training.save_every=10",
    "--set", "training.precision=fp32",
]  # fmt: skip


@pytest.mark.filterwarnings("ignore::DeprecationWarning", "ignore::ResourceWarning")  # of the server and its client
def test_shards_in_a_bucket_give_the_weights_of_those_on_the_disk(
    tmp_path: Path,
    bucket: str,
    server: ThreadedMotoServer,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    corpus, vocab, shards = (str(tmp_path / name) for name in ("corpus.jsonl", "vocab", "shards"))
    write_corpus(Path(corpus), 200)
    assert main(["vocab", corpus, "--size", "120", "--out", vocab]) == 0
    assert main(["prepare", corpus, "--vocab", vocab, "--out", shards, "--tokens-per-shard", "600"]) == 0
    fsspec.filesystem("s3").put(shards, f"{bucket}/of/words", recursive=True)

    def pretrain(data: str, name: str, *more: str) -> int:
        return main(["pretrain", *SMALL, "--data", data, "--out", str(tmp_path / name), *more])

    assert pretrain(shards, "here") == 0
    weights = (tmp_path / "here" / "model.safetensors").read_bytes()
    cache = tmp_path / "cache"
    capsys.readouterr()
    assert pretrain(f"{bucket}/of/words", "there", "--cache-dir", str(cache), "--cache-size", "1kB") == 2
    told = capsys.readouterr().err.splitlines()[-1]
    found = re.fullmatch(
        r"bertwright: --cache-size: 1 kB do not hold the 16 shards that may be in use at a time; give (\S+) or more",
        told,
    )
    assert found, told
    assert not (tmp_path / "there").exists()
    cached = ("--cache-dir", str(cache), "--cache-size", found[1])
    assert pretrain(f"{bucket}/of/words", "there", *cached) == 0
    assert (tmp_path / "there" / "model.safetensors").read_bytes() == weights
    lying = sum(path.stat().st_size for path in cache.iterdir())
    assert 0 < lying < sum(path.stat().st_size for path in Path(shards).glob("*.npy")) / 1.5

    # The store goes away in the middle, and comes back.
    monkeypatch.setattr(under_test, "_WAITS", (0,))
    save = Run.save

    def last_save(run: Run, *given: Any, **more: Any) -> None:
        save(run, *given, **more)
        server.stop()

    with monkeypatch.context() as patched:
        patched.setattr(Run, "save", last_save)
        assert pretrain(f"{bucket}/of/words", "broken", *cached) == 1
    told = capsys.readouterr().err.splitlines()[-1]
    assert re.fullmatch(
        rf"bertwright: {bucket}/of/words/train-\d+\.\w+\.npy: the store does not answer: .*; "
        "start again when it does, a run that had begun with --resume",
        told,
    ), told
    assert not (tmp_path / "broken" / "model.safetensors").exists()
    again = ThreadedMotoServer(ip_address="127.0.0.1", port=server.get_host_and_port()[1], verbose=False)
    again.start()
    try:
        assert pretrain(f"{bucket}/of/words", "broken", *cached, "--resume") == 0
    finally:
        again.stop()
    assert (tmp_path / "broken" / "model.safetensors").read_bytes() == weights
