"""The loop: it can be cut anywhere and go on bit for bit, on any number of processes."""

import errno
import json
import math
import os
import signal
import socket
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from tiny import corpus_of, sample_smiles, tiny_config, tiny_corpus

from molvae.base.errors import ConfigError, FileError, InputError, InterruptedRun, TrainingError
from molvae.training import trainer as trainer_module
from molvae.training.checkpoint import load_model
from molvae.training.config import OptimiserConfig
from molvae.training.failures import memory_advice
from molvae.training.history import read_history
from molvae.training.loop import train
from molvae.training.tensorfile import read_tensors
from molvae.training.trainer import Trainer
from molvae.training.weights import get_weights

LABELLED = {"labels": ["length", "aromatic"]}
TIMING = ("seconds", "molecules_per_second", "tokens_per_second")


def same_model(a: Path, b: Path) -> bool:
    first, second = (read_tensors(path / "model.safetensors")[0] for path in (a, b))
    return first.keys() == second.keys() and all(torch.equal(first[k], second[k]) for k in first)


def same_history(a: Path, b: Path) -> bool:
    first, second = read_history(a / "history.csv"), read_history(b / "history.csv")
    return first.keys() == second.keys() and all(
        np.array_equal(first[k], second[k], equal_nan=True) for k in first if k not in TIMING
    )


@pytest.fixture(scope="module")
def whole(tmp_path_factory):
    """An uninterrupted run with a head."""
    out = tmp_path_factory.mktemp("runs") / "whole"
    return train(tiny_corpus(), out, tiny_config(data=LABELLED), progress=False)


def test_a_run_leaves_a_model_with_its_history_and_provenance(whole):
    loaded = load_model(whole)
    assert [t.kind for t in loaded.config.model.head.targets] == ["regression", "classification"]
    assert loaded.model.head.mean[0] > 10
    assert loaded.provenance["finished"]
    assert loaded.provenance["corpus"]["train"] == 160
    assert loaded.provenance["metrics"]["total"] > 0
    assert loaded.provenance["versions"]["torch"] == torch.__version__
    history = read_history(whole / "history.csv")
    assert history["step"] == [4, 6, 8, 12]
    assert history["train_nats_per_token"][-1] < history["train_nats_per_token"][0]
    assert math.isnan(history["validation_total"][0])
    assert history["validation_property"][-1] > 0
    assert all(rate > 0 for i, rate in enumerate(history["molecules_per_second"]) if i != 1)
    assert not (whole / "resume").exists()


def test_the_total_is_the_weighted_sum_of_the_named_terms(whole):
    h = read_history(whole / "history.csv")
    total = h["validation_reconstruction"][-1] + h["validation_kl"][-1]
    assert total + h["validation_property"][-1] == pytest.approx(
        h["validation_total"][-1], rel=1e-6
    )


def test_the_same_seed_gives_the_same_model_and_another_seed_another(whole, tmp_path):
    again = train(tiny_corpus(), tmp_path / "a", tiny_config(data=LABELLED), progress=False)
    assert same_model(whole, again)
    assert same_history(whole, again)
    other = tiny_config(data=LABELLED, run={"seed": 1})
    assert not same_model(whole, train(tiny_corpus(), tmp_path / "b", other, progress=False))


def stop_at(monkeypatch, step, number=signal.SIGTERM):
    """Deliver a signal to ourselves within the given step."""
    original = Trainer.step

    def stepping(self):
        original(self)
        if self.state.step == step:
            signal.raise_signal(number)

    monkeypatch.setattr(trainer_module.Trainer, "step", stepping)


@pytest.mark.parametrize("step", [1, 4, 5, 7, 11])
def test_a_terminated_run_resumes_bit_for_bit(whole, tmp_path, monkeypatch, step):
    out = tmp_path / "cut"
    with monkeypatch.context() as patch:
        stop_at(patch, step)
        with pytest.raises(InterruptedRun, match="--resume") as caught:
            train(tiny_corpus(), out, tiny_config(data=LABELLED), progress=False)
    assert caught.value.exit_code == 143
    load_model(out)  # what there is can be used
    train(tiny_corpus(), out, tiny_config(data=LABELLED), resume=True, progress=False)
    assert same_model(whole, out)
    assert same_history(whole, out)


