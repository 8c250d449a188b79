"""Is our SELFIES codec selfies'? Every molecule and every random string, both ways.

Molecules: the symbols of ours and of ``selfies.encoder`` must decode to the same canonical
molecule, and be the molecule that went in. Random strings: our SMILES and that of
``selfies.decoder`` must be the same canonical molecule. Texts that are equal to the letter need no
RDKit to be the same molecule; those that differ are compared by it, and all are parsed by it.

    python scripts/bench/codec_equal.py --count 100000 --part moses --part zinc250k
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable
from functools import lru_cache

import selfies
from _common import arguments, finish, print_table
from _molecules import SETS, molecules, random_strings
from rdkit import Chem, rdBase

from molvae.base.progress import track
from molvae.chem.selfies import Codec, Constraints, robust_alphabet, split_selfies
from molvae.chem.selfies.symbols import DIGITS

PRESETS = ("default", "octet_rule", "hypervalent")
EVERYTHING = (
    *("[epsilon]", "[nop]", ".", "[#Ring1]", "[#Ring2]", "[Branch3]", "[=Ring3]", "[-/Ring1]"),
    *("[\\-Ring1]", "[//Ring2]", "[/\\Ring1]", "[/C]", "[\\C]", "[/N]", "[\\N]", "[/O]", "[\\S]"),
    *("[C@H1]", "[C@@H1]", "[C@]", "[C@@]", "[/C@H1]", "[\\C@@H1]", "[=C@H1]", "[P@]", "[P@@H1]"),
    *("[S@]", "[S@@]", "[N@+1]", "[13C]", "[13CH1]", "[2H]", "[=15N]", "[11CH3]", "[18F]", "[CH0]"),
    *("[CH1]", "[CH2]", "[=CH1]", "[OH0]", "[NH1]", "[NH2+1]", "[=NH1+1]", "[NH4+1]", "[O-1]"),
    *("[S-1]", "[N-1]", "[=N+1]", "[=O+1]", "[C-1]", "[Na+1]", "[Cl-1]", "[Br-1]", "[Fe+2]"),
    *("[Se]", "[=Se]", "[SeH1]", "[Si]", "[SiH2]", "[B-1]", "[BH2]", "[Te]", "[Pt]", "[#P]"),
)
"""Stereo at atoms, bonds and rings, charges, isotopes, radicals, [epsilon], [nop] and dots."""


def main() -> None:
    parser = arguments(__doc__, rounds=1)
    parser.add_argument("--count", type=int, default=100_000, help="of each (default %(default)s)")
    parser.add_argument("--longest", type=int, default=80, help="symbols (default %(default)s)")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--part", action="append", choices=parts(), help="default: all")
    options = parser.parse_args()
    count = 200 if options.smoke else options.count
    results = {}
    with rdBase.BlockLogs():
        for name in options.part or parts():
            if name in SETS:
                texts = molecules(name, count, seed=options.seed, smoke=options.smoke)
                tally = compare_molecules(texts, name)
            else:
                _, alphabet, constraints = name.split()
                symbols = ALPHABETS[alphabet](constraints, options.smoke)
                strings = random_strings(symbols, count, longest=options.longest, seed=options.seed)
                tally = compare_strings(track(strings, name), symbols, constraints)
            results[name] = dict(tally)
    columns = ("compared", "letters differ", "molecules differ", "invalid", "not the source")
    rows = [[name, *(f"{tally.get(c, 0):,}" for c in columns)] for name, tally in results.items()]
    print_table(rows, ["", *columns])
    finish(options.output, "codec_equal", {"parts": results})


def parts() -> list[str]:
    """The names of all comparisons."""
    random = [f"random {alphabet} default" for alphabet in ALPHABETS]
    return [*SETS, *random, *(f"random everything {preset}" for preset in PRESETS[1:])]


@lru_cache(maxsize=4)
def learnt(name: str, smoke: bool) -> list[str]:
    """The symbols of a set: all that 100,000 of its molecules use."""
    texts = molecules(name, 200 if smoke else 100_000, smoke=smoke)
    return sorted(set().union(*(split_selfies(selfies.encoder(text)) for text in texts)))


ALPHABETS: dict[str, Callable[[str, bool], list[str]]] = {
    "moses": lambda _, smoke: learnt("moses", smoke),
    "zinc250k": lambda _, smoke: learnt("zinc250k", smoke),
    "robust": lambda constraints, _: robust_alphabet(Constraints.preset(constraints)),
    "everything": lambda constraints, _: sorted(
        {*EVERYTHING, *DIGITS, *robust_alphabet(Constraints.preset(constraints))}
    ),
}


def canonical(smiles: str) -> str | None:
    """RDKit's canonical SMILES, None where it cannot parse the text."""
    mol = Chem.MolFromSmiles(smiles)
    return None if mol is None else Chem.MolToSmiles(mol)


def compare_molecules(texts: list[str], name: str) -> Counter[str]:
    """Encode and decode each molecule by both."""
    tally: Counter[str] = Counter()
    codec = Codec(sorted(set().union(*(split_selfies(selfies.encoder(text)) for text in texts))))
    for smiles in track(texts, name):
        theirs = selfies.encoder(smiles)
        ids = codec.encode(smiles)
        same_symbols = "".join(codec.alphabet[i] for i in ids) == theirs
        decoded = codec.decode(ids)
        judge(tally, decoded, selfies.decoder(theirs), same_symbols)
        tally["not the source"] += canonical(decoded) != canonical(smiles)
    return tally


def compare_strings(
    strings: Iterable[list[str]], alphabet: list[str], constraints: str
) -> Counter[str]:
    """Decode each list of symbols by both, under the same constraints."""
    tally: Counter[str] = Counter()
    codec = Codec(alphabet, constraints)
    number = {symbol: i for i, symbol in enumerate(alphabet)}
    before = selfies.get_semantic_constraints()
    selfies.set_semantic_constraints(constraints)
    try:
        for symbols in strings:
            ours = codec.decode([number[symbol] for symbol in symbols])
            judge(tally, ours, selfies.decoder("".join(symbols)), True)
            tally["invalid"] += canonical(ours) is None
    finally:
        selfies.set_semantic_constraints(before)
    return tally


def judge(tally: Counter[str], ours: str, theirs: str, same_symbols: bool) -> None:
    """Count one comparison of decoded texts."""
    tally["compared"] += 1
    if ours != theirs or not same_symbols:
        tally["letters differ"] += 1
        tally["molecules differ"] += canonical(ours) != canonical(theirs)


if __name__ == "__main__":
    main()
