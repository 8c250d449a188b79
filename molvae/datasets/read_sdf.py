"""SDF records to rows: split by our own hands, so that one broken record costs one row."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence

from rdkit import Chem
from rdkit.rdBase import BlockLogs

from molvae.base.errors import InputError
from molvae.chem.smiles import MAX_ATOMS
from molvae.datasets.rows import Labels, Row, find_column

_MOST_LINES = 20_000
_MOST_NAMES = 1_000
_PROPERTY = re.compile(r">.*<([^>]*)>")
_COUNTS_V3000 = re.compile(r"^M\s+V30\s+COUNTS\s+(\d+)", re.MULTILINE)


def sdf_rows(
    lines: Iterator[str], smiles_column: str | None, labels: Labels, where: str
) -> Iterator[Row]:
    """The rows of an SDF's lines, numbered by record; labels are its properties.

    A property that no record has is an :class:`InputError` at the end, since only the whole file
    can tell.
    """
    if smiles_column is not None:
        raise InputError(
            f"{where} is an SDF, whose molecules are structures; leave the SMILES column out"
        )
    seen: dict[str, None] = {}
    found = dict.fromkeys(labels.names, False)
    for number, record in enumerate(_records(lines), start=1):
        properties = _properties(record)
        if len(seen) < _MOST_NAMES:
            seen.update(dict.fromkeys(properties))
        for name in labels.names:
            found[name] |= name in properties
        values, fault = labels.read([properties.get(name) for name in labels.names])
        smiles, problem = _smiles(record)
        yield Row(number, smiles, record[0].strip() or None, values, problem or fault)
    for name, was_found in found.items():
        if not was_found and seen:
            find_column(list(seen), name, where)


def _records(lines: Iterator[str]) -> Iterator[list[str]]:
    record: list[str] = []
    for line in lines:
        if line.startswith("$$$$"):
            yield record or [""]
            record = []
        elif len(record) < _MOST_LINES:
            record.append(line)
    if any(map(str.strip, record)):
        yield record


def _properties(record: Sequence[str]) -> dict[str, str]:
    properties: dict[str, str] = {}
    values = iter(record)
    for line in values:
        match = _PROPERTY.match(line)
        if match:
            properties[match[1].strip()] = next(values, "").strip()
    return properties


def _smiles(record: Sequence[str]) -> tuple[str, str | None]:
    """``(SMILES, None)``, or ``("", problem)``; the size is checked before RDKit sees the text."""
    if len(record) == _MOST_LINES:
        return "", f"record of more than {_MOST_LINES:,} lines"
    block = "\n".join(record)
    counts = _COUNTS_V3000.search(block)
    stated = counts[1] if counts else (record[3][:3].strip() if len(record) > 3 else "")
    if not stated.isdigit():
        return "", "not a mol block (no counts line)"
    if int(stated) > 4 * MAX_ATOMS:  # hydrogens may be written out
        return "", f"more than {4 * MAX_ATOMS:,} atoms"
    with BlockLogs():
        mol: Chem.Mol | None = Chem.MolFromMolBlock(block)
        if mol is None:
            broken = Chem.MolFromMolBlock(block, sanitize=False) is None
            return "", "not a mol block" if broken else "impossible valence or aromaticity"
    if mol.GetNumAtoms() == 0:
        return "", "no atoms"
    return str(Chem.MolToSmiles(mol)), None
