"""Our SELFIES codec is selfies 2.2.0, symbol for symbol and letter for letter."""

from __future__ import annotations

import contextlib
import random
import subprocess
import sys
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from functools import cache
from pathlib import Path

import pytest
import selfies
from hypothesis import given, settings
from hypothesis import strategies as st
from rdkit import Chem, rdBase

from molvae.base.errors import ConfigError
from molvae.chem.selfies import (
    Codec,
    CodecError,
    Constraints,
    UnknownSymbolError,
    robust_alphabet,
    selfies_to_smiles,
    smiles_to_selfies,
    split_selfies,
)
from molvae.chem.selfies.symbols import DIGITS

SAMPLES = Path(__file__).parents[1] / "data" / "samples"
PRESETS = ("default", "octet_rule", "hypervalent")
UNUSUAL = (
    *("[epsilon]", "[nop]", ".", "[#Ring1]", "[#Ring2]", "[Branch3]", "[=Ring3]", "[-/Ring1]"),
    *(
        "[\\-Ring1]",
        "[//Ring2]",
        "[/\\Ring1]",
        "[/C]",
        "[\\C]",
        "[/N]",
        "[\\O]",
        "[C@H1]",
        "[C@@H1]",
    ),
    *(
        "[C@]",
        "[C@@]",
        "[/C@H1]",
        "[=C@@H1]",
        "[P@]",
        "[S@@]",
        "[N@+1]",
        "[13CH1]",
        "[2H]",
        "[=15N]",
    ),
    *(
        "[CH0]",
        "[=CH1]",
        "[CH2]",
        "[OH0]",
        "[NH2+1]",
        "[O-1]",
        "[Na+1]",
        "[Fe+2]",
        "[=Se]",
        "[SiH2]",
    ),
)


def sample(name: str) -> list[str]:
    return (SAMPLES / f"{name}_2000.smi").read_text().split()


@cache
def learnt(name: str) -> tuple[str, ...]:
    """The symbols of a sample, by our encoder: that it is right is what the tests below compare."""
    return tuple(sorted({s for t in sample(name) for s in split_selfies(smiles_to_selfies(t))}))


@contextlib.contextmanager
def selfies_under(constraints: str | dict[str, int]) -> Iterator[None]:
    """selfies with these constraints: it has them for the whole process, we do not."""
    before = selfies.get_semantic_constraints()
    selfies.set_semantic_constraints(constraints)
    try:
        yield
    finally:
        selfies.set_semantic_constraints(before)


def canonical(smiles: str) -> str | None:
    with rdBase.BlockLogs():
        mol = Chem.MolFromSmiles(smiles)
    return None if mol is None else Chem.MolToSmiles(mol)


@pytest.mark.parametrize(
    "part", [slice(0, 400), pytest.param(slice(400, None), marks=pytest.mark.slow)]
)
@pytest.mark.parametrize("name", ["moses", "zinc250k"])
def test_molecules_encode_to_the_symbols_of_selfies_and_come_back(name: str, part: slice) -> None:
    codec = Codec(learnt(name))
    for smiles in sample(name)[part]:
        ids = codec.encode(smiles)
        text = "".join(codec.alphabet[i] for i in ids)
        assert text == selfies.encoder(smiles)
        assert codec.decode(ids) == selfies.decoder(text)


@pytest.mark.parametrize("name", ["moses", "zinc250k"])
def test_decoded_molecules_are_the_ones_that_were_encoded(name: str) -> None:
    codec = Codec(learnt(name))
    for smiles in sample(name)[::10]:
        assert canonical(codec.decode(codec.encode(smiles))) == canonical(smiles)


def test_other_spellings_of_a_molecule_encode_as_selfies_does() -> None:
    for k, smiles in enumerate(sample("zinc250k")[::25]):
        mol = Chem.MolFromSmiles(smiles)
        for spelling in Chem.MolToRandomSmilesVect(mol, 3, randomSeed=k + 1):
            assert smiles_to_selfies(spelling) == selfies.encoder(spelling)
            assert canonical(selfies_to_smiles(smiles_to_selfies(spelling))) == canonical(smiles)


ALPHABETS = {
    "moses": lambda _: learnt("moses"),
    "zinc250k": lambda _: learnt("zinc250k"),
    "robust": lambda preset: tuple(robust_alphabet(Constraints.preset(preset))),
    "unusual": lambda preset: (*DIGITS, *UNUSUAL, *robust_alphabet(Constraints.preset(preset))),
}


