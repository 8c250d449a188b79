"""The settings of ``molvae evaluate``, and where its molecules come from."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Annotated, Literal

from pydantic import Field

from molvae.base.errors import ConfigError, InputError
from molvae.base.records import Record
from molvae.bulk import BulkOptions, every_draw
from molvae.datasets.readers import read_molecules
from molvae.generator import Generator, load
from molvae.metrics.evaluation import MOSES_SIZE, Evaluation, EvaluationOptions, evaluate
from molvae.metrics.held_out import held_out_of
from molvae.metrics.reference import Reference, open_reference


class EvaluateSettings(Record):
    """``molvae evaluate``; ``molecules`` None is all of a file, or 30,000 drawn by a model."""

    reference: str = "moses"
    molecules: Annotated[int, Field(ge=1)] | None = None
    fast: bool = False
    held_out: str | None = None
    yardstick: bool = True
    smiles_column: str | None = None
    prior: Literal["normal", "blank"] | None = None
    candidates: Annotated[int, Field(ge=1)] | None = None
    temperature: Annotated[float, Field(gt=0)] = 1.0
    workers: Annotated[int, Field(ge=1)] | None = None
    seed: int = 0
    device: str = "auto"

    def options(self) -> EvaluationOptions:
        """How much is measured."""
        given = {} if self.molecules is None else {"molecules": self.molecules}
        make = EvaluationOptions.fast if self.fast else EvaluationOptions
        return make(
            yardstick=self.yardstick,
            workers=self.workers,
            seed=self.seed,
            device=compute_device(self.device),
            **given,
        )


def judge(
    chosen: EvaluateSettings,
    file: str | None,
    model: str | None,
    *,
    progress: bool | None,
    tell: Callable[[str], None],
) -> Evaluation:
    """Read or draw the molecules, and judge them."""
    if file is None and model is None:
        raise ConfigError("nothing to judge: name a file of molecules, or a model with --model")
    if chosen.held_out is not None and model is None:
        raise ConfigError("held-out molecules are for a model: name it with --model")
    if chosen.prior is not None and (model is None or file is not None):
        raise ConfigError("a prior is for molecules that a model draws: give --model and no file")
    options = chosen.options()
    reference = open_reference(
        chosen.reference,
        device=options.device,
        workers=options.workers,
        progress=progress,
    )
    given: Sequence[str | None] | None = (
        None if file is None else _texts(file, chosen.smiles_column, options.molecules)
    )
    generator = None if model is None else load(model, chosen.device, prior=chosen.prior)
    held_out = None if generator is None else _held_out(generator, chosen, reference)
    if given is None:
        assert generator is not None
        wanted = options.molecules or MOSES_SIZE
        tell(f"drawing {wanted:,} molecules")
        draws = BulkOptions(
            molecules=wanted,
            seed=chosen.seed,
            candidates=chosen.candidates,
            temperature=chosen.temperature,
        )
        given = every_draw(generator, draws, workers=chosen.workers, progress=progress)
    if missing := reference.missing():
        tell(f"the first time, {' and '.join(dict.fromkeys(missing))} must be measured; this takes "
             "minutes and is kept")  # fmt: skip
    found = evaluate(
        given,
        reference,
        generator=generator,
        held_out=held_out,
        options=options,
        progress=progress,
    )
    tell(f"{found.molecules:,} molecules judged in {_times(found)}")
    return found


def compute_device(name: str) -> str:
    """The device for ChemNet: ``auto`` is a GPU where there is one."""
    import torch

    if name == "auto":
        return "cuda" if torch.cuda.is_available() else "cpu"
    if name.startswith("cuda") and not torch.cuda.is_available():
        raise ConfigError(f"device is {name!r} but torch finds no GPU here; write auto or cpu")
    return name


def _texts(file: str, column: str | None, limit: int | None) -> list[str]:
    return [row.smiles for row in read_molecules(file, smiles_column=column, limit=limit)]


def _held_out(
    generator: Generator, chosen: EvaluateSettings, reference: Reference
) -> Sequence[str] | None:
    """The file that is named, else of the model's corpus, else (None) of the reference."""
    try:
        return held_out_of(
            generator, chosen.held_out, smiles_column=chosen.smiles_column, flag="--held-out"
        ).smiles
    except InputError:
        if chosen.held_out is not None or reference.trained_on_itself:
            raise
        return None


def _times(found: Evaluation) -> str:
    parts = ", ".join(f"{k} {v:.0f} s" for k, v in found.seconds.items() if k != "all" and v >= 1)
    whole = f"{found.seconds['all']:.0f} s"
    return f"{whole} ({parts})" if parts else whole
