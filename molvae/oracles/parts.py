"""What an objective is made of: one number from the structure of each molecule, by ``kind``.

A part is a record, checked when it is read; :meth:`Part.build` makes the function of a batch that
computes its raw value. Parts that need something beside the molecule (a set, a model, a scaffold)
are in :mod:`molvae.oracles.relative`. Similarity, isomers and SMARTS are those of GuacaMol
(Brown et al., J. Chem. Inf. Model. 59:1096 (2019), doi:10.1021/acs.jcim.8b00839).
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Literal

import numpy as np
from pydantic import Field, field_validator
from rdkit import Chem

from molvae.base.errors import ConfigError
from molvae.base.records import Record
from molvae.chem.alerts import alerts, known_catalogs
from molvae.chem.fingerprints import FingerprintName, fingerprint
from molvae.chem.formula import parse_formula
from molvae.chem.patterns import checked_smarts
from molvae.chem.properties import property_function
from molvae.chem.smiles import parse
from molvae.oracles.batch import Batch
from molvae.oracles.means import combine
from molvae.oracles.modifiers import Modifier, checked_molecule

if TYPE_CHECKING:
    from molvae.generator import Generator

Raw = Callable[[Batch], np.ndarray]
"""Raw values ``(n,)`` float64 of a batch of n molecules; NaN for what has none."""


@dataclass(frozen=True)
class Setting:
    """Where a description stands: the folder its paths start from, and the model that searches."""

    folder: Path = Path()
    model: Generator | None = None


class Part(Record):
    """What all parts have.

    Attributes:
        kind: which part it is.
        name: its column in tables; by default from what it computes.
        weight: of its score in an arithmetic or geometric mean; positive.
        modifier: makes the score of the raw value; without one the raw value is the score.
    """

    kind: str
    name: str | None = Field(default=None, min_length=1)
    weight: float = Field(default=1.0, gt=0)
    modifier: Modifier | None = None

    def label(self) -> str:
        """The name, or one made from what the part computes."""
        return self.name or self.describe()

    def describe(self) -> str:
        """What the part computes, in a few words."""
        return self.kind

    def build(self, setting: Setting) -> Raw:
        """The function that computes the raw values of a batch."""
        raise NotImplementedError


class Descriptor(Part):
    """A property by name (``molvae.chem.properties.PROPERTIES``), in its unit: also SA and QED.

    >>> Descriptor(property="heavy_atoms").build(Setting())(Batch(["CCO"]))
    array([3.])
    """

    kind: Literal["property"] = "property"
    property: str

    @field_validator("property")
    @classmethod
    def _known(cls, name: str) -> str:
        try:
            property_function(name)
        except ConfigError as error:
            raise ValueError(str(error)) from error
        return name

    def describe(self) -> str:
        """The property's name."""
        return self.property

    def build(self, setting: Setting) -> Raw:
        """The property of each molecule."""
        return lambda batch: batch.property(self.property)


class Similarity(Part):
    """Tanimoto similarity, 0 to 1, to the molecule ``target`` (a SMILES).

    ``fingerprint`` is one of :data:`molvae.chem.fingerprints.FINGERPRINTS`.

    >>> part = Similarity(target="CCO", fingerprint="ap")
    >>> part.build(Setting())(Batch(["OCC", "CCCO"])).round(3)
    array([1.   , 0.286])
    """

    kind: Literal["similarity"] = "similarity"
    target: str
    fingerprint: FingerprintName = "ecfp4"

    @field_validator("target")
    @classmethod
    def _molecule(cls, text: str) -> str:
        return checked_molecule(text)

    def describe(self) -> str:
        """The fingerprint and the kind."""
        return f"{self.fingerprint} {self.kind}"

    def build(self, setting: Setting) -> Raw:
        """The similarity of each molecule."""
        target = fingerprint(self.fingerprint, parse(self.target))
        return lambda batch: batch.similarity(self.fingerprint, target)


class Rediscovery(Similarity):
    """Similarity by ``ecfp4`` counts, which is 1 for the target itself (stereo not seen)."""

    kind: Literal["rediscovery"] = "rediscovery"  # type: ignore[assignment]


