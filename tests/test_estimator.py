"""The scikit-learn shape: its conventions where they have a meaning for molecules."""

from __future__ import annotations

import pickle
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from sklearn.base import clone
from sklearn.exceptions import NotFittedError
from sklearn.linear_model import Ridge
from sklearn.pipeline import make_pipeline
from sklearn.utils import get_tags
from sklearn.utils.estimator_checks import (
    check_get_params_invariance,
    check_no_attributes_set_in_init,
    check_parameters_default_constructible,
    check_set_params,
)

import molvae
from molvae.base.errors import ConfigError, InputError
from molvae.estimator import MolVAE, _labels, _merged, _texts


def small(**changes: object) -> MolVAE:
    parameters = {
        "preset": "tiny",
        "epochs": 2,
        "batch_size": 32,
        "device": "cpu",
        "settings": {"optimiser": {"learning_rate": 0.01, "average": 0.9}},
    }
    return MolVAE(**{**parameters, **changes})  # type: ignore[arg-type]


@pytest.fixture(scope="module")
def data(zinc: list[str]) -> tuple[list[str | None], pd.DataFrame]:
    smiles: list[str | None] = [*zinc[:150], "C1CC", None]
    random = np.random.default_rng(0)
    y = pd.DataFrame(
        {
            "size": [float(len(s or "")) for s in smiles],
            "active": (random.uniform(size=len(smiles)) > 0.5).astype(float),
        }
    )
    y.loc[3, "size"] = np.nan
    return smiles, y


@pytest.fixture(scope="module")
def fitted(data: tuple[list[str | None], pd.DataFrame]) -> MolVAE:
    """A fitted estimator; read only."""
    return small().fit(*data)


def test_clone_and_parameters_follow_scikit_learn() -> None:
    for check in (
        check_get_params_invariance,
        check_set_params,
        check_parameters_default_constructible,
        check_no_attributes_set_in_init,
    ):
        check("MolVAE", MolVAE())
    estimator = small(latent_dim=5, settings={"objective": {"free_bits": 0.2}})
    copy = clone(estimator)
    assert copy is not estimator
    assert copy.get_params() == estimator.get_params()
    assert clone(estimator.set_params(epochs=9)).epochs == 9
    assert "latent_dim=5" in repr(estimator)


def test_tags_say_that_the_input_is_text() -> None:
    tags = get_tags(MolVAE())
    assert tags.input_tags.string
    assert not tags.input_tags.two_d_array
    assert not tags.target_tags.required


@pytest.mark.parametrize("method", ["transform", "predict", "score", "score_samples"])
def test_before_fit_every_method_says_so(method: str) -> None:
    with pytest.raises(NotFittedError):
        getattr(MolVAE(), method)(["CCO"])


def test_fit_transform_and_back_are_aligned(
    fitted: MolVAE, data: tuple[list[str | None], pd.DataFrame]
) -> None:
    smiles, _ = data
    z = fitted.transform(smiles)
    assert z.shape == (152, 8)
    assert np.isnan(z).all(1).tolist() == [False] * 150 + [True] * 2
    back = fitted.inverse_transform(z[145:])
    assert back.shape == (7,)
    assert back[5] is None
    assert fitted.get_feature_names_out().tolist() == [f"z{i}" for i in range(8)]
    assert fitted.n_features_in_ == 1


def test_predictions_have_the_names_and_order_of_the_labels(
    fitted: MolVAE, data: tuple[list[str | None], pd.DataFrame]
) -> None:
    assert fitted.target_names_ == ("size", "active")
    values, stds = fitted.predict(data[0][:10], return_std=True)
    assert values.shape == stds.shape == (10, 2)
    assert (stds[:, 0] > 0).all()
    assert np.isnan(stds[:, 1]).all()
    assert ((values[:, 1] >= 0) & (values[:, 1] <= 1)).all()
    np.testing.assert_array_equal(fitted.predict(data[0][:10]), values)


def test_score_is_the_mean_bound_of_what_can_be_read(
    fitted: MolVAE, data: tuple[list[str | None], pd.DataFrame]
) -> None:
    smiles = data[0][140:]
    bounds = fitted.score_samples(smiles)
    assert np.isnan(bounds).tolist() == [False] * 10 + [True] * 2
    assert fitted.score(smiles) == pytest.approx(bounds[:10].mean())
    assert fitted.score(smiles) < 0


