"""Two objectives at once: the hypervolume that each way of weighing them reaches.

The two tasks pull apart, both between 0 and 1, so the volume is above (0, 0) and 1 at most. The
search for hypervolume is compared with sums and least values under weights that are drawn anew at
every step, with one surrogate that learns both tasks together, and with samples of the model. Means
over seeds; with ``-o`` what has been run is kept there, and not run again.

    python scripts/bench/several.py --model druglike -o several.json
"""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from _common import arguments, finish, print_table

import molvae
from molvae.base.files import read_json
from molvae.optimize.pareto import hypervolume
from molvae.optimize.run import optimize
from molvae.oracles.tasks import task

TASKS = ("fexofenadine_mpo", "median1")
WAYS: dict[str, dict[str, Any]] = {
    "hypervolume": {},
    "hypervolume, tasks together": {"tasks": "together"},
    "least of weighted (Chebyshev)": {"scalarisation": "chebyshev"},
    "weighted sum": {"scalarisation": "weighted"},
}
SAMPLES = "samples of the model"


def main() -> None:
    parser = arguments(__doc__, rounds=1)
    parser.add_argument("--model", default="druglike", help="directory or name (%(default)s)")
    parser.add_argument("--calls", type=int, default=300, help="evaluations (%(default)s)")
    parser.add_argument("--seeds", type=int, nargs="+", default=[0, 1, 2])
    options = parser.parse_args()
    small: dict[str, Any] = {}
    if options.smoke:
        options.calls, options.seeds = 12, [0]
        small = {"candidates": 16, "initial": 6, "batch_size": 3, "rounds": 1}
    torch.set_num_threads(1)
    generator = molvae.load(options.model, "cpu")
    before = options.output is not None and options.output.exists()
    found: dict[str, dict[str, float]] = read_json(options.output)["volumes"] if before else {}
    tasks = [task(name) for name in TASKS]
    for seed in options.seeds:
        for way, changes in WAYS.items():
            volumes = found.setdefault(way, {})
            if str(seed) not in volumes:
                result = optimize(
                    generator,
                    tasks,
                    budget=options.calls,
                    progress=False,
                    **{**small, **changes, "seed": seed},
                )
                volumes[str(seed)] = _volume(result.values)
                finish(options.output, "several", {"calls": options.calls, "volumes": found})
        smiles = generator.sample(options.calls, seed=seed, unique=True)
        values = np.stack([each.function(smiles) for each in tasks], axis=1)
        found.setdefault(SAMPLES, {})[str(seed)] = _volume(values)
    finish(options.output, "several", {"calls": options.calls, "volumes": found})
    print_table(
        [
            [way, f"{np.mean(list(row.values())):.3f}", " ".join(f"{v:.3f}" for v in row.values())]
            for way, row in found.items()
        ],
        ["way", "hypervolume", "by seed"],
    )


def _volume(values: np.ndarray) -> float:
    return hypervolume(np.nan_to_num(np.asarray(values, float)), np.zeros(len(TASKS)))


if __name__ == "__main__":
    main()
