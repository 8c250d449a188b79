"""molvae.datasets.readers: every format, and every way in which a file can be bad."""

from __future__ import annotations

import contextlib
import csv
import errno
import gzip
import io
import math
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from rdkit import Chem

from molvae.base.errors import FileError, InputError
from molvae.datasets.readers import read_molecules
from molvae.datasets.rows import Row, label_value
from molvae.datasets.seen import Seen

CSV = "id,SMILES,logP,note\na1,CCO,-0.1,x\na2,c1ccccc1,2.13,\n"


def rows_of(path: Path | str, **options: Any) -> list[Row]:
    return list(read_molecules(path, **options))


def smiles_of(path: Path | str, **options: Any) -> list[str]:
    return [row.smiles for row in rows_of(path, **options)]


def make(folder: Path, name: str, content: str | bytes) -> Path:
    path = folder / name
    path.write_bytes(content.encode() if isinstance(content, str) else content)
    return path


def refusal(path: Path | str, **options: Any) -> str:
    """The one sentence with which reading ends."""
    with pytest.raises((InputError, FileError)) as caught:
        rows_of(path, **options)
    message = str(caught.value)
    assert "\n" not in message
    assert len(message) < 400
    return message


@pytest.fixture
def stdin(monkeypatch: pytest.MonkeyPatch) -> Any:
    def feed(content: bytes) -> None:
        monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(content)))

    return feed


# ---------------------------------------------------------------- formats


def test_csv_gives_smiles_names_labels_and_line_numbers(tmp_path: Path):
    rows = rows_of(make(tmp_path, "a.csv", CSV), labels=["logP"])
    assert rows == [
        Row(2, "CCO", "a1", {"logP": -0.1}),
        Row(3, "c1ccccc1", "a2", {"logP": 2.13}),
    ]


@pytest.mark.parametrize(
    "header",
    ["SMILES", "smiles", "Canonical_Smiles", "canonical smiles", "ISOMERIC_SMILES", "structure"],
)
def test_the_smiles_column_is_found_by_its_usual_names(tmp_path: Path, header: str):
    assert smiles_of(make(tmp_path, "a.csv", f"x,{header}\n1,CCO\n")) == ["CCO"]


def test_the_better_name_wins_over_the_worse(tmp_path: Path):
    assert smiles_of(make(tmp_path, "a.csv", "mol,smiles\nbad,CCO\n")) == ["CCO"]


def test_the_smiles_column_can_be_named(tmp_path: Path):
    path = make(tmp_path, "a.csv", "smiles,Product\nC,CCO\n")
    assert smiles_of(path, smiles_column="Product") == ["CCO"]
    assert smiles_of(path, smiles_column="product") == ["CCO"]


@pytest.mark.parametrize("delimiter", [",", ";", "\t"])
def test_the_delimiter_of_a_table_is_sniffed(tmp_path: Path, delimiter: str):
    text = CSV.replace(",", delimiter)
    for name in ("a.csv", "a.txt", "a.smi"):
        rows = rows_of(make(tmp_path, name, text), labels=["logP"])
        assert [(row.smiles, row.name, row.labels["logP"]) for row in rows] == [
            ("CCO", "a1", -0.1),
            ("c1ccccc1", "a2", 2.13),
        ]


def test_quoted_cells_may_hold_delimiters_and_line_breaks(tmp_path: Path):
    text = 'name,smiles\n"ethanol,\nabsolute",CCO\n"say ""hi""",CC\n'
    rows = rows_of(make(tmp_path, "a.csv", text))
    assert [(row.number, row.smiles) for row in rows] == [(2, "CCO"), (4, "CC")]
    assert rows[0].name == "ethanol,\nabsolute"


def test_smi_without_header_loses_no_first_row(tmp_path: Path):
    rows = rows_of(make(tmp_path, "a.smi", "CCO ethanol\nCC\n\nC\tmethane of the lake\n"))
    assert rows == [
        Row(1, "CCO", "ethanol", {}),
        Row(2, "CC", None, {}),
        Row(4, "C", "methane of the lake", {}),
    ]


