"""Draw the README's pictures from what `make demo` left in demo/."""

from __future__ import annotations

import csv
import shutil
from pathlib import Path

from rdkit import Chem
from rdkit.Chem import Draw

DEMO, IMAGES = Path("demo"), Path("docs/images")
SHOWN = 12


def main() -> None:
    """Write docs/images/proposals.png and docs/images/health.png."""
    with (DEMO / "proposals.csv").open(newline="") as table:
        rows = [row for _, row in zip(range(SHOWN), csv.DictReader(table), strict=False)]
    picture = Draw.MolsToGridImage(
        [Chem.MolFromSmiles(row["smiles"]) for row in rows],
        molsPerRow=4,
        subImgSize=(260, 190),
        legends=[f"value {float(r['value']):.2f}, QED {float(r['qed']):.2f}" for r in rows],
    )
    IMAGES.mkdir(parents=True, exist_ok=True)
    picture.save(IMAGES / "proposals.png")
    shutil.copyfile(DEMO / "health.png", IMAGES / "health.png")


if __name__ == "__main__":
    main()
