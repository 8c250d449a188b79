# ---
# jupyter:
#   jupytext:
#     formats: ipynb,py:percent
#   kernelspec:
#     display_name: Python 3
#     language: python
#     name: python3
# ---

# %% [markdown]
# # 2 · Train on your own molecules
#
# You have a table of molecules, perhaps with a measurement beside each. This notebook turns it into
# a model that knows your chemistry and predicts your measurement. It starts from the shipped model
# `druglike`, so that a few hundred molecules and two minutes are enough.
#
# In the place of your table stands one that is made here: some 300 sulfonamides, and as the
# "measurement" their molar refractivity as RDKit computes it, with some noise, as a laboratory
# would add. Put the path of your own table into `TABLE` and the name of its column into `LABEL`.

# %%
# %matplotlib inline
import os
from pathlib import Path

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
from rdkit import Chem

import molvae
from molvae.chem.properties import compute
from molvae.datasets.options import CorpusOptions
from molvae.datasets.splits import SplitOptions
from molvae.plots import BLUE, GREY, ORANGE, training_curves
from molvae.report.grid import MoleculeGrid
from molvae.training.head import fit_head
from molvae.training.history import read_history

SMOKE = bool(os.environ.get("MOLVAE_SMOKE"))  # the tests run this notebook with small numbers

RUNS = Path("runs/own")
RUNS.mkdir(parents=True, exist_ok=True)
TABLE, LABEL = RUNS / "my-molecules.csv", "refractivity"

sulfonamide = Chem.MolFromSmarts("S(=O)(=O)N")


def is_sulfonamide(smiles: str) -> bool:
    return Chem.MolFromSmiles(smiles).HasSubstructMatch(sulfonamide)


samples = [Path(f"../data/samples/{name}_2000.smi") for name in ("zinc250k", "moses")]
smiles = [text for path in samples for text in path.read_text().split() if is_sulfonamide(text)]
smiles = smiles[: 120 if SMOKE else None]
value = compute(smiles, ["molar_refractivity"])[:, 0]
value += np.random.default_rng(0).normal(scale=2.0, size=len(value))
table = pd.DataFrame({"SMILES": smiles, LABEL: value.round(1)})
# Real tables have such rows too: a salt, a typing error, a molecule twice, a missing value.
table.loc[3, "SMILES"] += ".Cl"
table.loc[5, "SMILES"] = "C1CC(=O"
table.loc[7, "SMILES"] = table.loc[8, "SMILES"]
table.loc[9, LABEL] = None
table.to_csv(TABLE, index=False)
table.head(10)

# %% [markdown]
# ## From a table to a corpus
#
# A *corpus* is your table, cleaned: salts are stripped, duplicates merged, and every row that
# cannot be used is listed with its reason. `tokenizer` says that the molecules are to be written
# in the symbols that `druglike` knows. Part of the molecules is set aside: what the model has not
# seen is what it is judged by.

# %%
start = molvae.load("druglike")
corpus = molvae.build_corpus(
    TABLE,
    RUNS / "corpus",
    options=CorpusOptions(labels=(LABEL,), split=SplitOptions(validation=0.1, test=0.2)),
    tokenizer=start.tokenizer,
    workers=0,
)
for part in ("train", "validation", "test"):
    print(f"{part:11} {len(corpus.indices(part)):5} molecules")
pd.read_csv(RUNS / "corpus" / "dropped.csv")

# %% [markdown]
# The rows above did not get in, each with the reason. Look through them: they are often mistakes
# that are worth mending in your table.
#
# ## Learn the measurement
#
# The quickest thing first: a *property head*, which predicts the measurement from the numbers z of
# a molecule, while the rest of the model stays as it is. Seconds.

# %%
settings = molvae.TrainConfig.parse(
    {
        "data": {"labels": [LABEL]},
        "optimiser": {"batch_size": 128, "learning_rate": 0.002},
        "run": {"epochs": 5 if SMOKE else 200, "patience": 20},
    }
)
with_head = RUNS / "with-head"
if not with_head.exists():
    fit_head(corpus, with_head, settings, start="druglike")
generator = molvae.load(with_head)

test = corpus.indices("test")
unseen, measured = corpus.smiles(test), corpus.labels[test][:, 0]
predicted = generator.predict(unseen)
error = predicted[LABEL] - measured

figure, ax = plt.subplots(figsize=(4.2, 4.2), layout="constrained")
ax.errorbar(
    measured, predicted[LABEL], 2 * predicted[f"{LABEL}_std"], fmt=".", color=BLUE, ecolor=GREY
)
ends = [measured.min(), measured.max()]
ax.plot(ends, ends, color=ORANGE)
ax.set(xlabel="measured", ylabel="predicted", title=f"{len(unseen)} molecules not seen before")
print(f"typical error {np.sqrt(np.mean(error**2)):.1f}, spread of the values {measured.std():.1f}")
plt.show()

