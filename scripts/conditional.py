"""How near a conditional model comes to what it is asked for, beside drawing and filtering.

    molvae data prepare zinc250k -o corpora/zinc250k -p logp -p qed -p tpsa
    molvae train scripts/recipes/conditional.toml
    python scripts/conditional.py corpora/zinc250k models/conditional -o docs

Asks the model for values of one, two and all of its conditions, at several weights of guidance, and
compares with its own draws without conditions: how far off these are, and how many of them it takes
until one is as near.
Writes the last section of ``conditional.md`` and a figure (``images/conditional.png``). Resumable:
what stands in ``--work`` is not done again.
"""

from __future__ import annotations

import argparse
import json
import math
import shlex
from dataclasses import dataclass
from pathlib import Path
from textwrap import fill
from typing import Any

import numpy as np
from matplotlib.figure import Figure

from molvae.base.files import read_json, write_json
from molvae.base.progress import track
from molvae.chem.properties import compute
from molvae.datasets.corpus import Corpus
from molvae.generator import Generator, load
from molvae.plots import BLUE, GREEN, GREY, ORANGE, RED, save_figure

WEIGHTS = (1.0, 1.5, 2.0, 3.0)
ALONE, TOGETHER = (0.05, 0.25, 0.5, 0.75, 0.95), (0.1, 0.5, 0.9)
"""Quantiles of the training data that are asked for, of one property and of two at once."""
WHOLE = 10  # held-out molecules whose values of all properties are asked for
HEADING = "## How near it comes"
NEAR = 0.25
"""A molecule is near where every property is within so many training spreads of what is asked."""


@dataclass(frozen=True)
class Question:
    """Values that are asked for by name; the other conditions are unknown."""

    asked: dict[str, float]

    @property
    def kind(self) -> str:
        """Which properties are asked for."""
        return " + ".join(self.asked)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("corpus", help="with the conditions among its labels")
    parser.add_argument("model", help="a conditional model")
    parser.add_argument("--samples", type=int, default=100, help="draws for each question")
    parser.add_argument("--prior", type=int, default=5_000, help="draws without conditions")
    parser.add_argument("--work", type=Path, default=Path("runs/conditional"))
    parser.add_argument("-o", "--output", type=Path, default=Path("docs"))
    options = parser.parse_args()

    corpus = Corpus.open(options.corpus)
    generator = load(options.model, "cpu")
    names = list(generator.conditions)
    labels = np.asarray(corpus.labels)[:, [corpus.label_names.index(name) for name in names]]
    known = labels[corpus.indices("train")]
    prior = answers(generator, Question({}), options.prior, 1.0, options.work / "prior.json")
    rows = []
    for kind, weight, asked in track(jobs(names, known, labels[corpus.indices("test")]), "asking"):
        stem = f"{kind} {weight:g}".replace(" + ", "_").replace(" ", "_")
        found = [
            answers(generator, q, options.samples, weight, options.work / f"{stem}_{i}.json")
            for i, q in enumerate(asked)
        ]
        rows.append(judged(kind, weight, asked, found, prior, names, known))
        print(json.dumps({k: v for k, v in rows[-1].items() if k != "points"}), flush=True)
    write(rows, names, known, options)


def jobs(
    names: list[str], known: np.ndarray, held_out: np.ndarray
) -> list[tuple[str, float, list[Question]]]:
    """What is asked: kind, guidance, and the questions of that kind.

    One property at quantiles of its training values ``known (n, k)``, the first two on a grid, and
    all of them with values that occur together, those of molecules ``held_out (m, k)``.
    """
    questions = [
        Question({name: float(value)})
        for name, column in zip(names, known.T, strict=True)
        for value in np.nanquantile(column, ALONE)
    ]
    if len(names) > 1:
        first, second = (np.nanquantile(known[:, i], TOGETHER) for i in range(2))
        pair = [(float(a), float(b)) for a in first for b in second]
        questions += [Question(dict(zip(names[:2], values, strict=True))) for values in pair]
    if len(names) > 2:
        chosen = np.random.default_rng(0).permutation(held_out)[:WHOLE]
        questions += [Question(dict(zip(names, row.tolist(), strict=True))) for row in chosen]
    kinds = list(dict.fromkeys(question.kind for question in questions))
    return [(kind, w, [q for q in questions if q.kind == kind]) for kind in kinds for w in WEIGHTS]


