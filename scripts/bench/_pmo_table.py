"""The page that ``pmo.py table`` writes."""

from __future__ import annotations

import json
import statistics
import sys
import textwrap
from collections import defaultdict
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

from _pmo_variants import VARIANTS

from molvae.base.files import atomic_file
from molvae.oracles.tasks import TASKS

PUBLISHED = json.loads((Path(__file__).parent / "pmo_published.json").read_text())
OURS = "molvae"
FEW = 8
"""Tasks that stand side by side; more of them stand below each other."""
WHOLE_WORDS = {"break_long_words": False, "break_on_hyphens": False}
INTRODUCTION = """# PMO: how few evaluations it takes

The protocol of PMO (Gao et al., NeurIPS 2022, arXiv:2206.12411): a task scores molecules, of
which a budget of unique ones may be evaluated; the mean of the ten best so far is taken every 100
evaluations, and the area under that curve is the figure, 1 at most. The twenty tasks that need
RDKit alone, by their present definitions (PyTDC 0.4.0; [objectives.md](objectives.md)). The model
is `druglike`, which has learnt from ZINC250k and no task; nothing is scored outside the budget;
one set of settings for all tasks, tuned on median1, zaleplon_mpo, sitagliptin_mpo,
fexofenadine_mpo and isomers_c7h8n2o2. A run whose ten best have not changed for 2,500 evaluations
ends, and its last mean fills the rest of the area, which can only be too little.

    python scripts/bench/pmo.py run --seeds 0 1 2 --out pmo
    python scripts/bench/pmo.py run --variant latent-only --calls 1500 --out pmo --tasks median1 \\
      zaleplon_mpo sitagliptin_mpo fexofenadine_mpo isomers_c7h8n2o2     # and the other variants
    python scripts/bench/pmo.py run --calls 500 --out pmo
    python scripts/bench/pmo.py run --variant library-gp --calls 500 --out pmo \\
      --library zinc250k.smi                                             # and --variant random
    python scripts/bench/pmo.py table --out pmo --write docs/pmo.md

The library is ZINC250k as `molvae data fetch zinc250k` leaves it.

Published figures are means of 3 to 5 seeds without pre-screening of a library: {sources}. "minutes"
are CPU time of one thread, of the longest run in parentheses, the task's own included (in deco_hop
and scaffold_hop its pharmacophore fingerprint is three quarters of it); "molecules" how many unique
ones were evaluated; "good" the share of the hundred best that have no alert (PAINS, BRENK, NIH) and
an SA below 4: a search that is told nothing but a score finds what has the score, and for the
made-up profiles of several tasks that is no drug. What must hold besides is said by constraints
([campaigns.md](campaigns.md)). A value in bold is the best of its row. """


def write_tables(runs: Sequence[dict[str, Any]], path: Path | None) -> None:
    """Every budget's table and the ablations, in Markdown."""
    by_kind: dict[tuple[int, str], dict[str, list[dict[str, Any]]]] = {}
    for run in runs:
        kind = by_kind.setdefault((run["calls"], run["variant"]), defaultdict(list))
        kind[run["task"]].append(run)
    by_source: dict[str, list[str]] = defaultdict(list)
    for method, row in PUBLISHED.items():
        by_source[row["source"]].append(method)
    sources = "; ".join(f"{', '.join(names)} ({source})" for source, names in by_source.items())
    parts = [filled(INTRODUCTION.format(sources=sources))]
    if (10_000, OURS) in by_kind:
        parts.append(main_table(by_kind[10_000, OURS]))
    for calls in sorted({calls for calls, _ in by_kind}):
        kinds = {name: by_kind[calls, name] for name in VARIANTS if (calls, name) in by_kind}
        if len(kinds) > 1:
            parts.append(comparison(calls, kinds))
    text = "\n\n".join(parts) + "\n"
    if path is None:
        sys.stdout.write(text)
        return
    with atomic_file(path) as file:
        file.write(text)