@pytest.mark.parametrize("preset", PRESETS)
@pytest.mark.parametrize("name", ALPHABETS)
@given(data=st.data())
@settings(max_examples=60, deadline=None)
def test_any_string_of_symbols_decodes_as_selfies_does(
    name: str, preset: str, data: st.DataObject
) -> None:
    alphabet = tuple(dict.fromkeys(ALPHABETS[name](preset)))
    codec = _codec(alphabet, preset)
    ids = data.draw(st.lists(st.integers(0, len(alphabet) - 1), max_size=60))
    text = "".join(alphabet[i] for i in ids)
    with selfies_under(preset):
        assert codec.decode(ids) == selfies.decoder(text), text


@pytest.mark.slow
@pytest.mark.parametrize("preset", PRESETS)
@pytest.mark.parametrize("name", ALPHABETS)
def test_thousands_of_long_strings_decode_as_selfies_does(name: str, preset: str) -> None:
    alphabet = tuple(dict.fromkeys(ALPHABETS[name](preset)))
    codec = _codec(alphabet, preset)
    draw = random.Random(0)
    with selfies_under(preset):
        for _ in range(2500):
            ids = draw.choices(range(len(alphabet)), k=draw.randint(1, 100))
            text = "".join(alphabet[i] for i in ids)
            assert codec.decode(ids) == selfies.decoder(text), text


@cache
def _codec(alphabet: tuple[str, ...], preset: str) -> Codec:
    return Codec(alphabet, preset)


def test_random_strings_over_the_robust_alphabet_are_molecules_to_rdkit() -> None:
    alphabet = robust_alphabet(Constraints.preset("default"))
    codec = Codec(alphabet)
    draw = random.Random(1)
    for _ in range(300):
        smiles = codec.decode(draw.choices(range(len(alphabet)), k=50))
        assert canonical(smiles) is not None, smiles


SPELLINGS = (
    *(
        "C(CC1)C1",
        "C(CC1)1",
        "C(C(C1)C)1",
        "C(C[C@]1(F)Cl)=1C",
        "[C@](C(C1)C)(F)1",
        "F/C(CC\\1)=C/1",
    ),
    *("C1=CC=CC=C1.c1ccccc1", "c1ccc2c(c1)[nH]c1ccccc12", "[cH-]1cccc1", "c1cc[n+]([O-])cc1", "cc"),
    *("C[C@]1(F)CC1", "[C@H]1(C)CC1", "[C@@H](C)1CC1C", "[C@]12(F)CC1C2", "[C@](F)1(Cl)CC1"),
    *("C:1:C:C:C:C:C1", "C-1CC1", "C/1CC\\1", "F/C=C/1CCCC1", "C1CC/1=C/F", "C%10CC%10", "C=1CC1"),
    *("c1nnnn1C", "c1cc[se]c1", "[te]1cccc1", "[as]1ccccc1", "b1ccccc1", "[cl]", "O=c1cc[nH]cc1"),
    *("[13CH4]", "[2H]C([2H])[2H]", "[CH2]", "[NH4+]", "[Na+].[Cl-]", "[CH3:2]C", "[Fe++]", "[C]"),
    *(
        "C(C)(C)",
        "C((C))",
        "CC.",
        "C..C",
        ".C",
        "C()",
        "1CC1",
        "C(",
        "C)",
        "C=(C)",
        "C11",
        "C12CC12",
    ),
    *("C1CC", "C1CC-1=C", "C=1CC#1", "=C", "C=", "C==C", "[C", "C]", "", "*", "[C@TH1]", "c1cc1"),
    *("[Fe]:c1ccccc1", "c1ccccc1=O", "C%1", "CN(=O)=O", "FI(F)F", "[nH]1cccc1=O", "s1(=O)cccc1"),
    *("c1ccc2ccc3cccc4ccc1c2c34", "c1ccc(cc1)-c1ccccc1", "n1ccccc1:[O]", "C:C", "[nH+]1cccc1"),
)


@pytest.mark.parametrize("smiles", SPELLINGS)
def test_unusual_smiles_are_encoded_or_refused_as_selfies_does(smiles: str) -> None:
    assert _encoded(smiles) == _encoded_by_selfies(smiles)


