"""What all commands share: their usual options, settings from TOML, errors and exit codes."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, TypeVar

import typer

if TYPE_CHECKING:
    from molvae.base.records import Record

R = TypeVar("R", bound="Record")

ConfigFile = Annotated[
    Path | None,
    typer.Option("--config", help="TOML file; the settings of this command are its keys."),
]
Assignments = Annotated[
    list[str] | None,
    typer.Option("--set", metavar="KEY=VALUE", help="Set one key, also a nested one (a.b=3)."),
]
Seed = Annotated[int | None, typer.Option("--seed", help="Seed of everything random.")]
Device = Annotated[
    str | None, typer.Option("--device", help="auto, cpu, cuda or cuda:N  [default: auto]")
]
AsJson = Annotated[bool, typer.Option("--json", help="Print the result as JSON on stdout.")]
Quiet = Annotated[bool, typer.Option("--quiet", "-q", help="No progress, no messages.")]
Verbose = Annotated[
    bool, typer.Option("--verbose", "-v", help="Say more; show the traceback of an error.")
]
Output = Annotated[
    str | None,
    typer.Option(
        "--output",
        "-o",
        help="Output file; its ending sets the format (.csv .tsv .smi .sdf .parquet .jsonl, "
        "with or without .gz); - is standard output.",
    ),
]

EXIT_CODES = """
Exit codes: 0 done; 1 unexpected error; 2 wrong usage; 3 bad input data; 4 bad setting;
5 damaged or foreign model, corpus or campaign; 6 file system; 7 download; 8 training;
9 objective or budget; 130 Ctrl-C; 143 terminated.
"""


def settings(
    record: type[R],
    config: Path | None = None,
    assignments: Sequence[str] | None = None,
    **flags: Any,
) -> R:
    """Build ``record`` from a TOML file, then ``--set`` assignments, then the flags that are given.

    A flag named ``a__b`` is the key ``b`` of section ``a``; a flag that is None was not given. In
    place of TOML the ``config.json`` of something made earlier will do.
    """
    from molvae.base.files import read_json
    from molvae.base.records import override, read_toml

    values: dict[str, Any] = {}
    if config is not None and config.suffix == ".json":
        values = {key: value for key, value in read_json(config).items() if key != "format"}
    elif config is not None:
        values = read_toml(config)
    values = override(values, assignments or [])
    for name, value in flags.items():
        if value is None:
            continue
        *sections, last = name.split("__")
        place = values
        for section in sections:
            place = place.setdefault(section, {})
        place[last] = str(value) if isinstance(value, Path) else value
    return record.parse(values, where=str(config) if config is not None else "settings")


def show(quiet: bool) -> bool | None:
    """The ``progress`` argument of library functions: off when quiet, else only on a terminal."""
    return False if quiet else None


def say(message: str, quiet: bool = False) -> None:
    """Print a message for people on standard error."""
    if not quiet:
        print(message, file=sys.stderr, flush=True)


def print_json(value: Any) -> None:
    """Print a result for programs on standard output; NaN becomes null."""
    from molvae.base.files import file_errors

    with file_errors("standard output", "write"):
        print(json.dumps(_plain(value), indent=2, ensure_ascii=False, allow_nan=False), flush=True)


def print_table(
    rows: Sequence[Mapping[str, Any]], title: str | None = None, *, stderr: bool = False
) -> None:
    """Print rows of equal keys as a table for people; numbers to four significant digits."""
    from rich.console import Console
    from rich.table import Table

    from molvae.base.files import file_errors

    stream = sys.stderr if stderr else sys.stdout
    table = Table(title=title, title_justify="left", show_edge=False)
    for key in rows[0] if rows else ():
        numeric = all(isinstance(row[key], int | float) for row in rows)
        table.add_column(key, justify="right" if numeric else "left", overflow="fold")
    for row in rows:
        table.add_row(*(_cell(value) for value in row.values()))
    with file_errors("standard error" if stderr else "standard output", "write"):
        # No markup: rich would take the [nH] of a SMILES for one, and leave it out.
        width = None if stream.isatty() else 160
        Console(file=stream, width=width, markup=False, emoji=False).print(table)
        stream.flush()


def _cell(value: Any) -> str:
    if isinstance(value, bool) or value is None:
        return {True: "yes", False: "no", None: ""}[value]
    if isinstance(value, float):
        return "" if value != value else f"{value:.4g}"
    return str(value)


def _plain(value: Any) -> Any:
    if isinstance(value, Mapping):
        return {str(k): _plain(v) for k, v in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(v) for v in value]
    if hasattr(value, "tolist"):
        return _plain(value.tolist())
    if isinstance(value, float) and (value != value or value in (float("inf"), float("-inf"))):
        return None
    return str(value) if isinstance(value, Path) else value


@contextmanager
def errors_to_exit_codes(verbose: bool = False) -> Iterator[None]:
    """Print a :class:`~molvae.base.errors.MolvaeError` as one sentence and leave with its code."""
    from molvae.base.errors import MolvaeError

    try:
        yield
    except MolvaeError as error:
        if verbose:
            raise
        print(f"molvae: {error}", file=sys.stderr)
        raise SystemExit(error.exit_code) from None
    except KeyboardInterrupt:
        print("molvae: interrupted", file=sys.stderr)
        raise SystemExit(130) from None
    except SystemExit as end:  # typer has made Ctrl-C this, and our handler SIGTERM
        if end.code in (130, 143):
            print("molvae: interrupted", file=sys.stderr)
        raise
    except BrokenPipeError:
        # The reader of our output has left (`| head`): not an error of ours.
        sys.stderr.close()
        raise SystemExit(141) from None
