"""`molvae campaign`: a laboratory's loop of tables, and what a laboratory does to tables."""

from __future__ import annotations

import csv
import json
from pathlib import Path

import pytest
from beads import BeadGenerator, levels, molecules
from typer.testing import CliRunner, Result

import molvae.generator
from molvae.base.errors import ConfigError, FileError, InputError, ModelError, MolvaeError
from molvae.chem.similarity import fingerprints, similarity
from molvae.chem.smiles import parse_many
from molvae.cli import campaign as command
from molvae.cli.app import app
from molvae.optimize.campaign import Campaign

KNOWN = list(levels())[::400]
SMALL = ("--batch-size", "4", "--candidates", "32")


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The current directory; every model there is the generator of beads."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(molvae.generator, "load", lambda path, device: BeadGenerator())
    return tmp_path


def works(*arguments: str) -> Result:
    result = CliRunner().invoke(app, ["campaign", *arguments])
    assert result.exit_code == 0, f"{result.output}\n{result.exception!r}"
    return result


def fails(*arguments: str) -> MolvaeError:
    result = CliRunner().invoke(app, ["campaign", *arguments])
    assert isinstance(result.exception, MolvaeError), result.output
    return result.exception


def begin(*more: str) -> None:
    works("new", "c.sqlite", "-m", "model", "--assay", "pIC50", "--direction", "maximize",
          *SMALL, *more)  # fmt: skip


def rows(name: str) -> list[dict[str, str]]:
    with open(name, newline="") as stream:
        return list(csv.DictReader(stream))


def fill(name: str, cells: list[str], out: str | None = None, delimiter: str = ",") -> None:
    """Write ``cells`` into the assay column, from the top, as a spreadsheet does."""
    table = rows(name)
    for row, cell in zip(table, cells, strict=False):
        row["pIC50"] = cell
    with open(out or name, "w", newline="") as stream:
        writer = csv.DictWriter(stream, list(table[0]), delimiter=delimiter)
        writer.writeheader()
        writer.writerows(table)


def known_table(name: str = "known.csv") -> None:
    lines = [f"{s},{5 + s.count('N')},x{i}" for i, s in enumerate(KNOWN)]
    Path(name).write_text("\n".join(["SMILES,pIC50,name", *lines]) + "\n")


def status() -> dict[str, object]:
    found: dict[str, object] = json.loads(works("status", "c.sqlite", "--json").stdout)
    return found


def test_a_laboratorys_loop(folder: Path) -> None:
    known_table()
    begin()
    told = works("tell", "c.sqlite", "known.csv").stderr
    assert "8 values and 0 failures recorded; 8 molecules of your own" in told
    works("ask", "c.sqlite", "-n", "5", "-o", "batch.csv")
    batch = rows("batch.csv")
    assert list(batch[0]) == [
        "smiles",
        "id",
        "predicted",
        "uncertainty",
        "acquisition",
        "route",
        "nearest_tested",
        "similarity",
        "pIC50",
    ]
    assert [row["id"] for row in batch] == [f"ask-{i}" for i in range(9, 14)]
    assert all(float(row["uncertainty"]) > 0 and row["nearest_tested"] in KNOWN for row in batch)
    assert {row["pIC50"] for row in batch} == {""}

    fill("batch.csv", ["7.5", "failed: no product", "", "1e1"])
    told = works("tell", "c.sqlite", "batch.csv").stderr
    assert "2 values and 1 failures recorded; 2 not measured yet" in told
    fill("batch.csv", ["7.5", "failed: no product", "6", "1e1", "5"], delimiter=";")
    told = works("tell", "c.sqlite", "batch.csv").stderr
    assert "2 values and 0 failures recorded; 3 were told before" in told

    found = status()
    assert (found["tested"], found["measurements"], found["pending"]) == (13, 12, 0)
    assert found["best"] == [batch[3]["smiles"], 10.0]
    said = works("status", "c.sqlite").stdout
    assert "pIC50, to maximize" in said
    assert batch[3]["smiles"] in said

    works("export", "c.sqlite", "-o", "all.csv")
    table = rows("all.csv")
    assert (table[0]["smiles"], table[0]["pIC50"]) == (batch[3]["smiles"], "10.0")
    assert table[-1]["failure"] == "failed: no product"
    assert {row["smiles"] for row in table} == {*KNOWN, *(row["smiles"] for row in batch)}

    works("ask", "c.sqlite", "-o", "next.csv")
    works("report", "c.sqlite", "-o", "page.html")
    page = Path("page.html").read_text()
    assert page.count("<figure>") == 3
    assert page.count("<svg") == 12 + 4
    for heading in ("Progress", "The 12 best molecules", "Out for testing",
                    "Predicted against measured", "latent space", "no product"):  # fmt: skip
        assert heading in page
    assert 'src="http' not in page
    assert "href=" not in page


