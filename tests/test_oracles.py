"""Objectives: what they are called, which way is better, and where they come from."""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np
import pytest

from molvae.base.errors import ConfigError, OracleError
from molvae.chem.properties import compute
from molvae.oracles.external import function_objective
from molvae.oracles.functions import property_objective
from molvae.oracles.objective import Objective

SMILES = ["CCO", "c1ccccc1", "CC(=O)Oc1ccccc1C(=O)O"]


def test_direction_has_no_default_and_no_other_spelling() -> None:
    with pytest.raises(TypeError):
        Objective("x", len)  # type: ignore[call-arg]
    with pytest.raises(ConfigError, match="'max'; say 'maximize' or 'minimize'"):
        Objective("x", len, "max")  # type: ignore[arg-type]


def test_utility_is_larger_for_the_better_value_in_both_directions() -> None:
    assert Objective("x", len, "maximize").utility(2) > Objective("x", len, "maximize").utility(1)
    assert Objective("x", len, "minimize").utility(1) > Objective("x", len, "minimize").utility(2)


def test_property_objective_is_the_property_and_nothing_else() -> None:
    objective = property_objective("tpsa", "minimize")
    assert str(objective) == "minimise tpsa"
    np.testing.assert_array_equal(objective.function(SMILES), compute(SMILES, ["tpsa"])[:, 0])


def test_closeness_is_one_on_the_target_and_a_gaussian_around_it() -> None:
    weight = float(compute(["CCO"], ["mw"])[0, 0])
    objective = property_objective("mw", "maximize", target=weight, width=10.0)
    assert objective.function(["CCO"])[0] == pytest.approx(1.0)
    away = property_objective("mw", "maximize", target=weight + 10.0, width=10.0)
    assert away.function(["CCO"])[0] == pytest.approx(np.exp(-0.5))


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"name": "qde", "direction": "maximize"}, "did you mean 'qed'"),
        ({"name": "mw", "direction": "maximize", "target": 300.0}, "both a target and a width"),
        ({"name": "mw", "direction": "maximize", "width": 3.0}, "both a target and a width"),
        ({"name": "mw", "direction": "minimize", "target": 3.0, "width": 1.0}, "only be maximised"),
        ({"name": "mw", "direction": "maximize", "target": 3.0, "width": 0.0}, "width positive"),
        ({"name": "mw", "direction": "maximize", "target": np.nan, "width": 1.0}, "finite"),
    ],
)
def test_a_property_objective_that_makes_no_sense_is_refused(arguments: dict, message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        property_objective(**arguments)


@pytest.fixture
def module_here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A module in the current directory, which is not on the path."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", [p for p in sys.path if p not in ("", str(tmp_path))])
    (tmp_path / "my_helper.py").write_text("SCALE = 10.0\n")
    (tmp_path / "my_assay.py").write_text(
        "from my_helper import SCALE\n"
        "NUMBER = 3\n"
        "def score(smiles):\n    return SCALE * len(smiles)\n"
        "class Kit:\n"
        "    @staticmethod\n"
        "    def run(smiles):\n"
        "        return [1.0 for _ in smiles]\n"
    )
    (tmp_path / "my_broken.py").write_text("import no_such_library_anywhere\n")
    yield tmp_path
    for name in ("my_helper", "my_assay", "my_broken"):
        sys.modules.pop(name, None)


def test_a_function_is_found_in_the_current_directory_and_the_path_is_left_alone(
    module_here: Path,
) -> None:
    before = list(sys.path)
    objective = function_objective("my_assay:score", "maximize")
    assert objective.function("CC") == 20.0
    assert not objective.batch
    assert sys.path == before


def test_a_function_may_be_inside_a_class_and_take_a_list(module_here: Path) -> None:
    objective = function_objective("my_assay:Kit.run", "minimize", batch=True)
    assert objective.function(["C", "CC"]) == [1.0, 1.0]
    assert objective.describe() == {
        "name": "my_assay:Kit.run",
        "direction": "minimize",
        "batch": True,
    }


@pytest.mark.parametrize(
    ("reference", "message"),
    [
        ("my_assay", "write it as module:function"),
        (":score", "write it as module:function"),
        ("my_assay:", "write it as module:function"),
        ("my_assay.py:score", "as my_assay:score"),
        ("my_asay:score", "no module 'my_asay' on the Python path or in"),
        ("my_assay:scroe", "my_assay has no 'scroe'"),
        ("my_assay:NUMBER", "it is a int, no function"),
        ("my_broken:score", "fails on import:(.|\n)*no_such_library_anywhere"),
    ],
)
def test_a_reference_that_cannot_be_loaded_says_why(
    module_here: Path, reference: str, message: str
) -> None:
    with pytest.raises(OracleError, match=message):
        function_objective(reference, "maximize")
