"""Molecules to begin with: which of them the model can use, and why not the others."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from molvae.chem.smiles import canonicalise_many
from molvae.optimize.measurements import SHOWN, unusable_reason
from molvae.optimize.proposals import MoleculeGenerator
from molvae.optimize.records import Suggestion


def usable_and_others(
    generator: MoleculeGenerator, start: Sequence[str]
) -> tuple[list[str], list[tuple[str, str]]]:
    """The distinct molecules among ``start`` by their canonical SMILES; and the others, as they
    were written, each with the reason why it cannot be used."""
    known = zip(canonicalise_many(start), start, strict=True)
    texts = [canonical or text for canonical, text in known]
    z = np.asarray(generator.encode(texts), float) if texts else ()
    made = [Suggestion(text, 0, "start", z[i]) for i, text in enumerate(texts)]
    reasons = [unusable_reason(suggestion) for suggestion in made]
    usable = dict.fromkeys(s.smiles for s, reason in zip(made, reasons, strict=True) if not reason)
    others = [(text, reason) for text, reason in zip(start, reasons, strict=True) if reason]
    return list(usable), others


def none_usable(left_out: Sequence[tuple[str, str]]) -> str:
    """What to say where all molecules to begin with are ``left_out``.

    >>> none_usable([("xx", "not valid SMILES")])
    'none of the start molecules can be used (xx: not valid SMILES); give others'
    """
    more = f"; and {len(left_out) - SHOWN} more" if len(left_out) > SHOWN else ""
    named = "; ".join(f"{text[:60]}: {reason}" for text, reason in left_out[:SHOWN])
    return f"none of the start molecules can be used ({named}{more}); give others"