def test_repeats_are_averaged_and_the_same_table_may_be_new_measurements(folder: Path) -> None:
    begin()
    Path("a.csv").write_text(f"smiles,pIC50\n{KNOWN[0]},5\n{KNOWN[0]},7\n{KNOWN[1]},4\n")
    works("tell", "c.sqlite", "a.csv")
    assert status()["repeat_sd"] == pytest.approx(2**0.5)
    works("tell", "c.sqlite", "a.csv", "--repeats")
    assert status()["measurements"] == 6
    works("export", "c.sqlite", "-o", "all.csv")
    first = rows("all.csv")[0]
    assert (first["pIC50"], first["measurements"]) == ("6.0", "4")


def test_values_of_a_molecule_that_contradict_each_other_are_named(folder: Path) -> None:
    begin()
    lines = [f"{s},{i}" for i, s in enumerate(KNOWN[:6])]
    Path("a.csv").write_text("\n".join(["smiles,pIC50", *lines]) + "\n")
    assert "differs" not in works("tell", "c.sqlite", "a.csv").stderr
    # 2 and 2.4 are noise where others range from 0 to 5; 1 and 1000 are not.
    Path("b.csv").write_text(f"smiles,pIC50\n{KNOWN[2]},2.4\n{KNOWN[1]},1000\n")
    said = works("tell", "c.sqlite", "b.csv").stderr
    assert f"{KNOWN[1]}: pIC50 of 1, 1000 differs more than molecules do" in said
    assert said.count("differs") == 1
    assert "differs" not in works("tell", "c.sqlite", "b.csv").stderr, "it is said once"


def test_start_molecules_and_a_column_of_another_name(folder: Path) -> None:
    Path("start.smi").write_text(f"{KNOWN[3]}\nC1CC\n{KNOWN[4]}\n")
    begin("--start", "start.smi")
    works("ask", "c.sqlite", "-n", "2", "-o", "batch.csv")
    assert [row["smiles"] for row in rows("batch.csv")] == [KNOWN[3], KNOWN[4]]
    Path("old.csv").write_text(f"structure,activity\n{KNOWN[0]},3.5\n")
    works("tell", "c.sqlite", "old.csv", "--column", "activity")
    assert status()["best"] == [KNOWN[0], 3.5]


@pytest.mark.parametrize(
    ("cell", "message"),
    [
        ("NaN", "'NaN' is not a finite number; leave the cell blank"),
        ("inf", "'inf' is not a finite number"),
        ("high", "'high' is no number; write one, 'failed' with the reason"),
        ("7,5", "has a decimal comma; write 7.5"),
    ],
)
def test_a_bad_cell_is_named_by_its_row_and_nothing_is_told(
    folder: Path, cell: str, message: str
) -> None:
    begin()
    works("ask", "c.sqlite", "-o", "batch.csv")
    fill("batch.csv", ["5.5", cell])
    error = fails("tell", "c.sqlite", "batch.csv")
    assert isinstance(error, InputError)
    second = rows("batch.csv")[1]["smiles"]
    assert f"nothing was recorded; mend row 3 of batch.csv ({second}): " in str(error)
    assert message in str(error)
    assert status()["tested"] == 0


def test_tables_that_cannot_be_told_are_one_sentence(folder: Path) -> None:
    begin()
    works("ask", "c.sqlite", "-o", "batch.csv")
    table = rows("batch.csv")
    Path("shifted.csv").write_text(f"smiles,id,pIC50\n{table[1]['smiles']},ask-1,5\n")
    assert f"ask-1 was {table[0]['smiles']}, another" in str(
        fails("tell", "c.sqlite", "shifted.csv")
    )
    Path("other.csv").write_text("smiles,pIC5O\nCCO,1\n")
    assert 'no column "pIC50"; did you mean "pIC5O"?' in str(fails("tell", "c.sqlite", "other.csv"))
    Path("short.csv").write_text(f"smiles,id,pIC50\n{KNOWN[0]},x\n")
    assert "row 2 of short.csv" in str(fails("tell", "c.sqlite", "short.csv"))
    assert isinstance(fails("tell", "c.sqlite", "none.csv"), FileError)
    assert status()["tested"] == 0


