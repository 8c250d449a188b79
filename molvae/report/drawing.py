"""Molecules as inline SVG, and grids of them as pictures."""

from __future__ import annotations

from collections.abc import Sequence

from rdkit import Chem
from rdkit.Chem.Draw import rdMolDraw2D

from molvae.chem.smiles import parse


def molecule_svg(smiles: str, width: int = 240, height: int = 180) -> str:
    """An SVG element that shows the molecule, sized in CSS pixels, ready to stand in HTML.

    Raises :class:`~molvae.chem.smiles.MoleculeError` where the SMILES does not parse.

    >>> molecule_svg("CCO").startswith("<svg")
    True
    """
    drawing = rdMolDraw2D.MolDraw2DSVG(width, height)
    _set_options(drawing)
    drawing.drawOptions().clearBackground = False
    drawing.DrawMolecule(parse(smiles))
    drawing.FinishDrawing()
    text: str = drawing.GetDrawingText()
    return text[text.index("<svg") :].strip()


def grid_picture(
    smiles: Sequence[str | None],
    legends: Sequence[str],
    across: int,
    *,
    kind: str = "svg",
    size: tuple[int, int] = (220, 190),
) -> bytes:
    """Molecules beside each other, so many ``across``, each with its legend below: an ``svg`` or a
    ``png``, each cell of ``size`` pixels. What is None leaves its cell empty.

    Raises :class:`~molvae.chem.smiles.MoleculeError` where a SMILES does not parse.

    >>> grid_picture(["CCO", None], ["ethanol", "nothing"], 2)[:5]
    b'<?xml'
    """
    width, height = size
    down = -(-len(smiles) // across)
    make = rdMolDraw2D.MolDraw2DSVG if kind == "svg" else rdMolDraw2D.MolDraw2DCairo
    drawing = make(width * across, height * down, width, height)
    _set_options(drawing)
    mols = [Chem.Mol() if text is None else parse(text) for text in smiles]
    drawing.DrawMolecules(mols, legends=list(legends))
    drawing.FinishDrawing()
    found = drawing.GetDrawingText()
    return found if isinstance(found, bytes) else found.encode()


def _set_options(drawing: rdMolDraw2D.MolDraw2D) -> None:
    options = drawing.drawOptions()
    options.padding = 0.06
    options.bondLineWidth = 1.4
    options.legendFontSize = 15
