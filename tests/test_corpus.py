"""Corpora: what is built is what was asked for, the same for any number of workers, or nothing."""

from __future__ import annotations

import csv
import json
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
import pytest

from molvae.base.errors import ConfigError, FileError, InputError, ModelError, MolvaeError
from molvae.chem.smiles import canonicalise
from molvae.chem.tokenizer import Tokenizer
from molvae.datasets.corpus import Corpus, build_corpus
from molvae.datasets.options import CorpusOptions
from molvae.datasets.sources import Source
from molvae.datasets.splits import PARTS, SplitOptions
from molvae.datasets.store import ARRAYS

ZINC = Path(__file__).parents[1] / "data" / "samples" / "zinc250k_2000.smi"
SMILES = ZINC.read_text().split()[:200]


def build(source, out: Path, tokenizer: Tokenizer | None = None, **options) -> Corpus:
    """In this process, which is quick, and so without protection from hanging molecules."""
    chosen = CorpusOptions.parse(options)
    return build_corpus(source, out, options=chosen, tokenizer=tokenizer, workers=0, progress=False)


def write(path: Path, text: str) -> Path:
    path.write_text(text)
    return path


@pytest.fixture(scope="module")
def corpus(tmp_path_factory: pytest.TempPathFactory) -> Corpus:
    folder = tmp_path_factory.mktemp("corpus")
    return build(Source.molecules(SMILES), folder / "c", properties=["logp", "heavy_atoms"])


def dropped(corpus: Corpus) -> list[dict[str, str]]:
    with (corpus.path / "dropped.csv").open(newline="") as stream:
        return list(csv.DictReader(stream))


def test_every_molecule_comes_back_from_its_tokens(corpus: Corpus):
    assert len(corpus) == len(SMILES)
    decoded = corpus.tokenizer.decode([corpus[i] for i in range(len(corpus))])
    assert [canonicalise(s) for s in decoded] == [canonicalise(s) for s in SMILES]
    assert corpus.smiles() == [canonicalise(s) for s in SMILES]


def test_the_arrays_have_the_documented_shapes_and_types(corpus: Corpus):
    n = len(corpus)
    assert corpus.tokens.dtype == np.uint8
    assert corpus.offsets.dtype == np.int64
    assert corpus.labels.shape == (n, 2)
    assert corpus.labels.dtype == np.float32
    assert corpus.split.shape == (n,)
    assert corpus.label_names == ("logp", "heavy_atoms")
    assert corpus.lengths.sum() == len(corpus.tokens) == corpus.offsets[-1]
    assert corpus.tokens.min() >= Tokenizer.first_id
    assert corpus.tokens.max() < corpus.tokenizer.vocab_size
    assert corpus.tokenizer.max_length == corpus.lengths.max()
    parts = np.concatenate([corpus.indices(part) for part in PARTS])
    np.testing.assert_array_equal(np.sort(parts), corpus.indices("all"))
    assert [len(corpus.indices(part)) for part in PARTS] == [180, 10, 10]


def test_computed_labels_belong_to_their_molecules(corpus: Corpus):
    from molvae.chem.properties import compute

    expected = compute(corpus.smiles(), ["logp", "heavy_atoms"])
    np.testing.assert_allclose(corpus.labels, expected, rtol=1e-6)


def test_smiles_come_in_the_order_asked_for(corpus: Corpus):
    everything = corpus.smiles()
    assert corpus.smiles([7, 3, 3, 199]) == [everything[i] for i in (7, 3, 3, 199)]
    assert corpus.smiles([]) == []
    with pytest.raises(IndexError):
        corpus.smiles([200])


def test_the_table_says_where_each_molecule_comes_from(corpus: Corpus):
    table = pq.read_table(corpus.path / "table.parquet").to_pylist()
    assert [row["row"] for row in table] == list(range(1, 201))
    assert {row["file"] for row in table} == {"memory"}
    assert [PARTS.index(row["split"]) for row in table] == corpus.split.tolist()
    np.testing.assert_array_equal([row["logp"] for row in table], corpus.labels[:, 0])


def test_opening_imports_no_chemistry_and_no_torch(corpus: Corpus):
    code = (
        "import sys; from molvae.datasets.corpus import Corpus\n"
        f"c = Corpus.open({str(corpus.path)!r}); c[0]; c.lengths; c.labels; c.indices('train')\n"
        "print([m for m in ('rdkit', 'pyarrow', 'torch', 'pandas', 'selfies') if m in sys.modules])"
    )
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert run.stdout.strip() == "[]"


