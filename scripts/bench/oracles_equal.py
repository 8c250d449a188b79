"""Are our twenty tasks PyTDC's? The same molecules scored by both, one task after the other.

Of every task: a part of ZINC250k, the molecules that its definition names, and relatives of those,
made by exchanging, adding and leaving out SELFIES symbols of the best, so that high values are
compared too. A
task agrees where the largest difference is below 1e-6. The times are CPU seconds of one thread,
ours for all molecules in one call and PyTDC's one by one, as each is made to be used.

    python scripts/bench/peer_env.py --peer pytdc      # once: PyTDC 0.4.0 in .bench/pytdc
    python scripts/bench/oracles_equal.py --n 2000
    python scripts/bench/oracles_equal.py --golden     # also print values for the tests
"""

from __future__ import annotations

import json
import os
import random
import subprocess
import tempfile
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from _common import arguments, finish, print_table
from _turns import ONE_THREAD, bench_directory

from molvae.base.seeds import derive_seed
from molvae.chem.selfies import (
    Codec,
    CodecError,
    Constraints,
    robust_alphabet,
    smiles_to_selfies,
    split_selfies,
)
from molvae.chem.smiles import canonicalise_many
from molvae.oracles.description import Composition
from molvae.oracles.tasks import TASKS, task, task_description

ZINC = Path(__file__).resolve().parents[2] / "data" / "samples" / "zinc250k_2000.smi"
AGREES = 1e-6
PARENTS = 50
SEEDS = {
    "isomers_c7h8n2o2": ["Cc1ccc([N+](=O)[O-])cc1N", "NC(=O)c1ccc(N)c(O)c1", "COC(=O)c1ccnc(N)c1"],
    "isomers_c9h10n2o2pf2cl": ["CNP(=O)(Nc1ccc(Cl)cc1)OCC(F)F", "CCOP(C)c1cc(F)c(Cl)c(F)c1N"],
    "valsartan_smarts": ["CCCCC(=O)N(Cc1ccc(cc1)-c1ccccc1-c1nnn[nH]1)C(C(C)C)C(=O)O"],
    "qed": ["COc1ccccc1OCC(O)CN2CCN(CC(=O)Nc3c(C)cccc3C)CC2"],
}
"""Molecules to begin with where a definition names none, or none that scores."""
GOLDEN = (
    "CC(C)(C)NCC(O)c1ccc(O)c(CO)c1",
    "CC1=CC=C(C=C1)C1=CC(=NN1C1=CC=C(C=C1)S(N)(=O)=O)C(F)(F)F",
    "Fc1cc(c(F)cc1F)CC(N)CC(=O)N3Cc2nnc(n2CC3)C(F)(F)F",
    "CCCOc1cc2ncnc(Nc3ccc4ncsc4c3)c2cc1S(=O)(=O)C(C)(C)C",
    "O=C(C)N(CC)C1=CC=CC(C2=CC=NC3=C(C=NN23)C#N)=C1",
    "Cc1ccc([N+](=O)[O-])cc1N",
    "CNC(=O)CN(Cc1ccc(-c2ccccc2F)cc1)C(=O)CC#N",
)


def main() -> None:
    parser = arguments(__doc__, rounds=1)
    parser.add_argument("--n", type=int, default=2000, help="of each task (default %(default)s)")
    parser.add_argument("--task", action="append", choices=TASKS, help="default: all")
    parser.add_argument("--peer", type=Path, help="python of the peer's environment")
    parser.add_argument("--golden", action="store_true", help="print both sides' values as JSON")
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args()
    tasks = options.task or list(TASKS)
    count = 30 if options.smoke else options.n
    python = options.peer or bench_directory() / "pytdc" / "bin" / "python"
    rows, results, golden = [], {}, {}
    for name in tasks:
        smiles = list(GOLDEN) if options.golden else molecules_for(name, count, options.seed)
        ours, seconds = our_values(name, smiles)
        theirs = None if options.smoke else peer_values(python, name, smiles)
        results[name] = compared(ours, seconds, theirs)
        results[name]["best molecule"] = smiles[int(ours.argmax())]
        rows.append(row(name, results[name]))
        if theirs is not None:
            golden[name] = [round(value, 10) for value in theirs["values"][name]]
    columns = ["task", "molecules", "largest difference", "mean", "above 0.1", "best"]
    print_table(rows, [*columns, "PyTDC, ms each", "ours, ms each", "agrees"])
    agreed = sum(result["agrees"] for result in results.values())
    print(f"\n{agreed} of {len(tasks)} agree to {AGREES:g}")
    if options.golden:
        print(json.dumps(golden))
    finish(options.output, "oracles_equal", {"tasks": results})


