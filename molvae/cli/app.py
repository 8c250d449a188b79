"""The command tree. Command files import typer and ``common`` alone at their top, so that help
answers at once; everything heavy is imported inside the commands."""

from __future__ import annotations

import os
import signal
import sys

import typer

from molvae.cli import (
    anomalies,
    campaign,
    climb,
    data,
    decode,
    encode,
    evaluate,
    explore,
    fit_oracle,
    generate,
    health,
    info,
    models,
    optimize,
    oracle,
    predict,
    synthesize,
    train,
)
from molvae.cli.common import EXIT_CODES, errors_to_exit_codes

app = typer.Typer(
    name="molvae",
    no_args_is_help=True,
    rich_markup_mode="markdown",  # in rich's own markup, [default: 3] would vanish
    pretty_exceptions_enable=False,
    epilog=EXIT_CODES,
    context_settings={"help_option_names": ["-h", "--help"]},
)
app.add_typer(data.app, name="data")
app.add_typer(models.app, name="models")
app.add_typer(explore.app, name="explore")
app.add_typer(oracle.app, name="oracle")
app.add_typer(campaign.app, name="campaign")
for command in (
    train.train,
    health.health,
    generate.generate,
    evaluate.evaluate,
    encode.encode,
    decode.decode,
    predict.predict,
    climb.climb,
    anomalies.anomalies,
    synthesize.synthesize,
    optimize.optimize,
    fit_oracle.fit_oracle,
    info.info,
):
    app.command()(command)


def _version(value: bool) -> None:
    if value:
        from molvae import __version__

        print(__version__)
        raise typer.Exit


@app.callback()
def molvae(
    version: bool = typer.Option(
        False, "--version", callback=_version, is_eager=True, help="Print the version."
    ),
) -> None:
    """Generate molecules with a SELFIES sequence VAE, and optimise them in its latent space."""


def run() -> None:
    """Run the command line; errors of molvae's own become one sentence and an exit code."""
    # torch's threads wait for each other many times a step. Spinning, as they do unless told
    # otherwise before torch is loaded, costs minutes where another process wants the same cores.
    os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")
    # Terminated like interrupted: everything on the way out removes what it has half written.
    signal.signal(signal.SIGTERM, lambda number, frame: sys.exit(128 + number))
    with errors_to_exit_codes("-v" in sys.argv or "--verbose" in sys.argv):
        app()
