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
# # 1 · First steps with a model that is already trained
#
# molvae comes with two trained models. This notebook uses `druglike`, which has learnt from a
# quarter of a million drug-like molecules of the ZINC database. Nothing is trained here and nothing
# is fetched; all of it takes about a minute on a laptop.
#
# What the model does, in three sentences:
#
# * it **reads** a molecule and notes it down as a row of 254 numbers, called *z*;
# * it **writes** a molecule from any such row of numbers;
# * similar rows give similar molecules, so that the numbers are a map of chemistry on which one can
#   take small steps.
#
# The map is called the *latent space*, and a model that reads and writes in this way a *variational
# autoencoder* (VAE).

# %%
# %matplotlib inline
import os
from pathlib import Path

import matplotlib.pyplot as plt
import numpy as np

import molvae
from molvae.chem.properties import compute
from molvae.chem.similarity import fingerprints, similarity
from molvae.chem.smiles import canonicalise, parse_many
from molvae.plots import BLUE, GREY, ORANGE
from molvae.report.grid import MoleculeGrid

SMOKE = bool(os.environ.get("MOLVAE_SMOKE"))  # the tests run this notebook with small numbers

generator = molvae.load("druglike")
generator

# %% [markdown]
# ## New molecules
#
# `sample` writes molecules that nobody asked for in particular: drug-like ones, as the model knows
# them. The same `seed` gives the same molecules. `sane=True` leaves out what a chemist would not
# make (strained rings, peroxides, odd charges).

# %%
molecules = generator.sample(12, seed=1, unique=True, sane=True)
qed, logp = compute(molecules, ["qed", "logp"]).T
captions = [f"QED {q:.2f}, log P {p:.1f}" for q, p in zip(qed, logp, strict=True)]
MoleculeGrid(molecules, captions)

# %% [markdown]
# **What to see:** twelve molecules, all of them valid and all different, with the rings, amides and
# ethers of a screening collection. QED is a drug-likeness between 0 and 1, log P says how much a
# molecule prefers fat to water. Some of the twelve will please you and some will not: a model of
# molecules in general knows nothing of your project yet.
#
# ## Are they like the molecules that it has learnt from?

# %%
known = Path("../data/samples/zinc250k_2000.smi").read_text().split()  # a sample of the real ones
many = generator.sample(60 if SMOKE else 500, seed=2)
names = ["mw", "logp", "tpsa", "qed"]
ours, theirs = compute(many, names), compute(known[: 200 if SMOKE else 2000], names)

figure, axes = plt.subplots(1, 4, figsize=(11, 2.8), layout="constrained")
for i, ax in enumerate(axes):
    bins = np.histogram_bin_edges(np.concatenate([ours[:, i], theirs[:, i]]), 25)
    ax.hist(theirs[:, i], bins, density=True, color=GREY, alpha=0.6, label="ZINC")
    ax.hist(ours[:, i], bins, density=True, histtype="step", color=BLUE, lw=2, label="the model")
    ax.set(title=names[i], yticks=[])
axes[0].legend(frameon=False)
plt.show()

# %% [markdown]
# **What to see:** the blue outlines (new molecules) have the shape of the grey bars (real ones).
# The model's molecules are a little lighter than what it was trained on, and alike in log P, polar
# surface and drug-likeness. `molvae evaluate` measures this and much more.
#
# ## A molecule into numbers, and back
#
# `encode` reads, `decode` writes. Five drugs make the round trip. Any spelling of a molecule will
# do, and what is no molecule is answered by `None`, in its place.

# %%
drugs = {
    "aspirin": "CC(=O)Oc1ccccc1C(=O)O",
    "ibuprofen": "CC(C)Cc1ccc(cc1)C(C)C(=O)O",
    "paracetamol": "CC(=O)Nc1ccc(O)cc1",
    "lidocaine": "CCN(CC)CC(=O)Nc1c(C)cccc1C",
    "caffeine": "Cn1cnc2c1c(=O)n(C)c(=O)n2C",
}
z = generator.encode(list(drugs.values()))
back = generator.decode(z)
print("z has the shape", z.shape, "- one row of numbers for each molecule")

came_back = [
    "the same molecule" if answer == canonicalise(smiles) else "another molecule"
    for smiles, answer in zip(drugs.values(), back, strict=True)
]
MoleculeGrid([*drugs.values(), *back], [*drugs, *came_back], columns=5, width=165, height=130)

