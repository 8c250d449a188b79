"""Building a corpus: SMILES to ids against ``selfies``, the whole of it, two processes, memory.

First, microseconds of one thread per molecule, sides alternating on molecules that no round before
has seen: ``selfies`` (encoder, split, look-up of ids) against our encoder and look-up, and beside
them what a corpus takes as a whole, of which RDKit's parsing and canonicalisation is most. Then the
same file built by one process that does everything and by two workers beside the process that
stores, in turns: wall time, CPU time of all processes, and the peak resident memory of the storing
process and of the largest worker. The ratio of wall times says little unless the machine is quiet
(its load is shown), so the ratio that the CPU times allow on two free cores stands beside it.

    python scripts/bench/corpus.py -o corpus.json
"""

from __future__ import annotations

import json
import os
import resource
import subprocess
import sys
import tempfile
import time
from collections import defaultdict
from collections.abc import Callable, Iterable, Sequence
from itertools import cycle
from pathlib import Path
from typing import Any

import selfies
from _common import Rates, alternate, arguments, finish, print_table, timed
from _molecules import SETS, molecules

from molvae.chem.selfies import Constraints, Encoder
from molvae.datasets.clean import CleanOptions, clean_text
from molvae.datasets.corpus import build_corpus
from molvae.datasets.sources import Source


def main() -> None:
    parser = arguments(__doc__, rounds=7)
    parser.add_argument("--molecules", type=int, default=2000, help="per round (default 2000)")
    parser.add_argument("--build", type=int, default=100_000, help="per build (default 100,000)")
    parser.add_argument("--here", type=int, metavar="WORKERS", help="build a file in this process")
    parser.add_argument("--file", type=Path, help="the file that --here builds from")
    options = parser.parse_args()
    if options.here is not None:
        build_here(options.file, options.here)
        return
    rounds, size = (2, 100) if options.smoke else (options.rounds, options.molecules)
    results: dict[str, Any] = {}
    for name in SETS:
        texts = molecules(name, (rounds + 1) * size, smoke=options.smoke)
        sides = steps(texts, rounds, size)
        ratio = sides["selfies"].over(sides["molvae, SMILES to ids"])
        results[name] = {**{k: v.to_dict() for k, v in sides.items()}, "ratio": ratio.to_dict()}
        print(f"\n{name}: CPU microseconds per molecule, median of {rounds} rounds of {size}\n")
        rows = [[side, f"{values:.1f}"] for side, values in sides.items()]
        print_table([*rows, ["selfies / molvae, SMILES to ids", f"{ratio:.2f}"]], ["", "us"])
    count = 300 if options.smoke else options.build
    results["build"] = builds(molecules("zinc250k", count, smoke=options.smoke), rounds)
    finish(options.output, "corpus", results)


def steps(smiles: Sequence[str], rounds: int, size: int) -> dict[str, Rates]:
    """Microseconds per molecule of every side."""

    def over(make: Callable[[], Callable[[list[str]], object]]) -> Any:
        pieces = cycle([smiles[i : i + size] for i in range(0, len(smiles), size)])

        def side() -> dict[str, float]:
            make()(list(next(pieces)))
            return {"molecules": size}

        return timed(side)

    reports = alternate(
        {
            "selfies": over(lambda: theirs),
            "molvae, SMILES to ids": over(lambda: ours),
            "molvae, cleaning": over(lambda: cleaning),
            "molvae, the whole corpus": over(lambda: whole),
        },
        rounds,
    )
    return {
        name: Rates(tuple(1e6 * r["cpu"] / r["molecules"] for r in found))
        for name, found in reports.items()
    }


def numbering() -> defaultdict[str, int]:
    """Numbers symbols as they come, as building a corpus does."""
    numbers: defaultdict[str, int] = defaultdict()
    numbers.default_factory = numbers.__len__
    return numbers


def theirs(smiles: Iterable[str]) -> object:
    number = numbering()
    return [[number[s] for s in selfies.split_selfies(selfies.encoder(text))] for text in smiles]


def ours(smiles: Iterable[str]) -> object:
    number, encode = numbering(), Encoder(Constraints.preset("default")).encode
    return [[number[s] for s in encode(text)] for text in smiles]


def cleaning(smiles: Iterable[str]) -> object:
    options = CleanOptions()
    return [clean_text(text, options) for text in smiles]


def whole(smiles: Sequence[str]) -> object:
    with tempfile.TemporaryDirectory() as place:
        return build_corpus(Source.molecules(smiles), Path(place) / "c", workers=0, progress=False)


def builds(smiles: Sequence[str], rounds: int) -> dict[str, Any]:
    """Time and memory of building the same molecules in one process and with two workers."""
    with tempfile.TemporaryDirectory() as place:
        file = Path(place) / "molecules.smi"
        file.write_text("\n".join(smiles))
        command = [sys.executable, __file__, "--file", str(file), "--here"]

        def side(workers: int) -> Callable[[], dict[str, Any]]:
            def run() -> dict[str, Any]:
                done = subprocess.run(
                    [*command, str(workers)], check=True, stdout=subprocess.PIPE, text=True
                )
                return json.loads(done.stdout.splitlines()[-1])

            return run

        reports = alternate({"none": side(0), "2": side(2)}, min(rounds, 3), warmup=0)
    walls = {name: Rates(tuple(r["wall"] for r in found)) for name, found in reports.items()}
    ratio = walls["none"].over(walls["2"])
    spent = {name: Rates(tuple(r["cpu"] for r in found)) for name, found in reports.items()}
    possible = Rates(tuple(2 * x for x in spent["none"].over(spent["2"]).values))
    load = os.getloadavg()[0]
    print(f"\n{len(smiles):,} molecules of ZINC250k by worker processes (load {load:.1f})\n")
    keys = ("cpu", "peak", "worker_peak")
    rows = []
    for name, found in reports.items():
        cpu, peak, worker_peak = (Rates(tuple(r[key] for r in found)).median for key in keys)
        memory = [f"{peak / 1e6:,.0f} MB", f"{worker_peak / 1e6:,.0f} MB"]
        rows.append([name, f"{walls[name]:.1f}", f"{cpu:.1f}", *memory])
    print_table(rows, ["workers", "wall s", "CPU s", "peak, storing", "peak, a worker"])
    print(
        f"\nwall time, one process / two workers: {ratio:.2f}; two free cores allow {possible:.2f}"
    )
    return {
        "molecules": len(smiles),
        "load": load,
        "ratio": ratio.to_dict(),
        "possible": possible.to_dict(),
        "rounds": reports,
    }


def build_here(file: Path, workers: int) -> None:
    """Build in this process, which stores what the workers encode; print what it took."""
    scale = 1 if sys.platform == "darwin" else 1024
    with tempfile.TemporaryDirectory() as place:
        began = time.perf_counter()
        build_corpus(file, Path(place) / "c", workers=workers, progress=False)
        wall = time.perf_counter() - began
    mine, workers_use = (
        resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)
    )
    report = {
        "wall": wall,
        "cpu": sum(use.ru_utime + use.ru_stime for use in (mine, workers_use)),
        "peak": mine.ru_maxrss * scale,
        "worker_peak": workers_use.ru_maxrss * scale,
    }
    print(json.dumps(report))


if __name__ == "__main__":
    main()
