"""SMILES in, SMILES out: the one door through which everything above reaches a model.

Aligned: output i belongs to input i; what could not be done is None or NaN, with the reason at
hand. Seeded: the same seed gives the same molecules. No method changes the generator, so one
object serves any number of threads.
"""

from __future__ import annotations

import copy
import hashlib
import json
import os
import warnings
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any, Literal, Unpack

import numpy as np
import torch

from molvae.base.errors import ConfigError, InputError, ModelError
from molvae.base.progress import Progress
from molvae.base.seeds import derive_seed
from molvae.chem.properties import PROPERTIES, compute
from molvae.chem.smiles import MoleculeError, canonicalise, foreign_part, smiles_list
from molvae.chem.tokenizer import Tokenizer
from molvae.latent.conditions import Conditions, condition_table, outside
from molvae.latent.decoding import Decoding, Sane, Strategy
from molvae.latent.draws import Draws, counted
from molvae.latent.posteriors import Likelihood, Posteriors, Reasons
from molvae.latent.reading import Reader
from molvae.models.batch import Batch
from molvae.models.places import device_named
from molvae.models.sampling import SamplingOptions, generate
from molvae.models.vae import SequenceVAE
from molvae.models.windows import Windows

NOT_FINITE = "its latent vector is not finite"


@dataclass(frozen=True, eq=False, repr=False)
class Generator:
    """A model and its tokenizer at work; make one with :func:`load`.

    ``batch_size`` is the number of molecules that go through the network together.

    >>> from molvae.models.presets import preset
    >>> tokenizer = Tokenizer.from_smiles(["CCO", "c1ccccc1"])
    >>> untrained = SequenceVAE(preset("tiny"), tokenizer.vocab_size, tokenizer.max_length)
    >>> generator = Generator(untrained, tokenizer)
    >>> z = generator.encode(["OCC", "C1CC"])
    >>> z.shape, generator.posterior(["OCC", "C1CC"]).reasons
    ((2, 8), [None, 'not valid SMILES (ring 1 is not closed)'])
    >>> len(generator.decode(z)), generator.decode(z)[1]
    (2, None)
    """

    model: SequenceVAE
    tokenizer: Tokenizer
    config: Any = None
    provenance: Mapping[str, Any] = field(default_factory=dict)
    batch_size: int = 512

    def __post_init__(self) -> None:
        self.model.eval().requires_grad_(False)

    def __repr__(self) -> str:
        targets = f", predicts {', '.join(self.targets)}" if self.targets else ""
        given = f", takes {', '.join(self.conditions)}" if self.conditions else ""
        return f"Generator({self.latent_dim} dimensions, {self.tokenizer!r}{targets}{given})"

    @property
    def latent_dim(self) -> int:
        """The number of latent dimensions ``d``."""
        return self.model.latent_dim

    @property
    def windows(self) -> Windows:
        """How the parts of a latent vector lie in it."""
        return self.model.windows

    @property
    def device(self) -> torch.device:
        """Where the model computes."""
        return next(self.model.parameters()).device

    @cached_property
    def fingerprint(self) -> str:
        """SHA-256 of the weights and the tokenizer: what tells this model from every other."""
        tokenizer = json.dumps(self.tokenizer.to_dict(), sort_keys=True)
        digest = hashlib.sha256(tokenizer.encode())
        for name, tensor in sorted(self.model.state_dict().items()):
            digest.update(name.encode())
            digest.update(tensor.cpu().contiguous().numpy().tobytes())
        return digest.hexdigest()

    @property
    def targets(self) -> tuple[str, ...]:
        """The names of the properties that :meth:`predict` answers."""
        head = self.model.config.head
        return () if head is None else tuple(target.name for target in head.targets)

    @property
    def conditions(self) -> tuple[str, ...]:
        """The names of the properties that sampling and decoding may be conditioned on."""
        return () if self.model.conditions is None else self.model.conditions.names

    def conditions_of(self, smiles: Sequence[str | None]) -> dict[str, np.ndarray]:
        """The molecules' own values of the conditions that are computed from a molecule
        (:data:`~molvae.chem.properties.PROPERTIES`), ``(n,)`` each, to be given as conditions."""
        names = [name for name in self.conditions if name in PROPERTIES]
        return dict(zip(names, compute(smiles, names, progress=False).T, strict=True))

    # --- molecules to latents ---------------------------------------------------------------

    def posterior(
        self, smiles: Sequence[str | None], *, conditions: Conditions | None = None
    ) -> Posteriors:
        """Mean and standard deviation of q(z|x) for each molecule, whatever its spelling.

        ``conditions`` count for a model whose encoder is told them (``model.conditions.encoder``),
        and are unknown unless given; :meth:`conditions_of` has the molecules' own.
        """
        ids, reasons = self._read(smiles)
        told = condition_table(self.model.conditions, conditions, len(ids))
        return self._posterior(ids, reasons, told)

    def encode(
        self, smiles: Sequence[str | None], *, conditions: Conditions | None = None
    ) -> np.ndarray:
        """Posterior means ``(n, d)``; a NaN row where a molecule could not be read.

        :meth:`posterior` has the widths and the reasons as well.
        """
        return self.posterior(smiles, conditions=conditions).mean

    def symbols(self, smiles: Sequence[str | None]) -> np.ndarray:
        """How many symbols each molecule has, ``(n,)``; 0 for what the tokenizer cannot write."""
        return np.array([0 if ids is None else len(ids) for ids in self._read(smiles)[0]], np.int64)

    # --- latents to molecules ---------------------------------------------------------------

    def decode(self, z: np.ndarray, **options: Unpack[Decoding]) -> list[str | None]:
        """Canonical SMILES for each row of ``z (n, d)``, greedily unless a strategy is given.

        ``conditions`` are properties by name, one value for all rows or one for each, of a model
        that is trained to take them (:attr:`conditions`). Each answer parses in RDKit and can be
        encoded again; otherwise it is None, and :meth:`decode_with_reasons` tells why.
        """
        return self.decode_with_reasons(z, **options)[0]

    def decode_with_reasons(
        self,
        z: np.ndarray,
        *,
        seed: int = 0,
        sane: Sane = None,
        conditions: Conditions | None = None,
        **options: Unpack[Strategy],
    ) -> tuple[list[str | None], Reasons]:
        """:meth:`decode`, and for each row that has no molecule the reason."""
        sampling = SamplingOptions.parse({"strategy": "greedy", **options}, where="decode")
        finite = np.isfinite(self._latents(z)).all(1)
        smiles, reasons = self.reader.molecules(self._draws(z, sampling, seed, conditions), sane)
        for row in np.flatnonzero(~finite):
            smiles[row], reasons[row] = None, NOT_FINITE
        return smiles, reasons

    @cached_property
    def reader(self) -> Reader:
        """What reads as molecules what was drawn: without the device."""
        critic = self.model.critic
        if critic is not None and self.device.type != "cpu":
            critic = copy.deepcopy(critic).cpu()
        return Reader(self.tokenizer, critic, self.model.config.critic)

    def _draws(
        self,
        z: np.ndarray,
        sampling: SamplingOptions,
        seed: int,
        conditions: Conditions | None,
        candidates: int = 1,
        choice: int = 0,
    ) -> Draws:
        """What the decoder writes of each row of ``z``, on the device."""
        z = self._latents(z)
        told = condition_table(self.model.conditions, conditions, len(z), sampling.guidance)
        finite = np.isfinite(z).all(1)
        # Rows that cannot be decoded keep their place: each row's random stream is named by it.
        written = generate(
            self.model,
            torch.from_numpy(np.where(finite[:, None], z, 0)),
            sampling,
            seed,
            conditions=None if told is None else torch.from_numpy(told),
        )
        ids = written.ids.numpy().astype(self.tokenizer.dtype)
        log_prob = written.log_prob.double().numpy()
        return Draws(ids, written.lengths.numpy(), log_prob, candidates, choice)

    def rewrite(self, z: np.ndarray, *, seed: int) -> list[str | None]:
        """:meth:`decode` with symbols drawn: of windows that are zero the decoder writes what the
        data would have there."""
        return self.decode(z, strategy="sample", seed=seed)

    def sample_prior(self, n: int, seed: int = 0) -> np.ndarray:
        """``n`` latents from the prior, ``(n, d)`` float32."""
        generator = torch.Generator().manual_seed(derive_seed(seed, "prior"))
        return self.model.sample_prior(counted(n), generator).float().cpu().numpy()

    @property
    def candidates(self) -> int:
        """Of how many a draw is chosen, unless it is said otherwise; 1 without a critic."""
        critic = self.model.config.critic
        return 1 if critic is None else critic.candidates

    def draw(
        self,
        n: int,
        *,
        seed: int = 0,
        candidates: int | None = None,
        sane: Sane = None,
        conditions: Conditions | None = None,
        **options: Unpack[Strategy],
    ) -> tuple[list[str | None], Reasons]:
        """``n`` draws from the prior, row by row with the reason where one came to nothing.

        Symbols are drawn unless another strategy is given; ``conditions`` are as in :meth:`decode`,
        one value of each for all draws. Of each latent so many ``candidates`` are written (None: as
        the model is set up), and the model's critic chooses one of them, with probabilities that
        make it as frequent as in the data (:mod:`molvae.latent.critic`). Raises
        :class:`ConfigError` for several candidates from a model without a critic.
        """
        written = self.write(n, seed=seed, candidates=candidates, conditions=conditions, **options)
        return self.reader.molecules(written, sane)

    def write(
        self,
        n: int,
        *,
        seed: int = 0,
        candidates: int | None = None,
        conditions: Conditions | None = None,
        **options: Unpack[Strategy],
    ) -> Draws:
        """The device's part of :meth:`draw`; :attr:`reader` has the rest."""
        z = self.sample_prior(n, derive_seed(seed, "latents"))
        strategy: Strategy = {"strategy": "sample", **options}
        several = self.candidates if strategy["strategy"] == "sample" else 1
        several = several if candidates is None else candidates
        if several < 1 or (several > 1 and self.model.critic is None):
            raise ConfigError(
                f"candidates is {several}: "
                + ("take at least 1" if several < 1 else "this model has no critic to choose among "
                   "them; fit one with molvae models critic")
            )  # fmt: skip
        return self._draws(
            np.repeat(z, several, 0),
            SamplingOptions.parse(strategy, where="decode"),
            derive_seed(seed, "symbols"),
            conditions,
            several,
            derive_seed(seed, "candidates"),
        )

    def realism(self, smiles: Sequence[str | None]) -> np.ndarray:
        """The critic's logit for each molecule, ``(n,)``: how much more often, in nats, the data
        have molecules like it than the decoder writes them. NaN for None and for what does not
        parse. Raises :class:`ModelError` for a model without a critic."""
        return self.reader.realism(smiles_list(smiles))

    def sample(
        self,
        n: int,
        *,
        seed: int = 0,
        unique: bool = False,
        sane: Sane = None,
        candidates: int | None = None,
        conditions: Conditions | None = None,
        progress: bool | None = False,
        **options: Unpack[Strategy],
    ) -> list[str]:
        """``n`` molecules from the prior, canonical SMILES; ``unique`` for distinct ones.

        Of a conditional model (:attr:`conditions`) molecules near ``conditions``, such as
        ``{"logp": 2.5}``, the nearer the larger ``guidance``; a warning says where these are
        outside the training data. What is turned down is drawn anew, by :meth:`draw`. Raises
        :class:`ModelError` where ``n`` molecules would take more than a hundred draws each (a
        collapsed model asked for distinct ones).
        """
        found: list[str] = []
        seen: set[str] = set()
        limit = 100 * counted(n) + 1000
        least = 64 // (self.candidates if candidates is None else max(1, candidates))
        draws = 0
        for message in outside(self.model.conditions, conditions):
            warnings.warn(message, stacklevel=2)
        with Progress("generating", total=n, show=progress) as bar:
            while len(found) < n and draws < limit:
                size = min(self.batch_size, max(least, n - len(found)))
                before = len(found)
                step = derive_seed(seed, "draws", draws)
                drawn, _ = self.draw(
                    size,
                    seed=step,
                    sane=sane,
                    candidates=candidates,
                    conditions=conditions,
                    **options,
                )
                for smiles in drawn:
                    if smiles is not None and not (unique and smiles in seen):
                        seen.add(smiles)
                        found.append(smiles)
                draws += size
                bar.advance(min(len(found), n) - before)
        if len(found) < n:
            raise ModelError(
                f"only {len(found):,} of {n:,} molecules came out of {draws:,} draws; ask for "
                "fewer, raise the temperature, or relax the filters"
            )
        return found[:n]

    def reconstruct(
        self, smiles: Sequence[str | None], *, sampled: bool = False, seed: int = 0
    ) -> list[str | None]:
        """Each molecule through the latent space and back, greedily.

        From the posterior's mean, or with ``sampled`` from one draw of it.
        """
        found = self.posterior(smiles)
        return self.decode(found.sample(seed) if sampled else found.mean)

    # --- numbers ----------------------------------------------------------------------------

    def predict(self, molecules: Sequence[str | None] | np.ndarray) -> dict[str, np.ndarray]:
        """The property head's answers for SMILES, or for latents ``(n, d)``, as columns ``(n,)``.

        For a regression target ``name`` and ``name_std`` in the label's unit, for a classification
        target ``name`` as the probability of class 1. NaN where a molecule could not be read.
        Raises :class:`ModelError` for a model without a head.
        """
        head = self.model.config.head
        if head is None:
            raise ModelError("this model has no property head; train it on labelled molecules")
        if isinstance(molecules, np.ndarray) and molecules.dtype.kind == "f":
            z = self._latents(molecules)
        else:
            z = self.encode(smiles_list(molecules))
        value = np.full((len(z), len(head.targets)), np.nan)
        std = value.copy()
        good = np.flatnonzero(np.isfinite(z).all(1))
        with torch.inference_mode():
            for rows in self._chunks(good):
                found = self.model.predict(torch.from_numpy(z[rows]).to(self.device))
                value[rows] = found.values.double().cpu().numpy()
                std[rows] = found.std.double().cpu().numpy()
        columns = {}
        for i, target in enumerate(head.targets):
            columns[target.name] = value[:, i]
            if target.kind == "regression":
                columns[f"{target.name}_std"] = std[:, i]
        return columns

    def likelihood(self, smiles: Sequence[str | None], z: np.ndarray) -> Likelihood:
        """log p(x|z) of each molecule under the latent of its row, ``z (n, d)``."""
        z = self._latents(z)
        if len(z) != len(smiles):
            raise InputError(f"{len(smiles)} molecules and {len(z)} latents: give one for each")
        return self._likelihood(self._read(smiles)[0], z)

    def score(self, smiles: Sequence[str | None], *, samples: int = 1, seed: int = 0) -> np.ndarray:
        r"""The evidence lower bound on log p(x) of each molecule, in nats, ``(n,)``.

        .. math:: \tfrac1S \sum_s \log p(x|z_s) - KL(q(z|x) \| N(0, I)), \quad z_s \sim q(z|x)

        (Kingma & Welling 2014, arXiv:1312.6114), over ``samples`` draws from the posterior.
        NaN where a molecule could not be read, and for a model whose posteriors are points (an
        autoencoder, a VQ-VAE): its KL is infinite, and there is no bound.
        """
        if samples < 1:
            raise ConfigError(f"samples is {samples}: take at least 1")
        ids, reasons = self._read(smiles)
        found = self._posterior(ids, reasons)
        total = sum(
            self._likelihood(ids, found.sample(derive_seed(seed, "score", s))).nats
            for s in range(samples)
        )
        return np.asarray(total / samples - found.kl(), dtype=np.float64)

    # --- inside -----------------------------------------------------------------------------

    def _read(self, smiles: Sequence[str | None]) -> tuple[list[np.ndarray | None], Reasons]:
        """Ids of each molecule's canonical spelling, without start and end, and what was wrong."""
        spelled: list[str | None] = []
        refused: Reasons = []
        for text in smiles_list(smiles):
            try:
                spelled.append(None if text is None else canonicalise(text))
                refused.append(None)
            except MoleculeError as error:
                spelled.append(None)
                refused.append(error.reason)
        encoded = self.tokenizer.encode(spelled, unknown="drop")
        every = zip(spelled, refused, encoded.reasons, strict=True)
        return encoded.ids, [
            first or (then and (foreign_part(s) or then)) for s, first, then in every
        ]

    def _posterior(
        self,
        ids: Sequence[np.ndarray | None],
        reasons: Reasons,
        conditions: np.ndarray | None = None,
    ) -> Posteriors:
        mean = np.full((len(ids), self.latent_dim), np.nan, np.float32)
        std = mean.copy()
        with torch.inference_mode():
            for rows, batch in self._batches(ids):
                told = None if conditions is None else torch.from_numpy(conditions[rows])
                found = self.model.encode(batch.tokens, batch.lengths, told)
                mean[rows] = found.mean.float().cpu().numpy()
                std[rows] = found.std.float().cpu().numpy()
        return Posteriors(mean, std, reasons)

    def _likelihood(self, ids: Sequence[np.ndarray | None], z: np.ndarray) -> Likelihood:
        ids = [row if np.isfinite(z[i]).all() else None for i, row in enumerate(ids)]
        nats = np.full(len(z), np.nan)
        correct, symbols = np.zeros(len(z), np.int64), np.zeros(len(z), np.int64)
        with torch.inference_mode():
            for rows, batch in self._batches(ids):
                latents = torch.from_numpy(z[rows]).to(self.device)
                logits = self.model.logits(batch.tokens, batch.lengths, latents)
                true = batch.tokens[:, 1:]
                logits = logits[:, : true.shape[1]]
                mask = true != self.tokenizer.pad_id
                log_prob = logits.float().log_softmax(-1).gather(-1, true[..., None])[..., 0]
                nats[rows] = (log_prob * mask).sum(1).double().cpu().numpy()
                correct[rows] = ((logits.argmax(-1) == true) & mask).sum(1).cpu().numpy()
                symbols[rows] = mask.sum(1).cpu().numpy()
        return Likelihood(nats, correct, symbols)

    def _batches(self, ids: Sequence[np.ndarray | None]) -> Iterator[tuple[np.ndarray, Batch]]:
        """(rows, batch) of molecules of like length; those without ids are left out."""
        known = [(len(row), i) for i, row in enumerate(ids) if row is not None]
        for rows in self._chunks(np.array([i for _, i in sorted(known)], dtype=np.int64)):
            symbols = [row for i in rows if (row := ids[i]) is not None]
            tokenizer = self.tokenizer
            batch = Batch.collate(
                symbols,
                pad_id=tokenizer.pad_id,
                start_id=tokenizer.start_id,
                end_id=tokenizer.end_id,
            )
            yield rows, batch.to(self.device)

    def _chunks(self, rows: np.ndarray) -> Iterator[np.ndarray]:
        for start in range(0, len(rows), self.batch_size):
            yield rows[start : start + self.batch_size]

    def _latents(self, z: np.ndarray) -> np.ndarray:
        z = np.ascontiguousarray(z, dtype=np.float32)
        if z.ndim != 2 or z.shape[1] != self.latent_dim:
            raise InputError(
                f"latents have the shape {z.shape}: this model takes (n, {self.latent_dim})"
            )
        return z


def load(
    path: str | os.PathLike[str],
    device: str = "auto",
    *,
    prior: Literal["normal", "blank"] | None = None,
) -> Generator:
    """Open a trained model directory, or a shipped model by its name, as a :class:`Generator`.

    ``device`` is ``"cpu"``, ``"cuda"``, ``"cuda:1"`` ..., ``"mps"``, or ``"auto"`` for the best
    there is. ``prior`` takes the place of the model's own: ``"normal"`` for N(0, I), ``"blank"``
    for z = 0, where the decoder writes alone. Raises :class:`ModelError` for a directory that is
    damaged or foreign, and :class:`ConfigError` for a device that this machine does not have.
    """
    from molvae.models.config import PriorConfig
    from molvae.training.checkpoint import load_model
    from molvae.training.prior import with_prior

    place = device_named(device)
    loaded = load_model(path)
    if prior is not None:
        loaded = with_prior(loaded, PriorConfig.parse({"kind": prior}, where="prior"))
    return Generator(loaded.model.to(place), loaded.tokenizer, loaded.config, loaded.provenance)
