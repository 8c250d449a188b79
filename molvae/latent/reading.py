"""From what a decoder wrote to molecules that can be encoded again, on the host alone."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import NamedTuple

import numpy as np
import torch
from rdkit import Chem

from molvae.base.errors import ModelError
from molvae.base.parallel import chunked
from molvae.chem.alerts import SanityOptions, insane_reason
from molvae.chem.features import part_counts
from molvae.chem.mending import encodable
from molvae.chem.plain import PlainTexts
from molvae.chem.selfies import CodecError
from molvae.chem.smiles import MoleculeError, parse, parse_many
from molvae.chem.tokenizer import Tokenizer
from molvae.latent.decoding import Sane
from molvae.latent.draws import Draws, choose
from molvae.latent.posteriors import Reasons
from molvae.models.config import CriticConfig
from molvae.models.critic import Critic

TOGETHER = 128
"""Molecules that are held at a time: more do not fit the caches of a core."""


class Reading(NamedTuple):
    """A text read as a molecule: ``mol``, or the ``reason`` why there is none; ``smiles`` once it
    is spelled canonically."""

    mol: Chem.Mol | None
    smiles: str | None = None
    reason: str | None = None


@dataclass(frozen=True, eq=False)
class Reader:
    """Reads what was drawn, and where a draw has several candidates chooses by the ``critic``.

    It needs no device and can be handed to another process.

    >>> reader = Reader(Tokenizer.from_smiles(["CCO"]))
    >>> reader.finished(reader.read("OCC")).smiles, reader.read("C1CC").reason
    ('CCO', 'not valid SMILES (ring 1 is not closed)')
    """

    tokenizer: Tokenizer
    critic: Critic | None = None
    config: CriticConfig | None = None

    def molecules(self, draws: Draws, sane: Sane = None) -> tuple[list[str | None], Reasons]:
        """Canonical SMILES of each draw, and the reason where one came to nothing."""
        limits = SanityOptions() if sane is True else (sane or None)
        noise = draws.noise()
        smiles: list[str | None] = []
        reasons: Reasons = []
        for rows in draws.parts(TOGETHER):
            read = [self.read(text) for text in self.tokenizer.decode(draws.rows(rows))]
            if draws.candidates > 1:
                assert self.config is not None
                read = [_within(one, limits) for one in read]
                score, discount = self.logits([one.mol for one in read]), self.config.discount
                chosen = choose(
                    score, draws.log_prob[rows], noise[rows], discount, draws.candidates
                )
                read = [read[i] for i in chosen]
            for one in read:
                _, text, reason = self.finished(one, limits)
                smiles.append(text)
                reasons.append(reason)
        return smiles, reasons

    def read(self, text: str) -> Reading:
        """A text as a molecule, mended where what it is made of may need it.

        Only its length may still need mending then. Candidates are compared so; what is chosen is
        :meth:`finished`.
        """
        mol, smiles = self._plain.read(text), None
        if mol is None:
            try:
                mol, smiles = self._encodable(parse(text))
            except (MoleculeError, CodecError) as error:
                return Reading(None, reason=error.reason)
        return Reading(mol, smiles)

    def finished(self, reading: Reading, limits: SanityOptions | None = None) -> Reading:
        """With its canonical SMILES, mended where it is too long, if it is within ``limits``."""
        mol, smiles, _ = reading
        if mol is None:
            return reading
        if smiles is None and not self._plain.is_short(smiles := str(Chem.MolToSmiles(mol))):
            try:
                mol, smiles = self._encodable(mol)
            except (MoleculeError, CodecError) as error:
                return Reading(None, reason=error.reason)
        return _within(Reading(mol, smiles), limits)

    @cached_property
    def _plain(self) -> PlainTexts:
        return PlainTexts(self.tokenizer)

    def _encodable(self, written: Chem.Mol) -> tuple[Chem.Mol, str]:
        mol, smiles = encodable(written, self.tokenizer)
        # One that was mended is read as anybody else will read it.
        return (mol if mol is written else parse(smiles)), smiles

    def logits(self, mols: Sequence[Chem.Mol | None]) -> np.ndarray:
        """The critic's logit for each molecule, ``(n,)``; NaN for None. Raises
        :class:`ModelError` without a critic."""
        if self.config is None or self.critic is None:
            raise ModelError("this model has no critic; fit one with molvae models critic")
        counts = part_counts(mols, self.config.bits)
        rows = (counts.indices.astype(np.int64), counts.data, counts.indptr[:-1].astype(np.int64))
        with torch.inference_mode():
            found: np.ndarray = self.critic(*map(torch.from_numpy, rows)).double().numpy()
        return np.where([mol is not None for mol in mols], found, np.nan)

    def realism(self, smiles: Sequence[str | None]) -> np.ndarray:
        """:meth:`logits` of molecules by their SMILES."""
        parts = list(chunked(smiles, TOGETHER)) or [[]]
        return np.concatenate([self.logits(parse_many(part)) for part in parts])


def _within(reading: Reading, limits: SanityOptions | None) -> Reading:
    """The reading, or why its molecule is not within ``limits``."""
    if limits is None or reading.mol is None:
        return reading
    reason = insane_reason(reading.mol, limits)
    return reading if reason is None else Reading(None, reason=reason)
