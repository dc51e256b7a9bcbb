"""What is on the lists: how different, how unexpected, and how near to what a user has watched.

Only the recommender's own lists count. What was not shown has no content: users and lists without
items (failures among them) have no value here and are left out of the means.
"""

from __future__ import annotations

import numpy as np

from recarena.evaluation.metrics.figures import NAN, Doubles, figures, mean
from recarena.evaluation.runs.run_log import RunLog

CALIBRATION_ALPHA = 0.01
"""Share of p in the smoothed q: keeps the divergence finite."""


def intra_list_diversity(log: RunLog, arm: str | None = None) -> float:
    """How unlike the items of one list are: mean over lists of the mean over pairs, in 0..1.

    ILD = 2 / (k (k - 1)) sum_{i<j} (1 - sim_ij) over lists of k >= 2 items; sim_ij is the cosine
    of the genre vectors, |G_i and G_j| / sqrt(|G_i| |G_j|). An item without genres is like no
    other. NaN where the catalogue has no genres.
    Source: Ziegler et al. (2005); the mean over pairs as in Zhang and Hurley (2008).
    """
    return mean(list_diversities(log, arm)[1])


def list_diversities(log: RunLog, arm: str | None = None) -> tuple[Doubles, Doubles]:
    """For each list of two or more items, in the order of the log: its round, its ILD.

    With unit vectors v_i, sum_{i<j} v_i.v_j = (|sum v_i|^2 - sum |v_i|^2) / 2: no pair is formed.
    """
    f = figures(log, arm)
    starts = f.list_starts
    none = np.empty(0)
    if not log.genre_names or not len(starts):
        return none, none
    length = np.sqrt(np.maximum(log.genres.sum(axis=1, keepdims=True), 1))
    unit = (log.genres / length)[f.shown.item]
    total = np.add.reduceat(unit, starts, axis=0)
    own = np.add.reduceat((unit * unit).sum(axis=1), starts)
    k = np.diff(starts, append=len(unit))
    alike = ((total * total).sum(axis=1) - own) / 2
    several = k >= 2
    pairs = k[several] * (k[several] - 1) / 2
    unlike = np.clip(1 - alike[several] / pairs, 0, 1)  # rounding may pass either end
    return f.shown.round[starts][several].astype(np.float64), unlike


def novelty(log: RunLog, arm: str | None = None) -> float:
    """Mean over exposures of -log2 p_train(i), in bits: how little known what is shown was.

    p_train(i) = (c_i + 1) / (sum c + n) with c_i the watches of the item before the run and n the
    number of items: an item that nobody had watched counts as watched once.
    Source: Zhou et al. (2010), self-information; Vargas and Castells (2011).
    """
    f = figures(log, arm)
    if not len(f.shown):
        return NAN
    return float(np.average(-np.log2(log.p_train), weights=f.exposures))


def calibration_divergence(log: RunLog, arm: str | None = None) -> float:
    """How far what users are shown is from what they had watched: mean over users of a
    Kullback-Leibler divergence, in nats; 0 is calibrated.

    sum_g p(g|u) ln(p(g|u) / q~(g|u)), q~ = .99 q + .01 p. p(g|u): mean over the user's history of
    p(g|i), q(g|u): mean over the user's exposures; p(g|i) = 1 / |G_i| for each genre of the item.
    Each watch and each exposure counts once. Over users who have both, with genres; NaN where the
    world has no history or no genres. Source: Steck (2018).
    """
    f, past = figures(log, arm), log.history
    p = _normalised(f.genre_counts(past.user, past.item, f.users))
    q = _normalised(f.genre_counts(f.shown.user, f.shown.item, f.users))
    both = (p.sum(axis=1) > 0) & (q.sum(axis=1) > 0)
    p, q = p[both], q[both]
    smooth = (1 - CALIBRATION_ALPHA) * q + CALIBRATION_ALPHA * p
    with np.errstate(divide="ignore", invalid="ignore"):
        terms = np.where(p > 0, p * np.log(p / smooth), 0)
    return mean(np.maximum(terms.sum(axis=1), 0))


def genre_entropy(log: RunLog, arm: str | None = None) -> float:
    """How many genres a user is shown: mean over users of the entropy of q(g|u), in bits.

    -sum_g q(g|u) log2 q(g|u), q as in `calibration_divergence`. 0: one genre only; a fall over the
    rounds is an information cocoon. Source: Shannon (1948); as a measure of cocoons Wang et al.
    (2023), "User Behavior Simulation with Large Language Model based Agents".
    """
    f = figures(log, arm)
    entropy = entropies(f.genre_counts(f.shown.user, f.shown.item, f.users))
    return mean(entropy[~np.isnan(entropy)])


def entropies(counts: Doubles) -> Doubles:
    """[rows]: entropy in bits of each row of [rows, genres]; NaN for a row of zeros."""
    q = _normalised(counts)
    with np.errstate(divide="ignore", invalid="ignore"):
        terms = np.where(q > 0, -q * np.log2(q), 0)
    return np.where(q.sum(axis=1) > 0, terms.sum(axis=1), np.nan)


def _normalised(counts: Doubles) -> Doubles:
    """Each row divided by its sum; a row of zeros stays one."""
    total = counts.sum(axis=1, keepdims=True)
    return counts / np.where(total > 0, total, 1)
