"""Bradley-Terry strengths from who was better in which world: a display that does not depend on the
scale of the metric, nor on the order of the worlds."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from recarena.evaluation.statistics.worlds import NAN, Interval, check_confidence, t_quantile

Matrix = NDArray[np.float64]
STEPS = 100
CLOSE = 1e-10
"""Newton's method ends where no strength moves by more."""


@dataclass(frozen=True, slots=True)
class Strength:
    """How strong one recommender is among those compared."""

    interval: Interval
    """Log strength: P(i better than j) = 1 / (1 + exp(s_j - s_i)); the mean over all is 0. Its
    ends are NaN, and `reason` says why, with fewer than two worlds."""
    wins: float
    """Comparisons won, ties counting one half."""
    comparisons: int


def bradley_terry(values: Matrix, confidence: float = 0.95) -> list[Strength]:
    """A strength for each recommender from values[i, w], higher being better.

    In each world each pair that both have a value there is one comparison; a tie counts as half a
    win each. Strengths maximise the likelihood under mean 0. Every pair that met is given one
    more tie that nobody played: so that a recommender that always won has a finite strength.

    The interval is s +- t_{W-1} se. Comparisons of one world are not independent, so se is the
    larger of two: from the sandwich over worlds, W / (W - 1) A B A with B = sum_w g_w g_w' of the
    worlds' scores and A the pseudo-inverse of the information, and from A alone (where a
    recommender always wins, worlds do not vary and the sandwich says 0). Strengths are those of
    the most recommenders that chains of comparisons join, their mean being 0; the others' cannot
    be compared with them and are NaN, and all are where two such groups are equally large.

    Source: Bradley and Terry (1952); Hunter (2004) for existence; Davidson (1970) on ties;
    Liang and Zeger (1986) for the sandwich.
    """
    check_confidence(confidence)
    every = wins_by_world(values).sum(axis=0)
    joined = _joined(every)
    wins = wins_by_world(values[joined])
    met = wins + wins.transpose(0, 2, 1)
    total, worlds = wins.sum(axis=0), int((met.sum(axis=(1, 2)) > 0).sum())
    prior = 0.5 * (met.sum(axis=0) > 0)
    strengths = _fitted(total + prior) if joined.any() else np.zeros(0)
    ends = _half_widths(wins, strengths, total + prior, worlds, confidence)
    reason = "" if worlds > 1 else "one world has no interval"
    fitted = iter([
        Interval(float(s), float(s - e), float(s + e), worlds, confidence, reason)
        for s, e in zip(strengths, ends, strict=True)
    ])  # fmt: skip
    apart = "no chain of common worlds joins it to the others"
    none = Interval(NAN, NAN, NAN, 0, confidence, apart)
    count = np.rint((every + every.T).sum(axis=1)).astype(int)
    return [
        Strength(next(fitted) if one else none, float(won), int(n))
        for one, won, n in zip(joined, every.sum(axis=1), count, strict=True)
    ]


def wins_by_world(values: Matrix) -> Matrix:
    """[worlds, i, j]: 1 where i was better than j in the world, 1/2 where equal, 0 where worse or
    where one of them has no value."""
    by_world = values.T
    one, other = by_world[:, :, None], by_world[:, None, :]
    wins = np.where(one > other, 1.0, np.where(one == other, 0.5, 0.0))
    wins[:, np.eye(values.shape[0], dtype=bool)] = 0
    return wins


def expected(strengths: Sequence[float] | NDArray[np.float64]) -> Matrix:
    """[i, j]: the chance that i is better than j."""
    s = np.asarray(strengths, np.float64)
    return 1 / (1 + np.exp(s[None, :] - s[:, None]))


def _fitted(wins: Matrix) -> NDArray[np.float64]:
    """The strengths that maximise sum_ij wins_ij log P(i better than j), by Newton's method; the
    likelihood is concave, and a step that overshoots is halved."""
    played = wins + wins.T
    strengths = np.zeros(len(wins))
    for _ in range(STEPS):
        score = (wins - played * expected(strengths)).sum(axis=1)
        step = np.linalg.pinv(_information(played, strengths), hermitian=True) @ score
        before = _likelihood(wins, strengths)
        while _likelihood(wins, strengths + step) < before - 1e-12 and np.abs(step).max() > CLOSE:
            step = step / 2
        strengths = strengths + step
        if np.abs(step).max() <= CLOSE:
            break
    return strengths - strengths.mean()


def _half_widths(
    wins: Matrix, strengths: NDArray[np.float64], with_prior: Matrix, worlds: int, confidence: float
) -> NDArray[np.float64]:
    if worlds < 2:
        return np.full(len(strengths), NAN)
    bread = np.linalg.pinv(_information(with_prior + with_prior.T, strengths), hermitian=True)
    met = wins + wins.transpose(0, 2, 1)
    scores = (wins - met * expected(strengths)).sum(axis=2)
    scores = scores[met.sum(axis=(1, 2)) > 0]
    scores = scores - scores.mean(axis=0)
    sandwich = bread @ (scores.T @ scores) @ bread * (worlds / (worlds - 1))
    variance = np.maximum(np.diag(sandwich), np.diag(bread))
    return t_quantile(worlds - 1, (1 + confidence) / 2) * np.sqrt(variance)


def _information(played: Matrix, strengths: NDArray[np.float64]) -> Matrix:
    """Minus the second derivative of the log likelihood; its rows sum to 0."""
    chance = expected(strengths)
    weight = played * chance * chance.T
    return np.diag(weight.sum(axis=1)) - weight


def _likelihood(wins: Matrix, strengths: NDArray[np.float64]) -> float:
    lead = strengths[:, None] - strengths[None, :]
    return float(-(wins * np.logaddexp(0, -lead)).sum())


def _joined(wins: Matrix) -> NDArray[np.bool_]:
    """[recommenders]: the largest group that chains of comparisons join; nobody where two are
    equally large."""
    met = (wins + wins.T > 0) | np.eye(len(wins), dtype=bool)
    for _ in range(len(met)):
        met = met @ met
    sizes = met.sum(axis=1)
    largest = sizes == sizes.max(initial=0)
    return largest if largest.sum() == sizes.max(initial=0) else np.zeros(len(wins), bool)
