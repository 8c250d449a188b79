"""molvae.datasets.clean: the funnel, and molecules that hang or crash."""

from __future__ import annotations

import math
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from molvae.base.errors import ConfigError, InputError
from molvae.chem.smiles import canonicalise, randomise
from molvae.chem.standardise import StandardiseOptions
from molvae.datasets.clean import Cleaned, CleanOptions, Dropped, Funnel, clean, clean_text
from molvae.datasets.isolate import Failure, isolated_map
from molvae.datasets.readers import read_molecules
from molvae.datasets.rows import Row


def rows_of(*smiles: str) -> list[Row]:
    return [Row(number, text, None, {}) for number, text in enumerate(smiles, start=1)]


def run(*smiles: str, options: CleanOptions | None = None) -> list[str]:
    """The SMILES of what passed, the reason of what did not."""
    items = clean(rows_of(*smiles), options, workers=0)
    return [item.smiles if isinstance(item, Cleaned) else item.reason for item in items]


def test_every_row_comes_out_once_in_order_with_its_reason():
    assert run("OCC", "C1CC", "CCO", "", "CC(=O)[O-].[Na+]", "[Na+].[Cl-]", "C" * 2000) == [
        "CCO",
        "not valid SMILES (ring 1 is not closed)",
        "duplicate",
        "empty",
        "CC(=O)O",
        "no organic fragment",
        "longer than 1,000 characters",
    ]


def test_names_labels_and_numbers_stay_with_their_molecule():
    row = Row(17, "OCC", "ethanol", {"logP": -0.1, "pKa": math.nan})
    (item,) = clean([row], workers=0)
    assert isinstance(item, Cleaned)
    assert (item.number, item.smiles, item.name) == (17, "CCO", "ethanol")
    assert item.labels is row.labels


def test_a_readers_problem_is_the_reason_and_long_text_is_shortened():
    rows = [
        Row(3, "CC", None, {}, 'label logP is not a number ("high")'),
        Row(4, "C" * 10**6, None, {}),
        Row(5, "", "unnamed", {}, "no atoms"),
    ]
    assert list(clean(rows, workers=0)) == [
        Dropped(3, "CC", 'label logP is not a number ("high")'),
        Dropped(4, "C" * 197 + "...", "longer than 1,000 characters"),
        Dropped(5, "unnamed", "no atoms"),
    ]


@pytest.mark.parametrize(
    ("options", "smiles", "expected"),
    [
        ({"max_length": 3}, "CCCC", "longer than 3 characters"),
        ({"max_atoms": 3}, "CCCC", "more than 3 atoms"),
        ({"max_atoms": 3}, "CCC.CCCC", "more than 3 atoms"),
        ({"max_atoms": 6}, "C1CCCCC1C", "more than 6 atoms"),
        ({"min_atoms": 3}, "CC", "fewer than 3 atoms"),
        ({"min_atoms": 3}, "CC.O.O", "fewer than 3 atoms"),
        ({"elements": ("C", "O")}, "C[N+](C)(C)CCl", "element not allowed (Cl, N)"),
        ({"elements": ("C", "H")}, "[CH3:1][13CH3]", "CC"),
        ({}, "C[As](C)C", "element not allowed (As)"),
        ({}, "c1cc[se]c1", "c1cc[se]c1"),
        ({}, "C*", "element not allowed (*)"),
        ({}, "C[Si](C)(C)C", "C[Si](C)(C)C"),
        ({"alerts": ("pains",)}, "O=C1C=CC(=O)C=C1", "alert (pains: quinone_A(370))"),
        ({"standardise": {"stereo": False}}, "C[C@H](N)O", "CC(N)O"),
        ({"standardise": {"neutralise": True}}, "C[NH3+]", "CN"),
        ({"standardise": {"fragments": False}}, "CC.O", "CC.O"),
    ],
)
def test_caps_elements_alerts_and_standards_are_settings(options: dict, smiles: str, expected: str):
    outcome = run(smiles, options=CleanOptions.parse(options))[0]
    assert outcome.startswith(expected)


def test_duplicates_may_be_kept():
    assert run("OCC", "CCO", options=CleanOptions(deduplicate=False)) == ["CCO", "CCO"]


def test_wrong_settings_are_named():
    with pytest.raises(ConfigError, match="'Xx' is not the symbol of an element"):
        CleanOptions.parse({"elements": ["C", "Xx"]})
    with pytest.raises(ConfigError, match="no catalogue 'pain'"):
        CleanOptions.parse({"alerts": ["pain"]})
    with pytest.raises(ConfigError, match=r"unknown key 'standardise\.charges'"):
        CleanOptions.parse({"standardise": {"charges": True}})