def answers(
    generator: Generator, question: Question, draws: int, weight: float, path: Path
) -> dict[str, Any]:
    """What was drawn: SMILES (None for a draw that came to nothing), properties ``(n, k)``."""
    if path.exists():
        return dict(json.loads(path.read_text()))
    names = list(generator.conditions)
    smiles, _ = generator.draw(
        draws, seed=1, candidates=1, conditions=question.asked, guidance=weight
    )
    values = compute(smiles, names, workers=1, progress=False)
    found = {"smiles": smiles, "values": [[_number(v) for v in row] for row in values]}
    write_json(path, found)
    return found


def judged(
    kind: str,
    weight: float,
    asked: list[Question],
    found: list[dict[str, Any]],
    prior: dict[str, Any],
    names: list[str],
    known: np.ndarray,
) -> dict[str, Any]:
    """The row of one kind of question and one guidance: means over its questions.

    An error is the mean over the draws of abs(obtained - asked), in the property's unit;
    ``relative`` the mean over the properties asked for, in units of their training spread.
    ``draws`` is how many it takes until one is near, over all the questions together.
    """
    spread = np.nanstd(known, axis=0)
    errors, relative, near, whole, points = [], [], [], [], []
    for question, drawn in zip(asked, found, strict=True):
        columns = [names.index(name) for name in question.asked]
        goal = np.array(list(question.asked.values()))
        off, prior_off = (
            np.abs(np.array(d["values"], dtype=float)[:, columns] - goal) / spread[columns]
            for d in (drawn, prior)
        )
        errors.append(np.nanmean(off, axis=0) * spread[columns])
        relative.append([np.nanmean(off), np.nanmean(prior_off)])
        near.append([(each <= NEAR).all(axis=1).mean() for each in (off, prior_off)])
        written = [text for text in drawn["smiles"] if text is not None]
        whole.append([len(written) / len(off), len(set(written)) / max(1, len(written))])
        first = np.array(drawn["values"], dtype=float)[:, columns[0]]
        points.append([goal[0], *np.nanquantile(first, (0.1, 0.5, 0.9))])
    mine, others = np.mean(relative, axis=0)
    needed, prior_needed = (1 / share if share else math.inf for share in np.mean(near, axis=0))
    valid, unique = np.mean(whole, axis=0)
    by_name = zip(kind.split(" + "), np.mean(errors, axis=0), strict=True)
    return {
        "asked": kind,
        "guidance": weight,
        **{f"error of {name}": float(value) for name, value in by_name},
        "relative": float(mine),
        "relative, prior": float(others),
        "valid": float(valid),
        "unique": float(unique),
        "draws": float(needed),
        "draws, prior": float(prior_needed),
        "points": points,
    }


