"""What it costs a search, and brings, to be kept to molecules typical of the model.

Each task is searched for freely, and kept to molecules as likely as some share of the model's own
samples (`molvae optimize --typical SHARE`), always among sane ones. Of the fifty best: their mean
value, how many hold known parts alone (those of a million PubChem molecules, by
`molvae.chem.scores.unseen_parts`), and the unknown parts of one; and CPU seconds of one thread.
Means over seeds; with ``-o`` what has been run is kept there, and not run again.

    python scripts/bench/typical.py --model druglike -o typical.json
"""

from __future__ import annotations

import time
from typing import Any

import numpy as np
import torch
from _common import arguments, finish, print_table

import molvae
from molvae.base.files import read_json
from molvae.chem.scores import unseen_parts
from molvae.chem.smiles import parse
from molvae.generator import Generator
from molvae.optimize.filtered import filtered
from molvae.optimize.run import optimize
from molvae.oracles.functions import property_objective
from molvae.oracles.objective import Objective
from molvae.oracles.tasks import task

TASKS = ("qed", "zaleplon_mpo", "perindopril_mpo", "osimertinib_mpo")
SHARES = (0.9, 0.5, 0.2)
BEST = 50


def main() -> None:
    parser = arguments(__doc__, rounds=1)
    parser.add_argument("--model", default="druglike", help="directory or name (%(default)s)")
    parser.add_argument("--calls", type=int, default=300, help="evaluations (%(default)s)")
    parser.add_argument("--tasks", nargs="+", choices=TASKS, default=TASKS)
    parser.add_argument("--shares", nargs="+", type=float, default=SHARES)
    parser.add_argument("--seeds", type=int, nargs="+", default=[0, 1])
    options = parser.parse_args()
    small: dict[str, Any] = {}
    if options.smoke:
        options.calls, options.seeds, options.tasks, options.shares = 6, [0], TASKS[:1], [0.9]
        small = {"candidates": 16, "initial": 3, "batch_size": 3, "rounds": 1}
    torch.set_num_threads(1)
    generator = molvae.load(options.model, "cpu")
    before = options.output is not None and options.output.exists()
    found: dict[str, dict[str, float]] = read_json(options.output)["runs"] if before else {}
    for seed in options.seeds:
        for name in options.tasks:
            for share in (None, *options.shares):
                run = f"{name} {share or 'free'} {seed}"
                if run not in found:
                    found[run] = search(generator, name, share, options.calls, seed, small)
                    finish(options.output, "typical", {"calls": options.calls, "runs": found})
    for name in (*options.tasks, ""):
        rows = [row(found, name, share) for share in (None, *options.shares)]
        print(f"\n{name or 'All of them'}\n")
        print_table(rows, ["typical", "value", "known parts alone", "unknown parts", "seconds"])


def search(
    generator: Generator,
    name: str,
    share: float | None,
    calls: int,
    seed: int,
    small: dict[str, Any],
) -> dict[str, float]:
    """One search: of its best molecules the mean value and what they are made of."""
    objective: Objective = property_objective(name, "maximize") if name == "qed" else task(name)
    start = time.process_time()
    kept = filtered(generator, sane=True, typical=share)
    result = optimize(kept, objective, budget=calls, progress=False, **{**small, "seed": seed})
    took = time.process_time() - start
    values = np.nan_to_num(np.asarray(result.values, float))
    best = np.argsort(-values, kind="stable")[:BEST]
    smiles = [result.observations[i].suggestion.smiles for i in best]
    strange = np.array([unseen_parts(parse(text)) for text in smiles])
    return {
        "value": float(values[best].mean()),
        "known": float((strange == 0).mean()),
        "unknown": float(strange.mean()),
        "seconds": took,
    }


def row(found: dict[str, dict[str, float]], name: str, share: float | None) -> list[str]:
    """The means over the runs of a task (of all, without a name) with that share."""
    end = f" {share or 'free'} "
    runs = [run for key, run in found.items() if key.startswith(name) and end in key]
    value, known, unknown, seconds = (
        np.mean([run[key] for run in runs]) for key in ("value", "known", "unknown", "seconds")
    )
    how = "free" if share is None else f"{share:g}"
    return [how, f"{value:.3f}", f"{known:.0%}", f"{unknown:.2f}", f"{seconds:.0f}"]


if __name__ == "__main__":
    main()
