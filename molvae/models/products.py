"""Matrix products on the CPU by the faster of torch's two libraries.

``torch.mm`` calls MKL, which uses half the vector width of processors that are not Intel's: there,
oneDNN (inside torch too, but used for single precision only by ``torch.compile``) is twice as fast,
and elsewhere about as fast; a matrix that serves many products is packed for it once. Both are
plain single precision, summed in another order. Where oneDNN is missing or switched off
(``torch.backends.mkldnn``), and for other number types, ``torch.mm`` does the work.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

_BLOCK = 512  # rows of a sum of outer products taken at a time: their copies stay in the cache


class Factor:
    """A ``matrix (k, n)`` made ready to be multiplied from the left many times.

    Without gradients: for hand-written ones, and for inference. ``rows`` is the usual number of
    rows that it will be multiplied with.

    >>> Factor(torch.eye(2)).left(torch.tensor([[1.0, 2.0]]))
    tensor([[1., 2.]])
    """

    def __init__(self, matrix: Tensor, rows: int = 128) -> None:
        self._matrix = matrix.detach()
        self._packed = None
        if _usable(self._matrix):
            self._packed = torch.ops.mkldnn._reorder_linear_weight(
                self._matrix.t().contiguous(), rows
            )

    def left(self, x: Tensor) -> Tensor:
        """``x @ matrix``, ``(m, n)``, for ``x (m, k)`` whose rows may be strided."""
        if self._packed is None:
            return x @ self._matrix
        return _LINEAR(x, self._packed, None, "none", [], "")


def sum_of_outer(a: Tensor, b: Tensor) -> Tensor:
    """``a.t() @ b``, ``(p, q)``, for tall ``a (n, p)`` and ``b (n, q)``, without gradients."""
    if len(a) < _BLOCK or not (_usable(a) and _usable(b)):
        return a.t() @ b
    total: Tensor | None = None
    for rows, columns in zip(a.split(_BLOCK), b.split(_BLOCK), strict=True):
        x, weight = rows.t().contiguous(), columns.contiguous().t()
        if total is None:
            total = _LINEAR(x, weight, None, "none", [], "")
        else:
            total = _LINEAR.binary(x, total, weight, None, "add")
    assert total is not None
    return total


def _usable(x: Tensor) -> bool:
    return (
        _LINEAR is not None
        and torch.backends.mkldnn.enabled
        and x.dtype == torch.float32
        and x.device.type == "cpu"
        and x.numel() > 0
    )


def _onednn() -> Any:
    """oneDNN's product, if this torch has it for this processor and it gives what it should."""
    if not torch.backends.cpu.get_cpu_capability().startswith("AVX"):
        return None
    try:
        product = torch.ops.mkldnn._linear_pointwise
        x, weight = torch.arange(6.0).view(2, 3), torch.arange(12.0).view(4, 3)
        packed = torch.ops.mkldnn._reorder_linear_weight(weight, 2)
        right = torch.equal(product(x, packed, None, "none", [], ""), x @ weight.t())
    except (AttributeError, RuntimeError):  # an operator that torch promises to no one
        return None
    return product if right else None


_LINEAR = _onednn()
