"""The believability card as a file: `card.json`, a JSON object.

```text
format, format_version   "recarena-believability-card", 1
made        {seed, slates, repeats, code_version}
mind        {kind, is_llm, name, note, settings}     name: "choice", "anthropic:MODEL"
data        {world, name, source, layout, users, items, history, later, measured, at_least,
             min_history}                            measured: users with held-out items
verdict     {passed, sentence, gates: [gate], losses: [text], alarms: [text]}
            gate: {id, name, passed, value: interval, limit, text}
            passed: null where it could not be judged (then the verdict is false); losses: baselines
            that the mind loses to at 1:1, to be shown in red
discrimination  [{ratio, negatives, slates, users, left_out, answers: {who: measures}}]
            ratio: negatives for each held-out item; negatives: "uniform" or "matched"
            who: "mind", "random", "popularity", "item-mean", "shuffled-persona"
            measures: {auc, accuracy, precision, recall, f1, lift, true_found, selected: interval}
            ("shuffled-persona" on matched negatives only, beside "mind-on-the-same")
margins     [{ratio, negatives, against, auc: interval}]      mind minus a baseline, user by user
yes_bias    {shares: [{ratio, truth, selected: interval}], excess: interval, change: interval}
position    {places: [{place, selected, shown}], slope: interval, top_to_bottom: interval}
ratings     {ratings, users, coverage, mind: {mae, rmse, wasserstein, sd_ratio, bias: interval},
             constant, user-mean, item-mean: {mae, rmse}, skill: {constant, user-mean, item-mean:
             interval}, shares: {people: {rating: share}, mind: {rating: share}}}
cocoon      {recommender, control, worlds, rounds, shown, watched: {personalised, random,
             difference: interval, entropy: {personalised: [nats a round or block], random}}}
conformity  {how, slope: interval, shift, pairs}
contamination  [{titles, ratio, negatives, users, accuracy, auc, difference, auc_difference:
            interval}]                              titles: "plain", "numbers", "ids"
notes       [text]
```

An interval is `{mean, low, high, n, unit}`: 95 %, over `n` units (users or worlds); `low` and
`high` are null where there is no interval. A study that was not made is null, and a note says why.
What could not be measured is null, never 0.
"""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeAlias, cast

import numpy as np
from numpy.typing import NDArray

FORMAT = "recarena-believability-card"
FORMAT_VERSION = 1
FILE = "card.json"

Card: TypeAlias = Mapping[str, Any]
"""What is in the file, as above."""


class BadCard(Exception):
    """A file is no card that this release reads; the text is one line with the remedy."""


@dataclass(frozen=True, slots=True)
class Interval:
    """A mean with its 95 % interval."""

    mean: float
    low: float
    high: float
    n: int
    unit: str = "user"

    def as_json(self) -> dict[str, Any]:
        """NaN becomes null."""
        return {
            "mean": _number(self.mean), "low": _number(self.low), "high": _number(self.high),
            "n": self.n, "unit": self.unit,
        }  # fmt: skip


def interval(values: NDArray[np.floating], unit: str = "user") -> Interval:
    """Mean of the values that are there, with mean ± t_{n-1} sd / sqrt(n) (Student, 1908): one
    value a unit, the units independent of one another. NaN: not measured, left out."""
    from scipy.stats import t

    there = values[~np.isnan(values)]
    n = len(there)
    if not n:
        return Interval(math.nan, math.nan, math.nan, 0, unit)
    mean = float(there.mean())
    if n == 1:
        return Interval(mean, math.nan, math.nan, n, unit)
    half = float(t.ppf(0.975, n - 1) * there.std(ddof=1) / math.sqrt(n))
    return Interval(mean, mean - half, mean + half, n, unit)


def ratio_interval(
    above: NDArray[np.floating], below: NDArray[np.floating], unit: str = "user"
) -> Interval:
    """sum(above) / sum(below) with the interval of its linearisation: the units' residuals
    above - ratio * below, over the mean of below (Cochran, Sampling Techniques, 1977, ch. 6)."""
    there = ~np.isnan(above) & ~np.isnan(below)
    above, below = above[there], below[there]
    total = float(below.sum())
    if not total:
        return Interval(math.nan, math.nan, math.nan, len(below), unit)
    ratio = float(above.sum()) / total
    rest = interval((above - ratio * below) / below.mean(), unit)
    return Interval(ratio, ratio + rest.low, ratio + rest.high, len(below), unit)


def write_card(card: Card, path: Path) -> None:
    """Writes it, the same bytes for the same card."""
    text = json.dumps(_plain(card), indent=1, ensure_ascii=False, allow_nan=False)
    path.write_text(text + "\n", "utf-8")


def read_card(path: Path) -> Card:
    """The card in a file, or in the folder of `recarena believe`. BadCard where it is none."""
    if path.is_dir():
        path = path / FILE
    remedy = "Make one: recarena believe WORLD --out FOLDER"
    try:
        card = json.loads(path.read_text("utf-8"))
    except FileNotFoundError:
        raise BadCard(f"there is no file {path}. {remedy}") from None
    except (OSError, ValueError) as error:
        raise BadCard(f"{path} cannot be read ({error}). {remedy}") from None
    if not isinstance(card, dict) or cast("dict[str, Any]", card).get("format") != FORMAT:
        raise BadCard(f"{path} is no believability card. {remedy}")
    found = cast("dict[str, Any]", card)
    version = found.get("format_version")
    if not isinstance(version, int) or version > FORMAT_VERSION:
        raise BadCard(
            f"{path} has version {version}, this release reads up to {FORMAT_VERSION}. "
            "Update RecArena"
        )
    return found


def _number(value: float) -> float | None:
    return None if math.isnan(value) else value


def _plain(value: Any) -> Any:
    """Intervals as objects, NaN as null, numbers of numpy as Python's."""
    if isinstance(value, Interval):
        return _plain(value.as_json())
    if isinstance(value, Mapping):
        inside = cast("Mapping[Any, Any]", value)
        return {str(name): _plain(one) for name, one in inside.items()}
    if isinstance(value, list | tuple):
        return [_plain(one) for one in cast("list[Any]", value)]
    if isinstance(value, np.generic):
        return _plain(value.item())
    if isinstance(value, float):
        return None if not math.isfinite(value) else round(value, 6)
    return value
