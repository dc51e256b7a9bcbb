"""All metrics under one name; they live in users, lists, exposure, operations and registry."""

from recarena.evaluation.metrics.exposure import coverage, gini, mean_popularity_rank
from recarena.evaluation.metrics.operations import (
    failed_rate,
    late_rate,
    latency_p50_ms,
    latency_p95_ms,
    latency_p99_ms,
    lost_rate,
    rejected_rate,
    unusable_rate,
    violations_per_list,
)
from recarena.evaluation.metrics.registry import METRICS, PRIMARY, Metric, measure_all
from recarena.evaluation.metrics.users import (
    exit_depth,
    satisfaction,
    searches_per_visit,
    watch_rate,
    watches_per_user_round,
)

__all__ = [
    "METRICS", "PRIMARY", "Metric", "coverage", "exit_depth", "failed_rate", "gini", "late_rate",
    "latency_p50_ms", "latency_p95_ms", "latency_p99_ms", "lost_rate", "mean_popularity_rank",
    "measure_all", "rejected_rate", "satisfaction", "searches_per_visit", "unusable_rate",
    "violations_per_list", "watch_rate", "watches_per_user_round",
]  # fmt: skip
