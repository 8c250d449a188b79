"""From the text that a decoder wrote to a molecule that can be encoded again."""

from __future__ import annotations

from rdkit import Chem

from molvae.chem.alerts import SanityOptions, insane_reason
from molvae.chem.mending import encodable
from molvae.chem.selfies import CodecError
from molvae.chem.smiles import MoleculeError, parse
from molvae.chem.tokenizer import Tokenizer


def finished(
    text: str, tokenizer: Tokenizer, limits: SanityOptions | None
) -> tuple[Chem.Mol | None, str | None, str | None]:
    """The molecule and its canonical SMILES, or the reason why there is none, or why it is not
    within ``limits``.

    >>> tokenizer = Tokenizer.from_smiles(["CCO"])
    >>> finished("OCC", tokenizer, None)[1:], finished("C1CC", tokenizer, None)[1:]
    (('CCO', None), (None, 'not valid SMILES (ring 1 is not closed)'))
    """
    try:
        written = parse(text)
        mol, smiles = encodable(written, tokenizer)
        if mol is not written:
            mol = parse(smiles)  # as anybody else will read it
    except (MoleculeError, CodecError) as error:
        return None, None, error.reason
    reason = insane_reason(mol, limits) if limits is not None else None
    return (mol, smiles, None) if reason is None else (None, None, reason)
