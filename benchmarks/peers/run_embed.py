"""One library, raw texts in, vectors of length 1 out: the seconds that it takes, and the vectors.

Run by benchmarks/inference.py, which describes it. A library with a choice of batches or streams tries each on some of
the texts first, and takes the fastest: its best setting is part of what it prints.
"""

from __future__ import annotations

import argparse
import json
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from importlib import import_module
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

Vectors = NDArray[np.float32]
Embed = Callable[[Sequence[str]], Vectors]
_BATCHES = (8, 16, 32, 64)
# Texts that settings are tried on.
_TRIED = 96


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("who", choices=sorted(LIBRARIES))
    parser.add_argument("--precision", choices=["fp32", "bf16", "int8"], default="fp32")
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--engine", default="auto", help="of bertwright")
    parser.add_argument("--model", type=Path, required=True)
    parser.add_argument("--texts", type=Path, required=True, help="JSON list")
    parser.add_argument("--calibration", type=Path, help="JSON list of texts, for int8")
    parser.add_argument("--out", type=Path, required=True, help="vectors, .npy")
    parser.add_argument("--passes", type=int, default=2)
    arguments = parser.parse_args()
    texts = json.loads(arguments.texts.read_text())
    choices = LIBRARIES[arguments.who](arguments)
    some = texts[:_TRIED]
    tried = {}
    for name, embed in choices.items():
        embed(some[:32])
        tried[name] = seconds_of(partial(embed, some))
    setting = min(tried, key=lambda name: tried[name])
    embed = choices[setting]
    seconds = []
    vectors = np.zeros(0, np.float32)
    for _ in range(arguments.passes):
        begun = time.perf_counter()
        vectors = embed(texts)
        seconds.append(time.perf_counter() - begun)
    np.save(arguments.out, vectors)
    print(json.dumps({"seconds": seconds, "setting": setting}))


def seconds_of(work: Callable[[], object]) -> float:
    """Of one run."""
    begun = time.perf_counter()
    work()
    return time.perf_counter() - begun


def sorted_batches(texts: Sequence[str], size: int) -> list[list[int]]:
    """Places of texts of like length, the longest first."""
    order = sorted(range(len(texts)), key=lambda place: -len(texts[place]))
    return [order[start : start + size] for start in range(0, len(order), size)]


def pooled(hidden: NDArray[Any], mask: NDArray[Any]) -> Vectors:
    """The mean over the tokens, of length 1. hidden: (batch, length, hidden). mask: (batch, length)."""
    weights = mask[:, :, None].astype(np.float32)
    mean = (hidden * weights).sum(1) / weights.sum(1)
    return (mean / np.linalg.norm(mean, axis=1, keepdims=True)).astype(np.float32)


def in_batches(texts: Sequence[str], *, size: int, run: Callable[[list[str]], Vectors]) -> Vectors:
    """The vectors of all texts, read in sorted batches."""
    found: list[Any] = [None] * len(texts)
    for places in sorted_batches(texts, size):
        for place, vector in zip(places, run([texts[place] for place in places]), strict=True):
            found[place] = vector
    return np.stack(found)


def tokenizer_of(arguments: argparse.Namespace) -> Callable[..., Any]:
    """Transformers' fast one."""
    from transformers import AutoTokenizer

    tokenizer = AutoTokenizer.from_pretrained(arguments.model)
    return lambda texts, **more: tokenizer(texts, padding=True, truncation=True, max_length=512, **more)


def bertwright(arguments: argparse.Namespace) -> dict[str, Embed]:
    """Ours."""
    from bertwright import load

    predictor = load(arguments.model, device=arguments.device, engine=arguments.engine, lasting=True)
    return {predictor.runner.engine_told: lambda texts: predictor.embed(texts, normalize=True)}


def transformers(arguments: argparse.Namespace) -> dict[str, Embed]:
    """BertModel, as it chooses its attention."""
    import torch
    from transformers import AutoModel

    dtype = torch.bfloat16 if arguments.precision == "bf16" else torch.float32
    model = AutoModel.from_pretrained(arguments.model, dtype=dtype).to(arguments.device).eval()
    tokenizer = tokenizer_of(arguments)

    def run(texts: list[str]) -> Vectors:
        batch = tokenizer(texts, return_tensors="pt").to(arguments.device)
        with torch.inference_mode():
            hidden = model(**batch).last_hidden_state.float()
            weights = batch["attention_mask"][:, :, None].float()
            mean = (hidden * weights).sum(1) / weights.sum(1)
            vectors: Vectors = torch.nn.functional.normalize(mean).cpu().numpy()
            return vectors

    return {f"batches of {size}": partial(in_batches, size=size, run=run) for size in _BATCHES}


def sentence_transformers(arguments: argparse.Namespace) -> dict[str, Embed]:
    """Its `encode`, which sorts by itself."""
    import torch
    from sentence_transformers import SentenceTransformer

    dtype = torch.bfloat16 if arguments.precision == "bf16" else torch.float32
    model = SentenceTransformer(str(arguments.model), device=arguments.device, model_kwargs={"dtype": dtype})

    def embed(texts: Sequence[str], *, size: int) -> Vectors:
        found = model.encode(list(texts), batch_size=size, normalize_embeddings=True, convert_to_tensor=True)
        return found.float().cpu().numpy()

    return {f"batches of {size}": partial(embed, size=size) for size in _BATCHES}


