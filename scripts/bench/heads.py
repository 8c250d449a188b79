"""Property heads on measured data: errors and honesty, beside a random forest and chemprop.

For each data set, split and seed two predictors learn from the same molecules: the ensemble that
``molvae.training.head.fit_head`` fits to a model's latents, and a random forest on Morgan
fingerprints (radius 2, 2,048 bits), whose spread over its trees is its uncertainty. Both are
judged on the test part. The forest, which needs no validation part, learns from that as well.

    python scripts/bench/heads.py --model druglike

Each result is appended to a file of JSON lines as soon as it is there, and what is there is not
done again; the page with the tables is written anew at the end.
"""

from __future__ import annotations

import argparse
import json
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Literal

import numpy as np
import torch
from _common import SAMPLE, finish, machine, sample_of
from _turns import bench_directory

import molvae
from molvae.base.files import atomic_file
from molvae.base.progress import Progress
from molvae.chem.similarity import fingerprints
from molvae.chem.smiles import parse_many
from molvae.datasets.corpus import build_corpus
from molvae.datasets.options import CorpusOptions
from molvae.datasets.splits import (
    TEST,
    TRAIN,
    VALIDATION,
    SplitOptions,
    key,
    scaffold,
    split_groups,
    split_random,
)
from molvae.generator import Generator
from molvae.metrics.prediction import (
    classification_quality,
    interval_coverage,
    regression_quality,
)
from molvae.models.config import HeadConfig, Target
from molvae.models.windows import Windows
from molvae.training.config import OptimiserConfig
from molvae.training.head import CHANNELS, MEMBERS, Examples, fit_to_latents

PAGE = Path(__file__).resolve().parents[2] / "docs" / "heads.md"
SPLITS = ("random", "scaffold")
METHODS = ("latent head", "forest")
LEVELS = np.array([0.5, 0.8, 0.9, 0.95])
TREES, FEATURES = 100, 0.3
OPTIMISER = OptimiserConfig(batch_size=128, learning_rate=0.003)
"""That of scripts/recipes/demo_head.toml: as good as smaller steps, and three times as fast."""


@dataclass(frozen=True)
class Set:
    """A measured property or class: a label of the data set ``name``, or of a CSV file."""

    name: str
    title: str
    label: str
    unit: str = ""
    kind: Literal["regression", "classification"] = "regression"
    source: Path | None = None

    @property
    def classes(self) -> bool:
        return self.kind == "classification"


SETS = (
    Set("lipophilicity", "Lipophilicity", "log_d", "log D"),
    Set("aqsoldb", "AqSolDB", "log_s", "log S"),
    Set("bace", "BACE", "pic50", "pIC50"),
    Set("freesolv", "FreeSolv", "hydration", "kcal/mol"),
    Set("huuskonen", "Huuskonen", "log_s", "log S"),
    Set("esol", "ESOL", "log_s", "log S"),
    Set("bace_class", "BACE, active", "active", kind="classification"),
    Set("bbbp", "BBBP", "p_np", kind="classification"),
)

# MoleculeNet's own splits and all of its molecules; means and standard deviations as printed.
CHEMPROP = {
    ("lipophilicity", "random"): "0.555 ± 0.023",
    ("freesolv", "random"): "1.075 ± 0.054",
    ("esol", "random"): "0.555 ± 0.047",
    ("bbbp", "scaffold"): "0.737 ± 0.001",
}


