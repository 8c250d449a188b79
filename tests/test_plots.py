"""Figures show what they are given, and are files that open."""

from __future__ import annotations

import struct
import sys
from pathlib import Path

import numpy as np
import pytest

import molvae
from molvae.base.errors import FileError, InputError
from molvae.metrics.health import Health, HealthOptions, assess
from molvae.plots import (
    best_so_far,
    health_figure,
    optimisation_curve,
    save_figure,
    training_curves,
)


@pytest.fixture(scope="module")
def health(tiny_model: Path, zinc: list[str]) -> Health:
    generator = molvae.load(tiny_model, "cpu")
    options = HealthOptions(held_out=30, samples=30, parents=10, steps=(0.0, 0.5))
    labels = {"logp": np.arange(30.0)}
    return assess(generator, zinc[:30], labels, options=options, progress=False)


def test_the_health_figure_shows_every_panel(health: Health, tmp_path: Path) -> None:
    figure = health_figure(health)
    titles = [ax.get_title() for ax in figure.axes]
    assert len(titles) == 6
    assert "Heritability" in titles
    heritability = figure.axes[titles.index("Heritability")]
    np.testing.assert_array_equal(
        heritability.lines[0].get_ydata(), [s.unchanged for s in health.heritability.steps]
    )
    assert "not yet trained" in figure.get_suptitle()
    path = tmp_path / "health.png"
    save_figure(figure, path)
    data = path.read_bytes()
    assert data.startswith(b"\x89PNG")
    assert min(struct.unpack(">II", data[16:24])) > 500


def test_a_model_without_labels_has_an_empty_calibration_panel(
    tiny_model: Path, zinc: list[str]
) -> None:
    generator = molvae.load(tiny_model, "cpu")
    options = HealthOptions(held_out=5, samples=5, parents=3, steps=(0.0, 0.5))
    figure = health_figure(assess(generator, zinc[:5], options=options, progress=False))
    assert [t.get_text() for t in figure.axes[5].texts] == ["no held-out labels"]


def test_training_curves_pair_train_and_validation(tiny_model: Path) -> None:
    figure = training_curves(tiny_model / "history.csv")
    by_title = {ax.get_title(): ax for ax in figure.axes}
    panel = by_title["reconstruction"]
    assert [line.get_label() for line in panel.lines] == ["train", "validation"]
    assert len(panel.lines[0].get_xdata()) > 1
    assert "step" not in by_title


def test_training_curves_leave_out_what_has_no_value() -> None:
    figure = training_curves(
        {"step": [1, 2, 3], "train_kl": [3.0, 2.0, 1.0], "loss": [float("nan")] * 3}
    )
    assert [ax.get_title() for ax in figure.axes] == ["kl"]


def test_a_history_without_numbers_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="step"):
        training_curves({"train_kl": [1.0]})
    with pytest.raises(FileError):
        training_curves(tmp_path / "none.csv")


def test_best_so_far_follows_the_direction_and_skips_failures() -> None:
    values = np.array([np.nan, 2.0, 1.0, 3.0])
    np.testing.assert_array_equal(best_so_far(values, 1), [np.nan, 2, 2, 3])
    np.testing.assert_array_equal(best_so_far(values, 1, maximize=False), [np.nan, 2, 1, 1])
    np.testing.assert_array_equal(best_so_far(values, 2), [np.nan, 2, 1.5, 2.5])


@pytest.mark.parametrize("maximize", [True, False])
def test_the_optimisation_curve_says_its_direction(maximize: bool) -> None:
    figure = optimisation_curve([1.0, 3.0, 2.0], maximize=maximize, name="qed", start=1, baseline=2)
    (ax,) = figure.axes
    assert ax.get_title() == ("qed, maximised" if maximize else "qed, minimised")
    best = next(line for line in ax.lines if line.get_label() == "best")
    assert list(best.get_ydata()) == ([1, 3, 3] if maximize else [1, 1, 1])


@pytest.mark.parametrize("ending", ["svg", "pdf", "png"])
def test_figures_are_written_in_the_format_of_their_name(tmp_path: Path, ending: str) -> None:
    path = tmp_path / f"curve.{ending}"
    save_figure(optimisation_curve([1.0, 2.0]), path)
    assert path.read_bytes()[:5] in (b"<?xml", b"%PDF-", b"\x89PNG\r")


def test_an_unknown_format_leaves_nothing_behind(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"\.png, \.svg, \.pdf"):
        save_figure(optimisation_curve([1.0]), tmp_path / "curve.jpg")
    assert not list(tmp_path.iterdir())


def test_no_window_system_is_touched() -> None:
    # Figures are drawn in worker threads and on servers: pyplot has no part in them.
    import subprocess

    code = (
        "import sys, molvae.plots as p; p.optimisation_curve([1.0, 2.0]);"
        "sys.exit('matplotlib.pyplot' in sys.modules)"
    )
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
