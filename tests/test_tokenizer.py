"""The tokenizer: ids that mean the same molecule everywhere, and errors that name what is wrong."""

from __future__ import annotations

import json
import pickle
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import selfies
from hypothesis import given, settings
from hypothesis import strategies as st
from rdkit import Chem

from molvae.base.errors import ConfigError, FileError, ModelError
from molvae.chem.selfies import CodecError, Constraints, UnknownSymbolError
from molvae.chem.tokenizer import Tokenizer

SMALL = ("CCO", "CC(=O)N", "c1ccccc1")


@pytest.fixture(scope="module")
def tokenizer(zinc: list[str]) -> Tokenizer:
    return Tokenizer.from_smiles(zinc)


def test_encoded_molecules_decode_to_themselves(zinc: list[str], tokenizer: Tokenizer) -> None:
    encoded = tokenizer.encode(zinc[:300])
    assert encoded.reasons == [None] * 300
    for smiles, decoded in zip(zinc, tokenizer.decode(encoded.ids), strict=False):  # type: ignore[arg-type]
        assert Chem.CanonSmiles(decoded) == Chem.CanonSmiles(smiles)


def test_ids_follow_the_sorted_alphabet_whatever_the_order_of_the_molecules() -> None:
    first, second = Tokenizer.from_smiles(SMALL), Tokenizer.from_smiles(SMALL[::-1])
    assert first.alphabet == tuple(sorted(first.alphabet))
    assert first == second
    assert hash(first) == hash(second)
    assert first.encode_one("CCO") == [first.alphabet.index(s) + 3 for s in ("[C]", "[C]", "[O]")]


def test_the_longest_molecule_sets_the_length(tokenizer: Tokenizer, zinc: list[str]) -> None:
    lengths = [len(ids) for ids in tokenizer.encode(zinc).ids if ids is not None]
    assert tokenizer.max_length == max(lengths)
    assert tokenizer.vocab_size == len(tokenizer.alphabet) + 3


def test_rows_end_at_the_end_and_ignore_padding_and_start() -> None:
    tokenizer = Tokenizer.from_smiles(["CCO"])
    rows = np.array(
        [[1, 3, 3, 4, 2, 0], [3, 4, 2, 3, 3, 3], [1, 2, 0, 0, 0, 0], [0, 3, 0, 4, 0, 0]]
    )
    assert tokenizer.decode(rows) == ["CCO", "CO", "", "CO"]
    assert tokenizer.decode(rows.tolist()) == tokenizer.decode(list(rows.astype(np.uint8)))
    assert tokenizer.decode([(3, 2, 4)]) == ["C"]


@pytest.mark.parametrize("bad", [5, 99, -1])
def test_an_id_outside_the_vocabulary_is_an_error(bad: int) -> None:
    with pytest.raises(CodecError, match=f"id {bad} "):
        Tokenizer.from_smiles(["CCO"]).decode([[3, bad]])


@given(st.data())
@settings(max_examples=60, deadline=None)
def test_any_row_of_symbols_decodes_and_reencodes_to_the_same_molecule(data: st.DataObject) -> None:
    tokenizer = ROBUST
    ids = data.draw(st.lists(st.integers(3, tokenizer.vocab_size - 1), max_size=40))
    (smiles,) = tokenizer.decode([ids])
    if smiles:
        (again,) = tokenizer.decode([tokenizer.encode_one(smiles)])
        assert Chem.CanonSmiles(again) == Chem.CanonSmiles(smiles)


ROBUST = Tokenizer.robust()


@pytest.mark.parametrize("preset", ["default", "octet_rule", "hypervalent"])
def test_the_robust_alphabet_is_that_of_selfies(preset: str) -> None:
    before = selfies.get_semantic_constraints()
    try:
        selfies.set_semantic_constraints(preset)
        assert set(Tokenizer.robust(preset).alphabet) == selfies.get_semantic_robust_alphabet()
    finally:
        selfies.set_semantic_constraints(before)


def test_unknown_symbols_are_listed_with_their_rows() -> None:
    tokenizer = Tokenizer.from_smiles(["CCO"])
    with pytest.raises(UnknownSymbolError) as caught:
        tokenizer.encode(["CCO", "CCN", "CF", "CN"])
    assert caught.value.symbols == ("[F]", "[N]")
    assert "[F] (row 3), [N] (rows 2, 4)" in str(caught.value)


def test_unknown_symbols_drop_on_request_each_with_its_reason() -> None:
    encoded = Tokenizer.from_smiles(["CCO"]).encode(
        ["CCN", "CCO", None, "C(C", "CCCC", "CN(=O)=O"], unknown="drop"
    )
    assert [ids is None for ids in encoded.ids] == [True, False, True, True, True, True]
    assert encoded.ids[1].tolist() == [3, 3, 4]  # type: ignore[union-attr]
    words = [
        "[N]",
        None,
        "no molecule",
        "never closed",
        "too many symbols (4, at most 3)",
        "5 bonds",
    ]
    for reason, word in zip(encoded.reasons, words, strict=True):
        assert reason is None if word is None else word in reason  # type: ignore[operator]


def test_molecules_that_cannot_be_encoded_are_an_error_that_counts_them() -> None:
    tokenizer = Tokenizer.from_smiles(["CCO"])
    with pytest.raises(CodecError, match=r"30 of 31 molecules .*row 2: .*10 more.*unknown='drop'"):
        tokenizer.encode(["CCO", *["CCCC"] * 30])


