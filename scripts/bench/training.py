"""Training: tokens per CPU second of one thread, against the VAE of molsets (MOSES).

Three trainings take turns on the same molecules: the peer's own trainer at its default
configuration, molvae at the same sizes (encoder 256, decoder 3 x 512, latent 128, batch 512), and
molvae at its own defaults. The machine's matrix product is measured in every round as well.
CPU time is user and system time; the share of the kernel (page faults of memory that is asked for
anew at each step) is shown, because it varies with the machine.
"""

from __future__ import annotations

import sys
from contextlib import ExitStack
from pathlib import Path
from typing import Any

from _common import (
    NAMES,
    SAMPLE,
    Rates,
    alternate,
    arguments,
    finish,
    print_table,
    rates,
    sample_of,
    sgemm,
    values,
)
from _turns import Worker, bench_directory

HERE = Path(__file__).resolve().parent
Reports = dict[str, list[dict[str, Any]]]


def main() -> None:
    parser = arguments(__doc__, rounds=8)
    parser.add_argument("--molecules", type=int, default=20_000, help="how many to train on")
    options = parser.parse_args()
    place = bench_directory() / "smoke" if options.smoke else bench_directory()
    if options.smoke:
        molecules = sample_of(SAMPLE, 300, place)
    else:
        molecules = sample_of(place / "peer" / "molecules.smi", options.molecules, place)
    commands = sides(place, molecules, options.smoke)
    with ExitStack() as stack:
        workers = {name: stack.enter_context(Worker(c)) for name, c in commands.items()}
        rounds = {name: worker.round for name, worker in workers.items()}
        rounds["sgemm"] = lambda: sgemm(options.smoke)
        reports = alternate(rounds, 1 if options.smoke else options.rounds)
    libraries = [name for name in reports["sgemm"][0] if name != "cpu"]
    products = {library: values(reports["sgemm"], library) for library in libraries}
    results = {name: figures(reports, name, products) for name in commands}
    show(results, products)
    plain = {name: {k: v.to_dict() for k, v in result.items()} for name, result in results.items()}
    speeds = {library: rate.to_dict() for library, rate in products.items()}
    finish(options.output, "training", {**plain, "sgemm": speeds})


def sides(place: Path, molecules: Path, smoke: bool) -> dict[str, list[str | Path]]:
    """The commands of the workers: batches per turn are a few CPU seconds for each."""
    ours: list[str | Path] = [Path(sys.executable), HERE / "_ours.py", "train", molecules, place]
    if smoke:
        return {"default": [*ours, "--size", "tiny", "--batch", "64", "--steps", "1"]}
    python = place / "peer" / "bin" / "python"
    return {
        "peer": [python, HERE / "_peer.py", "train", molecules, "--steps", "1"],
        "same": [*ours, "--size", "moses", "--batch", "512", "--steps", "2"],
        "default": [*ours, "--steps", "10"],
    }


def figures(reports: Reports, name: str, products: dict[str, Rates]) -> dict[str, Rates]:
    """What one side reached, and how that compares with the peer and with the products."""
    tokens = rates(reports[name], "tokens")
    result = {
        "tokens_per_cpu_s": tokens,
        "molecules_per_cpu_s": rates(reports[name], "molecules"),
        "kernel_share": rates(reports[name], "system"),
    }
    if "peer" in reports:
        result["ratio_to_peer"] = tokens.over(rates(reports["peer"], "tokens"))
    if name != "peer":
        result["flop_per_cpu_s"] = flop = rates(reports[name], "flop")
        result |= {f"share_of_{library}": flop.over(rate) for library, rate in products.items()}
    return result


def show(results: dict[str, dict[str, Rates]], products: dict[str, Rates]) -> None:
    """The table on standard output."""
    columns = {
        "tokens_per_cpu_s": ("tokens/CPU s", lambda r: f"{r:,.0f}"),
        "molecules_per_cpu_s": ("molecules/CPU s", lambda r: f"{r.median:,.0f}"),
        "kernel_share": ("in the kernel", lambda r: f"{r.median:.0%}"),
        "ratio_to_peer": ("times the peer", lambda r: f"{r:.2f}"),
        "flop_per_cpu_s": ("Gflop/s", lambda r: f"{r.median / 1e9:.0f}"),
    }
    for name in products:
        columns[f"share_of_{name}"] = (f"of {name}", lambda r: f"{r.median:.0%}")
    shown = [key for key in columns if any(key in result for result in results.values())]
    rows = [
        [NAMES[name], *(columns[key][1](result[key]) if key in result else "" for key in shown)]
        for name, result in results.items()
    ]
    print_table(rows, ["training", *(columns[key][0] for key in shown)])
    for library, rate in products.items():
        print(f"matrix product, {library}: {rate.median / 1e9:.0f} Gflop/s")


if __name__ == "__main__":
    main()
