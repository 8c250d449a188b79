"""One row of a file of molecules, and how its columns are found and its labels are read."""

from __future__ import annotations

import difflib
import json
import math
import re
from collections.abc import Sequence
from typing import Any, NamedTuple

from molvae.base.errors import InputError
from molvae.datasets.splits import part_of_word

SMILES_NAMES = (
    "smiles",
    "canonicalsmiles",
    "isomericsmiles",
    "canonicalisomericsmiles",
    "rdkitsmiles",
    "cansmiles",
    "cleansmiles",
    "smi",
    "structure",
    "molecule",
    "mol",
    "drug",
)
"""Column names taken for SMILES, best first, without case, spaces, dots, dashes, underscores."""

NAME_NAMES = (
    "name",
    "id",
    "title",
    "identifier",
    "compoundname",
    "compoundid",
    "compound",
    "moleculename",
    "moleculeid",
    "moleculechemblid",
    "chemblid",
    "zincid",
    "molid",
    "molname",
    "catalogid",
    "cid",
)
"""Column names taken for the molecule's name, best first, in the same spelling."""

MISSING = frozenset(("", "na", "n/a", "#n/a", "nan", "null", "none", "-", "?", "missing"))
"""Cells that mean "not measured", in lower case."""

_NUMBER = re.compile(r"[+-]?(\d+\.?\d*|\.\d+)([eE][+-]?\d+)?")
_COMMA = re.compile(r"[+-]?\d+,\d+")
_TEXT_ROWS = 100


class Row(NamedTuple):
    """One molecule as a file gives it.

    ``number`` is the row's own line in the file, counted from 1 (a header is line 1); in SDF and
    Parquet files, which have no useful lines, the record counted from 1. ``labels`` holds NaN
    where a cell is empty. ``problem`` says why the row cannot be used, as ``cause (detail)``.
    """

    number: int
    smiles: str
    name: str | None
    labels: dict[str, float]
    problem: str | None = None


class Columns(NamedTuple):
    """Where in a row its parts stand."""

    smiles: int
    name: int | None
    labels: tuple[int, ...]


def plain(name: str) -> str:
    """A column name without case, spaces, dots, dashes and underscores.

    >>> plain("Canonical_SMILES")
    'canonicalsmiles'
    """
    return re.sub(r"[\s._\-]+", "", name.casefold())


def is_smiles_name(name: str) -> bool:
    """Whether a column of this name is taken for SMILES.

    >>> is_smiles_name("Canonical SMILES"), is_smiles_name("CCO")
    (True, False)
    """
    return plain(name) in SMILES_NAMES


def locate(
    header: Sequence[str], smiles_column: str | None, labels: Sequence[str], where: str
) -> Columns:
    """Find the columns of a table; :class:`InputError` naming the known ones where it cannot.

    >>> locate(["id", "SMILES", "logP"], None, ["logP"], "x.csv")
    Columns(smiles=1, name=0, labels=(2,))
    >>> locate(["id", "SMILES", "logP"], None, ["logD"], "x.csv")
    Traceback (most recent call last):
    ...
    molvae.base.errors.InputError: x.csv has no column "logD"; did you mean "logP"? \
Its columns: id, SMILES, logP
    """
    _require_header(header, where)
    if smiles_column is None:
        smiles = _by_convention(header, SMILES_NAMES, where)
        if smiles is None:
            raise InputError(
                f"{where} has no column of SMILES that is recognised by name; say which it is "
                f"(--smiles-column). Its columns: {_listed(header)}"
            )
    else:
        smiles = find_column(header, smiles_column, where)
    found = tuple(find_column(header, label, where) for label in labels)
    return Columns(smiles, _by_convention(header, NAME_NAMES), found)


def _require_header(header: Sequence[str], where: str) -> None:
    """Raise :class:`InputError` for a table whose first line is a molecule and no names."""
    # Names of columns are hardly ever SMILES; short ones (CO, Cs) may be.
    texts = [name.strip() for name in header if len(name.strip()) >= 6 and not name.isalpha()]
    if not texts:
        return
    from molvae.chem.smiles import canonicalise_many

    found = [t for t, read in zip(texts, canonicalise_many(texts), strict=True) if read is not None]
    if found:
        raise InputError(
            f"{where} begins with the molecule {found[0]!r} where the names of its columns should "
            "be; put a line such as 'smiles,value' above it"
        )


def find_column(header: Sequence[str], wanted: str, where: str) -> int:
    """The place of one column: by its exact name, else ignoring case and punctuation."""
    names = [name.strip() for name in header]
    places = [i for i, name in enumerate(names) if name == wanted]
    places = places or [i for i, name in enumerate(names) if plain(name) == plain(wanted)]
    if len(places) > 1:
        columns = " and ".join(str(place + 1) for place in places)
        raise InputError(
            f"{where} has the column {_quoted(wanted)} {len(places)} times (columns {columns}); "
            "rename all but one"
        )
    if not places:
        near = difflib.get_close_matches(wanted.lower(), [n.lower() for n in names], n=1)
        match = next((name for name in names if near and name.lower() == near[0]), None)
        hint = f"did you mean {_quoted(match)}? Its" if match else "its"
        raise InputError(
            f"{where} has no column {_quoted(wanted)}; {hint} columns: {_listed(header)}"
        )
    return places[0]


