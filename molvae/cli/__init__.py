"""The ``molvae`` command: thin functions that parse, make one public call, and write."""

from __future__ import annotations


def main() -> None:
    """Entry point of the ``molvae`` command."""
    from molvae.cli.app import run

    run()
