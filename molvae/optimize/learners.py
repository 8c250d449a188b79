"""Which surrogates there are, and how each comes from observations.

===========  ==============================================================================
``gp``       :class:`~molvae.optimize.surrogates.MoleculeGP`, a Gaussian process with a kernel
             for each part that it sees of molecules
``deep``     :class:`~molvae.optimize.deep.DeepGP`, one whose kernel is learnt by a network
``ensemble`` :class:`~molvae.optimize.ensemble.Ensemble`, networks that may disagree
===========  ==============================================================================
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial

from molvae.optimize import deep, surrogates
from molvae.optimize.deep import DeepGP, fit_network
from molvae.optimize.ensemble import Ensemble
from molvae.optimize.observed import Observed
from molvae.optimize.parts import Learner, Part
from molvae.optimize.posterior import Surrogate
from molvae.optimize.surrogates import MoleculeGP, fit_hyperparameters

Conditioning = Callable[[Observed], Surrogate]
"""From observations to what has learnt of them."""


def fit(learner: Learner, observed: Observed, parts: Sequence[Part], seed: int) -> Conditioning:
    """What a ``learner`` finds out once and for all from what is ``observed``, none of it NaN.

    The ``gp`` fits its hyperparameters and ``deep`` its network, to use them with any observations
    from then on; an ``ensemble`` finds nothing out, and is fitted to the observations it is given.

    >>> import numpy as np
    >>> from molvae.optimize.described import Described
    >>> observed = Observed.once(["C", "CC", "CCC"], np.zeros((3, 1)), np.array([1.0, 2.0, 3.0]))
    >>> surrogate = fit("gp", observed, ("structure", "descriptors"), seed=0)(observed)
    >>> mean, spread = surrogate.expected(Described.of(["CCCC"], np.zeros((1, 1))))
    >>> bool(mean[0] > 2)
    True
    """
    if learner == "gp":
        return partial(MoleculeGP.of, fitted=fit_hyperparameters(observed, parts, seed))
    if learner == "deep":
        return partial(DeepGP.of, fitted=fit_network(observed, parts, seed))
    return partial(Ensemble.of, parts=parts, seed=seed)


def fit_rows(learner: Learner) -> int:
    """Of how many observations, at most, a ``learner`` finds out what :func:`fit` does."""
    return deep.FIT_ROWS if learner == "deep" else surrogates.FIT_ROWS
