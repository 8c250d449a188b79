"""A map of a latent space on one page: points coloured by a property, structures on hover."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from html import escape
from typing import Any

import numpy as np

from molvae.latent.atlas import Atlas
from molvae.report.drawing import molecule_svg
from molvae.report.page import Page

_NAMES = {"pca": "PCA", "tsne": "t-SNE"}
_SIZE = 600
_CARD = (200, 150)
_STYLE = """
<style>
.map { display: flex; flex-wrap: wrap; gap: 20px; }
.map svg.points { border: 1px solid var(--line); } .map aside [stroke] { stroke-width: 1.4px; }
.map circle { cursor: pointer; } .map circle.chosen { stroke: #000; stroke-width: 2; }
.map aside { width: 260px; font-size: .9rem; overflow-wrap: anywhere; }
.map label { margin-right: 1.2em; } .scale { height: 12px; width: 100%; }
</style>
"""
_SCRIPT = """
<script>
(function () {
  const data = JSON.parse(document.getElementById("map-data").textContent);
  const svg = document.querySelector("svg.points"), aside = document.getElementById("map-card");
  const kind = document.getElementById("map-kind"), colour = document.getElementById("map-colour");
  const ramp = data.ramp, none = "#c8ccd2";
  function tint(share) {
    const x = Math.max(0, Math.min(1, share)) * (ramp.length - 1), i = Math.floor(x);
    const a = ramp[i], b = ramp[Math.min(i + 1, ramp.length - 1)], f = x - i;
    return "rgb(" + a.map((v, k) => Math.round(v + f * (b[k] - v))).join(",") + ")";
  }
  const dots = data.smiles.map(function (_, i) {
    const dot = document.createElementNS("http://www.w3.org/2000/svg", "circle");
    dot.setAttribute("r", 4); dot.setAttribute("fill-opacity", 0.8);
    dot.addEventListener("mouseenter", () => show(i, dot));
    svg.appendChild(dot);
    return dot;
  });
  function show(i, dot) {
    document.querySelectorAll("circle.chosen").forEach(d => d.classList.remove("chosen"));
    dot.classList.add("chosen");
    aside.innerHTML = data.drawings[i];
    const text = document.createElement("div");
    text.textContent = data.smiles[i];
    aside.appendChild(text);
    for (const name of Object.keys(data.values)) {
      const line = document.createElement("div"), v = data.values[name][i];
      line.textContent = name + ": " + (v === null ? "\\u2013" : Number(v.toPrecision(4)));
      aside.appendChild(line);
    }
  }
  function draw() {
    const places = data.places[kind.value], range = data.ranges[colour.value];
    const values = data.values[colour.value];
    dots.forEach(function (dot, i) {
      dot.setAttribute("cx", places[i][0]); dot.setAttribute("cy", places[i][1]);
      const v = values ? values[i] : null;
      const share = v === null ? 0 : (v - range[0]) / (range[1] - range[0] || 1);
      dot.setAttribute("fill", v === null ? none : tint(share));
    });
    document.getElementById("map-note").textContent = data.notes[kind.value];
    document.getElementById("map-low").textContent = range ? range[0].toPrecision(3) : "";
    document.getElementById("map-high").textContent = range ? range[1].toPrecision(3) : "";
  }
  kind.addEventListener("change", draw); colour.addEventListener("change", draw);
  draw();
})();
</script>
"""
# Five stops of viridis (Smith and van der Walt), told apart by all kinds of colour vision.
_RAMP = ((68, 1, 84), (59, 82, 139), (33, 145, 140), (94, 201, 98), (253, 231, 37))


def map_page(found: Atlas, properties: Mapping[str, np.ndarray], title: str) -> Page:
    """A page with the maps of ``found``, coloured by any of ``properties`` (name to ``(n,)``, NaN
    where unknown; grey on the map).

    A pointer that comes to a point shows its molecule. All of it is in the page: no network.
    """
    page = Page(title, _lead(found))
    page.raw(_STYLE + _controls(found, properties) + _body(found, properties) + _SCRIPT)
    return page


def _lead(found: Atlas) -> str:
    shown = len(found.smiles)
    lead = f"{shown:,} molecules where the model's encoder puts them (the posterior means). "
    if shown < found.readable:
        lead += f"They are a random part of {found.readable:,}. "
    return lead + "Point at one to see it."


def _controls(found: Atlas, properties: Mapping[str, np.ndarray]) -> str:
    kinds = "".join(f'<option value="{m}">{_NAMES[m]}</option>' for m in found.places)
    names = "".join(f'<option value="{escape(n)}">{escape(n)}</option>' for n in properties)
    ramp = ", ".join(f"rgb{stop}" for stop in _RAMP)
    return (
        f'<p><label>Map <select id="map-kind">{kinds}</select></label>'
        f'<label>Colour <select id="map-colour">{names}</select></label>'
        f'<span id="map-low"></span> <svg class="scale" style="width: 140px; '
        f'background: linear-gradient(to right, {ramp})"></svg> <span id="map-high"></span></p>'
    )


def _body(found: Atlas, properties: Mapping[str, np.ndarray]) -> str:
    notes = {
        "pca": "PCA: the two directions in which the latents vary most, with "
        f"{found.explained[0]:.1%} and {found.explained[1]:.1%} of their variance.",
        "tsne": "t-SNE: neighbours stay together; distances between groups, and their sizes, mean "
        "nothing.",
    }
    columns = {name: np.asarray(values, float) for name, values in properties.items()}
    data: dict[str, Any] = {
        "smiles": found.smiles,
        "drawings": [_small(molecule_svg(text, *_CARD)) for text in found.smiles],
        "places": {m: _pixels(xy).tolist() for m, xy in found.places.items()},
        "values": {name: [_plain(v) for v in values] for name, values in columns.items()},
        "ranges": {name: _range(values) for name, values in columns.items()},
        "notes": {m: notes[m] for m in found.places},
        "ramp": _RAMP,
    }
    # "</" would end the script element, and "<!" begin a comment, whatever stands around them.
    text = json.dumps(data, allow_nan=False, separators=(",", ":"))
    text = text.replace("</", "\\u003c/").replace("<!", "\\u003c!")
    return (
        f'<div class="map"><svg class="points" width="{_SIZE}" height="{_SIZE}"></svg>'
        '<aside id="map-card"></aside></div><p id="map-note"></p>'
        f'<script type="application/json" id="map-data">{text}</script>'
    )


def _small(svg: str) -> str:
    """A drawing without what RDKit repeats on every line: a fifth of its size."""
    start = svg.index("<!-- END OF HEADER -->")
    body = re.sub(r" class='[^']*'|<!--.*?-->|(?<=>)\n", "", svg[start:])
    lines = r" style='fill:none;[^']*?stroke:(#\w+);stroke-width:1.4px;[^']*'"
    width, height = _CARD
    head = f"<svg width='{width}' height='{height}' viewBox='0 0 {width} {height}'>"
    return head + re.sub(lines, r" fill='none' stroke='\1'", body)


def _pixels(xy: np.ndarray) -> np.ndarray:
    """Places ``(n, 2)`` on the square of the map, one scale for both axes, y upward."""
    low, high = xy.min(0), xy.max(0)
    scale = (_SIZE - 24) / max(float((high - low).max()), 1e-12)
    middle = (low + high) / 2
    return np.round(_SIZE / 2 + (xy - middle) * scale * (1, -1), 1)


def _range(values: np.ndarray) -> tuple[float, float]:
    """Between which values the colours change: all but the outer two per cent on either side."""
    known = values[np.isfinite(values)]
    if not len(known):
        return (0.0, 1.0)
    return float(np.quantile(known, 0.02)), float(np.quantile(known, 0.98))


def _plain(value: float) -> float | None:
    return None if not np.isfinite(value) else float(f"{value:.6g}")