def molecules_for(name: str, count: int, seed: int) -> list[str]:
    """``count`` different molecules: those the task names, relatives of them, and ZINC's."""
    named = [*dict.fromkeys([*mentioned(task_description(name)), *SEEDS.get(name, [])])]
    draw = random.Random(derive_seed(seed, name))
    found = relatives(name, named, count // 2, draw)
    zinc = ZINC.read_text().split()
    return list(dict.fromkeys([*found, *draw.sample(zinc, len(zinc))]))[:count]


def mentioned(composition: Composition) -> Iterator[str]:
    """The molecules that a description names."""
    for part in composition.parts:
        if isinstance(part, Composition):
            yield from mentioned(part)
        yield from filter(None, [getattr(part, "target", None)])
        yield from filter(None, [getattr(part.modifier, "mean_of", None)])


def relatives(name: str, named: Sequence[str], count: int, draw: random.Random) -> list[str]:
    """The named molecules and ``count`` others, one to five changes away from a parent.

    Parents are the best that the task has so far: its high values are compared too.
    """
    own = {symbol for smiles in named for symbol in split_selfies(smiles_to_selfies(smiles))}
    common = sorted(own)
    codec = Codec(sorted({*robust_alphabet(Constraints.preset("default")), *own}))
    numbers = [codec.alphabet.index(symbol) for symbol in common]
    objective = task(name)
    scores = dict(zip(named, objective.function(named), strict=True))
    while len(scores) < count + len(named):
        parents = sorted(scores, key=scores.__getitem__)[-PARENTS:]
        brood = [mutant(draw.choice(parents), codec, numbers, draw) for _ in range(PARENTS)]
        new = [smiles for smiles in dict.fromkeys(brood) if smiles and smiles not in scores]
        scores |= dict(zip(new, objective.function(new), strict=True))
    return list(scores)


def mutant(parent: str, codec: Codec, common: Sequence[int], draw: random.Random) -> str | None:
    """``parent`` with SELFIES symbols exchanged, added and left out; None if it is in pieces."""
    try:
        ids = list(codec.encode(parent))
    except CodecError:  # not all that RDKit reads can be written in these symbols
        return None
    for _ in range(draw.randint(1, 5)):
        place = draw.randrange(len(ids))
        # Mostly symbols that the named molecules have, sometimes any.
        new = draw.choice(common if draw.random() < 0.8 else range(len(codec.alphabet)))
        ids[place : place + draw.randint(0, 1)] = [new] if draw.random() < 0.8 else []
        if not ids:
            return None
    (smiles,) = canonicalise_many([codec.decode(ids)])
    return None if smiles is None or "." in smiles else smiles


def our_values(name: str, smiles: list[str]) -> tuple[np.ndarray, float]:
    """Our values, and the CPU seconds that one call for all molecules took."""
    objective = task(name)
    objective.function(["CCO"])
    start = time.process_time()
    values = np.asarray(objective.function(smiles))
    return values, time.process_time() - start


def peer_values(python: Path, name: str, smiles: list[str]) -> Any:
    """What PyTDC says, in its own process and environment."""
    env = {**os.environ, **ONE_THREAD}
    with tempfile.TemporaryDirectory() as folder:
        job = Path(folder, "job.json")
        job.write_text(json.dumps({"tasks": [name], "molecules": smiles}))
        script = Path(__file__).with_name("_peer_oracles.py")
        done = subprocess.run(
            [python, script, job], stdout=subprocess.PIPE, text=True, check=True, env=env
        )
    return json.loads(done.stdout.splitlines()[-1])


def compared(ours: np.ndarray, seconds: float, theirs: Any) -> dict[str, Any]:
    """How far the two are apart, and whether the values are such that it means something."""
    difference, peer_ms = None, None
    if theirs is not None:
        (values,), (seconds_there,) = theirs["values"].values(), theirs["seconds"].values()
        difference = float(np.abs(ours - np.array(values)).max())  # NaN if either has one
        peer_ms = 1000 * seconds_there / len(ours)
    return {
        "molecules": len(ours),
        "difference": difference,
        "mean": float(ours.mean()),
        "above 0.1": float((ours > 0.1).mean()),
        "best": float(ours.max()),
        "peer_ms": peer_ms,
        "our_ms": 1000 * seconds / len(ours),
        "agrees": difference is not None and difference < AGREES,
    }


def row(name: str, found: dict[str, Any]) -> list[str]:
    """A row of the table; the peer's cells are empty without it."""
    return [
        name,
        f"{found['molecules']:,}",
        "" if found["difference"] is None else f"{found['difference']:.1e}",
        f"{found['mean']:.3f}",
        f"{found['above 0.1']:.0%}",
        f"{found['best']:.3f}",
        "" if found["peer_ms"] is None else f"{found['peer_ms']:.3f}",
        f"{found['our_ms']:.3f}",
        "yes" if found["agrees"] else "NO",
    ]


if __name__ == "__main__":
    main()
