"""Parts that judge a molecule by something beside it: a known set, a lead's scaffold, a model."""

from __future__ import annotations

import difflib
from pathlib import Path
from typing import TYPE_CHECKING, Literal, Self

import numpy as np
from pydantic import Field, field_validator, model_validator
from rdkit import Chem

from molvae.base.errors import ConfigError, InputError
from molvae.chem.patterns import scaffold
from molvae.chem.similarity import fingerprints, nearest
from molvae.chem.smiles import canonicalise_many, parse, parse_many
from molvae.oracles.modifiers import checked_molecule
from molvae.oracles.parts import Part, Raw, Setting

if TYPE_CHECKING:
    from molvae.generator import Generator

_BLOCK = 10_000
"""Known molecules parsed at a time."""


class Novelty(Part):
    """How new a molecule is to a known set: ``molecules`` (SMILES) or a ``file`` of them.

    By ``identity`` 1 for a molecule that is not in the set and 0 for one that is (canonical SMILES
    decide); by ``similarity`` 1 minus the Tanimoto similarity (Morgan bits, radius 2) to its
    nearest. A path is taken from the folder of the description.

    >>> from molvae.oracles.batch import Batch
    >>> Novelty(molecules=("OCC",)).build(Setting())(Batch(["CCO", "CCN"]))
    array([0., 1.])
    """

    kind: Literal["novelty"] = "novelty"
    file: str | None = None
    molecules: tuple[str, ...] = ()
    by: Literal["identity", "similarity"] = "identity"

    @field_validator("molecules")
    @classmethod
    def _molecules(cls, texts: tuple[str, ...]) -> tuple[str, ...]:
        for number, text in enumerate(texts, 1):
            try:
                checked_molecule(text)
            except ValueError as error:
                raise ValueError(f"molecule {number}, {text!r}: {error}") from error
        return texts

    @model_validator(mode="after")
    def _one_source(self) -> Self:
        if (self.file is None) == (not self.molecules):
            raise ValueError("give one of file and molecules: what is known already")
        return self

    def build(self, setting: Setting) -> Raw:
        """The novelty of each molecule."""
        smiles = [text for text in canonicalise_many(self._texts(setting.folder)) if text]
        if not smiles:
            raise InputError(f"{self.file}: none of its rows is a molecule to be new to")
        if self.by == "identity":
            known = frozenset(smiles)
            return lambda batch: np.array(
                [np.nan if s is None else float(s not in known) for s in batch.canonical()], float
            )
        blocks = (smiles[start : start + _BLOCK] for start in range(0, len(smiles), _BLOCK))
        prints = np.concatenate([fingerprints(parse_many(block)) for block in blocks])
        return lambda batch: 1.0 - nearest(fingerprints(batch.mols), prints)[1]

    def _texts(self, folder: Path) -> list[str]:
        from molvae.datasets.readers import read_molecules

        if self.file is None:
            return list(self.molecules)
        return [row.smiles for row in read_molecules(folder / self.file) if row.problem is None]


class Scaffold(Part):
    """Whether the Bemis-Murcko scaffold of ``target`` (a SMILES) is ``kept``: 1 for yes, 0 for no.

    ``hopped`` is 1 for a molecule with another scaffold; one without rings has none and gets 0
    either way. ``generic`` compares scaffolds whose atoms are all carbon and bonds all single.
    Stereo does not count. Bemis and Murcko, J. Med. Chem. 39:2887 (1996).

    >>> from molvae.oracles.batch import Batch
    >>> batch = Batch(["Cc1ccccc1", "Cc1ccncc1", "CCO"])
    >>> Scaffold(target="Oc1ccccc1", want="hopped").build(Setting())(batch)
    array([0., 1., 0.])
    """

    kind: Literal["scaffold"] = "scaffold"
    target: str
    want: Literal["kept", "hopped"]
    generic: bool = False

    @field_validator("target")
    @classmethod
    def _ringed(cls, text: str) -> str:
        mol = parse(checked_molecule(text))  # held: its rings live no longer than the molecule
        if not mol.GetRingInfo().NumRings():
            raise ValueError("it has no ring, hence no scaffold")
        return text

    def describe(self) -> str:
        """Kept or hopped."""
        return f"scaffold {self.want}"

    def build(self, setting: Setting) -> Raw:
        """Kept or hopped, for each molecule."""
        target = scaffold(parse(self.target), self.generic)

        def judge(mol: Chem.Mol) -> float:
            found = scaffold(mol, self.generic)
            return float(bool(found) and (found == target) == (self.want == "kept"))

        key = ("scaffold", target, self.generic, self.want)
        return lambda batch: batch.each(key, judge)


class Head(Part):
    """The quantity ``target`` of a model's own property head, in the unit of its labels.

    ``model`` is a directory (from the folder of the description) or the name of a shipped model;
    without one it is the model that searches. A class is the probability of 1.
    """

    kind: Literal["model"] = "model"
    target: str
    model: str | None = Field(default=None, min_length=1)

    def describe(self) -> str:
        """The quantity."""
        return f"predicted {self.target}"

    def build(self, setting: Setting) -> Raw:
        """The prediction for each molecule; NaN for what the model cannot read.

        Raises:
            ConfigError: no model, or one that does not predict ``target``.
        """
        generator = self._generator(setting)
        if self.target not in generator.targets:
            near = difflib.get_close_matches(self.target, generator.targets, n=1, cutoff=0.5)
            known = ", ".join(generator.targets) or "nothing, for it has no property head"
            hint = f"did you mean {near[0]!r}?" if near else f"it predicts {known}"
            raise ConfigError(f"the model does not predict {self.target!r}; {hint}")
        return lambda batch: np.asarray(generator.predict(batch.canonical())[self.target], float)

    def _generator(self, setting: Setting) -> Generator:
        if self.model is None:
            if setting.model is None:
                raise ConfigError(f"{self.describe()!r} needs a model; name one in the key 'model'")
            return setting.model
        from molvae.generator import load

        beside = setting.folder / self.model
        return load(beside if beside.exists() else self.model)
