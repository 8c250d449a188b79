"""Building a corpus: read, clean and encode on all cores, store, divide, write, all or nothing."""

from __future__ import annotations

import hashlib
import json
import platform
import shutil
from collections import deque
from collections.abc import Iterator
from importlib import metadata
from pathlib import Path
from typing import Any

import numpy as np

from molvae.base.errors import FileError, InputError, ModelError
from molvae.base.files import atomic_directory, sha256_file, write_json
from molvae.base.parallel import chunked, default_workers
from molvae.base.progress import Progress
from molvae.chem.tokenizer import Tokenizer
from molvae.datasets.clean import Cleaned, CleanOptions, clean
from molvae.datasets.encoding import Work, given_part, label_cards, label_table
from molvae.datasets.finishing import DroppedFile, drop_rare, write_arrays, write_table
from molvae.datasets.options import CorpusOptions
from molvae.datasets.rows import Row
from molvae.datasets.sources import Source
from molvae.datasets.splits import PARTS, split_given, split_groups, split_random
from molvae.datasets.staging import Staging
from molvae.datasets.store import ARRAYS, FORMAT, FORMAT_VERSION, META, Corpus

_BATCH = 1024
_FEW = 2000
_RESERVED = {"file", "row", "smiles", "name", "split"}


def build(
    source: Any,
    out: Path,
    options: CorpusOptions | None,
    tokenizer: Tokenizer | None,
    workers: int | None,
    progress: bool | None,
) -> None:
    """See :func:`molvae.datasets.corpus.build_corpus`."""
    options = options or CorpusOptions()
    source = Source.of(source, options, progress)
    work = Work.of(options, tokenizer)
    labels = label_cards(source, options)
    label_names = [label["name"] for label in labels]
    _check_names(label_names)
    files, expected = source.inventory()
    recipe = _recipe(files, source, options, tokenizer)
    if _is_built(out, recipe):
        return
    _check_target(out)
    names = [str(file["name"]) for file in files]
    with atomic_directory(out) as folder:
        stage = folder / "stage"
        with (
            DroppedFile(folder / "dropped.csv", names) as dropped,
            Staging(stage, len(labels)) as staging,
            Progress("preparing molecules", expected, progress) as bar,
        ):
            rows = _fill(
                staging, dropped, source, options.clean, work, _workers(workers, expected), bar
            )
            staging.finish()
            parts = _divide(staging, options, source.has_split)
            keep = drop_rare(staging, parts, options.min_count, dropped)
            if not keep.any():
                raise _nothing_left(names, rows, dropped.causes)
            if tokenizer is None:
                tokenizer = _learn(staging, keep, options.constraints)
            write_arrays(staging, keep, parts, tokenizer, folder)
            write_table(staging, keep, parts, names, label_names, folder)
            tokenizer.save(folder / "tokenizer.json")
            counts = np.bincount(parts[keep], minlength=len(PARTS)).tolist()
            lengths = staging.lengths[keep]
        shutil.rmtree(stage)
        facts = {
            "molecules": len(lengths),
            "symbols": int(lengths.sum(dtype=np.int64)),
            "symbols_per_molecule": float(lengths.mean()),
            "max_symbols": int(lengths.max()),
            "alphabet": len(tokenizer.alphabet),
            "labels": labels,
            "counts": dict(zip(PARTS, counts, strict=True)),
            "rows": rows,
            "dropped": dict(sorted(dropped.causes.items(), key=lambda item: -item[1])),
        }
        _write_meta(folder, {**facts, **recipe})


def _fill(
    staging: Staging,
    dropped: DroppedFile,
    source: Source,
    options: CleanOptions,
    work: Work,
    workers: int,
    bar: Progress,
) -> int:
    """The first pass: all rows through the workers into ``staging``; how many there were."""
    origins: deque[int] = deque()

    def rows() -> Iterator[Row]:
        for file, row in source.rows():
            origins.append(file)
            yield row

    read = stored = 0
    cleaned = clean(rows(), options, workers, progress=False, then=work)
    for batch in chunked(cleaned, _BATCH):
        files, items = [], []
        for item in batch:
            file = origins.popleft()
            if isinstance(item, Cleaned):
                files.append(file)
                items.append(item)
            else:
                dropped.add(file, *item)
        parts = [given_part(source, item, file) for item, file in zip(items, files, strict=True)]
        staging.append(files, items, parts, label_table(source, items, staging.label_count))
        read, stored = read + len(batch), stored + len(items)
        bar.advance(len(batch))
        bar.note(f"{stored:,} kept")
    return read


