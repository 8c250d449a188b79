"""The benchmarks keep working: fair rounds, honest counts, and every script at a tiny size."""

import importlib
import json
import os
import subprocess
import sys
import textwrap
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
import torch

BENCH = Path(__file__).resolve().parents[1] / "scripts" / "bench"
SCRIPTS = sorted(
    path.stem for path in BENCH.glob("*.py") if not path.stem.startswith(("_", "peer", "pmo"))
)
sys.path.insert(0, str(BENCH))

import _peer_metrics  # noqa: E402
import pmo as pmo_script  # noqa: E402
from _common import Rates, alternate, print_table, rates, sample_of  # noqa: E402
from _flops import training_flop  # noqa: E402
from _turns import Worker  # noqa: E402
from pmo import area, top_means  # noqa: E402

from molvae.models.config import ModelConfig  # noqa: E402


def test_a_ratio_compares_neighbouring_rounds_and_its_median_is_reported():
    ours, theirs = Rates((10.0, 40.0, 90.0)), Rates((1.0, 2.0, 3.0))
    assert ours.over(theirs).values == (10.0, 20.0, 30.0)
    assert ours.over(theirs).to_dict()["median"] == 20.0
    assert f"{ours:.0f}" == "40 (10 to 90)"


def test_rates_are_work_per_cpu_second():
    assert rates([{"tokens": 30, "cpu": 2.0}], "tokens").values == (15.0,)


def test_sides_take_turns_in_an_order_that_turns_round_and_warm_up_is_not_kept():
    calls: list[str] = []

    def side(name):
        return lambda: calls.append(name) or {"cpu": 1.0, "call": len(calls)}

    reports = alternate({"a": side("a"), "b": side("b")}, 2, warmup=1, progress=False)
    assert "".join(calls) == "baabba"
    assert [report["call"] for report in reports["a"]] == [3, 6]
    assert [report["call"] for report in reports["b"]] == [4, 5]


def test_a_worker_stands_still_between_turns_and_its_library_chatter_is_not_taken_for_a_report(
    tmp_path,
):
    script = tmp_path / "worker.py"
    script.write_text(
        textwrap.dedent(f"""
        import os, sys
        sys.path.insert(0, {os.fspath(BENCH)!r})
        from _turns import Turns
        turns = Turns()
        print("chatter before")
        for batch in turns.every(2, range(100), lambda batch: {{"sum": batch}}, threads=
                os.environ["OMP_NUM_THREADS"]):
            print("chatter", batch)
        """)
    )
    with Worker([sys.executable, script]) as worker:
        assert worker.info == {"threads": "1"}
        first, second = worker.round(), worker.round()
    assert (first["sum"], second["sum"]) == (0 + 1, 2 + 3)
    assert 0 <= first["cpu"] <= first["wall"] + 0.05


def test_a_worker_that_fails_is_an_error_and_not_an_endless_wait(tmp_path):
    script = tmp_path / "worker.py"
    script.write_text("raise SystemExit(3)")
    with pytest.raises(SystemExit, match="status 3"):
        Worker([sys.executable, script])


def test_molsets_metrics_get_the_names_that_current_packages_have_no_longer(monkeypatch):
    numpy = SimpleNamespace(nan=np.nan, vstack=np.vstack)
    pandas = SimpleNamespace(DataFrame=type("DataFrame", (), {}))
    scipy = SimpleNamespace(sqrtm=lambda a: a)
    monkeypatch.setitem(sys.modules, "rdkit.six", None)
    for name, stub in (("np", numpy), ("pd", pandas), ("linalg", scipy)):
        monkeypatch.setattr(_peer_metrics, name, stub)
    _peer_metrics.shim()
    assert np.isnan(numpy.NaN)
    assert numpy.row_stack is np.vstack
    assert callable(pandas.DataFrame.append)
    assert scipy.sqrtm(2.0, disp=False) == (2.0, 0.0)


