"""Plain molecules: what is called so can be encoded, and is read as the usual parser reads it."""

from __future__ import annotations

import numpy as np
import pytest
from rdkit import Chem

from molvae.chem.features import part_counts
from molvae.chem.mending import encodable
from molvae.chem.plain import PlainTexts
from molvae.chem.smiles import MoleculeError, parse
from molvae.chem.tokenizer import Tokenizer
from molvae.generator import load


def texts(tokenizer: Tokenizer, n: int, seed: int) -> list[str]:
    """What any symbols in any order mean."""
    rng = np.random.default_rng(seed)
    return tokenizer.decode(rng.integers(3, tokenizer.vocab_size, (n, tokenizer.max_length)))


@pytest.fixture(scope="module", params=["moses", "druglike", "robust"])
def tokenizer(request: pytest.FixtureRequest) -> Tokenizer:
    return Tokenizer.robust() if request.param == "robust" else load(request.param).tokenizer


def test_what_is_plain_is_read_as_ever_and_nothing_but_its_length_needs_mending(
    tokenizer: Tokenizer, zinc: list[str]
) -> None:
    plain = PlainTexts(tokenizer)
    kekulised = [Chem.MolToSmiles(Chem.MolFromSmiles(s), kekuleSmiles=True) for s in zinc[:300]]
    encoded = tokenizer.encode(zinc, unknown="drop").ids
    own = tokenizer.decode([ids for ids in encoded if ids is not None])
    pairs = [(t, plain.read(t)) for t in [*texts(tokenizer, 6000, 1), *own, *kekulised] if t]
    found = [(parse(text), mol) for text, mol in pairs if mol is not None]
    assert len(found) > 100
    for usual, mol in found:
        smiles = Chem.MolToSmiles(usual)
        assert Chem.MolToSmiles(mol) == smiles
        longest = Tokenizer(tokenizer.alphabet, tokenizer.constraints, 10**6)
        assert encodable(usual, longest) == (usual, smiles)
    one, two = (part_counts(side, 1024) for side in zip(*found, strict=True))
    assert (one != two).nnz == 0


def test_what_is_called_short_enough_is(tokenizer: Tokenizer, zinc: list[str]) -> None:
    plain = PlainTexts(tokenizer)
    longest = Tokenizer(tokenizer.alphabet, tokenizer.constraints, 10**6)
    kekulised = [Chem.MolToSmiles(Chem.MolFromSmiles(s), kekuleSmiles=True) for s in zinc]
    read = [plain.read(text) for text in [*texts(tokenizer, 6000, 2), *kekulised] if text]
    smiles = [Chem.MolToSmiles(mol) for mol in read if mol is not None]
    short = [s for s in smiles if plain.is_short(s)]
    assert len(short) >= 90
    assert max(len(longest.encode_one(s)) for s in short) <= tokenizer.max_length
    assert not plain.is_short("C" * tokenizer.max_length + "(C)C")


def test_what_may_need_mending_is_not_plain() -> None:
    tokenizer = load("moses").tokenizer
    plain = PlainTexts(tokenizer)
    given = [
        "CS=O",
        "C[SH]=O",
        "CS#N",
        "CP",
        "C[O-]",
        "F/C=C/F",
        "C[C@H](F)O",
        "CI",
        "C1CC",
        "C1CC#C1",
        "",
    ]
    assert [text for text in given if plain.read(text) is not None] == []
    usual = ["CS", "CSC", "CS(=O)(=O)C", "N#CC1=CC=C[NH1]1", "C1=CSC=C1", "CC(Br)=NCl", "C1CC1C#N"]
    assert [text for text in usual if plain.read(text) is None] == []


def test_an_alphabet_that_lacks_a_bond_or_a_length_of_rings_has_no_plain_texts_of_them() -> None:
    alphabet = Tokenizer.robust().alphabet
    without = {"[=O]": "C=O", "[=Ring2]": "CO", "[=S]": "CS"}
    assert PlainTexts(Tokenizer.robust()).read("CN") is None  # without [NH1]
    assert PlainTexts(Tokenizer.from_symbols([*alphabet, "[NH1]"], max_length=60)).read("CN")
    for symbol, text in without.items():
        lacking = Tokenizer.from_symbols(set(alphabet) - {symbol}, max_length=60)
        assert PlainTexts(lacking).read(text) is None
        assert PlainTexts(Tokenizer.robust()).read(text) is not None
    generous = Tokenizer.from_symbols(
        alphabet, max_length=60, constraints={**Tokenizer.robust().constraints.capacities, "O": 3}
    )
    assert PlainTexts(generous).read("CO") is None
    assert PlainTexts(Tokenizer.robust(max_length=300)).read("CC") is None


def test_what_parsing_refuses_for_its_size_is_refused_as_ever() -> None:
    reader = load("druglike", "cpu").reader
    for text in ("C" * 251, "C" * 1001):
        assert PlainTexts(reader.tokenizer).read(text) is None
        with pytest.raises(MoleculeError) as refused:
            parse(text)
        assert reader.read(text).reason == refused.value.reason
    assert reader.finished(reader.read("C" * 80)).smiles == "C" * reader.tokenizer.max_length
