"""What a laboratory says of molecules: a number, nothing yet, or that it failed."""

from __future__ import annotations

import difflib
import math
import numbers
import re
import statistics
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from molvae.base.errors import InputError
from molvae.chem.smiles import MoleculeError, canonicalise_many, parse
from molvae.datasets.rows import MISSING, label_value, smiles_problem
from molvae.optimize.store import Observation, Suggestion
from molvae.oracles.answers import LARGEST, Outcome

FAILURES = ("failed", "failure", "fail", "impossible", "insoluble", "decomposed", "not made")
"""Words with which the cell of a molecule that failed begins; what follows is the reason."""
NOT_YET = MISSING - {"nan"}
"""Cells of molecules that are not measured yet. NaN is the mark of a calculation gone wrong."""
SHOWN = 3
OTHERS = 5
"""Molecules from which on one can say how much molecules differ in an assay."""


@dataclass(frozen=True)
class Measurement:
    """One cell of a table: the molecule as it is written, what is said of it, and where.

    ``fault`` is why the row cannot be read at all; ``assay`` is what was measured, None where a
    campaign has only one.
    """

    smiles: str
    cell: Any
    where: str
    id: str | None = None
    fault: str | None = None
    assay: str | None = None


@dataclass(frozen=True)
class Reading:
    """A measurement that can be recorded: the molecule by which it is known, and its outcome.

    ``assay`` is the number of what was measured.
    """

    smiles: str
    outcome: Outcome
    assay: int = 0


Results = Mapping[str, Any] | Iterable[tuple[str, Any] | Measurement]


def read_cell(cell: Any) -> Outcome | None:
    """The outcome that a cell is, None where the molecule is not measured yet.

    Raises :class:`ValueError`, whose message says what is wrong with it.

    >>> read_cell("6.5"), read_cell(" "), read_cell("Failed: no product").failure
    (Outcome(value=6.5, failure=None), None, 'Failed: no product')
    >>> read_cell("inf")
    Traceback (most recent call last):
    ...
    ValueError: 'inf' is not a finite number; leave the cell blank where nothing is measured yet
    """
    if cell is None or (isinstance(cell, Outcome) and not cell.ok):
        return cell
    if isinstance(cell, Outcome):
        return _measured(cell.value)
    if isinstance(cell, str):
        return _read_text(cell.strip())
    if isinstance(cell, bool) or not isinstance(cell, numbers.Real):
        raise ValueError(f"{cell!r} is no number ({type(cell).__name__})")
    try:
        value = float(cell)
    except OverflowError:
        value = math.inf
    if not math.isfinite(value):
        raise ValueError(f"{value} is not a finite number; give None where nothing is measured yet")
    return _measured(value)


def _measured(value: float) -> Outcome:
    """The outcome that a finite ``value`` is, unless nothing could be learnt from it."""
    if abs(value) > LARGEST:
        raise ValueError(
            f"{value} is beyond the largest value of {LARGEST:g}; write the measured value, or "
            "'failed'"
        )
    return Outcome(value)


def _read_text(text: str) -> Outcome | None:
    shown = repr(text if len(text) <= 40 else text[:37] + "...")
    if text.casefold() in NOT_YET:
        return None
    value = label_value(text)
    if value is not None and math.isfinite(value):
        return _measured(value)
    if text.casefold().startswith(FAILURES):
        return Outcome(math.nan, text)
    if re.fullmatch(r"[+-]?\d+,\d+", text):
        raise ValueError(f"{shown} has a decimal comma; write {text.replace(',', '.')}")
    if re.fullmatch(r"[+-]?(nan|inf(inity)?)|[\d.eE+-]+", text, re.IGNORECASE):
        raise ValueError(
            f"{shown} is not a finite number; leave the cell blank where nothing is measured yet"
        )
    raise ValueError(
        f"{shown} is no number; write one, 'failed' with the reason, or nothing where it is not "
        "measured yet"
    )


def measurements(results: Results) -> list[Measurement]:
    """``results`` of a program, molecules with what is said of them, each with its place.

    What is said is the cell of the only assay, or a mapping of assays to their cells.

    >>> [(m.smiles, m.assay, m.cell) for m in measurements({"CCO": {"pIC50": 5.5, "logD": None}})]
    [('CCO', 'pIC50', 5.5), ('CCO', 'logD', None)]
    """
    items = results.items() if isinstance(results, Mapping) else results
    found: list[Measurement] = []
    for number, item in enumerate(items, start=1):
        if isinstance(item, Measurement):
            found.append(item)
            continue
        smiles, said = item
        cells = said.items() if isinstance(said, Mapping) else [(None, said)]
        found += [Measurement(smiles, c, f"result {number}", assay=name) for name, c in cells]
    return found


