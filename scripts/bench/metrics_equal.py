"""Are our measures molsets'? The same molecules judged by both, on three sets of unlike quality.

``like``: molecules of MOSES' own test_scaffolds part. ``other``: molecules of ZINC250k, with
stereo and charges. ``damaged``: ZINC250k with letters exchanged, most of them no molecules
any more, some of the rest odd. A measure agrees within 0.5 % or 0.002.

    python scripts/bench/metrics_equal.py                         # against parts of the test sets
    python scripts/bench/metrics_equal.py --n 3000 --published    # against what molsets ships
    python scripts/bench/metrics_equal.py --peer OLD/bin/python   # molsets on another RDKit

With ``--published`` its side are the statistics that molsets 0.3.1 ships, of the RDKit of its day,
and ours are computed from the same molecules by the RDKit of this environment.
"""

from __future__ import annotations

import json
import math
import random
import subprocess
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from _common import SAMPLE, arguments, finish, print_table
from _molecules import molecules
from _turns import bench_directory

from molvae.base.seeds import derive_seed
from molvae.datasets.download import fetch
from molvae.datasets.readers import read_molecules
from molvae.metrics.evaluation import EvaluationOptions, evaluate
from molvae.metrics.reference import Molecules, Reference, open_reference

RELATIVE, ABSOLUTE = 0.005, 0.002
LETTERS = "CCCCNNNOOSFPccn=#"


def main() -> None:
    parser = arguments(__doc__, rounds=1)
    parser.add_argument("--n", type=int, default=10_000, help="of each set (default %(default)s)")
    parser.add_argument("--references", type=int, default=5000, help="of each test set")
    parser.add_argument("--published", action="store_true", help="the whole test sets, as shipped")
    parser.add_argument("--peer", type=Path, help="python of the peer's environment")
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args()
    if options.smoke:
        options.n, options.references = 60, 60
    sets = references(options.references, options.published, options.smoke, options.seed)
    samples = sample_sets(options.n, options.seed, options.smoke)
    with tempfile.TemporaryDirectory() as cache:
        ours = our_values(samples, sets, options.published, Path(cache))
    python = options.peer or bench_directory() / "peer" / "bin" / "python"
    theirs = {"rdkit": "", "values": {}} if options.smoke else peer_values(python, samples, sets)
    rows, agreed = compare(ours, theirs["values"])
    print_table(rows, ["", "measure", "molsets", "ours", "difference", "agrees"])
    print(f"\n{agreed} of {len(rows)} agree; molsets ran on rdkit {theirs['rdkit']}")
    results = {"ours": ours, "molsets": theirs, "published": options.published, "n": options.n}
    finish(options.output, "metrics_equal", results)


def references(count: int, published: bool, smoke: bool, seed: int) -> dict[str, Any]:
    """Training and test molecules; the test sets are None where the shipped ones are meant."""
    if smoke:
        lines = SAMPLE.read_text().split()
        return {"train": lines[:200], "test": lines[200:260], "test_scaffolds": lines[300:360]}
    train, test, scaffolds = (_lines(path) for path in fetch("moses"))
    if published:
        return {"train": train, "test": None, "test_scaffolds": None}
    draw = random.Random(derive_seed(seed, "references"))
    return {
        "train": draw.sample(train, 20 * count),
        "test": draw.sample(test, count),
        "test_scaffolds": draw.sample(scaffolds, count),
    }


def sample_sets(count: int, seed: int, smoke: bool) -> dict[str, list[str]]:
    """The three sets, ``count`` texts each; of the damaged one five times as many, so that as many
    of them are molecules."""
    draw = random.Random(derive_seed(seed, "samples"))
    like = SAMPLE.read_text().split()[-count:] if smoke else _lines(fetch("moses")[2])
    other = molecules("zinc250k", count, seed=seed, smoke=smoke)
    damaged = [damage(text, draw) for text in 5 * other]
    return {"like": draw.sample(like, count), "other": other, "damaged": damaged}


def damage(text: str, draw: random.Random) -> str:
    """One or two letters exchanged."""
    letters = list(text)
    for _ in range(draw.choice((1, 1, 2))):
        place = draw.randrange(len(letters))
        letters[place] = draw.choice(LETTERS)
    return "".join(letters)


def our_values(
    samples: dict[str, list[str]], sets: dict[str, Any], published: bool, cache: Path
) -> dict[str, dict[str, float]]:
    """Our measures by set and name."""
    if published:
        reference = open_reference("moses")
    else:
        parts = {name: _held(name, sets[name]) for name in ("train", "test", "test_scaffolds")}
        compared = {"Test": parts["test"], "TestSF": parts["test_scaffolds"]}
        reference = Reference("parts of moses", compared, parts["train"], cache)
    options = EvaluationOptions(yardstick=False, copies=100, alerts=10)
    result = {}
    for name, smiles in samples.items():
        found = evaluate(smiles, reference, options=options)
        # Fewer molecules than unique@k needs give NaN, where molsets takes as many as there are.
        moses = [m for m in found.measures if m.group == "MOSES" and not math.isnan(m.value)]
        result[name] = {m.name: m.value for m in moses}
    return result


def peer_values(python: Path, samples: dict[str, list[str]], sets: dict[str, Any]) -> Any:
    """What molsets says, in its own process and environment."""
    with tempfile.TemporaryDirectory() as folder:
        job = Path(folder, "job.json")
        job.write_text(json.dumps({"samples": samples, **sets}))
        script = Path(__file__).with_name("_peer_metrics.py")
        done = subprocess.run([python, script, job], stdout=subprocess.PIPE, text=True, check=True)
    return json.loads(done.stdout.splitlines()[-1])


def compare(
    ours: dict[str, dict[str, float]], theirs: dict[str, dict[str, float]]
) -> tuple[list[list[str]], int]:
    """Rows for the table, and how many of them agree."""
    rows = []
    for name, measures in ours.items():
        for measure, value in measures.items():
            other = theirs.get(name, {}).get(measure, math.nan)
            same = abs(value - other) <= max(ABSOLUTE, RELATIVE * abs(other))
            rows.append(
                [
                    name,
                    measure,
                    f"{other:.5f}",
                    f"{value:.5f}",
                    f"{value - other:+.6f}",
                    "yes" if same else "NO",
                ]
            )
    return rows, sum(row[-1] == "yes" for row in rows)


def _held(name: str, smiles: Sequence[str]) -> Molecules:
    return Molecules(name, f"{name} {len(smiles)} {smiles[0]}", lambda: smiles)


def _lines(path: Path) -> list[str]:
    return [row.smiles for row in read_molecules(path) if row.problem is None]


if __name__ == "__main__":
    main()
