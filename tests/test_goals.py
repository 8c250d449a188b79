"""What is wanted, as text: constraints, restrictions, goals; and one sentence where it is wrong."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from molvae.base.errors import ConfigError
from molvae.chem.properties import compute
from molvae.chem.smiles import parse
from molvae.optimize.constraints import Constraint, read_constraints
from molvae.optimize.feasibility import demands, shortfalls
from molvae.optimize.goals import Goals
from molvae.optimize.restriction import Restriction

TEXTS = {
    "SA < 4": "sa < 4",
    "alerts = 0": "alerts = 0",
    "no alerts": "alerts = 0",
    "1 <= logP <= 3": "1 <= logp <= 3",
    "3 >= logp > 1": "1 < logp <= 3",
    "logP in 1 to 3": "1 <= logp <= 3",
    "2.5e2 <= MW": "mw >= 250",
    "tpsa ≤ 90": "tpsa <= 90",
    "rings == 2": "rings = 2",
    "formal_charge>-1": "formal_charge > -1",
}


@pytest.mark.parametrize(("text", "meaning"), TEXTS.items())
def test_a_constraint_is_read_in_any_of_its_spellings_and_written_in_one(
    text: str, meaning: str
) -> None:
    (found,) = read_constraints(text)
    assert (str(found), found.kind) == (meaning, "computed")
    assert read_constraints(meaning) == [found]
    assert Constraint.parse(found.to_dict()) == found


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("SA", "it is no constraint; write it like 'sa < 4'"),
        ("SA < four", "it is no constraint"),
        ("SA < inf", "it is no constraint"),
        ("log_p < 3", "unknown property 'log_p'; did you mean 'logp'?"),
        ("solubilty > 3", "unknown property 'solubilty'; did you mean 'Solubility'?"),
        ("potency > 3", "say of an assay that it is measured"),
        ("3 <= logp <= 1", "no value meets 3 <= logp <= 1"),
        ("1 < logp < 1", "no value meets"),
        ("1 <= logp >= 3", "both signs point the same way"),
        ("Solubility = 3", "no measurement is just that; give a range"),
    ],
)
def test_a_constraint_that_makes_no_sense_is_one_sentence(text: str, message: str) -> None:
    with pytest.raises(ConfigError) as error:
        read_constraints(text, ["Solubility"])
    assert str(error.value).startswith(f"constraint {text!r}: ")
    assert message in str(error.value)


def test_an_assay_of_a_propertys_name_is_the_assay() -> None:
    (found,) = read_constraints("LOGP < 3", ["logP"])
    assert (found.name, found.kind) == ("logP", "measured")


@given(st.floats(-100, 100), st.floats(0, 100), st.booleans(), st.booleans(), st.floats(-300, 300))
def test_a_value_misses_by_nothing_exactly_where_it_meets(
    low: float, width: float, above: bool, below: bool, value: float
) -> None:
    if width == 0:
        above = below = False
    if low == low + width and (above or below):
        return
    bound = Constraint(
        name="sa", kind="computed", lower=low, upper=low + width, above=above, below=below
    )
    assert (bound.shortfall(value) == 0) == bound.met(value)
    assert bound.shortfall(value) >= 0
    assert bound.shortfall(math.nan) == math.inf


def test_goals_come_back_from_their_record_and_say_what_is_measured() -> None:
    goals = Goals.of(
        {"pIC50": "maximize", "clearance": "minimize"},
        ["pic50 > 6 and sa < 4"],
        measured=["solubility >= 50"],
        restriction={"similar_to": "CCO", "similarity": [0.2, 0.8]},
    )
    assert Goals.parse(goals.to_dict()) == goals
    assert goals.assays == ("pIC50", "clearance", "solubility")
    assert [c.name for c in goals.measured] == ["pIC50", "solubility"]
    assert goals.signs.tolist() == [1.0, -1.0]
    assert goals.filters
    assert not goals.plain
    assert Goals.of({"a": "maximize"}).plain


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"objectives": {}}, "there is no objective"),
        ({"objectives": [("a", "maximize"), ("a", "minimize")]}, "'a' is named twice"),
        ({"objectives": {"a": "up"}}, "say 'maximize' or 'minimize'"),
        ({"constraints": ["sa < 3", "sa > 5"]}, "no molecule meets sa < 3 and sa > 5"),
        ({"restriction": {"keep_scaffold": "CCO"}}, "it has no ring"),
        ({"restriction": {"keep_scaffold": "C1CC"}}, "ring 1 is not closed"),
        ({"restriction": {"keep_smarts": "C("}}, "not valid SMARTS"),
        ({"restriction": {"similar_to": "x"}}, "key 'similar_to' is 'x'"),
        ({"restriction": {"similar_to": "CC", "similarity": [0.9, 0.1]}}, "the lowest, then the"),
        ({"restriction": {"similarity": [0.1, 0.9]}}, "needs the lead"),
        ({"restriction": {"similar": "CC"}}, "unknown key 'similar'; did you mean"),
    ],
)
def test_goals_that_make_no_sense_are_one_sentence(arguments: dict[str, Any], message: str) -> None:
    with pytest.raises(ConfigError) as error:
        Goals.of(**{"objectives": {"a": "maximize"}, **arguments})
    assert message in str(error.value)


def test_a_scaffold_may_be_part_of_a_larger_one_and_stereo_does_not_count() -> None:
    kept = Restriction(keep_scaffold="OC1CCCCC1c1ccccc1")
    assert kept.shortfalls(parse("C[C@H]1CCCC[C@@H]1c1ccc(-c2ccncc2)cc1")) == [0.0]
    assert kept.shortfalls(parse("OC1CCCCC1")) == [1.0]
    assert Restriction(keep_smarts="[OX2H]").shortfalls(parse("CCN")) == [1.0]


def test_shortfalls_agree_with_the_properties_and_name_their_demands() -> None:
    smiles = ["CCO", "c1ccccc1C(=O)O", "CCCCCCCCCC"]
    goals = Goals.of({"a": "maximize"}, ["mw < 100", "logp in 0 to 2"])
    assert demands(goals) == ["meet mw < 100", "meet 0 <= logp <= 2"]
    mw, logp = compute(smiles, ["mw", "logp"]).T
    expected = np.stack([np.maximum(mw - 100, 0) / 100, np.maximum(-logp, logp - 2) / 2], axis=1)
    np.testing.assert_allclose(shortfalls(goals, smiles), np.maximum(expected, 0))
    assert shortfalls(goals, []).shape == (0, 2)
