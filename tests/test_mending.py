"""Whatever symbols come together, the alphabet can write the molecule that comes out."""

from __future__ import annotations

import numpy as np
import pytest
from rdkit import Chem

from molvae.chem.mending import encodable
from molvae.chem.selfies import CodecError
from molvae.chem.smiles import canonicalise, parse
from molvae.chem.tokenizer import Tokenizer

DRUGS = Tokenizer.from_smiles(
    ["CC(=O)Oc1ccccc1C(=O)O", "CS(=O)(=O)N1CCN(CC1)c1ncc(Cl)s1", "C[NH+](C)CC#N", "C/C=C/[C@H](F)O"]
)


def mended(smiles: str, tokenizer: Tokenizer = DRUGS) -> str:
    mol, text = encodable(Chem.MolFromSmiles(smiles), tokenizer)
    assert Chem.MolToSmiles(mol) == text
    return text


@pytest.mark.parametrize(
    ("smiles", "nearest"),
    [
        ("C[SH]=O", "CSO"),  # the hydrogen moves
        ("C[SH](=O)=O", "CS(=O)O"),
        ("CC1=CC=C[SH]1C", "Cc1cccn1C"),  # three single bonds: a nitrogen
        ("C=C[SH]1CCC(S)C1", "C=CN1CCC(S)C1"),  # and the sulphur beside it stays
        ("CC[OH2+]", "CCO"),
        ("CC#[NH+]", "CC#N"),
        ("C[SH-]C", "CSC"),
        ("C[P@H](=O)F", "CN(O)F"),  # no phosphorus in the alphabet
        ("C[C@](F)(O)Cl", "CC(O)(F)Cl"),  # [C@@H1] there is, [C@] is not
        ("C[13CH3]", "CC"),
        ("CC[CH]C", "CCCC"),
    ],
)
def test_what_no_symbol_can_write_becomes_the_nearest_that_one_can(
    smiles: str, nearest: str
) -> None:
    assert mended(smiles) == canonicalise(nearest)


def test_what_can_be_encoded_is_left_alone(zinc: list[str]) -> None:
    tokenizer = Tokenizer.from_smiles(zinc)
    for text in zinc[:300]:
        mol = Chem.MolFromSmiles(text)
        again, smiles = encodable(mol, tokenizer)
        assert again is mol
        assert smiles == canonicalise(text)
        decoded = tokenizer.decode([tokenizer.encode_one(smiles)])[0]
        assert encodable(parse(decoded), tokenizer)[1] == smiles


def test_any_symbols_in_any_order_give_a_molecule_that_can_be_encoded(zinc: list[str]) -> None:
    # In SELFIES alone a third of such texts need a symbol that the alphabet does not have.
    tokenizer = Tokenizer.from_smiles(zinc)
    random = np.random.default_rng(0)
    for _ in range(400):
        size = random.integers(1, tokenizer.max_length + 1)
        text = tokenizer.decode([random.integers(3, tokenizer.vocab_size, size)])[0]
        if not text:
            continue
        _, smiles = encodable(parse(text), tokenizer)
        assert canonicalise(smiles) == smiles
        tokenizer.encode_one(smiles)


def test_a_molecule_with_too_many_symbols_loses_its_end() -> None:
    short = Tokenizer(DRUGS.alphabet, DRUGS.constraints, max_length=4)
    assert mended("CCCCCCO", short) == "CCCC"


def test_an_alphabet_without_carbon_refuses_what_it_cannot_write() -> None:
    tokenizer = Tokenizer.from_symbols(["[O]", "[=C]"], max_length=12)
    with pytest.raises(CodecError, match=r"\[C\]"):
        encodable(Chem.MolFromSmiles("CC"), tokenizer)
