"""Local latents, forgetting, and the priors that build on them."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from rdkit import Chem
from tiny import sample_smiles

from molvae.base.errors import ConfigError
from molvae.chem.tokenizer import Tokenizer
from molvae.datasets.corpus import Corpus, build_corpus
from molvae.datasets.sources import Source
from molvae.generator import Generator
from molvae.models.batch import Batch
from molvae.models.config import ModelConfig, PriorConfig
from molvae.models.objective import ObjectiveConfig, Role
from molvae.models.packing import Packing
from molvae.models.prior import Blank
from molvae.models.sampling import SamplingOptions, generate
from molvae.models.vae import SequenceVAE
from molvae.models.windows import Windows, forget
from molvae.training.batches import Molecules
from molvae.training.checkpoint import load_model
from molvae.training.config import TrainConfig
from molvae.training.loop import train
from molvae.training.prior import fit_prior, with_prior
from molvae.training.roles import roles_and_hosts

LOCAL = ModelConfig(
    embedding_dim=8,
    encoder_hidden=12,
    decoder_hidden=16,
    latent_dim=3,
    window=2,
    window_dim=4,
    forget=0.5,
)
VOCAB, MAX_LENGTH = 12, 9
SMILES = ["CCO", "c1ccccc1", "CC(=O)N", "CCN(C)C", "C1CCCCC1O", "CC(C)=O", "OCCO", "CCCl"]


def make(config: ModelConfig = LOCAL) -> SequenceVAE:
    return SequenceVAE(config, VOCAB, MAX_LENGTH)


def seeded(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


@pytest.fixture(scope="module")
def corpus(tmp_path_factory: pytest.TempPathFactory) -> Corpus:
    molecules = [f"{'C' * i}{s}" for s in SMILES for i in range(6)]
    return build_corpus(Source.molecules(molecules), tmp_path_factory.mktemp("corpus"), workers=1)


def test_windows_cover_the_longest_molecule_and_its_end() -> None:
    assert Windows.of(max_length=9, size=2, width=4, rest=3) == Windows(5, 2, 4, 3)
    assert Windows.of(max_length=10, size=2, width=4, rest=3).count == 6
    assert make().latent_dim == 5 * 4 + 3


def test_windows_that_a_molecule_does_not_reach_are_the_prior() -> None:
    model = make()
    batch = Batch.collate([[5, 6, 7, 8, 9], [5]])  # with the end 6 and 2 symbols: 3 and 1 windows
    posterior = model.encode(batch.tokens, batch.lengths)
    kl = model.windows.local(posterior.kl()).sum(-1)
    assert (kl > 0).tolist() == [[True, True, True, False, False], [True] + [False] * 4]
    assert not model.windows.local(posterior.mean)[1, 1:].any()


def test_greedy_writing_follows_the_logits_window_by_window() -> None:
    model = make()
    z = torch.randn(6, model.latent_dim, generator=seeded())
    written = generate(model, z, SamplingOptions(strategy="greedy")).rows()
    batch = Batch.collate(written)
    logits = model.logits(batch.tokens, batch.lengths, z)
    logits[:, 0, model.end_id] = -torch.inf
    logits[:, :, [model.pad_id, model.start_id]] = -torch.inf
    best = logits.argmax(-1)
    for row, symbols in enumerate(written):
        assert best[row, : len(symbols)].tolist() == symbols


def test_writing_goes_on_beyond_the_last_window() -> None:
    model = make()
    model.decoder.output.bias.data[model.end_id] = -50
    z = torch.randn(3, model.latent_dim, generator=seeded())
    assert generate(model, z, SamplingOptions(max_length=30)).lengths.tolist() == [30, 30, 30]


def test_forgetting_takes_whole_windows_of_the_share_of_molecules() -> None:
    windows = Windows(count=6, size=2, width=3, rest=2)
    z = torch.ones(4000, windows.dim)
    symbols = torch.full((4000,), 10)
    left, whole = forget(z, windows, symbols, (0.5, 0.15, 0.0), seeded())
    local = windows.local(left)
    assert torch.equal(local.amin(-1), local.amax(-1))  # a window goes as a whole
    untouched = float((left == 1).all(1).float().mean())
    nothing = float((left == 0).all(1).float().mean())
    assert untouched == pytest.approx(0.5 + 0.5 * 0.85 / 8, abs=0.03)  # rates near 0 spare all
    assert nothing == pytest.approx(0.5 * (0.15 + 0.85 / 8), abs=0.03)
    assert float(whole.float().mean()) == pytest.approx(0.5, abs=0.03)
    assert bool((left[whole] == 1).all())
    assert torch.equal(forget(z, windows, symbols, (0.0, 0.15, 0.0), seeded())[0], z)


def test_forgetting_the_end_keeps_a_beginning_of_every_length() -> None:
    windows = Windows(count=6, size=2, width=1, rest=0)
    z = torch.ones(4000, windows.dim)
    symbols = torch.full((4000,), 6)  # with the end, 4 of the 6 windows
    left, _ = forget(z, windows, symbols, (1.0, 0.0, 1.0), seeded())
    assert bool((left[:, 1:] <= left[:, :-1]).all())  # never a gap
    kept = torch.bincount(left.sum(1).long(), minlength=7) / 4000
    assert kept.tolist() == pytest.approx([0.25, 0.25, 0.25, 0.25, 0, 0, 0], abs=0.03)


def test_only_training_forgets() -> None:
    model = make()
    batch = Batch.collate([[5, 6, 7], [8, 9]])

    def loss() -> float:
        return float(model.losses(batch, ObjectiveConfig(kl_weight=0), seeded(1)).total)

    forgetful = loss()
    model.eval()
    assert loss() != forgetful


def test_noise_is_for_training_alone() -> None:
    batch = Batch.collate([[5, 6, 7, 8, 9, 10]] * 64)

    def losses(**config: float) -> tuple[float, float]:
        model = make(LOCAL.replace(**{"forget": 0.0, **config}))
        # The untrained decoder hardly listens to z: let it.
        model.decoder.layers[0].weight_context.data.mul_(20)

        def loss() -> float:
            terms = model.losses(batch, ObjectiveConfig(kl_weight=0), seeded(1))
            return float(terms.total.detach())

        return loss(), (model.eval(), loss())[1]

    learning, judged = losses()
    for noise in ({"latent_noise": 2.0}, {"token_noise": 0.5}):
        noisy = losses(**noise)
        assert noisy[0] != pytest.approx(learning), noise
        assert noisy[1] == judged, noise


def test_token_noise_shows_other_symbols_of_the_batch_and_never_another_start() -> None:
    model = make(LOCAL.replace(forget=0.0, token_noise=0.5))
    batch = Batch.collate([[5, 6, 7, 8], [5, 6]])
    packing = Packing.of(batch.lengths - 1)
    tokens = packing.pack(batch.tokens)
    whole = torch.tensor([True, False])
    shown = model.train()._mistaken(packing, tokens, whole, seeded(3))
    row = packing.row
    assert torch.equal(shown[: packing.counts[0]], tokens[: packing.counts[0]])
    assert torch.equal(shown[row == 1], tokens[row == 1])
    assert not torch.equal(shown[row == 0], tokens[row == 0])
    assert set(shown.tolist()) <= set(tokens.tolist())


def test_rings_and_branches_with_their_indices_and_the_atoms_at_ends_are_told_apart() -> None:
    smiles = ["c1ccccc1", "CC(=O)N", "CC(CC(F)Cl)(O)c1ccccc1", "CC(" + 17 * "C" + "O)N"]
    tokenizer = Tokenizer.from_smiles(smiles)
    encoded = [tokenizer.encode_one(text) for text in smiles]
    ids, sizes = np.concatenate(encoded), [len(row) for row in encoded]
    molecules = Molecules(
        tokens=ids,
        offsets=np.cumsum([0, *sizes]),
        labels=np.zeros((4, 0), np.float32),
        ids=np.arange(tokenizer.vocab_size),
        grammar=tokenizer.grammar,
    )
    batch = molecules.batch(np.arange(4))
    assert batch.roles is not None
    names = ["", "", "", *tokenizer.alphabet]

    def marked(wanted: Role) -> list[str]:
        return [
            " ".join(names[i] for i, role in zip(row, roles, strict=True) if role == wanted)
            for row, roles in zip(batch.tokens.tolist(), batch.roles.tolist(), strict=True)
        ]

    assert marked(Role.STRUCTURAL)[:2] == ["[Ring1] [=Branch1]", "[=Branch1] [C]"]
    assert marked(Role.TERMINAL) == ["", "[C] [=O] [N]", "[C] [F] [Cl] [O]", "[C] [O] [N]"]


@pytest.mark.parametrize("name", ["moses_2000", "zinc250k_2000"])
def test_an_atom_with_one_neighbour_is_at_an_end_and_hangs_on_it(name: str) -> None:
    # Spelt from any atom, so that the first may be in a ring or in the middle of a chain.
    rng = np.random.default_rng(0)
    molecules = [Chem.MolFromSmiles(smiles) for smiles in sample_smiles(name, 600)]
    texts = [
        Chem.MolToSmiles(mol, rootedAtAtom=int(rng.integers(mol.GetNumAtoms())))
        for mol in molecules
    ]
    tokenizer = Tokenizer.from_smiles(texts)
    batch = Batch.collate([tokenizer.encode_one(text) for text in texts])
    tokens, lengths = batch.tokens.numpy(), batch.lengths.numpy() - 2
    roles, hosts = roles_and_hosts(tokens, lengths, tokenizer.grammar)
    firsts = []
    for row, text in enumerate(texts):
        # Symbols name atoms in the order of the text.
        places = 1 + np.flatnonzero(roles[row, 1 : lengths[row] + 1] != Role.STRUCTURAL)
        atoms = Chem.MolFromSmiles(text).GetAtoms()
        assert len(places) == len(atoms)
        for atom, place in zip(atoms, places, strict=True):
            if atom.GetDegree() != 1:
                continue
            assert roles[row, place] == Role.TERMINAL
            on = tokens[row, places[atom.GetNeighbors()[0].GetIdx()]]
            assert hosts[row, place] == on + len(tokenizer.grammar.bonds) * (atom.GetIdx() == 0)
        firsts.append(atoms[0].GetDegree() == 1)
    hanging = np.array(firsts)
    assert 0.1 < hanging.mean() < 0.9
    assert ((roles[:, 1] == Role.TERMINAL) == hanging).all()


@pytest.mark.parametrize(
    ("role", "heavy"),
    [
        (Role.STRUCTURAL, ObjectiveConfig(structure_weight=5.0)),
        (Role.TERMINAL, ObjectiveConfig(terminal_weight=0.2)),
    ],
)
def test_roles_weigh_while_the_encoder_learns_and_the_log_stays_plain(
    role: Role, heavy: ObjectiveConfig
) -> None:
    model = make(LOCAL.replace(forget=0))
    batch = Batch.collate([[5, 6, 7], [8, 9]])
    marked = Batch(batch.tokens, batch.lengths, None, (batch.tokens == 6).long() * role)
    plain = ObjectiveConfig()

    def reconstruction(b: Batch, objective: ObjectiveConfig) -> tuple[float, float]:
        term = model.losses(b, objective, seeded(1)).terms["reconstruction"]
        return float(term.raw), float(term.value.detach())

    raw, value = reconstruction(marked, plain)
    assert raw == pytest.approx(value)
    heavy_raw, heavy_value = reconstruction(marked, heavy)
    assert heavy_raw == pytest.approx(raw)
    assert heavy_value != pytest.approx(raw)
    assert reconstruction(batch, heavy)[1] == pytest.approx(raw)  # nobody said which is which
    model.freeze_space()
    assert reconstruction(marked, heavy)[1] == pytest.approx(raw)


def test_a_frozen_space_leaves_the_encoder_without_gradients() -> None:
    model = make()
    model.freeze_space()
    model.losses(Batch.collate([[5, 6, 7], [8, 9]]), ObjectiveConfig(), seeded()).total.backward()
    learning = {name.split(".")[0] for name, p in model.named_parameters() if p.grad is not None}
    assert learning == {"decoder"}


def settings(**run: object) -> TrainConfig:
    return TrainConfig.parse(
        {
            "model": LOCAL.to_dict(),
            "optimiser": {"batch_size": 8, "average": 0.0},
            "run": {"steps": 8, "device": "cpu", "keep_best": False, **run},
            "schedule": {"encoder": 0.5},
        }
    )


def test_the_encoder_rests_for_the_last_part_of_a_run(corpus: Corpus, tmp_path: Path) -> None:
    """The space of a whole run is that of its first half."""
    spaces, decoders = [], []
    for steps in (4, 8):
        config = settings(steps=steps, seed=1)
        schedule = {"kl": "constant", "decay": "constant", "encoder": 4 / steps}
        config = config.model_copy(update={"schedule": config.schedule.replace(**schedule)})
        loaded = load_model(train(corpus, tmp_path / str(steps), config, progress=False))
        spaces.append(Generator(loaded.model, loaded.tokenizer).encode(corpus.smiles(range(4))))
        decoders.append(loaded.model.decoder.output.weight)
    assert np.array_equal(spaces[0], spaces[1])
    assert not torch.equal(decoders[0], decoders[1])


def test_a_decoder_that_rests_writes_as_before_while_the_space_is_learnt(
    corpus: Corpus, tmp_path: Path
) -> None:
    first = train(corpus, tmp_path / "first", settings(seed=1), progress=False)
    config = settings(seed=2).replace(schedule={"kl": "constant", "decoder": 0.0})
    before = load_model(first)
    after = load_model(train(corpus, tmp_path / "second", config, start=first, progress=False))
    weights = before.model.decoder.named_parameters()
    changed = {
        name
        for name, weight in weights
        if not torch.equal(weight, after.model.decoder.get_parameter(name))
    }
    assert changed == {"initial.weight", "layers.0.weight_context"}
    blank = torch.zeros(5, before.model.latent_dim)
    written = [generate(m.model, blank, SamplingOptions(), seed=3).rows() for m in (before, after)]
    assert written[0] == written[1]
    smiles = corpus.smiles(range(4))
    spaces = [Generator(m.model, m.tokenizer).encode(smiles) for m in (before, after)]
    assert not np.array_equal(*spaces)


def test_nothing_is_forgotten_while_the_decoder_rests_and_the_model_remembers_how_it_was(
    corpus: Corpus, tmp_path: Path
) -> None:
    first = train(corpus, tmp_path / "first", settings(seed=1), progress=False)
    config = settings(seed=2).replace(schedule={"kl": "constant", "decoder": 0.0})
    found = []
    for name, share in (("some", 0.5), ("none", 0.0)):
        sizes = config.model.model_copy(update={"forget": share})
        out = train(
            corpus,
            tmp_path / name,
            config.model_copy(update={"model": sizes}),
            start=first,
            progress=False,
        )
        found.append(load_model(out).model)
    spaces = [model.encoder.state_dict() for model in found]
    assert all(torch.equal(weight, spaces[1][name]) for name, weight in spaces[0].items())
    assert found[0].config.forget == 0.5  # so fine-tuning it teaches writing again


def test_encoder_and_decoder_do_not_both_rest() -> None:
    with pytest.raises(ConfigError, match="both rest before the end of the run"):
        TrainConfig.parse({"schedule": {"encoder": 0.5, "decoder": 0.2}})


def test_an_exemplar_prior_stores_molecules_and_starts_near_them(
    corpus: Corpus, tmp_path: Path
) -> None:
    model = train(corpus, tmp_path / "model", settings(), progress=False)
    config = PriorConfig(kind="exemplars", exemplars=1, symbols=1, width=0.0)
    out = fit_prior(model, tmp_path / "exemplars", config, corpus, exemplars=20)
    loaded = load_model(out)
    stored = loaded.model.config.prior
    assert stored.exemplars == 20
    assert stored.symbols == int(loaded.model.prior.lengths.sum())
    generator = Generator(loaded.model, loaded.tokenizer)
    z = generator.sample_prior(40, seed=3)
    assert np.array_equal(z, generator.sample_prior(40, seed=3))
    training = generator.encode(corpus.smiles(corpus.indices("train")))
    distance = np.abs(z[:, None] - training[None]).max(-1).min(1)
    assert distance.max() < 1e-5  # width 0, nothing rewritten: the stored molecules' own latents
    assert len({row.tobytes() for row in z.round(4)}) > 5


def test_rewriting_leaves_the_end_to_the_decoder(corpus: Corpus, tmp_path: Path) -> None:
    model = train(corpus, tmp_path / "model", settings(), progress=False)
    config = PriorConfig(kind="exemplars", exemplars=1, symbols=1, rewrite=1.0)
    loaded = with_prior(model, config, corpus)
    z = loaded.model.sample_prior(400, seeded())
    known = loaded.model.windows.local(z).abs().amax(-1) > 0
    assert bool((known[:, 1:] <= known[:, :-1]).all())
    assert len({int(row.sum()) for row in known}) > 3


def test_the_blank_prior_tells_the_decoder_nothing(corpus: Corpus, tmp_path: Path) -> None:
    model = train(corpus, tmp_path / "model", settings(), progress=False)
    blank = with_prior(model, PriorConfig(kind="blank"))
    assert isinstance(blank.model.prior, Blank)
    assert not blank.model.sample_prior(5, seeded()).any()


def test_an_exemplar_prior_needs_a_corpus(corpus: Corpus, tmp_path: Path) -> None:
    model = train(corpus, tmp_path / "model", settings(), progress=False)
    config = PriorConfig(kind="exemplars", exemplars=1, symbols=1)
    with pytest.raises(ConfigError, match="needs the corpus"):
        with_prior(model, config)


def test_fine_tuning_leaves_exemplars_behind(corpus: Corpus, tmp_path: Path) -> None:
    """They are what the old model was fitted to; the new one writes something else."""
    model = train(corpus, tmp_path / "model", settings(), progress=False)
    config = PriorConfig(kind="exemplars", exemplars=1, symbols=1)
    start = fit_prior(model, tmp_path / "exemplars", config, corpus, exemplars=10)
    tuned = train(
        corpus,
        tmp_path / "tuned",
        TrainConfig.parse({"run": {"steps": 2, "device": "cpu"}}),
        start=start,
        progress=False,
    )
    assert load_model(tuned).model.config.prior.kind == "blank"
