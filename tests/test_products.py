"""The fast products are the products, whichever library makes them."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from molvae.models import products
from molvae.models.products import affine, multiply, sum_of_outer

SIZES = st.integers(1, 70)


@pytest.fixture(scope="module", autouse=True, params=[1, products._SMALL], ids=["all", "large"])
def by_onednn(request: pytest.FixtureRequest) -> Iterator[None]:
    """All products by oneDNN, or, as it is, the large ones."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(products, "_SMALL", request.param)
        yield


def draw(rows: int, columns: int, seed: int = 0, dtype: torch.dtype = torch.float32) -> Tensor:
    generator = torch.Generator().manual_seed(seed)
    return torch.randn(rows, columns, generator=generator, dtype=torch.float64).to(dtype)


def check(got: Tensor, expected: Tensor) -> None:
    torch.testing.assert_close(got.double(), expected, rtol=1e-5, atol=1e-3)


@settings(max_examples=60, deadline=None)
@given(SIZES, SIZES, SIZES, st.sampled_from(["whole", "columns of more", "transposed"]))
def test_multiplies_like_mm_whatever_the_layout(m: int, k: int, n: int, layout: str) -> None:
    x, weight = draw(m, k), draw(n, k, 1)
    expected = x.double() @ weight.double().t()
    if layout == "columns of more":
        x, weight = (torch.cat([y, y], 1)[:, :k] for y in (x, weight))
    elif layout == "transposed":
        x, weight = (y.t().contiguous().t() for y in (x, weight))
    check(multiply(x, weight), expected)


@pytest.mark.parametrize("rows", [1, 7, 512, 700, 2048, 2500])
def test_products_in_half_precision_leave_no_row_out(rows: int) -> None:
    low = torch.bfloat16
    x, weight, other = draw(rows, 24, 0, low), draw(16, 24, 1, low), draw(rows, 8, 2, low)
    torch.testing.assert_close(
        multiply(x, weight).double(), x.double() @ weight.double().t(), rtol=0.02, atol=0.1
    )
    torch.testing.assert_close(
        sum_of_outer(x, other).double(), x.double().t() @ other.double(), rtol=0.02, atol=0.5
    )


@pytest.mark.parametrize("rows", [0, 1, 511, 512, 513, 1700])
def test_a_sum_of_outer_products_leaves_no_row_out(rows: int) -> None:
    a, b = draw(rows, 40)[:, 3:30], draw(rows, 16, 1)
    check(sum_of_outer(a, b), a.double().t() @ b.double())


def test_gradients_of_the_affine_map_are_those_of_autograd() -> None:
    tensors = [draw(700, 20).requires_grad_(), draw(9, 20, 1).requires_grad_()]
    tensors.append(draw(1, 9, 2)[0].requires_grad_())
    ours = affine(*tensors)
    theirs = torch.nn.functional.linear(*tensors)
    torch.testing.assert_close(ours, theirs, rtol=1e-5, atol=1e-5)
    for got, expected in zip(
        torch.autograd.grad(ours.square().sum(), tensors),
        torch.autograd.grad(theirs.square().sum(), tensors),
        strict=True,
    ):
        torch.testing.assert_close(got, expected, rtol=1e-4, atol=1e-3)


def test_double_precision_stays_double() -> None:
    x, weight = draw(5, 4, 0, torch.float64), draw(3, 4, 1, torch.float64)
    assert torch.equal(multiply(x, weight), x @ weight.t())
    assert torch.equal(sum_of_outer(x, x), x.t() @ x)


def test_without_the_fast_operator_the_plain_one_serves(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(products, "_ONEDNN", None)
    x, weight = draw(5, 4), draw(3, 4, 1)
    assert torch.equal(multiply(x, weight), x @ weight.t())


def test_the_users_switch_of_onednn_is_obeyed() -> None:
    x, weight = draw(5, 4), draw(3, 4, 1)
    with torch.backends.mkldnn.flags(enabled=False):
        assert torch.equal(multiply(x, weight), x @ weight.t())
