"""molvae.datasets.writers: formats, spreadsheet formulas, and full disks."""

from __future__ import annotations

import csv
import errno
import gzip
import io
import json
import math
import os
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow.parquet as pq
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from rdkit import Chem

from molvae.base.errors import ConfigError, FileError, InputError
from molvae.datasets.readers import read_molecules
from molvae.datasets.writers import check_output, write_table

TABLE: dict[str, Any] = {
    "smiles": ["CCO", None, "c1ccccc1"],
    "name": ["ethanol", "nothing", None],
    "logp": np.array([-0.1, math.nan, 2.13]),
    "rings": [0, 0, 1],
}
FORMATS = ["csv", "tsv", "parquet", "smi", "sdf", "json", "jsonl"]


def test_csv_holds_every_row_and_leaves_missing_cells_empty(tmp_path: Path):
    assert write_table(tmp_path / "a.csv", TABLE) == 3
    assert (tmp_path / "a.csv").read_text() == (
        "smiles,name,logp,rings\nCCO,ethanol,-0.1,0\n,nothing,,0\nc1ccccc1,,2.13,1\n"
    )


def test_smi_holds_molecules_and_names(tmp_path: Path):
    assert write_table(tmp_path / "a.smi", TABLE) == 2
    assert (tmp_path / "a.smi").read_text() == "CCO ethanol\nc1ccccc1\n"


def test_sdf_holds_flat_coordinates_titles_and_properties(tmp_path: Path):
    assert write_table(tmp_path / "a.sdf", TABLE) == 2
    first, second = Chem.SDMolSupplier(str(tmp_path / "a.sdf"))
    assert first.GetPropsAsDict() == {"name": "ethanol", "logp": -0.1, "rings": 0}
    assert first.GetProp("_Name") == "ethanol"
    assert not first.GetConformer().Is3D()
    assert np.ptp(second.GetConformer().GetPositions(), axis=0).min() == 0
    assert np.ptp(second.GetConformer().GetPositions(), axis=0)[:2].min() > 1
    assert Chem.MolToSmiles(second) == "c1ccccc1"


def test_sdf_keeps_stereo_and_cannot_be_broken_by_its_values(tmp_path: Path):
    smiles = "C[C@H](N)/C=C/[C@@H](F)O"
    nasty = {"smiles": [smiles], "name": ["a\n$$$$\nb"], "x>\n<y": ["1\n\n$$$$\n2"]}
    write_table(tmp_path / "a.sdf", nasty)
    (row,) = read_molecules(tmp_path / "a.sdf")
    assert row.smiles == Chem.CanonSmiles(smiles)
    assert row.name == "a $$$$ b"


def test_parquet_keeps_types_and_nulls(tmp_path: Path):
    write_table(tmp_path / "a.parquet", TABLE)
    table = pq.read_table(tmp_path / "a.parquet")
    assert [str(kind) for kind in table.schema.types] == ["string", "string", "double", "int64"]
    assert table.to_pydict() == {**TABLE, "logp": [-0.1, None, 2.13]}


def test_json_is_valid_and_has_null_for_what_is_missing(tmp_path: Path):
    write_table(tmp_path / "a.json", {**TABLE, "x": [math.inf, 1, 2]})
    write_table(tmp_path / "a.jsonl", TABLE)
    records = json.loads((tmp_path / "a.json").read_text())
    assert records[1] == {"smiles": None, "name": "nothing", "logp": None, "rings": 0, "x": 1}
    assert records[0]["x"] == "inf"
    lines = (tmp_path / "a.jsonl").read_text().splitlines()
    assert [json.loads(line)["rings"] for line in lines] == [0, 0, 1]


@pytest.mark.parametrize("format", FORMATS[:5])  # JSON is written for other programs
@pytest.mark.parametrize("packed", ["", ".gz"])
def test_what_is_written_reads_back(tmp_path: Path, format: str, packed: str):
    path = tmp_path / f"a.{format}{packed}"
    write_table(path, {"smiles": ["CCO", "CC"], "logp": [1.5, 2.5]})
    labels = [] if format == "smi" else ["logp"]
    rows = list(read_molecules(path, labels=labels))
    assert [row.smiles for row in rows] == ["CCO", "CC"]
    assert [list(row.labels.values()) for row in rows] == [[1.5], [2.5]] if labels else [[], []]


