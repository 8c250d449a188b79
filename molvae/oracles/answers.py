"""What an objective answers for a list of molecules: a value or a reason for each, never an error.

This is the one place that calls an objective's function. It also runs inside worker processes and
on other machines, so everything here can be pickled.
"""

from __future__ import annotations

import functools
import io
import math
import numbers
import traceback
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import cloudpickle

from molvae.base.errors import ConfigError, MolvaeError
from molvae.oracles.objective import Objective

_PERMANENT = (
    FileNotFoundError,
    PermissionError,
    IsADirectoryError,
    NotADirectoryError,
    io.UnsupportedOperation,
)


LARGEST = 1e100
"""Values beyond it, of either sign, are failures: their squares overflow in whatever learns them,
and nothing that is measured or computed of a molecule is so large."""


@dataclass(frozen=True)
class Outcome:
    """What an objective said of one molecule: a finite value, or NaN and the reason for it.

    >>> Outcome(2.5).ok, Outcome(math.nan, "no pocket").ok
    (True, False)
    """

    value: float
    failure: str | None = None

    @property
    def ok(self) -> bool:
        """Whether there is a value."""
        return self.failure is None


@dataclass(frozen=True)
class Answer:
    """What came of one call: an outcome for each molecule, and what may be tried again.

    ``trouble`` says what happened where the call as a whole went wrong: a traceback if there is
    one. ``transient[i]`` says that another try may well find molecule i's value.
    """

    outcomes: tuple[Outcome, ...]
    transient: tuple[bool, ...]
    trouble: str = ""

    @classmethod
    def failed(cls, n: int, error: BaseException, trouble: str = "") -> Answer:
        """The answer for ``n`` molecules where ``error`` took the whole call down."""
        outcome = failure_of(error)
        trouble = trouble or outcome.failure or ""
        return cls((outcome,) * n, (is_transient(error),) * n, trouble)


def call(objective: Objective, smiles: Sequence[str]) -> Answer:
    """Call ``objective`` on molecules: all at once if it takes a list, else on the single one.

    Whatever the function raises is its molecules' failure. A function of a list may also return
    an exception in a molecule's place, which is then the failure of that molecule alone.

    Raises :class:`MemoryError`: fewer molecules at once may do.

    >>> call(Objective("length", len, "maximize"), ["CCO"]).outcomes
    (Outcome(value=3.0, failure=None),)
    """
    try:
        answer = objective.function(list(smiles) if objective.batch else smiles[0])
    except MemoryError:
        raise
    except Exception as error:
        # Whatever a user's function raises is that molecule's failure, by contract. Our own
        # errors are one clear sentence, to which a traceback adds nothing.
        ours = isinstance(error, MolvaeError)
        return Answer.failed(len(smiles), error, "" if ours else traceback.format_exc().rstrip())
    values = _as_list(answer) if objective.batch else [answer]
    if values is None or len(values) != len(smiles):
        given = _shown(answer) if values is None else f"{len(values)} values"
        trouble = f"returned {given} for a list of {len(smiles)} molecules"
        nothing = Outcome(math.nan, trouble)
        return Answer((nothing,) * len(smiles), (False,) * len(smiles), trouble)
    outcomes = _explained(objective, smiles, [outcome_of(value) for value in values])
    return Answer(tuple(outcomes), tuple(map(_may_pass, values)))


def _explained(
    objective: Objective, smiles: Sequence[str], outcomes: list[Outcome]
) -> list[Outcome]:
    """The outcomes, those that failed with the objective's own reason, where it has one."""
    failed = [i for i, outcome in enumerate(outcomes) if not outcome.ok]
    if objective.explain is None or not failed:
        return outcomes
    reasons = objective.explain([smiles[i] for i in failed])
    for i, reason in zip(failed, reasons, strict=True):
        outcomes[i] = Outcome(math.nan, reason or outcomes[i].failure)
    return outcomes


def packed(objective: Objective) -> bytes:
    """The objective as bytes that :func:`call_packed` takes; closures and lambdas included.

    Raises :class:`ConfigError` where it holds something that cannot leave this process.
    """
    try:
        return bytes(cloudpickle.dumps(objective))
    except Exception as error:  # pickling runs the user's own __reduce__, which may raise anything
        raise ConfigError(
            f"objective {objective.name!r} cannot be sent to worker processes "
            f"({type(error).__name__}: {error}); evaluate it in this one (workers = 0), or make "
            "what it holds inside the function"
        ) from error


def call_packed(objective: bytes, smiles: Sequence[str]) -> Answer:
    """:func:`call` for an objective from :func:`packed`, which is unpacked once per process."""
    return call(unpack(objective), smiles)


@functools.lru_cache(maxsize=2)
def unpack(objective: bytes) -> Objective:
    """The objective that :func:`packed` made into bytes."""
    found: Objective = cloudpickle.loads(objective)
    return found


def is_transient(error: BaseException) -> bool:
    """Whether what raised ``error`` may well work when it is tried again.

    So it is for connections, time-outs and the system's refusals, but not for a missing file or
    permission.

    >>> is_transient(ConnectionError()), is_transient(FileNotFoundError()), is_transient(KeyError())
    (True, False, False)
    """
    return isinstance(error, OSError) and not isinstance(error, _PERMANENT)


def failure_of(error: BaseException) -> Outcome:
    """The outcome of a molecule whose evaluation raised ``error``.

    >>> failure_of(ValueError("no pocket")).failure
    'ValueError: no pocket'
    """
    if isinstance(error, MolvaeError):
        return Outcome(math.nan, str(error))
    name, message = type(error).__name__, str(error)
    return Outcome(math.nan, f"{name}: {message}" if message else name)


def outcome_of(value: Any) -> Outcome:
    """The outcome that a returned ``value`` is: a number to learn from, or why it is none."""
    if isinstance(value, Exception):
        return failure_of(value)
    if getattr(value, "shape", None) in ((), (1,)):
        value = value.item()  # a scalar as numpy and torch write it
    if not isinstance(value, numbers.Real):
        hint = "; a function of a list needs the batch flag" if isinstance(value, list) else ""
        return Outcome(math.nan, f"returned {_shown(value)}, not a number{hint}")
    try:
        number = float(value)
    except OverflowError:  # a whole number of more than 308 digits
        number = math.inf
    if not math.isfinite(number):
        return Outcome(math.nan, f"returned {number}, not a finite number")
    if abs(number) > LARGEST:
        return Outcome(math.nan, f"returned {number}, beyond the largest value of {LARGEST:g}")
    return Outcome(number)


def _may_pass(value: Any) -> bool:
    return isinstance(value, Exception) and is_transient(value)


def _as_list(answer: Any) -> list[Any] | None:
    """The values of a batch from a list, tuple, array, tensor or series; None from the rest."""
    if hasattr(answer, "tolist"):
        answer = answer.tolist()
    return list(answer) if isinstance(answer, list | tuple) else None


def _shown(value: Any) -> str:
    text = repr(value)
    return f"{text if len(text) <= 60 else text[:57] + '...'} ({type(value).__name__})"
