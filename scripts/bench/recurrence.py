"""The recurrence: whole training steps against the machine's own matrix product, in one run.

A step is forward, backward, gradient clipping and AdamW on a batch of made-up molecules as long as
MOSES' (34.5 symbols on average), sorted by length as the training loop does. Besides molvae's
recurrence runs the same model with torch's own GRU (packed sequences, all else equal).
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import torch
from _common import alternate, arguments, finish, print_table, rates, sgemm, timed, values
from _flops import training_flop

from molvae.models.batch import Batch
from molvae.models.objective import ObjectiveConfig
from molvae.models.presets import preset
from molvae.models.recurrence import GRULayer
from molvae.models.vae import SequenceVAE

SYMBOLS = 29  # MOSES' 26 and padding, start, end
SORTED_OVER = 32  # batches that are sorted by length together


def batches(size: int, count: int, seed: int = 0) -> list[Batch]:
    """``count`` batches out of one pool of molecules sorted by length."""
    random = np.random.default_rng(seed)
    lengths = np.sort(random.normal(34.5, 5.0, size * SORTED_OVER).round().clip(8, 54).astype(int))
    picked = random.permutation(SORTED_OVER)[:count]
    return [
        Batch.collate([random.integers(3, SYMBOLS, n) for n in lengths[i * size : (i + 1) * size]])
        for i in picked
    ]


class TorchGRULayer(GRULayer):
    """The same layer, computed by torch's own GRU on the CPU as well."""

    from_tokens = GRULayer.fused_from_tokens


def trainer(size: str, batch: int, steps: int, *, own: bool) -> Callable[[], dict[str, float]]:
    """A function that makes ``steps`` training steps and returns what it did."""
    model = SequenceVAE(preset(size), SYMBOLS, 60)
    if not own:
        for module in model.modules():
            if isinstance(module, GRULayer):
                module.__class__ = TorchGRULayer
    optimiser = torch.optim.AdamW(model.parameters(), 1e-4, fused=True)
    work = batches(batch, steps)
    objective = ObjectiveConfig(kl_weight=0.1)

    def turn() -> dict[str, float]:
        counts = {"molecules": 0.0, "tokens": 0.0, "flop": 0.0}
        for step, b in enumerate(work):
            terms = model.losses(b, objective, torch.Generator().manual_seed(step))
            optimiser.zero_grad(set_to_none=True)
            terms.total.backward()
            torch.nn.utils.clip_grad_norm_(model.parameters(), 5.0)
            optimiser.step()
            tokens = int((b.lengths - 1).sum())
            counts["molecules"] += len(b)
            counts["tokens"] += tokens
            counts["flop"] += training_flop(model.config, SYMBOLS, len(b), tokens)
        return counts

    return turn


def main() -> None:
    options = arguments(__doc__, rounds=7).parse_args()
    plan = {
        "default, batch 128": ("default", 128, 3, True),
        "default, batch 256": ("default", 256, 2, True),
        "default, torch's GRU": ("default", 128, 3, False),
        "MOSES' sizes, batch 256": ("moses", 256, 1, True),
    }
    if options.smoke:
        options.rounds = 1
        plan = {"tiny": ("tiny", 8, 1, True), "tiny, torch's GRU": ("tiny", 8, 1, False)}
    torch.set_num_threads(1)
    sides = {
        name: timed(trainer(size, batch, steps, own=own))
        for name, (size, batch, steps, own) in plan.items()
    }
    reports = alternate({**sides, "sgemm": lambda: sgemm(options.smoke)}, options.rounds)
    product = {
        name: values(reports["sgemm"], name) for name in reports["sgemm"][0] if name != "cpu"
    }
    rows, results = [], {}
    for name in plan:
        tokens, flop = rates(reports[name], "tokens"), rates(reports[name], "flop")
        shares = {f"share_of_{library}": flop.over(rate) for library, rate in product.items()}
        cells = [f"{share:.0%}" for share in shares.values()]
        rows.append([name, f"{tokens.median:,.0f}", f"{flop.median / 1e9:.0f}", *cells])
        result = {"tokens_per_cpu_s": tokens, "flop_per_cpu_s": flop, **shares}
        results[name] = {key: value.to_dict() for key, value in result.items()}
    print_table(rows, ["training step", "tokens/CPU s", "Gflop/s", *(f"of {x}" for x in product)])
    for library, rate in product.items():
        print(f"matrix product, {library}: {rate.median / 1e9:.0f} Gflop/s")
    results["sgemm"] = {library: rate.to_dict() for library, rate in product.items()}
    finish(options.output, "recurrence", results)


if __name__ == "__main__":
    main()