class Labels:
    """Reads the label cells of row after row, and notices a column that holds only text.

    ``split_column`` is read beside the numbers: its train, validation and test words are the
    label of its name as 0, 1 and 2.
    """

    def __init__(self, names: Sequence[str], where: str, split_column: str | None = None) -> None:
        names = [*names, *([] if split_column is None else [split_column])]
        repeated = {name for name in names if list(names).count(name) > 1}
        if repeated:
            raise InputError(f"label {_quoted(min(repeated))} is asked for twice; name it once")
        self.names = tuple(names)
        self._split_column = split_column
        self._where = where
        self._numbers = [0] * len(self.names)
        self._texts = [0] * len(self.names)
        self._sample = [""] * len(self.names)

    def read(self, cells: Sequence[Any]) -> tuple[dict[str, float], str | None]:
        """The labels by name, and the row's problem if a cell is text.

        Raises :class:`InputError` once a hundred cells of a column were text and none a number.

        >>> Labels(["logP", "pKa"], "x.csv").read(["1.5", "NA"])
        ({'logP': 1.5, 'pKa': nan}, None)
        >>> Labels(["logP"], "x.csv").read(["high"])
        ({'logP': nan}, 'label logP is not a number ("high")')
        """
        values: dict[str, float] = {}
        problem = None
        for place, (name, cell) in enumerate(zip(self.names, cells, strict=True)):
            is_split = name == self._split_column
            value = _part_value(cell) if is_split else label_value(cell)
            if value is None:
                value = math.nan
                self._texts[place] += 1
                self._sample[place] = str(cell).strip()
                fault = "no part of a split" if is_split else f"label {name} is not a number"
                problem = problem or f"{fault} ({_quoted(cell)})"
                if self._texts[place] == _TEXT_ROWS:
                    self._refuse_text(place)
            elif not math.isnan(value):
                self._numbers[place] += 1
            values[name] = value
        return values, problem

    def finish(self) -> None:
        """Raise :class:`InputError` if a column held text and not one number."""
        for place in range(len(self.names)):
            self._refuse_text(place)

    def _refuse_text(self, place: int) -> None:
        if self._texts[place] and not self._numbers[place]:
            if self.names[place] == self._split_column:
                raise InputError(
                    f"{self._where}: split column {_quoted(self.names[place])} holds words such "
                    f"as {_quoted(self._sample[place])}; it needs train, validation and test"
                )
            comma = _COMMA.fullmatch(self._sample[place]) is not None
            raise InputError(
                f"{self._where}: label column {_quoted(self.names[place])} holds text such as "
                f"{_quoted(self._sample[place])} and no numbers; "
                + ("write decimal points, not commas" if comma else "choose a numeric column")
            )


class Cells(Labels):
    """Gives the cells of columns as they stand: a table of a laboratory holds words, too."""

    def read(self, cells: Sequence[Any]) -> tuple[dict[str, Any], str | None]:
        """The cells by name; they are no problem, whatever they are.

        >>> Cells(["pIC50"], "x.csv").read([" failed"])
        ({'pIC50': ' failed'}, None)
        """
        return dict(zip(self.names, cells, strict=True)), None


def label_value(cell: Any) -> float | None:
    """A label cell as a number, NaN if it is missing, None if it is something else.

    >>> label_value(" 1.5e-3 "), label_value("NA"), label_value("<5"), label_value("inf")
    (0.0015, nan, None, None)
    """
    if cell is None:
        return math.nan
    if isinstance(cell, str):
        text = cell.strip()
        if _NUMBER.fullmatch(text):
            value = float(text)
        else:
            return math.nan if text.lower() in MISSING else None
    else:
        try:
            value = float(cell)
        except (TypeError, ValueError):
            return None
    return None if math.isinf(value) else value


def _part_value(cell: Any) -> float | None:
    """A cell of a split column as 0, 1 or 2, None if it is missing or no part."""
    try:
        return float(part_of_word("" if cell is None else str(cell)))
    except InputError:
        return None


def smiles_problem(smiles: str) -> str | None:
    """Why the text of a SMILES cell cannot be used whatever it spells, or None.

    >>> smiles_problem("CCO"), smiles_problem(""), smiles_problem("C\\0C")
    (None, 'no SMILES', 'SMILES with a NUL byte')
    """
    if not smiles:
        return "no SMILES"
    if smiles.isascii() and "\0" not in smiles:
        return None
    if "\0" in smiles:
        return "SMILES with a NUL byte"
    if "\ufffd" in smiles:
        return "SMILES with bytes that are not UTF-8"
    return "SMILES with a character outside ASCII"


def _by_convention(
    header: Sequence[str], names: Sequence[str], where: str | None = None
) -> int | None:
    """The first of ``names`` in the header; two of it are an error if ``where`` is given."""
    spelled = [plain(name) for name in header]
    for name in names:
        places = [i for i, column in enumerate(spelled) if column == name]
        if len(places) > 1 and where is not None:
            raise InputError(
                f"{where} has {len(places)} columns that may be the SMILES "
                f"({_listed([header[i] for i in places])}); rename all but one"
            )
        if places:
            return places[0]
    return None


def _listed(names: Sequence[str]) -> str:
    shown = ", ".join(_shortened(name.strip()) for name in names[:20])
    return shown if len(names) <= 20 else f"{shown} and {len(names) - 20} more"


def _quoted(value: object) -> str:
    return json.dumps(_shortened(str(value).strip()), ensure_ascii=False)


def _shortened(text: str) -> str:
    text = "".join(char if char.isprintable() else "?" for char in text)
    return text if len(text) <= 40 else text[:37] + "..."
