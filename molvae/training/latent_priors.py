"""Fitting a prior to what the encoder makes of a corpus: mixtures, VampPriors, flows, codes."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor, nn

from molvae.base.errors import ConfigError, InputError
from molvae.base.progress import Progress
from molvae.base.seeds import derive_seed
from molvae.datasets.corpus import Corpus
from molvae.models.codeprior import CodePrior
from molvae.models.config import PriorConfig
from molvae.models.flow import Flow
from molvae.models.mixture import Mixture, VampPrior
from molvae.models.prior import Prior, make_prior
from molvae.models.vae import SequenceVAE
from molvae.training.checkpoint import Loaded
from molvae.training.devices import make_fabric
from molvae.training.evaluation import posteriors
from molvae.training.prepare import molecules_of
from molvae.training.vocabulary import match_vocabulary

HELD_OUT = 0.1
"""The share of the molecules by which a prior is judged, and its training stopped."""
BATCH, RATE, LOOKS = 256, 2e-3, 10
_EM_STEPS = 50
_BATCH = 512  # molecules that are encoded together
_LEAST = 1e-4  # variance that a component has at least
_PASS = 8192  # latents whose log-densities are found together


@dataclass(frozen=True, eq=False)
class Latents:
    """Posteriors of ``n`` molecules: ``mean (n, d)``, ``std (n, d)``, and a draw of each, ``z``."""

    mean: Tensor
    std: Tensor
    z: Tensor

    def rows(self, which: slice) -> Latents:
        """Some of them."""
        return Latents(self.mean[which], self.std[which], self.z[which])


def fit_latent_prior(
    loaded: Loaded,
    config: PriorConfig,
    corpus: Corpus,
    *,
    molecules: int,
    steps: int,
    seed: int,
    progress: bool | None = None,
) -> tuple[Prior, float]:
    """The prior ``config`` (mixture, vamp, flow or codes) fitted to so many training molecules;
    and its mean -log p(z) on the tenth of them that was held out, in nats.

    Flows and priors over codes learn for ``steps`` steps and keep the weights of the best of the
    looks at the held-out part: ten, and early ones. Raises :class:`ConfigError` where the prior
    does not suit the model, :class:`InputError` where there are too few molecules.
    """
    model = loaded.model
    _require_fit(model, config)
    latents = encoded(loaded, corpus, molecules, seed)
    held_out = max(1, round(HELD_OUT * len(latents.z)))
    known, unseen = latents.rows(slice(held_out, None)), latents.rows(slice(None, held_out))
    if len(known.z) < max(10, 2 * config.components):
        raise InputError(
            f"{len(known.z)} molecules are too few to fit a {config.kind} prior"
            + (f" of {config.components} components" if config.components else "")
            + "; take more, or fewer components"
        )
    prior = make_prior(model.config.model_copy(update={"prior": config}), model.windows, 0)
    if isinstance(prior, Mixture):
        fit_mixture(prior, known.z, seed)
    elif isinstance(prior, VampPrior):
        fit_vamp(prior, known, seed)
    elif isinstance(prior, Flow):
        fit_flow(prior, known.z, unseen.z, steps, seed, progress)
    elif isinstance(prior, CodePrior):
        assert model.bottleneck.codebook is not None
        fit_codes(prior, model.bottleneck.codebook.codes, known.z, unseen.z, steps, seed, progress)
    else:
        raise ConfigError(f"a {config.kind} prior is not fitted to latents")
    return prior, _nats(prior, unseen.z)


def encoded(loaded: Loaded, corpus: Corpus, molecules: int, seed: int) -> Latents:
    """Posteriors of at most so many training molecules of the corpus, drawn at random."""
    vocabulary = match_vocabulary(corpus, loaded.tokenizer, "drop")
    rows = corpus.indices("train")
    rows = rows[vocabulary.usable[rows]]
    if len(rows) == 0:
        raise InputError("the corpus has no training molecules that the model can write")
    chosen = np.random.default_rng(derive_seed(seed, "latents")).permutation(rows)[:molecules]
    read = molecules_of(corpus, vocabulary, None)
    fabric = make_fabric("cpu", "fp32")
    mean, log_var = posteriors(loaded.model.cpu().eval(), read, chosen, fabric, _BATCH)
    std = (0.5 * log_var).exp()
    generator = torch.Generator().manual_seed(derive_seed(seed, "draws"))
    return Latents(mean, std, mean + std * torch.randn(mean.shape, generator=generator))


def fit_mixture(prior: Mixture, z: Tensor, seed: int) -> None:
    """Fit by expectation-maximisation (scikit-learn) to ``z (n, d)``."""
    from sklearn.mixture import GaussianMixture

    found = GaussianMixture(
        len(prior.means), random_state=derive_seed(seed, "mixture") % 2**32, reg_covar=_LEAST
    ).fit(z.double().numpy())
    prior.log_weights.copy_(torch.from_numpy(np.log(found.weights_)))
    prior.means.copy_(torch.from_numpy(found.means_))
    prior.factors.copy_(torch.from_numpy(np.linalg.cholesky(found.covariances_)))


def fit_vamp(prior: VampPrior, known: Latents, seed: int) -> None:
    """Take molecules at random as components, and fit their weights by expectation-maximisation."""
    generator = torch.Generator().manual_seed(derive_seed(seed, "vamp"))
    chosen = torch.randperm(len(known.z), generator=generator)[: len(prior.means)]
    prior.means.copy_(known.mean[chosen])
    prior.stds.copy_(known.std[chosen])
    # A molecule's own posterior is not asked about the draw from it.
    others = torch.ones(len(known.z), dtype=torch.bool)
    others[chosen] = False
    densities = torch.cat([prior.densities(z) for z in known.z[others].split(_PASS)])
    for _ in range(_EM_STEPS):
        shares = (densities + prior.log_weights).softmax(1).mean(0)
        prior.log_weights.copy_(shares.clamp(min=1e-12).log())


def fit_flow(
    prior: Flow, z: Tensor, unseen: Tensor, steps: int, seed: int, progress: bool | None
) -> None:
    """Whiten ``z (n, d)`` and fit the couplings by maximum likelihood."""
    prior.centre.copy_(z.mean(0))
    covariance = torch.cov(z.double().t()) + _LEAST * torch.eye(z.shape[1], dtype=torch.float64)
    prior.factor.copy_(torch.linalg.cholesky(covariance))
    prior.reset(torch.Generator().manual_seed(derive_seed(seed, "flow weights")))
    _maximise(prior, prior.log_prob, z, unseen, steps, seed, progress)


def fit_codes(
    prior: CodePrior,
    codes: Tensor,
    z: Tensor,
    unseen: Tensor,
    steps: int,
    seed: int,
    progress: bool | None,
) -> None:
    """Fit the recurrence to the ``codes (k, c)`` that stand for ``z (n, d)``."""
    prior.codes.copy_(codes)
    indices, others = (prior.indices(part) for part in (z, unseen))
    _maximise(prior, prior.log_prob_of, indices, others, steps, seed, progress)


def _maximise(
    prior: nn.Module,
    log_prob: Callable[[Tensor], Tensor],
    data: Tensor,
    unseen: Tensor,
    steps: int,
    seed: int,
    progress: bool | None,
) -> None:
    """Adam on the likelihood of ``data (n, ...)``, its rate falling to zero along a cosine."""
    generator = torch.Generator().manual_seed(derive_seed(seed, "prior batches"))
    optimizer = torch.optim.Adam(prior.parameters(), lr=RATE)
    fall = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, steps)
    looks = {round(steps * (i + 1) / LOOKS) for i in range(LOOKS)}
    looks |= {2**i for i in range(steps.bit_length())}  # few molecules are soon learnt by heart
    best, least = None, float("inf")
    with Progress("fitting the prior", steps, progress) as bar:
        for step in range(1, steps + 1):
            rows = torch.randint(len(data), (BATCH,), generator=generator)
            optimizer.zero_grad()
            (-log_prob(data[rows]).mean()).backward()
            nn.utils.clip_grad_norm_(prior.parameters(), 5.0)
            optimizer.step()
            fall.step()
            if step in looks:
                nats = _mean_nats(log_prob, unseen)
                bar.note(f"{nats:.2f} nats")
                if nats < least:
                    least = nats
                    best = {name: value.clone() for name, value in prior.state_dict().items()}
            bar.advance()
    if best is None:
        raise ConfigError(
            "the prior's likelihood is not finite; take more molecules or fewer steps"
        )
    prior.load_state_dict(best)


def _nats(prior: Mixture | VampPrior | Flow | CodePrior, z: Tensor) -> float:
    return _mean_nats(prior.log_prob, z)


@torch.no_grad()
def _mean_nats(log_prob: Callable[[Tensor], Tensor], data: Tensor) -> float:
    return -float(torch.cat([log_prob(part) for part in data.split(_PASS)]).mean())


def _require_fit(model: SequenceVAE, config: PriorConfig) -> None:
    kind = config.kind
    if kind == "codes" and model.bottleneck.codebook is None:
        raise ConfigError("a prior over codes needs a VQ-VAE (model.bottleneck.kind vq)")
    if kind != "codes" and model.windows.count:
        raise ConfigError(
            f"a {kind} prior needs a latent space in which every molecule fills every dimension, "
            "and this model has windows, which molecules fill as far as they reach; take the blank "
            "or the exemplars prior"
        )
    if kind == "vamp" and model.config.bottleneck.kind != "gaussian":
        raise ConfigError(
            "a vamp prior is made of posteriors, and this model's have no width; take a mixture "
            "or a flow"
        )
