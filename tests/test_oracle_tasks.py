"""The twenty tasks by value, and ``molvae oracle`` with its documentation."""

from __future__ import annotations

import csv
import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from blocks import blocks
from typer.testing import CliRunner

from molvae.base.errors import ConfigError, FileError, InputError, MolvaeError
from molvae.cli.app import app
from molvae.oracles.compose import read_objective
from molvae.oracles.tasks import TASKS, composed_task, task, task_file

DOCS = Path(__file__).parents[1] / "docs" / "objectives.md"

# As PyTDC 0.4.0 computes them (rdkit 2026.9.1): scripts/bench/oracles_equal.py --golden
MOLECULES = [
    "CC(C)(C)NCC(O)c1ccc(O)c(CO)c1",
    "CC1=CC=C(C=C1)C1=CC(=NN1C1=CC=C(C=C1)S(N)(=O)=O)C(F)(F)F",
    "Fc1cc(c(F)cc1F)CC(N)CC(=O)N3Cc2nnc(n2CC3)C(F)(F)F",
    "CCCOc1cc2ncnc(Nc3ccc4ncsc4c3)c2cc1S(=O)(=O)C(C)(C)C",
    "O=C(C)N(CC)C1=CC=CC(C2=CC=NC3=C(C=NN23)C#N)=C1",
    "Cc1ccc([N+](=O)[O-])cc1N",
    "CNC(=O)CN(Cc1ccc(-c2ccccc2F)cc1)C(=O)CC#N",
]
GOLDEN = {
    "albuterol_similarity": [
        1.0,
        0.198019802,
        0.2179487179,
        0.2522522523,
        0.2962962963,
        0.2841530055,
        0.2474226804,
    ],
    "amlodipine_mpo": [
        0.0063252908,
        0.3602374111,
        0.3173632374,
        0.1448013752,
        0.3930286818,
        0.0065440825,
        0.1625019524,
    ],
    "celecoxib_rediscovery": [
        0.1047619048,
        1.0,
        0.1666666667,
        0.1791044776,
        0.1929824561,
        0.1494252874,
        0.2155172414,
    ],
    "deco_hop": [
        0.5208703718,
        0.5361811391,
        0.551701398,
        0.5,
        0.5511156187,
        0.5104730319,
        0.5224050839,
    ],
    "fexofenadine_mpo": [
        0.3146425128,
        0.4064608915,
        0.4009526672,
        0.398572128,
        0.3614881369,
        0.1916317442,
        0.3772157604,
    ],
    "isomers_c7h8n2o2": [0.0, 0.0, 0.0, 0.0, 0.0, 1.0, 0.0],
    "isomers_c9h10n2o2pf2cl": [
        1.75032e-05,
        0.0003742356,
        3.12029e-05,
        0.0,
        0.000213233,
        0.1533549668,
        5.043e-07,
    ],
    "median1": [
        0.0643489452,
        0.017674908,
        0.0444994159,
        0.0345815869,
        0.0310834936,
        0.0309344112,
        0.0178571429,
    ],
    "median2": [
        0.076832205,
        0.1296558183,
        0.0972433277,
        0.1360827635,
        0.1123666437,
        0.0814904247,
        0.1054442095,
    ],
    "mestranol_similarity": [
        0.2413087935,
        0.0640788663,
        0.1418439716,
        0.1180891036,
        0.116194626,
        0.0888888889,
        0.1570306924,
    ],
    "osimertinib_mpo": [
        0.2469513916,
        0.1817508098,
        0.3081898902,
        0.0738104425,
        0.2405180559,
        0.1831285845,
        0.2340757451,
    ],
    "perindopril_mpo": [
        0.100124102,
        0.0626319554,
        0.2701716135,
        0.005010254,
        0.0919698603,
        0.0525542059,
        0.2908872369,
    ],
    "qed": [
        0.6389509581,
        0.7541053298,
        0.6216377743,
        0.4181358504,
        0.7452640844,
        0.3761830462,
        0.8785906081,
    ],
    "ranolazine_mpo": [
        0.0077774641,
        0.0663510813,
        0.0012167157,
        0.4063485289,
        0.0462709933,
        0.0088056314,
        0.0486905346,
    ],
    "scaffold_hop": [
        0.3648707841,
        0.3880070547,
        0.4114598904,
        0.6666666667,
        0.4105747126,
        0.3491592483,
        0.3671899046,
    ],
    "sitagliptin_mpo": [
        0.0177704372,
        0.0004355365,
        3.7267e-06,
        0.0,
        0.0969169739,
        0.0003549416,
        0.1512938401,
    ],
    "thiothixene_rediscovery": [
        0.1206896552,
        0.2093023256,
        0.1338028169,
        0.1862068966,
        0.1811023622,
        0.1067961165,
        0.2109375,
    ],
    "troglitazone_rediscovery": [
        0.1293103448,
        0.1294964029,
        0.0872483221,
        0.1689189189,
        0.1185185185,
        0.1057692308,
        0.1470588235,
    ],
    "valsartan_smarts": [0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.1202776359],
    "zaleplon_mpo": [
        0.0180875682,
        0.2264846747,
        0.1334383303,
        0.0018141122,
        0.4664987212,
        1.06e-08,
        0.4313643137,
    ],
}


@pytest.mark.parametrize("name", TASKS)
def test_tasks_have_the_values_of_pytdc(name: str) -> None:
    np.testing.assert_allclose(task(name).function(MOLECULES), GOLDEN[name], rtol=1e-6, atol=1e-9)


def test_the_tasks_are_the_twenty_of_pmo_that_need_rdkit_alone() -> None:
    assert sorted(GOLDEN) == list(TASKS)
    assert len(TASKS) == 20
    for name in TASKS:
        assert str(task(name)) == f"maximise {name}"
        assert composed_task(name).description.source


