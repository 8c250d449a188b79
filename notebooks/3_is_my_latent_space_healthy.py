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
# # 3 · Is my latent space healthy?
#
# A model can write beautiful molecules and still be of no use for a search: when its numbers *z*
# say nothing about the molecule. This happens by itself while a model is trained, and is called
# *posterior collapse*. This notebook makes it happen on purpose, shows how it is seen, and mends
# it. Eight tiny models are trained on 2,000 molecules of the MOSES benchmark, and one of them
# learns on, with and without a rival: two to three minutes for all.
#
# What is minimised in training is a sum of two costs for each molecule, in *nats* (a nat is 1.44
# bits):
#
# * **reconstruction**: how surprised the writer is by the molecule, given its z;
# * **KL**: how much z says about the molecule, times a weight β.
#
# The first wants z to say much, the second wants it to say nothing. A strong writer gets far
# without z, because after `C C C C ( = ` an `O` is a good guess anyway. Then it is cheapest to say
# nothing: the KL goes to zero, and z with it.

# %%
# %matplotlib inline
import os
from pathlib import Path

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd

import molvae
from molvae.chem.properties import compute
from molvae.datasets.sources import Source
from molvae.metrics.health import HealthOptions
from molvae.models.config import PriorConfig
from molvae.plots import BLUE, GREEN, GREY, ORANGE, RED, health_figure
from molvae.report.grid import MoleculeGrid
from molvae.training.history import read_history
from molvae.training.prior import fit_prior
from molvae.training.schedules import ScheduleConfig, kl_weight

SMOKE = bool(os.environ.get("MOLVAE_SMOKE"))  # the tests run this notebook with small numbers

RUNS = Path("runs/health")
molecules = Path("../data/samples/moses_2000.smi").read_text().split()[: 200 if SMOKE else 2000]
corpus = molvae.build_corpus(Source.molecules(molecules), RUNS / "corpus", workers=0)
held_out = corpus.smiles(corpus.indices("validation"))
print(f"{len(corpus):,} molecules, of which {len(held_out)} are held out to judge by")


# %%
def train(
    name: str, steps: int = 200, rate: float = 0.006, start: Path | None = None, **sections
) -> Path:
    """Train a model with some settings changed; the directory it is in (kept, if it is there).

    With ``start`` that model learns on.
    """
    config = molvae.TrainConfig.parse(
        {
            "optimiser": {"batch_size": 64, "learning_rate": rate, "average": 0.9},
            "run": {"steps": 6 if SMOKE else steps, "log_every": 2 if SMOKE else 10},
            **sections,
        }
    )
    return molvae.train(corpus, RUNS / name, config, start=start, resume=True)


def assess(model: Path):
    """What `molvae health` measures."""
    size = 30 if SMOKE else 150
    options = HealthOptions(held_out=size, samples=size, parents=20 if SMOKE else 60)
    return molvae.assess(molvae.load(model), held_out, options=options)


ONE_VECTOR = {"embedding_dim": 32, "encoder_hidden": 48, "latent_dim": 64, "decoder_hidden": 96}

# %% [markdown]
# ## A model that collapses
#
# One vector of 64 numbers for each molecule, β = 1 from the first step on.

# %%
collapsed = train("collapsed", model=ONE_VECTOR, schedule={"kl": "constant"})
ill = assess(collapsed)
print(ill.verdict)
print("What to try:", *ill.verdict.advice, sep="\n  - ")

# %% [markdown]
# The verdict names two signs. First, z carries next to nothing (KL). Second, and more telling: the
# model guesses the next symbol as well with the z of **another** molecule as with the right one. So
# it does not listen to z. (How well it writes says nothing about that: see its samples.)

# %%
samples = molvae.load(collapsed).sample(4, seed=1)
original = held_out[:4]
back = molvae.load(collapsed).reconstruct(original)
MoleculeGrid(
    [*samples, *original, *back],
    ["a sample"] * 4 + ["held out"] * 4 + ["what comes back"] * 4,
    width=180,
    height=120,
)

# %% [markdown]
# **What to see:** the samples in the first row are molecules, if odd ones after so little training;
# more training would mend that. It would not mend the rest: compare the second row (what went in)
# with the third (what came back). Whatever goes in, much the same comes out. There is nothing to
# search in.
#
# ## β: how much z may cost
#
# The same network with a smaller weight of the KL.

