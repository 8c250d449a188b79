"""A page on a synthetic set: what it keeps of the private one, and what it gives away."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from molvae.report.evaluation import distributions_figure
from molvae.report.page import Page
from molvae.synthesis.judge import CLOSE
from molvae.synthesis.run import Synthesis

_EXAMPLES = 12


def synthesis_page(found: Synthesis) -> Page:
    """One page on a synthetic set; it shows synthetic molecules, and none of the table's."""
    report = found.report
    table = report["table"]
    page = Page(
        f"{report['molecules']:,} synthetic molecules",
        f"Made by {report['model']} after {table['learnt_from']:,} molecules of a table; "
        f"{table['held_out']:,} were held out to judge it by.",
    )
    for title, rows in tables(report).items():
        if rows:
            page.heading(title)
            page.table(rows)
    page.heading("Distributions")
    page.figure(
        distributions_figure(found.distributions),
        "Shares of the synthetic molecules (red) and of those learnt from (grey); the number is "
        "the first Wasserstein distance, in the quantity's unit.",
    )
    page.heading("Some of the molecules")
    page.molecules(
        [
            dict(zip(found.columns, row, strict=True))
            for row in list(zip(*found.columns.values(), strict=True))[:_EXAMPLES]
        ]
    )
    return page


def tables(report: Mapping[str, Any]) -> dict[str, list[dict[str, Any]]]:
    """The report as tables of rows by title, for a terminal or a page."""
    kept, secret = report["fidelity"], report["privacy"]
    rows = [
        {"": f"{name}, Wasserstein / std", "synthetic": v["synthetic"], "held-out": v["held_out"]}
        for name, v in kept["wasserstein"].items()
    ]
    titles = {
        "correlations": "correlations, mean difference",
        "fragments": "fragments, cosine",
        "scaffolds": "scaffolds, cosine",
        "fcd": "FCD",
    }
    rows += [
        {"": title, "synthetic": kept[key]["synthetic"], "held-out": kept[key]["held_out"]}
        for key, title in titles.items()
        if key in kept
    ]
    near = secret["nearest"]
    close = f"share with a neighbour >= {CLOSE}"
    neighbours = [
        {"": title, "synthetic": near["synthetic"][key], "held-out": near["held_out"][key]}
        for title, key in (
            ("median similarity", "median"),
            ("95 %", "95 %"),
            ("largest", "largest"),
            (close, "share_close"),
        )
    ]
    return {
        "Distance from the molecules learnt from": rows,
        "A forest taught by each, on held-out molecules": [
            {"label": label, "measure": measure, "taught by synthetic": value,
             "taught by real": sides["real"][measure]}
            for label, sides in report["usefulness"].items()
            for measure, value in sides["synthetic"].items()
        ],
        "Nearest molecule learnt from": neighbours,
        "Can membership be told? (.5: not at all)": [
            {"attack": name, "AUC": v["auc"], "standard error": v["standard_error"]}
            for name, v in secret["membership"].items()
        ],
    }  # fmt: skip
