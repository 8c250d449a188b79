"""An HTML page built from sections, with everything it shows inside the one file."""

from __future__ import annotations

import base64
import io
import os
from collections.abc import Mapping, Sequence
from html import escape
from typing import TYPE_CHECKING, Any

from molvae.base.files import atomic_file
from molvae.report.drawing import molecule_svg

if TYPE_CHECKING:
    from matplotlib.figure import Figure

_STYLE = """
:root { color-scheme: light; --line: #d8dee6; --quiet: #5b6675; --accent: #1d5fa8; }
* { box-sizing: border-box; }
body { font: 16px/1.5 system-ui, sans-serif; color: #1b2430; background: #fff;
       max-width: 1120px; margin: 0 auto; padding: 24px; }
h1 { font-size: 1.7rem; margin: 0 0 .3em; } h2 { font-size: 1.2rem; margin: 2em 0 .5em; }
p.lead { color: var(--quiet); margin-top: 0; max-width: 75ch; }
table { border-collapse: collapse; font-variant-numeric: tabular-nums; }
th, td { padding: .3em .8em; border-bottom: 1px solid var(--line); text-align: left; }
td.number { text-align: right; } th { color: var(--quiet); font-weight: 600; }
.scroll { overflow-x: auto; }
figure { margin: 1em 0; } figure img { max-width: 100%; height: auto; }
figcaption { color: var(--quiet); max-width: 75ch; }
.grid { display: grid; grid-template-columns: repeat(auto-fill, minmax(250px, 1fr)); gap: 14px; }
.card { border: 1px solid var(--line); border-radius: 8px; padding: 10px; overflow: hidden; }
.card svg { display: block; margin: 0 auto; max-width: 100%; height: auto; }
.card dl { display: grid; grid-template-columns: auto 1fr; gap: 0 .8em; margin: .4em 0 0;
           font-size: .86rem; }
.card dt { color: var(--quiet); } .card dd { margin: 0; text-align: right; }
.card code { display: block; font-size: .74rem; overflow-wrap: anywhere; margin-top: .5em; }
.card .rank { color: var(--accent); font-weight: 700; }
.strip { display: flex; overflow-x: auto; gap: 6px; border-bottom: 1px solid var(--line); }
.cell { flex: 0 0 190px; min-height: 175px; display: flex; flex-direction: column;
        justify-content: flex-end; text-align: center; font-size: .8rem; color: var(--quiet); }
footer { margin-top: 3em; color: var(--quiet); font-size: .85rem; }
@media print { .card { break-inside: avoid; } }
"""


class Page:
    """A page that is filled from top to bottom and then written.

    >>> page = Page("Two molecules", "What came out.")
    >>> page.molecules([{"smiles": "CCO", "logp": -0.0014}])
    >>> "<svg" in page.html() and "http://www.w3.org/2000/svg" in page.html()
    True
    """

    def __init__(self, title: str, lead: str = "") -> None:
        self.title = title
        self._parts = [f"<h1>{escape(title)}</h1>"]
        if lead:
            self._parts.append(f'<p class="lead">{escape(lead)}</p>')

    def heading(self, text: str) -> None:
        """Start a section."""
        self._parts.append(f"<h2>{escape(text)}</h2>")

    def text(self, text: str) -> None:
        """Add a paragraph."""
        self._parts.append(f"<p>{escape(text)}</p>")

    def table(self, rows: Sequence[Mapping[str, Any]]) -> None:
        """Add a table of rows that share their keys."""
        if not rows:
            return
        head = "".join(f"<th>{escape(str(key))}</th>" for key in rows[0])
        body = "".join("<tr>" + "".join(map(_cell, row.values())) + "</tr>" for row in rows)
        self._parts.append(
            f'<div class="scroll"><table><thead><tr>{head}</tr></thead>'
            f"<tbody>{body}</tbody></table></div>"
        )

    def figure(self, figure: Figure, caption: str) -> None:
        """Add a matplotlib figure as an embedded vector picture, with a sentence on it."""
        buffer = io.BytesIO()
        figure.savefig(buffer, format="svg", bbox_inches="tight")
        data = base64.b64encode(buffer.getvalue()).decode("ascii")
        self._parts.append(
            f'<figure><img alt="{escape(caption)}" src="data:image/svg+xml;base64,{data}">'
            f"<figcaption>{escape(caption)}</figcaption></figure>"
        )

    def molecules(self, rows: Sequence[Mapping[str, Any]], smiles: str = "smiles") -> None:
        """Add a grid of drawn molecules; the other keys of a row stand below its drawing."""
        self._parts.append(
            '<div class="grid">'
            + "".join(_card(rank, row, smiles) for rank, row in enumerate(rows, start=1))
            + "</div>"
        )

    def strip(self, smiles: Sequence[str | None], legends: Sequence[str]) -> None:
        """Add molecules in a row that scrolls, each with a line of text; None is an empty cell."""
        cells = "".join(
            f'<div class="cell">{"" if text is None else molecule_svg(text, 190, 150)}'
            f"<span>{escape(legend)}</span></div>"
            for text, legend in zip(smiles, legends, strict=True)
        )
        self._parts.append(f'<div class="strip">{cells}</div>')

    def raw(self, html: str) -> None:
        """Add HTML as it is: nothing in it may come from outside unescaped."""
        self._parts.append(html)

    def html(self) -> str:
        """The whole page as text."""
        from molvae import __version__

        return (
            '<!doctype html>\n<html lang="en"><head><meta charset="utf-8">'
            '<meta name="viewport" content="width=device-width, initial-scale=1">'
            f"<title>{escape(self.title)}</title><style>{_STYLE}</style></head><body>\n"
            + "\n".join(self._parts)
            + f"\n<footer>Made by molvae {__version__}.</footer></body></html>\n"
        )

    def write(self, path: str | os.PathLike[str]) -> None:
        """Write the page, atomically."""
        with atomic_file(path) as out:
            out.write(self.html())


def _format(value: Any) -> str:
    if value is None or (isinstance(value, float) and value != value):
        return "–"
    return f"{value:.3g}" if isinstance(value, float) else str(value)


def _cell(value: Any) -> str:
    kind = ' class="number"' if isinstance(value, int | float) else ""
    return f"<td{kind}>{escape(_format(value))}</td>"


def _card(rank: int, row: Mapping[str, Any], smiles: str) -> str:
    facts = "".join(
        f"<dt>{escape(str(key))}</dt><dd>{escape(_format(value))}</dd>"
        for key, value in row.items()
        if key != smiles
    )
    text = str(row[smiles])
    return (
        f'<div class="card"><span class="rank">{rank}</span>{molecule_svg(text)}'
        f"<dl>{facts}</dl><code>{escape(text)}</code></div>"
    )
