"""What several test files share: a sample of ZINC250k, a corpus of it, and a tiny trained model.

Nothing heavy is imported before a test asks for it.
"""

from __future__ import annotations

import gc
import os

# Set before numpy and torch are imported: the suite shares its cores with whatever else runs, and
# threads that wait for each other take several times as long as one.
os.environ.setdefault("OMP_NUM_THREADS", "1")

from pathlib import Path

import pytest

# Thousands of tests leave many objects alive, which Python would search for cycles ever so often.
gc.set_threshold(100_000, 50, 100)

LONGEST = (
    "test_docs.py",
    "test_notebooks.py",
    "test_variants.py",
    "test_conditional.py",
    "test_readme.py",
    "test_bench_scripts.py",
    "test_surrogates.py",
    "test_training.py",
)
"""Files that take a process tens of seconds: begun first, so that none is left alone at the end."""

WHOLE = (
    "test_cli_campaign.py",
    "test_cli_explore.py",
    "test_cli_optimize.py",
    "test_cli_train.py",
    "test_conditional.py",
    "test_critic.py",
    "test_evaluation.py",
    "test_health.py",
    "test_latent_priors.py",
    "test_moves.py",
    "test_moving_space.py",
    "test_regions.py",
    "test_several.py",
    "test_studies.py",
    "test_surrogates.py",
    "test_toy_searches.py",
    "test_training.py",
    "test_variants.py",
)
"""Files that train or search in nearly every test: slow as a whole."""

SAMPLES = Path(__file__).parents[1] / "data" / "samples"


@pytest.hookimpl(tryfirst=True)  # before `-m "not slow"` is obeyed
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    for item in items:
        if item.path.name in WHOLE:
            item.add_marker("slow")
    items.sort(key=lambda item: item.path.name not in LONGEST)


@pytest.fixture(scope="session")
def zinc() -> list[str]:
    """2,000 molecules of ZINC250k."""
    return (SAMPLES / "zinc250k_2000.smi").read_text().split()


@pytest.fixture(scope="session")
def tiny_corpus(zinc: list[str], tmp_path_factory: pytest.TempPathFactory) -> Path:
    """600 molecules with a number, ``logp``, and a class that is partly missing, ``polar``."""
    import numpy as np

    from molvae.chem.properties import compute
    from molvae.datasets.corpus import build_corpus
    from molvae.datasets.options import CorpusOptions
    from molvae.datasets.sources import Source
    from molvae.datasets.splits import SplitOptions

    smiles = zinc[:600]
    logp, tpsa = compute(smiles, ["logp", "tpsa"], progress=False).T
    polar = np.where(np.arange(len(smiles)) % 5 == 0, np.nan, tpsa > 70)
    path = tmp_path_factory.mktemp("corpus") / "tiny"
    build_corpus(
        Source.molecules(smiles, {"logp": logp, "polar": polar}),
        path,
        options=CorpusOptions(split=SplitOptions(validation=0.1, test=0.1)),
        workers=0,
        progress=False,
    )
    return path


@pytest.fixture(scope="session")
def tiny_model(tiny_corpus: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A model trained for a few seconds: it has begun to learn, no more. Never write into it."""
    from molvae.datasets.corpus import Corpus
    from molvae.models.presets import preset
    from molvae.training.config import TrainConfig
    from molvae.training.loop import train

    path = tmp_path_factory.mktemp("model") / "tiny"
    config = TrainConfig.parse(
        {
            "model": preset("tiny").to_dict(),
            "objective": {"kl_weight": 0.02},
            "optimiser": {"batch_size": 32, "learning_rate": 0.02, "average": 0.9},
            "data": {"labels": ["logp", "polar"]},
            "run": {"epochs": 8, "device": "cpu", "evaluate_every": 60},
        }
    )
    return train(Corpus.open(tiny_corpus), path, config, progress=False)
