"""A model as molvae ships it, from its public data to the directory in the package.

    python scripts/make_shipped.py moses --hardware "one NVIDIA H100"
    python scripts/make_shipped.py moses --device cpu --hardware "one core of ..."     # days
    python scripts/make_shipped.py druglike --model DIR --corpus DIR --hardware "..."  # trained

Prepares the corpus, trains by the recipes (interrupted, the same line goes on), teaches a critic of
the samples, trains the latent space further where the model has recipes for that, exports in half
precision, judges the export by ``molvae evaluate`` with three seeds, writes the model with its
figures to ``molvae/shipped/NAME``, and calibrates what counts there as an anomaly. Training alone
needs neither RDKit nor selfies: to train on a machine without them, run there the lines of
``molvae train`` that ``--list`` prints, and come back with ``--model`` and ``--corpus``.

Recipes that leave the decoder and the critic alone change the latent space and no sample. With
``--same-draws`` the first is judged anew, and the figures of samples are those of the model that is
shipped already, once a thousand draws of both have turned out to be the same file.
"""

from __future__ import annotations

import argparse
import json
import statistics
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from _steps import Step, run_steps

RUNS, SHIPPED = Path("runs/shipped"), Path("molvae/shipped")
LIMIT = 16_000_000  # bytes
SEEDS = (0, 1, 2)
HEADLINE = (
    "valid",
    "unique@10000",
    "FCD/Test",
    "FCD/TestSF",
    "SNN/Test",
    "Frag/Test",
    "Scaf/Test",
    "IntDiv",
    "Filters",
    "Novelty",
    "reconstruction",
    "active units",
    "KL, nats",
    "heritability",
    "midpoints",
)


@dataclass(frozen=True)
class Recipe:
    """What tells the making of one model from that of another.

    ``stages`` are recipes, each of which goes on from the model of the one before. So many
    ``draws`` teach its critic, with its ``most`` and ``discount``, which then chooses each draw
    from ``candidates``. The recipes of ``space`` go on from there and leave all draws as they are.
    So many ``samples`` are judged against ``reference`` (None: the test part of its corpus).
    """

    about: str
    prepare: str
    stages: tuple[str, ...]
    space: tuple[str, ...]
    draws: int
    candidates: int
    samples: int
    most: float = 1.0
    discount: float = 0.0
    reference: str | None = None


RECIPES = {
    "moses": Recipe(
        about="Samples like MOSES and reconstructs it: lead-like molecules of ZINC, without "
        "charges and stereo.",
        prepare="moses",
        stages=("moses", "moses_reading", "moses_exact"),
        space=("moses_kinds", "moses_relatives"),
        draws=500_000,
        candidates=4,
        samples=30_000,
        most=0.03,
        discount=0.05,
        reference="moses",
    ),
    "druglike": Recipe(
        about="Drug-like molecules of ZINC250k with charges and stereo, and a head for the usual "
        "descriptors; what to fine-tune and to optimise from.",
        prepare="zinc250k -p qed -p logp -p sa -p mw -p tpsa -p fsp3 -p hbd -p hba"
        " -p rotatable_bonds -p rings -p aromatic_rings",
        stages=("druglike", "druglike_reading", "druglike_head"),
        space=(),
        draws=100_000,
        candidates=4,
        samples=10_000,
    ),
}


def steps(
    name: str,
    model: Path | None,
    corpus: Path | None,
    device: str | None = None,
    same_draws: bool = False,
) -> list[Step]:
    """The commands, of which those that ``model`` and ``corpus`` stand for are left out.

    ``device`` is where models are trained, in place of what their recipes say. ``same_draws``: a
    thousand draws of the model and of the shipped one, in place of judging its samples.
    """
    recipe, out = RECIPES[name], RUNS / name
    data = corpus or out / "corpus"
    trained = model or out / recipe.stages[-1]
    first = []
    if corpus is None:
        first.append(
            Step(
                "Prepare the corpus",
                f"molvae data prepare {recipe.prepare} -o {data}",
                data / "meta.json",
            )
        )
    if model is None:
        first += _trained(recipe.stages, None, data, out, device)
    if same_draws:
        return [*first, _export(name, trained), *_draws(name)]
    critic, space = out / "critic", () if model else recipe.space
    return [
        *first,
        Step(
            "Teach the critic",
            f"molvae models critic {trained} --corpus {data} --draws {recipe.draws}"
            f" --candidates {recipe.candidates}"
            + (f" --most {recipe.most}" if recipe.most < 1 else "")
            + (f" --discount {recipe.discount}" if recipe.discount else "")
            + f" -o {critic}",
            critic / "config.json",
        ),
        *_trained(space, critic, data, out, device),
        _export(name, out / space[-1] if space else critic),
        *_judged(name, recipe.reference or data),
    ]