@pytest.mark.parametrize("header", ["smiles name", "SMILES\tname", "smiles,name", "Smiles id"])
def test_smi_with_header_is_told_from_one_without(tmp_path: Path, header: str):
    gap = "\t" if "\t" in header else "," if "," in header else " "
    rows = rows_of(make(tmp_path, "a.smi", f"{header}\nCCO{gap}ethanol\n"))
    assert rows == [Row(2, "CCO", "ethanol", {})]


def test_smi_with_header_has_labels(tmp_path: Path):
    text = "smiles logP name\nCCO -0.1 ethyl alcohol\n"
    assert rows_of(make(tmp_path, "a.smi", text), labels=["logP"]) == [
        Row(2, "CCO", "ethyl alcohol", {"logP": -0.1})
    ]


def test_a_bare_smiles_column_is_a_table_too(tmp_path: Path):
    assert smiles_of(make(tmp_path, "a.csv", "smiles\nCCO\nCC\n")) == ["CCO", "CC"]
    assert smiles_of(make(tmp_path, "a.smi", "smiles\nCCO\nCC\n")) == ["CCO", "CC"]


def sdf_text(*entries: tuple[str, str, dict[str, str]]) -> str:
    text = ""
    for smiles, name, properties in entries:
        mol = Chem.MolFromSmiles(smiles)
        mol.SetProp("_Name", name)
        text += Chem.MolToMolBlock(mol)
        text += "".join(f">  <{key}>\n{value}\n\n" for key, value in properties.items())
        text += "$$$$\n"
    return text


def test_sdf_gives_structures_titles_and_properties(tmp_path: Path):
    text = sdf_text(("CCO", "ethanol", {"logP": "-0.1"}), ("C[C@H](N)O", "", {"logP": ""}))
    rows = rows_of(make(tmp_path, "a.sdf", text), labels=["logP"])
    assert [(row.number, row.smiles, row.name) for row in rows] == [
        (1, "CCO", "ethanol"),
        (2, "C[C@H](N)O", None),
    ]
    assert rows[0].labels == {"logP": -0.1}
    assert math.isnan(rows[1].labels["logP"])


def test_one_broken_sdf_record_costs_one_row(tmp_path: Path):
    good = sdf_text(("CCO", "one", {}))
    crowded = Chem.MolFromSmiles("C(C)(C)(C)(C)C", sanitize=False)
    huge = Chem.MolToV3KMolBlock(Chem.MolFromSmiles("CCN"))
    records = {
        good: None,
        "nonsense\n$$$$\n": "not a mol block (no counts line)",
        Chem.MolToMolBlock(crowded, kekulize=False) + "$$$$\n": "impossible valence or aromaticity",
        good.replace(" C ", " Xx"): "not a mol block",
        Chem.MolToMolBlock(Chem.Mol()) + "$$$$\n": "no atoms",
        "\n\n\n\n$$$$\n": "not a mol block (no counts line)",
        huge + "$$$$\n": None,
        huge.replace("COUNTS 3", "COUNTS 3000") + "$$$$\n": "more than 1,000 atoms",
        good + "\n" * 25_000 + "$$$$\n": None,
        good.removesuffix("$$$$\n"): None,
    }
    rows = rows_of(make(tmp_path, "a.sdf", "".join(records)))
    assert [row.number for row in rows] == list(range(1, 12))
    problems = [row.problem for row in rows]
    assert problems[9] == "record of more than 20,000 lines"
    assert problems[:9] + problems[10:] == list(records.values())
    assert [row.smiles for row in rows if not row.problem] == ["CCO", "CCN", "CCO", "CCO"]


def test_sdf_without_the_asked_property_names_those_it_has(tmp_path: Path):
    path = make(tmp_path, "a.sdf", sdf_text(("CCO", "", {"logP": "1", "mw": "46"})))
    message = refusal(path, labels=["logD"])
    assert 'no column "logD"; did you mean "logP"? Its columns: logP, mw' in message


def parquet(path: Path, **columns: Any) -> Path:
    pq.write_table(pa.table(columns), path, row_group_size=2)
    return path