def _workers(workers: int | None, expected: int | None) -> int:
    """One process is enough for a few rows: starting another takes longer."""
    if workers is not None:
        return workers
    return 1 if expected is not None and expected <= _FEW else default_workers()


def _divide(staging: Staging, options: CorpusOptions, has_split: bool) -> np.ndarray:
    """The part (n,) of each staged molecule."""
    method = options.split.method
    if method == "given" or (method == "auto" and has_split):
        if not has_split:
            raise InputError(
                "the source does not say which part its rows belong to; name a split column, or "
                "choose a random or scaffold split"
            )
        return split_given(staging.parts, staging.group, options.split)
    split = split_groups if method == "scaffold" else split_random
    return split(staging.group, options.split)


def _learn(staging: Staging, keep: np.ndarray, constraints: str) -> Tokenizer:
    """The tokenizer of the molecules to ``keep`` (n,): their symbols, the longest one's length."""
    counts = staging.symbol_counts(keep)
    symbols = [s for s, count in zip(staging.symbols, counts.tolist(), strict=True) if count]
    longest = int(staging.lengths[keep].max())
    return Tokenizer.from_symbols(symbols, max_length=longest, constraints=constraints)


def _check_names(names: list[str]) -> None:
    for name in names:
        if name in _RESERVED or names.count(name) > 1:
            why = "is a column of every corpus" if name in _RESERVED else "occurs twice"
            raise InputError(f"label {name!r} {why}; rename it in the source or leave it out")


def _recipe(
    files: list[dict[str, Any]],
    source: Source,
    options: CorpusOptions,
    tokenizer: Tokenizer | None,
) -> dict[str, Any]:
    """All that decides what a corpus holds: it is built again if any of it changes."""
    return {
        "sources": files,
        "reading": source.settings(),
        "options": options.to_dict(),
        "tokenizer_given": tokenizer is not None and _digest(tokenizer.to_dict()),
        "versions": {
            "python": platform.python_version(),
            **{name: metadata.version(name) for name in ("molvae", "rdkit", "numpy")},
        },
    }


def _is_built(out: Path, recipe: dict[str, Any]) -> bool:
    if not (out / META).is_file() or any(file["sha256"] is None for file in recipe["sources"]):
        return False
    try:
        meta = Corpus.open(out).meta
    except (ModelError, FileError):
        return False
    return all(meta.get(key) == value for key, value in recipe.items())


def _check_target(out: Path) -> None:
    """Refuse to replace a directory that holds something else than a corpus."""
    if out.is_dir() and any(out.iterdir()) and not (out / META).is_file():
        raise FileError(
            f"cannot write the corpus {out}: the directory holds other files; name a new one"
        )


def _nothing_left(names: list[str], rows: int, causes: dict[str, int]) -> InputError:
    listed = ", ".join(f"{cause} {count:,}" for cause, count in causes.items())
    return InputError(
        f"{', '.join(names)}: none of the {rows:,} rows is a molecule to keep ({listed}); "
        "check the SMILES column and the cleaning options"
    )


def _write_meta(folder: Path, content: dict[str, Any]) -> None:
    listed = sorted(file.name for file in folder.iterdir())
    files = {
        name: {"size": (folder / name).stat().st_size, "sha256": sha256_file(folder / name)}
        for name in listed
    }
    essence = {name: files[name]["sha256"] for name in (*ARRAYS, "tokenizer.json")}
    head = {"format": FORMAT, "format_version": FORMAT_VERSION, "sha256": _digest(essence)}
    write_json(folder / META, {**head, **content, "files": files})


def _digest(value: Any) -> str:
    return hashlib.sha256(json.dumps(value, sort_keys=True).encode()).hexdigest()