def test_what_the_model_cannot_encode_is_kept_and_named(folder: Path) -> None:
    begin()
    Path("a.csv").write_text("smiles,pIC50\nc1ccccc1,9\nC1CC,8\nCC,\n")
    said = works("tell", "c.sqlite", "a.csv").stderr
    assert "c1ccccc1 is kept, but the search cannot learn from it: the model cannot encode" in said
    assert "C1CC is kept, but the search cannot learn from it: not valid SMILES" in said
    assert status()["best"] == ["c1ccccc1", 9.0]
    works("report", "c.sqlite", "-o", "page.html")
    assert "C1CC" in Path("page.html").read_text()


def test_a_table_with_untold_values_is_not_written_over(folder: Path) -> None:
    begin()
    works("ask", "c.sqlite", "-o", "batch.csv")
    for cell in ("5.5", "5,5"):
        fill("batch.csv", [cell])
        before = Path("batch.csv").read_bytes()
        for more in ([], ["--pending"]):
            error = fails("ask", "c.sqlite", "-o", "batch.csv", *more)
            assert "has values in column 'pIC50' that were not told" in str(error)
        assert Path("batch.csv").read_bytes() == before
    assert status()["pending"] == 4
    fill("batch.csv", ["5.5"])
    works("tell", "c.sqlite", "batch.csv")
    works("ask", "c.sqlite", "-o", "batch.csv")
    assert status()["pending"] == 7


