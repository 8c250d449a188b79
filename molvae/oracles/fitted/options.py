"""The settings of a fit."""

from __future__ import annotations

from typing import Annotated, Literal, Self

from pydantic import Field, NonNegativeInt, PositiveInt, model_validator

from molvae.base.records import Record

Kind = Literal["forest", "gp", "ridge"]
Task = Literal["regression", "classification"]
FeatureSet = Literal["morgan", "descriptors", "both"]


class FitOptions(Record):
    """How an oracle is fitted.

    Attributes:
        kind: ``forest``, a random forest; ``gp``, a Gaussian process with the Tanimoto kernel;
            ``ridge``, a linear model (for classes, logistic regression).
        features: Morgan fingerprints (radius 2, 2048 bits), descriptors, or both. None is both,
            and morgan for a Gaussian process, which takes nothing else.
        task: ``auto`` takes labels that are all 0 or 1 for classes, and others for a quantity.
        trees: trees of a forest.
        folds: parts of a cross-validation.
        seed: of the forest's draws and of the folds.

    >>> FitOptions(kind="gp").chosen_features
    'morgan'
    """

    kind: Kind = "forest"
    features: FeatureSet | None = None
    task: Literal["auto", "regression", "classification"] = "auto"
    trees: PositiveInt = 200
    folds: Annotated[int, Field(ge=2, le=20)] = 5
    seed: NonNegativeInt = 0

    @property
    def chosen_features(self) -> FeatureSet:
        """The features, also where they are not given."""
        return self.features or ("morgan" if self.kind == "gp" else "both")

    @model_validator(mode="after")
    def _can_be_done(self) -> Self:
        if self.kind == "gp" and self.features not in (None, "morgan"):
            raise ValueError(
                f"a gp compares fingerprints and cannot take {self.features}; leave features out, "
                "or take kind forest or ridge"
            )
        if self.kind == "gp" and self.task == "classification":
            raise ValueError("a gp is for measured quantities; take kind forest or ridge")
        return self
