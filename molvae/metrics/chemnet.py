"""ChemNet: 512 numbers per molecule, on which the Fréchet ChemNet distance compares two sets.

Preuer et al., J. Chem. Inf. Model. 58:1736 (2018). The network and its weights are those of
``fcd_torch``, which MOSES uses; the weights are read as tensors, never unpickled.
"""

from __future__ import annotations

import functools
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from importlib import resources

import numpy as np
import torch

from molvae.base.parallel import default_workers
from molvae.base.progress import Progress

DIMENSIONS = 512
LENGTH = 350
"""Symbols that the network reads; what is longer is cut."""

_SYMBOLS = (
    *("C", "N", "O", "H", "F", "Cl", "P", "B", "Br", "S", "I", "Si", "#", "(", ")", "+", "-", "1"),
    *("2", "3", "4", "5", "6", "7", "8", "=", "[", "]", "@", "c", "n", "o", "s", "X", "."),
)
_NUMBER = {symbol: i for i, symbol in enumerate(_SYMBOLS)}
_UNKNOWN, _END = _NUMBER["X"], _NUMBER["."]
_SECOND_LETTERS = frozenset("ril")
_BATCH = 128


def activations(
    smiles: Sequence[str],
    *,
    device: str = "cpu",
    threads: int | None = None,
    progress: bool | None = None,
) -> np.ndarray:
    """ChemNet's last layer for canonical SMILES, ``(n, 512)`` float32.

    ``threads`` None takes every core; each works on batches of its own, so the result does not
    depend on their number.

    >>> activations(["CCO", "c1ccccc1"], progress=False).shape
    (2, 512)
    """
    result = np.empty((len(smiles), DIMENSIONS), np.float32)
    if not len(smiles):
        return result
    network = chemnet().to(device)
    size = _BATCH if device == "cpu" else 8 * _BATCH
    count = threads or default_workers() if device == "cpu" else 1

    def fill(start: int) -> int:
        torch.set_num_threads(1)  # of this thread
        rows = slice(start, start + size)
        numbers = torch.from_numpy(symbols_of(smiles[rows])).to(device)
        with torch.inference_mode():
            result[rows] = network(one_hot(numbers)).float().cpu().numpy()
        return len(numbers)

    before = torch.get_num_threads()
    with ThreadPoolExecutor(count) as pool, Progress("ChemNet", len(smiles), progress) as bar:
        for done in pool.map(fill, range(0, len(smiles), size)):
            bar.advance(done)
    torch.set_num_threads(before)
    network.to("cpu")
    return result


def symbols_of(smiles: Sequence[str]) -> np.ndarray:
    """The network's number of each symbol, ``(n, 350)`` int64; -1 behind the end.

    As in the reference implementation, a full stop ends the molecule and "l", "r" and "i" belong
    to the letter before them.
    """
    rows = np.full((len(smiles), LENGTH), -1, np.int64)
    for row, text in zip(rows, smiles, strict=True):
        found = []
        padded = text + "."
        place = 0
        while True:
            width = 2 if padded[place + 1 : place + 2] in _SECOND_LETTERS else 1
            found.append(_NUMBER.get(padded[place : place + width], _UNKNOWN))
            place += width
            if padded[place] == "." or len(found) == LENGTH - 1:
                found.append(_END)
                break
        row[: len(found)] = found
    return rows


def one_hot(numbers: torch.Tensor) -> torch.Tensor:
    """The network's input ``(n, 35, 350)``: 1/35 at each symbol, nothing behind the end."""
    columns = torch.nn.functional.one_hot(numbers + 1, len(_SYMBOLS) + 1)[..., 1:]
    return columns.transpose(1, 2).float() / len(_SYMBOLS)


@functools.cache
def chemnet() -> torch.nn.Module:
    """The network with its weights."""
    from fcd_torch.utils import load_imported_model

    weights = resources.files("fcd_torch").joinpath("ChemNet_v0.13_pretrained.pt")
    with weights.open("rb") as stream:
        layers = torch.load(stream, map_location="cpu", weights_only=True)
    network: torch.nn.Module = load_imported_model(layers)
    return network.eval().requires_grad_(False)