def test_ctrl_c_saves_and_leaves_with_its_code(tmp_path, monkeypatch):
    stop_at(monkeypatch, 3, signal.SIGINT)
    before = signal.getsignal(signal.SIGINT)
    with pytest.raises(InterruptedRun, match="step 3 of 12") as caught:
        train(tiny_corpus(), tmp_path / "out", tiny_config(), progress=False)
    assert caught.value.exit_code == 130
    assert signal.getsignal(signal.SIGINT) is before


FORKING = """
import os, signal, sys, traceback
from tiny import tiny_config, tiny_corpus
from molvae.training.loop import train
from molvae.training.trainer import Trainer

def in_child(function, *arguments):
    pid = os.fork()  # safe: torch has been imported but has not computed anything here
    if pid == 0:
        try:
            function(*arguments)
            os._exit(0)
        except BaseException:
            traceback.print_exc()
            os._exit(1)
    return pid

def end_of(pid):
    return os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])
"""


def run_python(code: str, *arguments: object) -> None:
    """Run ``code`` in a Python of its own, on one thread, with the helpers of the tests."""
    paths = [str(Path(__file__).parent), str(Path(__file__).parents[1])]
    environment = os.environ | {"PYTHONPATH": os.pathsep.join(paths), "OMP_NUM_THREADS": "1"}
    command = [sys.executable, "-c", FORKING + code, *map(str, arguments)]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr


KILLED = """
def run(out, kill_at):
    step = Trainer.step
    def stepping(self):
        step(self)
        if self.state.step == kill_at:
            os.kill(os.getpid(), signal.SIGKILL)
    Trainer.step = stepping
    config = tiny_config(data={"labels": ["length", "aromatic"]})
    train(tiny_corpus(), out, config, resume=True, progress=False)

for kill_at in (2, 6, 11):
    assert end_of(in_child(run, sys.argv[1], kill_at)) == -signal.SIGKILL
assert end_of(in_child(run, sys.argv[1], 0)) == 0
assert end_of(in_child(run, sys.argv[2], 0)) == 0
"""


@pytest.mark.slow
def test_a_run_killed_again_and_again_is_the_uninterrupted_one(tmp_path):
    outs = tmp_path / "killed", tmp_path / "whole"
    run_python(KILLED, *outs)
    assert same_model(*outs)
    assert same_history(*outs)


def test_a_state_holds_weights_average_and_optimiser(tmp_path, monkeypatch):
    stop_at(monkeypatch, 7)
    out = tmp_path / "out"
    with pytest.raises(InterruptedRun):
        train(tiny_corpus(), out, tiny_config(), progress=False)
    tensors, texts = read_tensors(out / "resume" / "state.safetensors")
    names = set(get_weights(load_model(out).model))
    for prefix in ("model/", "average/", "optimizer/exp_avg/", "optimizer/exp_avg_sq/"):
        assert {k.removeprefix(prefix) for k in tensors if k.startswith(prefix)} == names
    assert json.loads(texts["state"])["step"] == 7


def test_resuming_a_finished_run_does_nothing(whole):
    before = (whole / "model.safetensors").stat().st_mtime_ns
    assert train(tiny_corpus(), whole, resume=True) == whole
    assert (whole / "model.safetensors").stat().st_mtime_ns == before


def test_a_run_never_overwrites_what_is_there(whole, tmp_path):
    with pytest.raises(FileError, match="exists already"):
        train(tiny_corpus(), whole, tiny_config())
    (tmp_path / "notes.txt").write_text("mine")
    with pytest.raises(FileError, match="exists already"):
        train(tiny_corpus(), tmp_path, tiny_config())
    assert load_model(whole).provenance["finished"]


@pytest.fixture
def interrupted(tmp_path, monkeypatch):
    with monkeypatch.context() as patch:
        stop_at(patch, 3)
        with pytest.raises(InterruptedRun):
            train(tiny_corpus(), tmp_path / "out", tiny_config(), progress=False)
    return tmp_path / "out"


def test_resuming_with_other_settings_names_them(interrupted):
    changed = tiny_config(optimiser={"learning_rate": 0.5})
    with pytest.raises(ConfigError, match=r"other settings \(optimiser\.learning_rate\)"):
        train(tiny_corpus(), interrupted, changed, resume=True)


def test_resuming_on_another_corpus_is_refused(interrupted):
    with pytest.raises(InputError, match="another corpus"):
        train(tiny_corpus(n=100), interrupted, resume=True)


def test_starting_anew_over_an_interrupted_run_says_how_to_resume(interrupted):
    with pytest.raises(FileError, match="--resume"):
        train(tiny_corpus(), interrupted, tiny_config())


