"""The host beside a device that costs nothing: how fast what was written is read, and by whom.

Some draws of a model are written once. Then they are handed out again and again, in random order,
as if a device had written them, to the bulk route (``generate_shards``) as it is where a GPU
writes: this process holds the device, and others read. What a draw takes of a core of theirs and of
this process says how many cores keep up with a device that needs ``--device-us`` for a draw.

    python scripts/bench/host.py --model moses -o host.json
"""

from __future__ import annotations

import os
import tempfile
import time
from pathlib import Path
from typing import Any
from unittest import mock

import numpy as np
from _common import arguments, finish, print_table
from _turns import bench_directory

from molvae.base.parallel import default_workers
from molvae.bulk import BulkOptions, generate_shards, work
from molvae.generator import Generator, load
from molvae.latent.draws import Draws

DEVICE_US = 76.0
BLOCK = 500  # of both sizes, for blocks are begun ahead that are not needed


def main() -> None:
    parser = arguments(__doc__, rounds=1)
    parser.add_argument("--model", default="moses", help="directory or name (%(default)s)")
    parser.add_argument("--sizes", type=int, nargs=2, default=[10_000, 60_000], metavar="N")
    parser.add_argument("--written", type=int, default=2000, help="draws to hand out (%(default)s)")
    parser.add_argument("--workers", type=int, help="processes that read (default: every core)")
    parser.add_argument(
        "--device-us",
        type=float,
        default=DEVICE_US,
        help="microseconds of the device for a draw (%(default)s: an H200, four candidates)",
    )
    options = parser.parse_args()
    if options.smoke:
        from throughput import smoke_model

        place = bench_directory() / "smoke"
        options.model, options.written = str(smoke_model(place)), 50
        options.sizes, options.workers = [500, 1500], 2
    workers = options.workers or default_workers()
    if workers < 2:
        raise SystemExit("host.py: take two processes at least; one alone reads as it writes")
    generator = load(options.model, "cpu")
    written = generator.write(options.written, seed=0)
    few, many = (replayed(generator, written, n, workers) for n in options.sizes)
    draws = many["draws"] - few["draws"]
    each = {name: 1e6 * (many[name] - few[name]) / draws for name in ("wall", "readers")}
    each["here"] = 1e6 * many["here"] / many["draws"]
    needed = each["readers"] / options.device_us
    print(f"\n{workers} processes read draws of {written.candidates} candidates\n")
    rows = [
        ["wall", f"{each['wall']:,.0f}"],
        ["of the cores that read", f"{each['readers']:,.0f}"],
        ["of the process that holds the device, its start included", f"{each['here']:,.0f}"],
    ]
    print_table(rows, ["time", "microseconds/draw"])
    print(f"\n{needed:.1f} cores keep up with {options.device_us:g} microseconds of a device")
    results = {"workers": workers, "few": few, "many": many, "each": each, "cores": needed}
    finish(options.output, "host", results)


def replayed(generator: Generator, written: Draws, n: int, workers: int) -> dict[str, Any]:
    """``n`` draws through the bulk route: seconds on the clock, of this process, of the others."""
    random = np.random.default_rng(n)

    def write(self: Generator, size: int, *, seed: int, **options: Any) -> Draws:
        each = np.arange(written.candidates)
        rows = random.integers(0, len(written), size)[:, None] * written.candidates + each
        rows = rows.ravel()
        ids, lengths, log_prob = written.ids[rows], written.lengths[rows], written.log_prob[rows]
        return Draws(ids, lengths, log_prob, written.candidates, seed)

    options = BulkOptions(molecules=n, block=BLOCK, unique=False)
    with (
        tempfile.TemporaryDirectory() as folder,
        mock.patch.object(Generator, "write", write),
        mock.patch.object(work, "shares_cores", return_value=False),
    ):
        before, began = os.times(), time.perf_counter()
        summary = generate_shards(
            generator, Path(folder) / "out", options, workers=workers, progress=False
        )
        wall, after = time.perf_counter() - began, os.times()
    return {
        "draws": summary.drawn,
        "wall": wall,
        "here": after.user + after.system - before.user - before.system,
        "readers": after.children_user
        + after.children_system
        - before.children_user
        - before.children_system,
    }


if __name__ == "__main__":
    main()