@pytest.mark.parametrize("format", FORMATS)
def test_an_empty_table_is_a_file_too(tmp_path: Path, format: str):
    assert write_table(tmp_path / f"a.{format}", {"smiles": [], "x": []}) == 0
    assert (tmp_path / f"a.{format}").exists()


def test_the_same_table_gives_the_same_bytes(tmp_path: Path):
    for name in ("a.csv.gz", "b.csv.gz"):
        write_table(tmp_path / name, TABLE)
    assert (tmp_path / "a.csv.gz").read_bytes() == (tmp_path / "b.csv.gz").read_bytes()
    assert gzip.decompress((tmp_path / "a.csv.gz").read_bytes()).startswith(b"smiles,name")


def test_pandas_and_numpy_columns_are_taken_as_they_are(tmp_path: Path):
    frame = pd.DataFrame({"smiles": ["C", None], "y": np.array([1.5, np.nan], np.float32)})
    write_table(tmp_path / "a.csv", {name: frame[name] for name in frame})
    assert (tmp_path / "a.csv").read_text() == "smiles,y\nC,1.5\n,\n"


# ---------------------------------------------------------------- spreadsheets


@pytest.mark.parametrize("text", ["=cmd|' /C calc'!A0", "+1+1", "-2+3", "@SUM(A1)", "\t=1", "\r=1"])
@pytest.mark.parametrize("format", ["csv", "tsv"])
def test_text_that_a_spreadsheet_would_run_is_escaped(tmp_path: Path, text: str, format: str):
    path = tmp_path / f"a.{format}"
    write_table(path, {"smiles": ["C"], "note": [text], text: ["x"]})
    with path.open(newline="") as stream:
        header, row = csv.reader(stream, delimiter="," if format == "csv" else "\t")
    assert row[1] == header[2] == "'" + text.replace("\r", "\n")


def test_smiles_columns_and_numbers_are_never_escaped(tmp_path: Path):
    columns = {
        "smiles": ["=C"],
        "nearest_smiles": ["-C"],
        "text": ["-1.5"],
        "y": [-1.5],
        "formula": ["@C"],
    }
    write_table(tmp_path / "a.csv", columns)
    assert (tmp_path / "a.csv").read_text().splitlines()[1] == "=C,-C,-1.5,-1.5,'@C"
    write_table(tmp_path / "a.csv", columns, smiles_column="formula")
    assert (tmp_path / "a.csv").read_text().splitlines()[1].endswith("@C")


@settings(max_examples=100, deadline=None)
@given(st.text(st.characters(exclude_categories=["Cs"]), max_size=12))
def test_no_text_at_all_starts_a_formula(tmp_path_factory: pytest.TempPathFactory, text: str):
    path = tmp_path_factory.mktemp("w") / "a.csv"
    write_table(path, {"smiles": ["C"], "note": [text]})
    with path.open(newline="", encoding="utf-8") as stream:
        note = list(csv.reader(stream))[1][1]
    one_end = text.replace("\r\n", "\n").replace("\r", "\n")
    assert note in (one_end, "'" + one_end)
    try:
        float(note)
    except ValueError:
        assert not note.startswith(("=", "+", "-", "@", "\t", "\r"))


# ---------------------------------------------------------------- refusals


def test_unequal_columns_are_refused(tmp_path: Path):
    with pytest.raises(InputError, match="differ in length: smiles 2, y 1"):
        write_table(tmp_path / "a.csv", {"smiles": ["C", "C"], "y": [1]})


