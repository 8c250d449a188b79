"""Relatives of molecules in training: the same but for one atom at an end."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch
from rdkit import Chem

from molvae.base.errors import ConfigError
from molvae.chem.tokenizer import Tokenizer
from molvae.models.batch import Batch
from molvae.models.bottleneck import Posterior
from molvae.models.objective import ObjectiveConfig
from molvae.models.packing import Packing
from molvae.models.presets import preset
from molvae.models.relatives import relatives, swapped
from molvae.models.vae import SequenceVAE
from molvae.training.roles import kinds_of, roles_and_hosts

SMILES = ["CC(F)CO", "c1ccccc1", "CC(=O)N", "FCCCl", "O=C1CCC1", "CCCCBr", "N#CC1CC1"]


@pytest.fixture(scope="module")
def told() -> tuple[Tokenizer, Batch]:
    tokenizer = Tokenizer.from_smiles(SMILES)
    return tokenizer, told_of(tokenizer, SMILES)


def told_of(tokenizer: Tokenizer, smiles: list[str]) -> Batch:
    """The molecules with roles, hosts and kinds."""
    batch = Batch.collate([tokenizer.encode_one(one) for one in smiles])
    roles, hosts = map(
        torch.from_numpy,
        roles_and_hosts(batch.tokens.numpy(), batch.lengths.numpy() - 2, tokenizer.grammar),
    )
    kinds = torch.from_numpy(kinds_of(tokenizer.grammar))
    return replace(batch, roles=roles, hosts=hosts, kinds=kinds)


def exchanged(batch: Batch, seed: int) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    """The symbols before and after, padded as in the batch, and which rows have a relative."""
    packing = Packing.of(batch.lengths - 1)
    other, some = relatives(packing, batch, torch.Generator().manual_seed(seed))
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
    # Either end, to every other atom that hangs on a carbon there: methyl begins molecules alone.
    expected = {f"FCC{x}" for x in ["F", "Cl", "Br", "O", "N"]} | {f"{x}CCCl" for x in "FC"}
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
    batch = told_of(tokenizer, chains)
    last = int(batch.lengths[0]) - 3
    found = torch.cat([exchanged(batch, seed)[1][:9, last] for seed in range(300)])
    place = tokenizer.encode_one("CCF")[-1]
    assert float((found == int(place)).float().mean()) == pytest.approx(2 / 3, abs=0.03)


def test_an_atom_is_put_only_where_the_like_hangs_in_the_batch() -> None:
    smiles = ["C1CC1NC", "C1CC1CF", "C1CC1CCl", "C1CC1N(C)C", "C1CC1OC(N)C"]
    tokenizer = Tokenizer.from_smiles(smiles)
    batch = told_of(tokenizer, smiles)
    found = set()
    for seed in range(40):
        _, after, _ = exchanged(batch, seed)
        rows = [row[:n].numpy() for row, n in zip(after, batch.lengths - 2, strict=True)]
        found |= {Chem.CanonSmiles(one) for one in tokenizer.decode(rows)}
    new = found - {Chem.CanonSmiles(one) for one in smiles}
    # Methyl alone hangs on nitrogen; fluorine, chlorine, nitrogen and methyl on carbon.
    expected = {f"C1CC1C{x}" for x in ["F", "Cl", "C", "N"]}
    expected |= {f"C1CC1OC({x})C" for x in ["F", "Cl", "C"]}
    expected |= {f"C1CC1OC(N){x}" for x in ["F", "Cl", "N"]}
    assert new == {Chem.CanonSmiles(x) for x in expected} - {
        Chem.CanonSmiles(one) for one in smiles
    }


def test_relatives_stand_in_for_a_share_of_the_molecules_and_the_molecules_for_theirs(
    told: tuple[Tokenizer, Batch],
) -> None:
    _, batch = told
    batch = replace(batch, labels=torch.ones(len(batch), 2), conditions=torch.ones(len(batch), 1))
    packing = Packing.of(batch.lengths - 1)
    replaced = 0
    for seed in range(200):
        generator = torch.Generator().manual_seed(seed)
        other, some = relatives(packing, batch, generator)
        mine, theirs = swapped(packing, batch, other, some, 0.25, generator)
        own = packing.pack(batch.tokens[:, 1:])
        new = packing.pack(mine.tokens[:, 1:])
        changed = packing.sum_rows((own != new).float()).bool()
        here = changed[packing.row]
        assert torch.equal(new, torch.where(here, other, own))
        assert torch.equal(theirs, torch.where(here, own, other))
        assert torch.equal(mine.tokens[:, 0], batch.tokens[:, 0])
        assert mine.labels is not None
        assert mine.conditions is not None
        # What is known of a molecule is not known of its relative.
        assert torch.equal(mine.labels.isnan().all(1), changed)
        assert torch.equal(mine.conditions.isnan().all(1), changed)
        replaced += int(changed.sum())
    assert replaced / (200 * int(some.sum())) == pytest.approx(0.25, abs=0.04)


def test_molecules_are_judged_as_they_are_and_learnt_as_relatives(
    told: tuple[Tokenizer, Batch], monkeypatch: pytest.MonkeyPatch
) -> None:
    _, batch = told
    model = SequenceVAE(preset("tiny"), vocab_size=40, max_length=20)
    objective = ObjectiveConfig(relative_weight=1.0, relative_share=1.0)
    read: list[torch.Tensor] = []
    posterior = model._posterior

    def noted(packing: Packing, symbols: torch.Tensor, *rest: object) -> Posterior:
        read.append(symbols)
        return posterior(packing, symbols, *rest)

    monkeypatch.setattr(model, "_posterior", noted)
    for training in (True, False):
        read.clear()
        model.train(training).losses(batch, objective, torch.Generator().manual_seed(0))
        own = Packing.of(batch.lengths - 1).pack(batch.tokens[:, 1:])
        assert torch.equal(read[int(training)], own)
        assert not torch.equal(read[int(not training)], own)


def test_a_share_of_relatives_without_a_distance_is_refused() -> None:
    with pytest.raises(ConfigError, match="set relative_weight"):
        ObjectiveConfig.parse({"relative_share": 0.5})


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
    batch = replace(batch, roles=roles, hosts=torch.zeros_like(batch.tokens), kinds=whole.kinds)
    terms = model.losses(batch, objective, generator)
    assert float(terms.terms["relatives"].value.detach()) == 0
    terms.total.backward()
    assert all(bool(torch.isfinite(p.grad).all()) for p in model.parameters() if p.grad is not None)
