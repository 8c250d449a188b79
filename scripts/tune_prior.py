"""Which prior samples most like the data? A grid, judged on the corpus's validation part.

    python scripts/tune_prior.py models/moses corpora/moses --widths 0.5 1 1.5 --rewrite 0 0.5 1

For each setting of an exemplar prior (and for the plain and the blank one) it draws molecules and
prints the Fréchet ChemNet Distance to the validation molecules, the share that is new, valid and
unique, and the same distance for training molecules: no setting can be expected below that. The
test part is not touched, so what is chosen here can be reported there.
"""

from __future__ import annotations

import argparse
import json

import numpy as np

from molvae.datasets.corpus import Corpus
from molvae.generator import Generator
from molvae.metrics.chemnet import activations
from molvae.metrics.frechet import Gaussian, frechet_distance
from molvae.models.config import PriorConfig
from molvae.training.checkpoint import load_model
from molvae.training.prior import with_prior


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("model")
    parser.add_argument("corpus")
    parser.add_argument("--samples", type=int, default=10_000)
    parser.add_argument("--reference", type=int, default=30_000, help="validation molecules")
    parser.add_argument("--exemplars", type=int, default=100_000)
    parser.add_argument("--widths", type=float, nargs="*", default=[0.5, 1.0, 1.5])
    parser.add_argument("--rewrite", type=float, nargs="*", default=[0.0, 0.5, 1.0])
    parser.add_argument("--temperatures", type=float, nargs="*", default=[1.0])
    parser.add_argument("--plain", action="store_true", help="the normal and blank priors too")
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args()

    corpus = Corpus.open(options.corpus)
    loaded = load_model(options.model)
    random = np.random.default_rng(options.seed)
    held_out = random.permutation(corpus.indices("validation"))[: options.reference]
    reference = Gaussian.of(activations(corpus.smiles(held_out)))
    training = corpus.indices("train")
    known = set(corpus.smiles(training))
    some = corpus.smiles(random.permutation(training)[: options.samples])
    floor = frechet_distance(Gaussian.of(activations(some)), reference)
    print(json.dumps({"training molecules": len(some), "FCD": round(floor, 4)}), flush=True)

    grid = [
        PriorConfig(kind="exemplars", exemplars=1, symbols=1, width=width, rewrite=rewrite)
        for width in options.widths
        for rewrite in options.rewrite
    ]
    if options.plain:
        grid += [PriorConfig(kind="normal"), PriorConfig(kind="blank")]
    for config in grid:
        made = with_prior(loaded, config, corpus, exemplars=options.exemplars)
        generator = Generator(made.model, made.tokenizer, made.config)
        z = generator.sample_prior(options.samples, seed=options.seed)
        for temperature in options.temperatures:
            chance = {"strategy": "sample", "temperature": temperature}
            drawn = generator.decode(
                z, seed=options.seed, **(chance if temperature else {"strategy": "greedy"})
            )
            smiles = [s for s in drawn if s is not None]
            distance = frechet_distance(Gaussian.of(activations(smiles)), reference)
            row = {
                "prior": config.kind,
                "width": config.width,
                "rewrite": config.rewrite,
                "temperature": temperature,
                "FCD": round(distance, 4),
                "above training": round(distance - floor, 4),
                "new": round(1 - len([s for s in smiles if s in known]) / len(smiles), 4),
                "valid": round(len(smiles) / len(drawn), 4),
                "unique": round(len(set(smiles)) / len(smiles), 4),
            }
            print(json.dumps(row), flush=True)


if __name__ == "__main__":
    main()
