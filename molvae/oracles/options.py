"""The settings of an evaluation: in how many processes, how long, how often again."""

from __future__ import annotations

from typing import Self

from pydantic import NonNegativeFloat, NonNegativeInt, PositiveFloat, PositiveInt, model_validator

from molvae.base.records import Record


class EvaluatorOptions(Record):
    """How an objective is evaluated.

    Attributes:
        workers: processes that evaluate; 0 evaluates in this one, where nothing can be stopped.
        timeout: seconds of wall time that one molecule may take; None is no limit. A call with n
            molecules has n times as long.
        memory_mb: MiB of data that one worker may hold, libraries included (on Linux).
        retries: further tries of what failed for a passing reason: a lost worker or connection, a
            refusal of the system (``OSError``, but not a missing file or permission).
        retry_timeouts: whether a molecule that took longer than ``timeout`` is tried again, too.
        retry_wait: seconds before the first of these tries; doubled before each further one.
        chunk: molecules in one call, for an objective of lists in worker processes or on a
            cluster; None divides a batch evenly. A call that crashes, hangs or runs out of memory
            is divided until the molecule to blame is alone.

    >>> EvaluatorOptions(workers=4, timeout=60.0).retries
    2
    """

    workers: NonNegativeInt = 0
    timeout: PositiveFloat | None = None
    memory_mb: PositiveInt | None = None
    retries: NonNegativeInt = 2
    retry_timeouts: bool = False
    retry_wait: NonNegativeFloat = 0.5
    chunk: PositiveInt | None = None

    @model_validator(mode="after")
    def _limits_need_workers(self) -> Self:
        if self.workers == 0 and (self.timeout is not None or self.memory_mb is not None):
            raise ValueError(
                "timeout and memory_mb can only be kept by worker processes; set workers to 1 or "
                "more"
            )
        return self
