"""How well `molvae anomalies` tells molecules that are unlike a model's from those that are like.

Each contrast is ranked against held-out molecules of the model's own data that its calibration has
not seen, by each score alone and combined, and by an isolation forest on Morgan fingerprints
(radius 2, 2,048 bits) of training molecules: the columns are ROC-AUCs. What the model cannot encode
ranks above everything; ``unreadable`` is its share, ``readable`` the combined score's ROC-AUC on
the others, and ``caught`` the share called an anomaly at a false-alarm rate of .05. The contrasts:
approved drugs; of those, AqSolDB and MoleculeACE the natural-product-like (NP-likeness of at least
1) and the macrocycles (a ring of at least 12 atoms); QM9; random symbols of the model's alphabet.

    python scripts/bench/anomalies.py --model druglike --corpus corpora/zinc250k -o anomalies.json
"""

from __future__ import annotations

import random
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from _common import SAMPLE, arguments, finish, print_table

import molvae
from molvae.base.progress import track
from molvae.base.seeds import derive_seed
from molvae.chem.properties import compute
from molvae.chem.similarity import fingerprints
from molvae.chem.smiles import MoleculeError, canonicalise_many, parse_many
from molvae.datasets.corpus import Corpus
from molvae.datasets.registry import DATASETS
from molvae.datasets.sources import Source
from molvae.generator import Generator
from molvae.latent.anomaly import Detector, Verdicts
from molvae.latent.anomaly_files import NAME, load_detector
from molvae.metrics.prediction import auroc
from molvae.oracles.fitted.labels import standard_form
from molvae.training.shipped import model_path

NATURAL, RING = 1.0, 12
FALSE_ALARMS = 0.05
TRAINING = 5000
"""Molecules that the isolation forest is grown on."""
SEED = 1
"""Not that of the calibrations."""


def main() -> None:
    parser = arguments(__doc__, rounds=1)
    parser.add_argument("--model", default="druglike", help="directory or name (%(default)s)")
    parser.add_argument("--corpus", type=Path, help="its corpus, for held-out molecules")
    parser.add_argument("--molecules", type=int, default=500, help="of each set (%(default)s)")
    parser.add_argument("--calibrated-on", choices=("data", "samples"), default="data",
                        help="the model's own calibration, or its own samples")  # fmt: skip
    options = parser.parse_args()
    generator, usual, known, detector, sets = (smoke if options.smoke else real)(options)
    judged = {
        name: detector.judge(generator, smiles, false_alarms=FALSE_ALARMS)
        for name, smiles in track(sets.items(), "contrasts")
    }
    beside = detector.judge(generator, usual, false_alarms=FALSE_ALARMS)
    forest = isolation(known)
    usual_scores = forest(usual)
    rows = [row(name, judged[name], beside, forest(sets[name]), usual_scores) for name in sets]
    false = rate(beside)
    names = list(rows[0])
    print_table([[cell(r[name]) for name in names] for r in rows], names)
    print(f"\nheld-out molecules called anomalies: {false:.3f} of {len(usual)}")
    finish(options.output, "anomalies", {"results": rows, "false_alarms": false,
                                         "calibrated_on": detector.source})  # fmt: skip


def real(options: Any) -> tuple[Generator, list[str], list[str], Detector, dict[str, list[str]]]:
    """The model at work, held-out molecules, training molecules, a detector and the contrasts."""
    generator = molvae.load(options.model, "cpu")
    if options.corpus is None:
        raise SystemExit("name the model's corpus with --corpus")
    corpus = Corpus.open(options.corpus)
    test = corpus.indices("test")
    order = np.random.default_rng(derive_seed(0, "reference")).permutation(len(test))
    # Those that no calibration of up to 4,000 molecules has taken: they come first in this order.
    usual = corpus.smiles(test[np.sort(order[-2 * options.molecules :])])
    known = corpus.smiles(some(corpus.indices("train"), TRAINING))
    if options.calibrated_on == "samples":
        samples = generator.sample(2000, seed=SEED, unique=True)
        detector = Detector.fit(generator, samples, source="the model's own samples")
    else:
        detector = load_detector(model_path(options.model) / NAME)
    return generator, usual, known, detector, contrasts(generator, usual, options.molecules)


def smoke(_: Any) -> tuple[Generator, list[str], list[str], Detector, dict[str, list[str]]]:
    """The same at a tiny size: an untrained model and the sample in the repository."""
    from climb import smoke as untrained

    generator, molecules = untrained(), SAMPLE.read_text().split()
    known, usual = molecules[:100], molecules[100:150]
    detector = Detector.fit(generator, known, source="a sample")
    return generator, usual, known, detector, {"random": scrambled(generator, usual, 20)}