def test_parquet_reads_row_groups_types_and_nulls(tmp_path: Path):
    path = parquet(
        tmp_path / "a.parquet",
        smiles=pa.array(["CCO", None, "CC"]).dictionary_encode(),
        ID=[7, 8, 9],
        y=[1, None, 3],
        text=["0.5", "high", ""],
    )
    rows = rows_of(path, labels=["y", "text"])
    assert [(row.number, row.smiles, row.name) for row in rows] == [
        (1, "CCO", "7"),
        (2, "", "8"),
        (3, "CC", "9"),
    ]
    assert [row.labels["y"] for row in rows[::2]] == [1.0, 3.0]
    assert rows[0].labels["text"] == 0.5
    assert [row.problem for row in rows] == [None, "no SMILES", None]
    assert math.isnan(rows[1].labels["y"])


@pytest.mark.parametrize("name", ["a.csv", "a.tsv", "a.smi", "a.sdf", "a.parquet"])
def test_gzip_of_every_format_reads_the_same(tmp_path: Path, name: str):
    path = tmp_path / name
    if name.endswith("parquet"):
        parquet(path, smiles=["CCO", "CC"])
    elif name.endswith("sdf"):
        path.write_text(sdf_text(("CCO", "", {}), ("CC", "", {})))
    else:
        path.write_text("smiles\nCCO\nCC\n")
    packed = path.with_name(path.name + ".gz")
    packed.write_bytes(gzip.compress(path.read_bytes()))
    assert smiles_of(packed) == smiles_of(path) == ["CCO", "CC"]


def test_gzip_is_told_by_its_bytes_not_its_name(tmp_path: Path):
    assert smiles_of(make(tmp_path, "a.csv", gzip.compress(CSV.encode()))) == ["CCO", "c1ccccc1"]


@pytest.mark.parametrize(
    "content",
    [
        b"CCO ethanol\nCC\n",
        b"smiles,x\nCCO,1\nCC,2\n",
        b"x\tsmiles\n1\tCCO\n2\tCC\n",
        gzip.compress(b"smiles\nCCO\nCC\n", mtime=0),
        sdf_text(("CCO", "", {}), ("CC", "", {})).encode(),
    ],
)
def test_standard_input_is_sniffed(stdin: Any, content: bytes):
    stdin(content)
    assert smiles_of("-") == ["CCO", "CC"]


def test_limit_stops_early_and_zero_reads_nothing(tmp_path: Path):
    path = make(tmp_path, "a.smi", "C\nCC\nCCC\n")
    assert smiles_of(path, limit=2) == ["C", "CC"]
    assert smiles_of(path, limit=0) == []


def test_rows_stream_from_an_endless_file(monkeypatch: pytest.MonkeyPatch):
    class Endless(io.RawIOBase):
        def readable(self) -> bool:
            return True

        def readinto(self, buffer: Any) -> int:
            part = (b"CCO\n" * (len(buffer) // 4 + 1))[: len(buffer) // 4 * 4]
            buffer[: len(part)] = part
            return len(part)

    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BufferedReader(Endless())))
    rows: Iterator[Row] = read_molecules("-")
    assert sum(next(rows).smiles == "CCO" for _ in range(50_000)) == 50_000


# ---------------------------------------------------------------- text as people save it


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16", "utf-32"])
@pytest.mark.parametrize("name", ["a.csv", "a.smi"])
def test_byte_order_marks_are_understood(tmp_path: Path, encoding: str, name: str):
    text = "smiles,name\nCCO,Äthanol\n"
    assert rows_of(make(tmp_path, name, text.encode(encoding))) == [Row(2, "CCO", "Äthanol", {})]


@pytest.mark.parametrize("encoding", ["utf-16-le", "utf-16-be"])
def test_utf16_without_a_mark_is_named(tmp_path: Path, encoding: str):
    path = make(tmp_path, "a.csv", CSV.encode(encoding))
    assert "looks like UTF-16 without a byte-order mark; save it as UTF-8" in refusal(path)


def test_mixed_line_ends_are_all_line_ends(tmp_path: Path):
    text = b"smiles,y\r\nC,1\rCC,2\nCCC,3\r\n\r\nCCCC,4"
    rows = rows_of(make(tmp_path, "a.csv", text), labels=["y"])
    assert [(row.number, row.smiles, row.labels["y"]) for row in rows] == [
        (2, "C", 1),
        (3, "CC", 2),
        (4, "CCC", 3),
        (6, "CCCC", 4),
    ]
    assert smiles_of(make(tmp_path, "a.smi", b"C\rCC\nCCC\r\n")) == ["C", "CC", "CCC"]


