"""Reconstruction, continuity and sampling of one budget of training spent in different ways.

    python scripts/frontier.py corpora/moses --minutes 4 --model moses -o docs

Trains one small model per setting (in turn, resumable: what stands in ``--work`` is not trained
again), measures each on molecules of the corpus's validation part that it has not seen, and writes
a table (``frontier.md``) and a figure (``images/frontier.png``). ``--model`` adds trained models,
such as the shipped one.
"""

from __future__ import annotations

import argparse
import json
import shlex
import sys
from pathlib import Path
from typing import Any

import numpy as np
from matplotlib.figure import Figure

import molvae
from molvae.datasets.corpus import Corpus
from molvae.generator import Generator
from molvae.metrics.chemnet import activations
from molvae.metrics.frechet import Gaussian, frechet_distance
from molvae.metrics.heritability import heritability, midpoints
from molvae.models.config import PriorConfig
from molvae.plots import BLUE, GREEN, GREY, ORANGE, save_figure
from molvae.training.checkpoint import load_model
from molvae.training.config import TrainConfig
from molvae.training.loop import train
from molvae.training.prior import with_prior

ONE: dict[str, Any] = {"latent_dim": 128, "window": 0, "forget": 0.0}
WINDOWS: dict[str, Any] = {"latent_dim": 0, "window": 2, "window_dim": 6, "forget": 0.0}
DIRECT: dict[str, Any] = {**WINDOWS, "window": 1, "window_dim": 4, "direct": 256}
RELATIVES = {
    "kind_weight": 4.0,
    "terminal_weight": 5.0,
    "relative_weight": 1.0,
    "relative_distance": 1.8,
    "relative_share": 0.5,
}
SETTINGS: dict[str, tuple[dict[str, Any], dict[str, Any]]] = {
    "one vector, beta 0.02": (ONE, {"kl_weight": 0.02}),
    "one vector, beta 0.2": (ONE, {"kl_weight": 0.2}),
    "windows, beta 0.01": (WINDOWS, {"kl_weight": 0.01}),
    "windows, beta 0.05": (WINDOWS, {"kl_weight": 0.05}),
    "windows, beta 0.3": (WINDOWS, {"kl_weight": 0.3}),
    "windows, beta 0.05, structure": (WINDOWS, {"kl_weight": 0.05, "structure_weight": 4.0}),
    "windows, beta 0.05, structure, forgetting": (
        {**WINDOWS, "forget": 0.4},
        {"kl_weight": 0.05, "structure_weight": 4.0},
    ),
    "direct reading, beta 0.002": (DIRECT, {"kl_weight": 0.002, "structure_weight": 3.0}),
    "direct reading, beta 0.002, relatives": (
        {**DIRECT, "latent_noise": 1.6, "token_noise": 0.1},
        {"kl_weight": 0.002, "structure_weight": 3.0, **RELATIVES},
    ),
}
COLUMNS = (
    "setting",
    "reconstruction",
    "KL",
    "heritability",
    "midpoints",
    "FCD, exemplars",
    "new",
    "FCD, N(0, I)",
    "FCD, blank",
)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("corpus")
    parser.add_argument("--minutes", type=float, default=4.0, help="of training for each setting")
    parser.add_argument("--samples", type=int, default=3000)
    parser.add_argument("--model", nargs="*", default=[], help="trained models to add")
    parser.add_argument("--work", type=Path, default=Path("runs/frontier"))
    parser.add_argument("-o", "--output", type=Path, default=Path("docs"))
    options = parser.parse_args()

    corpus = Corpus.open(options.corpus)
    random = np.random.default_rng(0)
    held_out = random.permutation(corpus.indices("validation"))
    reference = Gaussian.of(activations(corpus.smiles(held_out[: 3 * options.samples])))
    some = random.permutation(corpus.indices("train"))[: options.samples]
    floor = frechet_distance(Gaussian.of(activations(corpus.smiles(some))), reference)

    rows = []
    for name in [*SETTINGS, *options.model]:
        if name in SETTINGS:
            path = options.work / name.replace(" ", "_").replace(",", "")
            train(corpus, path, settings(name, options.minutes), resume=True)
        else:
            path = Path(name)
        measured = options.work / f"{path.name}.json"
        if not measured.exists():
            row = measure(str(path), corpus, held_out[-1000:], reference, options.samples)
            measured.write_text(json.dumps(row, indent=2))
        known = name in molvae.shipped_models()
        label = f"`{name}` as it is shipped" if known else name
        rows.append({"setting": label, **json.loads(measured.read_text())})
        print(json.dumps(rows[-1]), flush=True)
    write(rows, floor, options, len(options.model))


def settings(name: str, minutes: float) -> TrainConfig:
    """What one setting trains with: the sizes of the shipped models, and what its name says."""
    model, objective = SETTINGS[name]
    return TrainConfig.parse(
        {
            "model": {"encoder_hidden": 128, "decoder_hidden": 512, "min_std": 0.1, **model},
            "objective": objective,
            "optimiser": {"batch_size": 128, "learning_rate": 0.003, "weight_decay": 0.0},
            "schedule": {"kl_rise": 0.3},
            "run": {"minutes": minutes, "epochs": 100, "keep_best": False, "device": "cpu"},
        }
    )