@given(data=st.data())
@settings(max_examples=300, deadline=None)
def test_damaged_smiles_are_encoded_or_refused_as_selfies_does(data: st.DataObject) -> None:
    text = list(data.draw(st.sampled_from([*sample("zinc250k")[:200], *SPELLINGS])))
    for _ in range(data.draw(st.integers(1, 4))):
        place = data.draw(st.integers(0, len(text)))
        text[place : place + data.draw(st.integers(0, 1))] = data.draw(
            st.sampled_from(["", *"()=#[]@+-/\\.:123%CNOcnosSPFl"])
        )
    smiles = "".join(text)
    assert _encoded(smiles) == _encoded_by_selfies(smiles)


def _encoded(smiles: str) -> str | None:
    try:
        return smiles_to_selfies(smiles)
    except CodecError:
        return None


def _encoded_by_selfies(smiles: str) -> str | None:
    # Beside its own error, selfies lets a KeyError (aromatic bonds at metals) and an IndexError
    # (rings from an atom to itself) through: refusals as well.
    try:
        return selfies.encoder(smiles)
    except (selfies.EncoderError, KeyError, IndexError):
        return None


@pytest.mark.parametrize(
    ("symbols", "smiles"),
    [
        ("[C][=C][C][=C][C][=C][Ring1][=Branch1]", "C1=CC=CC=C1"),
        ("[F][=C][=C][#N]", "FC=C=N"),  # bonds shrink to the valence left
        ("[C][#C][C][#C]", "C#CC#C"),
        ("[C][Branch1][C][F][Cl]", "C(F)Cl"),
        ("[C][Branch2]", "C"),  # index cut off by the end: zeros
        ("[C][C][C][Ring1]", "CC=C"),  # a ring to the neighbour raises the bond
        ("[C][C][Ring1][C][Ring1][C]", "C#C"),
        ("[C][C][C][C][Ring1][Ring1][Ring1][Ring1]", "CC=1CC=1"),  # a ring made twice
        ("[C][Ring1][P]", "C"),  # a ring on the first atom
        ("[epsilon][C][epsilon][C]", "C"),
        ("[C][nop][Branch1][nop][C][O][N]", "C(O)N"),
        ("[C].[Ring1][C][O].[epsilon]", "C.CO"),
        (
            "[C][#Branch1][Branch1][Branch1][C][O][F][N]",
            "C(O)(F)N",
        ),  # a branch that begins with a branch
        ("[C][CH4][C]", "C"),  # no room for a bond: the atom is lost
        ("[13CH3][CH0][O-1]", "[13CH3][CH0][O-1]"),
        ("[C@@H1][Branch1][C][F][Branch1][C][Cl][Br]", "[C@@H1](F)(Cl)Br"),
        ("[C][/C][=C][\\C][-/Ring1][Ring1]", "C/C1=C\\C/1"),
    ],
)
def test_the_grammar_by_example(symbols: str, smiles: str) -> None:
    assert selfies_to_smiles(symbols) == smiles == selfies.decoder(symbols)


def test_a_hundred_rings_keep_their_labels_apart_where_selfies_confuses_them() -> None:
    smiles = selfies_to_smiles("[C]" + "[C][C][C][Ring1][Ring1]" * 101)
    assert "%(101)" in smiles
    assert Chem.MolFromSmiles(smiles).GetRingInfo().NumRings() == 101


def test_deep_nesting_needs_no_recursion() -> None:
    deep = "C" + "(C" * 20_000 + ")" * 20_000
    assert smiles_to_selfies(deep) == "[C]" * 20_001
    nested = ["[C]", "[#Branch3]", "[P]", "[P]", "[P]"] * 1300
    assert selfies_to_smiles("".join(nested)).count("C") == 1300


def test_codecs_with_other_constraints_work_side_by_side() -> None:
    symbols = ["[C]", "[=O]", "[N]", "[O]", "[=Branch1]", "[Branch1]"]
    codecs = {preset: Codec(symbols, preset) for preset in PRESETS}
    with selfies_under({"C": 1, "?": 1}):
        assert codecs["hypervalent"].decode(codecs["hypervalent"].encode("CN(=O)=O")) == "CN(=O)=O"
        for preset in ("default", "octet_rule"):
            with pytest.raises(CodecError, match=r"\[N\] with 5 bonds, at most 3"):
                codecs[preset].encode("CN(=O)=O")


def test_threads_may_share_a_codec() -> None:
    codec = Codec(learnt("zinc250k"))
    texts = sample("zinc250k")[:400]
    expected = [codec.encode(text) for text in texts]
    fresh = Codec(learnt("zinc250k"))
    with ThreadPoolExecutor(4) as pool:
        for found in pool.map(lambda _: [fresh.encode(text) for text in texts], range(4)):
            assert found == expected


