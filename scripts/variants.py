"""Every variant of the model, trained for the same time on one corpus, in one table.

    python scripts/variants.py corpora/moses --minutes 10 -o docs

In turn and resumable: what stands in ``--work`` is not done again. The table goes into
``variants.md`` between its comments. A flow prior needs ``pip install 'molvae[flows]'``; without it
its row is left out.

    python scripts/variants.py corpora/moses --start runs/variants/VAE__beta_0.1 --minutes 12 \
      --only "VAE, beta 0.1" VAE-GAN "VAE-GAN, weight 0.1" --work runs/gan --mark gan -o docs

What a critic of the decoder does to a model that is trained already, beside as much time without.
"""

from __future__ import annotations

import argparse
import importlib.util
from typing import Any

from _study import HELD_OUT, Study, chosen, command, insert, parser, table

VAE = {"objective": {"kl_weight": 0.1}}
# The preset, what is changed of it, and a prior that is fitted afterwards.
Variant = tuple[str, dict[str, dict[str, Any]], dict[str, Any] | None]
VARIANTS: dict[str, Variant] = {
    "autoencoder": ("autoencoder", {}, None),
    "autoencoder, mixture": ("autoencoder", {}, {"kind": "mixture", "components": 10}),
    "VAE, beta 0.1": ("small", VAE, None),
    "VAE, beta 0.1, mixture": ("small", VAE, {"kind": "mixture", "components": 10}),
    "VAE, beta 0.1, vamp": ("small", VAE, {"kind": "vamp", "components": 500}),
    "VAE, beta 0.1, flow": ("small", VAE, {"kind": "flow"}),
    "beta-VAE": ("beta-vae", {}, None),
    "VQ-VAE": ("vq-vae", {}, None),
    "VQ-VAE, codes": ("vq-vae", {}, {"kind": "codes", "hidden": 256}),
    "adversarial autoencoder": ("aae", {}, None),
    "Wasserstein autoencoder": ("wae", {}, None),
    "VAE-GAN": ("vae-gan", {}, None),
    "VAE-GAN, weight 0.1": ("vae-gan", {"objective": {"decoder_adversarial_weight": 0.1}}, None),
}


def main() -> None:
    options = _parser().parse_args()
    study = Study(options)
    names = chosen(VARIANTS, options.only)
    if not study.train_all({_trained(name): VARIANTS[name][:2] for name in names}):
        return
    rows = []
    for name in names:
        preset, changes, prior = VARIANTS[name]
        if prior == {"kind": "flow"} and importlib.util.find_spec("zuko") is None:
            print("left out: the flow prior needs zuko (pip install 'molvae[flows]')")
            continue
        path = study.trained(_trained(name), preset, changes)
        if prior is not None:
            path = study.with_prior(name, path, prior)
        rows.append(study.measured(name, path))
    insert(
        options.output / "variants.md",
        options.mark,
        [
            f"{study.length} for each variant on MOSES, the sizes of `small`, then",
            f"{HELD_OUT:,} molecules of the validation part: the share of next symbols named"
            " rightly, of molecules that come back exactly",
            "(greedily, from the posterior's mean), KL to N(0, I) in nats (none without widths),"
            " active dimensions; and",
            f"{options.samples:,} prior samples: FCD to {3 * options.samples:,} validation"
            f" molecules (training molecules: {study.floor:.2f}), how far log P, weight and",
            "synthetic accessibility (SA) are from those of the held-out molecules (Wasserstein, in"
            " their standard deviations), valid, unique.",
            "",
            *table(rows, "variant"),
            "",
            f"Made by `{command()}`.",
        ],
    )


def _parser() -> argparse.ArgumentParser:
    made = parser(str(__doc__).partition("\n")[0], "runs/variants")
    made.add_argument("--mark", default="table", help="comments of variants.md to write between")
    return made


def _trained(name: str) -> str:
    """The model that the variant is of, without the prior that is fitted to it."""
    kind = (VARIANTS[name][2] or {}).get("kind")
    return name.removesuffix(f", {kind}")


if __name__ == "__main__":
    main()
