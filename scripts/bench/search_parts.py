"""The parts of the search by themselves: what surrogates predict, and how far routes reach.

Surrogates of each part, and of all, learn the values of random molecules of the model and predict
those of others: R² for the five tasks on which the search was tuned. Routes make children of random
molecules: the mean similarity of the new ones to the nearer parent (Morgan, radius 2), and how many
of those asked for are new and can be encoded.

    python scripts/bench/search_parts.py --model druglike
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from _common import arguments, finish, print_table

import molvae
from molvae.chem.similarity import fingerprints, similarity
from molvae.chem.smiles import parse_many
from molvae.generator import Generator
from molvae.optimize.config import Routes
from molvae.optimize.described import Described
from molvae.optimize.observed import Observed
from molvae.optimize.parts import PARTS, Part
from molvae.optimize.routes import Parents, offspring
from molvae.optimize.surrogates import FIT_ROWS, MoleculeGP, fit_hyperparameters
from molvae.oracles.tasks import task

TASKS = ("median1", "zaleplon_mpo", "sitagliptin_mpo", "fexofenadine_mpo", "isomers_c7h8n2o2")
KERNELS: tuple[tuple[Part, ...], ...] = (*((part,) for part in PARTS), PARTS)
REACH = 0.5
"""Longest latent step, in standard deviations of the prior: that of a new trust region."""


def main() -> None:
    parser = arguments(__doc__, rounds=1)
    parser.add_argument("--model", default="druglike", help="directory or name (%(default)s)")
    parser.add_argument("--n", type=int, default=1200, help="molecules (%(default)s)")
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args()
    if options.smoke:
        options.n = 60
    torch.set_num_threads(1)
    generator = molvae.load(options.model, "cpu")
    smiles = generator.sample(options.n, seed=options.seed, unique=True)
    predicted = predictions(smiles, generator.encode(smiles).astype(float))
    reached = reaches(generator, smiles, options.seed)
    names = [" + ".join(parts) for parts in KERNELS]
    print_table(
        [[name, *(f"{r2[name]:.2f}" for name in names)] for name, r2 in predicted.items()],
        ["R²", *names],
    )
    print_table(
        [[name, f"{row['similarity']:.2f}", f"{row['new']:.2f}"] for name, row in reached.items()],
        ["route", "similarity", "new"],
    )
    finish(options.output, "search_parts", {"surrogates": predicted, "routes": reached})


def predictions(smiles: Sequence[str], z: np.ndarray) -> dict[str, dict[str, float]]:
    """R² on a quarter of the molecules of surrogates that learnt from the others."""
    known = 3 * len(smiles) // 4
    found: dict[str, dict[str, float]] = {}
    for name in TASKS:
        values = np.nan_to_num(task(name).function(smiles))
        observed = Observed.once(smiles[:known], z[:known], values[:known])
        true = values[known:]
        for parts in KERNELS:
            fitted = fit_hyperparameters(observed.rows(np.arange(known)[:FIT_ROWS]), parts, 0)
            surrogate = MoleculeGP.of(observed, fitted)
            mean, _ = surrogate.expected(Described.of(smiles[known:], z[known:]))
            error = float(((mean - true) ** 2).mean() / max(true.var(), 1e-12))
            found.setdefault(name, {})[" + ".join(parts)] = 1 - error
    return found


def reaches(generator: Generator, smiles: Sequence[str], seed: int) -> dict[str, dict[str, Any]]:
    """How like their nearest parent the children of each route are."""
    parents = Parents(tuple(smiles), generator.encode(smiles), np.ones(len(smiles)))
    prints = fingerprints(parse_many(smiles))
    found = {}
    for name in Routes().names:
        if name == "gradient":
            continue
        # A share of nothing at all is refused where only rewriting is left.
        shares = Routes.parse({each: 1.0 if each == name else 1e-9 for each in Routes().names})
        children = offspring(generator, parents, len(smiles), shares, REACH, set(smiles), seed)
        alike = similarity(fingerprints(parse_many(children.smiles)), prints).max(axis=1)
        found[name] = {"similarity": float(alike.mean()), "new": len(children) / len(smiles)}
    return found


if __name__ == "__main__":
    main()