# %%
betas = (0.02, 0.2)
sweep = {1.0: ill}
for beta in betas:
    found = train(
        f"beta-{beta}",
        model=ONE_VECTOR,
        schedule={"kl": "constant"},
        objective={"kl_weight": beta},
    )
    sweep[beta] = assess(found)
order = sorted(sweep)

figure, axes = plt.subplots(1, 2, figsize=(9, 3), layout="constrained")
axes[0].plot(order, [sweep[b].latent.kl for b in order], "o-", color=BLUE)
axes[0].set(xscale="log", xlabel="β", ylabel="nats", title="KL: what z says")
own = [sweep[b].reconstruction.token_accuracy for b in order]
others = [sweep[b].reconstruction.token_accuracy_misplaced for b in order]
axes[1].plot(order, own, "o-", color=BLUE, label="with its own z")
axes[1].plot(order, others, "o-", color=GREY, label="with another's z")
axes[1].set(xscale="log", xlabel="β", title="next symbols guessed")
axes[1].legend(frameon=False)
plt.show()

# %% [markdown]
# **What to see:** on the left, what z says falls as β rises, to nothing at β = 1. On the right, the
# gap between blue and grey is what z is good for: it closes at β = 1. With a small β z is used, but
# then it strays from the region from which new molecules are drawn, and samples become odd. So β is
# a compromise; around 0.02 to 0.1 is where this toolkit's models live.
#
# ## Let the cost rise slowly, and make the writer listen
#
# Three remedies that leave the final β at 1:
#
# * **annealing**: β starts at 0 and rises, so that z is in use before it costs anything;
# * **token dropout**: 30 % of the symbols that the writer looks back on are hidden, so that it must
#   ask z;
# * **free bits**: each of the 64 numbers may say half a nat without paying.
#
# There are four ways for β to rise:

# %%
part_of_run = np.linspace(0, 1, 400)
kinds = {"constant": GREY, "linear": BLUE, "sigmoid": GREEN, "cyclical": ORANGE}
figure, ax = plt.subplots(figsize=(6, 2.6), layout="constrained")
for kind, colour in kinds.items():
    schedule = ScheduleConfig(kl=kind, kl_rise=0.5)
    ax.plot(
        part_of_run, [kl_weight(schedule, 1.0, t) for t in part_of_run], color=colour, label=kind
    )
ax.set(xlabel="part of the run", ylabel="β")
ax.legend(frameon=False, loc="lower right")
plt.show()

# %% [markdown]
# **What to see:** `linear` and `sigmoid` reach the full β half-way here; `cyclical` begins anew
# four times, and each time z may say more again before it costs.

# %%
listening = train(
    "listening",
    model={**ONE_VECTOR, "token_dropout": 0.3},
    schedule={"kl": "linear", "kl_rise": 1.0},
    objective={"free_bits": 0.5},
)
better = assess(listening)
print(better.verdict)

figure, ax = plt.subplots(figsize=(6, 3), layout="constrained")
for model, colour, label in (
    (collapsed, RED, "β = 1 from the start"),
    (listening, BLUE, "with the three remedies"),
):
    history = pd.DataFrame(read_history(model / "history.csv")).dropna(subset="train_kl")
    ax.plot(history["step"], history["train_kl"], color=colour, label=label)
ax.set(xlabel="step of the training", ylabel="KL, nats")
ax.legend(frameon=False)
plt.show()

# %% [markdown]
# **What to see:** red, the KL rises for a moment and is then pressed to zero, where it stays.
# Blue, z takes up information while that is cheap and keeps it. This model is no longer collapsed;
# it is *not yet trained*, as the verdict says: squeezing a whole molecule into one vector takes
# millions of molecules to learn.
#
# ## A space that is local
#
# molvae's own way is to give z some numbers for every few symbols (`window`) instead of one vector
# for all. Each number then has less to learn, and a small step changes a small part of a molecule.

# %%
LOCAL = {
    "embedding_dim": 32,
    "encoder_hidden": 64,
    "latent_dim": 0,
    "window": 2,
    "window_dim": 6,
    "decoder_hidden": 128,
}
local = train(
    "local",
    steps=450,
    rate=0.004,
    model={**LOCAL, "min_std": 0.1},
    schedule={"kl": "linear", "kl_rise": 0.5},
    objective={"kl_weight": 0.05},
)
well = assess(local)
print(well.verdict)
health_figure(well)

