"""Pictures of the observatory: `make observatory-screenshot` makes the one in the README,

    .venv/bin/python docs/observatory_pictures.py --all FOLDER

one of each screen at desktop and phone width in both themes, to be looked at. The run is a real
one of a few reference recommenders, the same each time."""

from __future__ import annotations

import argparse
import base64
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

import grpc
from playwright.sync_api import sync_playwright

ROOT = Path(__file__).parents[1]
sys.path.insert(0, str(ROOT / "tests"))

from recarena.v1 import run_pb2, steering_pb2  # noqa: E402
from recarena.v1 import simulation_control_service_pb2 as control_pb  # noqa: E402
from recarena.v1 import simulation_steering_service_pb2 as steering  # noqa: E402
from recarena.v1.simulation_control_service_pb2_grpc import (  # noqa: E402
    SimulationControlServiceStub,
)
from recarena.v1.simulation_steering_service_pb2_grpc import (  # noqa: E402
    SimulationSteeringServiceStub,
)
from support.observatory.looking import (  # noqa: E402
    CHROMIUM,
    PHONE,
    THEMES,
    WIDE,
    flags,
    looked_at,
    wait_round,
)
from support.observatory.programs import (  # noqa: E402
    RECOMMENDER,
    Site,
    observatory,
    program,
    server,
)

PICTURE = ROOT / "docs" / "images" / "observatory.webp"
MOST_BYTES = 300_000
RECOMMENDERS = ("popular", "item-knn", "content")
USERS, ROUNDS, SHOWN = 200, 200, 60
EDITED_AFTER = 40
SCREENS = {
    "runs": "/", "stage": "/run/demo", "user": "/run/demo?u=u000007", "list": "/run/demo?view=list",
    "replay": "/run/demo?at=20", "person": "/run/demo/u/u000007", "arms": "/run/demo/arms",
    "events": "/run/demo/events", "audit": "/run/demo/events?tab=audit",
    "play": "/run/demo/play/u000007", "become": "/run/demo/play/u000008",
}  # fmt: skip


def main() -> int:
    """Makes what is asked for."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--all", type=Path, metavar="FOLDER", help="every screen, into this folder")
    parser.add_argument("--out", type=Path, default=PICTURE, help="where the README's goes")
    given = parser.parse_args()
    with played() as (site, control, steer), sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=flags())
        if given.all:
            given.all.mkdir(parents=True, exist_ok=True)
            take_over(steer)
            every(browser, site, given.all)
        else:
            one(browser, site, control, given.out)
        browser.close()
    return 0


def one(browser: Any, site: Site, control: Any, out: Path) -> None:
    """The stage while a round comes in: faces, and words on their way."""
    out.parent.mkdir(parents=True, exist_ok=True)
    with looked_at(browser, site, SCREENS["stage"], height=760) as page:
        wait_round(page, SHOWN)
        page.locator("canvas").first.wait_for()
        page.wait_for_load_state("networkidle")
        control.StepRun(control_pb.StepRunRequest(run_id="demo", rounds=3))
        wait_round(page, SHOWN + 3)
        page.wait_for_timeout(700)  # words are under way
        session = page.context.new_cdp_session(page)
        taken = session.send("Page.captureScreenshot", {"format": "webp", "quality": 88})
        out.write_bytes(base64.b64decode(taken["data"]))
    size = out.stat().st_size
    print(f"{out.relative_to(ROOT) if out.is_relative_to(ROOT) else out}: {size} bytes")
    if size > MOST_BYTES:
        raise SystemExit(f"it has to be below {MOST_BYTES} bytes")


def every(browser: Any, site: Site, folder: Path) -> None:
    """All screens, widths and themes."""
    for theme in THEMES:
        for width in (WIDE, PHONE):
            with looked_at(browser, site, "/", width=width, theme=theme) as page:
                for name, path in SCREENS.items():
                    page.goto(site.origin + path)
                    page.locator("main").wait_for()
                    page.wait_for_load_state("networkidle")
                    page.wait_for_timeout(1500)
                    out = folder / f"{name}-{width}-{theme}.png"
                    page.screenshot(path=out, full_page=width == PHONE)
    print(f"{len(list(folder.glob('*.png')))} pictures in {folder}")


@contextmanager
def played() -> Iterator[tuple[Site, Any, Any]]:
    """The observatory of a run that was played a while, changed and goes on."""
    with ExitStack() as stack:
        runs = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        address, _ = stack.enter_context(server(runs))
        for name in RECOMMENDERS:
            words = RECOMMENDER, name, "--server", address, "--sessions", 2
            stack.enter_context(program(*words))
        site = stack.enter_context(observatory(address))
        channel = stack.enter_context(grpc.insecure_channel(address))
        control: Any = SimulationControlServiceStub(channel)
        steer: Any = SimulationSteeringServiceStub(channel)
        for run_id, rounds in (("demo", ROUNDS), ("before", 8)):
            arms = [run_pb2.Arm(arm_id=name, recommender_id=name) for name in RECOMMENDERS]
            run = run_pb2.Run(run_id=run_id, seed=7, round_limit=rounds, arms=arms,
                              world=f"new:users={USERS},seed=7")  # fmt: skip
            control.CreateRun(control_pb.CreateRunRequest(run=run))
            control.StepRun(control_pb.StepRunRequest(run_id=run_id, rounds=EDITED_AFTER))
            until(control, run_id, min(EDITED_AFTER, rounds))
        for change in changes():
            asked = steering.InterveneRequest(run_id="demo", intervention=change)
            steer.Intervene(asked)
        control.StepRun(control_pb.StepRunRequest(run_id="demo", rounds=SHOWN - EDITED_AFTER))
        until(control, "demo", SHOWN)
        yield site, control, steer


def take_over(steer: Any) -> None:
    """A person plays a user from the next round on."""
    take = steering_pb2.TakeOver(user_id="u000007")
    take.turn_time.seconds = 600
    change = steering_pb2.Intervention(take_over=take)
    steer.Intervene(steering.InterveneRequest(run_id="demo", intervention=change))


def changes() -> Iterator[steering_pb2.Intervention]:
    """What an operator did to the run."""
    edit = steering_pb2.EditProfile(user_id="u000007", profile={"occupation": "cook"})
    yield steering_pb2.Intervention(edit_profile=edit)
    post = steering_pb2.InjectPost(user_id="u000012", text="Anybody up for a comedy tonight?")
    yield steering_pb2.Intervention(inject_post=post)


def until(control: Any, run_id: str, round: int) -> None:
    """Waits until a run stands at a round."""
    while control.GetRun(control_pb.GetRunRequest(run_id=run_id)).run.round < round:
        time.sleep(0.05)


if __name__ == "__main__":
    sys.exit(main())