def test_a_hundred_rows_of_two_files_give_the_same_bytes_with_any_number_of_workers(tmp_path: Path):
    first = write(tmp_path / "a.smi", "\n".join([*SMILES[:60], "nonsense", SMILES[0]]))
    second = write(tmp_path / "b.smi", "\n".join([SMILES[1], *SMILES[60:120]]))
    options = CorpusOptions(properties=("logp",), split=SplitOptions(method="scaffold", test=0.2))
    made = [
        build_corpus([first, second], tmp_path / str(w), options=options, workers=w, progress=False)
        for w in (0, 2)
    ]
    assert made[0].meta["files"] == made[1].meta["files"]
    assert [(row["file"], row["row"], row["reason"]) for row in dropped(made[0])] == [
        ("a.smi", "61", "not valid SMILES"),
        ("a.smi", "62", "duplicate"),
        ("b.smi", "1", "duplicate"),
    ]


def test_a_corpus_of_the_same_sources_and_options_is_not_built_again(tmp_path: Path):
    source = write(tmp_path / "a.smi", "CCO\nCCN\nCCC\n")
    built = build(source, tmp_path / "c")
    stamp = (built.path / "tokens.npy").stat().st_mtime_ns
    assert build(source, tmp_path / "c").path == built.path
    assert (built.path / "tokens.npy").stat().st_mtime_ns == stamp
    build(source, tmp_path / "c", split={"seed": 1})
    assert (built.path / "tokens.npy").stat().st_mtime_ns != stamp
    write(source, "CCO\nCCN\nCCCC\n")
    assert "CCCC" in build(source, tmp_path / "c", split={"seed": 1}).smiles()


def test_a_damaged_corpus_is_built_again(tmp_path: Path):
    source = write(tmp_path / "a.smi", "CCO\nCCN\nCCC\n")
    built = build(source, tmp_path / "c")
    (built.path / "tokens.npy").write_bytes(b"")
    assert len(build(source, tmp_path / "c").tokens) == 9


def test_labels_may_be_missing_and_come_from_columns(tmp_path: Path):
    text = "smiles,pKi,note\nCCO,1.5,x\nCCN,,y\nCCC,NA,z\nCCCl,high,w\n"
    corpus = build(write(tmp_path / "a.csv", text), tmp_path / "c", labels=["pKi"])
    np.testing.assert_array_equal(corpus.labels[:, 0], np.float32([1.5, np.nan, np.nan]))
    assert [row["row"] for row in dropped(corpus)] == ["5"]
    assert "not a number" in dropped(corpus)[0]["reason"]


def test_a_split_column_is_kept_and_validation_comes_out_of_training(tmp_path: Path):
    rows = [f"{s},{'test' if i % 4 == 0 else 'train'}" for i, s in enumerate(SMILES[:100])]
    source = write(tmp_path / "a.csv", "\n".join(["smiles,fold", *rows, "CCO,fold9", "CCN,"]))
    corpus = build(source, tmp_path / "c", split_column="fold", split={"validation": 0.2})
    assert (corpus.split[::4] == 2).all()
    assert [corpus.meta["counts"][part] for part in PARTS] == [60, 15, 25]
    assert [row["reason"] for row in dropped(corpus)] == [
        'no part of a split ("fold9")',
        'no part of a split ("")',
    ]


def test_a_scaffold_split_leaves_no_scaffold_in_two_parts(tmp_path: Path):
    from molvae.chem.smiles import parse
    from molvae.datasets.splits import scaffold

    corpus = build(
        Source.molecules(SMILES),
        tmp_path / "c",
        split={"method": "scaffold", "validation": 0.2, "test": 0.2},
    )
    scaffolds = np.array([scaffold(parse(s)) for s in corpus.smiles()])
    sets = [set(scaffolds[corpus.indices(part)]) for part in PARTS]
    assert all(sets)
    assert sum(map(len, sets)) == len(set.union(*sets))


def test_asking_for_a_given_split_that_is_not_there_is_an_error(tmp_path: Path):
    with pytest.raises(InputError, match="does not say which part"):
        build(Source.molecules(["CCO"]), tmp_path / "c", split={"method": "given"})


