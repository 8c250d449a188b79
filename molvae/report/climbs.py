"""Climbs along the property head, drawn step by step."""

from __future__ import annotations

import os
from collections.abc import Sequence

from molvae.chem.similarity import pairwise_similarity
from molvae.latent.paths import Path
from molvae.report.strips import Strip, write_strips

_DRAWN = 10


def write_climbs(path: str | os.PathLike[str], climbs: Sequence[Path], target: str) -> None:
    """Write the first ten of ``climbs`` that came to something as a picture or page of strips.

    Each goes from its start to the molecule that the head likes best; below a molecule stand the
    step, what the head predicts for it, and its similarity to the start. Molecules that repeat the
    one before are left out.
    """
    drawn = [climb for climb in climbs if climb.best is not None][:_DRAWN]
    lead = (
        f"Each way goes from a molecule to that which the head likes best for its {target}. Below "
        "each molecule: the step, the prediction for it, its similarity to the start."
    )
    write_strips(path, [_strip(climb, target) for climb in drawn], f"Climbs of {target}", lead)


def _strip(climb: Path, target: str) -> Strip:
    assert climb.best is not None
    seen: list[int] = []
    for i in range(climb.best + 1):
        found = climb.smiles[i]
        if found is not None and not (seen and climb.smiles[seen[-1]] == found):
            seen.append(i)
    smiles = [climb.smiles[i] for i in seen]
    alike = pairwise_similarity(smiles, [climb.start] * len(smiles))
    legends = [
        f"{climb.steps[i]}: {target} {climb.own_value[i]:.3g}, {similarity:.2f}"
        for i, similarity in zip(seen, alike, strict=True)
    ]
    return Strip(str(climb.start), smiles, legends)