# %% [markdown]
# **What to see:** top left, the blue bars: most held-out molecules come back exactly, and symbols
# are guessed far better with the right z than with another's. Top middle: the KL is spread over
# most dimensions; a collapsed model has a flat line at zero here. Top right: as the step in z
# grows, the blue curve (unchanged molecules) falls, and the red one says how much the changed ones
# still resemble their parents. Bottom, the reservations of the verdict. Left: half-way between two
# molecules lies something that resembles neither. Middle: molecules from random z (red) are unlike
# the data (grey). A space that holds this much is mostly empty between its molecules; the
# shipped models learn besides to fill in what z leaves open (`model.forget`), and sample from
# there.

# %%
back = molvae.load(local).reconstruct(original)
MoleculeGrid([*original, *back], ["held out"] * 4 + ["what comes back"] * 4, width=180, height=120)

# %% [markdown]
# **What to see:** the same four molecules as above, which the model has never seen, and now they
# come back.
#
# ## What the KL is for
#
# If z is to say much, why let it cost anything? Here is the same network as an *autoencoder*: z is
# a point instead of a small cloud, and nothing else is asked of it. And as an *adversarial*
# autoencoder: a discriminator learns to tell the points from draws of a normal distribution, and
# the encoder learns to deceive it.


# %%
def come_back(model: Path) -> float:
    """The share of held-out molecules that the model gives back exactly."""
    back = molvae.load(model).reconstruct(held_out)
    return np.mean([a == b for a, b in zip(held_out, back, strict=True)])


def histogram(ax, written: dict, name: str, bins: np.ndarray) -> None:
    """A property of the held-out molecules, in grey, and of samples from up to four places."""
    ax.hist(compute(held_out, [name]), bins, density=True, color=GREY, label="data")
    for colour, (label, smiles) in zip((ORANGE, BLUE, GREEN, RED), written.items(), strict=False):
        outline = {"histtype": "step", "linewidth": 1.6, "color": colour, "label": label}
        ax.hist(compute(smiles, [name]), bins, density=True, **outline)
    ax.set(yticks=[])


def means(written: dict) -> pd.DataFrame:
    """Means of some properties, of the held-out molecules and of samples."""
    names = ["mw", "logp", "rings", "sa"]
    columns = {"data": held_out, **written}
    found = {label: compute(smiles, names).mean(0) for label, smiles in columns.items()}
    return pd.DataFrame(found, index=names).T.round(1)


def first_four(written: dict) -> tuple[list, list]:
    """Four samples from each place, and their captions."""
    samples = [one for smiles in written.values() for one in smiles[:4]]
    return samples, [label for label in written for _ in range(4)]


# %%
POINT = {**LOCAL, "bottleneck": {"kind": "deterministic"}}
plain = train("autoencoder", rate=0.007, model=POINT)
rival = train(
    "adversarial",
    rate=0.007,
    model={**POINT, "latent_discriminator": 64},
    objective={"latent_adversarial_weight": 5.0},
)
kinds = {"VAE, local": local, "autoencoder": plain, "adversarial": rival}
number = 30 if SMOKE else 200
written = {name: molvae.load(model).sample(number, seed=1) for name, model in kinds.items()}

figure, axes = plt.subplots(1, 3, figsize=(10, 2.8), layout="constrained", sharex=True)
bins = np.linspace(0, 450, 31)
for ax, (name, model) in zip(axes, kinds.items(), strict=True):
    ax.hist(compute(held_out, ["mw"]), bins, density=True, color=GREY, label="data")
    weights = compute(written[name], ["mw"])
    ax.hist(weights, bins, density=True, alpha=0.7, color=ORANGE, label="samples")
    ax.set(title=f"{name}: {come_back(model):.0%} come back", xlabel="molecular weight", yticks=[])
axes[0].legend(frameon=False)
plt.show()

# %% [markdown]
# **What to see:** the autoencoder gives molecules back, and what is drawn from random z (orange) is
# nothing like them: mostly fragments of a few atoms, for its points lie wherever they like. The KL,
# and the discriminator, draw them to where one draws from, so that samples are larger and more
# varied; they are not yet like the data either, see above.
#
# ## A discriminator of what is written
#
# The same game can be played at the other end, on what the model writes: in the spirit of a
# *VAE-GAN*. Symbols cannot be nudged a little, so the discriminator does not look at molecules; it
# looks at the *states* of the writer, the numbers from which it takes each symbol. It learns to
# tell the states on molecules of the data from those on what is written from random z, and the
# writer learns to make the two look alike. The local model learns on for a while, with such a
# discriminator and, to compare, without.

