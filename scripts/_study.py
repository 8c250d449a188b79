"""What studies of small models share: train in turn, measure each alike, keep what is done."""

from __future__ import annotations

import argparse
import json
import shlex
import sys
from collections.abc import Callable, Mapping
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np

from molvae.chem.properties import compute
from molvae.datasets.corpus import Corpus
from molvae.generator import Generator
from molvae.metrics.basic import uniqueness, validity
from molvae.metrics.chemnet import activations
from molvae.metrics.distribution import property_distances
from molvae.metrics.frechet import Gaussian, frechet_distance
from molvae.models.config import PriorConfig
from molvae.training.checkpoint import load_model
from molvae.training.config import TrainConfig
from molvae.training.health import ACTIVE_VARIANCE
from molvae.training.loop import train
from molvae.training.presets import preset_settings
from molvae.training.prior import fit_prior

COLUMNS = {
    "symbols": "{:.3f}",
    "reconstruction": "{:.3f}",
    "KL": "{:.1f}",
    "active": "{:.0f}",
    "FCD": "{:.2f}",
    "log P": "{:.2f}",
    "weight": "{:.2f}",
    "SA": "{:.2f}",
    "valid": "{:.3f}",
    "unique": "{:.3f}",
    "steps": "{:,.0f}",
}
HELD_OUT = 1000


def parser(description: str, work: str) -> argparse.ArgumentParser:
    """The options of a study."""
    made = argparse.ArgumentParser(description=description)
    made.add_argument("corpus", help="prepared by molvae data prepare moses")
    made.add_argument("--minutes", type=float, default=10.0, help="of training for each")
    made.add_argument("--epochs", type=int, help="passes over the corpus for each, not minutes")
    made.add_argument("--updates", type=int, help="steps of training for each, not minutes")
    made.add_argument("--start", type=Path, help="a model that all of them begin as")
    made.add_argument("--learning-rate", type=float, default=0.003)
    made.add_argument("--batch-size", type=int, default=128)
    made.add_argument("--train-only", action="store_true", help="measure another time, elsewhere")
    made.add_argument("--samples", type=int, default=3000)
    made.add_argument("--molecules", type=int, default=50_000, help="that priors are fitted to")
    made.add_argument("--steps", type=int, default=2000, help="of priors that learn by steps")
    made.add_argument("--device", default="cpu", help="where models are trained")
    made.add_argument("--only", nargs="*", help="some of them, by name")
    made.add_argument("--work", type=Path, default=Path(work))
    made.add_argument("-o", "--output", type=Path, default=Path("docs"))
    return made


