"""From a private table to a synthetic one, with a report of what was kept and given away."""

from __future__ import annotations

import math
import os
import time
from dataclasses import dataclass
from typing import Any

import numpy as np

from molvae.base.errors import InputError
from molvae.base.parallel import default_workers
from molvae.chem.properties import compute
from molvae.generator import load
from molvae.latent.typicality import writes_alone
from molvae.metrics.distributions import SHOWN, Distribution, distribution
from molvae.metrics.profile import Profile, profile
from molvae.oracles.fitted.features import FeatureSpace
from molvae.oracles.fitted.labels import Refused
from molvae.oracles.fitted.options import Task
from molvae.synthesis.draw import PARTS, candidates, fine_tuned, resampled, taken
from molvae.synthesis.judge import Side, fidelity, model_losses, privacy, usefulness
from molvae.synthesis.labels import LabelModel
from molvae.synthesis.options import MOST, SynthesisOptions
from molvae.synthesis.table import Table, descriptor_of, read_private, without_text


@dataclass(frozen=True, eq=False)
class Synthesis:
    """Columns of the synthetic set, a report of plain values, and distributions for figures.

    These can be shared. ``refused``, the rows of the private table that are left out, quotes them
    and is for its owner alone.
    """

    columns: dict[str, Any]
    report: dict[str, Any]
    distributions: tuple[Distribution, ...]
    refused: list[Refused]

    @property
    def shortfall(self) -> str | None:
        """Where there are fewer molecules than were asked for: why, and what to do."""
        made, asked = self.report["molecules"], self.report["asked"]
        if made == asked:
            return None
        enough = math.ceil(self.report["options"]["oversample"] * asked / made)
        remedy = (
            f"draw more (--set oversample={enough})"
            if enough <= MOST
            else "raise max_similarity, or ask for fewer"
        )
        return (
            f"{asked - made:,} fewer than the {asked:,} asked for: a third of what is drawn is "
            f"kept, less copies and what is too similar; {remedy}"
        )