def filled(text: str) -> str:
    """Paragraphs of prose in lines of the usual length; others as they are."""
    return "\n\n".join(
        part if part.startswith(("#", "    ")) else textwrap.fill(part, 100, **WHOLE_WORDS)
        for part in text.strip().split("\n\n")
    )


def main_table(ours: dict[str, list[dict[str, Any]]]) -> str:
    """Area under the curve of each task beside what is published."""
    tasks = [name for name in TASKS if name in ours]
    head = ["task", *PUBLISHED, "molvae", "minutes", "molecules", "good"]
    rows = [head, ["---", *["---:"] * (len(head) - 1)]]
    sums = dict.fromkeys(PUBLISHED, 0.0)
    total = 0.0
    for name in tasks:
        published = {method: row["values"][name] for method, row in PUBLISHED.items()}
        for method, value in published.items():
            sums[method] += value
        runs = ours[name]
        areas = [run["auc"] for run in runs]
        mean = statistics.mean(areas)
        total += mean
        best = max(published.values())
        spread = f" ± {statistics.stdev(areas):.3f}" if len(areas) > 1 else ""
        text = f"{mean:.3f}{spread}"
        rows.append(
            [
                name,
                *(f"**{v:.3f}**" if v == best > mean else f"{v:.3f}" for v in published.values()),
                f"**{text}**" if mean >= best else text,
                _minutes([run["cpu_seconds"] / 60 for run in runs]),
                f"{statistics.mean(run['evaluated'] for run in runs):,.0f}",
                f"{statistics.mean(run['good'] for run in runs):.2f}",
            ]
        )
    rows.append(
        ["**sum**", *(f"{value:.2f}" for value in sums.values()), f"**{total:.2f}**", "", "", ""]
    )
    lines = ["| " + " | ".join(row) + " |" for row in rows]
    title = f"## {len(tasks)} tasks, 10,000 calls, {seeds_of(ours.values())}"
    return "\n".join([title, "", *lines])


def _minutes(taken: Sequence[float]) -> str:
    mean = f"{statistics.mean(taken):.1f}"
    return mean if len(taken) < 2 else f"{mean} ({max(taken):.1f})"


def comparison(calls: int, kinds: dict[str, dict[str, list[dict[str, Any]]]]) -> str:
    """Variants side by side, on the tasks and seeds that all of them have."""
    shared = set.intersection(
        *({(t, run["seed"]) for t, runs in kind.items() for run in runs} for kind in kinds.values())
    )
    tasks = sorted({name for name, _ in shared})
    rows = [["variant", *tasks, "sum"]]
    for name, kind in kinds.items():
        means = [
            statistics.mean(run["auc"] for run in kind[t] if (t, run["seed"]) in shared)
            for t in tasks
        ]
        label = f"{name}: {VARIANTS[name].about}"
        rows.append([label, *(f"{mean:.3f}" for mean in means), f"{sum(means):.3f}"])
    both = [[run for run in kind[t] if (t, run["seed"]) in shared] for t in tasks]
    if len(tasks) > FEW:
        rows = [
            ["task", *rows[0][1:]],
            *([row[0].replace(":", ",", 1), *row[1:]] for row in rows[1:]),
        ]
        rows = [list(column) for column in zip(*rows, strict=True)]
    rows.insert(1, ["---", *["---:"] * (len(rows[0]) - 1)])
    lines = ["| " + " | ".join(row) + " |" for row in rows]
    return "\n".join([f"## {calls:,} calls, {seeds_of(both)}", "", *lines])


def seeds_of(kinds: Iterable[Sequence[dict[str, Any]]]) -> str:
    """The seeds of runs, in words."""
    seeds = sorted({run["seed"] for runs in kinds for run in runs})
    return f"seed{'s' * (len(seeds) > 1)} {', '.join(map(str, seeds))}"
