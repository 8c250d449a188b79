"""``molvae info``: what a model or a corpus is, and the versions of everything."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any

import typer

from molvae.cli.common import AsJson, Quiet, Verbose, print_json, print_table


def info(
    path: Annotated[
        str | None,
        typer.Argument(
            metavar="[PATH]",
            help="Directory of a model or a corpus, or the name of a shipped model.",
        ),
    ] = None,
    as_json: AsJson = False,
    quiet: Quiet = False,
    verbose: Verbose = False,
) -> None:
    """Describe a model or a corpus; without a path, the versions installed."""
    facts = (
        _versions() if path is None else _corpus(path) if _is_corpus(path) else model_facts(path)
    )
    if as_json:
        print_json(facts)
    else:
        print_facts(facts)


def print_facts(facts: Mapping[str, Any], title: str | None = None) -> None:
    """Print what is known, a row each; what is None or empty is left out."""
    rows = [{"": key, "value": _text(value)} for key, value in facts.items()]
    rows = [row for row in rows if row["value"]]
    if rows:
        print_table(rows, title)


def _is_corpus(path: str) -> bool:
    return (Path(path) / "tokens.npy").exists()


def _versions() -> dict[str, Any]:
    import platform
    from importlib import metadata

    from molvae import __version__

    facts = {"molvae": __version__, "python": platform.python_version()}
    for name in ("torch", "rdkit", "botorch", "numpy", "pandas", "lightning-fabric"):
        facts[name] = metadata.version(name)
    return facts


def model_facts(path: str) -> dict[str, Any]:
    """What a model is: its sizes, its symbols, what it predicts, where it comes from."""
    from molvae.generator import load
    from molvae.latent.conditions import described

    generator = load(path, "cpu")
    tokenizer, provenance = generator.tokenizer, generator.provenance
    conditions = generator.model.conditions
    corpus = provenance.get("corpus", {})
    return {
        "model": str(path),
        "fingerprint": generator.fingerprint,
        "parameters": sum(p.numel() for p in generator.model.parameters()),
        "latent dimensions": generator.latent_dim,
        "symbols": len(tokenizer.alphabet),
        "symbols per molecule at most": tokenizer.max_length,
        "predicts": list(generator.targets),
        "takes": [] if conditions is None else described(conditions),
        "corpus": corpus.get("path"),
        "trained on": corpus.get("train"),
        "finished": provenance.get("finished"),
        "written by": provenance.get("versions"),
        "settings": generator.config.to_dict(),
    }


def _corpus(path: str) -> dict[str, Any]:
    from molvae.datasets.corpus import Corpus

    corpus = Corpus.open(path)
    return {
        "corpus": str(path),
        "sha256": corpus.sha256,
        "molecules": len(corpus),
        **corpus.meta["counts"],
        "symbols": len(corpus.tokenizer.alphabet),
        "symbols per molecule at most": corpus.tokenizer.max_length,
        "symbols per molecule on average": float(corpus.lengths.mean()),
        "labels": list(corpus.label_names),
    }


def _text(value: Any) -> str:
    if value is None:
        return ""
    if isinstance(value, dict):
        return "\n".join(_flat(value))
    if isinstance(value, list | tuple):
        return ", ".join(map(str, value))
    if isinstance(value, float):
        return f"{value:.4g}"
    return f"{value:,}" if isinstance(value, int) else str(value)


def _flat(values: dict[str, Any], prefix: str = "") -> list[str]:
    lines = []
    for key, value in values.items():
        if isinstance(value, dict):
            lines += _flat(value, f"{prefix}{key}.")
        else:
            lines.append(f"{prefix}{key} = {value}")
    return lines
