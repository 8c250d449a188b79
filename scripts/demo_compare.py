"""The two ways of the demo side by side: what they took, how good models and molecules are.

    python scripts/demo_compare.py                  # once both have run
    python scripts/demo_compare.py --searches 5     # and four more searches of each, by other seeds

Each search believes the log D of its own head, as far as that was right about molecules set aside;
so the proposals are judged by both heads, and by a forest on fingerprints and descriptors that
neither has seen (`molvae fit-oracle`; written beside the first run). Whether they look like
molecules that somebody made is judged by their parts (`molvae.chem.scores.unseen_parts`). Searches
differ by chance: with several, the figures of their proposals are means, with their deviation.
"""

from __future__ import annotations

import argparse
import csv
import importlib
import json
import os
import shlex
import subprocess
import sys
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

import numpy as np

import molvae
from molvae.chem.alerts import SanityOptions, insane_reason, sane_mask
from molvae.chem.properties import compute
from molvae.chem.scores import unseen_parts
from molvae.chem.similarity import fingerprints, pairwise_similarity, similarity
from molvae.chem.smiles import parse
from molvae.cli.common import print_table
from molvae.datasets.corpus import Corpus
from molvae.datasets.download import fetch
from molvae.oracles.fitted.fit import fit_oracle
from molvae.oracles.fitted.model import FittedOracle
from molvae.oracles.fitted.store import load_oracle

sys.path.insert(0, str(Path(__file__).parent))
from demo_objective import HIGHEST, LABEL, LOWEST, DrugLikeInWindow, Trust, value

# By name, for a run of the demo leaves a directory `demo` that linters take for a package of ours.
demo = importlib.import_module("demo")
SAMPLES, TOP = 1000, 50
AFTER = (60, 100, 300)  # evaluations
ALIKE = (0.3, 0.4, 0.5)
OBJECTIVES = {demo.OUT: "wanted", demo.SCRATCH: "wanted_from_scratch"}
Judge = Callable[[Sequence[str]], np.ndarray]


def forest(out: Path) -> FittedOracle:
    """A forest of the measured log D, kept in ``out``."""
    if not out.exists():
        fit_oracle(fetch("lipophilicity")[0], "target", out)
    return load_oracle(out)[0]


def search_again(out: Path, searches: int) -> None:
    """Further searches of one run by other seeds; what is there is not searched for again."""
    for seed in range(1, searches):
        more = f" --seed {seed} --quiet"
        command = shlex.split(demo.optimize(out, OBJECTIVES[out], f"proposals-{seed}", more))
        if not (out / f"proposals-{seed}.csv").exists():
            environment = {**demo.ONE_THREAD, **os.environ}
            code = subprocess.run([sys.executable, "-m", *command], env=environment).returncode
            if code:
                sys.exit(code)  # it has said why


def measure(out: Path, judges: Mapping[str, Judge], oracle: FittedOracle) -> dict[str, list[float]]:
    """The figures of one run of the demo; those of its proposals, of every search."""
    generator = molvae.load(out / "model", "cpu")
    corpus = Corpus.open(out / "logd")
    rows = corpus.indices("test")
    smiles = corpus.smiles(rows)
    back = generator.reconstruct(smiles)
    predicted = generator.predict(smiles)[LABEL]
    true = np.asarray(corpus.labels[rows, corpus.label_names.index(LABEL)], np.float64)
    known = ~np.isnan(predicted)
    error = (predicted - true)[known]
    trust = Trust(generator, corpus)
    surprise = error / trust.spread(trust.similarity(smiles))[known]
    samples = generator.sample(SAMPLES, seed=0)
    limits = SanityOptions()
    sane = [insane_reason(parse(s), limits) is None for s in samples]
    seconds = json.loads((out / "seconds.json").read_text())
    found = {
        "minutes in all": [sum(seconds.values()) / 60],
        "log D of held-out molecules, RMSE": [root_mean_square(error)],
        "log D of held-out molecules, R2": [float(1 - np.mean(error**2) / np.var(true[known]))],
        "error as a multiple of what is expected": [root_mean_square(surprise)],
        "held-out molecules back exactly": [
            np.mean([a == b for a, b in zip(smiles, back, strict=True)]).item()
        ],
        f"sane among {SAMPLES:,} prior samples": [float(np.mean(sane))],
        **{name: [share] for name, share in led(out / "leads.csv", oracle).items()},
    }
    for table in [out / "proposals.csv", *sorted(out.glob("proposals-*.csv"))]:
        for name, worth in judge(table, judges).items():
            found.setdefault(name, []).append(worth)
    return found