def test_one_molecule_too_long_or_unknown_raises() -> None:
    tokenizer = Tokenizer.from_smiles(["CCO"])
    with pytest.raises(CodecError, match=r"too many symbols \(4, at most 3\)"):
        tokenizer.encode_one("CCCC")
    with pytest.raises(UnknownSymbolError, match=r"\[N\]"):
        tokenizer.encode_one("CN")


def test_learning_names_the_row_of_a_molecule_outside_the_language() -> None:
    with pytest.raises(CodecError, match=r"row 2: .*never closed"):
        Tokenizer.from_smiles(["CC", "C1CC"])


def test_ids_take_the_smallest_type() -> None:
    assert Tokenizer.from_smiles(["CCO"]).encode(["CO"]).ids[0].dtype == np.uint8  # type: ignore[union-attr]
    many = [f"[{mass}C]" for mass in range(1, 300)]
    assert Tokenizer.from_symbols(many, max_length=5).dtype == np.uint16


def test_selfies_text_and_ids_are_inverse(tokenizer: Tokenizer, zinc: list[str]) -> None:
    ids = tokenizer.encode_one(zinc[0])
    assert tokenizer.selfies([1, *ids, 2, 0]) == selfies.encoder(zinc[0])
    assert tokenizer.selfies_ids(tokenizer.selfies(ids)) == ids
    with pytest.raises(UnknownSymbolError, match=r"\[Xe\]"):
        tokenizer.selfies_ids("[C][Xe]")


def test_salts_isotopes_and_radicals_come_back() -> None:
    molecules = ["[Na+].CC(=O)[O-]", "[2H]C([2H])O", "C[CH2]", "F/C=C/C1CC1", "C[C@H](N)C(=O)O"]
    tokenizer = Tokenizer.from_smiles(molecules)
    assert "." in tokenizer.alphabet
    for smiles, decoded in zip(
        molecules, tokenizer.decode(tokenizer.encode(molecules).ids), strict=True
    ):  # type: ignore[arg-type]
        assert Chem.CanonSmiles(decoded) == Chem.CanonSmiles(smiles)


@pytest.mark.parametrize("constraints", ["default", "hypervalent", {"C": 4, "O": 2, "?": 8}])
def test_saved_and_loaded_it_is_the_same(tmp_path: Path, constraints: Any) -> None:
    tokenizer = Tokenizer.from_smiles(SMALL, constraints=constraints, max_length=20)
    tokenizer.save(tmp_path / "tokenizer.json")
    loaded = Tokenizer.load(tmp_path / "tokenizer.json")
    assert loaded == tokenizer
    assert loaded.constraints == Constraints.of(constraints)
    assert loaded.encode_one(SMALL[1]) == tokenizer.encode_one(SMALL[1])


def test_it_travels_to_other_processes(tokenizer: Tokenizer, zinc: list[str]) -> None:
    copy = pickle.loads(pickle.dumps(tokenizer))
    assert copy == tokenizer
    assert copy.encode_one(zinc[5]) == tokenizer.encode_one(zinc[5])


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"alphabett": []}, "unknown key 'alphabett'; did you mean 'alphabet'"),
        ({"format": 2}, "format 2"),
        ({"format": None}, "format None"),
        ({"alphabet": ["[O]", "[C]"]}, "not sorted"),
        ({"alphabet": ["[C]", "[C]"]}, "not sorted"),
        ({"alphabet": ["[C]", "[Cx]"]}, "'\\[Cx\\]'"),
        ({"alphabet": ["[C]", 3]}, "list of symbols"),
        ({"alphabet": []}, "empty"),
        ({"constraints": {"C": 4}}, "'\\?'"),
        ({"constraints": "default"}, "table of capacities"),
        ({"max_length": 0}, "max_length"),
        ({"max_length": "9"}, "max_length"),
    ],
)
def test_a_damaged_file_is_an_error_that_names_file_and_key(
    tmp_path: Path, change: dict[str, Any], words: str
) -> None:
    path = tmp_path / "tokenizer.json"
    path.write_text(json.dumps({**Tokenizer.from_smiles(SMALL).to_dict(), **change}))
    with pytest.raises(ModelError, match=words) as caught:
        Tokenizer.load(path)
    assert str(path) in str(caught.value)


@pytest.mark.parametrize("key", ["format", "alphabet", "constraints", "max_length"])
def test_a_missing_key_is_named(key: str) -> None:
    values = Tokenizer.from_smiles(SMALL).to_dict()
    del values[key]
    with pytest.raises(ModelError, match=f"key '{key}' is missing"):
        Tokenizer.from_dict(values)


@pytest.mark.parametrize("content", [b"", b"[]", b'{"format": 1, "alpha', b"\x80\x04pickle", b"3"])
def test_a_file_that_is_no_tokenizer_is_refused(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "tokenizer.json"
    path.write_bytes(content)
    with pytest.raises((ModelError, FileError), match=r"tokenizer\.json"):
        Tokenizer.load(path)


@pytest.mark.parametrize("length", [0, -3, True, 2.5])
def test_the_length_is_a_positive_whole_number(length: Any) -> None:
    with pytest.raises(ConfigError, match="max_length"):
        Tokenizer.from_symbols(["[C]"], max_length=length)


def test_an_alphabet_of_nothing_is_refused() -> None:
    with pytest.raises(ConfigError, match="empty"):
        Tokenizer.from_smiles([])
