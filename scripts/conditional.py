"""How near a conditional model comes to what it is asked for, beside drawing and filtering.

    molvae data prepare zinc250k -o corpora/zinc250k -p logp -p qed -p tpsa
    molvae train scripts/recipes/conditional.toml
    python scripts/conditional.py corpora/zinc250k models/conditional -o docs

Asks the model for values of one, two and all of its conditions, at several weights of guidance, and
compares with its own draws without conditions: how far off these are, and how many of them it takes
until one is as near. A category is asked for at each of its levels, and is right or wrong.
Writes the part of ``conditional.md`` between the comments that are named as the model, and a figure
(``images/MODEL.png``). Resumable: what stands in ``--work`` is not done again.
"""

from __future__ import annotations

import argparse
import json
import math
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from _conditional_page import write

from molvae.base.files import write_json
from molvae.base.progress import track
from molvae.chem.properties import compute, property_function
from molvae.datasets.corpus import Corpus
from molvae.generator import Generator, load
from molvae.models.config import ConditionProperty

WEIGHTS = (1.0, 1.5, 2.0, 3.0)
ALONE, TOGETHER = (0.05, 0.25, 0.5, 0.75, 0.95), (0.1, 0.5, 0.9)
"""Quantiles of the training data that are asked for, of one property and of two at once."""
RARE = 0.01
"""A level that fewer of the training molecules have is asked for alone only."""
WHOLE = 10  # held-out molecules whose values of all properties are asked for
NEAR = 0.25
"""A molecule is near where every number is within so many training spreads of what is asked, and
every category right."""


@dataclass(frozen=True)
class Question:
    """Numbers and levels that are asked for by name; the other conditions are unknown."""

    asked: dict[str, float | str]

    @property
    def kind(self) -> str:
        """Which properties are asked for; of a category alone, the level as well."""
        name, value = next(iter(self.asked.items()))
        alone = len(self.asked) == 1 and isinstance(value, str)
        return f"{name} = {value}" if alone else " + ".join(self.asked)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("corpus", help="with the conditions among its labels")
    parser.add_argument("model", help="a conditional model")
    parser.add_argument("--samples", type=int, default=100, help="draws for each question")
    parser.add_argument("--prior", type=int, default=5_000, help="draws without conditions")
    parser.add_argument("--work", type=Path, help="[default: runs/MODEL]")
    parser.add_argument("-o", "--output", type=Path, default=Path("docs"))
    options = parser.parse_args()

    work = options.work or Path("runs") / Path(options.model).name

    corpus = Corpus.open(options.corpus)
    generator = load(options.model, "cpu")
    conditioner = generator.model.conditions
    if conditioner is None:
        parser.error(f"{options.model} takes no conditions")
    entries = conditioner.config.properties
    for entry in entries:
        property_function(entry.name)  # what is drawn must have values to compare
    labels = np.asarray(corpus.labels)[:, [corpus.label_names.index(e.name) for e in entries]]
    known = labels[corpus.indices("train")]
    prior = answers(generator, {}, options.prior, 1.0, work / "prior.json")
    rows = []
    asking = jobs(entries, known, labels[corpus.indices("test")])
    for kind, weight, asked in track(asking, "asking"):
        stem = f"{kind} {weight:g}".replace(" + ", "_").replace(" = ", "=").replace(" ", "_")
        found = [
            answers(generator, q.asked, options.samples, weight, work / f"{stem}_{i}.json")
            for i, q in enumerate(asked)
        ]
        rows.append(judged(kind, weight, asked, found, prior, entries, known))
        print(json.dumps({k: v for k, v in rows[-1].items() if k != "points"}), flush=True)
    write(rows, entries, about(entries, known, options), options)


def jobs(
    entries: Sequence[ConditionProperty], known: np.ndarray, held_out: np.ndarray
) -> list[tuple[str, float, list[Question]]]:
    """What is asked: kind, guidance, and the questions of that kind.

    One property at quantiles of its training values ``known (n, k)``, or each of its levels, the
    first two on a grid, and all of them with values that occur together, those of molecules
    ``held_out (m, k)``.
    """
    columns = list(zip(entries, known.T, strict=True))
    questions = [
        Question({entry.name: value})
        for entry, column in columns
        for value in values_of(entry, column, ALONE)
    ]
    if len(entries) > 1:
        (one, first), (other, second) = columns[:2]
        questions += [
            Question({one.name: a, other.name: b})
            for a in values_of(one, first, TOGETHER, RARE)
            for b in values_of(other, second, TOGETHER, RARE)
        ]
    if len(entries) > 2:
        whole = held_out[~np.isnan(held_out).any(axis=1)]
        chosen = np.random.default_rng(0).permutation(whole)[:WHOLE]
        questions += [
            Question({e.name: value_of(e, v) for e, v in zip(entries, row, strict=True)})
            for row in chosen
        ]
    kinds = list(dict.fromkeys(question.kind for question in questions))
    return [(kind, w, [q for q in questions if q.kind == kind]) for kind in kinds for w in WEIGHTS]


def values_of(
    entry: ConditionProperty, column: np.ndarray, quantiles: Sequence[float], least: float = 0.0
) -> list[float] | list[str]:
    """A number's ``quantiles`` in the training data ``column (n,)``; a category's levels that at
    least a share ``least`` of it have."""
    if entry.kind == "number":
        return [float(value) for value in np.nanquantile(column, quantiles)]
    return [name for name, code in entry.levels.items() if (column == code).mean() >= least]


