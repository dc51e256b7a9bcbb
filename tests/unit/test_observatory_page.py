"""What the page works out by itself, asked of its modules."""

from __future__ import annotations

import json
import shutil
import subprocess
from typing import Any

import pytest

from recarena.observatory.app import STATIC

NODE = shutil.which("node")
pytestmark = pytest.mark.skipif(not NODE, reason="node is not here to run the page's modules with")


def asked(module: str, name: str, *given: Any, last: str = "") -> Any:
    """What a function of a module returns; `last`: a last argument, as a script has it."""
    assert NODE is not None
    arguments = [json.dumps(one) for one in given] + ([last] if last else [])
    script = (
        f"const {{ {name} }} = await import({json.dumps((STATIC / 'js' / module).as_uri())});"
        f"console.log(JSON.stringify({name}({', '.join(arguments)})));"
    )
    words = [NODE, "--input-type=module", "--eval", script]
    ended = subprocess.run(words, capture_output=True, text=True, timeout=30, check=False)
    assert ended.returncode == 0, ended.stderr
    return json.loads(ended.stdout)


def arm(name: str, rank: int, **values: float | None) -> dict[str, Any]:
    return {
        "arm_id": name, "rank": rank,
        "metrics": {metric: {"value": value} for metric, value in values.items()},
    }  # fmt: skip


ARMS = [
    arm("a", 2, rate=0.2, unusable=0.1),
    arm("b", 1, rate=0.4, unusable=0.3),
    arm("c", 0, rate=None, unusable=None),
    arm("d", 1, rate=0.5, unusable=0.2),
    arm("e", 1, rate=0.5, unusable=0.0),
]


@pytest.mark.parametrize(
    ("metric", "better", "ranked", "order"),
    [
        ("rate", "higher", True, "debac"),
        ("unusable", "lower", False, "eadbc"),
        ("unusable", "", False, "bdaec"),
        ("nothing", "higher", False, "abcde"),
    ],
)
def test_arms_of_a_rank_stand_in_the_order_of_their_values(metric, better, ranked, order):
    shown = asked("arms/axis.js", "byRank", ARMS, {"name": metric, "better": better}, ranked)
    assert "".join(one["arm_id"] for one in shown) == order


@pytest.mark.parametrize(
    ("name", "n", "said"),
    [("violations", 1, "violation"), ("violations", 2, "violations"), ("late", 1, "late")],
)
def test_one_fault_is_called_one(name, n, said):
    assert asked("arms/axis.js", "faultWords", name, n) == said


EVENTS: list[dict[str, Any]] = [
    {"type": "page", "outcome": "late", "undecided": False},
    {"type": "page", "outcome": "violations", "undecided": False},
    {"type": "leave", "outcome": "", "undecided": True},
    {"type": "watch", "outcome": "", "undecided": False},
]


def test_a_bundle_tells_the_same_errors_as_a_server():
    filters = {"actions": [], "errors": True}
    found = asked("events/sift.js", "sift", EVENTS, filters, 0, last="() => ''")
    assert found["events"] == [EVENTS[0], EVENTS[2]]
