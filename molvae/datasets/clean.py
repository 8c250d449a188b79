"""The cleaning funnel: rows in, canonical molecules out, every dropped row accounted for."""

from __future__ import annotations

import functools
import re
from collections import Counter, deque
from collections.abc import Callable, Iterable, Iterator
from typing import Any, NamedTuple

from pydantic import Field, field_validator
from rdkit import Chem
from rdkit.rdBase import BlockLogs

from molvae.base.errors import InputError
from molvae.base.parallel import chunked
from molvae.base.progress import Progress
from molvae.base.records import Record
from molvae.chem.alerts import CATALOGS, alerts
from molvae.chem.selfies import CodecError
from molvae.chem.smiles import MoleculeError, parse
from molvae.chem.standardise import StandardiseOptions, needs_standardising, standardise
from molvae.datasets.isolate import Failure, isolated_map
from molvae.datasets.rows import Row
from molvae.datasets.seen import Seen

_BATCH = 512
_SHOWN = 200
_MANY_RINGS = 7
_HARMLESS = "CCO"
_ELEMENT = re.compile(r"\[\d*([A-Z][a-z]?|[a-z]+|\*)|(Cl|Br|[BCNOPSFI]|[bcnops]|\*)")


class CleanOptions(Record):
    """What a molecule must be to pass, and what is done to it.

    Attributes:
        max_length: most characters of SMILES as given; longer ones are not even parsed.
        min_atoms: fewest heavy atoms after standardising.
        max_atoms: most heavy atoms, as given and after standardising.
        elements: symbols of the elements allowed after standardising.
        standardise: what :func:`molvae.chem.standardise.standardise` does.
        deduplicate: keep only the first row of each canonical SMILES.
        alerts: catalogues of alerts (keys of :data:`molvae.chem.alerts.CATALOGS`) that drop.
        seconds: CPU time allowed on one molecule.
    """

    max_length: int = Field(default=1000, ge=1)
    min_atoms: int = Field(default=1, ge=0)
    max_atoms: int = Field(default=150, ge=1)
    elements: tuple[str, ...] = (
        *("H", "B", "C", "N", "O", "F", "Si", "P", "S", "Cl", "Se", "Br", "I"),
    )
    standardise: StandardiseOptions = StandardiseOptions()
    deduplicate: bool = True
    alerts: tuple[str, ...] = ()
    seconds: float = Field(default=1.0, gt=0)

    @field_validator("elements")
    @classmethod
    def _elements(cls, symbols: tuple[str, ...]) -> tuple[str, ...]:
        table = Chem.GetPeriodicTable()
        known = {table.GetElementSymbol(number) for number in range(1, 119)}
        for symbol in symbols:
            if symbol not in known:
                raise ValueError(f"{symbol!r} is not the symbol of an element")
        return symbols

    @field_validator("alerts")
    @classmethod
    def _alerts(cls, names: tuple[str, ...]) -> tuple[str, ...]:
        for name in names:
            if name not in CATALOGS:
                raise ValueError(f"no catalogue {name!r}; there are {', '.join(CATALOGS)}")
        return names


Then = Callable[[Chem.Mol, str], Any]
"""What :func:`clean` may do with each molecule that passed, and its canonical SMILES."""


class Cleaned(NamedTuple):
    """A row that passed; ``smiles`` is canonical, ``result`` what ``then`` made of it."""

    number: int
    smiles: str
    name: str | None
    labels: dict[str, float]
    result: Any = None


class Dropped(NamedTuple):
    """A row that did not: its number, its text (cut after 200 characters), the reason.

    ``reason`` reads ``cause (detail)``.
    """

    number: int
    text: str
    reason: str


class Funnel:
    """Counts what went in, what came out, and what was lost for which reason.

    >>> funnel = Funnel()
    >>> rows = [Row(1, "OCC", None, {}), Row(2, "CCO", None, {}), Row(3, "C1", None, {})]
    >>> kept = [c.smiles for c in funnel.watch(clean(rows, workers=0)) if isinstance(c, Cleaned)]
    >>> kept, funnel.table()
    (['CCO'], [('read', 3), ('duplicate', 1), ('not valid SMILES', 1), ('kept', 1)])
    """

    def __init__(self) -> None:
        self.kept = 0
        self.reasons: Counter[str] = Counter()

    @property
    def dropped(self) -> int:
        """Rows that did not pass."""
        return self.reasons.total()

    @property
    def read(self) -> int:
        """All rows."""
        return self.kept + self.dropped

    def watch(self, items: Iterable[Cleaned | Dropped]) -> Iterator[Cleaned | Dropped]:
        """The same items, counted as they pass."""
        for item in items:
            if isinstance(item, Dropped):
                self.reasons[item.reason.partition(" (")[0]] += 1
            else:
                self.kept += 1
            yield item

    def table(self) -> list[tuple[str, int]]:
        """``(what, rows)``: read, each reason with the commonest first, kept."""
        order = sorted(self.reasons.items(), key=lambda pair: (-pair[1], pair[0]))
        return [("read", self.read), *order, ("kept", self.kept)]

    def require_some(self, where: str) -> None:
        """Raise :class:`InputError` if nothing passed, with the commonest reason."""
        if self.kept:
            return
        reason, count = self.reasons.most_common(1)[0] if self.reasons else ("no rows", 0)
        raise InputError(
            f"{where}: none of its {self.read:,} rows is a usable molecule "
            f"(most often: {reason}, {count:,} times); is the SMILES column the right one?"
        )