def test_rare_symbols_are_dropped_until_none_is_left_and_named(tmp_path: Path):
    # [Si] occurs once; without its molecule [I] falls below two as well
    smiles = ["CCO", "CCOC", "CCCO", "COC", "C[SiH2]I", "CCI", "CCCC"]
    corpus = build(
        Source.molecules(smiles),
        tmp_path / "c",
        min_count=2,
        split={"validation": 0.0, "test": 0.0},
    )
    assert set(corpus.tokenizer.alphabet) == {"[C]", "[O]"}
    assert corpus.smiles() == ["CCO", "CCOC", "CCCO", "COC", "CCCC"]
    assert [(row["row"], row["reason"]) for row in dropped(corpus)] == [
        ("5", "rare symbol ([SiH2], [I])"),
        ("6", "rare symbol ([I])"),
    ]
    assert corpus.meta["dropped"] == {"rare symbol": 2}


def test_a_given_tokenizer_is_kept_and_what_it_cannot_write_is_dropped(tmp_path: Path):
    tokenizer = Tokenizer.from_symbols(["[C]", "[O]", "[N]"], max_length=4)
    smiles = ["CCO", "CCF", "CCCCC", "CCN"]
    corpus = build(Source.molecules(smiles), tmp_path / "c", tokenizer)
    assert corpus.tokenizer == tokenizer
    assert corpus.smiles() == ["CCO", "CCN"]
    assert [row["reason"] for row in dropped(corpus)] == [
        "symbol not in the alphabet ([F])",
        "more than 4 symbols (5)",
    ]


def test_what_selfies_cannot_say_is_dropped_with_its_reason(tmp_path: Path):
    corpus = build(Source.molecules(["CCO", "CI(=O)=O"]), tmp_path / "c")
    assert corpus.smiles() == ["CCO"]
    assert "valence" in dropped(corpus)[0]["reason"]


def test_more_than_256_symbols_are_stored_in_two_bytes(tmp_path: Path):
    smiles = [f"[{mass}CH3]C" for mass in range(1, 300)]
    corpus = build(
        Source.molecules(smiles), tmp_path / "c", clean={"standardise": {"isotopes": False}}
    )
    assert corpus.tokens.dtype == np.uint16
    assert [canonicalise(s) for s in corpus.tokenizer.decode([corpus[298]])] == corpus.smiles([298])


def test_one_molecule_is_a_corpus(tmp_path: Path):
    corpus = build(Source.molecules(["c1ccccc1"]), tmp_path / "c")
    assert len(corpus) == 1
    assert corpus.indices("train").tolist() == [0]
    assert corpus.labels.shape == (1, 0)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "empty"),
        ("smiles\n", "no molecules"),
        ("xyzzy\nplugh\n", r"none of the 2 rows is a molecule to keep \(not valid SMILES"),
    ],
)
def test_a_source_without_molecules_is_one_sentence_and_leaves_the_old_corpus(
    tmp_path: Path, text: str, message: str
):
    old = build(Source.molecules(["CCO"]), tmp_path / "c")
    with pytest.raises(InputError, match=message):
        build(write(tmp_path / "a.smi", text), tmp_path / "c")
    assert Corpus.open(old.path).sha256 == old.sha256
    assert sorted(p.name for p in tmp_path.iterdir()) == ["a.smi", "c"]


def test_a_full_disk_while_building_leaves_the_old_corpus(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    import errno

    old = build(Source.molecules(["CCO"]), tmp_path / "c")

    def full(*_: object) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr("molvae.datasets.finishing._write_header", full)
    with pytest.raises(FileError, match="the disk is full"):
        build(Source.molecules(["CCN", "CCC"]), tmp_path / "c")
    assert Corpus.open(old.path).smiles() == ["CCO"]
    assert [p.name for p in tmp_path.iterdir()] == ["c"]


def test_a_directory_of_other_files_is_not_replaced(tmp_path: Path):
    (tmp_path / "precious.txt").write_text("thesis")
    with pytest.raises(FileError, match="holds other files"):
        build(Source.molecules(["CCO"]), tmp_path)
    assert (tmp_path / "precious.txt").read_text() == "thesis"


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"properties": ["log_p"]}, "did you mean 'logp'"),
        ({"constraints": "hypervalence"}, "hypervalence"),
        ({"min_counts": 2}, "did you mean 'min_count'"),
        ({"split": {"method": "fold"}}, "split.method"),
    ],
)
def test_a_wrong_setting_is_named_before_anything_is_read(
    tmp_path: Path, options: dict[str, object], message: str
):
    with pytest.raises(ConfigError, match=message):
        build(tmp_path / "missing.smi", tmp_path / "c", **options)


