"""Schedules: known values at known places, and no memory between steps."""

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from molvae.base.errors import ConfigError
from molvae.training.schedules import ScheduleConfig, kl_weight, learning_rate

KINDS = ["constant", "linear", "sigmoid", "cyclical"]


def test_constant_is_the_target_from_the_first_step():
    schedule = ScheduleConfig(kl="constant")
    assert [kl_weight(schedule, 0.3, t) for t in (0.0, 0.5, 1.0)] == [0.3, 0.3, 0.3]


@pytest.mark.parametrize(("fraction", "weight"), [(0, 0), (0.1, 0), (0.2, 0.5), (0.3, 1), (0.9, 1)])
def test_linear_waits_rises_and_stays(fraction, weight):
    schedule = ScheduleConfig(kl="linear", kl_rise=0.2, kl_delay=0.1)
    assert kl_weight(schedule, 1.0, fraction) == pytest.approx(weight)


def test_sigmoid_starts_at_zero_is_half_way_in_the_middle_and_ends_at_the_target():
    schedule = ScheduleConfig(kl="sigmoid", kl_rise=0.5)
    assert kl_weight(schedule, 2.0, 0.0) == 0
    assert kl_weight(schedule, 2.0, 0.25) == pytest.approx(1.0)
    assert kl_weight(schedule, 2.0, 0.125) == pytest.approx(
        2 * (1 / (1 + math.exp(3)) - 1 / (1 + math.exp(6))) / (1 - 2 / (1 + math.exp(6)))
    )
    assert kl_weight(schedule, 2.0, 0.5) == pytest.approx(2.0)


def test_cyclical_returns_to_zero_at_each_cycle_and_ends_at_the_target():
    schedule = ScheduleConfig(kl="cyclical", kl_rise=0.5, kl_cycles=4)
    places = [0, 0.0625, 0.125, 0.2, 0.25, 0.375, 0.5, 1.0]
    assert [kl_weight(schedule, 1.0, t) for t in places] == [0, 0.5, 1, 1, 0, 1, 0, 1]


@given(
    kind=st.sampled_from(KINDS),
    weight=st.floats(0, 10),
    rise=st.floats(0.01, 1),
    delay=st.floats(0, 0.9),
    fraction=st.floats(0, 1),
)
def test_every_schedule_stays_between_zero_and_its_target(kind, weight, rise, delay, fraction):
    schedule = ScheduleConfig(kl=kind, kl_rise=rise, kl_delay=delay)
    assert 0 <= kl_weight(schedule, weight, fraction) <= weight


@given(kind=st.sampled_from(["linear", "sigmoid"]), a=st.floats(0, 1), b=st.floats(0, 1))
def test_annealing_never_falls(kind, a, b):
    schedule = ScheduleConfig(kl=kind, kl_rise=0.7, kl_delay=0.1)
    low, high = sorted((a, b))
    assert kl_weight(schedule, 1.0, low) <= kl_weight(schedule, 1.0, high)


def test_learning_rate_warms_up_by_steps_and_decays_to_its_final_fraction():
    schedule = ScheduleConfig(warmup_steps=4, decay="cosine", final_rate=0.1)
    assert [learning_rate(schedule, 1.0, s, 0.0) for s in range(5)] == [0.25, 0.5, 0.75, 1, 1]
    assert learning_rate(schedule, 1.0, 100, 0.5) == pytest.approx(0.55)
    assert learning_rate(schedule, 1.0, 200, 1.0) == pytest.approx(0.1)


def test_learning_rate_without_warm_up_or_decay_is_constant():
    schedule = ScheduleConfig(warmup_steps=0, decay="constant")
    assert {learning_rate(schedule, 0.02, s, s / 9) for s in range(10)} == {0.02}


@pytest.mark.parametrize(
    "values", [{"kl_rise": 0}, {"final_rate": -1}, {"kl": "stair"}, {"kl_cycles": 0}]
)
def test_schedules_refuse_what_makes_no_sense(values):
    with pytest.raises(ConfigError, match=next(iter(values))):
        ScheduleConfig.parse(values)
