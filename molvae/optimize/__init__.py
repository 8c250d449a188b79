"""Optimisation in latent space: a recorded campaign of suggestions and observations.

The package can be called: once Python has loaded it, the name ``molvae.optimize`` is the package,
and calling it is still :func:`molvae.optimize.run.optimize`.
"""

from __future__ import annotations

import sys
from types import ModuleType
from typing import Any


class _Callable(ModuleType):
    """A module that is called like the function that it is named after."""

    def __call__(self, *arguments: Any, **options: Any) -> Any:
        from molvae.optimize.run import optimize

        return optimize(*arguments, **options)


sys.modules[__name__].__class__ = _Callable
