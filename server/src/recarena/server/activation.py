"""Who wakes up in a round, before anybody decides anything."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

import numpy as np

from recarena.server.randomness import Purpose, keys, uniform
from recarena.server.types import Floats, Ints


class ActivationPolicy(StrEnum):
    """How users are chosen for a round."""

    ALL = "all"
    """Everybody."""
    BERNOULLI = "bernoulli"
    """Each with probability `rate`."""
    PARETO = "pareto"
    """Each with a rate of its own, fixed for the run: Pareto with exponent `shape`, scaled so that
    the mean is about `rate`, at most 1. Few are on all the time, most rarely."""
    MARGINAL = "marginal"
    """1 - (1 - rate)^(1 + gap): the longer a user was away, the likelier."""


@dataclass(frozen=True, slots=True)
class Activation:
    """A policy and what it needs."""

    policy: ActivationPolicy = ActivationPolicy.ALL
    rate: float = 0.5
    shape: float = 1.5


def activate(activation: Activation, seed: int, round: int, gap: Ints) -> Ints:
    """Numbers of the active users, ascending. `gap`: rounds since each user was last active."""
    policy, rate, shape = activation.policy, activation.rate, activation.shape
    everybody = np.arange(len(gap), dtype=np.int32)
    if policy is ActivationPolicy.ALL:
        return everybody
    chance: Floats | np.float32
    if policy is ActivationPolicy.PARETO:
        own = uniform(keys(seed, Purpose.ACTIVATION_RATE, 0, everybody)) ** np.float32(-1 / shape)
        mean = shape / (shape - 1) if shape > 1 else float(own.mean(dtype=np.float64))
        chance = np.minimum(own * np.float32(rate / mean), np.float32(1))
    elif policy is ActivationPolicy.MARGINAL:
        chance = 1 - np.float32(1 - rate) ** (1 + gap).astype(np.float32)
    else:
        chance = np.float32(rate)
    return everybody[uniform(keys(seed, Purpose.ACTIVATE, round, everybody)) < chance]
