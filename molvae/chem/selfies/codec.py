"""SMILES to ids of an alphabet and back, under constraints of one's own."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import lru_cache

from molvae.chem.selfies.constraints import Constraints
from molvae.chem.selfies.decoder import Decoder
from molvae.chem.selfies.encoder import Encoder
from molvae.chem.selfies.errors import CodecError, UnknownSymbolError, shortened
from molvae.chem.selfies.symbols import split_selfies


class Codec:
    """The SELFIES language of selfies 2.2.0 over a fixed alphabet; id ``first_id + k`` is
    ``alphabet[k]``.

    Immutable and without any state shared between codecs: two with different constraints work side
    by side, from any thread. Raises :class:`CodecError` where ``alphabet`` holds a text that is no
    symbol under ``constraints``, or a symbol twice.

    >>> codec = Codec(["[=O]", "[C]", "[N]", "[=Branch1]"])
    >>> codec.encode("CC(=O)N")
    [1, 1, 3, 1, 0, 2]
    >>> codec.decode([1, 1, 3, 1, 0, 2])
    'CC(=O)N'
    """

    def __init__(
        self,
        alphabet: Sequence[str],
        constraints: Constraints | Mapping[str, int] | str = "default",
        first_id: int = 0,
    ) -> None:
        self.alphabet = tuple(alphabet)
        self.constraints = Constraints.of(constraints)
        self.first_id = first_id
        self._ids = {symbol: i for i, symbol in enumerate(self.alphabet, first_id)}
        if len(self._ids) != len(self.alphabet):
            raise CodecError("the alphabet holds a symbol twice; list each once")
        self._decode = Decoder(self.alphabet, self.constraints, first_id).decode
        self._encode = Encoder(self.constraints).encode

    def encode(self, smiles: str) -> list[int]:
        """The ids of a molecule, in the order of the atoms in ``smiles``.

        Raises :class:`UnknownSymbolError` where the alphabet lacks a symbol, and otherwise as
        :meth:`Encoder.encode` does.
        """
        symbols = self._encode(smiles)
        ids = self._ids
        try:
            return [ids[symbol] for symbol in symbols]
        except KeyError:
            unknown = sorted({symbol for symbol in symbols if symbol not in ids})
            listed = ", ".join(unknown)
            message = (
                f"SMILES {shortened(smiles)}: the alphabet has no {listed}; "
                "use an alphabet learnt from such molecules"
            )
            reason = f"symbols outside the alphabet ({listed})"
            raise UnknownSymbolError(unknown, message, reason) from None

    def decode(self, ids: Sequence[int]) -> str:
        """The SMILES that ``ids`` mean, in their order; "" where no atom stands.

        Every sequence of ids has a meaning. Raises :class:`CodecError` for an id outside the
        alphabet.
        """
        return self._decode(ids)

    def __reduce__(self) -> tuple[type[Codec], tuple[tuple[str, ...], Constraints, int]]:
        return Codec, (self.alphabet, self.constraints, self.first_id)


@lru_cache(maxsize=64)
def _encoder(constraints: Constraints) -> Encoder:
    return Encoder(constraints)


def smiles_to_selfies(
    smiles: str, constraints: Constraints | Mapping[str, int] | str = "default"
) -> str:
    """A molecule as SELFIES text, as ``selfies.encoder`` writes it; raises :class:`CodecError`.

    >>> smiles_to_selfies("c1ccccc1")
    '[C][=C][C][=C][C][=C][Ring1][=Branch1]'
    """
    return "".join(_encoder(Constraints.of(constraints)).encode(smiles))


def selfies_to_smiles(
    text: str, constraints: Constraints | Mapping[str, int] | str = "default"
) -> str:
    """SELFIES text as SMILES, as ``selfies.decoder`` writes it; raises :class:`CodecError`.

    >>> selfies_to_smiles("[C][=C][C][=C][C][=C][Ring1][=Branch1]")
    'C1=CC=CC=C1'
    """
    symbols = split_selfies(text)
    ids = {symbol: i for i, symbol in enumerate(dict.fromkeys(symbols))}
    decoder = Decoder(tuple(ids), Constraints.of(constraints))
    return decoder.decode([ids[symbol] for symbol in symbols])
