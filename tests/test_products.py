"""The fast products are the products, whichever library makes them."""

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from molvae.models import products
from molvae.models.products import Factor, sum_of_outer

SIZES = st.integers(1, 70)


def draw(rows: int, columns: int, seed: int, dtype=torch.float32) -> torch.Tensor:
    generator = torch.Generator().manual_seed(seed)
    return torch.randn(rows, columns, generator=generator, dtype=torch.float64).to(dtype)


@settings(max_examples=60, deadline=None)
@given(SIZES, SIZES, SIZES, st.integers(1, 200), st.booleans())
def test_a_factor_multiplies_like_mm(m, k, n, packed_for, strided) -> None:
    x, matrix = draw(m, 2 * k if strided else k, 0)[:, :k], draw(k, n, 1)
    expected = x.double() @ matrix.double()
    for factor in (Factor(matrix, packed_for), Factor(matrix.t().contiguous().t(), packed_for)):
        torch.testing.assert_close(factor.left(x).double(), expected, rtol=1e-5, atol=1e-4)


@pytest.mark.parametrize("rows", [0, 1, 511, 512, 513, 1700])
def test_a_sum_of_outer_products_leaves_no_row_out(rows: int) -> None:
    a, b = draw(rows, 40, 0)[:, 3:30], draw(rows, 16, 1)
    expected = a.double().t() @ b.double()
    torch.testing.assert_close(sum_of_outer(a, b).double(), expected, rtol=1e-5, atol=1e-3)


def test_double_precision_stays_double() -> None:
    x, matrix = draw(5, 4, 0, torch.float64), draw(4, 3, 1, torch.float64)
    assert torch.equal(Factor(matrix).left(x), x @ matrix)
    assert torch.equal(sum_of_outer(x, x), x.t() @ x)


def test_without_the_fast_operator_the_plain_one_serves(monkeypatch) -> None:
    monkeypatch.setattr(products, "_LINEAR", None)
    x, matrix = draw(5, 4, 0), draw(4, 3, 1)
    assert torch.equal(Factor(matrix).left(x), x @ matrix)
    tall = draw(600, 4, 2)
    assert torch.equal(sum_of_outer(tall, tall), tall.t() @ tall)