def test_a_nul_byte_is_that_rows_problem(tmp_path: Path):
    rows = rows_of(make(tmp_path, "a.csv", b"smiles,name\nCCO,a\nC\0C,b\nCC,c\0d\n" * 1))
    assert [row.problem for row in rows] == [None, "SMILES with a NUL byte", None]


def test_latin1_text_spoils_only_the_cells_it_stands_in(tmp_path: Path):
    rows = rows_of(make(tmp_path, "a.csv", "name,smiles\nÄthanol,CCO\nx,CÖ\n".encode("latin-1")))
    assert rows[0].smiles == "CCO"
    assert rows[0].problem is None
    assert rows[1].problem == "SMILES with bytes that are not UTF-8"


def test_one_molecule_is_a_file(tmp_path: Path):
    assert smiles_of(make(tmp_path, "a.smi", "CCO")) == ["CCO"]
    assert smiles_of(make(tmp_path, "a.csv", "smiles\nCCO")) == ["CCO"]


# ---------------------------------------------------------------- rows that cannot be used


def test_a_label_of_text_is_that_rows_problem_and_empty_cells_are_missing(tmp_path: Path):
    text = "smiles,logP\nC,1\nCC,high\nCCC,\nCCCC,NA\nCCCCC,nan\nCCCCCC,inf\nN,1e999\nO,1_0\n"
    rows = rows_of(make(tmp_path, "a.csv", text), labels=["logP"])
    assert rows[1].number == 3
    assert rows[1].problem == 'label logP is not a number ("high")'
    assert [math.isnan(row.labels["logP"]) for row in rows] == [False] + [True] * 7
    assert [row.problem is None for row in rows] == [True, False, True, True, True] + [False] * 3


def test_ragged_rows_are_problems_of_their_own(tmp_path: Path):
    text = "smiles,y,z\nC,1,2\nCC,1\nCCC,1,2,3\nCCCC,1,2,,\n"
    rows = rows_of(make(tmp_path, "a.csv", text))
    assert [row.problem for row in rows] == [
        None,
        "too few cells (2 of 3)",
        "too many cells (4 of 3)",
        None,
    ]


def test_a_quote_that_never_closes_costs_rows_but_not_memory(tmp_path: Path):
    text = 'smiles,name\nC,a\nCC,"b\n' + "CCC,c\n" * 60_000
    rows = rows_of(make(tmp_path, "a.csv", text))
    faults = [row for row in rows if row.problem]
    assert rows[0].smiles == "C"
    assert faults[0].number == 3
    assert faults[0].problem.startswith("malformed CSV (field larger than")
    assert rows[-1].smiles == "CCC"


def test_a_line_without_end_is_cut(tmp_path: Path):
    path = make(tmp_path, "a.smi", "C" * 3_000_000 + "\nCCO\n")
    assert [len(row.smiles) for row in rows_of(path)] == [1_000_000, 3]
    exact = make(tmp_path, "b.smi", "C" * 1_000_000 + "\nCCO\n")
    assert [len(row.smiles) for row in rows_of(exact)] == [1_000_000, 3]


# ---------------------------------------------------------------- files that cannot be used


@pytest.mark.parametrize("name", ["a.csv", "a.smi", "a.sdf", "a.parquet", "a.csv.gz"])
def test_an_empty_file_is_refused(tmp_path: Path, name: str):
    message = refusal(make(tmp_path, name, b""))
    assert message == f"{tmp_path / name} is empty; give a file of molecules"


def test_an_empty_gzip_and_an_empty_standard_input_are_refused(tmp_path: Path, stdin: Any):
    assert "is empty once decompressed" in refusal(
        make(tmp_path, "a.csv.gz", gzip.compress(b"", mtime=0))
    )
    stdin(b"")
    assert refusal("-") == "standard input is empty; give a file of molecules"


@pytest.mark.parametrize("content", ["smiles,y\n", "smiles\n\n  \n", "\n\n\n", "\n\n\n\n\n\n"])
def test_a_file_of_a_header_or_blank_lines_is_refused(tmp_path: Path, content: str):
    assert "holds no molecules" in refusal(make(tmp_path, "a.smi", content))