@pytest.mark.parametrize("damage", ["truncated", "flipped", "missing weight"])
def test_a_damaged_state_is_refused(interrupted, damage):
    from molvae.base.errors import ModelError
    from molvae.training.tensorfile import write_tensors

    file = interrupted / "resume" / "state.safetensors"
    data = bytearray(file.read_bytes())
    if damage == "truncated":
        file.write_bytes(data[:-100])
    elif damage == "flipped":
        data[-50] ^= 1
        file.write_bytes(data)
    else:
        tensors, texts = read_tensors(file)
        tensors.pop("model/bottleneck.project.bias")
        write_tensors(file, tensors, texts)
    with pytest.raises(ModelError, match=r"state\.safetensors"):
        train(tiny_corpus(), interrupted, resume=True, progress=False)


def test_micro_batches_change_memory_not_the_result(tmp_path):
    # Token dropout and noise are drawn per part, so compare with them both off: a posterior of
    # no width has no noise.
    def gradient(micro_batches):
        from molvae.training.devices import make_fabric
        from molvae.training.prepare import prepare

        config = tiny_config(
            model={"token_dropout": 0.0}, optimiser={"micro_batches": micro_batches}
        )
        prepared = prepare(tiny_corpus(), config)
        with torch.no_grad():
            prepared.model.bottleneck.project.bias[4:] = -60.0
            prepared.model.bottleneck.project.weight[4:] = 0.0
        trainer = Trainer(prepared, make_fabric("cpu", "fp32"), tmp_path)
        trainer.step()
        return [p.grad for p in trainer.model.parameters()]

    for one, three in zip(gradient(1), gradient(3), strict=True):
        torch.testing.assert_close(one, three, rtol=1e-4, atol=1e-5)


def test_more_parts_than_molecules_in_a_batch_is_a_clear_error(tmp_path):
    config = tiny_config(optimiser={"batch_size": 4, "micro_batches": 5})
    with pytest.raises(ConfigError, match="batch of 4 molecules cannot be computed in 5 parts"):
        train(tiny_corpus(), tmp_path / "out", config, progress=False)
    assert not (tmp_path / "out").exists()


def test_the_average_of_the_weights_is_what_is_saved(tmp_path, monkeypatch):
    kept = {}
    finish = Trainer.finish

    def finishing(self):
        kept["raw"] = {k: v.clone() for k, v in get_weights(self.model).items()}
        kept["average"] = dict(self.state.average.values)
        finish(self)

    monkeypatch.setattr(Trainer, "finish", finishing)
    config = tiny_config(run={"keep_best": False}, optimiser={"average": 0.9})
    saved = get_weights(load_model(train(tiny_corpus(), tmp_path / "o", config)).model)
    name = "decoder.embedding.weight"
    assert torch.equal(saved[name], kept["average"][name])
    assert not torch.equal(saved[name], kept["raw"][name])


def test_the_gradient_is_clipped(tmp_path, monkeypatch):
    seen = []
    update = torch.optim.AdamW.step

    def stepping(self, *arguments, **options):
        grads = [p.grad for group in self.param_groups for p in group["params"]]
        seen.append(float(torch.cat([g.flatten() for g in grads]).norm()))
        return update(self, *arguments, **options)

    monkeypatch.setattr(torch.optim.AdamW, "step", stepping)
    config = tiny_config(optimiser={"clip_norm": 0.5}, run={"steps": 4})
    out = train(tiny_corpus(), tmp_path / "out", config, progress=False)
    assert max(seen) <= 0.5 * (1 + 1e-5)
    assert read_history(out / "history.csv")["train_gradient_norm"][0] > 0.5


def test_patience_stops_and_the_best_model_is_kept(tmp_path):
    # A learning rate this high makes the validation loss worse after the first evaluations.
    config = tiny_config(
        optimiser={"learning_rate": 0.3, "average": 0.0},
        schedule={"warmup_steps": 0, "decay": "constant"},
        run={"steps": 500, "evaluate_every": 1, "patience": 3},
    )
    out = train(tiny_corpus(), tmp_path / "out", config, progress=False)
    losses = read_history(out / "history.csv")["validation_total"]
    provenance = load_model(out).provenance
    assert len(losses) < 500
    best = int(np.argmin(losses))
    assert best == len(losses) - 1 - 3
    assert provenance["model_step"] == best + 1
    assert provenance["metrics"]["total"] == pytest.approx(losses[best])