def test_flop_count_is_that_of_the_products_of_the_model():
    from torch import nn
    from torch.utils.flop_counter import FlopCounterMode

    config = ModelConfig(
        embedding_dim=5,
        encoder_hidden=12,
        bidirectional=True,
        latent_dim=6,
        decoder_hidden=16,
        decoder_layers=3,
    )
    tokens, molecules, symbols = 70, 4, 9
    e, h, d = 12, 16, 6
    import torch

    def product(rows: int, inputs: int, outputs: int) -> None:
        x = torch.ones(rows, inputs, requires_grad=True)
        nn.functional.linear(x, torch.ones(outputs, inputs, requires_grad=True)).sum().backward()

    with FlopCounterMode(display=False) as counted:
        for _ in range(2):
            product(tokens, e, 3 * e)  # both directions' recurrences
        for inputs in (h, h, h, h, h):  # three recurrences, two inputs from the layer below
            product(tokens, inputs, 3 * h)
        product(tokens, h, symbols)
        product(molecules, 2 * e, 2 * d)  # mean and log-variance
        product(molecules, d, 3 * h)  # z into the first layer's gates
        product(molecules, d, 3 * h)  # z into the three first states
    assert training_flop(config, symbols, molecules, tokens) == counted.get_total_flops()


def test_a_sample_is_the_first_lines_and_is_made_once(tmp_path):
    source = tmp_path / "all.smi"
    source.write_text("C\nCC\nCCC\n")
    out = sample_of(source, 2, tmp_path / "kept")
    assert out.read_text() == "C\nCC\n"
    out.write_text("kept\n")
    assert sample_of(source, 2, tmp_path / "kept").read_text() == "kept\n"


def test_tables_are_aligned_markdown(capsys):
    print_table([["a", "1"], ["bb", "22"]], ["name", "n"])
    lines = capsys.readouterr().out.splitlines()
    assert lines == ["| name |  n |", "| ---- | -: |", "| a    |  1 |", "| bb   | 22 |"]


def test_the_area_under_the_best_ten_is_that_of_pmo():
    values = [0.1] * 150 + [0.5] * 100  # after 100: .1, after 200 and 250: .5
    assert list(top_means(values)) == pytest.approx([0.1, 0.5, 0.5])
    whole = 100 * 0.05 + 100 * 0.3 + 50 * 0.5
    assert area(values, 250) == pytest.approx(whole / 250)
    # A run that stops early stays where it was.
    assert area(values, 1000) == pytest.approx((whole + 750 * 0.5) / 1000)
    assert list(top_means([0.3])) == [0.3]


@pytest.mark.slow
def test_pmo_runs_what_is_not_done_yet_and_writes_its_table(tmp_path, monkeypatch, capsys):
    monkeypatch.setattr(torch, "set_num_threads", lambda number: None)  # others go on after this

    def pmo(*arguments):
        words = ["pmo.py", *map(str, arguments), "--out", str(tmp_path / "pmo")]
        monkeypatch.setattr(sys, "argv", words)
        pmo_script.main()
        return capsys.readouterr().out

    library = BENCH.parents[1] / "data" / "samples" / "moses_2000.smi"
    run = ("run", "--tasks", "qed", "--calls", "40", "--library", library)
    for variant in ("molvae", "random", "library-gp"):
        assert f"{variant} qed seed 0" in pmo(*run, "--variant", variant)
    assert pmo(*run) == ""
    done = json.loads((tmp_path / "pmo" / "molvae-40" / "qed-0.json").read_text())
    assert done["evaluated"] == 40
    assert 0 < done["auc"] < done["top10"] <= 1
    table = pmo("table")
    assert "## 40 calls, seed 0" in table
    assert table.count("|") > 12


@pytest.mark.slow
def test_each_script_finds_what_it_imports_and_runs_as_a_program(tmp_path):
    for script in SCRIPTS:
        ending = 'if __name__ == "__main__":\n    main()\n'
        assert (BENCH / f"{script}.py").read_text().endswith(ending), script
    code = f"import sys; sys.path[0] = {str(BENCH)!r}; import {', '.join(SCRIPTS)}"
    subprocess.run([sys.executable, "-c", code], cwd=tmp_path, check=True)


@pytest.mark.slow
@pytest.mark.parametrize("script", SCRIPTS)
def test_script_runs_and_writes_its_figures(script, tmp_path, monkeypatch, capsys):
    output = tmp_path / "figures.json"
    monkeypatch.setattr(torch, "set_num_threads", lambda number: None)  # others go on after this
    monkeypatch.setattr(sys, "argv", [f"{script}.py", "--smoke", "-o", str(output)])
    monkeypatch.setenv("MOLVAE_BENCH", str(tmp_path / "bench"))
    monkeypatch.chdir(tmp_path)
    importlib.import_module(script).main()
    assert "|" in capsys.readouterr().out
    figures = json.loads(output.read_text())
    assert figures["benchmark"] == script
    assert figures["machine"]["cores"] >= 1
