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
# # 4 · Exploring the map
#
# Notebook 1 took random steps on the model's map of chemistry. Here we go somewhere: from one
# molecule to another, around a lead, in the direction of an attribute, and over the map as a whole.
# Nothing is trained, and the model is again `druglike`.

# %%
# %matplotlib inline
import os
from pathlib import Path

import matplotlib.pyplot as plt
import numpy as np

import molvae
from molvae.chem.properties import compute
from molvae.latent.analogues import analogues
from molvae.latent.arithmetic import add, learn_and_measure
from molvae.latent.ascent import climb
from molvae.latent.atlas import atlas
from molvae.latent.attributes import pattern
from molvae.latent.interpolation import interpolate
from molvae.plots import BLUE, ORANGE
from molvae.report.grid import MoleculeGrid

SMOKE = bool(os.environ.get("MOLVAE_SMOKE"))  # the tests run this notebook with small numbers

generator = molvae.load("druglike")
known = Path("../data/samples/zinc250k_2000.smi").read_text().split()
first, second = "CC(C)Cc1ccc(C(C)C(=O)NCCO)cc1", "CC(=O)Nc1ccc(OCC(=O)N2CCCC2)cc1"

# %% [markdown]
# ## From one molecule to another
#
# The straight line between the numbers of two molecules, at evenly spaced points.

# %%
line = interpolate(generator, first, second, points=6 if SMOKE else 11, way="linear").distinct()
MoleculeGrid(line.smiles, [f"{t:.0%} of the way" for t in line.t])

# %% [markdown]
# **What to see:** near either end the molecule is that end itself or a close relative. Half-way
# stands one that has the isobutyl group of the first and the side chain of the second. Each
# molecule is drawn once, at the first point that gives it, so a line of few molecules is one that
# stays with each for long, and then jumps.
#
# The middle of a line may also lie where no molecule of the training data is. A *dense* way looks
# for stepping stones that are molecules in their own right, and takes many small steps over them.

# %%
dense = interpolate(generator, first, second, points=6 if SMOKE else 11, way="dense").distinct()
MoleculeGrid(dense.smiles, [f"{t:.0%} of the way" for t in dense.t])

# %% [markdown]
# **What to see:** more molecules, each a smaller change of the one before. They are molecules
# that the model has written and read, which does not make each of them one that you would make.

# %%
figure, ax = plt.subplots(figsize=(6, 3), layout="constrained")
for way, colour in ((line, BLUE), (dense, ORANGE)):
    ax.plot(way.t[1:], way.to_previous[1:], "o-", color=colour, label=way.way)
ax.set(xlabel="share of the way", ylabel="similarity to the molecule before", ylim=(0, 1))
ax.legend(frameon=False)
plt.show()

# %% [markdown]
# **What to see:** how alike each molecule is to the one before it. The higher the curve, the
# smaller the steps; the lowest point of each curve is where the way jumps. Over many pairs, dense
# ways are smoother (`docs/explore.md` has the figures), for a single pair they need not be.
#
# ## Around a lead
#
# Analogues of a molecule, as near as you like. Here between .5 and .9 in similarity, sane ones
# only, and of those found the most unlike each other.

# %%
lead = "CCN(CC)CC(=O)Nc1c(C)cccc1C"  # lidocaine
near = analogues(generator, lead, 7, similarity=(0.5, 0.9), sane=True, diverse=True, seed=1)
MoleculeGrid(
    [lead, *near.smiles], ["lidocaine", *(f"similarity {value:.2f}" for value in near.similarity)]
)

# %% [markdown]
# **What to see:** seven molecules that share about half of lidocaine and differ from it, and from
# each other, in different places: the most varied of what was found lies near the lower limit.
# Raise it for closer relatives; `keep_scaffold=True` leaves the ring system alone.
#
# ## Arithmetic: molecule + fluorine
#
# The average of the molecules that have an attribute, less the average of those that lack it, is a
# direction on the map. Following it should bring the attribute, to any molecule. Whether it does is
# measured on molecules that the direction has not seen, beside random directions of equal length.

# %%
direction, measured, _ = learn_and_measure(
    generator, known[: 200 if SMOKE else 1500], pattern("[F]"), held_out=3 if SMOKE else 50
)
starts = [smiles for smiles in known[-40:] if "F" not in smiles][: 2 if SMOKE else 4]
changes = add(generator, direction, starts)
drawn = [smiles for change in changes for smiles in (change.start, change.smiles)]
captions = [
    caption
    for change in changes
    for caption in (
        "before",
        f"after, similarity {change.similarity:.2f}" if change.smiles else "not within reach",
    )
]
MoleculeGrid(drawn, captions, columns=2, width=260)

# %% [markdown]
# **What to see:** on the left molecules without fluorine, on the right what became of them: where
# it worked, a fluorine, and as much of the molecule as the similarity says.

# %%
figure, ax = plt.subplots(figsize=(4, 2.6), layout="constrained")
ax.barh(["random directions", "+ fluorine"], [measured.control_rate, measured.rate], color=BLUE)
ax.set(xlabel="share that got a fluorine, sane and still related", xlim=(0, 1))
plt.show()

# %% [markdown]
# **What to see:** the lower bar is what chance brings. The longer the upper one is in comparison,
# the more the direction knows of fluorine.
#
# ## Uphill
#
# The property head predicts log P from the numbers, and its slope says in which direction to go for
# less of it. Climbing asks no oracle at all; what counts in the end is what the head says of the
# molecule that a step decodes to, read anew.

# %%
start = "COc1ccc(C(=O)Nc2ccccc2C)cc1"
(way,) = climb(generator, [start], "logp", "minimize", steps=20 if SMOKE else 50)
passed = {s: v for s, v in zip(way.smiles, way.own_value, strict=True) if s is not None}
true = compute(list(passed), ["logp"])[:, 0]
MoleculeGrid(
    list(passed),
    [f"log P {told:.1f}, truly {is_:.1f}" for told, is_ in zip(passed.values(), true, strict=True)],
)

# %% [markdown]
# **What to see:** the start, then each molecule on the way, with log P as the head predicts it and
# as RDKit computes it. Both fall, and with every step there is less of the start left; the further
# it goes, the less the prediction is to be believed, and the odder the molecule.
#
# ## The map as a whole
#
# The numbers of some hundred molecules in two dimensions: t-SNE keeps neighbours together. Colours
# are log P.

# %%
some = known[: 120 if SMOKE else 600]
found = atlas(generator, some, ("tsne",))
logp = compute(found.smiles, ["logp"])[:, 0]
figure, ax = plt.subplots(figsize=(5.5, 4.5), layout="constrained")
dots = ax.scatter(*np.asarray(found.places["tsne"]).T, c=logp, s=12, cmap="viridis")
figure.colorbar(dots, label="log P")
ax.set(xticks=[], yticks=[])
plt.show()

# %% [markdown]
# **What to see:** each dot is a molecule. Where neighbours have one colour, log P is something that
# the map is ordered by; where colours mix, it is ordered by something else. The command
# `molvae explore map druglike FILE -o map.html` makes a page on which the structure appears under
# the mouse.
#
# ## Where to go from here
#
# * Molecules for a purpose, with a computer or a laboratory as the judge: notebook 5.
# * Which molecules does the model find strange? Notebook 6.
#
# On the command line: `molvae explore interpolate | analogues | arithmetic | directions | map` (the
# fourth draws molecules along the direction of each property), and `molvae climb`.
