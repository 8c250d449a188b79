"""A training run as one file of settings: what to read, what to write, and how to train."""

from __future__ import annotations

from pathlib import Path

from pydantic import ConfigDict, Field

from molvae.base.errors import ConfigError
from molvae.base.files import read_json
from molvae.datasets.corpus import Corpus
from molvae.training.checkpoint import PROVENANCE
from molvae.training.config import TrainConfig
from molvae.training.head import fit_head
from molvae.training.loop import train
from molvae.training.presets import changed, preset_settings
from molvae.training.run import is_unfinished


class TrainJob(TrainConfig):
    """A :class:`TrainConfig` with its corpus, its output, and where it starts.

    ``from`` is a model to fine-tune, by its directory or its shipped name; ``head_only`` learns
    nothing but its property head. ``preset`` names a model, with its objective and schedule, which
    the sections of these names then change.
    A run that is resumed needs no more than ``output`` and ``resume``.
    """

    model_config = ConfigDict(populate_by_name=True)

    corpus: Path | None = None
    output: Path | None = None
    start: str | None = Field(default=None, alias="from")
    resume: bool = False
    head_only: bool = False
    preset: str | None = None

    def training(self) -> TrainConfig:
        """The settings of the training alone, with those given explicitly still known as such."""
        given = {name: getattr(self, name) for name in TrainConfig.model_fields}
        if self.preset is not None:
            named = preset_settings(self.preset)
            for section in ("model", "objective", "schedule"):
                given[section] = changed(getattr(named, section), given[section])
        return TrainConfig(**given)


def run_job(job: TrainJob, progress: bool | None = None) -> Path:
    """Train what ``job`` describes; the directory of the model.

    Raises :class:`ConfigError` where the job lacks something, and what
    :func:`~molvae.training.loop.train` raises.
    """
    if job.output is None:
        raise ConfigError("nowhere to write the model: give --output (key output)")
    path = job.corpus
    if path is None and job.resume and is_unfinished(job.output):
        path = Path(read_json(job.output / PROVENANCE)["corpus"]["path"])
    if path is None:
        raise ConfigError("nothing to train on: give --corpus (key corpus), a prepared data set")
    corpus = Corpus.open(path)
    corpus.verify()  # a flipped bit may be another symbol, or none
    if job.head_only:
        if job.start is None:
            raise ConfigError("--head-only needs the model whose latents to use: give --from")
        return fit_head(corpus, job.output, job.training(), start=job.start, progress=progress)
    return train(
        corpus,
        job.output,
        job.training(),
        start=job.start,
        resume=job.resume,
        progress=progress,
    )
