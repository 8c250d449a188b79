"""Molecules as inline SVG."""

from __future__ import annotations

from rdkit import Chem
from rdkit.Chem.Draw import rdMolDraw2D

from molvae.chem.smiles import parse


def molecule_svg(smiles: str, width: int = 240, height: int = 180) -> str:
    """An SVG element that shows the molecule, sized in CSS pixels, ready to stand in HTML.

    Raises :class:`~molvae.chem.smiles.MoleculeError` where the SMILES does not parse.

    >>> molecule_svg("CCO").startswith("<svg")
    True
    """
    mol = Chem.Mol(parse(smiles))
    rdMolDraw2D.PrepareMolForDrawing(mol)
    drawing = rdMolDraw2D.MolDraw2DSVG(width, height)
    options = drawing.drawOptions()
    options.clearBackground = False
    options.padding = 0.06
    options.bondLineWidth = 1.4
    drawing.DrawMolecule(mol)
    drawing.FinishDrawing()
    text: str = drawing.GetDrawingText()
    return text[text.index("<svg") :].strip()
