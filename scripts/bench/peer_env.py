"""Make a peer's own environment: molsets and PyTDC do not install beside current packages.

Usage: python scripts/bench/peer_env.py [DIRECTORY] [--peer molsets|pytdc] [-- options for pip]

Creates a virtual environment in DIRECTORY (default: ``peer`` for molsets and ``pytdc`` for PyTDC,
below ``MOLVAE_BENCH``, which is ``.bench`` in the working directory), with molsets 0.3.1 or PyTDC
0.4.0 as it is on the package index but without the dead versions it pins, beside the same torch and
rdkit that molvae runs on. Nothing of it is changed: ``_peer.py``, ``_peer_metrics.py`` and
``_peer_oracles.py`` bring what current packages need, at run time. For molsets it also writes
``molecules.smi``, the training split that it ships, one SMILES per line.
"""

from __future__ import annotations

import argparse
import csv
import gzip
import subprocess
import venv
from collections.abc import Sequence
from dataclasses import dataclass
from importlib import metadata
from pathlib import Path

from _turns import bench_directory


@dataclass(frozen=True)
class Peer:
    """``shared`` is what the peer imports, in the versions of this environment: the same on both
    sides; ``others`` is what molvae has no use for; ``directory`` is where it goes."""

    package: str
    directory: str
    shared: tuple[str, ...]
    others: tuple[str, ...]


PEERS = {
    "molsets": Peer(
        "molsets==0.3.1",
        "peer",
        ("torch", "numpy", "pandas", "rdkit", "matplotlib", "scipy", "fcd_torch"),
        ("tqdm",),
    ),
    "pytdc": Peer(
        "PyTDC==0.4.0",
        "pytdc",
        ("numpy", "rdkit", "scipy", "scikit-learn"),
        ("networkx", "packaging", "setuptools<81"),  # the last with pkg_resources
    ),
}


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n\n")[0])
    parser.add_argument("directory", nargs="?", type=Path, help="default: see above")
    parser.add_argument("pip", nargs="*", help="options for pip, after --")
    parser.add_argument("--peer", choices=PEERS, default="molsets")
    options = parser.parse_args()
    peer = PEERS[options.peer]
    directory = options.directory or bench_directory() / peer.directory
    make(peer, directory, options.pip)
    print(f"{peer.package} runs in {directory}")
    if options.peer == "molsets":
        print(f"its molecules are in {write_molecules(directory)}")


def make(peer: Peer, directory: Path, pip: Sequence[str] = ()) -> Path:
    """Install ``peer`` into ``directory``, with options for pip; the environment's python."""
    python = directory / "bin" / "python"
    if not python.exists():
        venv.create(directory, with_pip=True)
    install = [python, "-m", "pip", "install", "--quiet", *pip]
    # A local version such as +cpu is the index's affair, not part of the version asked for.
    same = [f"{name}=={metadata.version(name).split('+')[0]}" for name in peer.shared]
    subprocess.run([*install, *same, *peer.others], check=True)
    subprocess.run([*install, "--no-deps", peer.package], check=True)
    return python


def write_molecules(directory: Path) -> Path:
    """Unpack the SMILES of the training split that lies in the installed package."""
    (packed,) = directory.glob("lib/python*/site-packages/moses/dataset/data/train.csv.gz")
    out = directory / "molecules.smi"
    with gzip.open(packed, "rt", newline="") as rows, open(out, "w") as lines:
        lines.writelines(row["SMILES"] + "\n" for row in csv.DictReader(rows))
    return out


if __name__ == "__main__":
    main()
