"""The user's own Python function as an objective."""

from __future__ import annotations

import importlib
import sys
import traceback
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from molvae.base.errors import OracleError
from molvae.oracles.objective import Direction, Objective


def function_objective(reference: str, direction: Direction, *, batch: bool = False) -> Objective:
    """The objective that ``reference``, written ``module:function``, points to.

    The module is looked up as Python does, and in the current directory. The function takes one
    canonical SMILES and returns a number; with ``batch`` it takes a list of them and returns as
    many numbers, in the same order.

    >>> str(function_objective("math:sqrt", "minimize"))
    'minimise math:sqrt'

    Raises:
        OracleError: the reference is malformed, or the module or function cannot be loaded.
    """
    return Objective(reference, _Loaded(reference), direction, batch)


class _Loaded:
    """The function; other processes find it by its name, also in the directory it came from."""

    def __init__(self, reference: str, directory: str | None = None) -> None:
        self._directory = directory or str(Path.cwd())
        self._reference = reference
        self._function = load_function(reference, self._directory)

    def __call__(self, smiles: Any) -> Any:
        return self._function(smiles)

    def __reduce__(self) -> tuple[type[_Loaded], tuple[str, str]]:
        return type(self), (self._reference, self._directory)


def load_function(reference: str, directory: str | None = None) -> Any:
    """Import the callable named by ``module:function``, also from ``directory``, which is the
    current one unless it is given."""
    directory = directory or str(Path.cwd())
    module_name, colon, path = reference.partition(":")
    if not (colon and module_name and path):
        raise OracleError(f"objective {reference!r}: write it as module:function")
    if module_name.endswith(".py"):
        raise OracleError(
            f"objective {reference!r}: name the module without .py, as {module_name[:-3]}:{path}"
        )
    with _importable(directory):
        try:
            found: Any = importlib.import_module(module_name)
        except ModuleNotFoundError as error:
            # A module that the user's own module lacks is another mistake than a wrong name.
            if error.name is None or not f"{module_name}.".startswith(f"{error.name}."):
                raise _load_error(reference) from error
            raise OracleError(
                f"objective {reference!r}: no module {module_name!r} on the Python path "
                f"or in {directory}"
            ) from error
        except Exception as error:
            raise _load_error(reference) from error
    for name in path.split("."):
        try:
            found = getattr(found, name)
        except AttributeError as error:
            raise OracleError(
                f"objective {reference!r}: {module_name} has no {path!r}; check its spelling"
            ) from error
    if not callable(found):
        raise OracleError(f"objective {reference!r}: it is a {type(found).__name__}, no function")
    return found


def _load_error(reference: str) -> OracleError:
    return OracleError(
        f"objective {reference!r}: its module fails on import:\n{traceback.format_exc().rstrip()}"
    )


@contextmanager
def _importable(directory: str) -> Iterator[None]:
    """Put a directory on the path while a user's module is imported, and no longer."""
    current = str(Path.cwd())
    if directory in sys.path or (directory == current and "" in sys.path):
        yield
        return
    sys.path.insert(0, directory)
    try:
        yield
    finally:
        sys.path.remove(directory)
