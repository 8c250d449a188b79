"""The KL weight's four schedules as a figure, for the documentation.

python scripts/schedule_figure.py -o docs/images/schedules.png
"""

from __future__ import annotations

import argparse

import numpy as np
from matplotlib.figure import Figure

from molvae.plots import BLUE, GREY, save_figure
from molvae.training.schedules import ScheduleConfig, kl_weight, learning_rate

SHOWN = (
    ScheduleConfig(kl="constant"),
    ScheduleConfig(kl="linear", kl_rise=0.5, kl_delay=0.1),
    ScheduleConfig(kl="sigmoid", kl_rise=0.5, kl_delay=0.1),
    ScheduleConfig(kl="cyclical", kl_rise=0.5, kl_delay=0.1),
)
STEPS = 1000


def schedules_figure() -> Figure:
    """A panel for each way in which the KL weight rises, and one of the learning rate."""
    run = np.arange(STEPS + 1) / STEPS
    figure = Figure(figsize=(12, 2.4), layout="constrained")
    *panels, last = figure.subplots(1, len(SHOWN) + 1)
    for ax, schedule in zip(panels, SHOWN, strict=True):
        ax.plot(run, [kl_weight(schedule, 1.0, t) for t in run], color=BLUE)
        ax.axvline(schedule.kl_delay, color=GREY, linestyle=":")
        ax.set(title=schedule.kl, xlabel="t, part of the run", ylim=(-0.05, 1.05))
    panels[0].set(ylabel="KL weight / target")
    rates = [learning_rate(SHOWN[0], 1.0, step, step / STEPS) for step in range(STEPS + 1)]
    last.plot(run, rates, color=BLUE)
    last.set(title="learning rate / peak", xlabel="t, part of the run", ylim=(-0.05, 1.05))
    return figure


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("-o", "--output", default="docs/images/schedules.png")
    save_figure(schedules_figure(), parser.parse_args().output, dpi=110)


if __name__ == "__main__":
    main()
