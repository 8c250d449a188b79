"""Memory: the peak resident memory of training on all 1.58 million molecules of MOSES.

A process of its own opens the corpus and trains at the default settings for a number of steps:
buffers stop growing once the longest molecules have been seen, and a few hundred steps touch
nearly all pages of the memory-mapped tokens. Its peak (``ru_maxrss``) holds everything: python,
torch, the mapped file, the epoch's order, weights, optimiser and buffers.
"""

from __future__ import annotations

import json
import os
import resource
import subprocess
import sys
import tempfile
from pathlib import Path

from _common import SAMPLE, arguments, finish, print_table, sample_of
from _turns import ONE_THREAD, bench_directory


def train_here(corpus_directory: Path, steps: int, size: str) -> None:
    """Train in this process and print what it took, as JSON."""
    from _ours import settings

    from molvae.datasets.corpus import Corpus
    from molvae.training.loop import train

    def peak() -> int:
        scale = 1 if sys.platform == "darwin" else 1024
        return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * scale

    imported = peak()
    corpus = Corpus.open(corpus_directory)
    with tempfile.TemporaryDirectory() as place:
        train(corpus, Path(place) / "model", settings(size, None, steps), progress=False)
    report = {"molecules": len(corpus), "imported_bytes": imported, "peak_bytes": peak()}
    print(json.dumps(report))


def main() -> None:
    parser = arguments(__doc__, rounds=1)
    parser.add_argument("--steps", type=int, default=400)
    parser.add_argument("--corpus", type=Path, help="a corpus built before")
    parser.add_argument("--here", action="store_true", help="train in this very process")
    options = parser.parse_args()
    size = "tiny" if options.smoke else "default"
    if options.here:
        train_here(options.corpus, options.steps, size)
        return
    place = bench_directory()
    corpus = options.corpus or place / "corpus-moses"
    if options.corpus is None:
        from molvae.datasets.corpus import build_corpus

        if options.smoke:
            place, options.steps = place / "smoke", 3
            corpus = place / "corpus"
        source = sample_of(SAMPLE, 300, place) if options.smoke else "moses"
        build_corpus(source, corpus)
    command = [sys.executable, __file__, "--here", "--corpus", corpus, "--steps", options.steps]
    command += ["--smoke"] if options.smoke else []
    done = subprocess.run(
        [str(part) for part in command],
        env={**os.environ, **ONE_THREAD},
        check=True,
        stdout=subprocess.PIPE,
        text=True,
    )
    report = json.loads(done.stdout.splitlines()[-1])
    cells = [f"{report['molecules']:,}", str(options.steps)]
    cells += [f"{report[key] / 1e6:,.0f} MB" for key in ("imported_bytes", "peak_bytes")]
    print_table([cells], ["molecules", "steps", "after imports", "peak resident"])
    finish(options.output, "memory", report)


if __name__ == "__main__":
    main()
