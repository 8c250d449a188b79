"""Our SELFIES codec against ``selfies``: microseconds per molecule, one core against one core.

Every round takes molecules that no round before it has seen and a codec that has seen none, so
nothing is remembered but what a round's own molecules teach it (selfies keeps its caches). What is
timed of selfies is text to text, of ours text to ids and ids to text: the ids come on top. RDKit's
parse and canonicalisation of the decoded text is shown beside it, for it is what is left.

    python scripts/bench/codec.py -o codec.json
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from itertools import cycle
from typing import Any

import selfies
from _common import Rates, alternate, arguments, finish, print_table, timed
from _molecules import SETS, molecules
from rdkit import Chem

from molvae.chem.selfies import Codec, split_selfies


def main() -> None:
    parser = arguments(__doc__, rounds=9)
    parser.add_argument("--molecules", type=int, default=1000, help="per round (default 1000)")
    options = parser.parse_args()
    rounds, size = (2, 100) if options.smoke else (options.rounds, options.molecules)
    results = {}
    for name in SETS:
        texts = molecules(name, (rounds + 1) * size, smoke=options.smoke)
        results[name] = compare(texts, rounds, size)
    for name, result in results.items():
        print(f"\n{name}: microseconds per molecule, median of {rounds} rounds of {size}\n")
        print_table(*table(result))
    finish(options.output, "codec", {"sets": {n: plain(r) for n, r in results.items()}})


def compare(smiles: Sequence[str], rounds: int, size: int) -> dict[str, Rates]:
    """Microseconds per molecule of every side."""
    texts = [selfies.encoder(text) for text in smiles]
    split = [split_selfies(text) for text in texts]
    alphabet = sorted(set().union(*split))
    number = {symbol: i for i, symbol in enumerate(alphabet)}
    ids = [[number[symbol] for symbol in symbols] for symbols in split]
    decoded = Codec(alphabet).decode

    def over(inputs: Sequence[Any], make: Callable[[], Callable[[Any], Any]]) -> Any:
        pieces = cycle([inputs[i : i + size] for i in range(0, len(inputs), size)])

        def side() -> dict[str, float]:
            function = make()
            for item in next(pieces):
                function(item)
            return {"molecules": size}

        return timed(side)

    reports = alternate(
        {
            "selfies encode": over(smiles, lambda: selfies.encoder),
            "molvae encode": over(smiles, lambda: Codec(alphabet).encode),
            "selfies decode": over(texts, lambda: selfies.decoder),
            "molvae decode": over(ids, lambda: Codec(alphabet).decode),
            "rdkit": over([decoded(row) for row in ids], lambda: canonical),
        },
        rounds,
    )
    return {name: microseconds(found) for name, found in reports.items()}


def canonical(smiles: str) -> str:
    """RDKit's part of ids to canonical SMILES."""
    return Chem.MolToSmiles(Chem.MolFromSmiles(smiles))


def microseconds(reports: Iterable[dict[str, Any]]) -> Rates:
    return Rates(tuple(1e6 * report["cpu"] / report["molecules"] for report in reports))


def table(result: dict[str, Rates]) -> tuple[list[list[str]], list[str]]:
    """Rows and header."""
    header = ["", "selfies", "molvae", "times faster", "RDKit beside it", "times, RDKit included"]
    rdkit = result["rdkit"]
    rows = []
    for way, meaning in (("encode", "SMILES to ids"), ("decode", "ids to SMILES")):
        theirs, ours = result[f"selfies {way}"], result[f"molvae {way}"]
        row = [meaning, f"{theirs:.1f}", f"{ours:.1f}", f"{theirs.over(ours):.2f}"]
        if way == "decode":
            whole = plus(theirs, rdkit).over(plus(ours, rdkit))
            row += [f"{rdkit:.1f}", f"{whole:.2f}"]
        rows.append([*row, "", ""][:6])
    return rows, header


def plus(a: Rates, b: Rates) -> Rates:
    return Rates(tuple(x + y for x, y in zip(a.values, b.values, strict=True)))


def plain(result: dict[str, Rates]) -> dict[str, Any]:
    ratios = {
        f"{way} ratio": result[f"selfies {way}"].over(result[f"molvae {way}"]).to_dict()
        for way in ("encode", "decode")
    }
    return {**{name: values.to_dict() for name, values in result.items()}, **ratios}


if __name__ == "__main__":
    main()