@pytest.mark.parametrize(
    ("smiles", "words"),
    [
        ("", "no atoms"),
        ("C(C", "bracket never closed"),
        ("C)C", "closes nothing"),
        ("C1CC", "ring never closed (1)"),
        ("C1C1", "between bonded atoms"),
        ("C=1CC#1", "two kinds of bond ('=', '#')"),
        ("c1ccc1c", "Kekulé"),
        ("CN(=O)=O", "5 bonds, at most 3"),
        ("[Xx]", "not an atom"),
        ("[" + "1" * 10_000 + "C]", "not an atom"),
        ("C$C", "unexpected text ('$')"),
        ("C1" + "C" * 5000 + "1", "at most 4096"),
    ],
)
def test_a_refusal_names_the_molecule_and_the_reason_in_one_sentence(
    smiles: str, words: str
) -> None:
    with pytest.raises(CodecError) as caught:
        smiles_to_selfies(smiles)
    assert words in caught.value.reason
    assert str(caught.value).startswith(f"SMILES {smiles[:70]!r}"[:70])
    assert "\n" not in str(caught.value)
    assert len(str(caught.value)) < 250


def test_a_symbol_that_the_alphabet_lacks_is_named() -> None:
    with pytest.raises(UnknownSymbolError) as caught:
        Codec(["[C]", "[N]"]).encode("CCNOF")
    assert caught.value.symbols == ("[F]", "[O]")
    assert "[F], [O]" in caught.value.reason


@pytest.mark.parametrize("ids", [[0, 2], [-1], [0, 10**6]])
def test_an_id_outside_the_alphabet_is_refused(ids: list[int]) -> None:
    with pytest.raises(CodecError, match="outside the alphabet"):
        Codec(["[C]", "[N]"]).decode(ids)


@pytest.mark.parametrize("symbol", ["[Foo]", "C", "[CH9]", "[Branch4]", "[--Ring1]", "[C+10]", ""])
def test_an_alphabet_holds_symbols_only(symbol: str) -> None:
    with pytest.raises(CodecError, match=r"symbol|hydrogens"):
        Codec(["[C]", symbol])


def test_an_alphabet_holds_each_symbol_once() -> None:
    with pytest.raises(CodecError, match="twice"):
        Codec(["[C]", "[C]"])


@pytest.mark.parametrize("text", ["[C", "C]", "[C]x[C]", "[C][[C]]"])
def test_text_that_is_not_all_symbols_is_refused(text: str) -> None:
    with pytest.raises(CodecError, match="bracketed"):
        split_selfies(text)


@pytest.mark.parametrize("preset", [*PRESETS, {"C": 4, "N+1": 2, "F": 0, "?": 3}])
def test_constraints_and_robust_alphabet_are_those_of_selfies(
    preset: str | dict[str, int],
) -> None:
    constraints = Constraints.of(preset)
    with selfies_under(preset):
        assert constraints.capacities == selfies.get_semantic_constraints()
        assert robust_alphabet(constraints) == sorted(selfies.get_semantic_robust_alphabet())


def test_constraints_are_values() -> None:
    table = Constraints.preset("default").capacities
    assert Constraints(dict(reversed(table.items()))) == Constraints.preset("default")
    assert hash(Constraints(table)) == hash(Constraints.preset("default"))
    table["C"] = 9
    assert Constraints.preset("default").capacity("C") == 4


@pytest.mark.parametrize(
    ("table", "words"),
    [
        ({"C": 4}, "'\\?'"),
        ({"Xx": 4, "?": 8}, "'Xx'"),
        ({"C+": 4, "?": 8}, "'C\\+'"),
        ({"C": -1, "?": 8}, "-1"),
        ({"C": True, "?": 8}, "True"),
        ({"C": 10**9, "?": 8}, "0 to 99"),
        ({"C": 4.0, "?": 8}, "4.0"),
    ],
)
def test_malformed_constraints_name_the_key(table: dict[str, int], words: str) -> None:
    with pytest.raises(ConfigError, match=words):
        Constraints(table)


def test_an_unknown_preset_lists_the_known_ones() -> None:
    with pytest.raises(ConfigError, match="default, octet_rule, hypervalent"):
        Constraints.preset("octet")


def test_the_codec_imports_no_chemistry_library() -> None:
    heavy = ["rdkit", "selfies", "torch", "pandas"]
    code = f"import sys, molvae.chem.tokenizer; print([m for m in {heavy} if m in sys.modules])"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