def write(
    rows: list[dict[str, Any]], names: list[str], known: np.ndarray, options: argparse.Namespace
) -> None:
    """The table and the figure."""
    columns = ["asked", "guidance", *(f"error of {name}" for name in names)]
    columns += ["relative", "relative, prior", "valid", "unique", "draws", "draws, prior"]
    lines = ["| " + " | ".join(columns) + " |", "|---|" + "---:|" * (len(columns) - 1)]
    most = {"draws, prior": options.prior}
    for row in rows:
        cells = [_cell(row.get(column), most.get(column)) for column in columns]
        lines.append("| " + " | ".join(cells) + " |")
    command = ["python", "scripts/conditional.py", f"corpora/{Path(options.corpus).name}"]
    command += [f"models/{Path(options.model).name}"]
    command += ["--samples", str(options.samples), "--prior", str(options.prior)]
    units = zip(names, np.nanstd(known, axis=0), strict=True)
    about = (
        f"{_trained(options)} Each property alone is asked for at five quantiles of the training "
        "data (5 to 95 %), the first two on a grid of three by three (10, 50, 90 %), all of them "
        f"with the values of {WHOLE} test molecules; what is not named is unknown. "
        f"{options.samples} draws for each question. Errors are means of abs(obtained - asked) "
        "over the draws, in the property's unit and, `relative`, in training spreads "
        f"({', '.join(f'{name} {value:.3g}' for name, value in units)}). `draws`: how many it "
        f"takes until one is within {NEAR:g} spreads in every property asked for, over all "
        f"questions of a row together. `prior`: {options.prior:,} draws of the same model without "
        "conditions, to be filtered."
    )
    text = [HEADING, "", fill(about, 100), "", *lines, ""]
    text += [
        "![Asked and obtained](images/conditional.png)",
        "",
        f"Made by `{shlex.join(command)}`.",
        "",
    ]
    (options.output / "images").mkdir(parents=True, exist_ok=True)
    page = options.output / "conditional.md"
    before = page.read_text().partition(HEADING)[0] if page.exists() else ""
    page.write_text(before + "\n".join(text))
    save_figure(figure(rows, names, options.prior), options.output / "images" / "conditional.png")


def _trained(options: argparse.Namespace) -> str:
    """How long the model was trained and on how much."""
    run = read_json(Path(options.model) / "provenance.json")
    config = read_json(Path(options.model) / "config.json")
    molecules = run["steps"] * config["optimiser"]["batch_size"]
    return (
        f"Trained for {run['seconds'] / 60:.0f} minutes ({run['steps']:,} steps,"
        f" {molecules:,} molecules)."
    )


def figure(rows: list[dict[str, Any]], names: list[str], prior: int) -> Figure:
    """Obtained against asked of the first property; error and cost against guidance."""
    figure = Figure(figsize=(14, 4.4), layout="constrained")
    left, middle, right = figure.subplots(1, 3)
    colours = (BLUE, ORANGE, GREEN, RED, GREY)
    alone = [row for row in rows if row["asked"] == names[0]]
    for row, colour in zip(alone, colours, strict=False):
        asked, low, half, high = np.array(row["points"]).T
        left.plot(asked, half, "o-", color=colour, label=f"guidance {row['guidance']:g}")
        left.fill_between(asked, low, high, color=colour, alpha=0.12, linewidth=0)
    ends = [alone[0]["points"][0][0], alone[0]["points"][-1][0]]
    left.plot(ends, ends, color=GREY, linestyle="--", label="as asked")
    left.set(xlabel=f"{names[0]} asked", ylabel=f"{names[0]} obtained: median, 10 % to 90 %")
    left.legend(frameon=False)
    kinds = list(dict.fromkeys(row["asked"] for row in rows))
    for kind, colour in zip(kinds, colours, strict=False):
        of_kind = [row for row in rows if row["asked"] == kind]
        weights = [row["guidance"] for row in of_kind]
        for ax, what in ((middle, "relative"), (right, "draws")):
            ax.plot(weights, [row[what] for row in of_kind], "o-", color=colour, label=kind)
            without = min(of_kind[0][f"{what}, prior"], prior if what == "draws" else np.inf)
            ax.axhline(without, color=colour, linestyle=":", linewidth=1)
    middle.set(xlabel="guidance", ylabel="mean error in training spreads (dotted: the prior)")
    right.set(xlabel="guidance", ylabel="draws until one is near (dotted: the prior)", yscale="log")
    middle.set_ylim(bottom=0)
    right.legend(frameon=False)
    return figure


def _number(value: float) -> float | None:
    return None if np.isnan(value) else float(value)


def _cell(value: Any, most: int | None) -> str:
    if isinstance(value, str):
        return value
    if value is None:
        return ""
    return f"{value:.3g}" if math.isfinite(value) else f"> {most:,}"


if __name__ == "__main__":
    main()
