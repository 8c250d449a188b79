"""The main job on real data: ZINC250k, a small model, its health, and the molecules it proposes.

Every step is a ``molvae`` command that is printed before it runs, so the demo is also a list of
what to type on data of your own. A step whose result is there already is not done again.
"""

from __future__ import annotations

import os
import shlex
import subprocess
import sys
import time
from dataclasses import dataclass
from pathlib import Path

OUT = Path("demo")
# The model is small: a second thread gains little, and loses much beside other work.
ONE_THREAD = {"OMP_NUM_THREADS": "1"}


@dataclass(frozen=True)
class Step:
    """One command, what it is for, and the file that stands once it is done.

    No file: the command itself sees how far it is, and goes on from there.
    """

    title: str
    command: str
    result: Path | None = None


STEPS = (
    Step(
        "Fetch ZINC250k (249,456 drug-like molecules) and turn it into a corpus of SELFIES tokens",
        f"molvae data prepare zinc250k -o {OUT}/corpus --property logp --property tpsa",
        OUT / "corpus" / "meta.json",
    ),
    Step(
        "Train a small VAE with a property head on the CPU",
        f"molvae train scripts/recipes/demo.toml --corpus {OUT}/corpus -o {OUT}/model --resume",
    ),
    Step(
        "See whether its latent space is healthy",
        f"molvae health {OUT}/model -o {OUT}/health.png",
        OUT / "health.png",
    ),
    Step(
        "Optimise QED (drug-likeness, 0 to 1), and nothing else, in the latent space",
        f"molvae optimize {OUT}/model --maximize qed --budget 300 --resume"
        f" --store {OUT}/qed.sqlite --corpus {OUT}/corpus -o {OUT}/proposals.csv"
        f" -o {OUT}/proposals.sdf --report {OUT}/report.html",
        OUT / "report.html",
    ),
)

NEXT = f"""
Done in {{minutes:.1f}} minutes. Open {OUT}/report.html in a browser; the molecules are also in
{OUT}/proposals.csv and {OUT}/proposals.sdf. What to type next (. .venv/bin/activate first):

  molvae generate {OUT}/model -n 1000 --property qed -o new.csv   # a thousand new molecules
  molvae optimize {OUT}/model --minimize logp --budget 200 -o polar.csv
  molvae data prepare MY.csv -o my-corpus && molvae train --corpus my-corpus -o my-model
"""


def main() -> int:
    """Run the steps that are not done yet; stop at the first that fails."""
    started = time.monotonic()
    for number, step in enumerate(STEPS, start=1):
        print(f"\n[{number}/{len(STEPS)}] {step.title}\n$ {step.command}", flush=True)
        if step.result is not None and step.result.exists():
            print(f"    {step.result} is there already; remove it to do this step again")
            continue
        step_started = time.monotonic()
        command = [sys.executable, "-m", *shlex.split(step.command)]
        code = subprocess.run(command, env=ONE_THREAD | os.environ).returncode
        if code:
            print(f"demo: this step failed (exit code {code}); run `make demo` again to go on")
            return code
        print(f"    {time.monotonic() - step_started:.0f} s", flush=True)
    print(NEXT.format(minutes=(time.monotonic() - started) / 60))
    return 0


if __name__ == "__main__":
    sys.exit(main())