@dataclass(frozen=True, eq=False)
class Data:
    """A set ready to learn from: latents ``(n, d)`` and how they are laid out, labels ``(n,)``,
    bits ``(n, 2048)``, and the keys ``(n,)`` by which molecules and scaffolds are divided."""

    windows: Windows
    mean: np.ndarray
    std: np.ndarray
    labels: np.ndarray
    bits: np.ndarray
    keys: dict[str, np.ndarray]

    def parts(self, split: str, seed: int) -> np.ndarray:
        """Train, validation and test, 80, 10 and 10 %, ``(n,)``."""
        options = SplitOptions(validation=0.1, test=0.1, seed=seed)
        divide = split_random if split == "random" else split_groups
        return divide(self.keys[split], options)


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n\n")[0])
    parser.add_argument("--model", default="druglike", help="directory or name (%(default)s)")
    parser.add_argument("--sets", nargs="+", choices=[s.name for s in SETS], metavar="SET")
    parser.add_argument("--seeds", type=int, default=5, help="splits of each kind (%(default)s)")
    parser.add_argument("--limit", type=int, help="molecules of each set, to try things out")
    parser.add_argument("--results", type=Path, help="JSON lines (default: in MOLVAE_BENCH)")
    parser.add_argument("--page", type=Path, default=PAGE, help="the page of tables")
    parser.add_argument("-o", "--output", type=Path, help="write all figures as JSON to this file")
    parser.add_argument("--smoke", action="store_true", help="tiny sizes: only that it works")
    options = parser.parse_args()
    place = bench_directory() / ("smoke-heads" if options.smoke else "heads")
    place.mkdir(parents=True, exist_ok=True)
    results = options.results or place / "results.jsonl"
    if options.smoke:
        generator, chosen = smoke(place)
        options.model, options.seeds, options.page = "untrained", 1, place / "heads.md"
    else:
        generator = molvae.load(options.model, "cpu")
        chosen = [one for one in SETS if not options.sets or one.name in options.sets]
    todo = len(chosen) * len(SPLITS) * len(METHODS) * options.seeds
    found = []
    with Progress("heads", todo) as bar:
        for one in chosen:
            for record in measure(one, generator, options, place, results):
                bar.note(f"{one.name}, {record['split']}")
                bar.advance()
                found.append(record)
    text = page(found, chosen, generator, options)
    with atomic_file(options.page, encoding="utf-8") as out:
        out.write(text)
    print(text)
    print(f"{options.page}: {len(found)} results", file=sys.stderr)
    finish(options.output, "heads", {"results": found})


def smoke(place: Path) -> tuple[Generator, list[Set]]:
    """An untrained model, and a class and a number to learn of a few molecules."""
    from molvae.chem.properties import compute
    from molvae.chem.tokenizer import Tokenizer
    from molvae.models.presets import preset
    from molvae.models.vae import SequenceVAE

    smiles = sample_of(SAMPLE, 150, place).read_text().split()
    values = compute(smiles, ["logp"], progress=False)[:, 0]
    table = place / "smoke.csv"
    lines = [f"{text},{v},{int(v > 2)}" for text, v in zip(smiles, values, strict=True)]
    table.write_text("\n".join(["smiles,logp,above", *lines]) + "\n")
    tokenizer = Tokenizer.from_smiles(smiles)
    model = SequenceVAE(preset("tiny"), tokenizer.vocab_size, tokenizer.max_length)
    number = Set("smoke", "logP", "logp", source=table)
    above = Set("smoke-class", "logP above 2", "above", kind="classification", source=table)
    return Generator(model, tokenizer), [number, above]


def measure(
    one: Set, generator: Generator, options: argparse.Namespace, place: Path, results: Path
) -> Iterator[dict[str, Any]]:
    """Every result of a set, from the file or computed and added to it."""
    done = {identity(record): record for record in read_lines(results)}
    data: Data | None = None
    for split in SPLITS:
        for seed in range(options.seeds):
            for method in METHODS:
                record: dict[str, Any] = {
                    "model": generator.fingerprint,
                    "set": one.name,
                    "limit": options.limit,
                    "split": split,
                    "seed": seed,
                    "method": method,
                }
                if identity(record) not in done:
                    data = data or prepare(one, generator, options, place)
                    record |= judge(one, data, split, seed, method)
                    with results.open("a") as lines:
                        lines.write(json.dumps(record) + "\n")
                yield done.get(identity(record), record)


def identity(record: Mapping[str, Any]) -> tuple[Any, ...]:
    return tuple(record[name] for name in ("model", "set", "limit", "split", "seed", "method"))


def read_lines(path: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in path.read_text().splitlines()] if path.exists() else []


def prepare(one: Set, generator: Generator, options: argparse.Namespace, place: Path) -> Data:
    """Clean the set as for training, and encode it: once for all its splits."""
    columns = CorpusOptions(labels=(one.label,)) if one.source else CorpusOptions()
    corpus = build_corpus(
        one.source or one.name,
        place / f"{one.name}-{generator.fingerprint[:12]}",
        options=columns.replace(limit=options.limit),
        tokenizer=generator.tokenizer,
        progress=False,
    )
    smiles = corpus.smiles(np.arange(len(corpus)))
    column = list(corpus.label_names).index(one.label)
    labels = np.asarray(corpus.labels[:, column], dtype=np.float64)
    posterior = generator.posterior(smiles)
    good = np.flatnonzero(np.isfinite(posterior.mean).all(1) & np.isfinite(labels))
    mols = parse_many([smiles[i] for i in good])
    return Data(
        windows=generator.model.windows,
        mean=posterior.mean[good],
        std=posterior.std[good],
        labels=labels[good],
        bits=np.unpackbits(fingerprints(mols), axis=1).astype(np.float32),
        keys={
            "random": np.array([key(smiles[i]) for i in good], dtype=np.uint64),
            "scaffold": np.array([key(scaffold(m)) for m in mols if m], dtype=np.uint64),
        },
    )


