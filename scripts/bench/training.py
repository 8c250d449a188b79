"""Training: tokens per CPU second of one thread, against the VAE of molsets (MOSES).

Three trainings take turns on the same molecules: the peer's own trainer at its default
configuration, molvae at the same sizes (encoder 256, decoder 3 x 512, latent 128, batch 512), and
molvae at its own defaults. The machine's matrix product is measured in every round as well.
"""

from __future__ import annotations

import sys
from contextlib import ExitStack
from pathlib import Path

from _common import (
    SAMPLE,
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
NAMES = {"peer": "molsets 0.3.1", "same": "molvae, same sizes", "default": "molvae, default"}


def main() -> None:
    parser = arguments(__doc__, rounds=8)
    parser.add_argument("--molecules", type=int, default=20_000, help="how many to train on")
    options = parser.parse_args()
    place = bench_directory()
    peer = place / "peer"
    # Ours: preset, molecules in a batch, batches in a turn (a few CPU seconds for each side).
    ours = {"same": ("moses", 512, 2), "default": ("default", 256, 10)}
    if options.smoke:
        place, options.rounds = place / "smoke", 1
        molecules = sample_of(SAMPLE, 300, place)
        ours = {"default": ("tiny", 64, 1)}
    else:
        molecules = sample_of(peer / "molecules.smi", options.molecules, place)
    with ExitStack() as stack:
        workers = {}
        if not options.smoke:
            command = [peer / "bin" / "python", HERE / "_peer.py", "train", molecules]
            workers["peer"] = stack.enter_context(Worker([*command, "--steps", "1"]))
        for name, (size, batch, steps) in ours.items():
            command = [Path(sys.executable), HERE / "_ours.py", "train", molecules, place]
            more = ["--size", size, "--batch", str(batch), "--steps", str(steps)]
            workers[name] = stack.enter_context(Worker([*command, *more]))
        sides = {name: worker.round for name, worker in workers.items()}
        reports = alternate({**sides, "sgemm": sgemm}, options.rounds)

    product = {
        name: values(reports["sgemm"], name) for name in reports["sgemm"][0] if name != "cpu"
    }
    results = {}
    rows = []
    for name in workers:
        tokens, molecules_rate = rates(reports[name], "tokens"), rates(reports[name], "molecules")
        result = {"tokens_per_cpu_s": tokens, "molecules_per_cpu_s": molecules_rate}
        cells = [NAMES[name], f"{tokens:,.0f}", f"{molecules_rate.median:,.0f}"]
        if "peer" in workers:
            result["ratio_to_peer"] = tokens.over(rates(reports["peer"], "tokens"))
            cells.append(f"{result['ratio_to_peer']:.2f}")
        if name != "peer":
            flop = rates(reports[name], "flop")
            result |= {"flop_per_cpu_s": flop}
            result |= {f"share_of_{library}": flop.over(r) for library, r in product.items()}
            shares = [f"{flop.over(rate).median:.0%}" for rate in product.values()]
            cells += [f"{flop.median / 1e9:.0f}", *shares]
        rows.append(cells + [""] * (len(product) + 1 if name == "peer" else 0))
        results[name] = {key: value.to_dict() for key, value in result.items()}
    header = ["training", "tokens/CPU s", "molecules/CPU s"]
    header += ["times the peer"] if "peer" in workers else []
    header += ["Gflop/s", *(f"of {library}" for library in product)]
    print_table(rows, header)
    for library, rate in product.items():
        print(f"matrix product, {library}: {rate.median / 1e9:.0f} Gflop/s")
    results["sgemm"] = {library: rate.to_dict() for library, rate in product.items()}
    finish(options.output, "training", results)


if __name__ == "__main__":
    main()
