"""All metrics by name, with what a reader has to know of each."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

from recarena.evaluation.metrics import exposure, lists, operations, users
from recarena.evaluation.runs.run_log import RunLog

Measure = Callable[[RunLog, str | None], float]
Better = Literal["higher", "lower", "neither"]
Kind = Literal["primary-able", "behaviour", "content", "operations"]
ALWAYS = "nothing of the kind happened"


@dataclass(frozen=True, slots=True)
class Metric:
    """A metric with the name it has in reports."""

    name: str
    heading: str
    """Short, for tables."""
    measure: Measure
    decimals: int
    better: Better
    """Which way is good; neither: it is shown, never ranked by."""
    kind: Kind
    """What it is about. Primary-able: of what users do, and more of it is what one wants, so that
    recommenders may be ranked by it."""
    unit: str
    meaning: str
    """One sentence for readers of a report."""
    missing: str = ALWAYS
    """Why there is no value, where there is none."""


def _user(measure: Measure, heading: str, decimals: int, unit: str, meaning: str) -> Metric:
    return Metric(
        measure.__name__, heading, measure, decimals, "higher", "primary-able", unit, meaning
    )


def _search(measure: Measure, heading: str, unit: str, meaning: str) -> Metric:
    return Metric(measure.__name__, heading, measure, 2, "neither", "behaviour", unit, meaning)


def _content(
    measure: Measure, heading: str, decimals: int, better: Better, unit: str, meaning: str,
    missing: str = "nothing was shown",
) -> Metric:  # fmt: skip
    return Metric(
        measure.__name__, heading, measure, decimals, better, "content", unit, meaning, missing
    )


def _operation(
    measure: Measure, heading: str, decimals: int, unit: str, meaning: str, missing: str = ALWAYS
) -> Metric:
    return Metric(
        measure.__name__, heading, measure, decimals, "lower", "operations", unit, meaning, missing
    )


NO_CAUSES = "the run folder is older than these counts, or nothing was asked"
NO_GENRES = "the catalogue has no genres, or nothing was shown"

METRICS: tuple[Metric, ...] = (
    _user(users.watch_rate, "watch rate", 3, "watches per exposure",
          "How many of the items shown to a user the user watches, as the mean over users."),
    _user(users.watches_per_user_round, "watches a round", 2, "watches per user and round",
          "How much is watched at all, also by users who stayed away."),
    _user(users.satisfaction, "rating", 2, "rating, 1 to 5",
          "How users rate what they watched; only what they chose to watch is rated."),
    _user(users.exit_depth, "pages a visit", 2, "pages per visit",
          "How many pages of the recommender users see in a visit before they leave, up to the "
          "cap."),
    _user(users.retention, "retention", 3, "share of visits",
          "How likely a user who visits comes back in the next round."),
    _search(users.searches_per_visit, "searches a visit", "searches per visit",
            "How often users search in a visit, for whatever reason."),
    _search(users.search_after_page_rate, "search after page", "share of visits",
            "How many visits have a search after at least one page."),
    _content(lists.intra_list_diversity, "diversity", 3, "higher", "mean distance, 0 to 1",
             "How different in genres the items of one list are.",
             "the catalogue has no genres, or no list has two items"),
    _content(lists.novelty, "novelty", 2, "neither", "bits",
             "How little known before the run the shown items were; a bit more is half as "
             "well known."),
    _content(lists.calibration_divergence, "miscalibration", 3, "lower", "nats",
             "How far the genres a user is shown are from those of the user's history; 0 is the "
             "same mix.",
             "the world has no history or no genres, or nothing was shown"),
    _content(lists.genre_entropy, "genre entropy", 2, "neither", "bits",
             "How many genres a user is shown; a fall over the rounds is an information cocoon.",
             NO_GENRES),
    _content(exposure.coverage, "coverage", 2, "higher", "share of the catalogue",
             "How much of the catalogue was shown to anybody.", "the catalogue is empty"),
    _content(exposure.gini, "Gini", 2, "lower", "0 to 1",
             "How unequally exposures are spread over the catalogue; 0 is equal, 1 is one item "
             "only."),
    _content(exposure.mean_popularity_rank, "mean pop. rank", 1, "neither", "rank, 1 most watched",
             "How far down the list of the most watched before the run the shown items stand."),
    _content(exposure.average_popularity, "mean popularity", 1, "neither", "watches before the run",
             "How often what a user is shown had been watched before the run."),
    _content(exposure.exposure_fairness, "exposure fairness", 3, "higher", "least / greatest",
             "Whether the feed shows groups of items as much as they merit; 1 is fair.",
             "the world has no planted groups, or nothing was shown"),
    _operation(operations.latency_p50_ms, "p50 ms", 0, "ms", "Half of the answers took longer."),
    _operation(operations.latency_p95_ms, "p95 ms", 0, "ms", "One answer in 20 took longer."),
    _operation(operations.latency_p99_ms, "p99 ms", 0, "ms", "One answer in 100 took longer."),
    _operation(operations.unusable_rate, "unusable", 4, "share of pages",
               "How many pages had no list of the recommender's own, for any of the reasons that "
               "follow."),
    _operation(operations.late_rate, "late", 4, "share of pages",
               "How many lists did not come in time."),
    _operation(operations.rejected_rate, "rejected", 4, "share of pages",
               "How many lists were refused as invalid."),
    _operation(operations.failed_rate, "failed", 4, "share of pages",
               "For how many pages the recommender reported a failure or gave no list."),
    _operation(operations.lost_rate, "lost", 4, "share of pages",
               "How many lists were lost because the recommender was gone."),
    _operation(operations.violations_per_list, "violations a list", 4, "per list asked for",
               "How much was wrong with lists that were shown all the same."),
    _operation(operations.unknown_per_list, "unknown a list", 4, "items per list asked for",
               "How many items on a list do not exist in the catalogue.", NO_CAUSES),
    _operation(operations.duplicate_per_list, "repeated a list", 4, "items per list asked for",
               "How many items on a list stood on it before.", NO_CAUSES),
    _operation(operations.excluded_per_list, "not allowed a list", 4, "items per list asked for",
               "How many items on a list were not allowed there.", NO_CAUSES),
    _operation(operations.short_rate, "short", 4, "share of lists asked for",
               "How many lists had too few items.", NO_CAUSES),
)  # fmt: skip
PRIMARY = METRICS[0]
"""What recommenders are ranked by unless a competition says otherwise."""


def measure_all(log: RunLog, arm: str | None = None) -> dict[str, float]:
    """Every metric of METRICS, by name; the log keeps them, so that they are measured once."""
    key = ("measured", arm)
    if key not in log.kept:
        log.kept[key] = {metric.name: metric.measure(log, arm) for metric in METRICS}
        log.shared.clear()
    return dict(log.kept[key])
