"""Molecules by the million: the same ones however they are drawn, and nothing lost on the way."""

from __future__ import annotations

import json
import runpy
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow.parquet as pq
import pytest
import torch

import molvae
from molvae.base.errors import ConfigError, ModelError
from molvae.bulk import (
    BulkOptions,
    Condition,
    Exhausted,
    collect,
    draw_block,
    every_draw,
    generate_shards,
)
from molvae.chem.properties import compute
from molvae.chem.tokenizer import Tokenizer
from molvae.generator import Generator
from molvae.latent.draws import Draws
from molvae.models.presets import preset
from molvae.models.vae import SequenceVAE

OPTIONS = BulkOptions(molecules=250, block=100, properties=("qed", "heavy_atoms"), seed=3)
SCRIPT = Path(__file__).parents[1] / "scripts" / "generate_batch.py"


@pytest.fixture(scope="module")
def generator(tiny_model: Path) -> Generator:
    return molvae.load(tiny_model, "cpu")


@pytest.fixture(scope="module")
def shards(generator: Generator, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A finished job; read only."""
    out = tmp_path_factory.mktemp("bulk") / "job"
    generate_shards(generator, out, OPTIONS, workers=1, progress=False)
    return out


def contents(folder: Path) -> list[tuple[list[str], bytes]]:
    """SMILES and properties of each shard, in order."""
    tables = [pq.read_table(path) for path in sorted(folder.glob("part-*.parquet"))]
    return [
        (
            table.column("smiles").to_pylist(),
            b"".join(c.to_numpy().tobytes() for c in table.columns[1:]),
        )
        for table in tables
    ]


def molecules(folder: Path) -> list[str]:
    return [smiles for shard, _ in contents(folder) for smiles in shard]


def test_as_many_distinct_molecules_as_asked_for(generator: Generator, shards: Path) -> None:
    found = molecules(shards)
    assert len(found) == len(set(found)) == 250
    assert len(contents(shards)) >= 3
    assert np.isfinite(generator.encode(found)).all()


def test_properties_stand_beside_their_molecules(shards: Path) -> None:
    table = pq.read_table(sorted(shards.glob("part-*.parquet"))[0])
    assert table.column_names == ["smiles", "qed", "heavy_atoms"]
    expected = compute(table.column("smiles").to_pylist(), ["qed", "heavy_atoms"])
    np.testing.assert_array_equal(table.column("qed").to_numpy(), expected[:, 0])
    np.testing.assert_array_equal(table.column("heavy_atoms").to_numpy(), expected[:, 1])


@pytest.mark.slow
def test_every_draw_has_its_place_whatever_the_processes(generator: Generator) -> None:
    wanted = BulkOptions(molecules=50, seed=4, block=20, where=("mw<1",))
    alone = every_draw(generator, wanted)
    assert len(alone) == 50
    assert len(set(alone)) > 10
    assert every_draw(generator, wanted, workers=2) == alone
    assert every_draw(generator, wanted.replace(molecules=40)) == alone[:40]


@pytest.mark.slow
def test_the_number_of_processes_changes_nothing(
    generator: Generator, shards: Path, tmp_path: Path
) -> None:
    generate_shards(generator, tmp_path / "job", OPTIONS, workers=2, progress=False)
    assert contents(tmp_path / "job") == contents(shards)


@pytest.mark.slow
def test_processes_that_only_read_what_another_device_wrote_change_nothing(
    generator: Generator,
    shards: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("molvae.bulk.work.shares_cores", lambda generator: False)
    monkeypatch.setattr(Generator, "__reduce__", refuse)  # no process but this has the model
    written, write = [], Generator.write

    def noted(self: Generator, n: int, **options: Any) -> Draws:
        written.append(n)
        return write(self, n, **options)

    monkeypatch.setattr(Generator, "write", noted)
    generate_shards(generator, tmp_path / "job", OPTIONS, workers=2, progress=False)
    assert contents(tmp_path / "job") == contents(shards)
    assert len(written) >= len(contents(shards))


def refuse(generator: Generator) -> None:
    raise AssertionError("the model travels to another process")


def test_the_number_of_threads_changes_nothing(
    generator: Generator, shards: Path, tmp_path: Path
) -> None:
    before = torch.get_num_threads()
    torch.set_num_threads(4)
    try:
        generate_shards(generator, tmp_path / "job", OPTIONS, workers=1, progress=False)
        assert torch.get_num_threads() == 4
    finally:
        torch.set_num_threads(before)
    assert contents(tmp_path / "job") == contents(shards)


def test_an_interrupted_job_is_completed_as_if_nothing_had_happened(
    generator: Generator, shards: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from molvae.bulk import shards as module

    written = []
    write = module._write_shard

    def killed_after_two(*arguments: object) -> None:
        if len(written) == 2:
            raise KeyboardInterrupt
        written.append(arguments)
        write(*arguments)  # type: ignore[arg-type]

    monkeypatch.setattr(module, "_write_shard", killed_after_two)
    with pytest.raises(KeyboardInterrupt):
        generate_shards(generator, tmp_path / "job", OPTIONS, workers=1, progress=False)
    monkeypatch.undo()
    assert contents(tmp_path / "job") == contents(shards)[:2]
    first = (tmp_path / "job" / "part-00000.parquet").stat().st_mtime_ns

    summary = generate_shards(generator, tmp_path / "job", OPTIONS, workers=1, progress=False)
    assert contents(tmp_path / "job") == contents(shards)
    assert (tmp_path / "job" / "part-00000.parquet").stat().st_mtime_ns == first
    assert summary.molecules == 250
    assert summary.drawn == 100 * summary.shards


def test_a_finished_job_can_be_asked_for_more(
    generator: Generator, shards: Path, tmp_path: Path
) -> None:
    small = OPTIONS.replace(molecules=130)
    generate_shards(generator, tmp_path / "job", small, workers=1, progress=False)
    assert molecules(tmp_path / "job") == molecules(shards)[:130]
    generate_shards(generator, tmp_path / "job", OPTIONS, workers=1, progress=False)
    assert contents(tmp_path / "job") == contents(shards)


def test_a_finished_job_is_not_done_again(
    generator: Generator, shards: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Generator, "sample_prior", None)
    summary = generate_shards(generator, shards, OPTIONS, workers=1, progress=False)
    assert summary.molecules == 250


@pytest.mark.parametrize("change", [{"seed": 4}, {"temperature": 0.9}, {"where": ["qed>=0.1"]}])
def test_other_settings_are_refused_in_the_same_directory(
    generator: Generator, shards: Path, change: dict[str, object]
) -> None:
    before = contents(shards)
    with pytest.raises(ConfigError, match=next(iter(change))):
        generate_shards(generator, shards, OPTIONS.replace(**change), workers=1, progress=False)
    assert contents(shards) == before


def test_another_model_is_refused_in_the_same_directory(generator: Generator, shards: Path) -> None:
    tokenizer = generator.tokenizer
    other = Generator(
        SequenceVAE(preset("tiny"), tokenizer.vocab_size, tokenizer.max_length), tokenizer
    )
    with pytest.raises(ConfigError, match="differs in model"):
        generate_shards(other, shards, OPTIONS, workers=1, progress=False)


def test_a_damaged_shard_is_named(generator: Generator, tmp_path: Path) -> None:
    options = OPTIONS.replace(molecules=60)
    generate_shards(generator, tmp_path, options, workers=1, progress=False)
    shard = tmp_path / "part-00000.parquet"
    shard.write_bytes(shard.read_bytes()[:200])
    with pytest.raises(ModelError, match=r"part-00000\.parquet is not a whole shard"):
        generate_shards(generator, tmp_path, options, workers=1, progress=False)


def test_filters_keep_only_what_meets_them_and_count_the_rest(generator: Generator) -> None:
    options = OPTIONS.replace(molecules=20, where=["heavy_atoms>=5", "heavy_atoms<=15"])
    block = draw_block(generator, options, 0)
    atoms = compute(block.smiles, ["heavy_atoms"])[:, 0]
    assert len(atoms)
    assert ((atoms >= 5) & (atoms <= 15)).all()
    assert block.rejected["not heavy_atoms>=5"] > 0
    assert block.drawn == len(block.smiles) + sum(block.rejected.values())


def test_repeats_are_kept_on_request(generator: Generator) -> None:
    often = OPTIONS.replace(molecules=300, unique=False, temperature=0.3)
    found = collect(generator, often, progress=False).smiles
    assert len(found) == 300 > len(set(found))


def test_filters_that_nothing_passes_end_the_job(generator: Generator, tmp_path: Path) -> None:
    never = OPTIONS.replace(where=["heavy_atoms>=1000"], block=1000)
    with pytest.raises(ModelError, match="not heavy_atoms>=1000"):
        generate_shards(generator, tmp_path, never, workers=1, progress=False)


def test_a_model_that_repeats_itself_ends_the_job() -> None:
    tokenizer = Tokenizer.from_smiles(["CC", "CO"])
    one_word = Generator(SequenceVAE(preset("tiny"), tokenizer.vocab_size, 2), tokenizer)
    with pytest.raises(ModelError, match="repeated"):
        collect(one_word, BulkOptions(molecules=100, block=500), progress=False)


@pytest.mark.parametrize("text", ["qed", "qed>=high", "0.5<qed", "qed=>0.5", "", "qed>>1"])
def test_a_condition_that_cannot_be_read_is_an_error(text: str) -> None:
    with pytest.raises(ConfigError, match="condition"):
        Condition.parse(text)


def test_a_condition_on_an_unknown_property_is_an_error() -> None:
    with pytest.raises(ConfigError, match="did you mean 'logp'"):
        BulkOptions(where=("log_p>1",))


@pytest.mark.slow
def test_the_script_writes_shards(
    tiny_model: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    command = [str(SCRIPT), str(tiny_model), str(tmp_path / "job")]
    flags = ["-n", "40", "--workers", "1", "--property", "qed", "--where", "heavy_atoms>=2"]
    done = subprocess.run([sys.executable, *command, *flags], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert done.stdout.startswith("40 molecules of ")
    assert len(molecules(tmp_path / "job")) == 40
    settings = json.loads((tmp_path / "job" / "_settings.json").read_text())
    assert settings["options"]["where"] == ["heavy_atoms>=2"]

    monkeypatch.setattr(sys, "argv", [*command, *flags, "--seed", "9"])
    with pytest.raises(SystemExit, match=r"^generate_batch: .*seed"):  # which has status 1
        runpy.run_path(str(SCRIPT), run_name="__main__")


def test_a_filter_that_few_pass_is_met_with_patience(generator: Generator) -> None:
    rare = BulkOptions(molecules=3, where=(f"mw>={rare_weight(generator)}",), block=100)
    kept = [len(draw_block(generator, rare, number).smiles) for number in range(40)]
    assert sum(kept) >= 3
    third = int(np.searchsorted(np.cumsum(kept), 3))
    assert "000" in "".join(map(str, kept[:third])), "three barren blocks on the way"
    found = collect(generator, rare, progress=False)
    assert len(found.smiles) == 3
    assert found.drawn == 100 * (third + 1)


def rare_weight(generator: Generator) -> float:
    """A weight above which about one draw in four hundred is."""
    weights = [
        compute(draw_block(generator, BulkOptions(block=100), number).smiles, ["mw"])[:, 0]
        for number in range(100, 130)
    ]
    return float(np.quantile(np.concatenate(weights), 1 - 1 / 400))


def test_what_came_before_a_job_gave_up_is_kept() -> None:
    tokenizer = Tokenizer.from_smiles(["CC", "CO"])
    one_word = Generator(SequenceVAE(preset("tiny"), tokenizer.vocab_size, 2), tokenizer)
    with pytest.raises(Exhausted, match="raise the temperature") as caught:
        collect(one_word, BulkOptions(molecules=100, block=2000), progress=False)
    assert caught.value.block is not None
    assert 0 < len(set(caught.value.block.smiles)) == len(caught.value.block.smiles) < 100


def test_a_bound_that_is_no_number_is_an_error_and_a_capital_gets_a_hint() -> None:
    with pytest.raises(ConfigError, match="cannot read"):
        Condition.parse("mw<=nan")
    with pytest.raises(ConfigError, match="did you mean 'qed'"):
        Condition.parse("QED>0.8")


def test_shards_are_not_written_below_a_file(generator: Generator, tmp_path: Path) -> None:
    (tmp_path / "mine.csv").write_text("smiles\n")
    with pytest.raises(ConfigError, match="is a file; name a directory"):
        generate_shards(generator, tmp_path / "mine.csv", OPTIONS, progress=False)
