"""The names of what learns, and of what it sees of molecules."""

from __future__ import annotations

from typing import Literal

Part = Literal["structure", "descriptors", "latent", "latent_ard"]
"""What two molecules may be alike in; the last has a length of its own for every dimension."""
PARTS: tuple[Part, ...] = ("structure", "descriptors", "latent")
"""Those that a surrogate sees unless told otherwise."""
Learner = Literal["gp", "deep", "ensemble"]
"""What may learn of observations; see :mod:`molvae.optimize.learners`."""