def test_patience_without_validation_molecules_is_an_error(tmp_path):
    corpus = corpus_of(sample_smiles(n=40), held_out=0.0)
    with pytest.raises(ConfigError, match=r"run\.patience"):
        train(corpus, tmp_path / "out", tiny_config(run={"patience": 2}))


def test_training_without_validation_molecules_keeps_the_last_model(tmp_path):
    corpus = corpus_of(sample_smiles(n=40), held_out=0.0)
    out = train(corpus, tmp_path / "out", tiny_config(run={"steps": 5}), progress=False)
    assert load_model(out).provenance["model_step"] == 5
    assert not any(name.startswith("validation") for name in read_history(out / "history.csv"))


def test_a_time_limit_ends_the_run_and_the_schedules_with_it(tmp_path, monkeypatch):
    ticks = iter(np.arange(0, 1e4, 1.0))
    monkeypatch.setattr(trainer_module.time, "monotonic", lambda: float(next(ticks)))
    config = tiny_config(run={"steps": 10_000, "minutes": 1.0, "evaluate_every": 1000})
    out = train(tiny_corpus(), tmp_path / "out", config, progress=False)
    history = read_history(out / "history.csv")
    assert 10 < history["step"][-1] < 60
    assert history["kl_weight"][-1] == 1.0
    assert history["learning_rate"][-1] < 0.1 * max(history["learning_rate"])
    assert load_model(out).provenance["finished"]


@pytest.mark.parametrize("term", ["reconstruction", "kl", "property"])
def test_a_loss_that_is_not_finite_names_its_term_and_step_and_keeps_the_last_good_model(
    tmp_path, monkeypatch, term
):
    from molvae.models.vae import SequenceVAE

    losses, calls = SequenceVAE.losses, []

    def poisoned(self, batch, objective, generator, kl_weight=None):
        terms = losses(self, batch, objective, generator, kl_weight)
        calls.append(self.training)
        if sum(calls) == 1 + 5 and self.training:  # the first call asks for the names
            bad = terms.terms[term]
            wrong = type(bad)(bad.raw * math.nan, bad.value * math.nan, bad.weight)
            return type(terms)({**terms.terms, term: wrong}, terms.diagnostics)
        return terms

    monkeypatch.setattr(SequenceVAE, "losses", poisoned)
    config = tiny_config(data=LABELLED)
    with pytest.raises(TrainingError, match=rf"the {term} is not finite at step 5; .*step 4"):
        train(tiny_corpus(), tmp_path / "out", config, progress=False)
    weights = get_weights(load_model(tmp_path / "out").model)
    assert all(bool(value.isfinite().all()) for value in weights.values())


def test_a_loss_found_wrong_too_late_gives_back_the_last_saved_state(tmp_path, monkeypatch):
    # On a GPU the terms are looked at once a line; here a term that the gradient does not see.
    def poisoned(self):
        original(self)
        if self.state.step == 7:
            self.state.table[(7 - 1) % len(self.state.table), 1] = math.inf
            with torch.no_grad():
                self.model.bottleneck.project.bias.fill_(math.nan)

    original = Trainer.step
    monkeypatch.setattr(Trainer, "step", poisoned)
    config = tiny_config(run={"evaluate_every": 100})
    with pytest.raises(TrainingError, match=r"reconstruction is not finite at step 7; .*step 5"):
        train(tiny_corpus(), tmp_path / "out", config, progress=False)
    weights = get_weights(load_model(tmp_path / "out").model)
    assert all(bool(value.isfinite().all()) for value in weights.values())


def test_a_full_disk_leaves_the_former_state(tmp_path, monkeypatch):
    fsync, calls = os.fsync, []

    def full(descriptor):
        calls.append(descriptor)
        if step_reached:
            raise OSError(errno.ENOSPC, "no space")
        fsync(descriptor)

    step_reached = []
    step = Trainer.step

    def stepping(self):
        step(self)
        if self.state.step == 8:
            step_reached.append(8)

    config = tiny_config(run={"evaluate_every": 100})
    with monkeypatch.context() as patch:
        patch.setattr(os, "fsync", full)
        patch.setattr(Trainer, "step", stepping)
        with pytest.raises(FileError, match=r"state\.safetensors: the disk is full"):
            train(tiny_corpus(), tmp_path / "out", config, progress=False)
    assert len(calls) > 1
    whole = train(tiny_corpus(), tmp_path / "whole", config, progress=False)
    train(tiny_corpus(), tmp_path / "out", config, resume=True, progress=False)
    assert same_model(whole, tmp_path / "out")
    assert same_history(whole, tmp_path / "out")


