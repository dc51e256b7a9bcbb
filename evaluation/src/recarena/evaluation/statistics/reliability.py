"""Whether answers to a questionnaire measure anything: consistency, agreement, repeatability, and
what would give a judge away that agrees to everything or feels one thing about everything.

Rows are subjects (an explanation that was judged), columns what was asked of or by each: items,
wordings, repeats, judges. NaN is an answer that is missing; it is never filled in.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum

import numpy as np
from numpy.typing import ArrayLike, NDArray

from recarena.evaluation.statistics.worlds import NAN, check_confidence

Matrix = NDArray[np.float64]
FEWEST_PAIRS = 3
"""Fewest subjects with both scores for a correlation."""
ALIKE = "all answers are alike"


class Level(StrEnum):
    """What differences of two answers mean."""

    NOMINAL = "nominal"
    ORDINAL = "ordinal"
    INTERVAL = "interval"


@dataclass(frozen=True, slots=True)
class Reliability:
    """A coefficient of reliability with its confidence interval."""

    value: float
    """NaN where it is not defined; then `reason` says why."""
    low: float
    """NaN where there is no interval."""
    high: float
    subjects: int
    """That it was computed from."""
    columns: int
    """Items, wordings, repeats or judges."""
    confidence: float
    reason: str = ""


def cronbach(answers: ArrayLike, confidence: float = 0.95) -> Reliability:
    """Cronbach's alpha of answers[subject, item], items recoded so that more means more.

    alpha = k / (k - 1) (1 - sum of the items' variances / variance of their sum), variances with
    n - 1, over the subjects with all k answers. The interval is 1 - (1 - alpha) F, F the quantiles
    of F_{n-1, (n-1)(k-1)}; it takes subjects as independent. NaN with fewer than two such subjects
    or two items, and where the sum does not vary. It can be negative.

    Source: Cronbach (1951); Feldt (1965) for the interval.
    """
    check_confidence(confidence)
    given = _matrix(answers)
    whole = given[np.isfinite(given).all(axis=1)]
    subjects, items = whole.shape
    if subjects < 2 or items < 2:
        return _without("fewer than two items, or subjects with all answers", whole, confidence)
    alpha = alpha_of(whole)
    if math.isnan(alpha):
        return _without(ALIKE, whole, confidence)
    low_f, high_f = _f_ends(subjects - 1, (subjects - 1) * (items - 1), confidence)
    low, high = 1 - (1 - alpha) * high_f, 1 - (1 - alpha) * low_f
    return Reliability(alpha, low, high, subjects, items, confidence)


def alpha_of(whole: Matrix) -> float:
    """The number of `cronbach` alone, of answers without gaps, for who wants it many times."""
    subjects, items = whole.shape
    spread = _variance(whole.sum(axis=1)) if subjects > 1 and items > 1 else 0.0
    if not spread:
        return NAN
    return items / (items - 1) * (1 - float(whole.var(axis=0, ddof=1).sum()) / spread)


def krippendorff(answers: ArrayLike, level: Level = Level.INTERVAL) -> float:
    """Krippendorff's alpha of answers[unit, observer]: observers are judges, repeats, or both.

    alpha = 1 - D_o / D_e. D_o = sum_ck o_ck d_ck / n and D_e = sum_c!=k n_c n_k d_ck / (n (n - 1)),
    where o_ck sums over units, for each two of its m answers that are c and k, 1 / (m - 1); n_c is
    how often c was answered and n how often anything. d_ck is 1 for c != k (nominal), (c - k)^2
    (interval), or (n_c / 2 + n between + n_k / 2)^2 (ordinal). Units with fewer than two answers
    are left out, so that any number may be missing. NaN where no unit is left or no two answers
    differ. 1: all agree; 0: as by chance; below 0: worse.

    Source: Krippendorff (2011), Computing Krippendorff's alpha-reliability.
    """
    given = _matrix(answers)
    there = np.isfinite(given)
    given, there = given[there.sum(axis=1) > 1], there[there.sum(axis=1) > 1]
    if not len(given):
        return NAN
    values, codes = np.unique(given[there], return_inverse=True)
    unit = np.nonzero(there)[0]
    counts = np.zeros((len(given), len(values)))
    np.add.at(counts, (unit, codes), 1)
    weight = 1 / (counts.sum(axis=1) - 1)
    met = (counts * weight[:, None]).T @ counts
    met[np.diag_indices(len(values))] -= (counts * weight[:, None]).sum(axis=0)
    often = counts.sum(axis=0)
    total = often.sum()
    apart = _distances(values, often, level)
    expected = float(often @ apart @ often) / (total - 1)
    return 1 - float((met * apart).sum()) / expected if expected else NAN


def retest(answers: ArrayLike, confidence: float = 0.95) -> Reliability:
    """ICC(A,1) of answers[subject, occasion], such as scores in two wordings of the same items:
    the share of variance that is the subjects', of one occasion, where a shift between occasions
    counts against agreement.

    (MSR - MSE) / (MSR + (k - 1) MSE + k / n (MSC - MSE)), mean squares of the n x k two-way layout
    (rows, columns, error) over the subjects with all k answers; it is ICC(2,1) of Shrout and
    Fleiss. The interval, by F with Satterthwaite's degrees of freedom, takes subjects as
    independent; where occasions differ by much (their sd two thirds of the error's), one of 95 %
    holds the truth about 93 % of the time, by simulation. NaN with fewer than two such subjects or
    two occasions, and where all answers are alike. It can be negative, and then may have no
    interval.

    Source: McGraw and Wong (1996), tables 4 and 7; Shrout and Fleiss (1979).
    """
    check_confidence(confidence)
    given = _matrix(answers)
    whole = given[np.isfinite(given).all(axis=1)]
    n, k = whole.shape
    if n < 2 or k < 2:
        return _without("fewer than two occasions, or subjects with all answers", whole, confidence)
    rows, columns, error = _mean_squares(whole)
    icc = _absolute(rows, columns, error, n, k)
    if math.isnan(icc):
        reason = "subjects are too few" if error else ALIKE
        return _without(reason, whole, confidence)
    if not columns and not error:
        return Reliability(1.0, 1.0, 1.0, n, k, confidence)
    a = k * icc / (n * (1 - icc))
    b = 1 + k * icc * (n - 1) / (n * (1 - icc))
    spread = (a * columns) ** 2 / (k - 1) + (b * error) ** 2 / ((n - 1) * (k - 1))
    freedom = (a * columns + b * error) ** 2 / spread if spread else NAN
    if not math.isfinite(freedom) or freedom <= 0:
        return Reliability(icc, NAN, NAN, n, k, confidence, "the interval is not defined")
    _, up = _f_ends(n - 1, freedom, confidence)
    _, down = _f_ends(freedom, n - 1, confidence)
    shared = k * columns + (k * n - k - n) * error
    low = n * (rows - up * error) / (up * shared + n * rows)
    high = n * (down * rows - error) / (shared + n * down * rows)
    if not low <= icc <= high:
        # The approximation breaks down at negative estimates.
        return Reliability(icc, NAN, NAN, n, k, confidence, "the interval is not defined")
    return Reliability(icc, low, high, n, k, confidence)


def retest_of(whole: Matrix) -> float:
    """The number of `retest` alone, of answers without gaps, for who wants it many times."""
    n, k = whole.shape
    return _absolute(*_mean_squares(whole), n, k) if n > 1 and k > 1 else NAN


def _absolute(rows: float, columns: float, error: float, n: int, k: int) -> float:
    below = rows + (k - 1) * error + k / n * (columns - error)
    return (rows - error) / below if below else NAN


def consistency(answers: ArrayLike) -> float:
    """ICC(C,1) of answers[subject, occasion]: as `retest`, but a shift that all subjects share
    between occasions does not count. (MSR - MSE) / (MSR + (k - 1) MSE); ICC(3,1) of Shrout and
    Fleiss. NaN as there."""
    given = _matrix(answers)
    whole = given[np.isfinite(given).all(axis=1)]
    if min(whole.shape) < 2:
        return NAN
    rows, _, error = _mean_squares(whole)
    below = rows + (whole.shape[1] - 1) * error
    return (rows - error) / below if below else NAN


def correlations(scores: ArrayLike) -> Matrix:
    """[construct, construct]: Pearson's correlation of scores[subject, construct], each pair over
    the subjects that have both, without correction for unreliability.

    NaN with fewer than three of them and where one of the two does not vary; 1 on the diagonal. A
    judge that feels one thing about everything has correlations near 1. Subjects of one condition
    belong together: pooled over conditions, constructs correlate as the conditions differ.

    Source: Pearson (1895); pairwise deletion.
    """
    given = _matrix(scores)
    width = given.shape[1]
    found = np.full((width, width), NAN)
    for one in range(width):
        found[one, one] = 1.0
        for other in range(one):
            both = np.isfinite(given[:, one]) & np.isfinite(given[:, other])
            x, y = given[both, one], given[both, other]
            if len(x) < FEWEST_PAIRS or not _variance(x) or not _variance(y):
                continue
            x, y = x - x.mean(), y - y.mean()
            value = float((x * y).sum() / math.sqrt(float((x * x).sum()) * float((y * y).sum())))
            found[one, other] = found[other, one] = min(1.0, max(-1.0, value))
    return found


def acquiescence(answers: ArrayLike, reverse: Sequence[bool], midpoint: float) -> Matrix:
    """[subjects]: (mean F + mean R) / 2 - midpoint, of the answers to forward items F and to
    reversed items R as they were given, not recoded.

    0 for who agrees to either as much as it disagrees with the other; above 0 for who agrees to
    both. NaN for a subject without an answer of either kind. Its mean over users is
    `clustered.clustered_mean`. ValueError where an item has no direction.

    Source: Winkler, Kanouse and Ware (1982), on pairs of items that say opposite things.
    """
    given = _matrix(answers)
    turned = np.asarray(reverse, bool)
    if len(turned) != given.shape[1]:
        raise ValueError(f"each item has a direction: {given.shape[1]} items, {len(turned)}")
    return (_row_means(given[:, ~turned]) + _row_means(given[:, turned])) / 2 - midpoint


def _row_means(values: Matrix) -> Matrix:
    there = np.isfinite(values)
    counts = there.sum(axis=1)
    sums = np.where(there, values, 0.0).sum(axis=1)
    return np.where(counts > 0, sums / np.maximum(counts, 1), NAN)


def _mean_squares(values: Matrix) -> tuple[float, float, float]:
    """Of rows, columns and error in a two-way layout with one value a cell."""
    n, k = values.shape
    grand = values.mean()
    row, column = values.mean(axis=1), values.mean(axis=0)
    rest = values - row[:, None] - column[None, :] + grand
    squares = (
        k * float(((row - grand) ** 2).sum()) / (n - 1),
        n * float(((column - grand) ** 2).sum()) / (k - 1),
        float((rest**2).sum()) / ((n - 1) * (k - 1)),
    )
    # What rounding leaves of a sum of squares is 0.
    least = 1e-20 * float((values**2).sum())
    rows, columns, error = (one if one > least else 0.0 for one in squares)
    return rows, columns, error


def _distances(values: Matrix, often: Matrix, level: Level) -> Matrix:
    if level is Level.NOMINAL:
        return (values[:, None] != values[None, :]).astype(np.float64)
    if level is Level.INTERVAL:
        return (values[:, None] - values[None, :]) ** 2
    middle = np.cumsum(often) - often / 2
    return (middle[:, None] - middle[None, :]) ** 2


def _variance(values: Matrix) -> float:
    """With n - 1; exactly 0 where all values are equal."""
    return 0.0 if np.all(values == values[0]) else float(values.var(ddof=1))


def _f_ends(above: float, below: float, confidence: float) -> tuple[float, float]:
    """Quantiles of F with these degrees of freedom at (1 -+ confidence) / 2."""
    from scipy.special import fdtri

    tail = (1 - confidence) / 2
    return float(fdtri(above, below, tail)), float(fdtri(above, below, 1 - tail))


def _matrix(answers: ArrayLike) -> Matrix:
    given = np.asarray(answers, np.float64)
    if given.ndim != 2:
        raise ValueError(f"answers have rows and columns, not {given.ndim} axes")
    return given


def _without(reason: str, whole: Matrix, confidence: float) -> Reliability:
    return Reliability(NAN, NAN, NAN, len(whole), whole.shape[1], confidence, reason)