def test_garbage_is_no_text(tmp_path: Path):
    garbage = bytes((i * 73 + i // 7 * 31) % 256 for i in range(5000))
    for name in ("a.csv", "a.smi", "a.sdf"):
        assert "is not text" in refusal(make(tmp_path, name, garbage))
    assert "is not a complete Parquet file" in refusal(make(tmp_path, "a.parquet", garbage))
    assert "its gzip data ends early or is corrupt" in refusal(
        make(tmp_path, "a.csv.gz", b"\x1f\x8b\x08" + garbage)
    )


@pytest.mark.parametrize(
    ("magic", "what"),
    [
        (b"PK\x03\x04", "a zip archive or a spreadsheet; save the table as .csv"),
        (b"\xd0\xcf\x11\xe0", "an old Excel spreadsheet"),
        (b"PAR1", "a Parquet table; give the file a name that ends in .parquet"),
        (b"\xfd7zXZ\0", "compressed by xz"),
    ],
)
def test_files_of_other_kinds_are_named(tmp_path: Path, magic: bytes, what: str):
    assert what in refusal(make(tmp_path, "a.csv", magic + b"\x14\0\6\0" * 50))


def test_truncated_files_are_damaged(tmp_path: Path):
    packed = gzip.compress(("smiles\n" + "CCO\n" * 200_000).encode(), compresslevel=0)
    path = make(tmp_path, "a.csv.gz", packed[: len(packed) // 2])
    assert "ends early or is corrupt" in refusal(path)
    whole = parquet(tmp_path / "a.parquet", smiles=["CCO"] * 1000).read_bytes()
    assert "not a complete Parquet file" in refusal(make(tmp_path, "b.parquet", whole[:-20]))


def test_a_wrong_column_names_the_known_ones_and_the_nearest(tmp_path: Path):
    path = make(tmp_path, "a.csv", CSV)
    assert refusal(path, smiles_column="SMILE") == (
        f'{path} has no column "SMILE"; did you mean "SMILES"? Its columns: id, SMILES, logP, note'
    )
    assert 'no column "logD"; did you mean "logP"?' in refusal(path, labels=["logD"])
    table = parquet(tmp_path / "a.parquet", smiles=["C"], y=[1.0])
    assert "; its columns: smiles, y" in refusal(table, labels=["zzz"])
    assert "holds double, not text" in refusal(table, smiles_column="y")


def test_a_table_without_smiles_column_says_how_to_name_it(tmp_path: Path):
    message = refusal(make(tmp_path, "a.csv", "id,formula\n1,C2H6O\n"))
    assert "say which it is (--smiles-column). Its columns: id, formula" in message


def test_a_file_without_header_has_no_columns(tmp_path: Path):
    path = make(tmp_path, "a.smi", "CCO ethanol\n")
    assert 'has no header line, so no column "y"' in refusal(path, labels=["y"])
    assert 'has no header line, so no column "s"' in refusal(path, smiles_column="s")


def test_a_label_column_of_text_is_refused_as_a_whole(tmp_path: Path):
    path = make(tmp_path, "a.csv", CSV)
    assert refusal(path, labels=["id"]) == (
        f'{path}: label column "id" holds text such as "a2" and no numbers; choose a numeric column'
    )
    rows = read_molecules(make(tmp_path, "b.csv", "smiles,id\n" + "C,x\n" * 1000), labels=["id"])
    with pytest.raises(InputError, match="no numbers"):
        for count, _ in enumerate(rows):
            assert count < 100, "a long file is refused early"


def test_a_duplicate_column_is_refused_only_where_it_is_used(tmp_path: Path):
    path = make(tmp_path, "a.csv", "smiles,y,y\nC,1,2\n")
    assert smiles_of(path) == ["C"]
    assert 'has the column "y" 2 times (columns 2 and 3); rename' in refusal(path, labels=["y"])
    twice = make(tmp_path, "b.csv", "smiles,SMILES\nC,CC\n")
    assert "has 2 columns that may be the SMILES (smiles, SMILES)" in refusal(twice)
    assert smiles_of(twice, smiles_column="SMILES") == ["CC"]
    assert "asked for twice" in refusal(path, labels=["y", "y"])


def test_a_directory_and_a_missing_file_are_named(tmp_path: Path):
    for name in ("a.csv", "a.parquet"):
        (tmp_path / name).mkdir()
        assert refusal(tmp_path / name) == (
            f"cannot read {tmp_path / name}: it is a directory; name a file"
        )
    assert "it does not exist; check the path" in refusal(tmp_path / "none.csv")


@pytest.mark.parametrize("name", ["a.csv", "a.parquet"])
def test_no_permission_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str):
    path = make(tmp_path, name, CSV)

    def refuse(file: Any, *args: Any, **options: Any) -> Any:
        raise PermissionError(errno.EACCES, "Permission denied", str(file))

    monkeypatch.setattr("builtins.open", refuse)  # tests may run as root, whom no mode stops
    message = refusal(path)
    monkeypatch.undo()
    assert message == f"cannot read {path}: permission denied; check its owner and mode"
    assert path.read_text() == CSV


def test_a_disk_that_fails_while_reading_is_named(monkeypatch: pytest.MonkeyPatch):
    class Broken(io.RawIOBase):
        def readable(self) -> bool:
            return True

        def readinto(self, buffer: Any) -> int:
            raise OSError(errno.EIO, "Input/output error")

    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BufferedReader(Broken())))
    assert refusal("-") == "cannot read standard input: Input/output error"


def test_errors_come_with_the_call_not_with_the_first_row(tmp_path: Path):
    with pytest.raises(FileError):
        read_molecules(tmp_path / "none.csv")


# ---------------------------------------------------------------- properties

CELL = st.text(
    st.characters(exclude_characters="\0\ufffd\ufeff", exclude_categories=["Cs", "Cc", "Zl", "Zp"]),
    max_size=8,
)


@settings(max_examples=60, deadline=None)
@given(st.lists(st.tuples(CELL, st.floats(allow_nan=False, allow_infinity=False)), min_size=1))
def test_what_csv_writes_comes_back(tmp_path_factory: pytest.TempPathFactory, pairs: list):
    path = tmp_path_factory.mktemp("csv") / "a.csv"
    with path.open("w", newline="", encoding="utf-8") as out:
        writer = csv.writer(out)
        writer.writerow(["name", "smiles", "y"])
        writer.writerows([name, "CCO", value] for name, value in pairs)
    rows = rows_of(path, labels=["y"])
    assert [row.labels["y"] for row in rows] == [value for _, value in pairs]
    assert [row.name for row in rows] == [name.strip() or None for name, _ in pairs]
    assert all(row.problem is None for row in rows)


@settings(max_examples=150, deadline=None)
@given(st.binary(max_size=300), st.sampled_from(["a.csv", "a.smi", "a.sdf", "a.parquet", "a.gz"]))
def test_no_bytes_whatever_raise_anything_but_a_clear_error(
    tmp_path_factory: pytest.TempPathFactory, content: bytes, name: str
):
    path = make(tmp_path_factory.mktemp("raw"), name, content)
    with contextlib.suppress(InputError, FileError):
        for row in read_molecules(path):
            assert row.smiles or row.problem


@given(st.floats(allow_nan=False, allow_infinity=False))
def test_every_number_is_read_as_itself(value: float):
    assert label_value(repr(value)) == value


@settings(deadline=None)
@given(st.lists(st.lists(st.text(max_size=3)), max_size=8))
def test_seen_is_a_set(batches: list[list[str]]):
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("molvae.datasets.seen._RECENT", 4)
        seen, model = Seen(), set()
        for batch in batches:
            expected = [text not in model and not model.add(text) for text in batch]
            assert seen.add(batch) == expected
            assert len(seen) == len(model)


@pytest.mark.parametrize("column", [None, "CC(=O)Nc1ccc(O)cc1"])
def test_a_table_without_a_header_is_refused_and_its_first_molecule_not_lost(
    tmp_path: Path, column: str | None
) -> None:
    path = tmp_path / "bare.csv"
    path.write_text("CC(=O)Nc1ccc(O)cc1,5.1\nCCO,4.2\n")
    with pytest.raises(InputError, match=r"begins with the molecule 'CC\(=O\)Nc1ccc"):
        list(read_molecules(path, smiles_column=column))


def test_decimal_commas_are_called_by_their_name(tmp_path: Path) -> None:
    path = tmp_path / "german.csv"
    path.write_text("smiles;pIC50\nCCO;5,1\nCCC;6,2\n")
    with pytest.raises(InputError, match="write decimal points, not commas"):
        list(read_molecules(path, labels=["pIC50"]))
