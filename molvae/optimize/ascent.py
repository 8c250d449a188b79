"""Gradient ascent of what a surrogate hopes for, in the latent space and inside a trust region."""

from __future__ import annotations

import numpy as np
import torch

from molvae.optimize.posterior import Surrogate
from molvae.optimize.surrogates import MoleculeGP

STEPS = 25
"""Steps of the ascent."""
RATE = 0.1
"""Length of a step (Adam), as a share of the region's."""


def ascents(surrogate: Surrogate, starts: np.ndarray, length: float) -> np.ndarray:
    """Where an ascent from each of ``starts (n, d)`` ends, ``(n, d)``.

    It climbs the mean and one standard deviation of a Gaussian process of latents alone, and stays
    within ``length`` of its start in every dimension (Eriksson et al., NeurIPS 2019).

    Raises ``ValueError`` for another surrogate, or one that sees more than latents.
    """
    if not isinstance(surrogate, MoleculeGP) or surrogate.fitted.parts != ("latent",):
        raise ValueError("an ascent needs a surrogate of latents alone")
    start = torch.as_tensor(np.asarray(starts, np.float64))
    z = start.clone().requires_grad_()
    optimizer = torch.optim.Adam([z], lr=RATE * length)
    for _ in range(STEPS):
        optimizer.zero_grad()
        (-surrogate.hopes_at(z).sum()).backward()
        optimizer.step()
        with torch.no_grad():
            z.copy_(torch.minimum(torch.maximum(z, start - length), start + length))
    return z.detach().numpy()
