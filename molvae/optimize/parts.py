"""The names of what two molecules may be alike in, as far as the surrogates know."""

from __future__ import annotations

from typing import Literal

Part = Literal["structure", "descriptors", "latent"]
PARTS: tuple[Part, ...] = ("structure", "descriptors", "latent")
"""All of them."""
