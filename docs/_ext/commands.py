"""The directive ``commands``: every command of ``molvae``, from the very objects that parse it."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

import typer
from docutils import nodes
from docutils.statemachine import StringList
from sphinx.application import Sphinx
from sphinx.util.docutils import SphinxDirective

from molvae.cli.app import app as molvae


def leaves(command: Any, name: str) -> Iterator[tuple[str, Any]]:
    """All commands below ``command``, itself included, with the words that call them; the commands
    of a group come after the others."""
    below = getattr(command, "commands", {})
    if not below:
        yield name, command
    for word in sorted(below, key=lambda word: hasattr(below[word], "commands")):
        yield from leaves(below[word], f"{name} {word}")


def described(name: str, command: Any) -> list[str]:
    """One command as lines of MyST: what it does, how it is called, its arguments and options."""
    context = command.context_class(command, info_name=name)
    lines = [f"## `{name}`", "", *(command.help or "").splitlines(), "", "```text"]
    lines += [f"{name} {' '.join(command.collect_usage_pieces(context))}", "```", ""]
    for parameter in command.params:
        shown = parameter.get_help_record(context)
        if shown is None or "--help" in parameter.opts:
            continue
        written, meaning = shown
        lines += [f"`{written}`", f": {literal(meaning)}", ""]
    return lines


def literal(text: str) -> str:
    """A help text on one line, nothing in which is taken for markup."""
    return re.sub(r"([\\*_$<\[\]{}|#])", r"\\\1", " ".join(text.split())) or "–"


class Commands(SphinxDirective):
    """All commands, a section each."""

    def run(self) -> list[nodes.Node]:
        lines: list[str] = []
        for name, command in leaves(typer.main.get_command(molvae), "molvae"):
            lines += described(name, command)
        holder = nodes.section()
        holder.document = self.state.document
        content = StringList(lines, source="molvae --help")
        self.state.nested_parse(content, self.content_offset, holder, match_titles=True)
        return holder.children


def setup(app: Sphinx) -> dict[str, bool]:
    app.add_directive("commands", Commands)
    return {"parallel_read_safe": True}