class Isomers(Part):
    """How near the molecular formula is, 0 to 1, 1 for isomers of ``formula``.

    The mean of one Gaussian for each element of the formula (sigma 1 atom) and one for the number
    of all atoms, hydrogens included (sigma 2), as GuacaMol's IsomerScoringFunction.

    >>> Isomers(formula="C2H6O").build(Setting())(Batch(["COC", "CCC"])).round(3)
    array([1.   , 0.417])
    """

    kind: Literal["isomers"] = "isomers"
    formula: str
    mean: Literal["arithmetic", "geometric"] = "geometric"

    @field_validator("formula")
    @classmethod
    def _formula(cls, text: str) -> str:
        parse_formula(text)
        return text

    def describe(self) -> str:
        """The formula."""
        return f"isomers of {self.formula}"

    def build(self, setting: Setting) -> Raw:
        """The nearness of each molecule's formula."""
        wanted = parse_formula(self.formula)
        centre = np.array([*wanted.values(), sum(wanted.values())], float)
        sigma = np.array([1.0] * len(wanted) + [2.0])

        def nearness(batch: Batch) -> np.ndarray:
            counts = np.array(
                [
                    [np.nan] * len(centre)
                    if found is None
                    else [*(found[element] for element in wanted), found.total()]
                    for found in batch.elements()
                ]
            ).reshape(len(batch), len(centre))
            scores = np.exp(-0.5 * ((counts - centre) / sigma) ** 2)
            return combine(self.mean, scores, np.ones(len(centre)))

        return nearness


class Smarts(Part):
    """Whether the SMARTS ``pattern`` is there: 1 for yes if ``want`` is ``present``, 0 for no.

    ``absent`` turns it round; ``count`` is the number of matches that differ in their atoms.

    >>> batch = Batch(["CCO", "CCN"])
    >>> Smarts(pattern="[OX2H]", want="absent").build(Setting())(batch)
    array([0., 1.])
    """

    kind: Literal["smarts"] = "smarts"
    pattern: str
    want: Literal["present", "absent", "count"] = "present"

    @field_validator("pattern")
    @classmethod
    def _smarts(cls, text: str) -> str:
        return checked_smarts(text)

    def describe(self) -> str:
        """The pattern, and what is wanted of it."""
        return f"{self.pattern} {self.want}"

    def build(self, setting: Setting) -> Raw:
        """Presence, absence or number of matches in each molecule."""
        pattern, key = Chem.MolFromSmarts(self.pattern), ("smarts", self.pattern)
        if self.want == "count":
            return lambda batch: batch.each(
                (*key, "count"), lambda mol: len(mol.GetSubstructMatches(pattern))
            )

        def there(batch: Batch) -> np.ndarray:
            found = batch.each(key, lambda mol: mol.HasSubstructMatch(pattern))
            return found if self.want == "present" else 1.0 - found

        return there


class Alerts(Part):
    """Structural alerts of the ``catalogs``: 1 without any if ``want`` is ``absent``, else 0.

    ``count`` is the number of different alerts. Catalogues are those of
    :data:`molvae.chem.alerts.CATALOGS`.

    >>> batch = Batch(["CCO", "O=C1C=CC(=O)C=C1"])
    >>> Alerts(catalogs=("pains",)).build(Setting())(batch)
    array([1., 0.])
    """

    kind: Literal["alerts"] = "alerts"
    catalogs: tuple[str, ...] = Field(default=("pains", "brenk", "nih"), min_length=1)
    want: Literal["absent", "count"] = "absent"

    @field_validator("catalogs")
    @classmethod
    def _known(cls, names: tuple[str, ...]) -> tuple[str, ...]:
        return known_catalogs(names)

    def describe(self) -> str:
        """The catalogues, and what is wanted of their alerts."""
        return f"alerts {self.want}"

    def build(self, setting: Setting) -> Raw:
        """No alerts, or their number, in each molecule."""

        def found(batch: Batch) -> np.ndarray:
            numbers = batch.each(
                ("alerts", self.catalogs), lambda mol: len(alerts(mol, self.catalogs))
            )
            if self.want == "count":
                return numbers
            return np.where(np.isnan(numbers), np.nan, (numbers == 0).astype(float))

        return found
