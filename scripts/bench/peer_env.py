"""Make the peer's own environment: molsets 0.3.1 does not install beside current packages.

Usage: python scripts/bench/peer_env.py [DIRECTORY] [-- options for pip]

Creates a virtual environment in DIRECTORY (default: ``peer`` below ``MOLVAE_BENCH``, which is
``.bench`` in the working directory), with molsets as it is on the package index but without the
dead versions it pins, beside the same torch that molvae runs on. Nothing of it is changed:
``_peer.py`` brings what a current numpy or torch needs, at run time. It also writes
``molecules.smi``, the training split that molsets ships, one SMILES per line.
"""

from __future__ import annotations

import argparse
import csv
import gzip
import subprocess
import venv
from importlib import metadata
from pathlib import Path

from _turns import bench_directory

PEER = "molsets==0.3.1"
SHARED = ("torch", "numpy", "pandas", "rdkit", "matplotlib", "scipy", "fcd_torch")
"""What its VAE and its metrics import, in the versions of this environment: the same on both
sides."""


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n\n")[0])
    parser.add_argument("directory", nargs="?", type=Path, default=bench_directory() / "peer")
    parser.add_argument("pip", nargs="*", help="options for pip, after --")
    options = parser.parse_args()
    python = options.directory / "bin" / "python"
    if not python.exists():
        venv.create(options.directory, with_pip=True)
    install = [python, "-m", "pip", "install", "--quiet", *options.pip]
    # A local version such as +cpu is the index's affair, not part of the version asked for.
    same = [f"{name}=={metadata.version(name).split('+')[0]}" for name in SHARED]
    subprocess.run([*install, *same, "tqdm"], check=True)
    subprocess.run([*install, "--no-deps", PEER], check=True)
    molecules = write_molecules(options.directory)
    print(f"the peer runs in {options.directory}; its molecules are in {molecules}")


def write_molecules(directory: Path) -> Path:
    """Unpack the SMILES of the training split that lies in the installed package."""
    (packed,) = directory.glob("lib/python*/site-packages/moses/dataset/data/train.csv.gz")
    out = directory / "molecules.smi"
    with gzip.open(packed, "rt", newline="") as rows, open(out, "w") as lines:
        lines.writelines(row["SMILES"] + "\n" for row in csv.DictReader(rows))
    return out


if __name__ == "__main__":
    main()
