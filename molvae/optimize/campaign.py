"""A campaign with a laboratory: ask for molecules, tell what came of them, for as long as it takes.

The campaign is a file. What is asked next depends on the file and the model alone, so a campaign
killed between any two statements loses nothing told, and asks for what it would have asked for.
"""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from types import TracebackType
from typing import Any

import numpy as np

from molvae.base.errors import ConfigError, InputError
from molvae.optimize.config import SearchConfig
from molvae.optimize.goals import Goals
from molvae.optimize.measurements import (
    Results,
    at_odds,
    measurements,
    new_only,
    read,
    unusable_reason,
)
from molvae.optimize.memory import Memory
from molvae.optimize.plan import INITIAL_BATCHES, plan, with_neighbours
from molvae.optimize.proposals import MoleculeGenerator
from molvae.optimize.records import Observation, Suggestion
from molvae.optimize.renewal import check_renewable
from molvae.optimize.restricted import shortage
from molvae.optimize.sheets import check_assays, id_of
from molvae.optimize.standing import Standing
from molvae.optimize.starting import none_usable, usable_and_others
from molvae.optimize.status import Status
from molvae.optimize.store import Store
from molvae.optimize.strategy import LEARNABLE
from molvae.oracles.answers import Outcome
from molvae.oracles.objective import Direction


@dataclass(frozen=True)
class Told:
    """What became of results: ``measured`` and ``failed`` were recorded, ``blank`` are not measured
    yet, ``known`` had been told before.

    ``own`` counts molecules that the campaign had not asked for; ``unusable`` are molecules that
    the search cannot learn from, with the reason. What was measured of them is kept all the same.
    ``at_odds`` are molecules with an assay and its values where these contradict each other (see
    :func:`~molvae.optimize.measurements.at_odds`); their mean counts all the same.
    """

    measured: int
    failed: int
    blank: int
    known: int
    own: int
    unusable: tuple[tuple[str, str], ...]
    at_odds: tuple[tuple[str, str, tuple[float, ...]], ...] = ()