def synthesize(
    file: str | os.PathLike[str],
    model: str = "druglike",
    options: SynthesisOptions | None = None,
    *,
    workers: int | None = None,
    progress: bool | None = None,
) -> Synthesis:
    """Make a set of molecules with properties that is like the table ``file`` and holds none of it.

    ``model`` is taught by the table, for a while and on a copy; of many samples those that are in
    the table are left out, and the others so drawn that descriptors and predicted labels are spread
    as in the table; a forest of the table's labels, with its own errors as noise, gives theirs.
    What is held out (``held_out``) is learnt from by nothing. Nothing is written.

    Raises :class:`InputError` for a table that cannot be used, :class:`ModelError` where the model
    writes too little that is new.
    """
    options = options or SynthesisOptions()
    started = time.process_time()
    seconds: dict[str, float] = {}
    threads = default_workers() if workers is None else workers
    table = read_private(file, options.labels, options.smiles_column)
    learnt, held_out = table.split(options.held_out, options.seed)
    seconds["reading"] = time.process_time() - started

    start = time.process_time()
    taught, readable = fine_tuned(
        model,
        learnt.smiles,
        options.epochs,
        seed=options.seed,
        device=options.device,
        progress=progress,
    )
    if not readable:
        raise InputError(f"{os.fspath(file)}: the model {model} can read none of the molecules")
    seconds["fine-tuning"] = time.process_time() - start

    start = time.process_time()
    wanted = options.molecules or len(table.smiles)
    real, others = (
        profile(side.smiles, PARTS, workers=1, progress=progress, title="describing")
        for side in (learnt, held_out)
    )
    everything = Profile(
        smiles=real.smiles + others.smiles,
        flat=real.flat + others.flat,
        prints=np.concatenate([real.prints, others.prints]),
    )
    pool, counts = candidates(
        taught,
        round(options.oversample * wanted),
        everything,
        options.max_similarity,
        seed=options.seed,
        progress=progress,
    )
    seconds["sampling"] = time.process_time() - start

    start = time.process_time()
    space, matrix = FeatureSpace.of("both", learnt.smiles)
    labels = [
        LabelModel.fit(
            matrix, column, decimals, trees=options.trees, seed=options.seed, workers=threads
        )
        for column, decimals in zip(learnt.values.T, table.decimals, strict=True)
    ]
    pool_matrix = space.matrix(pool.smiles)
    predicted = [found.predict(pool_matrix) for found in labels]
    seconds["labels"] = time.process_time() - start

    rows = resampled(
        np.column_stack([pool.properties, *(mean for mean, _ in predicted)]),
        np.column_stack([real.properties, *(found.out_of_fold for found in labels)]),
        wanted,
        options.seed,
    )
    chosen = taken(pool, rows)
    values = np.column_stack(
        [np.empty((len(rows), 0))]
        + [
            _values(name, learnt.values[:, i], learnt, chosen, found,
                    (predicted[i][0][rows], predicted[i][1][rows]), options.seed + i)
            for i, (name, found) in enumerate(zip(table.names, labels, strict=True))
        ]
    )  # fmt: skip

    start = time.process_time()
    sides = (
        Side(chosen, values, pool_matrix[rows]),
        Side(real, learnt.values, matrix),
        Side(others, held_out.values, space.matrix(held_out.smiles)),
    )
    tasks: list[Task] = [found.task for found in labels]
    base = load(model, options.device)
    attacked = (
        model_losses(taught, base, learnt.smiles, held_out.smiles, seed=options.seed)
        if writes_alone(base)
        else {}
    )
    report = {
        "table": {
            "rows": table.rows,
            "molecules": len(table.smiles),
            "refused": without_text(table.refused),
            "learnt_from": len(learnt.smiles),
            "held_out": len(held_out.smiles),
            "readable": readable,
        },
        "model": model,
        "candidates": {**counts, "left": len(pool.smiles)},
        "molecules": len(rows),
        "asked": wanted,
        "fidelity": fidelity(*sides, table.names, fcd=options.fcd, seed=options.seed,
                             progress=progress),
        "usefulness": usefulness(*sides, table.names, tasks, trees=options.trees,
                                 seed=options.seed, workers=threads),
        "privacy": privacy(chosen, real, others, attacked, seed=options.seed, progress=progress),
        "options": options.to_dict(),
    }  # fmt: skip
    seconds["judging"] = time.process_time() - start
    report["cpu_seconds"] = {**seconds, "all": time.process_time() - started}
    extra = compute(chosen.smiles, options.properties, workers=1, progress=progress)
    columns = {
        "smiles": chosen.smiles,
        **{
            name: _written(values[:, i], decimals)
            for i, (name, decimals) in enumerate(zip(table.names, table.decimals, strict=True))
        },
        **{name: extra[:, i] for i, name in enumerate(options.properties)},
    }
    return Synthesis(columns, report, _distributions(sides, table.names), table.refused)


def _values(
    name: str,
    given: np.ndarray,
    learnt: Table,
    chosen: Profile,
    found: LabelModel,
    predicted: tuple[np.ndarray, np.ndarray],
    seed: int,
) -> np.ndarray:
    """A label of the synthetic molecules: computed where it is a descriptor, else drawn."""
    descriptor = descriptor_of(name, learnt.smiles, given)
    if descriptor is not None:
        computed = compute(chosen.smiles, [descriptor], progress=False)[:, 0]
        return np.round(computed, found.decimals)
    return found.draw(*predicted, seed)


def _written(values: np.ndarray, decimals: int) -> np.ndarray | list[int | None]:
    """A column as it is written: whole numbers, some missing, where there are no decimals."""
    if decimals:
        return values
    return [int(value) if np.isfinite(value) else None for value in values]


def _distributions(
    sides: tuple[Side, Side, Side], names: tuple[str, ...]
) -> tuple[Distribution, ...]:
    synthetic, real, _ = sides
    found = [
        distribution(name, name, synthetic.labels[:, i], real.labels[:, i])
        for i, name in enumerate(names)
    ]
    whole = ("heavy_atoms", "rings", "largest_ring")
    found += [
        distribution(n, title, synthetic.profile.column(n), real.profile.column(n), n in whole)
        for n, title in SHOWN.items()
    ]
    return tuple(found)
