"""Two runs of the demo side by side: what they took, how good their models and molecules are.

    python scripts/demo_compare.py demo demo/from-scratch

The optimised values of the two are of one kind but not of one scale, since each run believes its
own head's log D; so the proposals are judged by both heads, and by a forest on fingerprints and
descriptors that neither has seen (`molvae fit-oracle`; written beside the first run).
"""

from __future__ import annotations

import csv
import json
import sys
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

import numpy as np

import molvae
from molvae.chem.alerts import SanityOptions, insane_reason
from molvae.chem.properties import compute
from molvae.chem.smiles import parse
from molvae.cli.common import print_table
from molvae.datasets.corpus import Corpus
from molvae.datasets.download import fetch
from molvae.oracles.fitted.fit import fit_oracle
from molvae.oracles.fitted.store import load_oracle

sys.path.insert(0, str(Path(__file__).parent))
from demo_objective import DrugLikeInWindow, value

LABEL, SAMPLES, TOP = "log_d", 1000, 50
Judge = Callable[[Sequence[str]], np.ndarray]


def forest(out: Path) -> Judge:
    """The demo's value by a forest of the measured log D, kept in ``out``."""
    if not out.exists():
        fit_oracle(fetch("lipophilicity")[0], "target", out)
    oracle, _ = load_oracle(out)
    return lambda smiles: value(smiles, *oracle.predict(smiles))


def measure(out: Path, judges: Mapping[str, Judge]) -> dict[str, float]:
    """The figures of one run of the demo."""
    generator = molvae.load(out / "model", "cpu")
    corpus = Corpus.open(out / "logd")
    rows = corpus.indices("test")
    smiles = corpus.smiles(rows)
    back = generator.reconstruct(smiles)
    predicted = generator.predict(smiles)[LABEL]
    true = np.asarray(corpus.labels[rows, corpus.label_names.index(LABEL)], np.float64)
    known = ~np.isnan(predicted)
    error = (predicted - true)[known]
    samples = generator.sample(SAMPLES, seed=0)
    limits = SanityOptions()
    sane = [insane_reason(parse(s), limits) is None for s in samples]
    with (out / "proposals.csv").open(newline="") as table:
        best = [row["smiles"] for _, row in zip(range(TOP), csv.DictReader(table), strict=False)]
    qed, sa = compute(best, ["qed", "sa"], progress=False).T
    seconds = json.loads((out / "seconds.json").read_text())
    return {
        "minutes in all": sum(seconds.values()) / 60,
        "log D of held-out molecules, RMSE": float(np.sqrt(np.mean(error**2))),
        "log D of held-out molecules, R2": float(1 - np.mean(error**2) / np.var(true[known])),
        "held-out molecules back exactly": np.mean(
            [a == b for a, b in zip(smiles, back, strict=True)]
        ).item(),
        f"sane among {SAMPLES:,} prior samples": float(np.mean(sane)),
        **{
            f"best {TOP}: value by {name}": float(np.nanmean(judge(best)))
            for name, judge in judges.items()
        },
        f"best {TOP}: QED": float(qed.mean()),
        f"best {TOP}: SA (1 easy, 10 hard)": float(sa.mean()),
    }


def main() -> None:
    """Print the table."""
    places = [Path(text) for text in sys.argv[1:]]
    judges: dict[str, Judge] = {
        f"the head of {place}/model": DrugLikeInWindow(str(place / "model")) for place in places
    }
    judges["a forest"] = forest(places[0] / "forest")
    found = {str(place): measure(place, judges) for place in places}
    names = list(found[str(places[0])])
    print_table([{"": n, **{place: found[place][n] for place in found}} for n in names])


if __name__ == "__main__":
    main()
