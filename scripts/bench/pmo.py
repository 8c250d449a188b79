"""PMO: twenty tasks, so many calls, and the area under the curve of the mean of the best ten.

The protocol of Gao et al. (NeurIPS 2022, arXiv:2206.12411): a budget of unique molecules evaluated
(10,000 there), the mean value of the ten best so far taken every 100 of them, and the area under
that curve as a share of the whole. A run whose ten best have the highest value there is stops, and
so does one in which they have not changed for ``--patience`` calls: the rest of the area is filled
with their mean, which can only be too little. Nothing is evaluated outside the budget: the search
begins with samples of the model, which has learnt from ZINC250k alone. The same settings for all
tasks.

    python scripts/bench/pmo.py run --seeds 0 1 2 --out pmo            # for a night; resumable
    python scripts/bench/pmo.py run --variant no-edits --tasks median1 zaleplon_mpo --out pmo
    python scripts/bench/pmo.py run --variant library-gp --calls 500 --seeds 0 1 2 --out pmo
    python scripts/bench/pmo.py table --out pmo --write docs/pmo.md

Each run is a campaign file and a JSON file below ``--out``. To use two cores, start it twice: a run
that another process has begun is left to it.
"""

from __future__ import annotations

import argparse
import heapq
import json
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from _pmo_table import write_tables
from _pmo_variants import VARIANTS, Variant, screened

import molvae
from molvae.base.errors import FileError
from molvae.base.files import write_json
from molvae.chem.alerts import alerts
from molvae.chem.properties import describe
from molvae.chem.smiles import parse_many
from molvae.optimize.config import SearchConfig
from molvae.optimize.run import optimize
from molvae.oracles.tasks import TASKS, task

EVERY = 100
"""Calls between the points of the curve."""
TOP = 10
BEST = 1 - 1e-9
"""No task has a higher value than 1."""
CHUNK = 500
"""Calls after which a run looks whether it is at its end already."""
CHANGED = 1e-5


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n\n")[0])
    commands = parser.add_subparsers(dest="command", required=True)
    run = commands.add_parser("run", help="run tasks, for as long as it takes")
    run.add_argument("--tasks", nargs="+", default=list(TASKS), choices=TASKS, metavar="TASK")
    run.add_argument("--seeds", nargs="+", type=int, default=[0])
    run.add_argument("--calls", type=int, default=10_000, help="the budget (%(default)s)")
    run.add_argument("--patience", type=int, default=2500, help="(%(default)s)")
    run.add_argument("--variant", default="molvae", choices=VARIANTS)
    run.add_argument("--model", default="druglike", help="directory or name (%(default)s)")
    run.add_argument("--library", type=Path, help="SMILES for the library variants")
    run.add_argument("--out", type=Path, default=Path("pmo"))
    table = commands.add_parser("table", help="write what has been run as a page")
    table.add_argument("--out", type=Path, default=Path("pmo"))
    table.add_argument("--write", type=Path, help="file; otherwise standard output")
    options = parser.parse_args()
    if options.command == "table":
        write_tables(list(results(options.out)), options.write)
        return
    torch.set_num_threads(1)
    for seed in options.seeds:
        for name in options.tasks:
            one_run(name, seed, options)


def one_run(name: str, seed: int, options: argparse.Namespace) -> None:
    """One task with one seed, unless it is done, or another process is at it."""
    place = options.out / f"{options.variant}-{options.calls}" / f"{name}-{seed}"
    if place.with_suffix(".json").exists():
        return
    place.parent.mkdir(parents=True, exist_ok=True)
    variant = VARIANTS[options.variant]
    start, cpu = time.perf_counter(), time.process_time()
    try:
        if variant.library:
            smiles, values = screened(
                variant, task(name).function, options.library, options.calls, seed
            )
        else:
            smiles, values = searched(name, seed, variant, place, options)
    except FileError as error:
        print(f"{place}: {error}", flush=True)
        return
    seconds = time.perf_counter() - start
    found = {
        "task": name,
        "seed": seed,
        "variant": options.variant,
        "calls": options.calls,
        **measures(smiles, values, options.calls),
        "seconds": seconds,
        "cpu_seconds": time.process_time() - cpu,
        "model": molvae.load(options.model, "cpu").fingerprint[:12],
        "versions": {"molvae": molvae.__version__, "torch": torch.__version__},
    }
    write_json(place.with_suffix(".json"), found)
    shown = {key: found[key] for key in ("auc", "top10", "evaluated")}
    print(f"{options.variant} {name} seed {seed}: {shown} in {seconds:.0f} s", flush=True)


def searched(
    name: str, seed: int, variant: Variant, place: Path, options: argparse.Namespace
) -> tuple[list[str], list[float]]:
    """The molecules of a search in the order of evaluation, and their values."""
    generator = molvae.load(options.model, "cpu")
    store = place.with_suffix(".sqlite")
    if store.exists() and store.stat().st_size == 0:
        raise FileError("another process is about to begin it; if none is, remove the empty file")
    calls = 0
    while calls < options.calls:
        calls = min(options.calls, calls + CHUNK)
        result = optimize(
            generator,
            task(name),
            budget=calls,
            store=store,
            resume=True,
            progress=False,
            **{**SearchConfig.usual(options.calls), **variant.changes, "seed": seed},
        )
        values = np.nan_to_num(result.values)
        now = np.sort(values)[-TOP:].mean()
        waited = len(values) - options.patience
        before = np.sort(values[: max(waited, 0)])[-TOP:].mean() if waited > 0 else -np.inf
        if len(values) < calls or now >= BEST or 0 < now < before + CHANGED:
            break
    order = [o.suggestion.smiles for o in result.observations]
    return order, values.tolist()


def measures(smiles: Sequence[str], values: Sequence[float], calls: int) -> dict[str, Any]:
    """What the table shows of a run."""
    best = sorted(range(len(values)), key=lambda i: -values[i])[:100]
    mols = parse_many([smiles[i] for i in best])
    good = [mol is not None and not alerts(mol) and describe(mol, ["sa"])[0] < 4 for mol in mols]
    curve = list(top_means(values))
    return {
        "auc": area(values, calls),
        "top10": float(np.mean(sorted(values)[-TOP:])),
        "evaluated": len(set(smiles)),
        "good": float(np.mean(good)),
        "curve": [round(mean, 5) for mean in curve],
        "best": [[smiles[i], values[i]] for i in best[:TOP]],
    }


def top_means(values: Sequence[float]) -> Iterator[float]:
    """The mean of the ten best after every 100 values, and after the last."""
    best: list[float] = []
    for count, value in enumerate(values, 1):
        heapq.heappush(best, value)
        if len(best) > TOP:
            heapq.heappop(best)
        if count % EVERY == 0 or count == len(values):
            yield float(np.mean(best))


def area(values: Sequence[float], calls: int) -> float:
    """The area under the curve of the mean of the ten best, trapezoids, over the whole budget.

    >>> area([1.0] * 100, 100), area([1.0] * 100, 200)
    (0.5, 0.75)
    """
    total, before, done = 0.0, 0.0, 0
    for number, mean in enumerate(top_means(values), 1):
        at = min(number * EVERY, len(values))
        total += (at - done) * (before + mean) / 2
        before, done = mean, at
    return (total + (calls - done) * before) / calls


def results(out: Path) -> Iterator[dict[str, Any]]:
    """All runs that are done."""
    for path in sorted(out.glob("*/*.json")):
        yield json.loads(path.read_text())


if __name__ == "__main__":
    main()