def judge(one: Set, data: Data, split: str, seed: int, method: str) -> dict[str, Any]:
    """One method's quality on one test part."""
    parts = data.parts(split, seed)
    cpu = time.process_time()
    predict = latent_head if method == "latent head" else forest
    value, std = predict(one, data, parts, seed)
    test = parts == TEST
    labels = data.labels[test]
    record: dict[str, Any] = {
        "cpu_s": round(time.process_time() - cpu, 2),
        "sizes": [int((parts == part).sum()) for part in (TRAIN, VALIDATION, TEST)],
    }
    if one.classes:
        return record | asdict(classification_quality(one.name, labels, value))
    quality = regression_quality(one.name, labels, value, std)
    covered = interval_coverage(labels, value, std, LEVELS)
    return record | asdict(quality) | {"intervals": covered.tolist()}


def latent_head(
    one: Set, data: Data, parts: np.ndarray, seed: int
) -> tuple[np.ndarray, np.ndarray]:
    """What the head of ``fit_head`` predicts for the test part, and its standard deviation."""

    def examples(part: int) -> Examples:
        rows = parts == part
        std = torch.from_numpy(data.std[rows])
        labels = torch.from_numpy(data.labels[rows, None].astype(np.float32))
        return Examples(torch.from_numpy(data.mean[rows]), 2 * std.log(), labels)

    target = Target(name=one.name, kind="classification" if one.classes else "regression")
    channels = CHANNELS if data.windows.count else ()
    head = fit_to_latents(
        HeadConfig(targets=(target,), members=MEMBERS, channels=channels),
        data.windows,
        examples(TRAIN),
        examples(VALIDATION),
        OPTIMISER,
        seed=seed,
        progress=False,
    )
    found = head.predict(torch.from_numpy(data.mean[parts == TEST]))
    return found.values[:, 0].double().numpy(), found.std[:, 0].double().numpy()


def forest(one: Set, data: Data, parts: np.ndarray, seed: int) -> tuple[np.ndarray, np.ndarray]:
    """The forest's mean over its trees, and their standard deviation."""
    from sklearn.ensemble import RandomForestClassifier, RandomForestRegressor

    kind = RandomForestClassifier if one.classes else RandomForestRegressor
    known, test = data.bits[parts != TEST], data.bits[parts == TEST]
    labels = data.labels[parts != TEST]
    trees = kind(TREES, max_features=FEATURES, random_state=seed, n_jobs=-1).fit(known, labels)
    if one.classes:
        chance = trees.predict_proba(test)[:, -1]
        return chance, np.sqrt(chance * (1 - chance))
    each = np.stack([tree.predict(test) for tree in trees.estimators_])
    return each.mean(0), each.std(0)


# --- the page -------------------------------------------------------------------------------------


