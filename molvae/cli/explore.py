"""``molvae explore``: what lies in a latent space, and where."""

from __future__ import annotations

import typer

from molvae.cli import (
    explore_analogues,
    explore_arithmetic,
    explore_directions,
    explore_interpolate,
    explore_map,
)

app = typer.Typer(help="See what lies in a latent space, and where.", no_args_is_help=True)
app.command()(explore_interpolate.interpolate)
app.command()(explore_analogues.analogues)
app.command()(explore_arithmetic.arithmetic)
app.command()(explore_directions.directions)
app.command("map")(explore_map.latent_map)
