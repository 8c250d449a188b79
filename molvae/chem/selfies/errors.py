"""What the codec refuses, in one sentence each."""

from __future__ import annotations

from collections.abc import Iterable

from molvae.base.errors import InputError


class CodecError(InputError):
    """A molecule or a symbol that is outside the SELFIES language.

    ``reason`` is the sentence's core for tables of dropped rows: "cause" or "cause (detail)".
    """

    def __init__(self, message: str, reason: str | None = None) -> None:
        super().__init__(message)
        self.reason = message if reason is None else reason

    @classmethod
    def about(
        cls, kind: str, text: str, reason: str, advice: str = "correct or remove it"
    ) -> CodecError:
        """The error for one molecule's ``text``, of the given ``kind`` ("SMILES", "SELFIES")."""
        return cls(f"{kind} {shortened(text)}: {reason}; {advice}", reason)


class UnknownSymbolError(CodecError):
    """Symbols that the alphabet does not hold; ``symbols`` lists them, sorted."""

    def __init__(self, symbols: Iterable[str], message: str, reason: str | None = None) -> None:
        super().__init__(message, reason)
        self.symbols = tuple(sorted(set(symbols)))


def shortened(text: str) -> str:
    """A molecule's text in quotes, cut where it would fill the screen."""
    return repr(text if len(text) <= 80 else text[:77] + "...")