def test_the_funnel_counts_causes_without_their_details():
    funnel = Funnel()
    list(funnel.watch(clean(rows_of("C", "C1", "C2", "CC", "CC", "(", "CCC"), workers=0)))
    assert (funnel.read, funnel.kept, funnel.dropped) == (7, 3, 4)
    assert funnel.table() == [
        ("read", 7),
        ("not valid SMILES", 3),
        ("duplicate", 1),
        ("kept", 3),
    ]
    funnel.require_some("a.csv")


def test_a_file_of_nothing_usable_is_one_clear_sentence(tmp_path: Path):
    path = tmp_path / "a.csv"
    path.write_text("id,text\n1,hello\n2,C1\n")
    funnel = Funnel()
    list(funnel.watch(clean(read_molecules(path, smiles_column="text"), workers=0)))
    with pytest.raises(InputError) as caught:
        funnel.require_some(str(path))
    assert str(caught.value) == (
        f"{path}: none of its 2 rows is a usable molecule (most often: not valid SMILES, "
        "2 times); is the SMILES column the right one?"
    )


DRUGS = ["CC(=O)Oc1ccccc1C(=O)O", "C[C@@H](C(=O)O)N", "CN(C)CCc1c[nH]c2ccccc12", "C/C=C/CBr"]


@settings(max_examples=50, deadline=None)
@given(st.sampled_from(DRUGS), st.sampled_from(["", ".O", ".[Na+].[Cl-]"]), st.integers(0, 999))
def test_every_spelling_and_salt_of_a_molecule_is_one(smiles: str, salt: str, seed: int):
    spelling = randomise(smiles, seed)[0]
    assert clean_text(spelling + salt, CleanOptions()) == canonicalise(smiles)


@settings(max_examples=100, deadline=None)
@given(st.text(alphabet="CNOcn[]()=#12+-@/\\.HlBr[Na+]", max_size=30))
def test_what_passes_is_a_fixed_point(text: str):
    outcome = clean_text(text, CleanOptions())
    if isinstance(outcome, str):
        assert clean_text(outcome, CleanOptions()) == outcome


# ---------------------------------------------------------------- hostile molecules


def label(number: int) -> str:
    return str(number) if number < 10 else f"%{number}"


def graph(atoms: int, edges: list[tuple[int, int]], atom: str) -> str:
    """SMILES of any graph: dotted atoms, and a ring closure for every bond."""
    texts = [atom] * atoms
    free = list(range(99, 0, -1))
    pending: dict[tuple[int, int], int] = {}
    for place in range(atoms):
        closed = [pending.pop(edge) for edge in edges if place == max(edge)]
        texts[place] += "".join(map(label, closed))
        for edge in edges:
            if place == min(edge):
                pending[edge] = free.pop()
                texts[place] += label(pending[edge])
        free += closed
    return ".".join(texts)


