"""Relatives of molecules in training: the same but for one atom at an end."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from rdkit import Chem

from molvae.chem.tokenizer import Tokenizer
from molvae.models.batch import Batch
from molvae.models.objective import ObjectiveConfig
from molvae.models.packing import Packing
from molvae.models.presets import preset
from molvae.models.relatives import relatives
from molvae.models.vae import SequenceVAE
from molvae.training.roles import kinds_of, roles_of

SMILES = ["CC(F)CO", "c1ccccc1", "CC(=O)N", "FCCCl", "O=C1CCC1", "CCCCBr", "N#CC1CC1"]


@pytest.fixture(scope="module")
def told() -> tuple[Tokenizer, Batch]:
    tokenizer = Tokenizer.from_smiles(SMILES)
    batch = Batch.collate([tokenizer.encode_one(one) for one in SMILES])
    roles = roles_of(batch.tokens.numpy(), batch.lengths.numpy() - 2, tokenizer.grammar)
    kinds = torch.from_numpy(kinds_of(tokenizer.grammar))
    return tokenizer, Batch(batch.tokens, batch.lengths, roles=torch.from_numpy(roles), kinds=kinds)


def exchanged(batch: Batch, seed: int) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    """The symbols before and after, padded as in the batch, and which rows have a relative."""
    assert batch.roles is not None
    assert batch.kinds is not None
    packing = Packing.of(batch.lengths - 1)
    symbols, roles = (packing.pack(x[:, 1:]) for x in (batch.tokens, batch.roles))
    generator = torch.Generator().manual_seed(seed)
    other, some = relatives(packing, symbols, roles, batch.kinds, generator)
    after = torch.zeros_like(batch.tokens[:, 1:])
    after[packing.row, packing.step] = other
    return batch.tokens[:, 1:], after, some


def test_a_relative_has_one_other_atom_of_the_kind_at_an_end(
    told: tuple[Tokenizer, Batch],
) -> None:
    tokenizer, batch = told
    assert batch.roles is not None
    assert batch.kinds is not None
    seen: dict[str, set[str]] = {}
    for seed in range(60):
        before, after, some = exchanged(batch, seed)
        changed = before != after
        assert (changed.sum(1) == some).all()
        assert (batch.roles[:, 1:][changed] == 1).all()
        kinds = batch.kinds[1]
        assert (kinds[before[changed]] == kinds[after[changed]]).all()
        for row, symbols in enumerate(after):
            text = tokenizer.decode([symbols[: batch.lengths[row] - 2].numpy()])[0]
            seen.setdefault(SMILES[row], set()).add(text)
    # Either end, to every other atom that stands at ends.
    at_ends = ["F", "Cl", "Br", "C", "O", "N"]
    expected = {f"FCC{x}" for x in at_ends} | {f"{x}CCCl" for x in at_ends}
    assert {Chem.CanonSmiles(x) for x in seen["FCCCl"]} == {
        Chem.CanonSmiles(x) for x in expected - {"FCCCl"}
    }
    assert len(seen["c1ccccc1"]) == 1  # no ends


def test_the_common_is_put_in_more_often_than_the_rare_by_the_root_of_how_often(
    told: tuple[Tokenizer, Batch],
) -> None:
    tokenizer, _ = told
    # Ring closures: so the first atom is at no end.
    chains = ["C1CC1C"] * 9 + ["C1CC1F"] * 4 + ["C1CC1Br"]
    rows = [tokenizer.encode_one(one) for one in chains]
    batch = Batch.collate(rows)
    roles = roles_of(batch.tokens.numpy(), batch.lengths.numpy() - 2, tokenizer.grammar)
    kinds = torch.from_numpy(kinds_of(tokenizer.grammar))
    batch = Batch(batch.tokens, batch.lengths, roles=torch.from_numpy(roles), kinds=kinds)
    last = int(batch.lengths[0]) - 3
    found = torch.cat([exchanged(batch, seed)[1][:9, last] for seed in range(300)])
    place = tokenizer.encode_one("CCF")[-1]
    assert float((found == int(place)).float().mean()) == pytest.approx(2 / 3, abs=0.03)


def test_training_brings_relatives_to_their_distance(told: tuple[Tokenizer, Batch]) -> None:
    _, batch = told
    config = preset("tiny").model_copy(update={"window": 1, "window_dim": 4, "latent_dim": 0})
    model = SequenceVAE(config, vocab_size=40, max_length=20)
    objective = ObjectiveConfig(relative_weight=1.0, relative_distance=3.0, kl_weight=0.0)
    optimiser = torch.optim.Adam(
        [*model.encoder.parameters(), *model.bottleneck.parameters()], 0.01
    )
    generator = torch.Generator().manual_seed(0)
    apart = []
    for _ in range(80):
        terms = model.losses(batch, objective, generator)
        optimiser.zero_grad()
        terms.total.backward()
        optimiser.step()
        apart.append(float(terms.terms["relatives"].raw))
    assert np.mean(apart[:3]) < 2
    assert np.mean(apart[-10:]) == pytest.approx(3.0, abs=0.4)


def test_a_batch_without_relatives_costs_nothing(told: tuple[Tokenizer, Batch]) -> None:
    tokenizer, whole = told
    batch = Batch.collate([tokenizer.encode_one("c1ccccc1")] * 2)
    objective = ObjectiveConfig(relative_weight=1.0)
    model = SequenceVAE(preset("tiny"), vocab_size=40, max_length=20)
    generator = torch.Generator().manual_seed(0)
    assert "relatives" not in model.losses(batch, objective, generator).terms  # none is told
    roles = torch.zeros_like(batch.tokens, dtype=torch.uint8)
    batch = Batch(batch.tokens, batch.lengths, roles=roles, kinds=whole.kinds)
    terms = model.losses(batch, objective, generator)
    assert float(terms.terms["relatives"].value.detach()) == 0
    terms.total.backward()
    assert all(bool(torch.isfinite(p.grad).all()) for p in model.parameters() if p.grad is not None)
