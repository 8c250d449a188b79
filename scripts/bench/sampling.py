"""Sampling: molecules and tokens per CPU second of one thread, against the VAE of molsets (MOSES).

To token strings (the peer's ``sample``; molvae's ids as SELFIES text), and end to end to canonical
SMILES (the peer's strings through RDKit; molvae's ``Generator.decode``). Random weights write
texts of arbitrary length, so both sides are trained on the same molecules first, for a few minutes
that are not measured; the weights are kept for the next run. The peer is far from trained after
that: most of its strings are no valid SMILES, which RDKit refuses quickly. The figures count every
string, valid or not, which is in the peer's favour.
"""

from __future__ import annotations

import sys
from contextlib import ExitStack
from pathlib import Path

from _common import SAMPLE, alternate, arguments, finish, print_table, rates, sample_of
from _turns import Worker, bench_directory

HERE = Path(__file__).resolve().parent
NAMES = {"peer": "molsets 0.3.1", "same": "molvae, same sizes", "default": "molvae, default"}


def main() -> None:
    parser = arguments(__doc__, rounds=7)
    parser.add_argument("--molecules", type=int, default=20_000, help="how many to train on")
    parser.add_argument("--steps", type=int, default=250, help="of 32 molecules, before")
    options = parser.parse_args()
    place = bench_directory()
    peer = place / "peer"
    n = {"peer": 512, "same": 512, "default": 2048}
    sizes = {"same": "moses", "default": "default"}
    if options.smoke:
        place, options.rounds, options.steps = place / "smoke", 1, 2
        molecules = sample_of(SAMPLE, 300, place)
        n, sizes = dict.fromkeys(n, 32), dict.fromkeys(sizes, "tiny")
    else:
        molecules = sample_of(peer / "molecules.smi", options.molecules, place)
    sides = ["default"] if options.smoke else ["peer", "same", "default"]
    results = {}
    for goal, flags in (("strings", []), ("canonical", ["--canonical"])):
        with ExitStack() as stack:
            workers = {}
            for name in sides:
                more = ["--steps", str(options.steps), "--batch", "32", "--n", str(n[name]), *flags]
                if name == "peer":
                    weights = peer / f"weights-{molecules.stem}-{options.steps}.pt"
                    command = [peer / "bin" / "python", HERE / "_peer.py", "sample", molecules]
                    more += ["--weights", str(weights)]
                else:
                    command = [Path(sys.executable), HERE / "_ours.py", "sample", molecules, place]
                    more += ["--size", sizes[name]]
                workers[name] = stack.enter_context(Worker([*command, *more]))
            reports = alternate({name: w.round for name, w in workers.items()}, options.rounds)
        rows = []
        for name in sides:
            result = {"molecules_per_cpu_s": rates(reports[name], "molecules")}
            cells = [NAMES[name], f"{result['molecules_per_cpu_s']:,.0f}"]
            made = sum(report["molecules"] for report in reports[name])
            if goal == "strings":
                result["tokens_per_cpu_s"] = rates(reports[name], "tokens")
                cells.append(f"{result['tokens_per_cpu_s']:,.0f}")
                length = sum(report["tokens"] for report in reports[name]) / made
                cells.append(f"{length:.1f}")
            else:
                valid = sum(report["valid"] for report in reports[name])
                cells.append(f"{valid / made:.0%}")
            if "peer" in workers:
                for key, figure in list(result.items()):
                    unit = key.partition("_")[0]
                    result[f"ratio_{unit}"] = figure.over(rates(reports["peer"], unit))
                    cells.append(f"{result[f'ratio_{unit}']:.1f}")
            rows.append(cells)
            results[f"{goal}/{name}"] = {key: value.to_dict() for key, value in result.items()}
        header = [f"sampling to {goal}", "molecules/CPU s"]
        header += ["tokens/CPU s", "tokens each"] if goal == "strings" else ["valid"]
        if "peer" in workers:
            header += ["times the peer, molecules"]
            header += ["times the peer, tokens"] if goal == "strings" else []
        print_table(rows, header)
        print()
    finish(options.output, "sampling", results)


if __name__ == "__main__":
    main()
