"""The scikit-learn shape: ``MolVAE(...).fit(smiles, y).transform(smiles)``."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Self

import numpy as np
from sklearn.base import BaseEstimator, TransformerMixin
from sklearn.utils.validation import check_is_fitted

from molvae.base.errors import InputError
from molvae.generator import Generator, load

Smiles = Sequence[str | None] | np.ndarray


class MolVAE(TransformerMixin, BaseEstimator):
    """A variational autoencoder of molecules as a scikit-learn transformer and generator.

    Parameters:
        preset: sizes of the model: ``"tiny"``, ``"small"``, ``"default"`` ...
        start: a model to fine-tune, instead of a new one: a directory, or a shipped model's name
            (``"druglike"``). It decides on sizes and constraints; molecules with symbols that it
            does not know are left out.
        latent_dim: latent dimensions; None for the preset's.
        epochs: passes over the molecules.
        batch_size: molecules per step.
        constraints: those of the SELFIES language, ``"default"``, ``"octet_rule"`` or
            ``"hypervalent"``.
        settings: any further settings of :class:`~molvae.training.config.TrainConfig`, nested
            (``{"objective": {"free_bits": 0.1}}``); they win over the parameters above.
        validation_fraction: share of the molecules that is held out while fitting.
        random_state: seed of everything random.
        device: ``"auto"``, ``"cpu"``, ``"cuda"`` ...
        n_jobs: processes that prepare the molecules; None takes every core. 1 works in this
            process, where nothing stops a molecule that takes RDKit more than a second.
        verbose: show progress.

    Attributes: ``generator_`` (a :class:`~molvae.generator.Generator`), ``target_names_``,
    ``history_`` (columns of the training's ``history.csv``), ``n_features_in_`` (1).

    Molecules that cannot be read, or whose symbols are unknown, are rows of NaN (None) in every
    output; ``fit`` leaves them out. All methods take SMILES in any spelling, as a sequence or as
    an array ``(n,)`` or ``(n, 1)``.

    >>> from sklearn.base import clone
    >>> clone(MolVAE(latent_dim=16)).get_params()["latent_dim"]
    16
    """

    def __init__(
        self,
        preset: str = "default",
        *,
        start: str | os.PathLike[str] | None = None,
        latent_dim: int | None = None,
        epochs: int = 20,
        batch_size: int = 256,
        constraints: str = "default",
        settings: Mapping[str, Any] | None = None,
        validation_fraction: float = 0.05,
        random_state: int = 0,
        device: str = "auto",
        n_jobs: int | None = 1,
        verbose: bool = False,
    ) -> None:
        self.preset = preset
        self.start = start
        self.latent_dim = latent_dim
        self.epochs = epochs
        self.batch_size = batch_size
        self.constraints = constraints
        self.settings = settings
        self.validation_fraction = validation_fraction
        self.random_state = random_state
        self.device = device
        self.n_jobs = n_jobs
        self.verbose = verbose

    def fit(self, X: Smiles, y: Any = None) -> Self:
        """Train on molecules ``X (n,)`` and, if given, on their labels ``y (n,)`` or ``(n, p)``.

        ``y`` may be a pandas Series or DataFrame, whose names the targets then have (else ``y``,
        or ``y0``, ``y1`` ...); NaN is a missing label. Raises :class:`InputError` where no molecule
        can be used, :class:`ConfigError` for a setting that does not exist.
        """
        from molvae.datasets.corpus import build_corpus
        from molvae.datasets.options import CorpusOptions
        from molvae.datasets.sources import Source
        from molvae.datasets.splits import SplitOptions
        from molvae.training.checkpoint import load_model
        from molvae.training.history import read_history
        from molvae.training.loop import train

        smiles = _texts(X)
        labels = _labels(y, len(smiles))
        progress = None if self.verbose else False
        start = None if self.start is None else load_model(self.start)
        split = SplitOptions(
            method="random", validation=self.validation_fraction, test=0.0, seed=self.random_state
        )
        with tempfile.TemporaryDirectory() as folder:
            corpus = build_corpus(
                Source.molecules([s or "" for s in smiles], labels),
                Path(folder, "corpus"),
                options=CorpusOptions(constraints=self.constraints, split=split),
                tokenizer=None if start is None else start.tokenizer,
                workers=0 if self.n_jobs == 1 else self.n_jobs,
                progress=progress,
            )
            config = self._config(tuple(labels))
            model = train(corpus, Path(folder, "model"), config, start=start, progress=progress)
            self.history_ = read_history(model / "history.csv")
            return self._adopt(load(model, self.device))

    @classmethod
    def load(cls, model: str | os.PathLike[str], device: str = "auto") -> Self:
        """A fitted estimator of a model directory, or of a shipped model by its name.

        It has no ``history_``; fitting it fine-tunes the model.
        """
        return cls(start=model, device=device)._adopt(load(model, device))

    def transform(self, X: Smiles) -> np.ndarray:
        """Posterior means, ``(n, d)``."""
        return self._fitted().encode(_texts(X))

    def inverse_transform(self, Z: np.ndarray) -> np.ndarray:
        """Canonical SMILES of latents ``(n, d)``, greedily decoded: ``(n,)`` of str or None."""
        return np.array(self._fitted().decode(np.asarray(Z)), dtype=object)

    def sample(self, n_samples: int = 1, random_state: int | None = None) -> np.ndarray:
        """Canonical SMILES drawn from the prior, ``(n_samples,)``; the seed is the estimator's
        own unless another is given."""
        seed = self.random_state if random_state is None else random_state
        return np.array(self._fitted().sample(n_samples, seed=seed), dtype=object)

    def predict(self, X: Smiles, return_std: bool = False) -> Any:
        """Predicted labels: ``(n,)`` for one target, ``(n, p)`` for several; classes as
        probabilities. With ``return_std`` a pair with the standard deviations (NaN for classes).
        """
        columns = self._fitted().predict(_texts(X))
        values = np.column_stack([columns[name] for name in self.target_names_])
        missing = np.full(len(values), np.nan)
        stds = np.column_stack([columns.get(f"{n}_std", missing) for n in self.target_names_])
        if len(self.target_names_) == 1:
            values, stds = values[:, 0], stds[:, 0]
        return (values, stds) if return_std else values

    def score_samples(self, X: Smiles) -> np.ndarray:
        """The evidence lower bound on log p(x) of each molecule in nats, ``(n,)``; NaN where it
        cannot be read, or the model has none (:meth:`.Generator.score`)."""
        return self._fitted().score(_texts(X), seed=self.random_state)

    def score(self, X: Smiles, y: Any = None) -> float:
        """The mean of :meth:`score_samples` over the molecules that have one; higher is better.

        Like that of scikit-learn's other generative models it leaves ``y`` alone; judge
        predictions with ``scoring="r2"``.
        """
        bounds = self.score_samples(X)
        known = bounds[~np.isnan(bounds)]
        return float(known.mean()) if len(known) else np.nan

    def save(self, path: str | Path) -> None:
        """Write the model as a directory that :func:`molvae.load` and the command line read."""
        from molvae.training.checkpoint import save_model

        generator = self._fitted()
        save_model(
            path, generator.model, generator.tokenizer, generator.config, generator.provenance
        )

    def get_feature_names_out(self, input_features: Any = None) -> np.ndarray:
        """The names of the latent dimensions, ``z0``, ``z1`` ..."""
        return np.array([f"z{i}" for i in range(self._fitted().latent_dim)], dtype=object)

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.input_tags.string = True
        tags.input_tags.one_d_array = True
        tags.input_tags.two_d_array = False
        tags.input_tags.allow_nan = True
        tags.non_deterministic = False
        return tags

    def _config(self, labels: tuple[str, ...]) -> Any:
        from molvae.training.config import TrainConfig
        from molvae.training.presets import preset_settings

        named = preset_settings(self.preset).to_dict()
        model = named["model"] if self.start is None else {}
        if self.latent_dim is not None:
            model["latent_dim"] = self.latent_dim
        values = {
            "model": model,
            "objective": named["objective"],
            "schedule": named["schedule"],
            "optimiser": {"batch_size": self.batch_size},
            "data": {"labels": labels},
            "run": {"epochs": self.epochs, "seed": self.random_state, "device": self.device},
        }
        return TrainConfig.parse(_merged(values, self.settings or {}), where="MolVAE")

    def _adopt(self, generator: Generator) -> Self:
        self.generator_ = generator
        self.target_names_ = generator.targets
        self.n_features_in_ = 1
        return self

    def _fitted(self) -> Generator:
        check_is_fitted(self, "generator_")
        return self.generator_


def _texts(X: Smiles) -> list[str | None]:
    """One SMILES per row, None where it is missing (None, NaN)."""
    values = np.asarray(X, dtype=object)
    if values.ndim == 2 and values.shape[1] == 1:
        values = values[:, 0]
    if values.ndim != 1:
        raise InputError(
            f"molecules have the shape {values.shape}: give one SMILES each, (n,) or (n, 1)"
        )
    return [value if isinstance(value, str) else None for value in values.tolist()]


def _labels(y: Any, n: int) -> dict[str, list[float]]:
    if y is None:
        return {}
    names = [str(c) for c in y.columns] if hasattr(y, "columns") else None
    if names is None and getattr(y, "name", None) is not None:
        names = [str(y.name)]
    values = np.asarray(y, dtype=np.float64)
    if values.shape[:1] != (n,) or values.ndim > 2:
        raise InputError(f"labels have the shape {values.shape} for {n} molecules: one row each")
    columns = values.reshape(n, -1).T
    if names is None:
        names = ["y"] if len(columns) == 1 else [f"y{i}" for i in range(len(columns))]
    return dict(zip(names, columns.tolist(), strict=True))


def _merged(values: Mapping[str, Any], changes: Mapping[str, Any]) -> dict[str, Any]:
    result = dict(values)
    for key, change in changes.items():
        mine = result.get(key)
        both = isinstance(mine, Mapping) and isinstance(change, Mapping)
        result[key] = _merged(mine, change) if both else change  # type: ignore[arg-type]
    return result
