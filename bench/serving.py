"""Lists a second of a run over gRPC, against an echo pair that exchanges the same messages."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

from cpu import Cpu
from echo import Columnar, Echo, Rich, echoing
from figures import Figure, Target, median, spread
from minds import LookAndLeave
from stage import Played, Stage, settings, staged
from worlds import made

from recarena.server.minds.choice import ChoiceMind

SHARE = 0.60
"""Of the echo pair's lists a second."""


@dataclass(frozen=True, slots=True)
class Mode:
    """An encoding and a size of its messages."""

    encoding: str
    users_a_message: int
    users: int
    rounds: int
    """Played in one repetition."""

    @property
    def name(self) -> str:
        """For figures."""
        return f"{self.encoding}_{self.users_a_message}"

    def form(self) -> Rich | Columnar:
        """The same messages for the echo pair."""
        kind = Rich if self.encoding == "rich" else Columnar
        return kind(self.users, self.users_a_message)


MODES = (
    Mode("rich", 64, 16_384, 1),
    Mode("rich", 256, 16_384, 1),
    Mode("columnar", 4096, 65_536, 2),
)
QUICK_MODES = (Mode("rich", 64, 256, 1), Mode("columnar", 4096, 8192, 1))


@dataclass(slots=True)
class Samples:
    """What the repetitions came to, in lists a second unless said otherwise."""

    serving: list[float] = field(default_factory=list)
    ratio: list[float] = field(default_factory=list)
    """Of a repetition to the echo beside it."""
    echo: list[float] = field(default_factory=list)
    prebuilt: list[float] = field(default_factory=list)
    cpu: Cpu = field(default_factory=Cpu)
    """Of the serving repetitions."""
    echo_cpu: Cpu = field(default_factory=Cpu)
    """Of every repetition of the echo that builds its messages."""
    commit_s: list[float] = field(default_factory=list)
    """Of one round."""
    whole: list[float] = field(default_factory=list)
    """With the choice mind, commits included."""
    whole_echo: list[float] = field(default_factory=list)
    whole_store: list[float] = field(default_factory=list)
    """Share of the time that the run folder took."""


def figures(quick: bool) -> Iterator[Figure]:
    """Three figures for each mode."""
    for mode in QUICK_MODES if quick else MODES:
        yield from told(mode, asyncio.run(sampled(mode, 2 if quick else 13, 2 if quick else 5)))


async def sampled(mode: Mode, repetitions: int, whole_repetitions: int) -> Samples:
    """Plays the run and the echo in turns, first with users that look and leave."""
    samples = Samples()
    values = settings(session={"max_users_per_work": mode.users_a_message})
    options = ["--encoding", mode.encoding, "--no-search"]
    async with staged(made(mode.users, 0), values, options) as stage, echoing() as echo:
        stage.run.mind.inner = LookAndLeave()
        await stage.play()
        await echo.play(mode.form(), 1)
        for _ in range(repetitions):
            await serve(mode, stage, echo, samples)
        stage.run.mind.inner = ChoiceMind(stage.run.settings.coefficients())
        await stage.play()
        for _ in range(whole_repetitions):
            played = await stage.play(mode.rounds)
            samples.whole.append(played.lists / played.seconds)
            samples.whole_store.append(played.store_seconds / played.seconds)
            samples.whole_echo.append(await echoed(mode, echo, samples))
    return samples


async def serve(mode: Mode, stage: Stage, echo: Echo, samples: Samples) -> None:
    """One repetition of the run that looks and leaves, and of both echoes."""
    played: Played = await stage.play(mode.rounds)
    if played.lists != mode.users * mode.rounds:
        raise RuntimeError(f"{played.lists} lists for {mode.users} users in {mode.rounds} rounds")
    serving = played.lists / played.serving_seconds
    samples.serving.append(serving)
    samples.cpu += played.cpu
    samples.commit_s.append(played.store_seconds / mode.rounds)
    samples.echo.append(await echoed(mode, echo, samples))
    samples.ratio.append(serving / samples.echo[-1])
    taken = await echo.play_prebuilt(mode.form(), mode.rounds)
    samples.prebuilt.append(mode.users * mode.rounds / taken)


async def echoed(mode: Mode, echo: Echo, samples: Samples) -> float:
    """Lists a second of the echo pair."""
    taken, cpu = await echo.play(mode.form(), mode.rounds)
    samples.echo_cpu += cpu
    return mode.users * mode.rounds / taken


def told(mode: Mode, samples: Samples) -> Iterator[Figure]:
    """The figures of one mode."""
    about = {
        "encoding": mode.encoding,
        "users_a_message": mode.users_a_message,
        "lists_a_round": mode.users,
    }
    yield lists_a_second(
        f"serving_{mode.name}", samples.serving, samples.echo,
        {**about, "baseline": "an echo pair that builds and reads the same messages",
         "ratios_between": spread(samples.ratio), "commit_s_a_round": median(samples.commit_s),
         **cpu_a_list(mode, samples)},
        Target("ratio", "at least", SHARE),
    )  # fmt: skip
    yield lists_a_second(
        f"serving_{mode.name}_of_prebuilt", samples.serving, samples.prebuilt,
        {**about, "baseline": "an echo pair that sends the same messages, built before"},
    )  # fmt: skip
    yield lists_a_second(
        f"whole_run_{mode.name}", samples.whole, samples.whole_echo,
        {**about, "baseline": "an echo pair that builds and reads messages of this size",
         "includes": "choice mind, social network, commit",
         "commit_share": median(samples.whole_store)},
    )  # fmt: skip


def cpu_a_list(mode: Mode, samples: Samples) -> dict[str, object]:
    """Processors' time of the serving path and of the echo, by side, and the share of the two: a
    ratio that other programs on the machine disturb less."""
    lists = mode.users * mode.rounds
    run, echo = samples.cpu, samples.echo_cpu
    own = run.microseconds_each(lists * len(samples.serving))
    bare = echo.microseconds_each(lists * (len(samples.echo) + len(samples.whole_echo)))
    return {
        "cpu_us_a_list": own,
        "baseline_cpu_us_a_list": bare,
        "cpu_ratio": sum(bare.values()) / sum(own.values()),
    }


def lists_a_second(
    name: str,
    run: Sequence[float],
    echo: Sequence[float],
    detail: dict[str, object],
    target: Target | None = None,
) -> Figure:
    """A figure from samples of the run and of its baseline."""
    between = {"between": spread(run), "baseline_between": spread(echo)}
    return Figure(name, median(run), "lists/s", median(echo), {**detail, **between}, target)
