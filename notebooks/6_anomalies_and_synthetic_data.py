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
# # 6 · What does not belong, and what may be shared
#
# A model that knows a set of molecules is good for two more things. It notices what is unlike the
# set: a mistake in a registry, a natural product among fragments, a molecule for which no
# prediction should be believed. And it can write a set that is like a private one, so that this one
# need not be handed on.

# %%
# %matplotlib inline
import csv
import os
import tempfile
from pathlib import Path

import matplotlib.pyplot as plt
import numpy as np

import molvae
from molvae.chem.properties import compute
from molvae.latent.anomaly import Detector
from molvae.plots import BLUE, GREY, ORANGE
from molvae.report.grid import MoleculeGrid
from molvae.synthesis.options import SynthesisOptions
from molvae.synthesis.run import synthesize

SMOKE = bool(os.environ.get("MOLVAE_SMOKE"))  # the tests run this notebook with small numbers

generator = molvae.load("druglike")
known = Path("../data/samples/zinc250k_2000.smi").read_text().split()

# %% [markdown]
# ## What does not belong
#
# A detector is fitted to molecules of the kind that is usual here, a half to learn what they are
# like and a half to calibrate it. It looks at how likely the model would write a molecule, how well
# it gives the molecule back, and how far away on the map it lies.

# %%
usual, others = known[: 200 if SMOKE else 1500], known[-60 if SMOKE else -400 :]
detector = Detector.fit(generator, usual, source="the sample of ZINC")

guests = {
    "paclitaxel": "CC1=C2C(C(=O)C3(C(CC4C(C3C(C(C2(C)C)(CC1OC(=O)C(C(C5=CC=CC=C5)NC(=O)C6=CC=CC=C6)"
    "O)O)OC(=O)C7=CC=CC=C7)(CO4)OC(=O)C)O)C)OC(=O)C",
    "hexane": "CCCCCC",
    "glucose": "OCC1OC(O)C(O)C(O)C1O",
    "TNT": "Cc1c(cc(cc1[N+](=O)[O-])[N+](=O)[O-])[N+](=O)[O-]",
    "18-crown-6": "C1COCCOCCOCCOCCOCCO1",
    "ibuprofen": "CC(C)Cc1ccc(cc1)C(C)C(=O)[O-]",
    "lidocaine": "CC[NH+](CC)CC(=O)Nc1c(C)cccc1C",
    "celecoxib": "Cc1ccc(cc1)c1cc(nn1c1ccc(cc1)S(N)(=O)=O)C(F)(F)F",
}
judged = detector.judge(generator, list(guests.values()), false_alarms=0.05)
captions = [f"{name}: {verdict}" for name, verdict in zip(guests, judged.verdict, strict=True)]
MoleculeGrid(list(guests.values()), captions)

# %% [markdown]
# **What to see:** a natural product, a sugar, a solvent and a ring of ethers are no members of a
# screening collection, and are called so; drugs that could be of it are usual. What is merely
# unwelcome, TNT, need not be unusual: it is a small aromatic molecule like many others here, and
# a filter of alerts is what to keep it out. What the model cannot even read is an anomaly with that
# as its reason.
#
# The word *anomaly* has a price that is stated: at most 5 % of molecules like the usual ones are
# called so by mistake. Is that true of molecules that the detector has not seen?

# %%
alarms = detector.judge(generator, others, false_alarms=0.05)
levels = np.linspace(0.02, 0.5, 13)
shares = [np.mean(alarms.p <= level) for level in levels]

figure, ax = plt.subplots(figsize=(4.5, 3.5), layout="constrained")
ax.plot(levels, levels, color=GREY, label="as stated")
ax.plot(levels, shares, "o-", color=BLUE, label="as found")
ax.set(xlabel="false alarms stated", ylabel="share of usual molecules called anomalies")
ax.legend(frameon=False)
plt.show()

# %% [markdown]
# **What to see:** the blue points lie near the grey line, within what so few molecules allow: the
# rate of false alarms is what was asked for, whatever it is.
#
# On the command line: `molvae anomalies FILE --reference druglike`, which needs no data of yours at
# all: the calibration comes with the model.
#
# ## What may be shared
#
# Take a private table: molecules, and a number measured for each. (Here it is a part of the public
# sample, and the number is log P with an error of measurement.)

# %%
random = np.random.default_rng(0)
private = known[: 120 if SMOKE else 400]
assay = compute(private, ["logp"])[:, 0] + random.normal(0, 0.3, len(private))
folder = Path(tempfile.mkdtemp())
with open(folder / "private.csv", "w", newline="") as out:
    rows = csv.writer(out)
    rows.writerow(["SMILES", "assay"])
    rows.writerows(zip(private, assay.round(2), strict=True))

small = {"epochs": 1, "oversample": 2.0, "trees": 10} if SMOKE else {"epochs": 2, "oversample": 3.0}
options = SynthesisOptions(labels=("assay",), fcd=False, **small)
shared = synthesize(folder / "private.csv", options=options, workers=1, progress=False)
smiles = shared.columns["smiles"]
captions = [f"assay {value:.2f}" for value in shared.columns["assay"][:8]]
MoleculeGrid(smiles[:8], captions)

# %% [markdown]
# **What to see:** molecules that are none of the private ones, each with a value that a model of
# the private values gives it, its error included.

# %%
names = ["mw", "logp", "tpsa"]
ours, theirs = compute(smiles, names), compute(private, names)
columns = [*zip(names, ours.T, theirs.T, strict=True), ("assay", shared.columns["assay"], assay)]
figure, axes = plt.subplots(1, 4, figsize=(11, 2.8), layout="constrained")
for ax, (name, new, old) in zip(axes, columns, strict=True):
    bins = np.histogram_bin_edges(np.concatenate([new, old]), 20)
    ax.hist(old, bins, density=True, color=GREY, alpha=0.6, label="private")
    ax.hist(new, bins, density=True, histtype="step", color=ORANGE, lw=2, label="synthetic")
    ax.set(title=name, yticks=[])
axes[0].legend(frameon=False)
plt.show()

# %% [markdown]
# **What to see:** the orange outlines follow the grey bars: whoever works with the synthetic table
# sees the weights, the polarities and the values of the private one.
#
# Is anything given away? The report counts copies, and lets an attacker try to tell which molecules
# the private table held.

# %%
privacy = shared.report["privacy"]
print("molecules of the private table among the synthetic ones:", privacy["copies"])
attack = privacy["membership"]

figure, ax = plt.subplots(figsize=(6, 2.4), layout="constrained")
ax.barh(list(attack), [one["auc"] for one in attack.values()], color=BLUE)
ax.axvline(0.5, color=ORANGE, label="guessing")
ax.set(xlabel="success of the attack (ROC-AUC)", xlim=(0, 1))
ax.legend(frameon=False)
plt.show()

# %% [markdown]
# **What to see:** .5 is guessing. An attack with the synthetic table alone stays near it. The
# others need the model that was trained on the private table, and one that compares it with the
# model before that training is nearly always right: share the table, never that model. With a few
# hundred molecules these bars are rough: the report of `molvae synthesize` has their standard
# errors.
#
# On the command line: `molvae synthesize private.csv --label assay -o shareable.csv`, with
# `--html report.html` for the report.