def value_of(entry: ConditionProperty, label: np.floating) -> float | str:
    """A label as it is asked for."""
    if entry.kind == "number":
        return float(label)
    return next(name for name, code in entry.levels.items() if code == label)


def answers(
    generator: Generator, asked: dict[str, float | str], draws: int, weight: float, path: Path
) -> dict[str, Any]:
    """What was drawn: SMILES (None for a draw that came to nothing), properties ``(n, k)``."""
    if path.exists():
        return dict(json.loads(path.read_text()))
    names = list(generator.conditions)
    smiles, _ = generator.draw(draws, seed=1, candidates=1, conditions=asked, guidance=weight)
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
    entries: Sequence[ConditionProperty],
    known: np.ndarray,
) -> dict[str, Any]:
    """The row of one kind of question and one guidance: means over its questions.

    An error is the mean over the draws of abs(obtained - asked), in the property's unit;
    ``relative`` the mean over the numbers asked for, in units of their training spread.
    ``right`` is the share of draws that have the levels asked for, ``data`` that of ``known``.
    ``draws`` is how many it takes until one is near, over all the questions together.
    """
    spread = np.nanstd(known, axis=0)
    errors, relative, right, near, whole, points = [], [], [], [], [], []
    numbers = [i for i, e in enumerate(entries) if e.kind == "number" and e.name in asked[0].asked]
    for question, drawn in zip(asked, found, strict=True):
        tables = [np.array(d["values"], dtype=float) for d in (drawn, prior)]
        goal = np.array([question.asked[entries[i].name] for i in numbers], dtype=float)
        off = [np.abs(table[:, numbers] - goal) / spread[numbers] for table in tables]
        met = [has_levels(table, question, entries) for table in (*tables, known)]
        right.append([each.mean() for each in met])
        near.append(
            [((o <= NEAR).all(axis=1) & m).mean() for o, m in zip(off, met[:2], strict=True)]
        )
        written = [text for text in drawn["smiles"] if text is not None]
        whole.append(
            [len(written) / len(drawn["smiles"]), len(set(written)) / max(1, len(written))]
        )
        if numbers:
            errors.append(np.nanmean(off[0], axis=0) * spread[numbers])
            relative.append([np.nanmean(each) for each in off])
            points.append([goal[0], *np.nanquantile(tables[0][:, numbers[0]], (0.1, 0.5, 0.9))])
    row: dict[str, Any] = {"asked": kind, "guidance": weight}
    if numbers:
        names = [f"error of {entries[i].name}" for i in numbers]
        row |= _means(names, errors) | _means(["relative", "relative, prior"], relative)
    if len(numbers) < len(asked[0].asked):
        row |= _means(["right", "right, prior", "right, data"], right)
    row |= _means(["valid", "unique"], whole)
    needed = (1 / share if share else math.inf for share in np.mean(near, axis=0).tolist())
    row |= dict(zip(("draws", "draws, prior"), needed, strict=True))
    return {**row, "questions": len(asked), "points": points}


def has_levels(
    table: np.ndarray, question: Question, entries: Sequence[ConditionProperty]
) -> np.ndarray:
    """Which rows of ``table (n, k)`` have the levels asked for, ``(n,)``."""
    right = np.ones(len(table), dtype=bool)
    for entry, column in zip(entries, table.T, strict=True):
        if entry.kind == "category" and entry.name in question.asked:
            right &= column == entry.levels[str(question.asked[entry.name])]
    return right


def about(
    entries: Sequence[ConditionProperty], known: np.ndarray, options: argparse.Namespace
) -> str:
    """What is asked, and what the columns of the table are."""
    numbers = [i for i, entry in enumerate(entries) if entry.kind == "number"]
    spreads = ", ".join(f"{entries[i].name} {np.nanstd(known[:, i]):.3g}" for i in numbers)
    asked = (
        "Each property alone is asked for at five quantiles of the training data (5 to 95 %), the "
        "first two on a grid of three by three (10, 50, 90 %), all of them with the values of "
        f"{WHOLE} test molecules"
    )
    errors = (
        "Errors are means of abs(obtained - asked) over the draws, in the property's unit and, "
        f"`relative`, in training spreads ({spreads}). "
    )
    near = f"is within {NEAR:g} spreads in every property asked for"
    if len(numbers) < len(entries):
        asked = (
            "A category alone is asked for at each of its levels, a number at five quantiles of "
            "the training data (5 to 95 %); the first two together at levels that at least "
            f"{100 * RARE:g} % of the training molecules have and at three quantiles (10, 50, "
            f"90 %); three or more with the values of {WHOLE} test molecules"
        )
        errors = (errors if numbers else "") + (
            "`right`: the share of draws of the level asked for, beside it that of draws without "
            "conditions and that of training molecules. "
        )
        near = f"is right and within {NEAR:g} spreads in every number asked for"
    return (
        f"{asked}; what is not named is unknown. {options.samples} draws for each question. "
        f"{errors}`draws`: how many it takes until one {near}, over all questions of a row "
        f"together. `prior`: {options.prior:,} draws of the same model without conditions, to be "
        "filtered."
    )


def _means(names: Sequence[str], rows: Sequence[Any]) -> dict[str, float]:
    return dict(zip(names, np.mean(rows, axis=0).tolist(), strict=True))


def _number(value: float) -> float | None:
    return None if np.isnan(value) else float(value)


if __name__ == "__main__":
    main()
