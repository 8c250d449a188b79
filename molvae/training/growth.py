"""A trained decoder made wider without changing what it writes (Net2Net: Chen, Goodfellow &
Shlens 2016, arXiv:1511.05641): new units start at random and are heard by nothing old."""

from __future__ import annotations

from collections.abc import Mapping

from torch import Tensor

from molvae.models.vae import SequenceVAE
from molvae.training.weights import get_weights

_GATES = 3


def widened(weights: Mapping[str, Tensor], model: SequenceVAE) -> dict[str, Tensor]:
    """``weights`` of a model whose decoder has fewer units, for ``model``, which is else the same.

    >>> from molvae.models.presets import preset
    >>> small = SequenceVAE(preset("tiny"), vocab_size=12, max_length=20)
    >>> sizes = small.config.replace(decoder_hidden=small.config.decoder_hidden + 8)
    >>> large = SequenceVAE(sizes, vocab_size=12, max_length=20)
    >>> grown = widened(get_weights(small), large)
    >>> grown["decoder.output.weight"].shape == large.decoder.output.weight.shape
    True
    """
    # Rows stand in blocks, one row of a block for each unit.
    blocks = {"layers": _GATES, "initial": model.config.decoder_layers, "output": 1}
    new = get_weights(model)
    return {
        name: old
        if old.shape == new[name].shape
        else _corner(old, new[name], blocks[name.split(".")[1]])
        for name, old in weights.items()
    }


def _corner(old: Tensor, new: Tensor, blocks: int) -> Tensor:
    """``new`` with ``old`` in the corner of each block; what old units hear of new ones is zero."""
    before, after = old.unflatten(0, (blocks, -1)), new.clone().unflatten(0, (blocks, -1))
    rows = before.shape[1]
    if old.ndim == 1:
        after[:, :rows] = before
    else:
        columns = before.shape[2]
        after[:, :rows, columns:] = 0
        after[:, :rows, :columns] = before
    return after.flatten(0, 1)
