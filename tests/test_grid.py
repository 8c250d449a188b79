"""Drawn molecules in notebooks: each in its place, nothing read as markup."""

from __future__ import annotations

import pytest

from molvae.base.errors import InputError
from molvae.report.grid import MoleculeGrid


def test_each_molecule_stands_over_its_caption_and_what_is_missing_keeps_its_place() -> None:
    shown = MoleculeGrid(["CCO", None, "c1ccccc1"], ["a", "b", "c"])._repr_html_()
    cells = shown.split('title="')[1:]
    assert [cell.split('"')[0] for cell in cells] == ["CCO", "", "c1ccccc1"]
    assert ["<svg" in cell for cell in cells] == [True, False, True]
    assert ["no molecule" in cell for cell in cells] == [False, True, False]
    captions = [cell.removesuffix("</div>").rsplit("</div>", 1)[0] for cell in cells]
    assert [caption[-1] for caption in captions] == ["a", "b", "c"]


def test_captions_are_text_and_not_markup() -> None:
    shown = MoleculeGrid(["C/C=C\\C"], ["<b>log P</b> & more"])._repr_html_()
    assert "&lt;b&gt;log P&lt;/b&gt; &amp; more" in shown
    assert "<b>" not in shown


def test_captions_that_are_too_few_are_refused() -> None:
    with pytest.raises(InputError, match="2 molecules and 1 captions"):
        MoleculeGrid(["C", "CC"], ["methane"])
