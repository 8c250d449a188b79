"""Tensors and a little text in one safetensors file that knows its own checksum.

The safetensors format refuses a truncated file but not a flipped bit, so the file carries the
SHA-256 of everything in it. Any safetensors reader can open it; nothing in it can run code.
"""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from safetensors import SafetensorError
from safetensors.torch import load, save
from torch import Tensor

from molvae.base.errors import ModelError
from molvae.base.files import atomic_file, file_errors

_CHECKSUM = "sha256"
_PICKLES = (b"\x80\x02", b"\x80\x03", b"\x80\x04", b"\x80\x05", b"PK\x03\x04")


def write_tensors(
    path: str | os.PathLike[str], tensors: Mapping[str, Tensor], texts: Mapping[str, str]
) -> None:
    """Write tensors and texts as one safetensors file, atomically.

    >>> import torch
    >>> write_tensors("/tmp/molvae-doc.safetensors", {"w": torch.ones(2)}, {"step": "3"})
    >>> read_tensors("/tmp/molvae-doc.safetensors")
    ({'w': tensor([1., 1.])}, {'step': '3'})
    """
    plain = {name: tensor.detach().cpu().contiguous() for name, tensor in tensors.items()}
    header, body = _split(save(plain))
    header = {"__metadata__": {**texts, _CHECKSUM: ""}, **header}
    header["__metadata__"][_CHECKSUM] = _digest(header, body)
    text = json.dumps(header).encode()
    text += b" " * (-len(text) % 8)  # the format aligns the data to eight bytes
    with atomic_file(path, "wb") as out:
        out.write(len(text).to_bytes(8, "little"))
        out.write(text)
        out.write(body)


def read_tensors(path: str | os.PathLike[str]) -> tuple[dict[str, Tensor], dict[str, str]]:
    """Read what :func:`write_tensors` wrote: ``(tensors, texts)``, on the CPU.

    Raises :class:`ModelError` where the file is missing, truncated, changed, or not safetensors.
    """
    if not Path(path).is_file():
        raise ModelError(f"{path} is missing: the directory is not complete, copy it again")
    with file_errors(path):
        data = Path(path).read_bytes()
    if data[:4].startswith(_PICKLES):
        raise ModelError(
            f"{path} is a pickle or torch archive, which can run code when it is opened: "
            "it was not opened; molvae models are safetensors files"
        )
    if len(data) < 8 or data[8:9] not in (b"{", b""):
        raise ModelError(f"{path} is not a safetensors file")
    expected = 8 + int.from_bytes(data[:8], "little")
    if len(data) < expected:
        raise ModelError(f"{path} is truncated: it ends within its header; restore it from a copy")
    damaged = f"{path} is damaged: its content is not what was written; restore it from a copy"
    try:
        header, body = _split(data)
        texts: dict[str, str] = header["__metadata__"]
        checksum = texts[_CHECKSUM]
        offsets = [entry["data_offsets"][1] for key, entry in header.items() if key[:2] != "__"]
    except (ValueError, KeyError, TypeError, IndexError, AttributeError) as error:
        raise ModelError(damaged) from error
    if len(body) < max(offsets, default=0):
        raise ModelError(
            f"{path} is truncated: {len(data):,} bytes of {expected + max(offsets):,}; "
            "restore it from a copy"
        )
    texts[_CHECKSUM] = ""
    if _digest(header, body) != checksum:
        raise ModelError(damaged)
    try:
        tensors = load(data)
    except SafetensorError as error:
        raise ModelError(damaged) from error
    return tensors, {key: text for key, text in texts.items() if key != _CHECKSUM}


def _split(data: bytes) -> tuple[dict[str, Any], memoryview]:
    """The header and the bytes that follow it."""
    end = 8 + int.from_bytes(data[:8], "little")
    header = json.loads(data[8:end].decode("utf-8"))
    if not isinstance(header, dict):
        raise ValueError("the header is not a mapping")
    return header, memoryview(data)[end:]


def _digest(header: Mapping[str, Any], body: memoryview) -> str:
    """SHA-256 of the header, its checksum left blank, and the data."""
    digest = hashlib.sha256(json.dumps(header, sort_keys=True).encode())
    digest.update(body)
    return digest.hexdigest()