# %%
ON = {"steps": 60, "rate": 0.004, "start": local, "schedule": {"kl": "constant"}}
alone = train("alone", objective={"kl_weight": 0.05}, **ON)
judged = train(
    "judged",
    model={"decoder_discriminator": 64},
    objective={"kl_weight": 0.05, "decoder_adversarial_weight": 1.0},
    **ON,
)
kinds = {"without": alone, "with a discriminator": judged}
written = {name: molvae.load(model).sample(5 * number, seed=1) for name, model in kinds.items()}
for name, model in kinds.items():
    print(f"{name:20} {come_back(model):.0%} come back")

figure, axes = plt.subplots(1, 2, figsize=(10, 2.8), layout="constrained")
history = pd.DataFrame(read_history(judged / "history.csv"))
history = history.dropna(subset="train_decoder_discriminator")
axes[0].plot(history["step"], history["train_decoder_discriminator"], "o-", color=BLUE)
axes[0].axhline(2 * np.log(2), color=GREY, ls="--", label="cannot tell")
axes[0].set(xlabel="step", ylabel="nats", ylim=(0, 1.5), title="loss of the discriminator")
axes[0].legend(frameon=False, loc="lower left")
histogram(axes[1], written, "mw", bins)
axes[1].set(xlabel="molecular weight")
figure.legend(*axes[1].get_legend_handles_labels(), loc="outside right center", frameon=False)
plt.show()
means(written)

# %% [markdown]
# **What to see:** left, what the discriminator loses. It begins on the dashed line, where it cannot
# tell the two apart (1.39 nats), comes a little ahead and stays there, at some 1.2: neither side
# runs away from the other, and the training is stable. Right, and in the table, what the game
# brings: here, nothing that one could see. With and without it the model writes much the same
# fragments, and gives back as many molecules. A writer whose states look like those on data need
# not write molecules like the data. (At size it was no help either: the page "Variants of the
# model" of the documentation.)
#
# ## A space of codes
#
# There is another way to keep a space small. A *VQ-VAE* has a list of vectors, the *codebook*, here
# of 256. For every two symbols the writer sees the vector of the list that is nearest to z, a
# *code*, in place of z itself. So a molecule becomes a row of codes. There is no KL; what the codes
# stand for is learnt along with the rest. How a new row is drawn is learnt afterwards, by a second
# small network, the *prior over codes*: it reads the rows of the training molecules and learns
# which code follows which.

# %%
CODES = {**LOCAL, "bottleneck": {"kind": "vq", "codes": 256, "code_dim": 6, "decay": 0.9}}
coded = train("codes", steps=300, rate=0.007, model=CODES)
follow = PriorConfig(kind="codes", hidden=64)
taught = fit_prior(coded, RUNS / "codes-prior", follow, corpus, steps=12 if SMOKE else 200)
written = {
    "codes at random": molvae.load(coded).sample(number, seed=1),
    "codes from the prior": molvae.load(taught).sample(number, seed=1),
}

print(f"{come_back(coded):.0%} of the held-out molecules come back exactly")

figure, axes = plt.subplots(1, 2, figsize=(10, 2.8), layout="constrained")
history = pd.DataFrame(read_history(coded / "history.csv")).dropna(subset="train_perplexity")
axes[0].plot(history["step"], history["train_perplexity"], color=BLUE)
axes[0].set(xlabel="step of the training", title="codes in use (perplexity)", ylim=(0, 256))
histogram(axes[1], written, "mw", bins)
axes[1].set(xlabel="molecular weight")
figure.legend(loc="outside right center", frameon=False)
plt.show()

# %% [markdown]
# **What to see:** left, how many of the 256 codes are in use; the *perplexity* counts those that
# are seldom used for less. After some steps the model makes do with few of them. A code that
# nothing is near is then moved to where something is, and in the end more than a hundred are in
# use: enough for most of the held-out molecules to come back. Right, new molecules. Codes that are
# drawn at random (orange) make fragments; with the prior over codes (blue) some are as heavy as the
# data, though most are still too light.

# %%
MoleculeGrid(*first_four(written), width=180, height=120)

