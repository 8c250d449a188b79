"""`molvae optimize`: what it says, what it writes, and what it refuses."""

from __future__ import annotations

import csv
import json
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from beads import BeadGenerator, levels, molecules
from typer.testing import CliRunner, Result

import molvae.generator
from molvae.base.errors import ConfigError, FileError, InputError, MolvaeError, OracleError
from molvae.cli.app import app

ASSAY = """
from pathlib import Path

def nitrogens(smiles):
    with open("calls.txt", "a") as log:
        log.write(smiles + "\\n")
    return smiles.count("N")

def many(smiles):
    return [text.count("N") for text in smiles]

def picky(smiles):
    if "=O" in smiles:
        raise ValueError("no carbonyls, please")
    return smiles.count("N")
"""
OWN = ("--objective", "bead_assay:nitrogens", "--direction", "maximize")
SMALL = ("--budget", "15", "--batch-size", "5", "--initial", "10", "--candidates", "32")


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """The current directory, with an objective; every model there is the generator of beads."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(molvae.generator, "load", lambda path, device: BeadGenerator())
    (tmp_path / "bead_assay.py").write_text(ASSAY)
    yield tmp_path
    sys.modules.pop("bead_assay", None)


def run(*arguments: str) -> Result:
    return CliRunner().invoke(app, ["optimize", "model", *arguments])


def works(*arguments: str) -> Result:
    result = run(*arguments)
    assert result.exit_code == 0, f"{result.output}\n{result.exception!r}"
    return result


def fails(*arguments: str) -> MolvaeError:
    result = run(*arguments)
    assert isinstance(result.exception, MolvaeError), result.output
    return result.exception


def rows(path: Path) -> list[dict[str, str]]:
    with path.open() as stream:
        return list(csv.DictReader(stream))


def test_the_table_holds_every_molecule_best_first(folder: Path) -> None:
    result = works(*OWN, *SMALL, "-o", "out.csv")
    table = rows(folder / "out.csv")
    assert len(table) == 15
    assert {"rank", "smiles", "value", "order", "step", "origin"} <= set(table[0])
    values = [float(row["value"]) for row in table]
    assert values == sorted(values, reverse=True)
    assert values == [row["smiles"].count("N") for row in table]
    assert sorted(int(row["order"]) for row in table) == list(range(1, 16))
    assert result.stdout == ""


def test_it_says_in_words_what_is_optimised_and_that_nothing_is_hidden(folder: Path) -> None:
    said = works("--minimize", "logp", *SMALL).stderr
    assert "to minimise logp, and nothing else, in 15 evaluations" in said
    said = works("--maximize", "logp", "--target", "2", "--width", "0.5", *SMALL).stderr
    assert "to maximise closeness of logp to 2 (width 0.5), and nothing else" in said


def test_quiet_says_nothing_and_a_table_goes_to_standard_output(folder: Path) -> None:
    result = works(*OWN, *SMALL, "-q")
    assert result.stderr == ""
    assert result.stdout.startswith("rank,smiles,value,")
    assert not list(folder.glob("*.sqlite"))


def test_json_tells_everything(folder: Path) -> None:
    told = json.loads(works(*OWN, *SMALL, "--json").stdout)
    assert told["objective"] == {
        "name": "bead_assay:nitrogens",
        "direction": "maximize",
        "batch": False,
    }
    assert told["evaluated"] == len(told["curve"]) == len(told["molecules"]) == 15
    assert told["curve"][-1] == told["molecules"][0]["value"]


def test_the_campaign_lies_beside_the_output_and_resumes_without_repeating(folder: Path) -> None:
    works(*OWN, *SMALL, "-o", "out.csv")
    calls = (folder / "calls.txt").read_text()
    assert "exists already; resume it" in str(fails(*OWN, *SMALL, "-o", "out.csv"))
    works(*OWN, *SMALL, "-o", "again.csv", "--store", "out.sqlite", "--resume")
    assert (folder / "calls.txt").read_text() == calls
    assert (folder / "again.csv").read_text() == (folder / "out.csv").read_text()
    works(*OWN, *SMALL, "-o", "out.csv", "--resume", "--budget", "18")
    assert len((folder / "calls.txt").read_text().split()) == len(rows(folder / "out.csv")) == 18


def test_a_function_of_a_list_gives_the_same_molecules(folder: Path) -> None:
    works(*OWN, *SMALL, "-o", "one.csv")
    works("--objective", "bead_assay:many", "--direction", "maximize", "--takes-list", *SMALL,
          "-o", "many.csv")  # fmt: skip
    assert (folder / "one.csv").read_text() == (folder / "many.csv").read_text()


def test_every_flag_is_a_key_of_a_toml_file_and_flags_win(folder: Path) -> None:
    (folder / "run.toml").write_text(
        'objective = "bead_assay:nitrogens"\ndirection = "maximize"\nbudget = 15\n'
        "batch_size = 5\ninitial = 10\ncandidates = 32\nseed = 3\n"
    )
    works("--config", "run.toml", "-o", "file.csv")
    works(*OWN, *SMALL, "--seed", "3", "-o", "flags.csv")
    assert (folder / "file.csv").read_text() == (folder / "flags.csv").read_text()
    works("--config", "run.toml", "--budget", "5", "--set", "initial=5", "-o", "short.csv")
    assert len(rows(folder / "short.csv")) == 5
    (folder / "run.toml").write_text("bugdet = 15\n")
    assert "did you mean 'budget'" in str(fails("--config", "run.toml"))


def test_start_molecules_come_first_and_those_left_out_are_named(folder: Path) -> None:
    good = list(levels())[:3]
    (folder / "start.smi").write_text("\n".join([*good, "c1ccccc1", "C1CC"]) + "\n")
    said = works(*OWN, *SMALL, "--start", "start.smi", "-o", "out.csv").stderr
    assert "start molecule c1ccccc1 is left out: the model cannot encode it" in said
    assert "start molecule C1CC is left out: not valid SMILES (ring 1 is not closed)" in said
    first = sorted(rows(folder / "out.csv"), key=lambda row: int(row["order"]))[:3]
    assert [row["smiles"] for row in first] == good
    assert {row["origin"] for row in first} == {"start"}


def test_failures_are_counted_and_listed_with_their_reason(folder: Path) -> None:
    said = works("--objective", "bead_assay:picky", "--direction", "maximize", *SMALL).stderr
    assert "15 molecules evaluated, " in said
    assert "without a value" in said
    assert "ValueError: no carbonyls, please" in said


def test_an_objective_that_tells_no_molecules_apart_is_named(folder: Path) -> None:
    (folder / "bead_assay.py").write_text("def nitrogens(smiles):\n    return 0.5\n")
    said = works(*OWN, *SMALL).stderr
    assert "all 15 values are equal: bead_assay:nitrogens is 0.5 of every molecule" in said
    (folder / "bead_assay.py").write_text(ASSAY)
    sys.modules.pop("bead_assay", None)
    assert "values are equal" not in works(*OWN, *SMALL).stderr


def test_a_page_and_an_sdf_are_written_in_the_same_run(folder: Path) -> None:
    works(*OWN, *SMALL, "-o", "out.csv", "-o", "out.sdf", "--report", "out.html")
    assert (folder / "out.sdf").read_text().count("$$$$") == 15
    page = (folder / "out.html").read_text()
    assert "maximise bead_assay:nitrogens" in page
    assert "<svg" in page


@pytest.mark.slow
def test_the_page_shows_how_the_model_was_trained(
    tiny_model: Path, tiny_corpus: Path, tmp_path: Path
) -> None:
    arguments = ["--budget", "6", "--initial", "3", "--candidates", "16", "--maximize", "logp"]
    page = tmp_path / "page.html"
    places = ["--corpus", tiny_corpus, "--report", page, "-o", tmp_path / "out.csv"]
    command = ["optimize", tiny_model, *arguments, *places, "-q"]
    done = CliRunner().invoke(app, [str(word) for word in command])
    assert done.exit_code == 0, done.output
    text = page.read_text()
    assert text.count("<figure>") == 2
    assert "How the model was trained" in text
    assert "nearest training molecule" in text


@pytest.mark.parametrize(
    ("arguments", "error", "message"),
    [
        ([], ConfigError, "exactly one of maximize, minimize, task and objective"),
        (["--maximize", "qed", "--task", "qed"], ConfigError, "exactly one of"),
        (["--maximize", "qed", "--minimize", "qed"], ConfigError, "named twice"),
        (
            ["--maximize", "qed", "--minimize", "sa", "--target", "1"],
            ConfigError,
            "single property",
        ),
        (["--maximize", "qed", "--constraint", "slogp < 3"], ConfigError, "did you mean 'logp'"),
        (["--maximize", "qed", "--constraint", "3 < logp < 1"], ConfigError, "no value meets"),
        (["--maximize", "qed", "--keep-scaffold", "CCO"], ConfigError, "it has no ring"),
        (["--maximize", "qed", "--similarity", "0.4", "0.8"], ConfigError, "needs the lead"),
        (["--maximize", "qed", "--weight", "2"], ConfigError, "weights are for a scalarisation"),
        (
            ["--maximize", "qed", "--weight", "3", "--scalarisation", "chebyshev"],
            ConfigError,
            "scalarisation and weights make one number of several objectives, but there is one",
        ),
        (
            ["--maximize", "qed", "--constraint", "sa < 4", "--set", "acquisition=ucb"],
            ConfigError,
            "acquisition 'ucb' is for one objective without constraints",
        ),
        (
            ["--maximize", "qed", "--minimize", "sa", "--set", "acquisition=logei"],
            ConfigError,
            "acquisition 'logei' is for one objective",
        ),
        (["--objective", "bead_assay:nitrogens"], ConfigError, "say which way is better"),
        (["--maximize", "qed", "--direction", "minimize"], ConfigError, "go together"),
        ([*OWN, "--target", "3"], ConfigError, "target and width are for properties"),
        (["--maximize", "qed", "--takes-list"], ConfigError, "objective of your own"),
        (["--maximize", "qedd"], ConfigError, "did you mean 'qed'"),
        (["--maximize", "qed", "--budget", "0"], ConfigError, "budget"),
        (["--objective", "no_such:f", "--direction", "maximize"], OracleError, "no module"),
        (["--maximize", "qed", "--start", "missing.smi"], FileError, "missing.smi"),
        (["--maximize", "qed", "--corpus", "missing"], MolvaeError, "missing"),
    ],
)
def test_what_makes_no_sense_is_refused_before_anything_is_evaluated(
    folder: Path, arguments: list[str], error: type[MolvaeError], message: str
) -> None:
    found = fails(*arguments, "-o", "out.csv")
    assert isinstance(found, error)
    assert message in str(found)
    assert [path.name for path in folder.glob("out*")] == []


@pytest.mark.slow
def test_a_trained_model_is_searched_and_sane_molecules_only_are_proposed(
    tiny_model: Path, tmp_path: Path
) -> None:
    from molvae.chem.alerts import SanityOptions, insane_reason
    from molvae.chem.smiles import parse

    for name, extra in (("any", []), ("sane", ["--sane"])):
        result = CliRunner().invoke(
            app,
            ["optimize", str(tiny_model), "--maximize", "qed", *SMALL, *extra, "-q",
             "-o", str(tmp_path / f"{name}.csv")],
        )  # fmt: skip
        assert result.exit_code == 0, f"{result.output}\n{result.exception!r}"
        found = [row["smiles"] for row in rows(tmp_path / f"{name}.csv")]
        assert len(found) == len(set(found)) == 15
    assert all(insane_reason(parse(smiles), SanityOptions()) is None for smiles in found)


def test_the_best_bead_string_is_found_from_the_command_line(folder: Path) -> None:
    start = molecules()[(2, 2, 2, 2, 2)]
    (folder / "start.smi").write_text(start + "\n")
    works(*OWN, "--budget", "51", "--candidates", "64", "--start", "start.smi", "-o", "out.csv")
    assert float(rows(folder / "out.csv")[0]["value"]) >= 4


def test_a_command_and_a_fitted_oracle_are_objectives_too(folder: Path) -> None:
    program = "import json, sys\nfor line in sys.stdin:\n    row = json.loads(line)\n"
    program += "    print(json.dumps({'id': row['id'], 'value': row['smiles'].count('N')}))\n"
    (folder / "score.py").write_text(program)
    command = f"{sys.executable} -S score.py"
    up = ("--direction", "maximize")
    works("--command", command, *up, "--timeout", "20", *SMALL, "-o", "out.csv")
    assert all(float(r["value"]) == r["smiles"].count("N") for r in rows(folder / "out.csv"))
    table = [f"{'C' * n}{'N' * m},{m}" for n in range(1, 6) for m in range(3)]
    (folder / "labels.csv").write_text("\n".join(["smiles,y", *table]))
    fit = ["fit-oracle", "labels.csv", "--label", "y", "-o", "fitted", "--kind", "gp"]
    assert CliRunner().invoke(app, [*fit, "--folds", "2", "-q"]).exit_code == 0
    careful = ("--oracle", "fitted", *up, "--pessimism", "0.5")
    result = works(*careful, *SMALL, "-o", "careful.csv")
    assert "y - 0.5 std by fitted" in result.stderr
    assert len(rows(folder / "careful.csv")) == 15
    other = fails("--oracle", "fitted", *up, *SMALL, "-o", "careful.csv", "--resume")
    assert "was started with objective" in str(other)


@pytest.mark.slow
def test_a_task_and_a_described_objective_say_their_own_direction(folder: Path) -> None:
    result = run("--task", "isomers_c7h8n2o2", "-o", "task.csv", *SMALL)
    assert result.exit_code == 0, result.output
    assert "maximise isomers_c7h8n2o2" in result.stderr
    (folder / "fewest.toml").write_text(
        'name = "fewest"\ndirection = "minimize"\nmean = "arithmetic"\n'
        '[[parts]]\nkind = "property"\nproperty = "heavy_atoms"\n'
    )
    result = run("--task", "fewest.toml", "-o", "few.csv", *SMALL)
    assert result.exit_code == 0, result.output
    assert "minimise fewest" in result.stderr
    rows = list(csv.DictReader((folder / "few.csv").open()))
    values = [float(row["value"]) for row in rows if row["value"]]
    assert values == sorted(values)


def test_an_unknown_task_and_a_direction_beside_one_are_refused(folder: Path) -> None:
    for words, told in (
        (("--task", "median_1"), "median1"),
        (("--task", "median1", "--direction", "minimize"), "direction"),
        (("--task", "median1", "--maximize", "qed"), "exactly one"),
        (("--task", "none.toml"), "none.toml"),
    ):
        result = run(*words, *SMALL)
        assert result.exit_code != 0
        assert told in str(result.exception)


def test_a_time_limit_is_kept_by_a_worker(folder: Path) -> None:
    source = "import time\ndef slow(smiles):\n    time.sleep(30 * ('N' in smiles))\n    return 1\n"
    (folder / "bead_assay.py").write_text(source)
    (folder / "start.smi").write_text("ClCCCCCCCBr\nClCNCCCCCBr\n")
    own = ("--objective", "bead_assay:slow", "--direction", "maximize")
    few = ("--budget", "2", "--start", "start.smi", "--initial", "0")
    result = works(*own, *few, "--timeout", "1", "--json", "-q")
    failures = [m["failure"] for m in json.loads(result.stdout)["molecules"]]
    assert sorted(failures) == ["", "took over 1 s"]


@pytest.mark.slow
def test_several_properties_with_constraints_give_a_pareto_set(folder: Path) -> None:
    run = ("--minimize", "logp", "--maximize", "hba", "--minimize", "sa", *SMALL)
    kept = ("--constraint", "SA < 4 and mw <= 260", "--keep-smarts", "N")
    result = works(*run, *kept, "-o", "out.csv", "--report", "page.html")
    assert (
        "to maximise hba and minimise logp and minimise sa, with sa < 4, mw <= 260, hold the "
        in (result.stderr)
    )
    assert "molecules of the Pareto set, hypervolume" in result.stderr
    table = rows(folder / "out.csv")
    assert len(table) == 15
    assert {"hba", "logp", "sa", "pareto", "feasible"} <= set(table[0])
    assert "value" not in table[0]
    assert all(float(row["sa"]) < 4 and float(row["mw"]) <= 260 for row in table)
    assert all("N" in row["smiles"] for row in table)
    assert [row["pareto"] for row in table] == sorted((r["pareto"] for r in table), reverse=True)
    page = (folder / "page.html").read_text()
    assert "The Pareto front" in page
    assert "100% of the molecules with a value are feasible" in page
    told = json.loads(works(*run, *kept, "--json").stdout)
    assert len(told["pareto"]) == sum(row["pareto"] == "yes" for row in table)
    assert told["hypervolume"] == told["curve"][-1]


def test_a_toml_file_may_list_several_objectives_or_name_one(folder: Path) -> None:
    (folder / "run.toml").write_text(
        'maximize = ["hba", "fsp3"]\nminimize = "logp"\nconstraint = "no alerts or so"\n'
    )
    assert "constraint 'no alerts or so'" in str(fails("--config", "run.toml"))


@pytest.mark.slow
def test_constraints_that_nothing_meets_are_one_sentence(folder: Path) -> None:
    found = fails("--maximize", "qed", *SMALL, "--constraint", "mw < 9 and rings = 0")
    assert isinstance(found, InputError)
    assert "0 meet mw < 9; 256 meet rings = 0); loosen one of them" in str(found)
