"""The weight of the KL, swept: what it costs in reconstruction and does to single dimensions.

    python scripts/beta_sweep.py corpora/moses --minutes 10 -o docs

A model for each weight, trained alike. Beside what ``variants.py`` measures, how each property lies
in the latent space (``molvae explore directions``): the mutual information gap, the share of the
variance that the best dimension explains, and all together. The tables go into ``variants.md``
between their comments, with two pictures: the sweep, and molecules along the dimension that tells
most of the rings, at each weight. Resumable: what stands in ``--work`` is not done again.
"""

from __future__ import annotations

from dataclasses import asdict
from typing import Any

import numpy as np
from _study import Study, chosen, command, insert, parser, slug, table
from matplotlib.figure import Figure

from molvae.base.files import read_json, write_json
from molvae.chem.properties import compute
from molvae.generator import load
from molvae.latent.traversal import carried, traverse
from molvae.plots import BLUE, GREEN, GREY, ORANGE, RED, save_figure

WEIGHTS = (0.001, 0.01, 0.03, 0.1, 0.3, 1.0, 3.0)
PROPERTIES = {
    "logp": BLUE,
    "mw": GREY,
    "tpsa": GREEN,
    "rings": ORANGE,
    "aromatic_rings": RED,
}
MOLECULES = 5000
"""Held-out molecules whose latents and properties are compared."""
START = "CC(=O)Nc1ccc(OCc2ccccn2)cc1"
STEPS = (-6.0, -4.0, -2.0, 0.0, 2.0, 4.0, 6.0)
"""Along a dimension, in spreads of the molecules."""


def main() -> None:
    options = parser(str(__doc__).partition("\n")[0], "runs/beta").parse_args()
    study = Study(options)
    weights = {f"beta {weight:g}": weight for weight in WEIGHTS}
    models = {name: ("small", _changes(weights[name])) for name in chosen(weights, options.only)}
    if not study.train_all(models):
        return
    # Here, for it needs what draws, which a machine that only trains may lack.
    from molvae.report.strips import Strip, write_strips

    rows, strips = [], []
    for name, (preset, changes) in models.items():
        path = study.trained(name, preset, changes)
        row = study.measured(name, path)
        place = options.work / f"{slug(name)}_directions.json"
        if not place.exists():
            write_json(place, _directions(study, str(path)))
        found = read_json(place)
        rows.append({**row, "beta": weights[name], "properties": found["properties"]})
        caption = f"{name}, dimension {found['dimension']}"
        legends = [f"{step:+g} spreads" for step in STEPS]
        strips.append(Strip(caption, found["along"], [caption, *legends[1:]]))
    images = options.output / "images"
    images.mkdir(parents=True, exist_ok=True)
    save_figure(figure(rows), images / "beta.png")
    write_strips(images / "beta_traversals.png", strips, "Traversals")
    insert(
        options.output / "variants.md",
        "beta",
        [
            f"{study.length} for each weight on MOSES, measured as above. Mutual information gaps,",
            f"and R² of the best dimension and of all, are of {MOLECULES:,} validation molecules.",
            "",
            *table(rows, "weight"),
            "",
            *gaps(rows),
            "",
            "![Reconstruction, KL and what single dimensions tell, by the weight of the KL]"
            "(images/beta.png)",
            "",
            "![Molecules along the dimension that tells most of the rings]"
            "(images/beta_traversals.png)",
            "",
            f"Made by `{command()}`.",
        ],
    )


def _changes(weight: float) -> dict[str, dict[str, Any]]:
    return {
        "objective": {"kl_weight": weight},
        "schedule": {"kl": "linear", "kl_rise": 0.3},
    }


def _directions(study: Study, path: str) -> dict[str, Any]:
    """How properties lie in a model's space, and molecules along its dimension of rings."""
    generator = load(path, "cpu")
    rows = np.random.default_rng(1).permutation(study.corpus.indices("validation"))
    smiles = study.corpus.smiles(rows[:MOLECULES])
    z = generator.encode(smiles)
    values = compute(smiles, list(PROPERTIES), progress=False).T
    found = carried(z, dict(zip(PROPERTIES, values, strict=True)))
    first = found[list(PROPERTIES).index("rings")].dimension
    spread = float(np.nanstd(z[:, first]))
    start = generator.encode([START])
    direction = np.eye(generator.latent_dim)[first] * spread
    (along,) = traverse(generator, start, direction, STEPS)
    return {
        "properties": {one.property: asdict(one) for one in found},
        "dimension": first,
        "along": along,
    }


def gaps(rows: list[dict[str, Any]]) -> list[str]:
    """Mutual information gap, R² of the best dimension, and R² of all, for each property."""
    head = ["| gap (R² of one dimension, of all) | " + " | ".join(PROPERTIES) + " |"]
    lines = [*head, "|---|" + "---:|" * len(PROPERTIES)]
    for row in rows:
        cells = [
            f"{one['gap']:.3f} ({one['r2_dimension']:.2f}, {one['r2_all']:.2f})"
            for one in (row["properties"][name] for name in PROPERTIES)
        ]
        lines.append(f"| {row['name']} | " + " | ".join(cells) + " |")
    return lines


def figure(rows: list[dict[str, Any]]) -> Figure:
    """Reconstruction, KL, and what a single dimension tells of each property, by the weight."""
    weights = [row["beta"] for row in rows]
    made = Figure(figsize=(13, 3.6), layout="constrained")
    back, bits, alone, gap = made.subplots(1, 4)
    back.plot(weights, [row["reconstruction"] for row in rows], "o-", color=BLUE)
    back.set(title="molecules that come back", ylim=(-0.02, 1.02))
    bits.plot(weights, [row["KL"] for row in rows], "o-", color=BLUE, label="KL (nats)")
    bits.plot(
        weights, [row["active"] for row in rows], "s--", color=GREY, label="active dimensions"
    )
    bits.set(title="what z holds")
    bits.legend()
    for ax, key in ((alone, "r2_dimension"), (gap, "gap")):
        for name, colour in PROPERTIES.items():
            told = [max(row["properties"][name][key], 0.0) for row in rows]
            ax.plot(weights, told, "o-", color=colour, label=name)
    alone.set(title="R² of the best dimension")
    alone.legend()
    gap.set(title="mutual information gap")
    for ax in (back, bits, alone, gap):
        ax.set(xscale="log", xlabel="weight of the KL")
    return made


if __name__ == "__main__":
    main()