def read(
    told: Sequence[Measurement], asked: Mapping[str, Suggestion], assays: Sequence[str]
) -> tuple[list[Reading], int]:
    """What can be recorded of ``told``, and how many of it are not measured yet.

    ``asked`` are the campaign's suggestions by their id, ``assays`` what it measures. Molecules are
    known by their canonical SMILES, those that do not parse by their text.

    Raises :class:`InputError` that names the first places where something is wrong.
    """
    readings, faults, blank = [], [], 0
    texts = [(m.smiles or "").strip() for m in told]
    for measurement, text, canonical in zip(told, texts, canonicalise_many(texts), strict=True):
        smiles = canonical or text
        try:
            if measurement.fault is not None:
                raise ValueError(measurement.fault)
            assay = _assay(measurement.assay, assays)
            outcome = read_cell(measurement.cell)
            if outcome is None:
                blank += 1
                continue
            _check(smiles, measurement.id, asked)
        except ValueError as error:
            faults.append(f"{measurement.where} ({smiles[:60] or 'no molecule'}): {error}")
            continue
        readings.append(Reading(smiles, outcome, assay))
    if faults:
        more = f"; and {len(faults) - SHOWN} more" if len(faults) > SHOWN else ""
        raise InputError(f"nothing was recorded; mend {'; '.join(faults[:SHOWN])}{more}")
    return readings, blank


def _assay(name: str | None, assays: Sequence[str]) -> int:
    if name is None and len(assays) == 1:
        return 0
    if name is not None and name in assays:
        return list(assays).index(name)
    if name is None:
        raise ValueError(f"say of which assay it is: {', '.join(assays)}")
    near = difflib.get_close_matches(str(name), assays, n=1, cutoff=0.5)
    hint = f"did you mean {near[0]!r}?" if near else f"there is {', '.join(assays)}"
    raise ValueError(f"there is no assay {name!r}; {hint}")


def _check(smiles: str, id: str | None, asked: Mapping[str, Suggestion]) -> None:
    problem = smiles_problem(smiles)
    if problem is not None:
        raise ValueError(f"a value without a molecule: {problem}")
    suggestion = asked.get(id or "")
    if suggestion is not None and suggestion.smiles != smiles:
        raise ValueError(
            f"{id} was {suggestion.smiles}, another molecule; sort whole rows, or empty the id"
        )


def new_only(
    readings: Sequence[Reading], recorded: Sequence[Observation]
) -> tuple[list[Reading], int]:
    """The readings that are not among those ``recorded`` of the molecule's assay, and how many are.

    Two equal ones in ``readings`` are two measurements, of which one may have been recorded.
    """
    left = {
        (o.suggestion.smiles, assay): Counter([*told.values, *told.failures])
        for o in recorded
        for assay, told in [(0, o.of(0)), *o.others.items()]
    }
    new = []
    for reading in readings:
        outcome = reading.outcome
        value = outcome.value if outcome.failure is None else outcome.failure
        counter = left.get((reading.smiles, reading.assay), Counter())
        if counter[value] > 0:
            counter[value] -= 1
        else:
            new.append(reading)
    return new, len(readings) - len(new)


def at_odds(
    readings: Sequence[Reading], observations: Sequence[Observation], assays: Sequence[str]
) -> list[tuple[str, str, tuple[float, ...]]]:
    """The molecules of ``readings`` whose values in an assay contradict each other: molecule,
    assay, and the values.

    They do where they differ by more than other molecules do from each other (the standard
    deviation of at least :data:`OTHERS` of them): one may be of another molecule or in another
    unit.
    """
    found = []
    told = {o.suggestion.smiles: o for o in observations}
    for smiles, assay in dict.fromkeys((r.smiles, r.assay) for r in readings):
        values = told[smiles].of(assay).values
        if len(values) < 2:
            continue
        others = [o.of(assay).outcome for name, o in told.items() if name != smiles]
        means = [outcome.value for outcome in others if outcome.ok]
        if len(means) >= OTHERS and max(values) - min(values) > statistics.pstdev(means):
            found.append((smiles, assays[assay], values))
    return found


def unusable_reason(suggestion: Suggestion) -> str | None:
    """Why the search cannot learn from a molecule, None where it can.

    >>> import numpy as np
    >>> unusable_reason(Suggestion("C1CC", 0, "told", np.array([np.nan])))
    'not valid SMILES (ring 1 is not closed)'
    """
    if suggestion.usable:
        return None
    try:
        parse(suggestion.smiles)
    except MoleculeError as error:
        return error.reason
    return "the model cannot encode it"