# %% [markdown]
# **What to see:** molecules that the model has never seen, measured to the right and predicted
# upwards. On the orange line the two agree. The points follow it, most of them within 6 where the
# values spread by 15, and nearly all the grey bars (two standard deviations, by the model's own
# account) reach it: the head knows how far it can be trusted. The few largest molecules are
# predicted too low. Refractivity is easy, for atoms add up to it; a biological activity takes more
# measurements. `docs/heads.md` has eight measured sets, beside a forest on fingerprints, which is
# the other tool to try where only the prediction counts (`molvae fit-oracle`).
#
# ## Teach the writer your chemistry
#
# `druglike` writes drug-like molecules of all kinds. Fine-tuning goes on with the training of the
# *decoder* (the part that writes) on your molecules, at a gentle rate. `encoder: 0` leaves the map
# as it is, so that the head stays right. With `conditions` the writer is told the measurement of
# each molecule while it learns, so that afterwards a value can be asked for.

# %%
fine = molvae.TrainConfig.parse(
    {
        "objective": {"kl_weight": 0.05, "property_weight": 0.0},
        "optimiser": {
            "batch_size": 64,
            "learning_rate": 0.0005,
            "weight_decay": 0.0,
            "average": 0.98,
        },
        "schedule": {"kl": "constant", "warmup_steps": 20, "encoder": 0.0},
        "data": {"labels": [LABEL], "conditions": [LABEL]},
        "run": {
            "steps": 6 if SMOKE else 120,
            "log_every": 2 if SMOKE else 5,
            "evaluate_every": 3 if SMOKE else 20,
            "keep_best": False,  # of so short a run the last state, not the best validated
        },
    }
)
mine = molvae.train(corpus, RUNS / "my-model", fine, start=with_head, resume=True)
history = read_history(mine / "history.csv")
drawn = ("step", "train_reconstruction", "validation_reconstruction")
training_curves({name: history[name] for name in drawn if name in history})

# %% [markdown]
# **What to see:** blue, how surprised the writer is by the molecules it learns from (in nats;
# while it learns, parts of z are hidden from it, which makes this number large); orange, by those
# set aside, with nothing hidden. Blue should fall. If orange rises while blue falls, the model
# begins to learn your molecules by heart: take fewer steps.
#
# ## What it writes now

# %%
generator = molvae.load(mine)
number = 24 if SMOKE else 200
before = molvae.load("druglike").sample(number, seed=1, candidates=1)
after = generator.sample(number, seed=1)
new = [text for text in dict.fromkeys(after) if text not in set(smiles)]
for name, written in (("druglike", before), ("your model", after)):
    share = np.mean([is_sulfonamide(text) for text in written])
    print(f"sulfonamides among {number} samples of {name}: {share:.0%}")
print(f"distinct and not in your table: {len(new)}")

# %%
shown = [text for text in new if is_sulfonamide(text) or SMOKE]
shown = sorted(shown, key=lambda text: -compute([text], ["qed"])[0, 0])[:8]
values = generator.predict(shown)[LABEL]
MoleculeGrid(shown, [f"{LABEL} {v:.0f} (predicted)" for v in values])

# %% [markdown]
# **What to see:** of the new sulfonamides the eight that are most drug-like, each with the value
# that the head predicts. None is in the table. The group that all of the table has came in from
# the table; not all that is written is as pleasing as these eight, for a few hundred molecules
# teach a writer what is wanted sooner than what is beautiful.
#
# ## Ask for a value
#
# A small and a large refractivity, asked for, and what came of it. `guidance` above 1 takes the
# wish more seriously than the training did.

# %%
figure, ax = plt.subplots(figsize=(6, 3), layout="constrained")
for asked, colour in ((65.0, BLUE), (110.0, ORANGE)):
    drawn = generator.sample(number, seed=2, conditions={LABEL: asked}, guidance=2.0)
    obtained = compute(drawn, ["molar_refractivity"])[:, 0]
    ax.hist(obtained, 20, alpha=0.6, color=colour, label=f"asked for {asked:g}")
    ax.axvline(asked, color=colour, ls="--")
ax.set(xlabel="refractivity, computed by RDKit", yticks=[])
ax.legend(frameon=False)
plt.show()

# %% [markdown]
# **What to see:** the two heaps stand apart, each around the dashed line that was asked for, and
# wide: from so few molecules a wish is heard more than obeyed. A model that learns conditions from
# a hundred thousand comes nearer (`docs/conditional.md` has the figures).
#
# ## Where to go from here
#
# * The same on the command line:
#   `molvae data prepare my-molecules.csv -o mine --label refractivity --tokenizer druglike`, then
#   `molvae train --head-only --from druglike --corpus mine --label refractivity -o with-head`.
# * With a hundred thousand molecules or more, train from the beginning: leave `--from` out.
# * Is the map of your model any good? Notebook 3. Molecules that are best at something? Notebook 5.
