"""What conditional.py measured, as a table and a figure."""

from __future__ import annotations

import argparse
import math
import shlex
from collections.abc import Sequence
from pathlib import Path
from textwrap import fill
from typing import Any

import numpy as np
from _study import insert
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from molvae.base.files import read_json
from molvae.models.config import ConditionProperty
from molvae.plots import BLUE, GREEN, GREY, ORANGE, RED, save_figure

COLOURS = (BLUE, ORANGE, GREEN, RED, GREY)
Rows = Sequence[dict[str, Any]]


def write(
    rows: Rows, entries: Sequence[ConditionProperty], about: str, options: argparse.Namespace
) -> None:
    """The table and the figure, between the comments of ``conditional.md`` named as the model."""
    name = Path(options.model).name
    command = ["python", "scripts/conditional.py", f"corpora/{Path(options.corpus).name}"]
    command += [f"models/{name}", "--samples", str(options.samples), "--prior", str(options.prior)]
    lines = [
        fill(f"{_trained(Path(options.model))} {about}", 100),
        "",
        *table(rows, entries, options.samples, options.prior),
        "",
        f"![Asked and obtained](images/{name}.png)",
        "",
        f"Made by `{shlex.join(command)}`.",
    ]
    insert(options.output / "conditional.md", name, lines)
    (options.output / "images").mkdir(exist_ok=True)
    save_figure(figure(rows, entries, options.prior), options.output / "images" / f"{name}.png")


def table(rows: Rows, entries: Sequence[ConditionProperty], samples: int, prior: int) -> list[str]:
    """The rows in Markdown; ``samples`` were drawn for a question, ``prior`` without any."""
    numbers = [entry.name for entry in entries if entry.kind == "number"]
    columns = ["asked", "guidance", *(f"error of {name}" for name in numbers)]
    columns += ["relative", "relative, prior"] if numbers else []
    columns += ["right", "right, prior", "right, data"] if len(numbers) < len(entries) else []
    columns += ["valid", "unique", "draws", "draws, prior"]
    lines = ["| " + " | ".join(columns) + " |", "|---|" + "---:|" * (len(columns) - 1)]
    for row in rows:
        most = {"draws": samples * row["questions"], "draws, prior": prior}
        cells = [_cell(row.get(column), most.get(column)) for column in columns]
        lines.append("| " + " | ".join(cells) + " |")
    return lines


def figure(rows: Rows, entries: Sequence[ConditionProperty], prior: int) -> Figure:
    """Of the first number obtained against asked, of the first category the share that is right;
    error and cost against guidance."""
    first = {entry.kind: entry for entry in reversed(entries)}
    kinds = list(dict.fromkeys(row["asked"] for row in rows if " = " not in row["asked"]))
    panels = [kind for kind in ("number", "category") if kind in first]
    panels += ["relative"] if "number" in first else []
    panels += ["draws"] if kinds else []
    figure = Figure(figsize=(14 / 3 * len(panels), 4.4), layout="constrained")
    for panel, ax in zip(panels, figure.subplots(1, len(panels), squeeze=False)[0], strict=True):
        if panel == "number":
            _obtained(ax, rows, first[panel].name)
        elif panel == "category":
            _right(ax, rows, first[panel])
        else:
            _against_guidance(ax, rows, kinds, panel, prior)
    return figure


def _obtained(ax: Axes, rows: Rows, name: str) -> None:
    alone = [row for row in rows if row["asked"] == name]
    for row, colour in zip(alone, COLOURS, strict=False):
        asked, low, half, high = np.array(row["points"]).T
        ax.plot(asked, half, "o-", color=colour, label=f"guidance {row['guidance']:g}")
        ax.fill_between(asked, low, high, color=colour, alpha=0.12, linewidth=0)
    ends = [alone[0]["points"][0][0], alone[0]["points"][-1][0]]
    ax.plot(ends, ends, color=GREY, linestyle="--", label="as asked")
    ax.set(xlabel=f"{name} asked", ylabel=f"{name} obtained: median, 10 % to 90 %")
    ax.legend(frameon=False)


def _right(ax: Axes, rows: Rows, entry: ConditionProperty) -> None:
    levels = list(entry.levels)
    alone = [row for row in rows if row["asked"] in {f"{entry.name} = {n}" for n in levels}]
    weights = list(dict.fromkeys(row["guidance"] for row in alone))
    for weight, colour in zip(weights, COLOURS, strict=False):
        share = [row["right"] for row in alone if row["guidance"] == weight]
        ax.plot(levels, share, "o-", color=colour, label=f"guidance {weight:g}")
    without = [row["right, prior"] for row in alone if row["guidance"] == weights[0]]
    ax.plot(levels, without, "o:", color=GREY, label="the prior")
    ax.set(xlabel=f"{entry.name} asked", ylabel="share of draws that are right", ylim=(0, 1))
    ax.legend(frameon=False)


def _against_guidance(ax: Axes, rows: Rows, kinds: list[str], what: str, prior: int) -> None:
    for kind, colour in zip(kinds, COLOURS, strict=False):
        of_kind = [row for row in rows if row["asked"] == kind and what in row]
        if not of_kind:
            continue
        weights = [row["guidance"] for row in of_kind]
        ax.plot(weights, [row[what] for row in of_kind], "o-", color=colour, label=kind)
        without = min(of_kind[0][f"{what}, prior"], prior if what == "draws" else np.inf)
        ax.axhline(without, color=colour, linestyle=":", linewidth=1)
    ax.set(xlabel="guidance")
    if what == "relative":
        ax.set(ylabel="mean error in training spreads (dotted: the prior)")
        ax.set_ylim(bottom=0)
    else:
        ax.set(ylabel="draws until one is near (dotted: the prior)", yscale="log")
        ax.legend(frameon=False)


def _trained(model: Path) -> str:
    """How long the model was trained and on how much."""
    run, config = read_json(model / "provenance.json"), read_json(model / "config.json")
    molecules = run["steps"] * config["optimiser"]["batch_size"]
    how = "Fine-tuned" if run["started_from"] else "Trained"
    if config["run"]["minutes"] is None:  # else its length follows from the machine
        return f"{how} for {run['steps']:,} steps ({molecules:,} molecules)."
    return (
        f"{how} for {run['seconds'] / 60:.0f} minutes ({run['steps']:,} steps,"
        f" {molecules:,} molecules)."
    )


def _cell(value: Any, most: int | None) -> str:
    if isinstance(value, str):
        return value
    if value is None:
        return ""
    if not math.isfinite(value):
        return f"> {most:,}"
    return f"{value:,.0f}" if value >= 1000 else f"{value:.3g}"