def graphene(height: int, width: int) -> str:
    """A brick wall of aromatic carbons."""
    atoms = height * width
    across = [(k, k + 1) for k in range(atoms - 1) if (k + 1) % width]
    down = [(k, k + width) for k in range(atoms - width) if (k // width + k % width) % 2 == 0]
    return graph(atoms, across + down, "c")


def tree(depth: int) -> str:
    return "C" if depth == 0 else f"[C@H]({tree(depth - 1)}){tree(depth - 1)}"


RING = [(i, (i + 1) % 30) for i in range(30)]
PRISM = [*RING, *((a + 30, b + 30) for a, b in RING), *((i, i + 30) for i in range(30))]
HYPERCUBE = [(i, i | 1 << k) for i in range(64) for k in range(6) if not i >> k & 1]
COMPLETE = [(i, j) for i in range(12) for j in range(i)]
HUBS = (
    "[U]" + "".join(f"(C%{i})" for i in range(10, 60)) + ".[U]%" + "%".join(map(str, range(10, 60)))
)
FULLERENE = (
    "c12c3c4c5c1c1c6c7c2c2c8c3c3c9c4c4c%10c5c5c1c1c6c6c%11c7c2c2c7c8c3c3c8c9c4c4c9c%10c5c5c1c1"
    "c6c6c%11c2c2c7c3c3c8c4c4c9c5c1c1c6c2c3c41"
)
HOSTILE = {
    "nested rings": "".join(f"C{label(i)}" for i in range(1, 100)) * 2,
    "nested aromatic rings": "".join(f"c{label(i)}" for i in range(1, 100)) * 2,
    "prism": graph(60, PRISM, "C"),
    "hypercube": graph(64, HYPERCUBE, "[U]"),
    "complete graph": graph(12, COMPLETE, "[U]"),
    "1,225 rings between two hubs": HUBS,
    "buckminsterfullerene": FULLERENE,
    "graphene": graphene(8, 15),
    "polyene with stereo": "C" + "/C=C" * 120,
    "ring of stereo bonds": "C1" + "/C=C/C(O)" * 40 + "1",
    "tree of equal stereocentres": "C" + tree(6),
    "sixty chiral fragments": ".".join(["C[C@H](O)F"] * 60),
    "eighty salts": ".".join(["[Na+].[Cl-]"] * 80),
    "fifty zwitterions": ".".join(["[NH3+]CC(=O)[O-]"] * 50),
    "chain of sulfoxides": "C" + "[S+]([O-])" * 100 + "C",
    "nested brackets": "C(" * 240 + "C" + ")" * 240,
    "ring that cannot be kekulised": "c1" + "c" * 237 + "c1",
    "cumulene": "C" + "=C" * 240,
    "loose hydrogens": ".".join(["[H]"] * 200),
}


@pytest.mark.slow
def test_nothing_under_the_caps_takes_a_second_of_cpu_time():
    """With every step switched on: the alerts match hundreds of patterns."""
    options = CleanOptions(
        max_length=2500,
        max_atoms=250,
        elements=(*CleanOptions().elements, "U"),
        alerts=("pains", "brenk", "nih"),
        standardise=StandardiseOptions(neutralise=True),
    )
    rows = rows_of(*HOSTILE.values())
    items = clean(rows, options, workers=1)
    slow = [item for item in items if isinstance(item, Dropped) and "took" in item.reason]
    assert slow == []


def test_a_canonical_smiles_that_cannot_be_read_back_is_refused():
    options = CleanOptions(standardise=StandardiseOptions(fragments=False))
    assert run(graphene(8, 15), options=options) == ["canonical SMILES cannot be read back"]
    assert run(graphene(8, 15)) == ["cannot be standardised"]


def misbehave(item: str) -> str:
    """A stand-in for chemistry in C++ that goes wrong."""
    if item == "hang":
        while True:
            pass
    if item == "crash":
        os.kill(os.getpid(), signal.SIGSEGV)
    if item == "exit":
        os._exit(3)
    return item.upper()


@pytest.mark.slow
def test_a_call_that_hangs_or_crashes_costs_itself_alone():
    items = ["a", "b", "hang", "c", "crash", "d", "e", "exit", "f"]
    results = list(isolated_map(misbehave, items, seconds=0.5, example="x", workers=2, chunk=4))
    assert results == [
        "A",
        "B",
        Failure("took over 0.5 s"),
        "C",
        Failure("crashed the process (exit code -11)"),
        "D",
        "E",
        Failure("crashed the process (exit code 3)"),
        "F",
    ]


@pytest.mark.slow
def test_a_molecule_on_which_rdkit_hangs_is_dropped_and_the_others_are_not():
    """With the caps out of the way: ``"C" * 100000`` keeps RDKit busy for 20 s."""
    options = CleanOptions(max_length=10**6, max_atoms=10**6)
    before = [f"{'C' * n}O" for n in range(1, 20)]
    after = [f"{'C' * n}N" for n in range(1, 20)]
    items = list(clean(rows_of(*before, "C" * 100_000, *after), options, workers=1))
    assert [item.number for item in items] == list(range(1, 40))
    assert [item for item in items if isinstance(item, Dropped)] == [
        Dropped(20, "C" * 197 + "...", "took over 1 s")
    ]


@pytest.mark.slow
def test_workers_change_nothing_and_rows_are_read_only_a_little_ahead():
    read = 0

    def endless() -> Iterator[Row]:
        nonlocal read
        while True:
            read += 1
            yield Row(read, "C" * (read % 50 + 1) + ("O" if read % 3 else "("), None, {})

    stream = clean(endless(), CleanOptions(deduplicate=False), workers=2)
    items = [next(stream) for _ in range(3000)]
    assert read < 3000 + 10 * 512
    alone = clean(endless_prefix(3000), CleanOptions(deduplicate=False), workers=0)
    assert items == list(alone)


def endless_prefix(count: int) -> list[Row]:
    return [
        Row(k, "C" * (k % 50 + 1) + ("O" if k % 3 else "("), None, {}) for k in range(1, count + 1)
    ]


@pytest.mark.slow
def test_a_script_without_a_main_guard_is_told_so(tmp_path: Path):
    script = tmp_path / "script.py"
    script.write_text(
        "from molvae.datasets.clean import clean\n"
        "from molvae.datasets.rows import Row\n"
        "from molvae.base.errors import MolvaeError\n"
        "try:\n"
        "    print(list(clean([Row(1, 'C', None, {})], workers=1)))\n"
        "except MolvaeError as error:\n"
        "    print('told:', error)\n"
    )
    done = subprocess.run(
        [sys.executable, script], capture_output=True, text=True, timeout=120, check=False
    )
    assert "told: worker processes cannot start; in a script, call this under" in done.stdout