def test_labels_that_clash_are_refused(tmp_path: Path):
    source = Source.molecules(["CCO"], {"logp": [1.0]})
    with pytest.raises(InputError, match="'logp' occurs twice"):
        build(source, tmp_path / "c", properties=["logp"])
    with pytest.raises(InputError, match="'split' is a column of every corpus"):
        build(Source.molecules(["CCO"], {"split": [1.0]}), tmp_path / "c")
    with pytest.raises(InputError, match="2 values for 1 molecules"):
        Source.molecules(["CCO"], {"logp": [1.0, 2.0]})


def damage(corpus: Corpus, tmp_path: Path) -> Path:
    import shutil

    return Path(shutil.copytree(corpus.path, tmp_path / "damaged"))


@pytest.mark.parametrize("name", [*ARRAYS, "tokenizer.json", "table.parquet"])
def test_a_truncated_or_missing_file_is_named(corpus: Corpus, tmp_path: Path, name: str):
    folder = damage(corpus, tmp_path)
    os.truncate(folder / name, (folder / name).stat().st_size - 7)
    with pytest.raises(ModelError, match=rf"damaged: {name} is .* bytes instead of"):
        Corpus.open(folder)
    (folder / name).unlink()
    with pytest.raises(ModelError, match=rf"damaged: {name} is missing"):
        Corpus.open(folder)


def test_a_flipped_bit_is_found_by_verify(corpus: Corpus, tmp_path: Path):
    folder = damage(corpus, tmp_path)
    content = bytearray((folder / "tokens.npy").read_bytes())
    content[-3] ^= 1
    (folder / "tokens.npy").write_bytes(content)
    corpus.verify()
    with pytest.raises(ModelError, match=r"content of tokens\.npy has changed"):
        Corpus.open(folder).verify()


def test_an_array_that_is_a_pickle_in_disguise_is_refused(corpus: Corpus, tmp_path: Path):
    folder = damage(corpus, tmp_path)
    size = (folder / "split.npy").stat().st_size
    np.save(folder / "split.npy", np.array([{"a": 1}], dtype=object), allow_pickle=True)
    (folder / "split.npy").write_bytes((folder / "split.npy").read_bytes().ljust(size)[:size])
    with pytest.raises(ModelError, match=r"split\.npy is no array"):
        Corpus.open(folder)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"format_version": 2}, "of format 2, this molvae reads format 1; upgrade molvae"),
        ({"format_version": 0}, "prepare it again"),
        ({"format": "molvae-model"}, "is not a corpus"),
        ({"molecules": 7}, "do not fit together"),
    ],
)
def test_a_foreign_or_newer_corpus_says_what_to_do(
    corpus: Corpus, tmp_path: Path, change: dict[str, object], message: str
):
    folder = damage(corpus, tmp_path)
    meta = json.loads((folder / "meta.json").read_text())
    (folder / "meta.json").write_text(json.dumps({**meta, **change}))
    with pytest.raises(ModelError, match=message):
        Corpus.open(folder)


def test_what_is_no_corpus_is_refused_in_one_sentence(tmp_path: Path):
    with pytest.raises(FileError, match="does not exist"):
        Corpus.open(tmp_path / "none")
    with pytest.raises(ModelError, match=r"holds no meta\.json"):
        Corpus.open(tmp_path)
    (tmp_path / "meta.json").write_text('{"format": "mol')
    with pytest.raises(ModelError, match="not complete JSON"):
        Corpus.open(tmp_path)


def test_an_unknown_part_is_named(corpus: Corpus):
    with pytest.raises(InputError, match="no part 'valid'"):
        corpus.indices("valid")


def test_a_name_that_is_neither_file_nor_data_set_is_answered_with_the_nearest(tmp_path: Path):
    with pytest.raises(MolvaeError, match="did you mean zinc250k"):
        build("zinc25k", tmp_path / "c")


def test_limit_reads_so_many_rows_of_all_files_together(tmp_path: Path):
    first = write(tmp_path / "a.smi", "CCO\nCCN\n")
    second = write(tmp_path / "b.smi", "CCC\nCCCC\n")
    assert build([first, second], tmp_path / "c", limit=3).smiles() == ["CCO", "CCN", "CCC"]
    assert build([first, second], tmp_path / "d", limit=2).smiles() == ["CCO", "CCN"]


def test_a_text_that_would_hang_rdkit_costs_one_row(tmp_path: Path):
    source = write(tmp_path / "a.smi", f"CCO\n{'C' * 100_000}\nCCN\n")
    corpus = build(source, tmp_path / "c")
    assert corpus.smiles() == ["CCO", "CCN"]
    (row,) = dropped(corpus)
    assert row["reason"].startswith("longer than")
    assert len(row["text"]) <= 200
