"""The simple molecules that most texts of a decoder are: read faster, and known to be writable."""

from __future__ import annotations

import re

from rdkit import Chem
from rdkit.rdBase import BlockLogs

from molvae.chem.selfies.symbols import BOND_TEXT, DIGITS
from molvae.chem.smiles import MAX_ATOMS
from molvae.chem.tokenizer import Tokenizer

_BONDS = {"C": 4, "N": 3, "O": 2, "F": 1, "Cl": 1, "Br": 1, "I": 1}
"""Elements of one usual valence, to which RDKit adds no hydrogen that it would have to spell."""
_FRAME = {*DIGITS, "[=Ring1]", "[=Ring2]"}
"""Symbols of branches and rings, whatever their bond and length."""
_FURTHEST = len(DIGITS) ** 2
"""Symbols beyond which the frame has others."""
_NONE = "(?!)"
_ODD_SULPHUR = Chem.MolFromSmarts("[#16;!v2;!H0]")
"""Between the valences of sulphur it takes a hydrogen, in brackets."""
_BENT = Chem.MolFromSmarts("*#;@*")
"""A triple bond in a ring, which may be the one that closes it."""


class PlainTexts:
    """Kekulised SMILES without brackets, charges and stereo, of which ``tokenizer`` has the symbols
    however they are spelled: nothing but its length may keep such a molecule from being encoded.

    For what the tokenizer decoded, within its constraints: nitro groups of five bonds and
    halogens of several are not looked for.

    >>> plain = PlainTexts(Tokenizer.robust())
    >>> [plain.read(text) is not None for text in ("CC(=O)OC1CC1Cl", "CS=C", "C[O-]", "F/C=C/F")]
    [True, False, False, False]
    """

    def __init__(self, tokenizer: Tokenizer) -> None:
        self._max_length = tokenizer.max_length
        self._text = re.compile(_pattern(tokenizer))

    def read(self, text: str) -> Chem.Mol | None:
        """The molecule as :func:`~molvae.chem.smiles.parse` reads it, or None where ``text`` is not
        plain or no molecule, or so long that parsing may refuse it."""
        if len(text) > MAX_ATOMS or self._text.fullmatch(text) is None:
            return None
        with BlockLogs():
            mol = Chem.MolFromSmiles(text, sanitize=False)
            if mol is None or Chem.SanitizeMol(mol, catchErrors=True):
                return None
        # What is left out of reading, a third of its time: stereo, and hydrogens that are atoms.
        if "S" in text and mol.HasSubstructMatch(_ODD_SULPHUR):
            return None
        return None if "#" in text and mol.HasSubstructMatch(_BENT) else mol

    def is_short(self, smiles: str) -> bool:
        """Whether canonical SMILES of such a molecule surely have no more symbols than may be.

        An atom is a symbol; a branch and a ring are three at most, and two characters at least.
        """
        pairs = smiles.count("(") + sum(map(str.isdigit, smiles)) // 2
        return len(smiles) + pairs <= self._max_length


def _pattern(tokenizer: Tokenizer) -> str:
    alphabet, capacity = set(tokenizer.alphabet), tokenizer.constraints.capacity
    if not alphabet >= _FRAME or tokenizer.max_length > _FURTHEST:
        return _NONE
    atoms = [
        element
        for element, bonds in _BONDS.items()
        if capacity(element) == bonds
        and alphabet.issuperset(f"[{bond}{element}]" for bond in BOND_TEXT[1 : bonds + 1])
    ]
    if "N" in atoms and "[NH1]" in alphabet:
        atoms.append(r"\[NH1\]")
    elif "N" in atoms:  # RDKit spells its hydrogen where it finds a pyrrole
        atoms.remove("N")
    either = "|".join([*sorted(atoms, reverse=True), "[=()%0-9]"])
    with_sulphur = f"|(?:{either}|S)+" if {"[S]", "[=S]"} <= alphabet else ""
    return f"(?:{either}|#)+{with_sulphur}"