def _trained(
    stages: Sequence[str], start: Path | None, data: Path, out: Path, device: str | None
) -> list[Step]:
    """Training by each recipe from the model of the one before, the first from ``start``."""
    found = []
    for stage in stages:
        head = stage.endswith("_head")  # seconds: done anew rather than resumed
        command = f"molvae train {recipe_file(stage)}"
        command += f" --from {start}" if start else ""
        command += f" --corpus {data} -o {out / stage}"
        command += f" --device {device}" if device else ""
        command += "" if head else " --resume"
        done = out / stage / "config.json" if head else None
        found.append(Step(f"Train: {stage}", command, done))
        start = out / stage
    return found


def _export(name: str, model: Path) -> Step:
    out = RUNS / name
    return Step(
        "Export in half precision",
        f"molvae models export {model} --half --facts {out}/facts.json -o {out}/export",
        out / "export" / "config.json",
    )


def _judged(name: str, reference: str | Path) -> list[Step]:
    recipe, out = RECIPES[name], RUNS / name
    return [
        Step(
            f"Judge {recipe.samples:,} samples, seed {seed}",
            f"molvae evaluate --model {out}/export --reference {reference} -n {recipe.samples}"
            f" --seed {seed} -o {out}/evaluation-{seed}.json",
            out / f"evaluation-{seed}.json",
        )
        for seed in SEEDS
    ]


def _draws(name: str) -> list[Step]:
    out = RUNS / name
    return [
        Step(
            f"Draw from {model}",
            f"molvae generate --model {model} -n 1000 --seed 0 -o {file}",
            file,
        )
        for model, file in zip((out / "export", name), _drawn(name), strict=True)
    ]


def _drawn(name: str) -> tuple[Path, Path]:
    return RUNS / name / "draws.csv", RUNS / name / "draws-shipped.csv"


def recipe_file(stage: str) -> str:
    """Where a stage's recipe stands."""
    return f"scripts/recipes/{stage}.toml"


def last_step(name: str, model: Path | None = None) -> Step:
    """The export once more, with the figures of the first: weights for weights the same.

    ``model`` is where it comes from, if not from the last step that changed it.
    """
    out = RUNS / name
    last = RECIPES[name].space[-1:] or ("critic",)
    return Step(
        "Write the model with its figures",
        f"molvae models export {model or out / last[0]} --half --facts {out}/facts.json"
        f" --facts {out}/figures.json -o {SHIPPED / name}",
    )


def calibration(name: str, corpus: Path | None) -> Step:
    """What `molvae anomalies` counts as usual: molecules of the corpus' test part."""
    data = corpus or RUNS / name / "corpus"
    return Step(
        "Calibrate what counts as an anomaly",
        f"molvae anomalies --reference {SHIPPED / name} --data {data} -n 4000"
        f" --save-calibration {SHIPPED / name}/anomalies.json",
    )


def first_facts(name: str, hardware: str) -> dict[str, Any]:
    """What the training cannot know of itself."""
    recipe = RECIPES[name]
    every = [*steps(name, None, None), last_step(name), calibration(name, None)]
    return {
        "about": recipe.about,
        "recipe": [recipe_file(stage) for stage in (*recipe.stages, *recipe.space)],
        "commands": [step.command for step in every],
        "hardware": hardware,
    }


def figures(files: Sequence[Path]) -> dict[str, Any]:
    """Means over the evaluations (one per seed): the headline, and everything with its range."""
    found = [json.loads(file.read_text()) for file in files]
    rows: list[Mapping[str, float]] = [
        {m["name"]: m["value"] for m in one["measures"] if _is_number(m["value"])} for one in found
    ]
    mean, span = over_seeds(rows)
    return {
        "figures": {name: mean[name] for name in HEADLINE if name in mean},
        "evaluation": {
            "samples": found[0]["molecules"],
            "seeds": [one["options"]["seed"] for one in found],
            "reference": found[0]["reference"],
            "mean": mean,
            "range": span,
        },
    }


