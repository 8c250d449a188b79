"""The scripts of the demo and of the shipped models say commands that exist and mean sense."""

from __future__ import annotations

import importlib
import json
import re
import shlex
import sys
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
import typer

import molvae
from molvae.base.records import read_toml
from molvae.chem.properties import compute
from molvae.cli.app import app
from molvae.datasets.corpus import Corpus
from molvae.training.job import TrainJob
from molvae.training.shipped import model_path

ROOT = Path(__file__).parents[1]
sys.path.insert(0, str(ROOT / "scripts"))

# By name, for a run of the demo leaves a directory `demo` that linters take for a package of ours.
demo = importlib.import_module("demo")

import demo_compare  # noqa: E402
import demo_objective  # noqa: E402
import make_shipped  # noqa: E402
from _steps import Step, read_seconds, run_steps  # noqa: E402
from demo_objective import DrugLikeInWindow, value, wanted, wanted_from_scratch  # noqa: E402

MAKING = [
    step for name in make_shipped.RECIPES for step in make_shipped.steps(name, None, None)
] + [make_shipped.last_step(name) for name in make_shipped.RECIPES]


@pytest.mark.parametrize(
    "step", [*demo.SHIPPED, *demo.FROM_SCRATCH, *MAKING], ids=lambda step: step.command[:60]
)
def test_every_step_is_a_command_with_the_flags_it_has(step: Step) -> None:
    program, *arguments = shlex.split(step.command)
    assert program == "molvae"
    command = typer.main.get_command(app)
    context = command.make_context("molvae", ["--help-is-not-wanted"], resilient_parsing=True)
    while hasattr(command, "resolve_command"):
        name, command, arguments = command.resolve_command(context, arguments)
        context = (
            command.make_context(name, [], parent=context, resilient_parsing=True)
            if hasattr(command, "resolve_command")
            else context
        )
    command.make_context(name, arguments)  # raises where a flag is wrong


@pytest.mark.parametrize("steps", [demo.SHIPPED, demo.FROM_SCRATCH], ids=["shipped", "scratch"])
def test_what_a_step_of_the_demo_reads_is_there_or_was_made_before(steps: tuple[Step, ...]) -> None:
    made: set[str] = set()
    for step in steps:
        words = shlex.split(step.command)
        if step.before is not None:  # it writes what its command starts with
            made.add(words[words.index("--start") + 1])
        for flag in ("--from", "--corpus", "--tokenizer", "--start"):
            if flag in words:
                given = words[words.index(flag) + 1]
                assert given in {*made, "druglike"}, step.command
        for word in words:
            if word.endswith(".toml"):
                assert TrainJob.parse(read_toml(ROOT / word), where=word)
        made |= {words[i + 1] for i, word in enumerate(words) if word == "-o"}


@pytest.mark.slow
def test_a_step_that_is_done_is_not_done_again_and_one_that_fails_ends_the_row(
    tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "done").touch()
    done = Step("done", "molvae models list", tmp_path / "done")
    steps = [done, Step("fails", "molvae info none/here"), Step("never", "molvae models list")]
    assert run_steps(steps, tmp_path, {}) == 5
    said = capfd.readouterr().out
    assert "is there already" in said
    assert "never" not in said
    assert read_seconds(tmp_path) == {}
    assert run_steps([Step("works", "molvae --version")], tmp_path, {}) == 0
    assert list(read_seconds(tmp_path)) == ["works"]


def test_the_objective_is_qed_times_the_probability_of_the_window() -> None:
    smiles = ["CCOC(=O)c1ccccc1"] * 5
    log_d = np.array([2.0, 2.0, 9.0, np.nan, 2.0])
    std = np.array([1.0, 2.0, 0.5, 1.0, np.nan])
    qed = compute(smiles[:1], ["qed"])[0, 0]
    narrow, wide, greasy, *unknown = value(smiles, log_d, std)
    assert narrow == pytest.approx(0.6827 * qed, rel=1e-3)  # one standard deviation either way
    assert wide == pytest.approx(0.3829 * qed, rel=1e-3)
    assert greasy < 1e-9
    assert np.isnan(unknown).all()
    assert [wanted.place, wanted_from_scratch.place] == ["demo", "demo/from-scratch"]


@pytest.fixture
def run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> SimpleNamespace:
    """A run whose head says 2 of everything, right of esters (which were measured) and wrong by 1.5
    of what is unlike them."""
    esters = [f"{'C' * n}OC(=O)c1ccccc1" for n in range(1, 9)]
    relatives = [f"{'C' * n}OC(=O)c1ccccc1C" for n in range(1, 9)]
    strangers = [f"{'N' if n % 2 else 'O'}{'C' * n}#N" for n in range(1, 9)]
    parts = {"train": esters, "validation": [*relatives, *strangers]}
    rows = [*parts["train"], *parts["validation"]]
    true = [1.0, 3.0] * 4 + [2.2, 1.8] * 4 + [3.5, 0.5] * 4

    class Measured:
        label_names = ("tpsa", "log_d")
        labels = np.column_stack([np.zeros(len(rows)), true])

        @staticmethod
        def indices(part: str) -> np.ndarray:
            return np.array([rows.index(text) for text in parts[part]])

        @staticmethod
        def smiles(places: np.ndarray) -> list[str]:
            return [rows[i] for i in places]

    head = SimpleNamespace(predict=lambda smiles: {"log_d": np.full(len(smiles), 2.0)})
    monkeypatch.setattr("molvae.load", lambda place, device: head)
    monkeypatch.setattr(Corpus, "open", lambda place: Measured())
    return SimpleNamespace(wanted=DrugLikeInWindow("none"), esters=esters, strangers=strangers)


