r"""Is the latent space in use? Diagnostics from posterior tensors alone.

All functions take the Gaussian posteriors of ``n`` molecules as ``mean (n, d)`` and
``log_var (n, d)`` and answer in nats; of posteriors that are points (``log_var`` is -inf: an
autoencoder's, a VQ-VAE's) no KL and no information is finite, and :func:`latent_health` says NaN.
They describe how the term that the ELBO charges for splits
(Hoffman & Johnson 2016, "ELBO surgery"):

.. math:: \mathbb{E}_x\, KL(q(z|x) \,\|\, p(z)) = I_q(x; z) + KL(q(z) \,\|\, p(z))

A collapsed model has nothing in either part; a model with holes has a large second part, and
samples from the prior then fall where no molecule lives.
"""

from __future__ import annotations

import math
from dataclasses import asdict, dataclass

import torch
from torch import Tensor

NAN = math.nan
ACTIVE_VARIANCE = 0.01
"""Variance of the posterior means above which a dimension counts as active (Burda et al. 2016)."""


@dataclass(frozen=True)
class LatentHealth:
    """The diagnostics of one set of posteriors; all but the counts and widths are nats."""

    molecules: int
    dimensions: int
    kl: float
    """Mean over molecules of KL(q(z|x) || N(0, I)), all dimensions together."""
    kl_per_dimension: tuple[float, ...]
    active_units: int
    mutual_information: float
    """I(x; z) between a molecule and its latent; at most log(molecules) can be seen."""
    marginal_kl: float
    """KL(q(z) || N(0, I)): the gap between aggregate posterior and prior."""
    mean_spread: float
    """Root mean square over dimensions of the standard deviation of the posterior means."""
    mean_width: float
    """Mean standard deviation of the posteriors."""

    def to_dict(self) -> dict[str, object]:
        """Plain values for JSON."""
        return asdict(self)


def kl_per_dimension(mean: Tensor, log_var: Tensor) -> Tensor:
    r"""KL(q(z_j|x) || N(0, 1)) averaged over the molecules, ``(d,)``.

    .. math:: \tfrac12 (\mu^2 + \sigma^2 - 1 - \log \sigma^2)

    >>> kl_per_dimension(torch.tensor([[1.0, 0.0]]), torch.zeros(1, 2)).tolist()
    [0.5, 0.0]
    """
    mean, log_var = mean.double(), log_var.double()
    return 0.5 * (mean.square() + log_var.exp() - 1 - log_var).mean(0)


def active_units(mean: Tensor, threshold: float = ACTIVE_VARIANCE) -> int:
    """The number of dimensions whose posterior mean varies with the molecule.

    Counts ``Var_x(E[z_j|x]) > threshold`` (Burda et al. 2016, arXiv:1509.00519). One molecule
    alone shows no variance: 0.

    >>> active_units(torch.tensor([[0.0, 1.0], [0.0, -1.0]]))
    1
    """
    if len(mean) < 2:
        return 0
    return int((mean.double().var(0) > threshold).sum())


def aggregate_log_prob(z: Tensor, mean: Tensor, log_var: Tensor, chunk: int = 256) -> Tensor:
    r"""log q(z) under the aggregate posterior of all given molecules, ``(m,)`` for ``z (m, d)``.

    .. math:: q(z) = \tfrac1n \sum_i N(z; \mu_i, \sigma_i^2)

    Works through ``chunk`` points at a time: memory is ``chunk * n`` numbers.
    """
    z, mean, log_var = z.double(), mean.double(), log_var.double()
    precision = (-log_var).exp()
    # -(z-mu)^2/(2 var), summed over d, as three matrix products instead of an (m, n, d) tensor.
    constant = -0.5 * (log_var + mean.square() * precision + math.log(2 * math.pi)).sum(1)
    parts = []
    for points in z.split(chunk):
        log_densities = (
            points @ (mean * precision).T - 0.5 * points.square() @ precision.T + constant
        )
        parts.append(torch.logsumexp(log_densities, 1) - math.log(len(mean)))
    return torch.cat(parts) if parts else z.new_zeros(0)


def decompose(mean: Tensor, log_var: Tensor, generator: torch.Generator) -> tuple[float, float]:
    r"""Split the KL into ``(mutual information, marginal KL)`` in nats, by sampling.

    One ``z`` is drawn from each posterior; the aggregate posterior is the mixture of the given
    ones (Hoffman & Johnson 2016; Dieng et al. 2019, arXiv:1807.04863):

    .. math:: I = \overline{\log q(z_i|x_i) - \log q(z_i)}, \quad
              KL(q(z) \| p(z)) = \overline{\log q(z_i) - \log p(z_i)}

    With ``n`` molecules no more than ``log n`` nats of mutual information can be seen; what is
    above counts as marginal KL. A few thousand molecules are enough for a verdict.
    """
    mean, log_var = mean.double(), log_var.double()
    noise = torch.randn(mean.shape, generator=generator, dtype=torch.float64, device=mean.device)
    z = mean + (0.5 * log_var).exp() * noise
    log_conditional = _log_normal(noise) - 0.5 * log_var.sum(1)
    log_aggregate = aggregate_log_prob(z, mean, log_var)
    information = (log_conditional - log_aggregate).mean()
    gap = (log_aggregate - _log_normal(z)).mean()
    return float(information), float(gap)


def latent_health(mean: Tensor, log_var: Tensor, generator: torch.Generator) -> LatentHealth:
    """All diagnostics of the posteriors ``mean (n, d)``, ``log_var (n, d)`` of ``n`` molecules.

    >>> g = torch.Generator().manual_seed(0)
    >>> report = latent_health(torch.zeros(100, 4), torch.zeros(100, 4), g)
    >>> report.kl, report.active_units, round(abs(report.mutual_information), 6)
    (0.0, 0, 0.0)
    """
    wide = bool((log_var > -math.inf).all())
    per_dimension = kl_per_dimension(mean, log_var) if wide else mean.new_full(mean.shape[1:], NAN)
    information, gap = decompose(mean, log_var, generator) if wide else (NAN, NAN)
    spread = mean.double().var(0, correction=0).mean().sqrt()
    return LatentHealth(
        molecules=mean.shape[0],
        dimensions=mean.shape[1],
        kl=float(per_dimension.sum()),
        kl_per_dimension=tuple(per_dimension.tolist()),
        active_units=active_units(mean),
        mutual_information=information,
        marginal_kl=gap,
        mean_spread=float(spread),
        mean_width=float((0.5 * log_var.double()).exp().mean()),
    )


def _log_normal(z: Tensor) -> Tensor:
    return -0.5 * (z.square() + math.log(2 * math.pi)).sum(1)
