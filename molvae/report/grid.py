"""Drawn molecules side by side, for notebooks."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from html import escape

from molvae.base.errors import InputError
from molvae.report.drawing import molecule_svg

_CELL = (
    "background:#fff;color:#1b2430;border:1px solid #d8dee6;border-radius:8px;padding:6px;"
    "text-align:center;font:13px/1.4 system-ui,sans-serif;overflow:hidden"
)
_NOTHING = '<div style="height:{height}px;line-height:{height}px;color:#5b6675">no molecule</div>'


@dataclass(frozen=True)
class MoleculeGrid:
    """Molecules drawn in rows of ``columns``, a caption below each; a notebook shows it as it is.

    The place of None stays, without a drawing. Raises :class:`InputError` unless there are as many
    captions as molecules, or none.

    >>> grid = MoleculeGrid(["CCO", None], ["ethanol", "lost"])
    >>> grid._repr_html_().count("<svg"), "no molecule" in grid._repr_html_()
    (1, True)
    """

    smiles: Sequence[str | None]
    captions: Sequence[str] = ()
    columns: int = 4
    width: int = 200
    height: int = 150

    def __post_init__(self) -> None:
        if self.captions and len(self.captions) != len(self.smiles):
            raise InputError(
                f"{len(self.smiles)} molecules and {len(self.captions)} captions: give one for each"
            )

    def _repr_html_(self) -> str:
        captions = self.captions or [""] * len(self.smiles)
        cells = "".join(map(self._cell, self.smiles, captions))
        size = f"repeat({self.columns}, minmax(0, {self.width + 14}px))"
        return f'<div style="display:grid;grid-template-columns:{size};gap:8px">{cells}</div>'

    def _cell(self, smiles: str | None, caption: str) -> str:
        drawing = (
            _NOTHING.format(height=self.height)
            if smiles is None
            else molecule_svg(smiles, self.width, self.height)
        )
        # A title shows the SMILES where the pointer rests.
        return (
            f'<div style="{_CELL}" title="{escape(smiles or "")}">{drawing}{escape(caption)}</div>'
        )
