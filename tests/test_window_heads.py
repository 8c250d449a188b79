"""Property heads that read the windows of z wherever they stand."""

from __future__ import annotations

from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor

from molvae.base.errors import ConfigError
from molvae.datasets.corpus import build_corpus
from molvae.datasets.options import CorpusOptions
from molvae.generator import load
from molvae.models.batch import Batch
from molvae.models.config import HeadConfig, ModelConfig, Target
from molvae.models.heads import PropertyHead
from molvae.models.objective import ObjectiveConfig
from molvae.models.vae import SequenceVAE
from molvae.models.windows import Windows
from molvae.training.config import OptimiserConfig, TrainConfig
from molvae.training.head import CHANNELS, Examples, fit_head, fit_to_latents
from molvae.training.loop import train

SIZES = Windows(count=12, size=2, width=4, rest=3)
LABEL = Target(name="y")
LOCAL = ModelConfig(
    embedding_dim=8, encoder_hidden=12, decoder_hidden=16, latent_dim=3, window=2, window_dim=4
)


def seeded(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def make(members: int = 1, channels: tuple[int, ...] = (6, 5)) -> PropertyHead:
    config = HeadConfig(targets=(LABEL,), hidden=(7,), channels=channels, members=members)
    head = PropertyHead(SIZES, config, seeded())
    for weight in head.parameters():  # the last layer is small at first, and biases are zero
        weight.data += 0.3 * torch.randn(weight.shape, generator=seeded(weight.numel()))
    return head


def latents(lengths: list[int], seed: int = 1) -> Tensor:
    """Latents of molecules that reach into so many windows, ``(n, d)``."""
    z = torch.randn(len(lengths), SIZES.dim, generator=seeded(seed))
    return SIZES.reached(z, torch.tensor(lengths) * SIZES.size - 1)


def shifted(z: Tensor, by: int) -> Tensor:
    cut = SIZES.count * SIZES.width
    return torch.cat([z[:, :cut].roll(by * SIZES.width, 1), z[:, cut:]], 1)


@pytest.mark.parametrize("members", [1, 3])
@torch.no_grad()
def test_a_group_counts_alike_wherever_it_stands(members: int) -> None:
    head = make(members)
    z = shifted(latents([4, 3]), 2)  # neighbours of zeros at both ends
    here, there = head.predict(z), head.predict(shifted(z, 4))
    torch.testing.assert_close(here.values, there.values)
    torch.testing.assert_close(here.std, there.std)
    apart = z.clone()
    apart[:, : SIZES.width * 4] = apart[:, : SIZES.width * 4].flip(1)
    assert float((head.predict(apart).values - here.values).abs().min()) > 1e-4


@torch.no_grad()
def test_a_prediction_does_not_depend_on_the_molecules_beside_it() -> None:
    head, z = make(3), latents([2, 12, 7, 0])
    together = head.predict(z)
    alone = [head.predict(row[None]) for row in z]
    torch.testing.assert_close(together.values, torch.cat([one.values for one in alone]))
    assert bool(together.values.isfinite().all())


def test_an_ensemble_is_its_members_side_by_side() -> None:
    many, z = make(4), latents([5, 12, 3])
    noise = torch.randn(4, *z.shape, generator=seeded(2)) * (z != 0)
    for own in (z.expand(4, -1, -1), z + noise):  # all see the same, or each its own draw
        means, _ = many(own)
        for member in range(4):
            one = make()
            for mine, theirs in zip(one.parameters(), many.parameters(), strict=True):
                mine.data = theirs.data[member]
            torch.testing.assert_close(one(own[member])[0], means[member])
    torch.testing.assert_close(many(z)[0], many(z.expand(4, -1, -1))[0])


@pytest.mark.parametrize("members", [1, 3])
@torch.no_grad()
def test_folding_the_inputs_scale_into_the_weights_changes_no_prediction(members: int) -> None:
    head, z = make(members), 5 * latents([12, 6, 9, 3]) + 0.0
    centre, spread = head.input_scale(z, torch.full_like(z, 0.5) * (z != 0))
    local = spread[: SIZES.count * SIZES.width].reshape(SIZES.count, SIZES.width)
    assert all(torch.equal(a, b) for a, b in pairwise(local))  # one scale for all windows
    before = head.predict((z - centre) / spread)
    head.fold_inputs(centre, spread)
    after = head.predict(z)
    torch.testing.assert_close(after.values, before.values)
    torch.testing.assert_close(after.std, before.std)


def counted(n: int, seed: int) -> Examples:
    """Molecules whose label is the number of their windows that begin above one."""
    lengths = torch.randint(1, SIZES.count + 1, (n,), generator=seeded(seed)).tolist()
    mean = latents(lengths, seed + 100)
    label = (SIZES.local(mean)[..., 0] > 1).sum(1, keepdim=True).float()
    return Examples(mean, torch.where(mean != 0, -6.0, 0.0), label)


def test_what_may_stand_anywhere_is_learnt_from_fewer_molecules() -> None:
    parts, test = (counted(400, 1), counted(100, 2)), counted(1000, 3)
    settings = OptimiserConfig(batch_size=64, learning_rate=0.01)
    error = {}
    for channels in ((), (16, 16)):
        config = HeadConfig(targets=(LABEL,), hidden=(32,), channels=channels, members=2)
        head = fit_to_latents(config, SIZES, *parts, settings, epochs=40, progress=False)
        found = head.predict(test.mean)
        error[channels] = float((found.values - test.labels).square().mean().sqrt())
    spread = float(test.labels.std())
    assert error[16, 16] < 0.7 * spread
    assert error[16, 16] < 0.8 * error[()]


def test_channels_without_windows_are_refused() -> None:
    head = {"targets": [{"name": "y"}], "channels": [8]}
    with pytest.raises(ConfigError, match="read windows, and there are none"):
        ModelConfig().replace(head=head)


def test_a_head_that_learns_along_sees_no_noise_beyond_a_molecules_end() -> None:
    head = HeadConfig(targets=(LABEL,), hidden=(6,))
    model = SequenceVAE(LOCAL.replace(head=head.to_dict()), vocab_size=12, max_length=9)
    batch = Batch.collate([[5, 6, 7], [8]], labels=np.array([[1.0], [2.0]], np.float32))
    model.losses(batch, ObjectiveConfig(), seeded()).terms["property"].value.backward()
    assert model.head is not None
    gradient = model.head.layers[0].weight.grad
    assert isinstance(gradient, Tensor)
    read = gradient[:, : 5 * 4].reshape(-1, 5, 4).abs().sum((0, 2)) > 0
    assert read.tolist() == [True, True, False, False, False]


def test_heads_of_models_with_windows_read_them_and_are_kept(tmp_path: Path) -> None:
    molecules = [f"{'C' * i}{end}" for end in ("CO", "CN", "c1ccccc1", "CCl") for i in range(10)]
    table = tmp_path / "table.csv"
    rows = [f"{text},{len(text)}" for text in molecules]
    table.write_text("\n".join(["smiles,y", *rows]) + "\n")
    labels = CorpusOptions(labels=("y",))
    corpus = build_corpus(table, tmp_path / "corpus", options=labels, workers=1)
    run = {"steps": 2}
    start = train(corpus, tmp_path / "model", TrainConfig.parse({"model": LOCAL, "run": run}))
    settings = TrainConfig.parse({"data": {"labels": ["y"]}, "run": {"epochs": 3}})
    made = load(fit_head(corpus, tmp_path / "head", settings, start=start), "cpu")
    assert made.model.config.head is not None
    assert made.model.config.head.channels == CHANNELS
    predicted = made.predict(molecules[:5])["y"]
    further = {
        "data": {"labels": ["y"]},
        "run": run,
        "schedule": {"encoder": 0},
        "objective": {"property_weight": 0.0},
        "optimiser": {"weight_decay": 0.0},
    }
    fine = train(corpus, tmp_path / "fine", TrainConfig.parse(further), start=tmp_path / "head")
    tuned = load(fine, "cpu")
    assert tuned.model.config.head == made.model.config.head
    np.testing.assert_allclose(tuned.predict(molecules[:5])["y"], predicted, rtol=1e-4)
