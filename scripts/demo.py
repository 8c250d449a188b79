"""The main job on real data: measured log D, a model fitted to it, and the molecules it proposes.

    python scripts/demo.py                  # from the shipped model `druglike`, as `make demo`
    python scripts/demo.py --from-scratch   # the same from ZINC250k alone; takes longer

Every step is a ``molvae`` command that is printed before it runs, so the demo is also a list of
what to type on data of your own. A step whose result is there already is not done again. Once
both have run, the last thing printed is the two side by side.
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
from collections.abc import Sequence
from functools import partial
from pathlib import Path

from _steps import Step, read_seconds, run_steps

OUT = Path("demo")
SCRATCH = OUT / "from-scratch"
# The model is small: a second thread gains little, and loses much beside other work.
ONE_THREAD = {"OMP_NUM_THREADS": "1"}
RECIPES = "scripts/recipes"


CONSTRAINT = "SA < 3.5 and no alerts"
TYPICAL = 0.2
"""What a chemist would ask besides: without these the search finds what scores and cannot be made.
Molecules as likely to the model as the likeliest fifth of its own samples look like ones that
somebody would order; on graphs alone, much else scores as well."""


def measured(out: Path, alphabet: str) -> Step:
    """The chemist's own data: here, 4,200 measured lipophilicities."""
    return Step(
        "The data: 4,200 measured log D (octanol-water, pH 7.4; AstraZeneca), as a corpus that "
        "the model can read",
        f"molvae data prepare lipophilicity -o {out}/logd --tokenizer {alphabet}",
        out / "logd" / "meta.json",
    )


def head(out: Path, start: str, result: str) -> Step:
    """A property head on the model's latents."""
    return Step(
        "Fit a property head to the measured log D, on the latents of the model as it is",
        f"molvae train {RECIPES}/demo_head.toml --from {start} --corpus {out}/logd"
        f" -o {out}/{result}",
        out / result / "model.safetensors",
    )


def optimize(out: Path, objective: str, name: str, more: str) -> str:
    """The command that searches for molecules, for files called ``name``, with ``more`` flags."""
    return (
        f"molvae optimize {out}/model --objective scripts.demo_objective:{objective}"
        f" --takes-list --direction maximize --sane --typical {TYPICAL} --constraint '{CONSTRAINT}'"
        f" --budget 300 --resume --store {out}/{name}.sqlite -o {out}/{name}.csv{more}"
    )


def too_lipophilic(out: Path) -> None:
    """Write ``out/leads.smi``: molecules of the test part whose measured log D is above 3."""
    from molvae.datasets.corpus import Corpus

    corpus = Corpus.open(out / "logd")
    rows = corpus.indices("test")
    leads = corpus.smiles(rows[corpus.labels[rows, 0] > 3])
    (out / "leads.smi").write_text("".join(f"{smiles}\n" for smiles in leads))


def search(out: Path, objective: str) -> tuple[Step, Step, Step]:
    """What both ways end with: the model's health, and the molecules it proposes."""
    more = f" -o {out}/proposals.sdf --report {out}/report.html --corpus {out}/logd"
    return (
        Step(
            "See whether its latent space is healthy, and how good its log D is",
            f"molvae health {out}/model -o {out}/health.png",
            out / "health.png",
        ),
        Step(
            "Bring molecules that are too lipophilic (set aside; measured log D above 3) to log D "
            "2: from each a climb along the head",
            f"molvae climb {out}/model --target log_d --value 2 --start {out}/leads.smi"
            f" -o {out}/leads.csv --picture {out}/leads.html",
            out / "leads.html",
            partial(too_lipophilic, out),
        ),
        Step(
            "Optimise QED (drug-likeness) times the probability that log D is between 1 and 3",
            optimize(out, objective, "proposals", more),
            out / "report.html",
        ),
    )


SHIPPED = (
    measured(OUT, "druglike"),
    head(OUT, "druglike", "head"),
    Step(
        "Fine-tune it on these molecules, briefly",
        f"molvae train {RECIPES}/demo_finetune.toml --from {OUT}/head --corpus {OUT}/logd"
        f" -o {OUT}/model --resume",
    ),
    *search(OUT, "wanted"),
)

FROM_SCRATCH = (
    Step(
        "Fetch ZINC250k (249,456 drug-like molecules) and turn it into a corpus of SELFIES tokens",
        f"molvae data prepare zinc250k -o {SCRATCH}/zinc250k --property logp --property tpsa",
        SCRATCH / "zinc250k" / "meta.json",
    ),
    Step(
        "Train a small VAE with a property head on the CPU",
        f"molvae train {RECIPES}/demo.toml --corpus {SCRATCH}/zinc250k -o {SCRATCH}/base --resume",
    ),
    measured(SCRATCH, f"{SCRATCH}/base"),
    head(SCRATCH, f"{SCRATCH}/base", "model"),
    *search(SCRATCH, "wanted_from_scratch"),
)

NEXT = """
Done in {minutes:.1f} minutes. Open {out}/report.html in a browser; the molecules are also in
{out}/proposals.csv and {out}/proposals.sdf, and relatives of known ones in {out}/leads.csv and
{out}/leads.html. What to type next (. .venv/bin/activate first):

  molvae predict {out}/model {out}/proposals.csv -o log_d.csv   # their log D, with uncertainty
  molvae generate {out}/model -n 1000 --property qed -o new.csv   # a thousand new molecules
  molvae models list                                            # what is there without training
  molvae data prepare MY.csv -o mine --label VALUE --tokenizer druglike
  molvae train --head-only --from druglike --corpus mine --label VALUE -o my-model
"""


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the steps that are not done yet; stop at the first that fails."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--from-scratch", action="store_true", help="train the model as well")
    scratch = parser.parse_args(arguments).from_scratch
    out, steps = (SCRATCH, FROM_SCRATCH) if scratch else (OUT, SHIPPED)
    code = run_steps(steps, out, ONE_THREAD)
    if code:
        return code
    taken = read_seconds(out)
    print(NEXT.format(minutes=sum(taken.values()) / 60, out=out))
    if all((place / "report.html").exists() for place in (OUT, SCRATCH)):
        compare()
    return 0


def compare() -> None:
    """Print both ways side by side, as `scripts/demo_compare.py` measures them."""
    command = [sys.executable, "scripts/demo_compare.py"]
    subprocess.run(command, env=ONE_THREAD | os.environ)


if __name__ == "__main__":
    sys.exit(main())
