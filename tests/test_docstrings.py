"""The examples in the docstrings run, and give what they say."""

from __future__ import annotations

import doctest
import importlib
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
MODULES = [
    ".".join(path.relative_to(ROOT).with_suffix("").parts).removesuffix(".__init__")
    for path in sorted((ROOT / "molvae").rglob("*.py"))
    if ">>> " in path.read_text()
]


def test_there_are_examples_to_run() -> None:
    assert len(MODULES) > 100


@pytest.mark.parametrize("name", MODULES)
def test_the_examples_of_a_module_run(name: str) -> None:
    assert not doctest.testmod(importlib.import_module(name)).failed