def page(
    found: Sequence[Mapping[str, Any]], sets: Sequence[Set], generator: Generator, options: Any
) -> str:
    """The tables and what they say, in Markdown."""
    regression = [one for one in sets if not one.classes]
    classes = [one for one in sets if one.classes]
    versions = machine()
    versions = {name: versions[name] for name in ("molvae", "torch", "rdkit", "numpy")}
    words = [Path(word).name if Path(word).is_absolute() else word for word in sys.argv[1:]]
    command = " ".join(["python scripts/bench/heads.py", *words])
    cpu = sum(record["cpu_s"] for record in found)
    lines = [
        "# Property heads on measured data",
        "",
        f"The ensemble that `fit_head` fits to the latents of `{Path(options.model).name}`, beside "
        f"a random forest on Morgan fingerprints (radius 2, 2,048 bits, {TREES} trees), on the "
        f"same molecules and splits: 80 % to learn from, 10 % for validation, 10 % for the test, "
        f"{options.seeds} seeds each, at random and by scaffold. Figures are means and standard "
        "deviations over the seeds. A molecule that the model cannot encode (too long, or with "
        "symbols it has never seen) is left out for both. The forest needs no validation part and "
        "learns from that as well.",
        "",
        f"    {command}",
        "",
        f"{', '.join(f'{name} {version}' for name, version in versions.items())}; weights "
        f"`{generator.fingerprint[:12]}`; {cpu / 60:.0f} CPU minutes.",
        "",
        *verdict(sets, found),
    ]
    if regression:
        header = ["set", "split", "molecules", "latent head", "forest", "chemprop, published"]
        rows = [row(one, split, found, "rmse") for one in regression for split in SPLITS]
        lines += ["## Root-mean-square error", "", *table(header, rows), ""]
        header = ["set", "split", "predictor", *(f"{p:.0%}" for p in LEVELS), "calibration error"]
        rows = [
            intervals(one, split, method, found)
            for one in regression
            for split in SPLITS
            for method in METHODS
        ]
        lines += [
            "## Coverage of the predicted intervals",
            "",
            "The share of test labels inside the central interval of each nominal level; the "
            "calibration error is the mean gap over nine levels from 10 to 90 % (Kuleshov et al. "
            "2018). The head's widths are scaled on its validation part; the forest's are the "
            "spread of its trees, as it is.",
            "",
            *table(header, rows),
            "",
        ]
    if classes:
        header = ["set", "split", "molecules", "latent head", "forest", "chemprop, published"]
        rows = [row(one, split, found, "auroc") for one in classes for split in SPLITS]
        lines += ["## ROC-AUC of classes", "", *table(header, rows), ""]
        header = ["set", "split", "molecules", "latent head", "forest"]
        rows = [
            row(one, split, found, "calibration_error")[:-1] for one in classes for split in SPLITS
        ]
        lines += [
            "## Expected calibration error of classes",
            "",
            "Over ten bins of equal width (Naeini et al. 2015).",
            "",
            *table(header, rows),
            "",
        ]
    lines += [
        "## Notes",
        "",
        "- Chemprop's figures are those of its README (version 1, section Results; the method: "
        "Yang et al., J. Chem. Inf. Model. 2019, 59, 3370): a graph network, "
        "not ensembled, on MoleculeNet's own splits and with all of its molecules, so they say "
        "where the field stands rather than who won. A dash: no figure that we could check.",
        "- That the head reads windows, and its sizes, were settled on one split of Lipophilicity, "
        "the sizes by its validation part; the other sets were measured once.",
        "- The files hold 4,200 (Lipophilicity), 9,982 (AqSolDB), 1,513 (BACE), 642 (FreeSolv), "
        "1,291 (Huuskonen), 1,128 (ESOL) and 2,039 (BBBP) molecules; repeats and what the model "
        "cannot encode are left out.",
        "",
    ]
    return "\n".join(lines)


def verdict(sets: Sequence[Set], found: Sequence[Mapping[str, Any]]) -> list[str]:
    """Where the latent head is worse than the forest, in words."""
    worse: list[str] = []
    better: list[str] = []
    for one in sets:
        for split in SPLITS:
            name = "auroc" if one.classes else "rmse"
            head, trees = (numbers(one, split, m, found, name).mean() for m in METHODS)
            ahead = head > trees if one.classes else head < trees
            gap = abs(head - trees) / trees
            (better if ahead else worse).append(f"{one.title} by {split} split ({gap:.0%})")
    lines = []
    if worse:
        lines.append(f"**The latent head is less accurate than the forest** on {'; '.join(worse)}.")
        lines.append(
            "For those, where only the prediction counts, take the forest; the head is what "
            "predicts from a latent vector, and so can guide a search."
        )
    if better:
        lines.append(f"The latent head is more accurate on {'; '.join(better)}.")
    return [" ".join(lines), ""]


def numbers(
    one: Set, split: str, method: str, found: Sequence[Mapping[str, Any]], name: str
) -> np.ndarray:
    """A figure of every seed, ``(seeds, ...)``."""
    asked = (one.name, split, method)
    chosen = [r[name] for r in found if (r["set"], r["split"], r["method"]) == asked]
    return np.array(chosen, dtype=np.float64)


def row(one: Set, split: str, found: Sequence[Mapping[str, Any]], name: str) -> list[str]:
    sizes = numbers(one, split, METHODS[0], found, "sizes").sum(1)
    unit = f" ({one.unit})" if one.unit and name == "rmse" else ""
    cells = [f"{one.title}{unit}", split, f"{sizes[0]:,.0f}"]
    for method in METHODS:
        values = numbers(one, split, method, found, name)
        cells.append(f"{np.nanmean(values):.3f} ± {np.nanstd(values):.3f}")
    return [*cells, CHEMPROP.get((one.name, split), "–")]


def intervals(one: Set, split: str, method: str, found: Sequence[Mapping[str, Any]]) -> list[str]:
    covered = numbers(one, split, method, found, "intervals").mean(0)
    error = numbers(one, split, method, found, "calibration_error").mean()
    return [one.title, split, method, *(f"{c:.0%}" for c in covered), f"{error:.3f}"]


def table(header: Sequence[str], rows: Sequence[Sequence[str]]) -> list[str]:
    """A Markdown table."""
    rule = ["---"] * len(header)
    return ["| " + " | ".join(cells) + " |" for cells in (header, rule, *rows)]


if __name__ == "__main__":
    main()