def measure(
    path: str, corpus: Corpus, held_out: np.ndarray, reference: Gaussian, samples: int
) -> dict[str, float]:
    """Everything of one model that stands in the table."""
    loaded = load_model(path)
    generator = Generator(loaded.model, loaded.tokenizer)
    smiles = corpus.smiles(held_out)
    found = generator.posterior(smiles)
    back = generator.decode(found.mean)
    inherited = heritability(generator, smiles, found.mean)
    row = {
        "reconstruction": float(np.mean([a == b for a, b in zip(smiles, back, strict=True)])),
        "KL": float(found.kl().mean()),
        "heritability": inherited.half_similarity,
        "midpoints": midpoints(generator, smiles, found.mean).similarity,
    }
    known = set(corpus.smiles(corpus.indices("train")))
    priors = {"FCD, exemplars": PriorConfig(kind="exemplars", exemplars=1, symbols=1)}
    priors["FCD, N(0, I)"] = PriorConfig(kind="normal")
    if loaded.model.config.forget:
        priors["FCD, blank"] = PriorConfig(kind="blank")
    for name, prior in priors.items():
        made = with_prior(loaded, prior, corpus, exemplars=4 * samples)
        drawn = Generator(made.model, made.tokenizer).sample(samples, seed=1, candidates=1)
        row[name] = frechet_distance(Gaussian.of(activations(drawn)), reference)
        if prior.kind == "exemplars":
            row["new"] = float(np.mean([s not in known for s in drawn]))
    return row


def write(
    rows: list[dict[str, Any]], floor: float, options: argparse.Namespace, trained: int
) -> None:
    """The table and the figure."""
    lines = ["| " + " | ".join(COLUMNS) + " |", "|---|" + "---:|" * (len(COLUMNS) - 1)]
    for row in rows:
        cells = [_cell(row.get(column)) for column in COLUMNS]
        lines.append("| " + " | ".join(cells) + " |")
    command = "python " + shlex.join(Path(a).name if "/" in a else a for a in sys.argv)
    text = [
        "# Reconstruction, continuity and sampling",
        "",
        f"One CPU core, {options.minutes:g} minutes of training for each setting on MOSES' training"
        " part, then measured on 1,000 molecules of the validation part: exact greedy",
        "reconstruction from the posterior's mean; KL in nats; heritability (mean similarity of the"
        " changed children to their",
        "source, at the step where half have changed); midpoints (mean similarity to the nearer"
        f" end). FCD of {options.samples:,} samples",
        f"to {3 * options.samples:,} validation molecules, from an exemplar prior (width 1; `new`:"
        " share of its samples that is not in the training",
        "set), from N(0, I), and from the decoder alone; as many training molecules score"
        f" {floor:.2f}.",
        "",
        *lines,
        "",
        "![Frontier](images/frontier.png)",
        "",
        "How shipped models were trained, for far longer, is in"
        " [shipped_models.md](shipped_models.md). Made by",
        f"`{command}`, seed 0.",
        "",
    ]
    (options.output / "images").mkdir(parents=True, exist_ok=True)
    (options.output / "frontier.md").write_text("\n".join(text))
    save_figure(figure(rows, floor, trained), options.output / "images" / "frontier.png")


def _cell(value: Any) -> str:
    if isinstance(value, str):
        return value
    return "" if value is None or np.isnan(value) else f"{value:.3g}"


def figure(rows: list[dict[str, Any]], floor: float, trained: int) -> Figure:
    """Reconstruction against FCD, and against heritability; points are numbered as in the key."""
    figure = Figure(figsize=(13, 5), layout="constrained")
    left, right = figure.subplots(1, 2)
    for i, row in enumerate(rows):
        one, known = row["setting"].startswith("one"), i >= len(rows) - trained
        colour = GREEN if known else ORANGE if one else BLUE
        label: str | None = f"{i + 1}: {row['setting']}"
        for ax, y in ((left, "FCD, exemplars"), (right, "heritability")):
            if np.isnan(row[y]):
                continue
            ax.plot(row["reconstruction"], row[y], "o", color=colour, label=label)
            place = (row["reconstruction"], row[y])
            ax.annotate(str(i + 1), place, xytext=(5, 5), textcoords="offset points")
            label = None  # once in the key
    left.axhline(floor, color=GREY, linestyle="--", label="training molecules")
    left.set(ylabel="FCD, exemplar prior (lower is better)", yscale="log")
    right.set(ylabel="heritability (higher is better)")
    figure.legend(loc="outside right upper")
    for ax in (left, right):
        ax.set(xlabel="exact reconstruction of held-out molecules", xlim=(-0.05, 1.1))
    return figure


if __name__ == "__main__":
    main()