def test_the_demo_trusts_a_head_as_far_as_it_was_right(run: SimpleNamespace) -> None:
    relative, stranger, *far = run.wanted.trust.spread(np.array([0.9, 0.1, 0.0, -5.0]))
    assert relative < 0.6 < stranger
    assert far[1] == 1.0  # no worse than who knows nothing of what was measured
    assert run.wanted.trust.spread(np.array([50.0]))[0] == 0.3  # no better than an assay


def test_what_was_measured_has_no_value_for_the_demo_and_relatives_have_more(
    run: SimpleNamespace,
) -> None:
    new = "CCOC(=O)c1ccccc1CC"
    measured, relative, stranger = run.wanted([run.esters[1], new, "NCCCCCCCCCC#N"])
    assert np.isnan(measured)
    qed = compute([new, "NCCCCCCCCCC#N"], ["qed"])[:, 0]
    assert relative / qed[0] > 0.8 > 0.75 > stranger / qed[1]


def test_figures_are_means_over_seeds_with_their_range(tmp_path: Path) -> None:
    files = []
    for seed, fcd in enumerate([0.06, 0.07, 0.08]):
        measures = [
            {"name": "FCD/Test", "value": fcd},
            {"name": "logP", "value": 1.0},
            {"name": "unique@10000", "value": None},
        ]
        one = {"molecules": 30, "options": {"seed": seed}, "reference": {}, "measures": measures}
        files.append(tmp_path / f"{seed}.json")
        files[-1].write_text(json.dumps(one))
    found = make_shipped.figures(files)
    assert found["figures"] == {"FCD/Test": pytest.approx(0.07)}
    assert found["evaluation"]["range"]["FCD/Test"] == [0.06, 0.08]
    assert found["evaluation"]["seeds"] == [0, 1, 2]


@pytest.mark.parametrize("name", make_shipped.RECIPES)
def test_each_step_of_making_a_model_writes_to_a_place_of_its_own(name: str) -> None:
    commands = [s.command for s in make_shipped.steps(name, None, None, "cpu")]
    outputs = [re.findall(r" -o (\S+)", command) for command in commands]
    assert len({tuple(found) for found in outputs}) == len(commands)
    assert all(("--device cpu" in c) == ("molvae train" in c) for c in commands)
    shown = json.loads((model_path(name) / "provenance.json").read_text())["commands"]
    assert shown == make_shipped.first_facts(name, "")["commands"]


def test_making_a_model_can_begin_with_one_that_is_trained() -> None:
    commands = [s.command for s in make_shipped.steps("druglike", Path("m"), Path("c"))]
    assert not any("train" in command or "prepare" in command for command in commands)
    assert "models critic m " in commands[0]
    assert "models export runs/shipped/druglike/critic " in commands[1]
    assert "--reference c " in commands[2]
    with pytest.raises(SystemExit):  # the hardware is not said
        make_shipped.main(["moses"])


def test_a_model_that_draws_the_same_keeps_its_critic_and_the_figures_of_its_samples() -> None:
    found = make_shipped.steps("moses", Path("m"), Path("c"), same_draws=True)
    assert [step.command.split()[1] for step in found] == ["models", "generate", "generate"]
    assert "models export m " in found[0].command
    shipped = {
        "figures": {"FCD/Test": 0.06, "heritability": 0.4},
        "evaluation": {
            "mean": {"FCD/Test": 0.06, "heritability": 0.4, "logP": 1.0},
            "range": {"FCD/Test": [0.05, 0.07], "heritability": [0.3, 0.5], "logP": [1.0, 1.0]},
            "seeds": [0, 1],
        },
        "exported": {"time": "then"},
    }
    found_anew = make_shipped.renewed(shipped, [{"heritability": 0.5}, {"heritability": 0.7}])
    assert found_anew["figures"] == {"FCD/Test": 0.06, "heritability": pytest.approx(0.6)}
    assert found_anew["evaluation"] == {
        "mean": {"FCD/Test": 0.06, "heritability": pytest.approx(0.6), "logP": 1.0},
        "range": {"FCD/Test": [0.05, 0.07], "heritability": [0.5, 0.7], "logP": [1.0, 1.0]},
        "seeds": [0, 1],
        "samples_judged": "then",
    }
    again = shipped | found_anew | {"exported": {"time": "now"}}
    assert (
        make_shipped.renewed(again, [{"heritability": 0.5}])["evaluation"]["samples_judged"]
        == "then"
    )