def over_seeds(
    rows: Sequence[Mapping[str, float]],
) -> tuple[dict[str, float], dict[str, list[float]]]:
    """The mean and the least and greatest value of each measure, by its name."""
    names = [name for name in rows[0] if all(name in row for row in rows)]
    mean = {name: statistics.fmean(row[name] for row in rows) for name in names}
    return mean, {n: [min(r[n] for r in rows), max(r[n] for r in rows)] for n in names}


def space_anew(name: str) -> dict[str, Any]:
    """The figures of the shipped model, with those of the latent space measured on the export."""
    from molvae.generator import load
    from molvae.metrics.evaluation import latent_measures
    from molvae.metrics.reference import open_reference

    new, old = (file.read_bytes() for file in _drawn(name))
    if new != old:
        raise SystemExit(
            f"{RUNS / name / 'export'} does not draw what the shipped {name} draws; run this again "
            "without --same-draws, which judges its samples"
        )
    reference = RECIPES[name].reference
    assert reference is not None
    held_out = next(iter(open_reference(reference).sets.values())).read()
    model = load(str(RUNS / name / "export"))
    rows = [
        {one.name: one.value for one in latent_measures(model, held_out, seed=seed)}
        for seed in SEEDS
    ]
    return renewed(json.loads((SHIPPED / name / "provenance.json").read_text()), rows)


def renewed(shipped: Mapping[str, Any], rows: Sequence[Mapping[str, float]]) -> dict[str, Any]:
    """The figures in the provenance of a shipped model, with these measures (one mapping per seed)
    in place of its own, and when the model was exported whose samples were judged."""
    mean, span = over_seeds(rows)
    before = shipped["evaluation"]
    return {
        "figures": {name: mean.get(name, value) for name, value in shipped["figures"].items()},
        "evaluation": {
            **before,
            "mean": before["mean"] | mean,
            "range": before["range"] | span,
            "samples_judged": before.get("samples_judged", shipped["exported"]["time"]),
        },
    }


def main(arguments: Sequence[str] | None = None) -> int:
    """Make one model; 1 where it is larger than it may be, a command's exit code if one fails."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("name", choices=sorted(RECIPES))
    parser.add_argument("--hardware", help="what it was trained on, in words; goes into provenance")
    parser.add_argument("--model", type=Path, help="take this trained model, train none")
    parser.add_argument("--corpus", type=Path, help="take this corpus, prepare none")
    parser.add_argument("--device", help="where to train, other than its recipes say: cpu")
    parser.add_argument(
        "--same-draws",
        action="store_true",
        help="judge the latent space alone: the shipped model draws the same (which is checked)",
    )
    parser.add_argument("--list", action="store_true", help="print the commands, run none")
    chosen = parser.parse_args(arguments)
    name, model, corpus = chosen.name, chosen.model, chosen.corpus
    out = RUNS / name
    if chosen.same_draws and model is None:
        parser.error("--same-draws is for a model that learnt on from the shipped one: --model DIR")
    if chosen.same_draws and RECIPES[name].reference is None:
        parser.error(f"{name} is judged by a corpus of its own, which --same-draws cannot do")
    todo = steps(name, model, corpus, chosen.device, chosen.same_draws)
    exported = model if chosen.same_draws else out / "critic" if model else None
    end = [last_step(name, exported), calibration(name, corpus)]
    if chosen.list:
        print("\n".join(step.command for step in [*todo, *end]))
        return 0
    if not chosen.hardware:
        parser.error("say with --hardware what the model was, or will be, trained on")
    out.mkdir(parents=True, exist_ok=True)
    facts = first_facts(name, chosen.hardware)
    (out / "facts.json").write_text(json.dumps(facts, indent=2))
    if code := run_steps(todo, out, {}):
        return code
    judged = (
        space_anew(name)
        if chosen.same_draws
        else figures([out / f"evaluation-{seed}.json" for seed in SEEDS])
    )
    (out / "figures.json").write_text(json.dumps(judged, indent=2))
    if code := run_steps(end, out, {}):
        return code
    size = sum(file.stat().st_size for file in (SHIPPED / name).iterdir())
    print(f"{SHIPPED / name}: {size:,} bytes of {LIMIT:,} that it may have")
    return int(size >= LIMIT)


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and value == value


if __name__ == "__main__":
    sys.exit(main())
