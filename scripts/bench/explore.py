"""What exploring a latent space brings: ways, random points, analogues, attributes, directions.

Five parts, each with a table (``--part``, all of them unless some are named):

- ``ways``: from molecule to molecule in three ways. ``steps`` are distinct molecules on the way,
  ``previous`` the mean similarity of each to the one before and ``least`` the least of them,
  ``alerts`` the share with a medicinal-chemistry alert and ``sa`` the synthetic accessibility of
  the molecules between the ends.
- ``completeness``: what random points and points between molecules decode to.
- ``analogues``: of leads, at two ranges of similarity, with the scaffold kept.
- ``arithmetic``: attributes added to held-out molecules, beside random directions.
- ``directions``: what single dimensions and all of them tell of properties; and over steps along
  the most telling dimension, and along the direction in which all vary with it, the mean rank
  correlation of step and property (``along``), where the molecule changes at all.

    python scripts/bench/explore.py --model druglike -o explore.json
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import asdict
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
from _common import SAMPLE, arguments, finish, print_table
from climb import smoke

import molvae
from molvae.base.progress import Progress
from molvae.chem.alerts import alerts
from molvae.chem.properties import compute
from molvae.chem.smiles import canonicalise_many, parse
from molvae.generator import Generator
from molvae.latent.analogues import analogues
from molvae.latent.arithmetic import learn_and_measure
from molvae.latent.attributes import beyond, pattern
from molvae.latent.interpolation import interpolate
from molvae.latent.traversal import FAR, carried, steepest, traverse
from molvae.metrics.completeness import completeness

SAMPLES = {"moses": SAMPLE, "druglike": SAMPLE.with_name("zinc250k_2000.smi")}
SEED = 5
ATTRIBUTES = {
    "fluorine": lambda: pattern("[F]"),
    "hydroxyl": lambda: pattern("[OX2H]"),
    "nitrile": lambda: pattern("C#N"),
    "pyridine": lambda: pattern("n1ccccc1"),
    "log P above 3": lambda: beyond("logp", above=3),
    "TPSA above 90": lambda: beyond("tpsa", above=90),
}
PROPERTIES = ("logp", "mw", "tpsa", "rings", "aromatic_rings")
Rows = list[dict[str, Any]]


def main() -> None:
    parser = arguments(__doc__, rounds=1)
    parser.add_argument("--model", default="druglike", help="directory or name (%(default)s)")
    parser.add_argument("--data", type=Path, help="molecules like the model's (its sample)")
    parser.add_argument("--molecules", type=int, default=30, help="of each measurement (30)")
    parser.add_argument("--part", action="append", choices=PARTS, help="only these")
    options = parser.parse_args()
    if options.smoke:
        generator, options.molecules, options.data = smoke(), 3, SAMPLE
    else:
        generator = molvae.load(options.model, "cpu")
    file = options.data or SAMPLES.get(options.model, SAMPLES["druglike"])
    texts = file.read_text().split()[: 150 if options.smoke else None]
    smiles = [s for s in canonicalise_many(texts) if s]
    readable = [s for s, n in zip(smiles, generator.symbols(smiles), strict=True) if n]
    order = np.random.default_rng(SEED).permutation(len(readable))
    results = {}
    for part in options.part or PARTS:
        found = PARTS[part](generator, [readable[i] for i in order], options.molecules)
        print(f"\n{part}\n")
        print_table([[_cell(v) for v in row.values()] for row in found], list(found[0]))
        results[part] = [{k: None if v != v else v for k, v in row.items()} for row in found]
    finish(options.output, "explore", {"model": options.model, "results": results})


def ways(generator: Generator, smiles: list[str], n: int) -> Rows:
    """Ways between ``n`` pairs."""
    pairs = list(zip(smiles[:n], smiles[n : 2 * n], strict=True))
    rows = []
    for way in ("linear", "spherical", "dense"):
        found = []
        with Progress(way, n) as bar:
            for a, b in pairs:
                path = interpolate(generator, a, b, way=way).distinct()
                between = [s for s in path.smiles if s not in (a, b, None)]
                sa = compute(between, ["sa"], progress=False)[:, 0]
                alike = path.to_previous[1:]
                found.append(
                    {
                        "steps": len(path.smiles),
                        "previous": _mean(alike),
                        "least": min(alike, default=None),
                        "sane": _mean(path.sane),
                        "alerts": _mean([bool(alerts(parse(s))) for s in between]),
                        "sa": _mean(sa),
                    }
                )
                bar.advance()
        rows.append({"way": way, "pairs": n, **{k: _mean([f[k] for f in found]) for k in found[0]}})
    return rows


def regions(generator: Generator, smiles: list[str], n: int) -> Rows:
    """What random and between points decode to, ten times ``n`` of each."""
    some = smiles[: 10 * n]
    return [asdict(region) for region in completeness(generator, some, generator.encode(some))]


def relatives(generator: Generator, smiles: list[str], n: int) -> Rows:
    """Fifty analogues of a third of ``n`` leads."""
    leads = [s for s in smiles if "1" in s][: max(1, n // 3)]
    rows = []
    for low, high, kept in ((0.4, 1.0, False), (0.6, 1.0, False), (0.6, 1.0, True)):
        wanted: dict[str, Any] = {"similarity": (low, high), "keep_scaffold": kept, "sane": True}
        found = [analogues(generator, lead, 50 if n > 5 else 2, **wanted) for lead in leads]
        row = {"similarity": f"{low} to {high}", "scaffold kept": "yes" if kept else "no"}
        rows.append(
            {
                **row,
                "leads": len(leads),
                "found": _mean([len(f.smiles) for f in found]),
                "draws": _mean([f.drawn for f in found]),
                "mean similarity": _mean([_mean(f.similarity) for f in found]),
            }
        )
    return rows


def attributes(generator: Generator, smiles: list[str], n: int) -> Rows:
    """Attributes added to up to ``n`` held-out molecules."""
    rows = []
    chosen = list(ATTRIBUTES.items())[: 1 if n < 5 else None]
    for name, make in chosen:
        _, found, changes = learn_and_measure(generator, smiles, make(), held_out=n, seed=SEED)
        strength = _mean([change.strength for change in changes])
        rows.append({"attribute": name, **asdict(found), "strength": strength})
    return rows


def directions(generator: Generator, smiles: list[str], n: int) -> Rows:
    """What dimensions tell, and what steps along them do to ``n`` molecules."""
    z = generator.encode(smiles)
    table = compute(smiles, PROPERTIES, progress=False)
    rows = []
    for one in carried(z, dict(zip(PROPERTIES, table.T, strict=True))):
        values = table[:, PROPERTIES.index(one.property)]
        vectors = {
            "along dimension": (np.eye(z.shape[1])[one.dimension], 3 * z[:, one.dimension].std()),
            "along all": (steepest(z, values), FAR),
        }
        row = {
            "property": one.property,
            "dimension": one.dimension,
            "information": one.information,
            "entropy": one.entropy,
            "gap": one.gap,
            "R2 dimension": one.r2_dimension,
            "R2 all": one.r2_all,
        }
        for name, (vector, far) in vectors.items():
            row[name] = _along(generator, z[:n], vector, far, one.property)
        rows.append(row)
    return rows


def _along(generator: Generator, z: np.ndarray, vector: np.ndarray, far: float, name: str) -> Any:
    """Mean rank correlation of step and property over molecules that change along the way; 0 for
    one that changes without the property."""
    from scipy.stats import spearmanr

    steps = np.linspace(-far, far, 9)
    found = []
    for row in traverse(generator, z, vector, steps.tolist()):
        values = compute(row, [name], progress=False)[:, 0]
        known = np.isfinite(values)
        if any(a != b for a, b in pairwise(row)) and known.sum() > 2:
            equal = np.ptp(values[known]) == 0
            found.append(0.0 if equal else spearmanr(steps[known], values[known]).statistic)
    return _mean(found)


PARTS: dict[str, Callable[[Generator, list[str], int], Rows]] = {
    "ways": ways,
    "completeness": regions,
    "analogues": relatives,
    "arithmetic": attributes,
    "directions": directions,
}


def _mean(values: Iterable[Any]) -> float | None:
    """The mean of what is known; None of nothing."""
    known = [float(v) for v in values if v is not None and v == v]
    return float(np.mean(known)) if known else None


def _cell(value: Any) -> str:
    if value is None or (isinstance(value, float) and value != value):
        return "–"
    return f"{value:.3g}" if isinstance(value, float) else str(value)


if __name__ == "__main__":
    main()