@pytest.mark.filterwarnings("error")
def test_a_model_of_points_has_no_score(zinc: list[str]) -> None:
    points = small(settings={"model": {"bottleneck": {"kind": "deterministic"}}}, epochs=1)
    assert np.isnan(points.fit(zinc[:60]).score(zinc[60:70]))


def test_samples_are_seeded(fitted: MolVAE) -> None:
    assert fitted.sample(10).tolist() == fitted.sample(10, random_state=0).tolist()
    assert fitted.sample(10).tolist() != fitted.sample(10, random_state=1).tolist()


def test_the_training_can_be_looked_at(fitted: MolVAE) -> None:
    assert len(fitted.history_["step"]) >= 1
    assert "validation_reconstruction" in fitted.history_


def test_an_array_of_one_column_is_read_like_a_list(fitted: MolVAE, zinc: list[str]) -> None:
    column = np.array(zinc[:5], dtype=object)[:, None]
    np.testing.assert_array_equal(fitted.transform(column), fitted.transform(zinc[:5]))
    series = pd.Series(zinc[:5])
    np.testing.assert_array_equal(fitted.transform(series), fitted.transform(zinc[:5]))


def test_a_fitted_estimator_survives_pickling_in_memory(fitted: MolVAE, zinc: list[str]) -> None:
    # joblib hands estimators to its workers this way.
    copy = pickle.loads(pickle.dumps(fitted))
    np.testing.assert_array_equal(copy.transform(zinc[:5]), fitted.transform(zinc[:5]))


def test_what_is_saved_is_a_model_for_the_command_line(
    fitted: MolVAE, zinc: list[str], tmp_path: Path
) -> None:
    fitted.save(tmp_path / "model")
    loaded = molvae.load(tmp_path / "model", "cpu")
    np.testing.assert_array_equal(loaded.encode(zinc[:5]), fitted.transform(zinc[:5]))


@pytest.mark.slow
def test_the_same_random_state_gives_the_same_model(zinc: list[str]) -> None:
    first, second = (small(epochs=1).fit(zinc[:60]).transform(zinc[:5]) for _ in range(2))
    np.testing.assert_array_equal(first, second)


@pytest.mark.slow
def test_it_is_a_step_of_a_pipeline(zinc: list[str]) -> None:
    y = np.array([float(len(s)) for s in zinc[:60]])
    pipeline = make_pipeline(small(epochs=1), Ridge())
    assert pipeline.fit(zinc[:60], y).predict(zinc[:5]).shape == (5,)


def test_settings_win_over_parameters() -> None:
    changes = {"run": {"epochs": 7}, "objective": {"free_bits": 0.1}}
    config = MolVAE(epochs=3, latent_dim=5, settings=changes)._config(("logp",))
    assert config.run.epochs == 7
    assert config.objective.free_bits == 0.1
    assert config.model.latent_dim == 5
    assert config.data.labels == ("logp",)
    with pytest.raises(ConfigError, match="did you mean 'epochs'"):
        MolVAE(settings={"run": {"epoch": 7}})._config(())


def test_inputs_of_a_wrong_shape_are_refused(fitted: MolVAE) -> None:
    with pytest.raises(InputError, match=r"\(2, 2\)"):
        fitted.transform(np.array([["C", "C"], ["C", "C"]], dtype=object))
    with pytest.raises(InputError, match="for 3 molecules"):
        _labels([1.0, 2.0], 3)


def test_labels_keep_their_names() -> None:
    assert list(_labels(pd.Series([1.0, 2.0], name="logp"), 2)) == ["logp"]
    assert list(_labels([1.0, 2.0], 2)) == ["y"]
    assert list(_labels(np.zeros((2, 2)), 2)) == ["y0", "y1"]
    assert _labels(None, 2) == {}


def test_missing_molecules_are_none() -> None:
    assert _texts(["C", None, float("nan")]) == ["C", None, None]  # type: ignore[list-item]


def test_merging_goes_into_sections() -> None:
    merged = _merged({"a": {"x": 1, "y": 2}, "b": 1}, {"a": {"x": 3}, "b": {"z": 1}})
    assert merged == {"a": {"x": 3, "y": 2}, "b": {"z": 1}}
