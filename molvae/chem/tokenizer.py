"""Molecules as rows of integers: an alphabet of SELFIES symbols with its constraints."""

from __future__ import annotations

import difflib
import os
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np

from molvae.base.errors import ConfigError, ModelError
from molvae.base.files import read_json, write_json
from molvae.chem.selfies import (
    Codec,
    CodecError,
    Constraints,
    Encoder,
    Grammar,
    UnknownSymbolError,
    robust_alphabet,
    split_selfies,
)

FORMAT = 1
ROBUST_MAX_LENGTH = 128

_LISTED = 20


@dataclass(frozen=True)
class Encoded:
    """Ids aligned with the molecules they came from.

    ``ids[i]`` is an array of shape ``(symbols,)`` without start and end, or None where molecule i
    could not be encoded; ``reasons[i]`` then says why and is None otherwise.
    """

    ids: list[np.ndarray | None]
    reasons: list[str | None]


class Tokenizer:
    """SMILES to ids and back; immutable, and safe to share between threads.

    Ids 0, 1 and 2 are padding, start and end; symbol ``alphabet[k]`` has id ``k + 3``. The alphabet
    is sorted, so the same molecules always give the same ids. ``max_length`` is the largest number
    of symbols in a molecule, start and end not counted.

    >>> tokenizer = Tokenizer.from_smiles(["CCO", "CCN"])
    >>> tokenizer.alphabet, tokenizer.max_length
    (('[C]', '[N]', '[O]'), 3)
    >>> tokenizer.decode([[1, 3, 3, 5, 2, 0]])
    ['CCO']
    """

    pad_id = 0
    start_id = 1
    end_id = 2
    first_id = 3

    def __init__(self, alphabet: Iterable[str], constraints: Constraints, max_length: int) -> None:
        """Use :meth:`from_smiles`, :meth:`from_symbols` or :meth:`robust` instead."""
        if isinstance(max_length, bool) or not isinstance(max_length, int) or max_length < 1:
            raise ConfigError(f"max_length is {max_length!r}; give a whole number of at least 1")
        self._codec = Codec(sorted(set(alphabet)), constraints, self.first_id)
        if not self.alphabet:
            raise ConfigError("the alphabet is empty; give at least one symbol or molecule")
        self._max_length = max_length
        self._skipped = frozenset((self.pad_id, self.start_id))

    @property
    def alphabet(self) -> tuple[str, ...]:
        """The symbols, sorted."""
        return self._codec.alphabet

    @property
    def constraints(self) -> Constraints:
        """The semantic constraints, in force for encoding and decoding."""
        return self._codec.constraints

    @property
    def max_length(self) -> int:
        """Symbols per molecule at most, start and end not counted."""
        return self._max_length

    @property
    def vocab_size(self) -> int:
        """Number of ids, the special ones included."""
        return self.first_id + len(self.alphabet)

    @property
    def grammar(self) -> Grammar:
        """What each id does: opens a branch, closes a ring, counts."""
        return Grammar.of(self.alphabet, self.first_id, self.constraints)

    @property
    def dtype(self) -> np.dtype:
        """The smallest unsigned type that holds every id."""
        return np.min_scalar_type(self.vocab_size - 1)

    @classmethod
    def from_smiles(
        cls,
        smiles: Iterable[str],
        *,
        constraints: Constraints | Mapping[str, int] | str = "default",
        max_length: int | None = None,
    ) -> Tokenizer:
        """Learn the alphabet of ``smiles``; ``max_length`` None takes the longest one's.

        Raises :class:`CodecError` with the row (from 1) of a molecule outside the language.
        """
        constraints = Constraints.of(constraints)
        encode = Encoder(constraints).encode
        alphabet: set[str] = set()
        longest = 1
        for row, text in enumerate(smiles, 1):
            try:
                symbols = encode(text)
            except CodecError as error:
                raise CodecError(f"row {row}: {error}", error.reason) from error
            alphabet.update(symbols)
            longest = max(longest, len(symbols))
        return cls(alphabet, constraints, longest if max_length is None else max_length)

    @classmethod
    def from_symbols(
        cls,
        symbols: Iterable[str],
        *,
        max_length: int,
        constraints: Constraints | Mapping[str, int] | str = "default",
    ) -> Tokenizer:
        """A tokenizer over exactly ``symbols``, in any order.

        Raises :class:`CodecError` for a text that is not a symbol under the constraints.
        """
        return cls(symbols, Constraints.of(constraints), max_length)

    @classmethod
    def robust(
        cls,
        constraints: Constraints | Mapping[str, int] | str = "default",
        max_length: int = ROBUST_MAX_LENGTH,
    ) -> Tokenizer:
        """A tokenizer over all symbols that the constraints bind: no stereo, no isotopes.

        The alphabet is that of ``selfies.get_semantic_robust_alphabet()``.

        >>> Tokenizer.robust().vocab_size
        72
        """
        constraints = Constraints.of(constraints)
        return cls(robust_alphabet(constraints), constraints, max_length)

    def encode_one(self, smiles: str) -> list[int]:
        """The ids of one molecule, without start and end.

        Raises :class:`UnknownSymbolError` for a symbol outside the alphabet, and
        :class:`CodecError` for a molecule that is too long or outside the language.
        """
        ids = self._codec.encode(smiles)
        if len(ids) > self._max_length:
            reason = f"too many symbols ({len(ids)}, at most {self._max_length})"
            raise CodecError.about("SMILES", smiles, reason, "shorten or remove it")
        return ids

    def encode(
        self, smiles: Sequence[str | None], unknown: Literal["error", "drop"] = "error"
    ) -> Encoded:
        """Encode many molecules, aligned with ``smiles``.

        With ``unknown="drop"`` a molecule that cannot be encoded gives None and a reason. With
        ``"error"`` one :class:`UnknownSymbolError` lists all symbols that the alphabet lacks, with
        their rows (from 1), or one :class:`CodecError` the rows that fail otherwise. A missing
        molecule (None) is None with a reason either way.
        """
        ids: list[np.ndarray | None] = []
        reasons: list[str | None] = []
        unknowns: dict[str, list[int]] = {}
        failures: list[str] = []
        encode, dtype, longest = self._codec.encode, self.dtype, self._max_length
        for row, text in enumerate(smiles, 1):
            reason = None
            try:
                if text is None:
                    reason = "no molecule"
                elif len(found := encode(text)) > longest:
                    reason = f"too many symbols ({len(found)}, at most {longest})"
                    failures.append(f"row {row}: {reason}")
                else:
                    ids.append(np.array(found, dtype))
            except UnknownSymbolError as error:
                reason = error.reason
                for symbol in error.symbols:
                    unknowns.setdefault(symbol, []).append(row)
            except CodecError as error:
                reason = error.reason
                failures.append(f"row {row}: {reason}")
            if reason is not None:
                ids.append(None)
            reasons.append(reason)
        if unknown == "error" and unknowns:
            places = [f"{symbol} ({_rows(rows)})" for symbol, rows in sorted(unknowns.items())]
            raise UnknownSymbolError(
                unknowns,
                f"the alphabet has no {', '.join(places)}; drop these molecules "
                "(unknown='drop') or learn the alphabet anew",
            )
        if unknown == "error" and failures:
            more = f" and {len(failures) - _LISTED} more" if len(failures) > _LISTED else ""
            raise CodecError(
                f"{len(failures)} of {len(reasons)} molecules cannot be encoded "
                f"({'; '.join(failures[:_LISTED])}{more}); drop them (unknown='drop')"
            )
        return Encoded(ids, reasons)

    def decode(self, rows: Iterable[Sequence[int] | np.ndarray] | np.ndarray) -> list[str]:
        """The SMILES of each row of ids, not canonical; "" where no atom stands.

        A row ends at the first end id; padding and start ids are passed over. ``rows`` may be an
        array of shape ``(n, length)``. Raises :class:`CodecError` for an id that is none of ours.
        """
        decode, end, skipped = self._codec.decode, self.end_id, self._skipped
        texts = []
        for row in rows.tolist() if isinstance(rows, np.ndarray) else rows:
            ids = row.tolist() if isinstance(row, np.ndarray) else row
            if end in ids:
                ids = ids[: ids.index(end)]
            if not skipped.isdisjoint(ids):
                ids = [i for i in ids if i not in skipped]
            texts.append(decode(ids))
        return texts

    def selfies(self, ids: Iterable[int]) -> str:
        """The SELFIES text of one row of ids, special ids left out.

        >>> Tokenizer.from_smiles(["CCO"]).selfies([3, 3, 4])
        '[C][C][O]'
        """
        first, alphabet = self.first_id, self.alphabet
        return "".join(alphabet[i - first] for i in map(int, ids) if i >= first)

    def selfies_ids(self, text: str) -> list[int]:
        """The ids of SELFIES text, or :class:`UnknownSymbolError`; the inverse of :meth:`selfies`.

        >>> Tokenizer.from_smiles(["CCO"]).selfies_ids("[C][C][O]")
        [3, 3, 4]
        """
        index = {symbol: i for i, symbol in enumerate(self.alphabet, self.first_id)}
        symbols = split_selfies(text)
        unknown = [symbol for symbol in symbols if symbol not in index]
        if unknown:
            names = ", ".join(sorted(set(unknown)))
            raise UnknownSymbolError(unknown, f"the alphabet has no {names}; learn it anew")
        return [index[symbol] for symbol in symbols]

    def to_dict(self) -> dict[str, Any]:
        """Plain values that :meth:`from_dict` reads back to an equal tokenizer."""
        return {
            "format": FORMAT,
            "alphabet": list(self.alphabet),
            "constraints": self.constraints.capacities,
            "max_length": self._max_length,
        }

    @classmethod
    def from_dict(cls, values: Any, where: str = "tokenizer") -> Tokenizer:
        """Make the tokenizer from :meth:`to_dict`'s values, or raise :class:`ModelError`."""
        if not isinstance(values, dict):
            raise ModelError(f"{where}: it is not a table of keys; restore it from a copy")
        keys = ("format", "alphabet", "constraints", "max_length")
        for key in values:
            if key not in keys:
                near = difflib.get_close_matches(str(key), keys, n=1, cutoff=0.5)
                hint = f"did you mean {near[0]!r}?" if near else f"known keys: {', '.join(keys)}"
                raise ModelError(f"{where}: unknown key {key!r}; {hint}")
        for key in keys:
            if key not in values:
                raise ModelError(f"{where}: key {key!r} is missing; restore it from a copy")
        if values["format"] != FORMAT:
            raise ModelError(
                f"{where}: format {values['format']!r} is not the format {FORMAT} that this "
                "version reads; use a version of molvae that reads it"
            )
        alphabet, constraints = values["alphabet"], values["constraints"]
        if not isinstance(alphabet, list) or not all(isinstance(s, str) for s in alphabet):
            raise ModelError(f"{where}: key 'alphabet' is not a list of symbols")
        if sorted(set(alphabet)) != alphabet:
            raise ModelError(f"{where}: key 'alphabet' is not sorted and distinct, as it was saved")
        if not isinstance(constraints, dict):
            raise ModelError(f"{where}: key 'constraints' is not a table of capacities")
        try:
            return cls(alphabet, Constraints(constraints), values["max_length"])
        except (ConfigError, CodecError) as error:
            raise ModelError(f"{where}: {error}") from error

    def save(self, path: str | os.PathLike[str]) -> None:
        """Write the tokenizer as JSON, atomically."""
        write_json(path, self.to_dict())

    @classmethod
    def load(cls, path: str | os.PathLike[str]) -> Tokenizer:
        """Read what :meth:`save` wrote; raises :class:`ModelError` where it is damaged."""
        return cls.from_dict(read_json(path), where=os.fspath(path))

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Tokenizer) and self.to_dict() == other.to_dict()

    def __hash__(self) -> int:
        return hash((self.alphabet, self.constraints, self._max_length))

    def __repr__(self) -> str:
        return f"Tokenizer({len(self.alphabet)} symbols, max_length={self._max_length})"


def _rows(rows: list[int]) -> str:
    shown = ", ".join(map(str, rows[:_LISTED]))
    more = f" and {len(rows) - _LISTED} more" if len(rows) > _LISTED else ""
    return f"row{'s' if len(rows) > 1 else ''} {shown}{more}"
