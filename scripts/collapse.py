"""Remedies for posterior collapse, each trained for the same time on one corpus: one figure.

    python scripts/collapse.py corpora/moses --minutes 10 -o docs

In turn and resumable: what stands in ``--work`` is not done again. The table goes into
``variants.md`` between its comments, the figure to ``images/collapse.png``.
"""

from __future__ import annotations

from typing import Any

from _study import HELD_OUT, Study, chosen, command, insert, parser, table
from matplotlib.figure import Figure

from molvae.plots import BLUE, GREY, save_figure


def _kl(**schedule: Any) -> dict[str, dict[str, Any]]:
    return {"schedule": schedule}


CONSTANT = _kl(kl="constant")
REMEDIES: dict[str, dict[str, dict[str, Any]]] = {
    "no remedy": CONSTANT,
    "KL linear": _kl(kl="linear", kl_rise=0.5),
    "KL sigmoid": _kl(kl="sigmoid", kl_rise=0.5),
    "KL cyclical": _kl(kl="cyclical", kl_cycles=4, kl_rise=0.5),
    "free bits, 10 nats": {
        **CONSTANT,
        "objective": {"free_bits": 10.0, "free_bits_per": "molecule"},
    },
    "token dropout 0.5": {**CONSTANT, "model": {"token_dropout": 0.5}},
    "small decoder": {**CONSTANT, "model": {"decoder_hidden": 64}},
    "windowed decoder": {**CONSTANT, "model": {"latent_dim": 0, "window": 2, "window_dim": 4}},
    "beta 0.1": {**CONSTANT, "objective": {"kl_weight": 0.1}},
    "MMD instead of KL": {**CONSTANT, "objective": {"kl_weight": 0.0, "mmd_weight": 100.0}},
}


def main() -> None:
    options = parser(str(__doc__).partition("\n")[0], "runs/collapse").parse_args()
    study = Study(options)
    names = chosen(REMEDIES, options.only)
    if not study.train_all({name: ("small", REMEDIES[name]) for name in names}):
        return
    rows = [study.measured(name, study.trained(name, "small", REMEDIES[name])) for name in names]
    (options.output / "images").mkdir(parents=True, exist_ok=True)
    save_figure(figure(rows), options.output / "images" / "collapse.png")
    insert(
        options.output / "variants.md",
        "collapse",
        [
            "![KL, active dimensions and reconstruction for each remedy](images/collapse.png)",
            "",
            f"{study.length} for each remedy on MOSES, measured as above on {HELD_OUT:,}"
            " molecules:",
            "",
            *table(rows, "remedy"),
            "",
            f"Made by `{command()}`.",
        ],
    )


def figure(rows: list[dict[str, Any]]) -> Figure:
    """KL, active dimensions, and what the decoder gets right, a bar for each remedy."""
    made = Figure(figsize=(13, 0.4 * len(rows) + 1.6), layout="constrained")
    panels = made.subplots(1, 4, sharey=True)
    titles = {
        "KL": "KL (nats)",
        "active": "active dimensions",
        "symbols": "next symbols right",
        "reconstruction": "molecules that come back",
    }
    names = [row["name"] for row in rows]
    for ax, (column, title) in zip(panels, titles.items(), strict=True):
        colours = [GREY if name == "no remedy" else BLUE for name in names]
        ax.barh(names, [row[column] for row in rows], color=colours)
        ax.set(title=title, xlim=(0, 1) if column in ("symbols", "reconstruction") else (0, None))
    panels[0].invert_yaxis()
    return made


if __name__ == "__main__":
    main()
