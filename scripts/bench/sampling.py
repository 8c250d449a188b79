"""Sampling: molecules and tokens per CPU second of one thread, against the VAE of molsets (MOSES).

To token strings (the peer's ``sample``; molvae's ids as SELFIES text), and end to end to canonical
SMILES (the peer's strings through RDKit; molvae's ``Generator.decode``). Random weights write
texts of arbitrary length, so both sides are trained on the same molecules first, for a few minutes
that are not measured; the weights are kept for the next run. The peer is far from trained after
that: most of its strings are no valid SMILES, which RDKit refuses quickly. The figures count every
string, valid or not, which is in the peer's favour.
"""

from __future__ import annotations

import argparse
import sys
from contextlib import ExitStack
from pathlib import Path

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
)
from _turns import Worker, bench_directory

HERE = Path(__file__).resolve().parent


def main() -> None:
    parser = arguments(__doc__, rounds=7)
    parser.add_argument("--molecules", type=int, default=20_000, help="how many to train on")
    parser.add_argument("--steps", type=int, default=250, help="of 32 molecules, before")
    options = parser.parse_args()
    place = bench_directory()
    if options.smoke:
        place, options.rounds, options.steps = place / "smoke", 1, 2
        molecules = sample_of(SAMPLE, 300, place)
    else:
        molecules = sample_of(place / "peer" / "molecules.smi", options.molecules, place)
    results = {}
    for goal in ("strings", "canonical"):
        reached = sample(goal, place, molecules, options)
        show(goal, reached)
        for name, result in reached.items():
            results[f"{goal}/{name}"] = {key: rate.to_dict() for key, rate in result.items()}
    finish(options.output, "sampling", results)


def sides(place: Path, molecules: Path, steps: int, smoke: bool) -> dict[str, list[str | Path]]:
    """The commands of the workers, each with the number of molecules of a turn."""
    before: list[str | Path] = ["--steps", str(steps), "--batch", "32"]
    ours = [Path(sys.executable), HERE / "_ours.py", "sample", molecules, place, *before]
    if smoke:
        return {"default": [*ours, "--size", "tiny", "--n", "32"]}
    peer = place / "peer"
    weights = peer / f"weights-{molecules.stem}-{steps}.pt"
    theirs = [peer / "bin" / "python", HERE / "_peer.py", "sample", molecules, *before]
    return {
        "peer": [*theirs, "--weights", weights, "--n", "512"],
        "same": [*ours, "--size", "moses", "--n", "512"],
        "default": [*ours, "--n", "2048"],
    }


def sample(
    goal: str, place: Path, molecules: Path, options: argparse.Namespace
) -> dict[str, dict[str, Rates]]:
    """What each side reached on the way to ``goal``."""
    commands = sides(place, molecules, options.steps, options.smoke)
    flags = ["--canonical"] if goal == "canonical" else []
    with ExitStack() as stack:
        workers = {n: stack.enter_context(Worker([*c, *flags])) for n, c in commands.items()}
        reports = alternate({n: worker.round for n, worker in workers.items()}, options.rounds)
    counted = ["molecules", "tokens"] if goal == "strings" else ["molecules"]
    results: dict[str, dict[str, Rates]] = {}
    for name in commands:
        result = {f"{count}_per_cpu_s": rates(reports[name], count) for count in counted}
        if "peer" in reports:
            for count in counted:
                theirs = rates(reports["peer"], count)
                result[f"ratio_{count}"] = rates(reports[name], count).over(theirs)
        share = "tokens" if goal == "strings" else "valid"
        result[f"{share}_per_molecule"] = Rates(
            tuple(report[share] / report["molecules"] for report in reports[name])
        )
        results[name] = result
    return results


def show(goal: str, results: dict[str, dict[str, Rates]]) -> None:
    """The table on standard output."""
    columns = {
        "molecules_per_cpu_s": ("molecules/CPU s", lambda r: f"{r:,.0f}"),
        "tokens_per_cpu_s": ("tokens/CPU s", lambda r: f"{r:,.0f}"),
        "tokens_per_molecule": ("tokens each", lambda r: f"{r.median:.1f}"),
        "valid_per_molecule": ("valid", lambda r: f"{r.median:.0%}"),
        "ratio_molecules": ("times the peer, molecules", lambda r: f"{r:.1f}"),
        "ratio_tokens": ("times the peer, tokens", lambda r: f"{r:.1f}"),
    }
    shown = [key for key in columns if any(key in result for result in results.values())]
    rows = [
        [NAMES[name], *(columns[key][1](result[key]) for key in shown)]
        for name, result in results.items()
    ]
    print_table(rows, [f"sampling to {goal}", *(columns[key][0] for key in shown)])
    print()


if __name__ == "__main__":
    main()
