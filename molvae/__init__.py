"""molvae: a SELFIES sequence VAE, its latent space, and optimisation in it.

Public names are imported on first use, so ``import molvae`` costs nothing.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

__version__ = "0.1.0"

_HOMES = {
    "Tokenizer": "molvae.chem.tokenizer",
    "Corpus": "molvae.datasets.corpus",
    "build_corpus": "molvae.datasets.corpus",
    "Generator": "molvae.generator",
    "load": "molvae.generator",
    "TrainConfig": "molvae.training.config",
    "train": "molvae.training.loop",
    "shipped_models": "molvae.training.shipped",
    "export_model": "molvae.training.export",
    "assess": "molvae.metrics.health",
    "optimize": "molvae.optimize.run",
    "Campaign": "molvae.optimize.campaign",
    "Goals": "molvae.optimize.goals",
    "MolVAE": "molvae.estimator",
    "MolvaeError": "molvae.base.errors",
}

__all__ = [
    "Campaign",
    "Corpus",
    "Generator",
    "Goals",
    "MolVAE",
    "MolvaeError",
    "Tokenizer",
    "TrainConfig",
    "__version__",
    "assess",
    "build_corpus",
    "export_model",
    "load",
    "optimize",
    "shipped_models",
    "train",
]

if TYPE_CHECKING:
    from molvae.base.errors import MolvaeError
    from molvae.chem.tokenizer import Tokenizer
    from molvae.datasets.corpus import Corpus, build_corpus
    from molvae.estimator import MolVAE
    from molvae.generator import Generator, load
    from molvae.metrics.health import assess
    from molvae.optimize.campaign import Campaign
    from molvae.optimize.goals import Goals
    from molvae.optimize.run import optimize
    from molvae.training.config import TrainConfig
    from molvae.training.export import export_model
    from molvae.training.loop import train
    from molvae.training.shipped import shipped_models


def __getattr__(name: str) -> Any:
    try:
        home = _HOMES[name]
    except KeyError:
        raise AttributeError(f"module 'molvae' has no attribute {name!r}") from None
    return getattr(importlib.import_module(home), name)


def __dir__() -> list[str]:
    return sorted(__all__)