def clean(
    rows: Iterable[Row],
    options: CleanOptions | None = None,
    workers: int | None = None,
    progress: bool | None = None,
    then: Then | None = None,
) -> Iterator[Cleaned | Dropped]:
    """Each row once, in order: :class:`Cleaned`, or :class:`Dropped` with the reason.

    Parse, standardise, hold to the caps, canonicalise, drop duplicates: in memory that grows by
    8 bytes per distinct molecule. Of duplicates the first row stays, with its labels. The work is
    done in worker processes (``workers`` None: one per core), which are stopped when a molecule
    takes over ``options.seconds`` or crashes them; that molecule is dropped with this reason.
    ``workers=0`` works in this process without that protection, at once: good for a few rows.

    ``then`` is called in the worker with each molecule that passed, parsed, and its SMILES, within
    the same time; a :class:`MoleculeError` or :class:`CodecError` of it drops the row. It must be
    picklable.

    >>> [str(c[1]) for c in clean([Row(1, "CC(=O)[O-].[Na+]", None, {})], workers=0)]
    ['CC(=O)O']
    """
    options = options or CleanOptions()
    waiting: deque[Row] = deque()
    job = functools.partial(_clean_then, options=options, then=then)
    texts = _texts(rows, waiting, options)
    outcomes = isolated_map(job, texts, seconds=options.seconds, example=_HARMLESS, workers=workers)
    seen = Seen()
    with Progress("cleaning", None, progress) as bar:
        for batch in chunked(outcomes, _BATCH):
            ours = [waiting.popleft() for _ in batch]
            items = [_item(row, outcome) for row, outcome in zip(ours, batch, strict=True)]
            if options.deduplicate:
                items = _without_duplicates(items, ours, seen)
            yield from items
            bar.advance(len(items))


def clean_text(smiles: str | None, options: CleanOptions) -> str | Failure:
    """The canonical SMILES of one text, or why it has none; None stays a failure."""
    outcome = _clean_then(smiles, options, None)
    return outcome if isinstance(outcome, Failure) else outcome[0]


def _clean_then(
    smiles: str | None, options: CleanOptions, then: Then | None
) -> tuple[str, Any] | Failure:
    if smiles is None:
        return Failure("")
    try:
        mol = parse(smiles, max_length=options.max_length, max_atoms=options.max_atoms)
        if needs_standardising(smiles, options.standardise):
            with BlockLogs():
                mol = standardise(mol, options.standardise)
        canonical = str(Chem.MolToSmiles(mol))
        refusal = _refusal(mol, canonical, options)
        if refusal is not None:
            return refusal
        return canonical, None if then is None else then(mol, canonical)
    except (MoleculeError, CodecError) as error:
        return Failure(error.reason)
    except (RuntimeError, ValueError, MemoryError) as error:  # RDKit's own invariants
        lines = str(error).strip().splitlines() or [type(error).__name__]
        return Failure(f"RDKit failed ({lines[0]})")


def _refusal(mol: Chem.Mol, canonical: str, options: CleanOptions) -> Failure | None:
    atoms = mol.GetNumHeavyAtoms()
    if atoms < options.min_atoms:
        return Failure(f"fewer than {options.min_atoms} atoms")
    if atoms > options.max_atoms:
        return Failure(f"more than {options.max_atoms} atoms")
    foreign = _foreign_elements(canonical, options.elements)
    if foreign:
        return Failure(f"element not allowed ({', '.join(foreign)})")
    if mol.GetRingInfo().NumRings() >= _MANY_RINGS and not _rereads(canonical):
        return Failure("canonical SMILES cannot be read back")
    if options.alerts:
        hits = alerts(mol, options.alerts)
        if hits:
            return Failure(f"alert ({hits[0]})")
    return None


def _foreign_elements(canonical: str, allowed: tuple[str, ...]) -> list[str]:
    symbols = {(a or b).capitalize() for a, b in set(_ELEMENT.findall(canonical))}
    return sorted(symbols.difference(allowed))


def _rereads(canonical: str) -> bool:
    """Large fused aromatic systems may come out in a form that cannot be kekulised again."""
    with BlockLogs():
        return Chem.MolFromSmiles(canonical) is not None


def _texts(rows: Iterable[Row], waiting: deque[Row], options: CleanOptions) -> Iterator[str | None]:
    """The SMILES that are worth a worker's time, None for the others, one for each row.

    What is too long is refused here: a worker never sees it, and no chunk grows large by it.
    """
    for row in rows:
        problem = row.problem
        if problem is None and len(row.smiles) > options.max_length:
            problem = f"longer than {options.max_length:,} characters"
        text = row.smiles if problem is None else row.smiles[:_SHOWN]
        waiting.append(row._replace(smiles=text, problem=problem))
        yield row.smiles if problem is None else None


def _item(row: Row, outcome: tuple[str, Any] | Failure) -> Cleaned | Dropped:
    if row.problem is not None:
        return _dropped(row, row.problem)
    if isinstance(outcome, Failure):
        return _dropped(row, outcome.reason)
    smiles, result = outcome
    return Cleaned(row.number, smiles, row.name, row.labels, result)


def _dropped(row: Row, reason: str) -> Dropped:
    text = row.smiles or row.name or ""
    return Dropped(row.number, text if len(text) < _SHOWN else text[: _SHOWN - 3] + "...", reason)


def _without_duplicates(
    items: list[Cleaned | Dropped], rows: Iterable[Row], seen: Seen
) -> list[Cleaned | Dropped]:
    new = iter(seen.add([item.smiles for item in items if isinstance(item, Cleaned)]))
    return [
        _dropped(row, "duplicate") if isinstance(item, Cleaned) and not next(new) else item
        for item, row in zip(items, rows, strict=True)
    ]