def test_killed_before_the_table_is_recorded_the_same_table_is_asked_for(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    begin()

    def killed(self: Campaign, suggestions: object) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(Campaign, "record", killed)
        assert CliRunner().invoke(app, ["campaign", "ask", "c.sqlite", "-o", "a.csv"]).exit_code
    assert status()["pending"] == 0
    works("ask", "c.sqlite", "-o", "b.csv")
    assert Path("a.csv").read_bytes() == Path("b.csv").read_bytes()
    works("ask", "c.sqlite", "--pending", "-o", "c.csv")
    assert Path("c.csv").read_bytes() == Path("b.csv").read_bytes()


def test_text_cells_are_no_formulae_and_smiles_are_left_alone(folder: Path) -> None:
    begin()
    Path("a.csv").write_text('smiles,pIC50\n"C(",failed =1+1\n' + f"{KNOWN[0]},5\n")
    works("tell", "c.sqlite", "a.csv")
    Path("b.csv").write_text("smiles,pIC50\n-CC,failed\n")
    works("tell", "c.sqlite", "b.csv")
    works("export", "c.sqlite", "-o", "all.csv")
    table = {row["smiles"]: row["failure"] for row in rows("all.csv")}
    assert table == {KNOWN[0]: "", "C(": "failed =1+1", "-CC": "failed"}


@pytest.mark.parametrize(
    ("arguments", "error", "message"),
    [
        (["ask", "c.sqlite", "-n", "0"], InputError, "0 molecules were asked for"),
        (["ask", "none.sqlite"], FileError, "there is no campaign none.sqlite"),
        (["status", "known.csv"], ModelError, "damaged or no campaign"),
        (["new", "c.sqlite", "-m", "m", "--assay", "a", "--direction", "maximize"], FileError,
         "exists already"),
        (["new", "d.sqlite", "-m", "m", "--assay", "a"], ConfigError, "'direction' is missing"),
        (["new", "d.sqlite", "-m", "m"], ConfigError, "there is no objective; give maximize or"),
        (["new", "d.sqlite", "-m", "m", "--assay", "a", "--direction", "maximize", "--minimize",
          "b"], ConfigError, "not both"),
        (["new", "d.sqlite", "-m", "m", "--maximize", "a", "--constraint", "b < 3"], ConfigError,
         "unknown property 'b'"),
        (["new", "d.sqlite", "-m", "m", "--maximize", "a", "--measured", "b = 3"], ConfigError,
         "no measurement is just that"),
        (["new", "d.sqlite", "-m", "m", "--assay", "id", "--direction", "minimize"], ConfigError,
         "has that column already"),
        (["new", "d.sqlite", "-m", "m", "--assay", "a", "--direction", "up"], ConfigError,
         "direction"),
        (["new", "d.sqlite", "-m", "m", "--maximize", "a", "--scalarisation", "weighted",
          "--weight", "1"], ConfigError, "one number of several objectives, but there is one"),
        (["ask", "c.sqlite", "-o", "batch.xyz"], ConfigError, "batch.xyz"),
    ],
)  # fmt: skip
def test_what_makes_no_sense_is_refused(
    folder: Path, arguments: list[str], error: type[MolvaeError], message: str
) -> None:
    known_table()
    begin()
    found = fails(*arguments)
    assert isinstance(found, error)
    assert message in str(found)
    assert status()["pending"] == 0


def test_a_campaign_in_use_and_one_of_another_model_are_refused(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    begin()
    with Campaign.open("c.sqlite"):
        assert "in use by another run" in str(fails("status", "c.sqlite"))

    class Other(BeadGenerator):
        fingerprint = "other"

    monkeypatch.setattr(molvae.generator, "load", lambda path, device: Other())
    found = str(fails("ask", "c.sqlite", "-m", "other"))
    assert "c.sqlite is one of the model model, not of other (their fingerprints: 'beads'" in found


def test_a_model_that_was_replaced_where_it_lies_is_told_by_the_first_digits(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    begin()

    class Other(BeadGenerator):
        fingerprint = 32 * "0f"

    monkeypatch.setattr(molvae.generator, "load", lambda path, device: Other())
    found = str(fails("ask", "c.sqlite"))
    assert "fingerprints: 'beads' and '0f0f0f0f0f0f...')" in found


def test_the_model_and_its_filter_are_remembered(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[tuple[str, bool, float | None]] = []

    def generator(model: str, sane: bool, typical: float | None, device: str) -> BeadGenerator:
        asked.append((model, sane, typical))
        return BeadGenerator()

    monkeypatch.setattr(command, "_generator", generator)
    Path("model").mkdir()
    begin("--sane", "--typical", "0.5")
    works("ask", "c.sqlite", "-o", "a.csv")
    works("ask", "c.sqlite", "-o", "b.csv", "-m", "elsewhere")
    assert asked == [(str(folder / "model"), True, 0.5)] * 2 + [("elsewhere", True, 0.5)]


@pytest.mark.slow
def test_a_trained_model_goes_through_the_loop(tiny_model: Path, tmp_path: Path) -> None:
    file, table = str(tmp_path / "c.sqlite"), str(tmp_path / "b.csv")
    works("new", file, "-m", str(tiny_model), "--assay", "pIC50", "--direction", "maximize",
          "--initial", "6", *SMALL)  # fmt: skip
    for n in (6, 3):
        works("ask", file, "-n", str(n), "-o", table)
        fill(table, [str(len(row["smiles"])) for row in rows(table)])
        works("tell", file, table)
    assert [bool(row["predicted"]) for row in rows(table)] == [True] * 3
    works("report", file, "-o", str(tmp_path / "page.html"))


def test_a_run_of_optimize_is_a_campaign_that_can_be_looked_at(folder: Path) -> None:
    run = ["optimize", "model", "--minimize", "mw", "--budget", "6", "-o", "run.csv", "-q"]
    assert CliRunner().invoke(app, run).exit_code == 0
    works("status", "run.sqlite")
    works("export", "run.sqlite", "-o", "all.csv")
    assert [row["smiles"] for row in rows("all.csv")] == [row["smiles"] for row in rows("run.csv")]
    works("report", "run.sqlite", "-o", "page.html")
    assert "does not say which model" in str(fails("ask", "run.sqlite"))


def test_the_best_beads_are_in_the_best_list_of_the_status(folder: Path) -> None:
    begin()
    best = molecules()[(3, 3, 3, 3, 3)]
    Path("a.csv").write_text(f"smiles,pIC50\n{best},1\n{KNOWN[0]},0\n")
    works("tell", "c.sqlite", "a.csv")
    lines = works("status", "c.sqlite").stdout.splitlines()
    assert [line.split()[-1] for line in lines[-2:]] == [best, KNOWN[0]]


def test_a_laboratory_with_two_assays_a_constraint_and_a_counter_assay(folder: Path) -> None:
    said = works("new", "c.sqlite", "-m", "model", "--maximize", "pIC50", "--minimize", "clearance",
                 "--measured", "herg < 5", "--constraint", "SA < 6", *SMALL).stderr  # fmt: skip
    assert "to maximize pIC50, minimize clearance, with sa < 6, herg < 5; now tell" in said
    lines = [f"{s},{5 + s.count('N')},{s.count('O')},{s.count('F')}" for s in KNOWN]
    Path("known.csv").write_text("\n".join(["smiles,pIC50,clearance,hERG", *lines]) + "\n")
    assert "24 values and 0 failures recorded" in works("tell", "c.sqlite", "known.csv").stderr
    works("ask", "c.sqlite", "-n", "4", "-o", "batch.csv")
    batch = rows("batch.csv")
    assert list(batch[0])[2:9] == [
        "predicted pIC50",
        "uncertainty pIC50",
        "predicted clearance",
        "uncertainty clearance",
        "predicted herg",
        "uncertainty herg",
        "feasibility",
    ]
    assert list(batch[0])[-3:] == ["pIC50", "clearance", "herg"]
    for number, row in enumerate(batch):
        row |= {"pIC50": str(6 + number), "clearance": "", "herg": "failed" if number else "9"}
    with open("batch.csv", "w", newline="") as stream:
        writer = csv.DictWriter(stream, list(batch[0]))
        writer.writeheader()
        writer.writerows(batch)
    said = works("tell", "c.sqlite", "batch.csv").stderr
    assert "5 values and 3 failures recorded; 4 not measured yet" in said
    assert "'pIC50' or 'clearance' or 'herg' that were not told" not in said
    found = status()
    assert (found["partial"], found["tested"], found["feasible"]) == (4, 12, 8)
    late = "\n".join(f"{row['smiles']},2" for row in batch)
    Path("late.csv").write_text(f"smiles,clearance\n{late}\n")
    said = works("tell", "c.sqlite", "late.csv").stderr
    assert "late.csv has no column pIC50 and no column herg" in said
    assert "4 values and 0" in said
    found = status()
    assert (found["partial"], found["measurements"], found["feasible"]) == (0, 33, 8)
    assert found["hypervolume"] > 0  # type: ignore[operator]
    assert set(found["pareto"][0][1]) == {"pIC50", "clearance", "herg"}  # type: ignore[index]
    said = works("status", "c.sqlite").stdout
    assert "molecules of the Pareto set" in said
    works("export", "c.sqlite", "-o", "all.csv")
    table = rows("all.csv")
    assert {"measurements clearance", "failure herg", "spread pIC50", "pareto"} <= set(table[0])
    assert [row["feasible"] for row in table] == ["yes"] * 8 + ["no"] * 4
    works("ask", "c.sqlite", "-o", "next.csv")
    works("report", "c.sqlite", "-o", "page.html")
    page = Path("page.html").read_text()
    for text in ("The Pareto front", "67% of the molecules with a value are feasible",
                 "predicted clearance", "The same of clearance", "probably feasible"):  # fmt: skip
        assert text in page
    assert "may be any of pIC50, clearance, herg" in str(
        fails("tell", "c.sqlite", "late.csv", "--column", "clearance")
    )
    Path("none.csv").write_text("smiles,logD\nCCO,1\n")
    assert 'no column "pIC50"' in str(fails("tell", "c.sqlite", "none.csv"))


def test_start_molecules_that_cannot_be_used_are_named_and_all_of_them_refused(
    folder: Path,
) -> None:
    Path("start.smi").write_text(f"{KNOWN[3]}\nc1ccccc1\nC1CC\n")
    said = works("new", "c.sqlite", "-m", "model", "--maximize", "a", "--start", "start.smi").stderr
    assert "start molecule c1ccccc1 is left out: the model cannot encode it" in said
    assert "ring 1 is not closed" in said
    Path("start.smi").write_text("c1ccccc1\n")
    error = fails("new", "d.sqlite", "-m", "model", "--maximize", "a", "--start", "start.smi")
    message = "none of the start molecules can be used (c1ccccc1: the model cannot encode it)"
    assert message in str(error)
    assert not Path("d.sqlite").exists()


def test_a_campaign_near_a_lead_proposes_only_what_is_like_it(folder: Path) -> None:
    lead = molecules()[(4, 0, 3, 1, 4)]
    begin("--similar-to", lead, "--similarity", "0.3", "0.9", "--keep-smarts", "C(F)N")
    works("ask", "c.sqlite", "-o", "batch.csv")
    prints = fingerprints(parse_many([lead, *(row["smiles"] for row in rows("batch.csv"))]))
    alike = similarity(prints[0], prints[1:])
    assert len(alike) == 4
    assert ((alike >= 0.3) & (alike <= 0.9)).all()


def test_a_table_for_people_shows_smiles_as_they_are(folder: Path) -> None:
    begin()
    Path("a.csv").write_text("smiles,pIC50\nc1ccc2[nH]ccc2c1,9\n")
    works("tell", "c.sqlite", "a.csv")
    assert "c1ccc2[nH]ccc2c1" in works("status", "c.sqlite").stdout
