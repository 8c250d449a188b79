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
# # 5 · Better molecules: by computer, and with a laboratory
#
# Somebody says how good a molecule is; molvae looks for better ones and asks as seldom as it can.
# That somebody may be a formula (part one) or a laboratory (part two). Between two questions molvae
# learns from all answers so far, breeds new candidates from the best molecules (by small steps in
# the latent space, and by changes of the molecular graph), and picks those that promise most. This
# is called *Bayesian optimisation*.

# %%
# %matplotlib inline
import os
from pathlib import Path

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd

import molvae
from molvae.chem.properties import compute
from molvae.chem.similarity import fingerprints, similarity
from molvae.chem.smiles import parse_many
from molvae.datasets.writers import write_table
from molvae.optimize.filtered import filtered
from molvae.optimize.sheets import batch_columns, read_results
from molvae.oracles.objective import Objective
from molvae.plots import BLUE, GREY, RED, optimisation_curve
from molvae.report.campaign import campaign_page
from molvae.report.grid import MoleculeGrid

SMOKE = bool(os.environ.get("MOLVAE_SMOKE"))  # the tests run this notebook with small numbers

RUNS = Path("runs/optimise")
RUNS.mkdir(parents=True, exist_ok=True)
generator = molvae.load("druglike")

# %% [markdown]
# ## Part one: the computer answers
#
# The wish here: a molecule like the sleep hormone melatonin in its shape and pharmacophore (shared
# surroundings of atoms), but drug-like. Any Python function of a list of SMILES will do; this one
# multiplies two numbers between 0 and 1.

# %%
melatonin = "COc1ccc2[nH]cc(CCNC(C)=O)c2c1"
[template] = fingerprints(parse_many([melatonin]))


def wish(smiles: list[str]) -> np.ndarray:
    """Similarity to melatonin times drug-likeness."""
    return similarity(template, fingerprints(parse_many(smiles))) * compute(smiles, ["qed"])[:, 0]


objective = Objective("melatonin-like", wish, "maximize", batch=True)
result = molvae.optimize(
    generator,
    objective,
    budget=16 if SMOKE else 150,  # how often we may ask
    constraints=["no alerts and SA < 4"],  # what must hold besides costs no question
    seed=0,
    **({"candidates": 48, "initial": 8, "batch_size": 8, "rounds": 1} if SMOKE else {}),
)
first = sum(o.suggestion.step == 0 for o in result.observations)
optimisation_curve(result.values, name="melatonin-like", start=first)

# %% [markdown]
# **What to see:** each grey dot is a molecule that was asked about, in order. To the left of the
# dotted line they are samples of the model, to get to know the landscape; to the right the search
# chooses. The red line is the best so far, the blue one the mean of the ten best. The dots as a
# whole rise: it has learnt what is wanted.

# %%
best = result.top(7)
MoleculeGrid(
    [melatonin, *(smiles for smiles, _ in best)],
    ["melatonin", *(f"{value:.2f}" for _, value in best)],
)

# %% [markdown]
# **What to see:** the original, then the best molecules with their scores. They take over from
# melatonin what counts for the score (the indole with its methoxy group, the carbonyl of the chain)
# and none has a structural alert.
# `molvae optimize` does the same on the command line and writes CSV, SDF and a page.
#
# ## Part two: a laboratory answers
#
# A laboratory takes weeks, measures a handful at a time, and sometimes a synthesis fails. For that
# there are *campaigns*: one file that remembers everything, with two verbs.
#
# * **ask** gives a batch of molecules to make, as a table with an empty column;
# * **tell** takes the table back when the column is filled in, in whole or in part.
#
# The laboratory of this notebook is a function that the search cannot see: a "pIC50" that likes a
# certain size, a certain log P and a hydrogen-bond donor, with the noise of an assay; and now and
# then a synthesis fails.

# %%
noise = np.random.default_rng(1)


def measure(smiles: str) -> str:
    """One day in the laboratory: a pIC50 as it is written into the table, or a failure."""
    if noise.random() < 0.1:
        return "failed: not made"
    weight, logp, donors, aromatic = compute([smiles], ["mw", "logp", "hbd", "aromatic_rings"])[0]
    size = np.exp(-(((weight - 340) / 80) ** 2))
    fat = np.exp(-(((logp - 3) / 1.2) ** 2))
    true = 4 + 2 * size + 1.5 * fat + 0.5 * min(donors, 2) + 0.4 * min(aromatic, 2)
    return f"{true + noise.normal(scale=0.15):.2f}"


