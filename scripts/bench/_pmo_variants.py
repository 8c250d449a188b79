"""The variants that ``pmo.py`` runs: the search as it is, without each of its parts, and peers."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from molvae.base.errors import ConfigError
from molvae.base.seeds import derive_seed
from molvae.datasets.readers import read_molecules
from molvae.optimize.acquisition import choose
from molvae.optimize.described import Described
from molvae.optimize.observed import Observed
from molvae.optimize.surrogates import FIT_ROWS, MoleculeGP, fit_hyperparameters

LIBRARY = 10_000
"""Molecules of a library that is screened by a surrogate."""
STEP = 10
"""Molecules that a surrogate of a library chooses at a time."""


@dataclass(frozen=True)
class Variant:
    """What is changed of the search, or which way a ``library`` is screened."""

    about: str
    changes: dict[str, Any] = field(default_factory=dict)
    library: str | None = None


def _without(*routes: str) -> dict[str, Any]:
    return {"routes": dict.fromkeys(routes, 0.0)}


VARIANTS: dict[str, Variant] = {
    "molvae": Variant("as it is"),
    "latent-only": Variant(
        "no moves on graphs: everything comes of the latent space",
        _without("edit", "recombination"),
    ),
    "graph-only": Variant(
        "no moves in the latent space",
        _without("prior", "perturbation", "crossover", "rewriting"),
    ),
    "no-perturbation": Variant("no steps in the latent space", _without("perturbation")),
    "no-crossover": Variant("no crossing of latents", _without("crossover")),
    "no-rewriting": Variant("no rewriting of forgotten parts", _without("rewriting")),
    "no-edit": Variant("no edits of graphs", _without("edit")),
    "no-recombination": Variant("no recombination of graphs", _without("recombination")),
    "structure": Variant("a surrogate of structures alone", {"surrogate": ["structure"]}),
    "descriptors": Variant("a surrogate of descriptors alone", {"surrogate": ["descriptors"]}),
    "latent": Variant("a surrogate of latents alone", {"surrogate": ["latent"]}),
    "no-latent": Variant(
        "a surrogate of structures and descriptors", {"surrogate": ["structure", "descriptors"]}
    ),
    "latent-ard": Variant(
        "a length for each latent dimension in the surrogate",
        {"surrogate": ["structure", "descriptors", "latent_ard"]},
    ),
    "deep": Variant("a Gaussian process with a network in its kernel", {"learner": "deep"}),
    "ensemble": Variant("an ensemble of networks as the surrogate", {"learner": "ensemble"}),
    "no-region": Variant("no trust region: latent steps keep their length", {"fixed_length": True}),
    "regions": Variant("three trust regions at once", {"regions": 3}),
    "logei": Variant("batches by expected improvement", {"acquisition": "logei"}),
    "ucb": Variant("batches by upper confidence bound", {"acquisition": "ucb"}),
    "one-round": Variant("one generation between evaluations", {"rounds": 1}),
    "prior": Variant("and samples of the model among the candidates", {"routes": {"prior": 1.0}}),
    "gradient": Variant("and ascents of the surrogate by gradient", {"routes": {"gradient": 1.0}}),
    "refresh": Variant("and a decoder refreshed every 500 evaluations", {"refresh": 500}),
    "refresh-all": Variant(
        "and the whole model refreshed every 500 evaluations",
        {"refresh": 500, "refresh_space": True},
    ),
    "random": Variant("random molecules of a library", library="random"),
    "library-gp": Variant(
        f"a fingerprint GP over {LIBRARY:,} molecules of a library", library="gp"
    ),
}
"""By name; the first is what the others are compared with."""


def screened(
    variant: Variant,
    function: Callable[..., Any],
    library: Path | None,
    calls: int,
    seed: int,
) -> tuple[list[str], list[float]]:
    """Molecules of a library in the order in which they are evaluated, and their values."""
    if library is None:
        raise ConfigError("this variant screens a library: give its SMILES with --library FILE")
    rng = np.random.default_rng(derive_seed(seed, "library"))
    smiles = [row.smiles for row in read_molecules(library) if row.problem is None]
    order = rng.permutation(len(smiles))[: calls if variant.library == "random" else LIBRARY]
    chosen = [smiles[i] for i in order]
    if variant.library == "random":
        return chosen, np.nan_to_num(function(chosen)).tolist()
    return _by_surrogate(chosen, function, calls, seed)


def _by_surrogate(
    library: Sequence[str], function: Callable[..., Any], calls: int, seed: int
) -> tuple[list[str], list[float]]:
    tested = list(range(5 * STEP))
    values = np.nan_to_num(function([library[i] for i in tested])).tolist()
    nowhere = np.zeros((len(library), 1))
    while len(tested) < calls:
        tried = [library[i] for i in tested]
        observed = Observed.once(tried, nowhere[tested], np.array(values))
        rows = np.argsort(-observed.utility, kind="stable")[:FIT_ROWS]
        fitted = fit_hyperparameters(observed.rows(rows), ("structure",), seed)
        surrogate = MoleculeGP.of(observed, fitted)
        left = np.setdiff1d(np.arange(len(library)), tested)
        hopes = surrogate.hopes(Described.of([library[i] for i in left], nowhere[left]))
        short = left[np.argsort(-hopes, kind="stable")[:300]]
        joint = surrogate.joint(Described.of([library[i] for i in short], nowhere[short]))
        picks = choose("thompson", joint, 0, min(STEP, calls - len(tested)), seed + len(tested))
        batch = [int(short[i]) for i in picks]
        tested += batch
        values += np.nan_to_num(function([library[i] for i in batch])).tolist()
    return [library[i] for i in tested], values
