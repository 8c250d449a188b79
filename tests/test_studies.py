"""The studies of small models: every one of their settings is one, and what is done stays done."""

import json
import sys
from pathlib import Path

import numpy as np
import pytest

SCRIPTS = Path(__file__).resolve().parents[1] / "scripts"
sys.path.insert(0, str(SCRIPTS))

import beta_sweep  # noqa: E402
import collapse  # noqa: E402
import variants  # noqa: E402
from _study import Study, insert, parser  # noqa: E402

from molvae.datasets.corpus import build_corpus  # noqa: E402
from molvae.datasets.options import CorpusOptions  # noqa: E402
from molvae.datasets.splits import SplitOptions  # noqa: E402
from molvae.training.checkpoint import load_model  # noqa: E402

SAMPLE = SCRIPTS.parent / "data" / "samples" / "moses_2000.smi"


@pytest.fixture(scope="module")
def study(tmp_path_factory):
    place = tmp_path_factory.mktemp("study")
    source = place / "some.smi"
    source.write_text("\n".join(SAMPLE.read_text().split()[:300]))
    build_corpus(
        source,
        place / "corpus",
        options=CorpusOptions(split=SplitOptions(validation=0.2)),
        workers=1,
    )
    options = parser("a study", str(place / "runs")).parse_args(
        [str(place / "corpus"), "--epochs", "1", "--batch-size", "64", "--samples", "12"]
    )
    return Study(options)


@pytest.mark.parametrize("name", [*variants.VARIANTS, *collapse.REMEDIES, *beta_sweep.WEIGHTS])
def test_every_study_names_presets_and_settings_that_exist(study, name):
    preset, changes = "small", collapse.REMEDIES.get(name)
    if name in variants.VARIANTS:
        preset, changes, _ = variants.VARIANTS[name]
    if changes is None:
        changes = beta_sweep._changes(name)
    settings = study.settings(preset, changes)
    assert (settings.run.epochs, settings.run.minutes) == (1, None)
    assert settings.optimiser.batch_size == 64


def test_a_model_is_trained_and_measured_once(study):
    path = study.trained("beta 0.1", "small", beta_sweep._changes(0.1))
    first = study.measured("beta 0.1", path)
    assert 0 < first["symbols"] <= 1
    assert first["valid"] == 1.0
    assert np.isfinite(first["FCD"])
    (study.options.work / "beta_0.1.json").write_text(json.dumps({**first, "FCD": 7.0}))
    written = (path / "model.safetensors").stat().st_mtime_ns
    path = study.trained("beta 0.1", "small", beta_sweep._changes(0.1))
    assert study.measured("beta 0.1", path)["FCD"] == 7.0
    assert (path / "model.safetensors").stat().st_mtime_ns == written


def test_models_of_a_study_can_begin_as_one_that_is_trained(study):
    first = study.trained("first", "small", {})
    study.options.start = first
    try:
        gan = study.trained("gan", *variants.VARIANTS["VAE-GAN"][:2])
    finally:
        study.options.start = None
    provenance = load_model(gan).provenance
    assert provenance["started_from"]["started"] == load_model(first).provenance["started"]


def test_a_table_takes_the_place_of_the_one_before(tmp_path):
    page = tmp_path / "page.md"
    page.write_text("before\n<!-- table -->\nold\n<!-- /table -->\nafter\n")
    for _ in range(2):
        insert(page, "table", ["new"])
        assert page.read_text() == "before\n<!-- table -->\nnew\n<!-- /table -->\nafter\n"
