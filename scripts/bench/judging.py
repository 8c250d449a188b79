"""How long `molvae evaluate` takes: 30,000 molecules, and 10,000 with ``--fast``, on all cores.

Random training molecules of MOSES, judged against MOSES, in wall time. The reference and the
molecules that are judged beside are measured first (half an hour of one core), as every later
evaluation finds them.

    python scripts/bench/judging.py -o judging.json
"""

from __future__ import annotations

import time
from dataclasses import replace
from typing import Any

from _common import arguments, finish, print_table
from _molecules import molecules
from _turns import bench_directory

from molvae.base.parallel import default_workers
from molvae.metrics.evaluation import EvaluationOptions, evaluate
from molvae.metrics.reference import Reference, open_reference


def main() -> None:
    options = arguments(__doc__, rounds=1).parse_args()
    ways = {"all": EvaluationOptions(molecules=30_000), "--fast": EvaluationOptions.fast()}
    if options.smoke:
        ways = {"all": EvaluationOptions(molecules=100, copies=50, alerts=50)}
    most = max(way.molecules or 0 for way in ways.values())
    drawn = molecules("moses", most, smoke=options.smoke)
    where = drawn[: most // 2] if options.smoke else "moses"
    cache = bench_directory() / "judging" if options.smoke else None
    reference = open_reference(where, cache=cache)
    found: dict[str, Any] = {"workers": default_workers(), "ways": {}}
    for name, way in ways.items():
        evaluate(drawn, reference, options=way)  # what is kept from now on
        found["ways"][name] = [judge(drawn, reference, way) for _ in range(options.rounds)]
    print(f"\nOn {found['workers']} cores\n")
    stages = list(dict.fromkeys(s for runs in found["ways"].values() for s in runs[0]["stages"]))
    rows = []
    for name, runs in found["ways"].items():
        for run in runs:
            seconds = [*(run["stages"].get(stage, 0.0) for stage in stages), run["wall"]]
            rows.append([f"{name}, {run['molecules']:,}", *(f"{s:.0f} s" for s in seconds)])
    print_table(rows, ["molecules", *stages, "together"])
    finish(options.output, "judging", found)


def judge(drawn: list[str], reference: Reference, way: EvaluationOptions) -> dict[str, Any]:
    """Seconds of one evaluation, together and by stage, with a reference that is read anew."""
    fresh = replace(reference)
    began = time.monotonic()
    result = evaluate(drawn, fresh, options=way)
    wall = time.monotonic() - began
    stages = {name: value for name, value in result.seconds.items() if name != "all"}
    return {"molecules": result.molecules, "wall": wall, "stages": stages}


if __name__ == "__main__":
    main()
