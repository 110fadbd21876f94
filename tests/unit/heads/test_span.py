from __future__ import annotations

import torch

from bertwright.heads.span import SpanHead


def test_the_first_score_is_of_the_start_and_the_second_of_the_end() -> None:
    """In the order of transformers' `qa_outputs`: row 0 of the matrix is the start vector."""
    head = SpanHead(2)
    with torch.no_grad():
        head.dense.weight.copy_(torch.tensor([[1.0, 0.0], [0.0, 1.0]]))
        head.dense.bias.copy_(torch.tensor([0.5, 0.0]))
    start, end = head(torch.tensor([[[1.0, 2.0], [3.0, 4.0], [5.0, 6.0]]]))
    assert start.tolist() == [[1.5, 3.5, 5.5]]
    assert end.tolist() == [[2, 4, 6]]
