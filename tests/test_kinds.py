"""Symbols of a kind: relatives that a small step in z may put in each other's place."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from molvae.base.errors import ConfigError
from molvae.chem.tokenizer import Tokenizer
from molvae.models.objective import ObjectiveConfig, Role, SymbolRoles, weighted
from molvae.training.roles import kinds_of

SMILES = ["CCO", "c1ccncc1", "CC(=O)N", "FCCCl", "CC#N", "C[N+](C)(C)C", "O=CCCBr", "C=C=CC"]


def test_atoms_are_of_a_kind_by_their_bond_and_by_what_can_follow_them() -> None:
    tokenizer = Tokenizer.from_smiles(SMILES)
    place = {symbol: i for i, symbol in enumerate(tokenizer.alphabet, tokenizer.first_id)}
    followed, ending = kinds_of(tokenizer.grammar)

    def alike(kinds: np.ndarray, symbol: str) -> set[str]:
        return {other for other, i in place.items() if kinds[i] == kinds[place[symbol]]}

    assert alike(followed, "[C]") == {"[C]", "[O]", "[N]", "[N+1]"}
    assert alike(followed, "[F]") == {"[F]", "[Cl]", "[Br]"}
    assert alike(followed, "[=C]") == {"[=C]", "[=N]"}
    assert alike(followed, "[=O]") == {"[=O]"}
    assert alike(ending, "[F]") == {"[F]", "[Cl]", "[Br]", "[C]", "[O]", "[N]", "[N+1]"}
    assert alike(ending, "[=C]") == {"[=C]", "[=N]", "[=O]"}
    for kinds in (followed, ending):
        assert alike(kinds, "[Ring1]") == {"[Ring1]"}
        assert len({int(kinds[i]) for i in range(tokenizer.first_id)}) == tokenizer.first_id
        assert not {int(kind) for kind in kinds[: tokenizer.first_id]} & {
            int(kinds[i]) for i in place.values()
        }


KINDS = torch.tensor([[0, 1, 1, 2], [0, 1, 1, 1]])
SYMBOLS = torch.tensor([1, 1, 1, 0])
ROLES = torch.tensor([Role.ATOM, Role.TERMINAL, Role.STRUCTURAL, Role.ATOM])


def costs(config: ObjectiveConfig, step: float = 0.0) -> tuple[torch.Tensor, torch.Tensor]:
    logits = torch.tensor([[0.1, 0.4, 0.3, 0.2]]).log().expand(4, -1)
    nats = -logits.gather(1, SYMBOLS[:, None])[:, 0]
    told = SymbolRoles(ROLES, torch.full((4,), step), KINDS)
    return weighted(nats, logits, SYMBOLS, told, config), nats


def test_a_kind_is_as_likely_as_all_of_its_symbols() -> None:
    found, nats = costs(ObjectiveConfig(kind_weight=3.0))
    of_kind = -torch.tensor([0.7, 0.9, 0.4, 0.1]).log()
    torch.testing.assert_close(found, (nats + 3 * of_kind) / 4)


def test_far_away_an_atom_at_an_end_need_only_be_an_atom() -> None:
    config = ObjectiveConfig(kind_weight=3.0, terminal_step=1.0)
    near, nats = costs(config, 1.0)
    assert torch.equal(near, costs(config, 0.0)[0])
    far = costs(config, 1.1)[0]
    near[1] = -np.log(0.9)
    torch.testing.assert_close(far, near)
    assert far[1] < nats[1]


def test_how_far_an_atom_at_an_end_is_itself_takes_a_weight_of_kinds() -> None:
    with pytest.raises(ConfigError, match="set kind_weight as well"):
        ObjectiveConfig.parse({"terminal_step": 1.0}, where="objective")


def test_weights_of_roles_stay_beside_those_of_kinds_and_are_one_on_average() -> None:
    config = ObjectiveConfig(structure_weight=4.0, terminal_weight=0.5)
    found, nats = costs(config)
    weights = torch.tensor([1.0, 0.5, 4.0, 1.0])
    torch.testing.assert_close(found, nats * weights / weights.mean())
    both = costs(config.model_copy(update={"kind_weight": 2.0}))[0]
    of_kind = -torch.tensor([0.7, 0.9, 0.4, 0.1]).log()
    torch.testing.assert_close(both, (nats * weights + 2 * of_kind) / (weights.mean() + 2))


@pytest.mark.parametrize("kind_weight", [0.0, 2.0])
def test_the_gradient_is_finite_where_a_kind_is_sure(kind_weight: float) -> None:
    logits = torch.tensor([[-80.0, 60.0, 50.0, -90.0]]).requires_grad_()
    symbols = torch.tensor([2])
    nats = torch.nn.functional.cross_entropy(logits, symbols, reduction="none")
    told = SymbolRoles(torch.tensor([Role.ATOM]), torch.zeros(1), KINDS)
    cost = weighted(nats, logits, symbols, told, ObjectiveConfig(kind_weight=kind_weight))
    cost.sum().backward()
    assert logits.grad is not None
    assert torch.isfinite(logits.grad).all()
    assert float(logits.grad[0, 2]) < 0 < float(logits.grad[0, 1])