def onnxruntime(arguments: argparse.Namespace) -> dict[str, Embed]:
    """A graph with its own operators for BERT; int8 by its dynamic quantisation."""
    import onnxruntime as runtime
    import torch

    folder = arguments.out.parent
    graph = folder / "onnxruntime" / "model.onnx"
    if arguments.precision == "int8":
        from onnxruntime.quantization import QuantType, quantize_dynamic

        smaller = folder / "onnxruntime-int8.onnx"
        quantize_dynamic(graph, smaller, weight_type=QuantType.QInt8, per_channel=True)
        graph = smaller
    options = runtime.SessionOptions()
    options.intra_op_num_threads = torch.get_num_threads()
    session = runtime.InferenceSession(str(graph), options, providers=["CPUExecutionProvider"])
    tokenizer = tokenizer_of(arguments)

    def run(texts: list[str]) -> Vectors:
        batch = tokenizer(texts, return_tensors="np")
        wanted = {each.name: batch[each.name].astype(np.int64) for each in session.get_inputs()}
        return pooled(session.run(["last_hidden_state"], wanted)[0], batch["attention_mask"])

    return {f"batches of {size}": partial(in_batches, size=size, run=run) for size in _BATCHES}


def ctranslate2(arguments: argparse.Namespace) -> dict[str, Embed]:
    """Its encoder, with threads for one batch or several batches at a time."""
    import torch

    library = import_module("ctranslate2")

    folder = arguments.out.parent / "ctranslate2"
    if not folder.exists():
        library.converters.TransformersConverter(str(arguments.model)).convert(str(folder))
    tokenizer = tokenizer_of(arguments)
    threads = torch.get_num_threads()
    kind = {"fp32": "float32", "bf16": "bfloat16", "int8": "int8"}[arguments.precision]

    def embed(texts: Sequence[str], *, encoder: Any, size: int) -> Vectors:
        batches = sorted_batches(texts, size)
        read = [tokenizer([texts[place] for place in places], return_tensors="np") for places in batches]
        # A call for each batch from threads of ours: as many at a time as it reads at a time.
        with ThreadPoolExecutor(len(batches)) as pool:
            said = list(pool.map(lambda batch: forward(encoder, batch), read))
        found: list[Any] = [None] * len(texts)
        for places, vectors in zip(batches, said, strict=True):
            for place, vector in zip(places, vectors, strict=True):
                found[place] = vector
        return np.stack(found)

    def forward(encoder: Any, batch: Any) -> Vectors:
        rows = [row[mask == 1].tolist() for row, mask in zip(batch["input_ids"], batch["attention_mask"], strict=True)]
        said = encoder.forward_batch(rows).last_hidden_state
        return pooled(np.array(said.to(library.DataType.float32)), batch["attention_mask"])

    choices: dict[str, Embed] = {}
    for inter, intra in ((1, threads), (threads, 1)):
        encoder = library.Encoder(
            str(folder), device="cpu", compute_type=kind, inter_threads=inter, intra_threads=intra
        )
        for size in _BATCHES:
            choices[f"{inter} x {intra} threads, batches of {size}"] = partial(embed, encoder=encoder, size=size)
    return choices


def openvino(arguments: argparse.Namespace) -> dict[str, Embed]:
    """Transformers' model as its graph, int8 by nncf, batches side by side in its queue."""
    import openvino as library
    import torch
    from transformers import AutoModel

    tokenizer = tokenizer_of(arguments)
    model = AutoModel.from_pretrained(arguments.model, attn_implementation="sdpa").eval()
    example = dict(tokenizer(["a b", "c"], return_tensors="pt"))
    graph = library.convert_model(model, example_input=example)
    if arguments.precision == "int8":
        nncf = import_module("nncf")
        texts = json.loads(arguments.calibration.read_text())
        rows = [dict(tokenizer([text], return_tensors="np")) for text in texts]
        graph = nncf.quantize(graph, nncf.Dataset(rows), model_type=nncf.ModelType.TRANSFORMER, subset_size=len(rows))
    hint = "bf16" if arguments.precision == "bf16" else "f32"

    def embed(texts: Sequence[str], *, compiled: Any, streams: int, size: int) -> Vectors:
        found: list[Any] = [None] * len(texts)

        def done(request: Any, about: tuple[list[int], Any]) -> None:
            places, mask = about
            for place, vector in zip(places, pooled(request.get_output_tensor(0).data, mask), strict=True):
                found[place] = vector

        queue = library.AsyncInferQueue(compiled, streams)
        queue.set_callback(done)
        for places in sorted_batches(texts, size):
            batch = tokenizer([texts[place] for place in places], return_tensors="np")
            queue.start_async(dict(batch), (places, batch["attention_mask"]))
        queue.wait_all()
        return np.stack(found)

    choices: dict[str, Embed] = {}
    for streams in sorted({1, torch.get_num_threads()}):
        wishes = {"INFERENCE_PRECISION_HINT": hint, "NUM_STREAMS": streams}
        compiled = library.Core().compile_model(graph, "CPU", wishes)
        for size in _BATCHES:
            name = f"{streams} streams, batches of {size}"
            choices[name] = partial(embed, compiled=compiled, streams=streams, size=size)
    return choices


LIBRARIES: dict[str, Callable[[argparse.Namespace], dict[str, Embed]]] = {
    "bertwright": bertwright,
    "transformers": transformers,
    "sentence-transformers": sentence_transformers,
    "onnxruntime": onnxruntime,
    "ctranslate2": ctranslate2,
    "openvino": openvino,
}

if __name__ == "__main__":
    main()
