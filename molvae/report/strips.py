"""Rows of drawn molecules: a way through a latent space, step by step."""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from molvae.base.errors import InputError
from molvae.base.files import atomic_file, require_file
from molvae.report.drawing import grid_picture
from molvae.report.page import Page

FORMATS = (".svg", ".png", ".html")
_ACROSS = 5


@dataclass(frozen=True)
class Strip:
    """Molecules in a row, each with a line of text; None where there is no molecule."""

    title: str
    smiles: Sequence[str | None]
    legends: Sequence[str]


def write_strips(
    path: str | os.PathLike[str], strips: Sequence[Strip], title: str, lead: str = ""
) -> None:
    """Write ``strips`` below each other, atomically; the ending of ``path`` (.svg, .png, .html)
    sets the format. A page of HTML has the titles and the ``lead`` too, and needs no network.
    """
    check_strips_output(path)
    kind = Path(path).suffix.lower()[1:]
    if kind == "html":
        page = Page(title, lead)
        for strip in strips:
            page.heading(strip.title)
            page.strip(strip.smiles, strip.legends)
        page.write(path)
        return
    across = max((len(strip.smiles) for strip in strips), default=1)
    smiles: list[str | None] = []
    legends: list[str] = []
    for strip in strips:
        blank = across - len(strip.smiles)
        smiles += [*strip.smiles, *[None] * blank]
        legends += [*strip.legends, *[""] * blank]
    with atomic_file(path, "wb") as out:
        out.write(grid_picture(smiles, legends, across, kind=kind))


def write_molecules(
    path: str | os.PathLike[str], smiles: Sequence[str], legends: Sequence[str], title: str
) -> None:
    """Write molecules, each with a line of text, in rows of five, as :func:`write_strips` does."""
    check_strips_output(path)
    kind = Path(path).suffix.lower()[1:]
    if kind == "html":
        page = Page(title)
        rows = zip(smiles, legends, strict=True)
        page.molecules([{"smiles": text, "similarity": legend} for text, legend in rows])
        page.write(path)
        return
    with atomic_file(path, "wb") as out:
        out.write(grid_picture(smiles, legends, _ACROSS, kind=kind))


def check_strips_output(path: str | os.PathLike[str]) -> None:
    """Refuse a place where :func:`write_strips` could not write, before the work for it is done."""
    if Path(path).suffix.lower() not in FORMATS:
        raise InputError(
            f"cannot draw {os.fspath(path)}: the name of a picture of molecules ends in one of "
            f"{', '.join(FORMATS)}"
        )
    require_file(path)