class Study:
    """Models trained on one corpus for the same time, and measured alike."""

    def __init__(self, options: argparse.Namespace) -> None:
        self.options = options
        self.corpus = Corpus.open(options.corpus)
        random = np.random.default_rng(0)
        self._rows = random.permutation(self.corpus.indices("validation"))
        self._own = random.permutation(self.corpus.indices("train"))[: options.samples]

    @cached_property
    def held_out(self) -> list[str]:
        """Molecules that models are to give back."""
        return self.corpus.smiles(self._rows[-HELD_OUT:])

    @cached_property
    def reference(self) -> Gaussian:
        """What samples are compared with: other molecules of the validation part."""
        return self._gaussian(self._rows[: 3 * self.options.samples])

    @cached_property
    def floor(self) -> float:
        """The distance of as many training molecules as there are samples."""
        return frechet_distance(self._gaussian(self._own), self.reference)

    def _gaussian(self, rows: np.ndarray) -> Gaussian:
        return Gaussian.of(activations(self.corpus.smiles(rows)))

    @property
    def length(self) -> str:
        """How long each is trained, in words."""
        at = f"batches of {self.options.batch_size}, {self.options.device}"
        if self.options.start is not None:
            at += f", beginning as `{self.options.start.name}`"
        if self.options.updates is not None:
            return f"{self.options.updates:,} steps of training ({at})"
        if self.options.epochs is None:
            return f"{self.options.minutes:g} minutes of training ({at})"
        return f"{self.options.epochs} passes ({at})"

    def train_all(self, models: Mapping[str, tuple[str, Mapping[str, Mapping[str, Any]]]]) -> bool:
        """Train what is not yet trained, by name; whether anything is to be measured now."""
        for name, (preset, changes) in models.items():
            self.trained(name, preset, changes)
        return not self.options.train_only

    def trained(self, name: str, preset: str, changes: Mapping[str, Mapping[str, Any]]) -> Path:
        """The model ``name``: a preset with some settings changed, trained if it is not yet."""
        path = self.options.work / slug(name)
        settings = self.settings(preset, changes)
        train(self.corpus, path, settings, start=self.options.start, resume=True)
        return path

    def settings(self, preset: str, changes: Mapping[str, Mapping[str, Any]]) -> TrainConfig:
        """What a model is trained with."""
        named = preset_settings(preset)
        sections: dict[str, dict[str, Any]] = {
            name: getattr(named, name).model_dump(exclude_unset=True)
            for name in ("model", "objective", "schedule")
        }
        sections["optimiser"] = {
            "batch_size": self.options.batch_size,
            "learning_rate": self.options.learning_rate,
            "weight_decay": 0.0,
        }
        passes, updates = self.options.epochs, self.options.updates
        sections["run"] = {
            "minutes": self.options.minutes if passes is None and updates is None else None,
            "epochs": passes or 1000,
            "steps": updates,
            "keep_best": False,
            "device": self.options.device,
        }
        for section, values in changes.items():
            sections[section] = {**sections[section], **values}
        return TrainConfig.parse(sections)

    def with_prior(self, name: str, start: Path, prior: Mapping[str, Any]) -> Path:
        """``start`` with a fitted prior, as the model ``name``, fitted if it is not yet."""
        path = self.options.work / slug(name)
        if not path.exists():
            fit_prior(
                start,
                path,
                PriorConfig.parse(prior),
                self.corpus,
                molecules=self.options.molecules,
                steps=self.options.steps,
                progress=None,
            )
        return path

    def measured(self, name: str, path: Path) -> dict[str, Any]:
        """The row of a model, measured if it is not yet."""
        file = self.options.work / f"{slug(name)}.json"
        if not file.exists():
            file.write_text(json.dumps(self._measure(path), indent=2))
        row = {"name": name, **json.loads(file.read_text())}
        print(json.dumps(row), flush=True)
        return row

    def _measure(self, path: Path) -> dict[str, float]:
        loaded = load_model(path)
        generator = Generator(loaded.model, loaded.tokenizer)
        smiles = self.held_out
        found = generator.posterior(smiles)
        back = generator.decode(found.mean)
        told = generator.likelihood(smiles, found.mean)
        drawn, _ = generator.draw(self.options.samples, seed=1)
        good = [text for text in drawn if text is not None]
        return {
            "symbols": float(told.correct.sum() / told.symbols.sum()),
            "reconstruction": float(np.mean([a == b for a, b in zip(smiles, back, strict=True)])),
            "KL": float(found.kl().mean()),
            "active": float((found.mean.var(0) > ACTIVE_VARIANCE).sum()),
            "dimensions": generator.latent_dim,
            "FCD": frechet_distance(Gaussian.of(activations(good)), self.reference),
            **distances(good, smiles),
            "valid": validity(drawn),
            "unique": uniqueness(good),
            "steps": loaded.provenance["steps"],
            "seconds": loaded.provenance["seconds"],
        }


def distances(drawn: list[str], real: list[str]) -> dict[str, float]:
    """How far properties of samples are from those of molecules, in spreads of the latter."""
    names = {"logp": "log P", "mw": "weight", "sa": "SA"}
    ours, theirs = (compute(smiles, list(names), progress=False) for smiles in (drawn, real))
    return {names[one.name]: one.relative for one in property_distances(ours, theirs, list(names))}


def chosen(names: Mapping[str, Any], only: list[str] | None) -> list[str]:
    """Those of ``names`` that are wanted; raises SystemExit for one that is unknown."""
    unknown = set(only or ()) - set(names)
    if unknown:
        raise SystemExit(f"no {sorted(unknown)[0]!r} here; there are: {', '.join(names)}")
    return [name for name in names if only is None or name in only]


def table(rows: list[dict[str, Any]], first: str) -> list[str]:
    """The rows in Markdown."""
    lines = [f"| {first} | " + " | ".join(COLUMNS) + " |", "|---|" + "---:|" * len(COLUMNS)]
    for row in rows:
        cells = [cell(row[name], shape) for name, shape in COLUMNS.items()]
        lines.append(f"| {row['name']} | " + " | ".join(cells) + " |")
    return lines


def cell(value: float, shape: str) -> str:
    """A number, or nothing where there is none."""
    return "" if np.isnan(value) else shape.format(value)


def insert(page: Path, mark: str, lines: list[str]) -> None:
    """Put ``lines`` between the two comments of ``page`` that are named ``mark``, which remain."""
    text = page.read_text() if page.exists() else ""
    opening, closing = f"<!-- {mark} -->", f"<!-- /{mark} -->"
    before, found, rest = text.partition(opening)
    after = rest.partition(closing)[2] if found else "\n"
    page.parent.mkdir(parents=True, exist_ok=True)
    page.write_text("\n".join([before + opening, *lines, closing + after]))


def command() -> str:
    """The command line, without the places of this machine."""
    return "python scripts/" + shlex.join(Path(a).name if "/" in a else a for a in sys.argv)


def slug(name: str) -> str:
    """A name for files."""
    kept: Callable[[str], str] = lambda c: c if c.isalnum() or c in ".-" else "_"  # noqa: E731
    return "".join(map(kept, name))
