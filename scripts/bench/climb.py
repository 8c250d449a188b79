"""How far a climb along the property head moves the true property, with and without its penalty.

From the same samples of a model, climbs towards more of each target. The head is all that a climb
sees; what came of it is then computed by RDKit. ``predicted`` at the latents asked, ``itself`` at
what the molecules there are encoded to, and ``true`` are changes from the start, in the property's
unit, on average over the molecules, each of them the one on its path that the head likes best;
``disagreement`` is the average distance of the first two. ``similarity`` is to the start (Morgan
bits, radius 2).

    python scripts/bench/climb.py -o climb.json
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass

import numpy as np
from _common import SAMPLE, arguments, finish, print_table

import molvae
from molvae.base.progress import Progress
from molvae.chem.properties import compute
from molvae.chem.similarity import fingerprints, similarity
from molvae.chem.smiles import parse_many
from molvae.generator import Generator
from molvae.latent.ascent import PENALTY, climb
from molvae.latent.paths import Path

TARGETS = ("qed", "logp", "tpsa")
PENALTIES = (0.0, PENALTY / 2, PENALTY, 2 * PENALTY)
SEED = 21
"""Of the samples: not those by which the penalty was chosen, which was done with 20."""


@dataclass(frozen=True)
class Row:
    """One target and penalty, averaged over ``molecules``; see the head of this file."""

    target: str
    penalty: float
    molecules: int
    predicted: float
    itself: float
    disagreement: float
    true: float
    better: float
    similarity: float
    changed: float


def main() -> None:
    parser = arguments(__doc__, rounds=1)
    parser.add_argument("--model", default="druglike", help="directory or name (%(default)s)")
    parser.add_argument("--molecules", type=int, default=100, help="samples (%(default)s)")
    options = parser.parse_args()
    if options.smoke:
        generator, targets, steps, options.molecules = smoke(), TARGETS[1:2], 5, 8
    else:
        generator, targets, steps = molvae.load(options.model, "cpu"), TARGETS, 50
    start = generator.sample(options.molecules, seed=SEED, unique=True)
    found = []
    with Progress("climbs", len(targets) * len(PENALTIES)) as bar:
        for target in targets:
            for penalty in PENALTIES:
                paths = climb(generator, start, target, "maximize", steps=steps, penalty=penalty)
                found.append(measured(paths, target, penalty))
                bar.advance()
    print_table([cells(row) for row in found], list(asdict(found[0])))
    finish(options.output, "climb", {"results": [asdict(row) for row in found]})


def smoke() -> Generator:
    """An untrained model with a head for logP."""
    from molvae.chem.tokenizer import Tokenizer
    from molvae.models.config import HeadConfig, Target
    from molvae.models.presets import preset
    from molvae.models.vae import SequenceVAE

    tokenizer = Tokenizer.from_smiles(SAMPLE.read_text().split()[:100])
    config = preset("tiny").replace(head=HeadConfig(targets=(Target(name="logp"),)))
    return Generator(SequenceVAE(config, tokenizer.vocab_size, tokenizer.max_length), tokenizer)


def measured(paths: Sequence[Path], target: str, penalty: float) -> Row:
    """What became of the molecules on the paths that the head likes best."""
    good = [(path, path.best) for path in paths if path.best is not None]
    starts = [path.start for path, _ in good]
    ends = [path.smiles[best] for path, best in good]
    first = np.array([path.asked_value[0] for path, _ in good])
    asked = np.array([path.asked_value[best] for path, best in good])
    own = np.array([path.own_value[best] for path, best in good])
    (before,), (after,) = (compute(side, [target], progress=False).T for side in (starts, ends))
    pairs = zip(*(fingerprints(parse_many(side)) for side in (starts, ends)), strict=True)
    return Row(
        target,
        penalty,
        len(good),
        predicted=float((asked - first).mean()),
        itself=float((own - first).mean()),
        disagreement=float(np.abs(asked - own).mean()),
        true=float(np.nanmean(after - before)),
        better=float(np.nanmean(after > before)),
        similarity=float(np.nanmean([similarity(a, b) for a, b in pairs])),
        changed=float(np.mean([a != b for a, b in zip(starts, ends, strict=True)])),
    )


def cells(row: Row) -> list[str]:
    """The row as text; properties to three digits, shares to two places."""
    changes = [f"{v:+.3g}" for v in (row.predicted, row.itself)]
    shares = [f"{v:.2f}" for v in (row.better, row.similarity, row.changed)]
    far = f"{row.disagreement:.3g}"
    first = [row.target, f"{row.penalty:.4f}", str(row.molecules)]
    return [*first, *changes, far, f"{row.true:+.3g}", *shares]


if __name__ == "__main__":
    main()
