"""What the benchmarks share: fair rounds, medians, ratios, the sgemm rate, tables and JSON.

Every figure is work per **CPU second of one thread** (``time.process_time``), so another load on
the machine disturbs it little; the sides alternate within one run, so what it does disturb, it
disturbs alike; and the figure is the median over the rounds, with the range beside it.
"""

from __future__ import annotations

import argparse
import itertools
import os
import platform
import statistics
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from importlib import metadata
from pathlib import Path
from typing import Any

from molvae.base.files import atomic_file, write_json
from molvae.base.progress import Progress

REPOSITORY = Path(__file__).resolve().parents[2]
NAMES = {"peer": "molsets 0.3.1", "same": "molvae, same sizes", "default": "molvae, default"}
SAMPLE = REPOSITORY / "data" / "samples" / "moses_2000.smi"


@dataclass(frozen=True)
class Rates:
    """One figure per round, in work per CPU second (or any other unit)."""

    values: tuple[float, ...]

    @property
    def median(self) -> float:
        return statistics.median(self.values)

    def over(self, other: Rates) -> Rates:
        """The ratio round by round: neighbours in time share the machine's mood."""
        return Rates(tuple(a / b for a, b in zip(self.values, other.values, strict=True)))

    def to_dict(self) -> dict[str, Any]:
        return {
            "median": self.median,
            "min": min(self.values),
            "max": max(self.values),
            "rounds": list(self.values),
        }

    def __format__(self, spec: str) -> str:
        low, high = min(self.values), max(self.values)
        return f"{self.median:{spec}} ({low:{spec}} to {high:{spec}})"


def cpu_time(function: Callable[[], Any]) -> float:
    """CPU seconds of this process that one call of ``function`` takes."""
    start = time.process_time()
    function()
    return time.process_time() - start


def alternate(
    sides: Mapping[str, Callable[[], dict[str, Any]]],
    rounds: int,
    *,
    warmup: int = 1,
    progress: bool | None = None,
) -> dict[str, list[dict[str, Any]]]:
    """Call every side once per round, in an order that turns round, and collect the reports.

    The ``warmup`` rounds before them are thrown away. A side is a function (or a
    ``Worker.round``) that returns a dictionary of what it measured, with ``cpu`` in seconds.
    """
    names = list(sides)
    reports: dict[str, list[dict[str, Any]]] = {name: [] for name in names}
    with Progress("rounds", (rounds + warmup) * len(names), progress) as bar:
        for turn in range(-warmup, rounds):
            shift = turn % len(names)
            for name in names[shift:] + names[:shift]:
                bar.note(name)
                report = sides[name]()
                if turn >= 0:
                    reports[name].append(report)
                bar.advance()
    return reports


def sample_of(molecules: Path, n: int, directory: Path) -> Path:
    """The first ``n`` lines of a file of SMILES, as a file in ``directory``."""
    directory.mkdir(parents=True, exist_ok=True)
    out = directory / f"{molecules.stem}-{n}.smi"
    if not out.exists():
        with molecules.open() as lines:
            text = "".join(itertools.islice(lines, n))
        with atomic_file(out) as copy:
            copy.write(text)
    return out


def timed(function: Callable[[], Mapping[str, float]]) -> Callable[[], dict[str, Any]]:
    """A side for :func:`alternate` from a function that returns its counts."""

    def side() -> dict[str, Any]:
        start = time.process_time()
        counts = function()
        return {"cpu": time.process_time() - start, **counts}

    return side


def rates(reports: Sequence[Mapping[str, Any]], count: str) -> Rates:
    """``count`` per CPU second, round by round."""
    return Rates(tuple(report[count] / report["cpu"] for report in reports))


def sgemm(smoke: bool = False) -> dict[str, Any]:
    """One round of the machine's own single-precision matrix product, as a side.

    Products of square matrices of 2,048 (``smoke``: of 256), one thread, by ``torch.mm`` (``mm``)
    and, where torch has it, by oneDNN (``onednn``): the libraries differ twofold on some
    processors. ``flop`` counts a multiplication and an addition as two.
    """
    import torch

    torch.set_num_threads(1)
    n, times = 256 if smoke else 2048, 3
    a, b, out = torch.full((n, n), 0.5), torch.full((n, n), 0.25), torch.empty(n, n)
    products: dict[str, Callable[[], Any]] = {"mm": lambda: torch.mm(a, b, out=out)}
    if torch.backends.mkldnn.is_available():
        linear = torch.ops.mkldnn._linear_pointwise
        products["onednn"] = lambda: linear(a, b, None, "none", [], "")
    work = 2.0 * n**3 * times
    report: dict[str, Any] = {"cpu": 0.0}
    for name, product in products.items():
        product()
        cpu = cpu_time(lambda product=product: [product() for _ in range(times)])  # type: ignore[misc]
        report[name] = work / cpu
        report["cpu"] += cpu
    return report


def values(reports: Sequence[Mapping[str, Any]], name: str) -> Rates:
    """A number that the reports hold as it is, round by round."""
    return Rates(tuple(report[name] for report in reports))


def arguments(description: str | None, *, rounds: int) -> argparse.ArgumentParser:
    """The options that all benchmarks have."""
    parser = argparse.ArgumentParser(description=(description or "").split("\n\n")[0])
    parser.add_argument("--rounds", type=int, default=rounds, help="rounds (default %(default)s)")
    parser.add_argument("-o", "--output", type=Path, help="write all figures as JSON to this file")
    parser.add_argument("--smoke", action="store_true", help="tiny sizes: only that it works")
    return parser


def machine() -> dict[str, Any]:
    """The machine in general terms: cores, vector instructions, versions."""
    flags = Path("/proc/cpuinfo").read_text() if Path("/proc/cpuinfo").exists() else ""
    vectors = [name for name in ("avx512f", "avx2", "asimd") if f" {name} " in flags]
    packages = ("molvae", "torch", "numpy", "rdkit", "selfies")
    return {
        "cores": os.cpu_count(),
        "architecture": platform.machine(),
        "vectors": vectors[:1],
        "python": platform.python_version(),
        **{name: installed(name) for name in packages},
    }


def installed(package: str) -> str | None:
    """The version of a package; None where it is not installed, as RDKit on a bare GPU machine."""
    try:
        return metadata.version(package)
    except metadata.PackageNotFoundError:
        return None


def print_table(rows: Sequence[Sequence[str]], header: Sequence[str]) -> None:
    """A Markdown table on standard output, aligned, the first column to the left."""
    widths = [max(len(row[i]) for row in [header, *rows]) for i in range(len(header))]

    def line(cells: Sequence[str]) -> str:
        first = cells[0].ljust(widths[0])
        rest = [cell.rjust(width) for cell, width in zip(cells[1:], widths[1:], strict=True)]
        return "| " + " | ".join([first, *rest]) + " |"

    print(line(header))
    rules = ["-" * widths[0]] + ["-" * (width - 1) + ":" for width in widths[1:]]
    print("| " + " | ".join(rules) + " |")
    for row in rows:
        print(line(row))


def finish(output: Path | None, name: str, results: Mapping[str, Any]) -> None:
    """Write the results with the command line and the machine to ``output``, if one is wanted."""
    if output is not None:
        command = [Path(sys.argv[0]).name, *sys.argv[1:]]
        write_json(output, {"benchmark": name, "command": command, "machine": machine(), **results})
        print(f"\nfigures: {output}", file=sys.stderr)
