"""Rows of molecules into a command, and what was wrong with them out to standard error."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from molvae.base.errors import InputError
from molvae.cli.common import say
from molvae.datasets.readers import read_molecules

EXAMPLES = 5


@dataclass
class Table:
    """Molecules as read, aligned; ``smiles`` is None where a row has none that can be used."""

    numbers: list[int]
    texts: list[str]
    smiles: list[str | None]
    names: list[str | None]
    problems: list[str | None]

    @property
    def columns(self) -> dict[str, Sequence[str | None]]:
        """The columns that every output begins with: SMILES as given, and names if there are."""
        named: dict[str, Sequence[str | None]] = {"smiles": self.texts}
        return {**named, "name": self.names} if any(self.names) else named

    def add(self, other: Table) -> None:
        """Put the rows of another table below these."""
        self.numbers += other.numbers
        self.texts += other.texts
        self.smiles += other.smiles
        self.names += other.names
        self.problems += other.problems

    def tell(
        self, reasons: Sequence[str | None], what: str, quiet: bool = False, *, some: bool = False
    ) -> None:
        """Say on standard error which rows could not be ``what`` (encoded, decoded), and why.

        Where ``some`` are needed, raises :class:`InputError` if that is all of them.
        """
        both = zip(self.problems, reasons, strict=True)
        whole = [p or r for p, r in both]
        tell_reasons(whole, what, self.numbers, self.texts, quiet)
        if some and None not in whole:
            raise InputError(
                f"no row of {len(whole):,} could be {what} (row {self.numbers[0]} "
                f"{self.texts[0][:60]!r}: {whole[0]}); mend the file, or name the "
                "column of its molecules with --smiles-column"
            )


def read_table(path: str, smiles_column: str | None = None) -> Table:
    """Read all molecules of ``path``."""
    table = Table([], [], [], [], [])
    for row in read_molecules(path, smiles_column=smiles_column):
        table.numbers.append(row.number)
        table.texts.append(row.smiles)
        table.smiles.append(None if row.problem else row.smiles)
        table.names.append(row.name)
        table.problems.append(row.problem)
    return table


def with_properties(
    columns: Mapping[str, Sequence[Any]], names: Sequence[str]
) -> dict[str, Sequence[Any]]:
    """``columns``, and after them the named properties of their ``smiles``."""
    from molvae.chem.properties import compute

    values = compute(columns["smiles"], names, progress=False).T
    return {**columns, **dict(zip(names, values, strict=True))}


def tell_reasons(
    reasons: Sequence[str | None],
    what: str,
    numbers: Sequence[int],
    texts: Sequence[str] | None = None,
    quiet: bool = False,
) -> None:
    """Count the reasons, and show the first few rows that have one."""
    failed = [i for i, reason in enumerate(reasons) if reason is not None]
    if not failed:
        return
    say(f"{len(failed):,} of {len(reasons):,} rows could not be {what} and are blank:", quiet)
    counts = Counter((reasons[i] or "").partition(" (")[0] for i in failed)
    for cause, count in counts.most_common():
        say(f"  {count:,} x {cause}", quiet)
    tell_rows(reasons, numbers, texts, quiet)


def tell_rows(
    reasons: Sequence[str | None],
    numbers: Sequence[int],
    texts: Sequence[str] | None = None,
    quiet: bool = False,
) -> None:
    """Show the first few rows that have a reason."""
    failed = [i for i, reason in enumerate(reasons) if reason is not None]
    for i in failed[:EXAMPLES]:
        text = f" {texts[i][:60]!r}" if texts is not None else ""
        say(f"  row {numbers[i]}{text}: {reasons[i]}", quiet)
    if len(failed) > EXAMPLES:
        say(f"  and {len(failed) - EXAMPLES:,} more rows", quiet)