# Proposes only sane molecules, as likely to the model as the likelier half of its own samples.
kept = filtered(generator, sane=True, typical=0.5)
path = RUNS / "pic50.sqlite"
path.unlink(missing_ok=True)
goals = molvae.Goals.of({"pIC50": "maximize"}, ["no alerts and SA < 4"])
with molvae.Campaign.new(path, kept, goals=goals) as campaign:
    print(campaign.goals)

# %% [markdown]
# ### One round by hand

# %%
with molvae.Campaign.open(path, kept) as campaign:
    batch = campaign.ask(4 if SMOKE else 12)
    write_table(RUNS / "batch-1.csv", batch_columns(batch, campaign.assays))
sheet = pd.read_csv(RUNS / "batch-1.csv")
MoleculeGrid(sheet["smiles"].tolist(), sheet["id"].tolist())

# %% [markdown]
# **What to see:** the first molecules to make, a varied set of samples of the model: nothing is
# known yet. The table `batch-1.csv` goes to the laboratory, comes back filled in, and is told.

# %%
sheet["pIC50"] = [measure(smiles) for smiles in sheet["smiles"]]
sheet.to_csv(RUNS / "batch-1.csv", index=False)

with molvae.Campaign.open(path, kept) as campaign:
    told = campaign.tell(read_results(RUNS / "batch-1.csv", campaign.assays))
told

# %% [markdown]
# ### And some rounds more
#
# The file is closed between the rounds, as it would be for weeks. Whatever happens to the computer
# in the meantime, nothing that was told is lost.

# %%
rounds = 2 if SMOKE else 5
for number in range(2, rounds + 1):
    table = RUNS / f"batch-{number}.csv"
    table.unlink(missing_ok=True)
    with molvae.Campaign.open(path, kept) as campaign:
        write_table(table, batch_columns(campaign.ask(4 if SMOKE else 8), campaign.assays))
    sheet = pd.read_csv(table)
    sheet["pIC50"] = [measure(smiles) for smiles in sheet["smiles"]]
    sheet.to_csv(table, index=False)
    with molvae.Campaign.open(path, kept) as campaign:
        campaign.tell(read_results(table, campaign.assays))
MoleculeGrid(
    [s for pair in zip(sheet["smiles"], sheet["nearest_tested"], strict=True) for s in pair],
    [
        text
        for row in sheet.itertuples()
        for text in (
            f"{row.route}: {row.predicted:.1f} ± {row.uncertainty:.1f}, measured {row.pIC50}",
            f"nearest tested, similarity {row.similarity:.2f}",
        )
    ],
    columns=4,
)

# %% [markdown]
# **What to see:** the last batch, each molecule beside the most similar one that had been tested
# before it. Below it by which route it was found, what was predicted and how sure that was, and
# what was measured then. All of it is in the table that goes to the laboratory.

# %%
with molvae.Campaign.open(path, kept) as campaign:
    told = campaign.observations()
    top = campaign.best(4)
    campaign_page(campaign).write(RUNS / "pic50.html")

step = [o.suggestion.step for o in told]
value = [o.outcome.value if o.outcome.ok else np.nan for o in told]
figure, ax = plt.subplots(figsize=(6, 3), layout="constrained")
ax.scatter(step, value, color=GREY, s=18)
by_round = pd.Series(value).groupby(step)
ax.plot(by_round.mean(), "o-", color=BLUE, label="mean of the round")
ax.plot(by_round.max().cummax(), color=RED, label="best so far")
ax.set(xlabel="step of the search", ylabel="pIC50, measured", xticks=sorted(set(step)))
ax.legend(frameon=False)
plt.show()

# %% [markdown]
# **What to see:** grey, every measurement. Step 0 are the first rounds, samples of the model from
# before anything was learnt; then the blue mean rises, as the campaign learns what the assay likes.
# A step may be worse than the one before: the search also tries what it is unsure of.

# %%
MoleculeGrid([o.suggestion.smiles for o in top], [f"pIC50 {o.outcome.value:.2f}" for o in top])

# %% [markdown]
# **What to see:** the best four so far. The whole story, with every molecule drawn, predictions
# beside measurements and a map, is in the page `runs/optimise/pic50.html`; open it in a browser.
#
# On the command line a round is `molvae campaign ask pic50.sqlite -n 8 -o batch.csv` and
# `molvae campaign tell pic50.sqlite batch.csv`. Several assays at once, a lead to stay near, limits
# on solubility: see the page "Campaigns" of the documentation.
