"""From a table of measurements to an oracle with a report of how far to trust it."""

from __future__ import annotations

import math
import os
from typing import Any

import numpy as np

from molvae.base.errors import ConfigError, InputError
from molvae.base.files import sha256_file
from molvae.base.parallel import default_workers
from molvae.base.progress import Progress
from molvae.oracles.fitted.features import FeatureSpace
from molvae.oracles.fitted.folds import random_folds, scaffold_folds
from molvae.oracles.fitted.labels import LabelTable, read_labels
from molvae.oracles.fitted.model import PREDICTORS, FittedOracle
from molvae.oracles.fitted.options import FitOptions
from molvae.oracles.fitted.store import check_target, save_oracle
from molvae.oracles.fitted.tanimoto import LIMIT
from molvae.oracles.fitted.validation import calibration, out_of_fold, quality


def fit_oracle(
    labels: str | os.PathLike[str],
    label: str,
    out: str | os.PathLike[str],
    options: FitOptions | None = None,
    *,
    smiles_column: str | None = None,
    workers: int | None = None,
    progress: bool | None = None,
) -> FittedOracle:
    """Fit a model of the column ``label`` of the file ``labels`` and write it as directory ``out``.

    The report (``report`` of the result, ``report.json`` on disk) holds the rows that were
    refused with their reasons, and the measures of two cross-validations: at random, how good
    the model is on molecules such as those of the table; by scaffold, on those of another kind.

    Args:
        workers: threads that grow a forest; None takes every core.
        progress: show a bar; None means only on a terminal.

    Raises:
        InputError: too few usable rows, no such column, labels that cannot be learnt.
        ConfigError: a kind of model that does not suit the table.
        FileError: ``labels`` cannot be read, or ``out`` holds something else.
    """
    options = options or FitOptions()
    check_target(out)
    table = read_labels(labels, label, task=options.task, smiles_column=smiles_column)
    oracle = fit_table(table, options, workers=workers, progress=progress)
    provenance = {
        "file": os.path.basename(os.fspath(labels)),  # noqa: PTH119
        "file_sha256": sha256_file(labels),
        "molecules": len(table.smiles),
    }
    save_oracle(oracle, out, provenance)
    return oracle


def fit_table(
    table: LabelTable,
    options: FitOptions,
    *,
    workers: int | None = None,
    progress: bool | None = None,
) -> FittedOracle:
    """Fit a model to a table that has been read; see :func:`fit_oracle`."""
    _check(table, options)
    threads = default_workers() if workers is None else max(1, workers)
    kind = PREDICTORS[options.kind]
    with Progress("fitting", 2 * options.folds + 2, progress) as bar:
        space, matrix = FeatureSpace.of(options.chosen_features, table.smiles)
        bar.advance()

        def fit(rows: np.ndarray) -> Any:
            found = kind.fit(matrix[rows], table.labels[rows], table.task, options, threads)
            bar.advance()
            return found

        measures: dict[str, Any] = {}
        scale = 1.0
        for name, folds in _folds(table, options).items():
            if folds is None:
                measures[name] = None
                bar.advance(options.folds)
                continue
            mean, std = out_of_fold(fit, matrix, folds)
            if name == "random" and table.task == "regression":
                scale = calibration(table.labels, mean, std)
            measures[name] = quality(table.task, table.name, table.labels, mean, std * scale)
        predictor = fit(np.arange(len(table.smiles)))
    report = _report(table, options, scale, measures)
    return FittedOracle(table.name, table.task, options, space, predictor, scale, report)


def _check(table: LabelTable, options: FitOptions) -> None:
    n = len(table.smiles)
    if options.kind == "gp" and (table.task == "classification" or n > LIMIT):
        what = (
            "classes" if table.task == "classification" else f"{n:,} molecules (at most {LIMIT:,})"
        )
        raise ConfigError(f"a gp does not take {what}; take kind forest or ridge")
    if table.task == "classification":
        rarer = int(min(table.labels.sum(), n - table.labels.sum()))
        if rarer < options.folds:
            raise InputError(
                f"column {table.name!r}: only {rarer} molecules are of the rarer class, fewer "
                f"than the {options.folds} folds; add some, or take fewer folds"
            )
    elif n < 2 * options.folds:
        raise InputError(
            f"column {table.name!r}: {n} molecules are too few for {options.folds} folds"
        )


def _folds(table: LabelTable, options: FitOptions) -> dict[str, np.ndarray | None]:
    """The folds of each cross-validation; None for one that this table does not allow."""
    at_random = random_folds(
        table.smiles,
        table.labels,
        options.folds,
        options.seed,
        stratify=table.task == "classification",
    )
    by_scaffold = scaffold_folds(table.smiles, options.folds, options.seed)
    if by_scaffold is not None and table.task == "classification":
        for fold in range(options.folds):
            if len(set(table.labels[by_scaffold != fold].tolist())) < 2:
                by_scaffold = None  # without this fold there is only one class to learn
                break
    return {"random": at_random, "scaffold": by_scaffold}


def _report(
    table: LabelTable, options: FitOptions, scale: float, measures: dict[str, Any]
) -> dict[str, Any]:
    return {
        "label": table.name,
        "task": table.task,
        "kind": options.kind,
        "features": options.chosen_features,
        "rows": table.rows,
        "molecules": len(table.smiles),
        "joined": table.joined,
        "repeated_measurement_std": table.spread if math.isfinite(table.spread) else None,
        "std_scale": scale,
        "cross_validation": measures,
        "refused": [refused._asdict() for refused in table.refused],
    }