def contrasts(generator: Generator, usual: Sequence[str], n: int) -> dict[str, list[str]]:
    """At most ``n`` molecules of each kind, in standard form."""
    drugs = rows_of("approved_drugs")
    pool = [*drugs, *rows_of("aqsoldb")]
    pool += [
        s for name in sorted(DATASETS) if name.startswith("moleculeace") for s in rows_of(name)
    ]
    pool = list(dict.fromkeys(pool))
    ring = compute(pool, ["largest_ring"], progress=False)[:, 0]
    # NP-likeness is dear: of a part of the pool, drawn at random.
    part = some(pool, 20 * n)
    natural = compute(part, ["np_likeness", "heavy_atoms"], progress=False)
    return {
        "approved drugs": standard(some(drugs, n)),
        "natural-product-like": standard(
            some(
                [s for s, (v, a) in zip(part, natural, strict=True) if v >= NATURAL and a >= 10], n
            )
        ),
        "macrocycles": standard(some([s for s, v in zip(pool, ring, strict=True) if v >= RING], n)),
        "QM9": standard(some(rows_of("qm9"), n)),
        "random SELFIES": scrambled(generator, usual, n),
    }


def rows_of(name: str) -> list[str]:
    """The SMILES of a public data set."""
    return [row.smiles for _, row in Source.dataset(name, labels=[]).rows() if not row.problem]


def standard(smiles: Sequence[str]) -> list[str]:
    """Parents without salts, each once."""
    found = []
    for text in smiles:
        try:
            found.append(standard_form(text))
        except MoleculeError:
            continue
    return list(dict.fromkeys(found))


def some(items: Any, n: int) -> Any:
    """At most ``n`` of ``items``, in their order."""
    order = np.random.default_rng(derive_seed(SEED, "some", len(items))).permutation(len(items))
    rows = np.sort(order[:n])
    return items[rows] if isinstance(items, np.ndarray) else [items[i] for i in rows]


def scrambled(generator: Generator, usual: Sequence[str], n: int) -> list[str]:
    """What random symbols of the alphabet spell, as many of them as held-out molecules have."""
    draw = random.Random(derive_seed(SEED, "symbols"))
    lengths = [int(k) for k in generator.symbols(usual) if k]
    tokenizer = generator.tokenizer
    first = tokenizer.vocab_size - len(tokenizer.alphabet)
    ids = [
        [draw.randrange(first, tokenizer.vocab_size) for _ in range(draw.choice(lengths))]
        for _ in range(n)
    ]
    return list(dict.fromkeys(s for s in canonicalise_many(tokenizer.decode(ids)) if s))


def isolation(known: Sequence[str]) -> Callable[[Sequence[str]], np.ndarray]:
    """Scores, more for more unlike, of an isolation forest (Liu, Ting & Zhou 2008)."""
    from sklearn.ensemble import IsolationForest

    def bits(smiles: Sequence[str]) -> np.ndarray:
        return np.unpackbits(fingerprints(parse_many(smiles)), axis=1)

    forest = IsolationForest(n_estimators=200, random_state=SEED).fit(bits(known))
    return lambda smiles: -forest.score_samples(bits(smiles))


def row(
    name: str, found: Verdicts, usual: Verdicts, isolated: np.ndarray, usual_isolated: np.ndarray
) -> dict[str, Any]:
    """ROC-AUC of each score on one contrast, and what the verdict caught."""
    readable = ~np.isnan(found.scores.exact)
    sides = {
        "likelihood": (found.scores.likelihood, usual.scores.likelihood),
        "reconstruction": (found.scores.reconstruction, usual.scores.reconstruction),
        "bound": (found.scores.bound, usual.scores.bound),
        "distance": (found.distance, usual.distance),
        "combined": (found.combined, usual.combined),
    }
    return {
        "contrast": name,
        "molecules": len(readable),
        "unreadable": float((~readable).mean()),
        **{key: auc(*pair) for key, pair in sides.items()},
        "readable": auc(found.combined[readable], usual.combined),
        "caught": rate(found),
        "isolation forest": auc(isolated, usual_isolated),
    }


def auc(strange: np.ndarray, usual: np.ndarray) -> float:
    """The share of pairs in the right order; NaN and infinity are the most unlike."""
    values = np.nan_to_num(np.concatenate([strange, usual]), nan=1e30, posinf=1e30)
    return auroc(np.arange(len(values)) < len(strange), values)


def rate(found: Verdicts) -> float:
    """The share of molecules that are called anomalies."""
    return sum(v == "anomaly" for v in found.verdict) / len(found.verdict)


def cell(value: Any) -> str:
    return f"{value:.3f}" if isinstance(value, float) else str(value)


if __name__ == "__main__":
    main()
