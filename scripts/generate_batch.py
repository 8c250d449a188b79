"""Millions of molecules from a trained model as Parquet shards, by any number of processes.

    python scripts/generate_batch.py MODEL DIR -n 5000000 --workers 16 --where 'sa<=4'

Run it again with the same arguments to complete a job that was interrupted; the molecules are the
same whatever the number of workers. It is ``molvae generate MODEL --shards DIR``; take it as a
pattern for jobs of your own.
"""

from __future__ import annotations

import argparse
import sys

import molvae
from molvae.bulk import BulkOptions, generate_shards


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("model", help="directory of a trained model, or a shipped one's name")
    parser.add_argument("out", help="directory of the shards")
    parser.add_argument("-n", "--molecules", type=int, default=1_000_000)
    parser.add_argument("--workers", type=int, help="processes (default: every core)")
    parser.add_argument("--device", default="auto")
    parser.add_argument("--temperature", type=float, default=1.0)
    parser.add_argument("--property", action="append", default=[], dest="properties")
    parser.add_argument("--where", action="append", default=[], help="as in 'qed>=0.6'")
    parser.add_argument("--sane", action="store_true")
    parser.add_argument("--seed", type=int, default=0)
    arguments = parser.parse_args()

    options = BulkOptions.parse(
        {
            "molecules": arguments.molecules,
            "temperature": arguments.temperature,
            "properties": arguments.properties,
            "where": arguments.where,
            "sane": arguments.sane,
            "seed": arguments.seed,
        }
    )
    generator = molvae.load(arguments.model, arguments.device)
    summary = generate_shards(generator, arguments.out, options, workers=arguments.workers)
    print(
        f"{summary.molecules:,} molecules of {summary.drawn:,} draws in {summary.shards:,} shards"
    )


if __name__ == "__main__":
    try:
        main()
    except molvae.MolvaeError as error:
        sys.exit(f"generate_batch: {error}")
