"""What users do: whether they watch, how they like it, how far they page, whether they come back.

Denominators are what was logged, never pages times page size. A page without the recommender's own
list (late, rejected, failed, lost) is an empty page of the recommender: what a fallback showed
instead is not credited to it, and its users and visits stay in the denominators (intention to
treat; Hollis and Campbell 1999). A user-round that a person played is in no figure and in no
denominator, unless people were asked for. NaN: there was nothing to measure.
"""

from __future__ import annotations

import numpy as np

from recarena.evaluation.metrics.figures import NAN, Counts, Doubles, figures, mean, per_user, ratio
from recarena.evaluation.runs.events import Bools
from recarena.evaluation.runs.run_log import RunLog


def watch_rate(log: RunLog, arm: str | None = None) -> float:
    """Mean over users of watches / exposures, in 0..1. The usual primary metric.

    mean_u(w_u / e_u) over the users who were shown a page, empty or not; w_u / e_u is 0 for one
    to whom nothing of the recommender was ever shown. The mean of users, not of exposures, so
    that those who look at many pages do not count for more. (A click-through rate by user.)
    """
    f = figures(log, arm)
    asked = per_user(f.pages, f.users) > 0
    watched, shown = per_user(f.watches, f.users), per_user(f.shown, f.users)
    return mean(watched[asked] / np.maximum(shown[asked], 1))


def watches_per_user_round(log: RunLog, arm: str | None = None) -> float:
    """Watches / (users x committed rounds): also falls when users stay away."""
    f = figures(log, arm)
    return ratio(len(f.watches), int(f.lives.sum()))


def satisfaction(log: RunLog, arm: str | None = None) -> float:
    """Mean rating (1..5) after watching, over the watches that were rated.

    Only what users chose to watch is rated: read it beside the watch rate.
    """
    ratings = figures(log, arm).watches.value
    return mean(ratings[ratings > 0])


def exit_depth(log: RunLog, arm: str | None = None) -> float:
    """Pages of the recommender's own seen per visit: sum_t S(t) over the pages t up to the cap.

    The restricted mean of the number of pages (Irwin 1949; Royston and Parmar 2013): a visit that
    the step cap ended counts with its pages up to there, for what would have come after is not
    known. S is `depth_survival`. As long as all visits have an end it is pages / visits.
    """
    survival = depth_survival(log, arm)
    return float(survival.sum()) if len(figures(log, arm).visits.depth) else NAN


def depth_survival(log: RunLog, arm: str | None = None) -> Doubles:
    """[pages]: S(t) for t = 1, 2, ... up to the deepest visit, the share of visits that see at
    least t pages with the recommender's own list.

    A page that failed adds no depth. All visits end at the run's step cap at the latest, so that
    up to there nothing is hidden and S is the plain share. A visit whose end is not in the log
    (after its last page the user went on) is censored there, see `kaplan_meier`.
    """
    visits = figures(log, arm).visits
    return kaplan_meier(visits.depth, visits.cut)


def kaplan_meier(depth: Counts, cut: Bools) -> Doubles:
    """[deepest]: the chance S(t) to reach depth t = 1, 2, ..., from [visits] depths of which some
    were cut: those would have gone at least so deep.

    S(t) = prod_{s < t} (1 - d_s / n_s): n_s visits that reached s, d_s of them ended at s.
    Source: Kaplan and Meier (1958).
    """
    deepest = int(depth.max(initial=0))
    ended = np.bincount(depth[~cut], minlength=deepest + 1)[:deepest]
    reached = np.bincount(depth, minlength=deepest + 1)[::-1].cumsum()[::-1][:deepest]
    return np.cumprod(1 - ended / reached, dtype=np.float64)


def retention(log: RunLog, arm: str | None = None) -> float:
    """P(visit at t + 1 | visit at t): returns / visits that had a next round, in 0..1.

    Over all users and rounds but the last. Users who are not activated in a round stay away in
    it, for all recommenders alike.
    """
    there = visited(log, arm)
    might = there[:-1] & followed(log)
    return ratio(int((might & there[1:]).sum()), int(might.sum()))


def visited(log: RunLog, arm: str | None = None) -> Bools:
    """[rounds, users]: who opened the recommender when."""
    f = figures(log, arm)
    there = np.zeros((f.rounds, f.users), np.bool_)
    there[f.visits.round - 1, f.visits.user] = True
    return there


def followed(log: RunLog) -> Bools:
    """[rounds - 1, users]: of whose next round the figures know: no person played it."""
    known = np.ones((log.rounds, len(log.user_ids)), np.bool_)
    if not log.with_people:
        known[log.steering.round - 1, log.steering.user] = False
    return known[1:]


def searches_per_visit(log: RunLog, arm: str | None = None) -> float:
    """Searches / visits. Neither good nor bad in itself: shown, never ranked on."""
    f = figures(log, arm)
    return ratio(f.searches, len(f.visits.depth))


def search_after_page_rate(log: RunLog, arm: str | None = None) -> float:
    """Visits with a search after at least one page / visits, in 0..1; the page may have failed.
    Neither good nor bad in itself: shown, never ranked on."""
    return mean(figures(log, arm).visits.searched)