def test_tasks_with_a_target_are_won_by_it() -> None:
    for name, molecule in (
        ("celecoxib_rediscovery", MOLECULES[1]),
        ("albuterol_similarity", MOLECULES[0]),
        ("isomers_c7h8n2o2", MOLECULES[5]),
    ):
        assert task(name).function([molecule])[0] == pytest.approx(1)


def test_an_unknown_task_is_refused_with_the_nearest() -> None:
    with pytest.raises(ConfigError, match="unknown task 'medain1'; did you mean 'median1'"):
        task("medain1")


# --- the command -----------------------------------------------------------------------------


def run(*arguments: object, stdin: str | None = None) -> Any:
    """Run ``molvae oracle``; its errors of molvae's own are raised."""
    result = CliRunner().invoke(app, ["oracle", *map(str, arguments)], input=stdin)
    if isinstance(result.exception, MolvaeError):
        raise result.exception
    assert result.exit_code == 0, result.output
    return result


def test_check_shows_each_parts_raw_value_and_score() -> None:
    shown = run("check", "perindopril_mpo", "c1ccccc1").stdout
    assert "aromatic_rings" in shown
    assert "1 -> 0.1353" in shown  # exp(-2)


def test_check_writes_total_scores_and_raw_values(tmp_path: Path) -> None:
    (tmp_path / "in.csv").write_text("SMILES,name\nc1ccccc1,benzene\nC1CC,none\n")
    out = tmp_path / "out.csv"
    result = run("check", "perindopril_mpo", tmp_path / "in.csv", "CCO", "-o", out)
    rows = list(csv.DictReader(out.open()))
    parts = ["like perindopril", "aromatic_rings"]
    columns = ["smiles", "name", "total", *(f"{p}{s}" for p in parts for s in ("", " raw"))]
    assert list(rows[0]) == columns
    assert [row["smiles"] for row in rows] == ["c1ccccc1", "C1CC", "CCO"]
    assert float(rows[0]["aromatic_rings raw"]) == 1
    assert float(rows[0]["aromatic_rings"]) == pytest.approx(np.exp(-2))
    total = float(rows[2]["like perindopril"]) * float(rows[2]["aromatic_rings"])
    assert float(rows[2]["total"]) == pytest.approx(total**0.5)
    assert rows[1]["total"] == ""
    assert "1 of 3 rows could not be scored" in result.stderr
    assert "row 3 'C1CC': not a molecule: not valid SMILES (ring 1 is not closed)" in result.stderr
    assert result.stdout == ""


def test_a_part_whose_column_there_is_already_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "mine.toml"
    path.write_text(task_file("qed").read_text() + 'name = "total"\n')
    with pytest.raises(ConfigError, match="part 'total': the table has a column 'total' already"):
        run("check", path, "CCO", "--json")


def test_check_reads_standard_input_and_prints_json() -> None:
    found = json.loads(run("check", "qed", "-", "--json", stdin="CCO\n").stdout)
    assert found["total"] == found["qed"] == found["qed raw"]


def test_check_without_molecules_says_what_the_objective_is() -> None:
    shown = run("check", "osimertinib_mpo").stdout
    assert "maximise osimertinib_mpo, geometric of 4" in shown
    assert "max_gaussian: mean 100.0, sigma 10.0" in shown
    described = json.loads(run("check", "median1", "--json").stdout)
    assert described["mean"] == "geometric"


def test_a_tasks_file_is_a_description_to_copy(tmp_path: Path) -> None:
    copy = tmp_path / "mine.toml"
    copy.write_text(task_file("median1").read_text().replace("geometric", "minimum"))
    found = json.loads(run("check", copy, "CC(C)C1CCC(C)CC1O", "--json").stdout)
    assert found["total"] == found["like camphor"]


def test_list_names_all_that_a_description_can_be_made_of() -> None:
    listed = json.loads(run("list", "--json").stdout)
    assert tuple(listed["task"]) == TASKS
    assert {"similarity", "group"} < set(listed["part"])
    assert {"clipped", "min_gaussian"} < set(listed["modifier"])
    assert "osimertinib_mpo" in run("list").stdout


@pytest.mark.parametrize(
    ("arguments", "error", "message"),
    [
        (["medain1", "C"], ConfigError, "unknown task 'medain1'; did you mean 'median1'"),
        (["no.toml", "C"], FileError, "no.toml"),
        (["no/where", "C"], ConfigError, "no/where: there is no such file"),
        (["qed", "C1CC"], InputError, "'C1CC' is no file, and no molecule either: .*ring 1"),
        (["qed", ""], InputError, "'' is no file, and no molecule either: empty"),
        (["qed", "no.csv"], InputError, "'no.csv' is no file"),
        (["qed", "C", "-o", "out.xyz"], ConfigError, "the format 'xyz' is not one of"),
    ],
)
def test_check_refuses_in_one_sentence(
    arguments: list[str],
    error: type[MolvaeError],
    message: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.chdir(tmp_path)
    with pytest.raises(error, match=message) as found:
        run("check", *arguments)
    assert "\n" not in str(found.value)
    assert found.value.exit_code != 0


def test_the_description_in_the_documentation_scores_molecules(tmp_path: Path) -> None:
    (text,) = (block.text for block in blocks(DOCS) if block.file == "lead.toml")
    (tmp_path / "lead.toml").write_text(text)
    lead = read_objective(tmp_path / "lead.toml")
    assert 0 < lead.score(["CC(=O)NCCc1c[nH]c2ccccc12"]).total[0] < 1
    assert lead.objective().direction == "maximize"