def test_unknown_formats_and_missing_smiles_are_refused(tmp_path: Path):
    with pytest.raises(ConfigError, match="'xlsx' is not one of csv, tsv, parquet"):
        write_table(tmp_path / "a.xlsx", TABLE)
    with pytest.raises(InputError, match="needs a column of SMILES; there are only x, y"):
        write_table(tmp_path / "a.smi", {"x": [1], "y": [2]})
    with pytest.raises(InputError, match="no column 'z' to write"):
        write_table(tmp_path / "a.csv", {"x": [1]}, smiles_column="z")
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("format", FORMATS)
def test_a_full_disk_leaves_what_was_there(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, format: str
):
    path = tmp_path / f"a.{format}"
    path.write_text("precious")

    def full(descriptor: int) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(FileError) as caught:
        write_table(path, TABLE)
    assert str(caught.value) == (
        f"cannot write {path}: the disk is full; free some space and run again"
    )
    assert path.read_text() == "precious"
    assert list(tmp_path.iterdir()) == [path]


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="no /dev/full on this system")
@pytest.mark.parametrize("format", FORMATS)
def test_a_real_full_device_is_named_and_stays_a_device(tmp_path: Path, format: str):
    link = tmp_path / f"a.{format}"
    link.symlink_to("/dev/full")
    with pytest.raises(FileError, match="the disk is full"):
        write_table(link, {**TABLE, "pad": ["x" * 100_000] * 3})
    assert Path("/dev/full").is_char_device()
    assert link.is_symlink()


def test_a_full_disk_behind_standard_output_is_named(monkeypatch: pytest.MonkeyPatch):
    class Full(io.RawIOBase):
        def writable(self) -> bool:
            return True

        def write(self, data: Any) -> int:
            raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(sys, "stdout", io.TextIOWrapper(Full(), write_through=True))
    with pytest.raises(FileError, match="cannot write standard output: the disk is full"):
        write_table("-", TABLE)


def test_no_permission_and_a_directory_are_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    (tmp_path / "d.csv").mkdir()
    with pytest.raises(FileError, match=r"d\.csv: it is a directory; name a file"):
        write_table(tmp_path / "d.csv", TABLE)

    def refuse(*args: Any, **options: Any) -> Any:
        raise PermissionError(errno.EACCES, "Permission denied")

    path = tmp_path / "a.csv"
    path.write_text("precious")
    monkeypatch.setattr("tempfile.mkstemp", refuse)  # tests may run as root, whom no mode stops
    with pytest.raises(FileError, match="permission denied; check its owner and mode"):
        write_table(path, TABLE)
    assert path.read_text() == "precious"


def test_a_column_of_mixed_kinds_is_refused_by_parquet(tmp_path: Path):
    with pytest.raises(InputError, match="mixes kinds of values"):
        write_table(tmp_path / "a.parquet", {"smiles": ["C", "C"], "x": [1, "a"]})
    assert list(tmp_path.iterdir()) == []


def test_standard_output_takes_csv_and_any_named_format(capsysbinary: pytest.CaptureFixture):
    write_table("-", {"smiles": ["C"], "y": [1]})
    write_table("-", {"smiles": ["C"], "name": ["a"]}, format="smi")
    assert capsysbinary.readouterr().out == b"smiles,y\nC,1\nC a\n"


def test_an_unreadable_molecule_is_left_out_of_sdf_and_the_others_stay(tmp_path: Path) -> None:
    table = {"smiles": ["CCO", "no molecule", "C1CC", "CC"], "value": [1, 2, 3, 4]}
    assert write_table(tmp_path / "a.sdf", table) == 2
    kept = [mol.GetIntProp("value") for mol in Chem.SDMolSupplier(str(tmp_path / "a.sdf"))]
    assert kept == [1, 4]


def test_a_command_does_not_write_over_what_it_reads(tmp_path: Path) -> None:
    mine = tmp_path / "mine.csv"
    mine.write_text("smiles,measured\nCCO,1\n")
    (tmp_path / "link.csv").symlink_to(mine)
    for name in ("mine.csv", "link.csv"):
        with pytest.raises(ConfigError, match="the file that is read"):
            check_output(tmp_path / name, reads=mine)
    check_output(tmp_path / "other.csv", reads=mine)
    check_output("-", reads="-")


def test_smi_is_refused_for_what_is_computed(tmp_path: Path) -> None:
    check_output(tmp_path / "a.smi")
    with pytest.raises(ConfigError, match="molecules and names alone"):
        check_output(tmp_path / "a.smi.gz", computed=True)
