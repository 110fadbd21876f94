from __future__ import annotations

import pytest
import torch
from torch import Tensor
from torch.nn import functional

from bertwright.encoder.attention import SelfAttention, select_positions
from bertwright.encoder.encoder import packing_bias, padding_bias

MASK = torch.tensor(
    [
        [1, 1, 1, 1, 1, 1],
        [1, 1, 1, 1, 0, 0],
        [1, 0, 0, 0, 0, 0],
    ]
)
ASKING = torch.tensor([[0, 5], [3, 3], [0, 0]])


def by_torch(attention: SelfAttention, hidden: Tensor, bias: Tensor | None, asking: Tensor | None) -> Tensor:
    """The same with torch's own kernel, three separate products, and loops over the heads' split."""
    query, key, value = (
        functional.linear(hidden, weight, offset)
        for weight, offset in zip(
            attention.query_key_value.weight.chunk(3), attention.query_key_value.bias.chunk(3), strict=True
        )
    )
    if asking is not None:
        query = torch.stack([row[chosen] for row, chosen in zip(query, asking, strict=True)])
    size = hidden.shape[-1] // attention.heads
    found = [
        functional.scaled_dot_product_attention(
            query[..., start : start + size],
            key[..., start : start + size],
            value[..., start : start + size],
            None if bias is None else bias[:, 0],
        )
        for start in range(0, hidden.shape[-1], size)
    ]
    projected: Tensor = attention.output(torch.cat(found, dim=-1))
    return projected


@pytest.mark.parametrize("length", [63, 64, 200])
@pytest.mark.parametrize("kind", ["whole", "padded", "packed", "some"])
def test_answering_takes_the_fused_kernel_and_finds_the_same(length: int, kind: str) -> None:
    torch.manual_seed(0)
    attention = SelfAttention(hidden_size=16, num_attention_heads=2, dropout=0.5).eval()
    hidden, ends = torch.randn(3, length, 16).mul(3), torch.tensor([length, length // 2, 1])
    places = torch.arange(length)
    bias = {
        "whole": None,
        "padded": padding_bias(places < ends[:, None]),
        "packed": packing_bias((places >= ends[:, None]).long() + 1),
        "some": padding_bias(places < ends[:, None]),
    }[kind]
    asking = torch.tensor([[0, 9], [3, 3], [0, 0]]) if kind == "some" else None
    wanted = attention(hidden, bias, asking)
    with torch.inference_mode():
        found = attention(hidden, bias, asking)
    torch.testing.assert_close(found, wanted.detach(), rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("answering", [False, True])
def test_a_compiler_makes_one_graph_of_it(answering: bool) -> None:
    attention = SelfAttention(hidden_size=16, num_attention_heads=2, dropout=0.5).eval()
    graphs: list[torch.fx.GraphModule] = []

    def count(graph: torch.fx.GraphModule, _: list[Tensor]) -> torch.fx.GraphModule:
        graphs.append(graph)
        return graph

    torch.compiler.reset()
    compiled = torch.compile(attention, backend=count, fullgraph=True)
    hidden = torch.randn(2, 70, 16)
    with torch.inference_mode(answering):
        torch.testing.assert_close(compiled(hidden, None), attention(hidden, None))
    assert len(graphs) == 1


@pytest.mark.parametrize("heads", [1, 2, 8])
@pytest.mark.parametrize("padded", [False, True])
@pytest.mark.parametrize("some", [False, True])
def test_the_written_out_attention_is_that_of_torch(heads: int, padded: bool, some: bool) -> None:
    torch.manual_seed(0)
    attention = SelfAttention(hidden_size=16, num_attention_heads=heads, dropout=0.5).eval()
    bias = padding_bias(MASK) if padded else None
    asking = ASKING if some else None
    inputs = [torch.randn(3, 6, 16).mul(3).requires_grad_()]
    inputs.append(inputs[0].detach().clone().requires_grad_())

    found, wanted = attention(inputs[0], bias, asking), by_torch(attention, inputs[1], bias, asking)
    torch.testing.assert_close(found, wanted, rtol=1e-5, atol=1e-6)

    weights = torch.randn_like(found)
    results = []
    for output in (found, wanted):
        attention.zero_grad()
        (output * weights).sum().backward()
        results.append([parameter.grad for parameter in attention.parameters()])
    torch.testing.assert_close(inputs[0].grad, inputs[1].grad, rtol=1e-5, atol=1e-5)
    torch.testing.assert_close(results[0], results[1], rtol=1e-5, atol=1e-5)


def test_a_token_that_sees_only_itself_gives_its_own_value() -> None:
    torch.manual_seed(0)
    attention = SelfAttention(hidden_size=16, num_attention_heads=2, dropout=0.0)
    hidden = torch.randn(1, 3, 16)
    found = attention(hidden, padding_bias(torch.tensor([[0, 1, 0]])))
    value = functional.linear(hidden[0, 1], attention.query_key_value.weight[32:], attention.query_key_value.bias[32:])
    torch.testing.assert_close(found, attention.output(value).expand(1, 3, 16))


def test_dropout_falls_on_what_is_looked_at() -> None:
    torch.manual_seed(0)
    attention = SelfAttention(hidden_size=16, num_attention_heads=2, dropout=0.5).train()
    hidden = torch.randn(2, 4, 16)
    assert not torch.equal(attention(hidden, None), attention(hidden, None))
    attention.eval()
    assert torch.equal(attention(hidden, None), attention(hidden, None))


def test_selected_positions() -> None:
    hidden = torch.arange(12).view(2, 3, 2)
    assert select_positions(hidden, torch.tensor([[2, 0], [1, 1]])).tolist() == [
        [[4, 5], [0, 1]],
        [[8, 9], [8, 9]],
    ]