@pytest.mark.parametrize("arguments", [["moses"], ["druglike", "--model", "m"]])
def test_what_cannot_be_judged_by_its_space_alone_is_refused_before_anything_runs(
    arguments: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit):
        make_shipped.main([*arguments, "--same-draws", "--hardware", "a core"])
    assert "same-draws" in capsys.readouterr().err


def test_other_draws_are_not_given_the_figures_of_the_shipped_model(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(make_shipped, "RUNS", tmp_path)
    (tmp_path / "moses").mkdir()
    for file, text in zip(("draws.csv", "draws-shipped.csv"), ("CC", "CCC"), strict=True):
        (tmp_path / "moses" / file).write_text(text)
    with pytest.raises(SystemExit, match="does not draw what the shipped moses draws"):
        make_shipped.space_anew("moses")


@pytest.mark.skipif("druglike" not in molvae.shipped_models(), reason="druglike is not shipped")
def test_the_demo_reads_its_data_with_the_alphabet_of_the_shipped_model() -> None:
    assert (model_path("druglike") / "tokenizer.json").is_file()
    assert re.search(r"--tokenizer druglike\b", demo.SHIPPED[0].command)


@pytest.mark.slow
def test_the_comparison_measures_a_run(
    tiny_model: Path, tiny_corpus: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "model").symlink_to(tiny_model)
    (tmp_path / "logd").symlink_to(tiny_corpus)
    (tmp_path / "seconds.json").write_text('{"a": 60, "b": 30}')
    header = "smiles,value,feasible,order\n"
    rows = "CCO,0.5,yes,70\nCCN,0.4,yes,3\nCCC,0.9,no,4\n"
    (tmp_path / "proposals.csv").write_text(header + rows)
    monkeypatch.setattr(demo_compare, "LABEL", "logp")
    monkeypatch.setattr(demo_objective, "LABEL", "logp")
    monkeypatch.setattr(demo_compare, "SAMPLES", 20)
    (tmp_path / "proposals-1.csv").write_text(f"{header}CCOC,0.5,yes,1\nCCNCCC,0.3,yes,0\n")
    leads = (("CCO", "CCOC"), ("CCCCN", "CCCCN"), ("CCCCO", "CCCCCO"), ("CCCCC", ""))
    lines = [f"{end},{start}\n" for start, end in leads]
    (tmp_path / "leads.csv").write_text("smiles,start_smiles\n" + "".join(lines))
    oracle = SimpleNamespace(predict=lambda smiles: (np.full(len(smiles), 2.0), None))
    found = demo_compare.measure(
        tmp_path, {"its length": lambda s: np.array([len(t) for t in s])}, oracle
    )
    assert found["minutes in all"] == [1.5]
    # Of the four one is as it was, one has no answer, and one is not alike.
    brought = "of 4 too lipophilic, brought into the window, Tanimoto 0.5 at least"
    assert found[brought] == [0.25]
    assert found["best 50: value by its length"] == [3, 5]  # of each search
    assert found["best 50 of 60: value by its own head"] == [0.4, 0.4]
    assert found["best 50: share of known parts alone"] == [1.0, 0.5]
    assert found["best 50 of 100: value by its own head"] == pytest.approx([0.45, 0.4])
    assert 0 <= found["held-out molecules back exactly"][0] <= 1
    assert all(np.isfinite(values).all() for values in found.values())
    assert demo_compare.figure([0.25]) == "0.250"
    assert demo_compare.figure([1.0, 3.0]) == "2.000 ± 1.414"


def test_leads_out_of_the_window_or_insane_are_not_brought_into_it(tmp_path: Path) -> None:
    table = tmp_path / "leads.csv"
    table.write_text("smiles,start_smiles\nCCCCCO,CCCCO\nCCCCCCO,CCCCCO\nC1=CC2=CC=C12,C1=CC=C1\n")
    answers = {"CCCCCO": 1.5, "CCCCCCO": 3.5, "C1=CC2=CC=C12": 2.0}
    oracle = SimpleNamespace(predict=lambda smiles: (np.array([answers[s] for s in smiles]), None))
    assert demo_compare.led(table, oracle)[
        "of 3 too lipophilic, brought into the window, Tanimoto 0.3 at least"
    ] == pytest.approx(1 / 3)


def test_what_is_too_lipophilic_is_taken_from_the_part_set_aside(
    tiny_corpus: Path, tmp_path: Path
) -> None:
    (tmp_path / "logd").symlink_to(tiny_corpus)
    demo.too_lipophilic(tmp_path)
    corpus = Corpus.open(tiny_corpus)
    rows = corpus.indices("test")
    high = corpus.labels[rows, 0] > 3
    assert 0 < high.sum() < len(rows)
    assert (tmp_path / "leads.smi").read_text().split() == corpus.smiles(rows[high])


def test_a_further_search_is_the_demos_own_by_another_seed_into_a_file_of_its_own() -> None:
    own = shlex.split(demo.SHIPPED[-1].command)
    again = shlex.split(demo.optimize(demo.OUT, "wanted", "proposals-1", " --seed 1"))
    at = own.index("--store")
    assert again[:at] == own[:at]
    assert again[at:] == shlex.split(
        "--store demo/proposals-1.sqlite -o demo/proposals-1.csv --seed 1"
    )