# %% [markdown]
# **What to see:** the first row, from random codes, is scraps of a few atoms. The second, from the
# prior, has larger molecules, chains first of all, and odd ones: the prior has learnt for some
# seconds, from fewer than 2,000 molecules.
#
# ## A prior that has seen the latents
#
# The same can be done where z is numbers. The model with β = 0.02 says much with z, but its
# molecules do not fill evenly the region from which new ones are drawn (the normal distribution,
# written N(0, I)). So look where they are, and draw from there; the model itself stays as it is.
# Three such priors are
#
# * a **mixture**: a few Gaussian clouds, here two, laid over the z of the training molecules;
# * a **VampPrior**: the very clouds that the encoder makes of 500 training molecules;
# * a **flow**: one Gaussian cloud, and a small network that learns to bend it into the shape that
#   the z have. It needs one more package: `pip install 'molvae[flows]'`.

# %%
start = RUNS / "beta-0.02"
two = PriorConfig(kind="mixture", components=2)
many = PriorConfig(kind="vamp", components=50 if SMOKE else 500)
bent = PriorConfig(kind="flow", transforms=2, hidden=16)
priors = {
    "N(0, I)": start,
    "mixture": fit_prior(start, RUNS / "mixture", two, corpus),
    "VampPrior": fit_prior(start, RUNS / "vamp", many, corpus),
    "flow": fit_prior(start, RUNS / "flow", bent, corpus, steps=6 if SMOKE else 150),
}
written = {name: molvae.load(model).sample(number, seed=1) for name, model in priors.items()}

figure, axes = plt.subplots(1, 2, figsize=(10, 2.8), layout="constrained")
histogram(axes[0], written, "mw", bins)
axes[0].set(xlabel="molecular weight")
histogram(axes[1], written, "logp", np.linspace(-4, 8, 31))
axes[1].set(xlabel="log P")
figure.legend(*axes[0].get_legend_handles_labels(), loc="outside right center", frameon=False)
plt.show()

for name in list(priors)[1:]:
    fitted = molvae.load(priors[name]).provenance["prior_fitted"]
    print(f"{name:10} {fitted['held_out_nats']:5.1f} nats for the z of a held-out molecule")
means(written)

# %% [markdown]
# **What to see:** from N(0, I) (orange) come mostly fragments. From any of the other priors (blue,
# green, red) come molecules about twice as heavy, and nearer to the data (grey) in log P and in
# their number of rings as well (the table of means). But they are hardly easier to make (`sa`: 1 is
# easy, 10 is hard). What is still missing is not a matter of where one draws: the VampPrior begins
# at the z of real molecules, and comes hardly nearer than the others. It is the writer, which after
# so little training does not give a molecule back from its z (see the table at the end).
#
# Nor does it matter much which of the three one takes. The printed nats say how surprised each is
# by the z of molecules that it was not fitted to (less is better), and they are close together. The
# flow can take on any shape, but it has 1,620 molecules to learn one from. That is why it is small
# here, and learns for a short while: a larger one soon learns so few by heart.

# %%
MoleculeGrid(*first_four(written), width=180, height=120)

# %% [markdown]
# **What to see:** the first row has molecules of one, two and four heavy atoms among its four; most
# of those in the other rows are larger, and odd.
#
# All this is `molvae models prior my-model --kind codes` (or `mixture`, `vamp`, `flow`) `--corpus
# my-corpus -o with-prior`. The last three need one z for the whole molecule, as here: where z has
# windows, a short molecule fills fewer of them than a long one. All the kinds of model and what
# each is good for, trained at size: the page "Variants of the model" of the documentation.
#
# ## The five side by side

# %%
table = {
    "β = 1": ill,
    "β = 0.2": sweep[0.2],
    "β = 0.02": sweep[0.02],
    "three remedies": better,
    "local": well,
}
print(f"{'':16}{'KL':>7}{'active':>10}{'own z':>8}{'other z':>9}{'exact':>7}  verdict")
for name, found in table.items():
    back, latent = found.reconstruction, found.latent
    print(
        f"{name:16}{latent.kl:7.1f}{latent.active_units:6} /{latent.dimensions:3}"
        f"{back.token_accuracy:7.0%}{back.token_accuracy_misplaced:9.0%}{back.exact:7.0%}"
        f"  {found.verdict.status}"
    )

# %% [markdown]
# For a model of yours the same is one line: `molvae health my-model -o health.png`. It tells in
# words whether a model is healthy, collapsing or not yet trained, and what to change first. The
# mathematics is in the documentation, on the page "The model and its mathematics".
