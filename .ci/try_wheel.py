"""Build the package, and try the wheel: alone and with each extra, in an environment that holds nothing else.

    python .ci/try_wheel.py             builds, then tries all; some two minutes each
    python .ci/try_wheel.py zh near     these extras alone

What is tried is what the extra is for, on text of a made-up language. `make wheels` calls it.
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
import tarfile
import tempfile
import time
import tomllib
import venv
import zipfile
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))

from tests.made_tasks import write_chinese  # noqa: E402  (the root is on the path only now)
from tests.made_text import write_corpus, write_rows  # noqa: E402

SMALL = " ".join(
    f"--set {setting}"
    for setting in (
        "training.steps=4",
        "model.hidden_size=32",
        "model.num_hidden_layers=1",
        "model.num_attention_heads=2",
        "model.intermediate_size=64",
    )
)
TAUGHT = "bertwright finetune model --task classify --train train.jsonl --dev dev.jsonl --set epochs=1 --out"
# A life of a minute; every extra is then tried on what it leaves.
ALONE = [
    "bertwright --version",
    "bertwright vocab corpus.jsonl --size 150 --out vocab",
    "bertwright prepare corpus.jsonl --vocab vocab --held-out 0.2 --out shards",
    f"bertwright pretrain quickstart --data shards --out model {SMALL}",
    "bertwright fill model 'The [MASK] of the sea sleeps at night.'",
    f"{TAUGHT} classifier",
    "bertwright evaluate classifier dev.jsonl",
    """echo '{"text": "The crab eats in winter."}' | bertwright predict classifier""",
    "bertwright convert model google --to google",
]
SERVED = """\
bertwright serve classifier --port 8765 & server=$!
for _ in $(seq 600); do kill -0 $server && curl -fsS localhost:8765/ready 2>/dev/null && break; sleep 0.2; done
curl -fsS localhost:8765/classify -H 'content-type: application/json' -d '{"texts": ["The crab eats in winter."]}'
kill $server; wait $server"""
# An extra without a line here fails the script: it is to be tried as well.
TRIED: dict[str, list[str]] = {
    # `report` needs nothing of the extra; the pictures of a fine-tuning do.
    "report": [
        "bertwright report model --out report.html",
        "test -s report.html",
        f"{TAUGHT} pictured",
        "test -s pictured/dev/confusion.png",
    ],
    "tensorboard": [f"{TAUGHT} again --tensorboard", "find again -name 'events.out*' | grep ."],
    "near": ["bertwright prepare corpus.jsonl --vocab vocab --dedupe near --out near"],
    "zh": [
        "bertwright vocab chinese --size 200 --out vocab-zh",
        "bertwright prepare chinese --vocab vocab-zh --language zh --segmenter jieba --out zh",
    ],
    "ray": ["bertwright prepare corpus.jsonl --vocab vocab --engine ray --out ray"],
    # Neither has anything to reach here: what is tried is that the address finds its library.
    "s3": ["python -c 'import fsspec; print(fsspec.filesystem(\"s3\", anon=True))'"],
    "hub": ["python -c 'import fsspec; print(fsspec.filesystem(\"hf\"))'"],
    "search": [f"{TAUGHT} searched --search 'learning_rate=[1e-4, 1e-3]' --trials 2"],
    "onnx": [
        "bertwright convert classifier onnx --to onnx",
        "bertwright evaluate onnx dev.jsonl",
        "bertwright convert classifier onnx-int8 --to onnx --fused --precision int8",
        "bertwright evaluate onnx-int8 dev.jsonl",
    ],
    "openvino": [
        "bertwright convert classifier openvino --to openvino",
        "bertwright convert classifier openvino-int8 --to openvino --precision int8 --calibrate dev.jsonl",
        "bertwright evaluate openvino-int8 dev.jsonl",
    ],
    "serve": [SERVED],
    "docs": ["mkdocs --version", "python -c 'import material, mkdocstrings'"],
    "dev": ["pytest --version", "mypy --version"],
}


def build() -> Path:
    """The sdist, and the wheel out of it, in dist/; returns the wheel. What must be in them is looked for."""
    dist = ROOT / "dist"
    for old in dist.glob("bertwright-*"):
        old.unlink()
    subprocess.run([sys.executable, "-m", "build", "--outdir", str(dist), str(ROOT)], check=True)
    (wheel,), (sdist,) = dist.glob("*.whl"), dist.glob("*.tar.gz")
    with zipfile.ZipFile(wheel) as packed:
        inside = set(packed.namelist())
    package = ROOT / "src"
    ours = {
        path.relative_to(package).as_posix()
        for path in package.rglob("*")
        if path.is_file() and "__pycache__" not in path.parts
    }
    assert ours <= inside, f"not in the wheel: {sorted(ours - inside)}"
    foreign = {name for name in inside - ours if ".dist-info/" not in name}
    assert not foreign, f"in the wheel, and not ours: {sorted(foreign)}"
    with tarfile.open(sdist) as packed:
        top = {name.split("/")[1] for name in packed.getnames() if "/" in name}
    wanted = {"src", "tests", "docs", ".ci", ".github", "LICENSE", "README.md", "CHANGELOG.md", "SECURITY.md"}
    wanted |= {"CITATION.cff", "pyproject.toml", "constraints.txt"}
    assert wanted <= top, f"not in the sdist: {wanted - top}"
    return wheel


def try_one(wheel: Path, extra: str | None, home: Path) -> None:
    """Install the wheel with an extra, check that its pins agree, and run what the extra is for in `home`.

    Raises CalledProcessError where anything ends otherwise than well.
    """
    with tempfile.TemporaryDirectory() as folder:
        place = Path(folder) / "env"
        venv.create(place, with_pip=True)
        environment = {name: value for name, value in os.environ.items() if not name.startswith("PYTHON")}
        environment |= {"PATH": f"{place / 'bin'}:{os.environ['PATH']}", "OMP_NUM_THREADS": "1"}
        wanted = f"bertwright[{extra}] @ {wheel.as_uri()}" if extra else str(wheel)
        pip = ["python", "-m", "pip", "--disable-pip-version-check"]
        for command in (
            [*pip, "install", "--quiet", wanted, "-c", str(ROOT / "constraints.txt")],
            [*pip, "check"],
            *(["bash", "-euo", "pipefail", "-c", line] for line in (TRIED[extra] if extra else ALONE)),
        ):
            subprocess.run(command, cwd=home, env=environment, check=True)


def main() -> None:
    extras = list(tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["optional-dependencies"])
    assert sorted(extras) == sorted(TRIED), f"extras and trials differ: {set(extras) ^ set(TRIED)}"
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("extras", nargs="*", metavar="EXTRA", help=", ".join(extras))
    arguments = parser.parse_args()
    if unknown := set(arguments.extras) - set(extras):
        parser.error(f"no such extra: {', '.join(sorted(unknown))}")
    wheel = build()
    told = []
    with tempfile.TemporaryDirectory() as folder:
        home = Path(folder)
        write_corpus(home / "corpus.jsonl")
        write_rows(home / "train.jsonl", 60, seed=1)
        write_rows(home / "dev.jsonl", 30, seed=2)
        write_chinese(home / "chinese", 40)
        for extra in [None, *(arguments.extras or extras)]:
            begun = time.monotonic()
            try_one(wheel, extra, home)
            told.append(f"{wheel.name}{f'[{extra}]' if extra else ''}: {time.monotonic() - begun:.0f} s")
            print(told[-1], flush=True)
    print("\n".join(["", "all of these install in an empty environment and do what they are for:", *told]))


if __name__ == "__main__":
    main()