def test_one_molecule_can_be_trained_on(tmp_path):
    corpus = corpus_of(("CCO",), held_out=0.0)
    out = train(corpus, tmp_path / "out", tiny_config(run={"steps": 2}), progress=False)
    assert load_model(out).tokenizer.alphabet == ("[C]", "[O]")


def test_a_corpus_without_training_molecules_is_an_error(tmp_path):
    with pytest.raises(InputError, match="train part is empty"):
        train(corpus_of(("CCO", "CCC"), held_out=1.0), tmp_path / "out", tiny_config())
    assert not (tmp_path / "out").exists()


def test_running_out_of_memory_says_what_to_lower():
    for error in (
        torch.OutOfMemoryError("CUDA out of memory"),
        MemoryError(),
        RuntimeError("DefaultCPUAllocator: can't allocate memory: you tried to allocate"),
    ):
        with (
            pytest.raises(TrainingError, match=r"optimiser\.micro_batches \(now 1\).*256"),
            memory_advice(OptimiserConfig()),
        ):
            raise error
    with pytest.raises(RuntimeError, match="something else"), memory_advice(OptimiserConfig()):
        raise RuntimeError("something else")


def test_bf16_trains_on_the_cpu(tmp_path):
    config = tiny_config(run={"precision": "bf16"}, data=LABELLED)
    out = train(tiny_corpus(), tmp_path / "out", config, progress=False)
    history = read_history(out / "history.csv")
    assert history["train_nats_per_token"][-1] < history["train_nats_per_token"][0]
    assert all(v.dtype != torch.bfloat16 for v in get_weights(load_model(out).model).values())


def test_tensorboard_when_missing_is_a_clear_error(tmp_path, monkeypatch):
    import importlib.util

    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    with pytest.raises(ConfigError, match=r"pip install 'molvae\[tensorboard\]'"):
        train(tiny_corpus(), tmp_path / "out", tiny_config(run={"tensorboard": True}))


def test_tensorboard_gets_the_same_rows(tmp_path):
    pytest.importorskip("tensorboard")
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    config = tiny_config(run={"tensorboard": True})
    out = train(tiny_corpus(), tmp_path / "out", config, progress=False)
    events = EventAccumulator(str(out / "tensorboard")).Reload()
    history = read_history(out / "history.csv")
    shown = [event.value for event in events.Scalars("validation/total")]
    wanted = [value for value in history["validation_total"] if not math.isnan(value)]
    assert shown == pytest.approx(wanted, rel=1e-5)


@pytest.mark.parametrize("device", ["gpu", "cpu:1", "cuda:99", "cuda:x"])
def test_a_device_that_is_not_there_is_an_error(tmp_path, device):
    with pytest.raises(ConfigError, match=r"run\.device"):
        train(tiny_corpus(), tmp_path / "out", tiny_config(run={"device": device}))


PARALLEL = """
def run(out, **environment):
    os.environ.update(environment)
    config = tiny_config(data={"labels": ["length", "aromatic"]}, optimiser={"micro_batches": 2})
    train(tiny_corpus(), out, config, progress=False)

world = dict(WORLD_SIZE="2", LOCAL_WORLD_SIZE="2", MASTER_ADDR="127.0.0.1", GROUP_RANK="0",
             MASTER_PORT=sys.argv[3], TORCHELASTIC_RUN_ID="test")
def rank(i):
    run(sys.argv[2], RANK=i, LOCAL_RANK=i, **world)

assert end_of(in_child(run, sys.argv[1])) == 0
ends = [end_of(pid) for pid in [in_child(rank, "0"), in_child(rank, "1")]]
assert ends == [0, 0]
"""


@pytest.mark.slow
def test_two_processes_train_the_model_of_one(tmp_path):
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    run_python(PARALLEL, tmp_path / "one", tmp_path / "two", port)
    one, two = (get_weights(load_model(tmp_path / name).model) for name in ("one", "two"))
    largest = max(float((one[k] - two[k]).abs().max()) for k in one)
    assert largest < 1e-6
    first, second = (read_history(tmp_path / name / "history.csv") for name in ("one", "two"))
    for name in first.keys() - set(TIMING):
        np.testing.assert_allclose(first[name], second[name], rtol=1e-4, atol=1e-6)
