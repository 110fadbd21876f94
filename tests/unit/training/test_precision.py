from __future__ import annotations

from pathlib import Path

import pytest
import torch

from bertwright.training import precision
from bertwright.training.precision import choose_dtype, computes_bf16, computing_in
from bertwright.training.settings import PrecisionName
from tests.unit.training.tiny import batches, settings, trainee

CPU = torch.device("cpu")


@pytest.mark.parametrize(
    ("name", "able", "expected"),
    [
        ("auto", True, torch.bfloat16),
        ("auto", False, torch.float32),
        ("fp32", True, torch.float32),
        ("bf16", False, torch.bfloat16),
    ],
)
def test_the_choice(monkeypatch: pytest.MonkeyPatch, name: PrecisionName, able: bool, expected: torch.dtype) -> None:
    monkeypatch.setattr(precision, "computes_bf16", lambda _: able)
    assert choose_dtype(name, CPU) is expected


@pytest.mark.parametrize(
    ("machine", "line", "expected"),
    [
        ("x86_64", "flags : fpu avx512f avx512_bf16 amx_tile", True),
        ("x86_64", "flags : fpu avx512f amx_bf16", True),
        ("x86_64", "flags : fpu avx2 avx512f", False),
        ("x86_64", "flags : fpu bf16", False),
        ("aarch64", "Features : fp asimd bf16", True),
        ("aarch64", "Features : fp asimd", False),
        ("arm64", None, False),
    ],
)
def test_what_a_processor_says_of_itself(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, machine: str, line: str | None, expected: bool
) -> None:
    cpuinfo = tmp_path / "cpuinfo"
    if line is not None:
        cpuinfo.write_text(f"processor : 0\n{line}\n", encoding="utf-8")
    monkeypatch.setattr(precision, "Path", lambda _: cpuinfo)
    monkeypatch.setattr("platform.machine", lambda: machine)
    assert computes_bf16(CPU) is expected


def test_a_device_nobody_knows_of_computes_in_fp32() -> None:
    assert choose_dtype("auto", torch.device("meta")) is torch.float32


def test_products_compute_in_bf16_and_norms_and_the_residual_stream_stay_in_fp32() -> None:
    model = trainee(settings()).model.eval()
    batch = next(batches())
    seen: dict[str, torch.dtype] = {}

    def remember(name: str) -> None:
        model.get_submodule(name).register_forward_hook(lambda _, __, output: seen.update({name: output.dtype}))

    layer = "encoder.layers.0"
    for name in ("encoder.embeddings", f"{layer}.expand", f"{layer}.attention_norm", f"{layer}.feed_forward_norm"):
        remember(name)

    plain = model.encoder(batch.input_ids, batch.token_type_ids, batch.attention_mask).hidden.detach()
    assert set(seen.values()) == {torch.float32}
    with computing_in(torch.bfloat16, CPU):
        hidden = model.encoder(batch.input_ids, batch.token_type_ids, batch.attention_mask).hidden.detach()
    assert seen == {
        "encoder.embeddings": torch.float32,
        f"{layer}.expand": torch.bfloat16,
        f"{layer}.attention_norm": torch.float32,
        f"{layer}.feed_forward_norm": torch.float32,
    }
    assert hidden.dtype == torch.float32
    assert float((hidden - plain).norm() / plain.norm()) < 0.01


def test_in_fp32_nothing_is_cast() -> None:
    with computing_in(torch.float32, CPU):
        assert not torch.is_autocast_enabled("cpu")
    with computing_in(torch.bfloat16, CPU):
        assert torch.is_autocast_enabled("cpu")
    assert not torch.is_autocast_enabled("cpu")