# %% [markdown]
# **What to see:** above what went in, below what came back. These drugs return exactly, and so do
# 93.3 % of molecules like those of its training that the model has not seen. What is unlike them
# often does not: much smaller molecules, such as ethanol or toluene, come back as larger ones.
#
# ## The neighbours of a molecule
#
# A small step away from the numbers of lidocaine, in a random direction, and then decode: this
# gives molecules that resemble it. The larger the step, the less they do.

# %%
lead = canonicalise(drugs["lidocaine"])
found = generator.posterior([lead])  # the row of numbers, and how exactly each of them is meant
random = np.random.default_rng(0)
wanted = 40 if SMOKE else 200


def neighbours(step: float) -> dict[str, float]:
    """New molecules a step away from the lead, with their similarity to it, the nearest first."""
    noise = random.normal(size=(wanted, generator.latent_dim))
    near = generator.decode(found.mean + step * found.std * noise, sane=True)
    new = sorted({smiles for smiles in near if smiles not in (None, lead)})
    prints = fingerprints(parse_many([lead, *new]))
    likeness = similarity(prints[0], prints[1:])
    order = np.argsort(-likeness)
    return {new[i]: float(likeness[i]) for i in order}


near = neighbours(2.0)
shown = dict(list(near.items())[:7])
MoleculeGrid(
    [lead, *shown], ["lidocaine", *(f"similarity {value:.2f}" for value in shown.values())]
)

# %% [markdown]
# **What to see:** of all that were found, the seven most like lidocaine. The frame stays, and an
# end of it is exchanged: a halogen or an amine where a methyl was, a carbon more. Further down the
# list more of it changes. Charges, where there are any, are as in ZINC: acids are anions and amines
# cations. The similarity (Tanimoto, 1 for the same molecule) counts shared surroundings of atoms.

# %%
steps = (1.0, 2.0, 3.0) if SMOKE else (1.0, 1.5, 2.0, 2.5, 3.0, 4.0)
likeness = [list(neighbours(step).values()) or [np.nan] for step in steps]

figure, ax = plt.subplots(figsize=(6, 3), layout="constrained")
for step, values in zip(steps, likeness, strict=True):
    ax.scatter(np.full(len(values), step), values, s=8, color=BLUE, alpha=0.4, linewidths=0)
ax.plot(steps, [np.mean(values) for values in likeness], color=ORANGE, label="mean")
ax.set(xlabel="length of the step", ylabel="similarity to lidocaine", ylim=(0, 1))
ax.legend(frameon=False)
plt.show()

# %% [markdown]
# **What to see:** each dot is a new molecule. After short steps nearly all draws are lidocaine
# again, so there are few dots; then come its relatives, and long steps go elsewhere: the length of
# the step is the knob between "more of the same" and "something new". (Notebook 4 finds analogues
# at a chosen similarity without turning it by hand.)
#
# ## What the model thinks of a molecule
#
# `druglike` also predicts some properties straight from the numbers, with an uncertainty. Here we
# know the true values, because RDKit computes them, and can see how well that goes.

# %%
test = known[-100 if SMOKE else -400 :]
predicted = generator.predict(test)
true = compute(test, ["logp"])[:, 0]

figure, ax = plt.subplots(figsize=(4, 4), layout="constrained")
ax.errorbar(
    true, predicted["logp"], 2 * predicted["logp_std"], fmt=".", color=BLUE, ecolor=GREY, alpha=0.5
)
ax.plot([-2, 6], [-2, 6], color=ORANGE)
ax.set(xlabel="log P, computed by RDKit", ylabel="log P, predicted from z")
plt.show()

# %% [markdown]
# **What to see:** the cloud follows the orange line, so the numbers of a molecule do hold its
# log P; it is a little flatter than the line: what is extreme is predicted to be less so. The grey
# bars, two standard deviations, nearly all reach the line, more of them than the 95 % that should:
# the model is less sure than it might be. It is good enough to lead a search, and no measurement.
#
# ## Where to go from here
#
# * Your own molecules and measurements: notebook 2.
# * Is the map any good, and how does one see it? Notebook 3.
# * Molecules for a purpose, with a computer or a laboratory as the judge: notebook 5.
#
# On the command line, all of this is `molvae generate`, `molvae encode`, `molvae decode` and
# `molvae predict`.