def root_mean_square(values: np.ndarray) -> float:
    return float(np.sqrt(np.mean(values**2)))


def led(table: Path, oracle: FittedOracle) -> dict[str, float]:
    """Shares of the molecules that were too lipophilic of which came one that is sane, alike, and
    by the forest of a log D in the window."""
    with table.open(newline="") as file:
        rows = list(csv.DictReader(file))
    starts = [row["start_smiles"] for row in rows]
    ends = [row["smiles"] or None for row in rows]
    log_d = np.full(len(rows), np.nan)
    there = [i for i, end in enumerate(ends) if end is not None]
    log_d[there] = oracle.predict([end for end in ends if end is not None])[0]
    right = (log_d >= LOWEST) & (log_d <= HIGHEST) & sane_mask(ends)
    changed = np.array([a != b for a, b in zip(starts, ends, strict=True)])
    alike = pairwise_similarity(ends, starts)
    return {
        f"of {len(rows)} too lipophilic, brought into the window, Tanimoto {least} at least": float(
            np.mean(right & changed & (alike >= least))
        )
        for least in ALIKE
    }


def judge(proposals: Path, judges: Mapping[str, Judge]) -> dict[str, float]:
    """What the best molecules of one search are worth, and how soon such were found."""
    with proposals.open(newline="") as table:
        rows = list(csv.DictReader(table))
    best = [row["smiles"] for row in rows[:TOP]]
    there = [(int(r["order"]), float(r["value"])) for r in rows if r["feasible"] == "yes"]
    soon = {n: sorted((value for at, value in there if at < n), reverse=True) for n in AFTER}
    qed, sa = compute(best, ["qed", "sa"], progress=False).T
    mols = [parse(text) for text in best]
    strange = [unseen_parts(mol) for mol in mols]
    prints = fingerprints(mols)
    alike = similarity(prints, prints)[np.triu_indices(len(best), 1)]
    return {
        **{f"best {TOP} of {n}: value by its own head": mean(soon[n][:TOP]) for n in AFTER},
        **{f"best {TOP}: value by {n}": float(np.nanmean(of(best))) for n, of in judges.items()},
        f"best {TOP}: QED": float(qed.mean()),
        f"best {TOP}: SA (1 easy, 10 hard)": float(sa.mean()),
        f"best {TOP}: share of known parts alone": float(np.mean([n == 0 for n in strange])),
        f"best {TOP}: unknown parts of one": float(np.mean(strange)),
        f"best {TOP}: similarity of two": float(alike.mean()),
    }


def mean(values: Sequence[float]) -> float:
    """NaN of none."""
    return float(np.mean(values)) if values else float("nan")


def figure(values: Sequence[float]) -> str:
    """The mean, and of several the standard deviation."""
    spread = f" ± {np.std(values, ddof=1):.3f}" if len(values) > 1 else ""
    return f"{np.mean(values):.3f}{spread}"


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--searches", type=int, default=1, help="of each way (default 1)")
    searches = parser.parse_args().searches
    for place in OBJECTIVES:
        search_again(place, searches)
    judges: dict[str, Judge] = {
        f"the head of {place}/model": DrugLikeInWindow(str(place)) for place in OBJECTIVES
    }
    oracle = forest(demo.OUT / "forest")
    judges["a forest"] = lambda smiles: value(smiles, *oracle.predict(smiles))
    found = {str(place): measure(place, judges, oracle) for place in OBJECTIVES}
    names = list(found[str(demo.OUT)])
    print_table([{"": n, **{place: figure(found[place][n]) for place in found}} for n in names])


if __name__ == "__main__":
    main()
