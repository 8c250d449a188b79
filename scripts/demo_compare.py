"""Two runs of the demo side by side: what they took, how good their models and molecules are.

    python scripts/demo_compare.py demo demo/from-scratch

The optimised values of the two are of one kind but not of one scale, since each run believes its
own head's log D; so the proposals are judged by both heads.
"""

from __future__ import annotations

import csv
import json
import sys
from pathlib import Path

import numpy as np

import molvae
from molvae.chem.alerts import SanityOptions, insane_reason
from molvae.chem.properties import compute
from molvae.chem.smiles import parse
from molvae.cli.common import print_table
from molvae.datasets.corpus import Corpus

sys.path.insert(0, str(Path(__file__).parent))
from demo_objective import DrugLikeInWindow

LABEL, SAMPLES, TOP = "log_d", 1000, 50


def measure(out: Path, judges: list[DrugLikeInWindow]) -> dict[str, float]:
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
            f"best {TOP}: value by the head of {judge.model}": float(np.nanmean(judge(best)))
            for judge in judges
        },
        f"best {TOP}: QED": float(qed.mean()),
        f"best {TOP}: SA (1 easy, 10 hard)": float(sa.mean()),
    }


def main() -> None:
    """Print the table."""
    places = [Path(text) for text in sys.argv[1:]]
    judges = [DrugLikeInWindow(str(place / "model")) for place in places]
    found = {str(place): measure(place, judges) for place in places}
    names = list(found[str(places[0])])
    print_table([{"": n, **{place: found[place][n] for place in found}} for n in names])


if __name__ == "__main__":
    main()