class Campaign:
    """A campaign file, open; made by :meth:`new` or :meth:`open`, closed by its ``with`` block.

    >>> import tempfile, molvae
    >>> folder = tempfile.TemporaryDirectory()
    >>> generator = molvae.load("druglike")
    >>> path = f"{folder.name}/pic50.sqlite"
    >>> with Campaign.new(path, generator, assay="pIC50", direction="maximize") as campaign:
    ...     told = campaign.tell({"CCOc1ccccc1": 5.5, "CCNc1ccccc1": None})
    ...     batch = campaign.ask(3)
    >>> told.measured, told.blank, [s.origin for s in batch]
    (1, 1, ['prior', 'prior', 'prior'])
    >>> with Campaign.open(path) as campaign:
    ...     campaign.best(1)[0].outcome.value, len(campaign.pending())
    (5.5, 3)
    >>> folder.cleanup()
    """

    def __init__(
        self,
        store: Store,
        generator: MoleculeGenerator | None,
        start: Sequence[str] | None = None,
    ) -> None:
        self._store = store
        self._generator = generator
        self._memory = Memory()
        settings = store.settings
        first = settings["objective"]
        self.goals: Goals = (
            Goals.of({first["name"]: first["direction"]})
            if settings.get("goals") is None
            else Goals.parse(settings["goals"], f"campaign {store.path}")
        )
        self.config = SearchConfig.parse(
            {key: settings[key] for key in SearchConfig.model_fields if key in settings}
        )
        start = settings.get("start", []) if start is None else start
        # A run of optimize keeps no more than a digest of them.
        self.start: tuple[str, ...] = () if isinstance(start, str) else tuple(start)

    @classmethod
    def new(
        cls,
        path: str | os.PathLike[str] | None,
        generator: MoleculeGenerator,
        *,
        assay: str | None = None,
        direction: Direction | None = None,
        goals: Goals | None = None,
        config: SearchConfig | None = None,
        start: Sequence[str] = (),
        notes: Mapping[str, Any] | None = None,
    ) -> Campaign:
        """Begin a campaign at ``path`` (None: in memory).

        Args:
            assay: what is measured: the name of its column in tables.
            direction: whether more of it or less of it is wanted.
            goals: in place of these, one or several objectives with constraints and restrictions.
            config: the search; ``batch_size`` is what :meth:`ask` asks for unless told otherwise.
            start: molecules to test first, such as a lead or a series.
            notes: anything to keep in the file, in JSON values.

        Raises:
            FileError: the file exists already, or cannot be made.
            ConfigError: an assay that cannot name a column, a direction that is none, or settings
                of the search that say nothing with these goals.
            InputError: none of ``start`` can be used.
        """
        given = [each is not None for each in (assay, direction)]
        if any(given) if goals is not None else not all(given):
            raise ConfigError("give either an assay and its direction, or goals")
        if goals is None:
            goals = Goals.of({str(assay): str(direction)})
        check_assays(goals.assays)
        config = config or SearchConfig()
        config.check(len(goals.objectives), goals.plain)
        check_renewable(generator, config)
        start = list(dict.fromkeys(start))
        usable, others = usable_and_others(generator, start)
        if others and not usable:
            raise InputError(none_usable(others))
        settings = {
            "model": generator.fingerprint,
            "objective": goals.objectives[0].to_dict(),
            "goals": None if goals.plain else goals.to_dict(),
            **config.to_dict(),
            "start": start,
            "notes": dict(notes or {}),
        }
        return cls(Store(path, settings), generator)

    @classmethod
    def open(
        cls, path: str | os.PathLike[str], generator: MoleculeGenerator | None = None
    ) -> Campaign:
        """Go on with the campaign at ``path``; to ask and to tell, it needs its ``generator``.

        Raises:
            FileError: there is no such file, or another process has it open.
            ModelError: it is damaged or no campaign.
            ConfigError: the campaign is one of another model.
        """
        made_with = {} if generator is None else {"model": generator.fingerprint}
        store = Store(path, made_with, resume=True, create=False, partial=True)
        return cls(store, generator)

    @property
    def assay(self) -> str:
        """The name of the first objective."""
        return self.goals.objectives[0].name

    @property
    def direction(self) -> Direction:
        """The direction of the first objective."""
        return self.goals.objectives[0].direction

    @property
    def assays(self) -> tuple[str, ...]:
        """The names of everything that is measured."""
        return self.goals.assays

    @property
    def notes(self) -> Mapping[str, Any]:
        """What was given to :meth:`new`."""
        notes: Mapping[str, Any] = self._store.settings.get("notes", {})
        return notes

    @property
    def fingerprint(self) -> str:
        """What tells the model that the campaign was begun with from every other."""
        return str(self._store.settings["model"])

    @property
    def learnable(self) -> bool:
        """Whether so many molecules of the user's own are told that the search can begin."""
        own = [o.suggestion for o in self.observations() if o.suggestion.origin == "told"]
        return sum(s.usable for s in own) >= LEARNABLE

    def left_out(self) -> list[tuple[str, str]]:
        """Molecules to begin with that cannot be used, as they were written, with the reasons."""
        return usable_and_others(self._model(), self.start)[1] if self.start else []

    def ask(self, n: int | None = None) -> list[Suggestion]:
        """The ``n`` molecules to test next (None: a batch), which are pending from now on.

        None of them has been asked for or told before. Fewer, if the generator has no more.

        Raises :class:`InputError` where ``n`` is not positive, and where nothing that is generated
        meets the constraints.
        """
        found = self.propose(n)
        self.record(found)
        written = {s.smiles: s for s in self.pending()}
        return [written[s.smiles] for s in found]

    def propose(
        self, n: int | None = None, *, initial: int | None = None, neighbours: bool = True
    ) -> list[Suggestion]:
        """What :meth:`ask` would ask for, with the numbers it would have; nothing is written.

        ``initial`` is the number of samples to begin with, if not what the campaign says; without
        ``neighbours`` the most similar molecules tested are left out.
        """
        n = self.config.batch_size if n is None else n
        if n < 1:
            raise InputError(f"{n} molecules were asked for; ask for at least 1")
        observations, pending = self.observations(), self.pending()
        found = plan(
            self._model(),
            self.goals,
            self.config,
            observations,
            pending,
            size=n,
            start=self.start,
            initial=self._initial(observations, pending, n) if initial is None else initial,
            memory=self._memory,
        )
        if not found:
            reason = shortage(self._model(), self.goals, self.config.seed)
            if reason is not None:
                raise InputError(reason)
        if neighbours:
            found = with_neighbours(found, observations)
        return self._store.numbered(found)

    def record(self, suggestions: Sequence[Suggestion]) -> None:
        """Write what was proposed as pending."""
        self._store.suggest(suggestions)

    def tell(self, results: Results, *, skip_known: bool = False) -> Told:
        """Record results: molecules with a number, None (not measured yet), or 'failed: reason'.

        With several assays, molecules with a mapping of their names to these; those that are left
        out are not measured yet.

        In any order, for any of the molecules asked for or others, again and again: several values
        of a molecule are averaged, and what they differ by is the noise the search reckons with.
        With ``skip_known``, a value told before of the same molecule is the same measurement, as
        in a table that is told again when more of it is filled in.

        Raises :class:`InputError` that names what is wrong and where; then nothing is recorded.
        """
        observations, pending = self.observations(), self.pending()
        before = [*(o.suggestion for o in observations), *pending]
        readings, blank = read(measurements(results), {id_of(s): s for s in before}, self.assays)
        known = 0
        if skip_known:
            readings, known = new_only(readings, observations)
        seen = {s.smiles: s for s in before}
        own = list(dict.fromkeys(r.smiles for r in readings if r.smiles not in seen))
        step = max((s.step for s in before), default=0)
        z = np.asarray(self._model().encode(own), float) if own else ()
        added = [Suggestion(s, step, "told", z[i]) for i, s in enumerate(own)]
        self._store.record(added, [(r.smiles, r.assay, r.outcome) for r in readings])
        seen |= {s.smiles: s for s in added}
        reasons = {r.smiles: unusable_reason(seen[r.smiles]) for r in readings}
        return Told(
            measured=sum(r.outcome.ok for r in readings),
            failed=sum(not r.outcome.ok for r in readings),
            blank=blank,
            known=known,
            own=len(own),
            unusable=tuple((s, reason) for s, reason in reasons.items() if reason),
            at_odds=tuple(at_odds(readings, self.observations(), self.assays)),
        )

    def untold(self, results: Results) -> int:
        """How many of ``results`` :meth:`tell` would record, known ones skipped."""
        readings, _ = read(measurements(results), {}, self.assays)
        return len(new_only(readings, self.observations())[0])

    def pending(self) -> list[Suggestion]:
        """Molecules asked for of which nothing is told, in the order in which they were asked."""
        return self._store.pending()

    def observations(self) -> list[Observation]:
        """Molecules of which something is told, in the order in which they came up."""
        return self._store.observations()

    def evaluated(self, outcomes: Sequence[tuple[str, Outcome]], assay: int = 0) -> None:
        """Write outcomes of molecules that were asked for, one each, as an objective gives them."""
        self._store.tell(outcomes, assay)

    def standing(self) -> Standing:
        """The observations as the goals judge them: which are feasible, and the Pareto set."""
        return Standing.of(self.goals, self.observations())

    def best(self, n: int = 10) -> list[Observation]:
        """The ``n`` best molecules that have a value of every objective, best first.

        With constraints, those that meet them come first; with several objectives, front by front.
        """
        standing = self.standing()
        complete = int(standing.complete.sum())
        return standing.ranked()[: min(n, complete)]

    def status(self) -> Status:
        """Where the campaign stands."""
        return Status.of(self.standing(), self.pending())

    def close(self) -> None:
        """Close the file and release it to others."""
        self._store.close()

    def discard(self) -> None:
        """Close the file and remove it: there is nothing in it to keep."""
        self._store.discard()

    def __enter__(self) -> Campaign:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()

    def _model(self) -> MoleculeGenerator:
        if self._generator is None:
            raise ConfigError(
                f"campaign {self._store.path} is open without its model; open it with the model"
            )
        return self._generator

    def _initial(
        self, observations: Sequence[Observation], pending: Sequence[Suggestion], n: int
    ) -> int:
        """Samples of the prior to begin with: any number until something is known."""
        tested = [o for o in observations if o.suggestion.usable]
        if not tested:
            return len(pending) + n
        if self.config.initial is not None:
            return self.config.initial
        return 0 if self.start or self.learnable else INITIAL_BATCHES * self.config.batch_size
