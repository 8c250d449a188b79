"""Matrix products on the CPU by the faster of torch's two libraries.

``torch.mm`` calls MKL, which uses half the vector width of processors that are not Intel's: there,
oneDNN (inside torch too, but used for single precision only by ``torch.compile``) is twice as fast,
and elsewhere about as fast. Where it is missing or switched off (``torch.backends.mkldnn``), and
for other number types, ``torch.mm`` does the work, as it does for products so small that oneDNN's
call takes longer than they do. bfloat16 is oneDNN's in ``torch.mm`` too.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor
from torch.autograd import Function
from torch.autograd.function import once_differentiable

# oneDNN compiles and keeps a kernel for every new shape, so let there be few numbers of rows.
_ROWS = 8
_SMALL = 2**19  # multiplications that take no longer than the call does
_CHUNK = 512  # rows whose transpose stays in the cache
_LOW_CHUNK = 2048  # of half the size, and summed up in single precision


def multiply(x: Tensor, weight: Tensor) -> Tensor:
    """``x (m, k)`` times the transpose of ``weight (n, k)``: a new ``(m, n)``, no gradients.

    >>> multiply(torch.ones(2, 3), torch.ones(4, 3)).tolist()
    [[3.0, 3.0, 3.0, 3.0], [3.0, 3.0, 3.0, 3.0]]
    """
    product = _product(x)
    if product is None or x.numel() * len(weight) < _SMALL:
        return torch.mm(x, weight.t())
    if not (weight.is_contiguous() or weight.t().is_contiguous()):
        weight = weight.contiguous()  # oneDNN has no kernel but its reference one for other views
    if len(x) <= _CHUNK:
        return product(_padded(x, _ROWS), weight)[: len(x)]
    out = x.new_empty(len(x), len(weight))
    for part, rows in zip(out.split(_CHUNK), x.split(_CHUNK), strict=True):
        part.copy_(product(_padded(rows, _CHUNK // 8), weight)[: len(rows)])
    return out


def sum_of_outer(a: Tensor, b: Tensor) -> Tensor:
    """The sum over the rows of ``a (m, k)`` and ``b (m, n)`` of their outer products: ``(k, n)``.

    >>> sum_of_outer(torch.ones(5, 1), torch.ones(5, 2)).tolist()
    [[5.0, 5.0]]
    """
    low = a.dtype == torch.bfloat16
    chunk = _LOW_CHUNK if low else _CHUNK
    total: Tensor | None = None
    for x, y in zip(a.split(chunk), b.split(chunk), strict=True):
        x, y = _padded(x, chunk // 8), _padded(y, chunk // 8)
        part = torch.mm(x.t(), y).float() if low else multiply(x.t(), y.t())
        total = part if total is None else total.add_(part)
    return a.new_zeros(a.shape[1], b.shape[1]) if total is None else total


def _product(x: Tensor) -> Callable[[Tensor, Tensor], Tensor] | None:
    """oneDNN's product for numbers like ``x``; None where ``torch.mm`` is another library's."""
    if x.device.type != "cpu" or not torch.backends.mkldnn.enabled:
        return None
    if x.dtype == torch.bfloat16:
        return lambda rows, weight: torch.mm(rows, weight.t())
    if x.dtype == torch.float32 and _ONEDNN is not None:
        return lambda rows, weight: _ONEDNN(rows, weight, None, "none", [], "")
    return None


def _padded(x: Tensor, rows: int) -> Tensor:
    """``x`` with zero rows at its end, so that their number is a multiple of ``rows``."""
    return torch.nn.functional.pad(x, (0, 0, 0, -len(x) % rows)) if len(x) % rows else x


def affine(x: Tensor, weight: Tensor, bias: Tensor) -> Tensor:
    """``x (m, k) @ weight (n, k).T + bias (n,)`` with gradients, ``(m, n)``."""
    if torch.is_autocast_enabled(x.device.type):
        lower = torch.get_autocast_dtype(x.device.type)
        x, weight, bias = x.to(lower), weight.to(lower), bias.to(lower)
    if _product(x) is None or not x.dtype == weight.dtype == bias.dtype:
        return torch.nn.functional.linear(x, weight, bias)
    return _Affine.apply(x, weight, bias)


class _Affine(Function):
    @staticmethod
    def forward(ctx: Any, x: Tensor, weight: Tensor, bias: Tensor) -> Tensor:
        ctx.save_for_backward(x, weight)
        return multiply(x, weight).add_(bias)

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, d_out: Tensor) -> Any:
        x, weight = ctx.saved_tensors
        d_x = multiply(d_out, weight.t()) if ctx.needs_input_grad[0] else None
        return d_x, sum_of_outer(d_out, x), d_out.sum(0)


def _onednn() -> Any:
    """oneDNN's product, if this torch has it for this processor and it gives what it should."""
    if not torch.backends.cpu.get_cpu_capability().startswith("AVX"):
        return None
    try:
        product = torch.ops.mkldnn._linear_pointwise
        x, weight = torch.arange(6.0).view(2, 3), torch.arange(12.0).view(4, 3)
        right = torch.equal(product(x, weight, None, "none", [], ""), x @ weight.t())
    except (AttributeError, RuntimeError):  # an operator that torch promises to no one
        return None
    return product if right else None


_ONEDNN = _onednn()
