"""Worlds from files of others, whatever their layout."""

from __future__ import annotations

from pathlib import Path

from recarena.server.datasets.world_data import WorldData
from recarena.server.errors import InputError

LAYOUTS = ("auto", "ml-100k", "ml-1m", "ml-latest-small", "ml-25m", "recagent")


def import_world(
    path: Path,
    layout: str = "auto",
    seed: int = 0,
    *,
    name: str = "",
    ratings_until: str | None = None,
    train_fraction: float | None = None,
    taste_spread: float | None = None,
    history_per_user: int = 0,
) -> WorldData:
    """The world in a folder of MovieLens or RecAgent files.

    `ratings_until` (a date such as "1998-03-01", that day excluded) or `train_fraction` (the
    first part of all ratings by time) keep later ratings out of the history, and so out of every
    estimate: MovieLens only. `taste_spread` rescales tastes to that standard deviation of
    theta.x in rating points (default: MovieLens as estimated, RecAgent 1). `history_per_user`
    samples a history for users that come without ratings: RecAgent only. The seed serves for what
    the files do not say (names, ties, some traits).
    """
    # Imported here: pyarrow takes its time.
    from recarena.server.datasets import movielens, recagent

    if layout not in LAYOUTS:
        raise InputError(
            f"no layout {layout!r}", where="layout", remedy=f"One of: {', '.join(LAYOUTS)}"
        )
    if seed < 0:
        raise InputError(f"a seed is 0 or more, not {seed}", where="seed")
    _require_folder(path)
    movie_lens = movielens.layout_of(path) if layout == "auto" else layout
    if movie_lens == "recagent" or (not movie_lens and recagent.is_recagent(path)):
        if ratings_until or train_fraction is not None:
            raise InputError(
                "RecAgent's files hold no ratings to split",
                where="ratings_until, train_fraction",
                remedy="Leave these options out",
            )
        options = recagent.Options(
            seed=seed,
            name=name or path.resolve().name,
            taste_spread=1.0 if taste_spread is None else taste_spread,
            history_per_user=history_per_user,
        )
        return recagent.load_recagent(recagent.Files.in_folder(path), options)
    if not movie_lens:
        raise InputError(
            "neither a MovieLens nor a RecAgent folder",
            where=str(path),
            remedy="Expected u.data and u.item (100k), movies.dat and ratings.dat (1M), "
            "movies.csv and ratings.csv (latest-small, 25M), or RecAgent's item*.csv, user*.csv "
            "and relationship*.csv",
        )
    if history_per_user:
        raise InputError(
            "MovieLens brings its own history",
            where="history_per_user",
            remedy="Leave this option out",
        )
    return movielens.load_movielens(
        path,
        movie_lens,
        movielens.Options(
            seed=seed,
            name=name or path.resolve().name,
            ratings_until=ratings_until,
            train_fraction=train_fraction,
            taste_spread=taste_spread,
        ),
    )


def _require_folder(path: Path) -> None:
    if not path.exists():
        raise InputError("no such folder", where=str(path), remedy="Check the path")
    if not path.is_dir():
        remedy = "Unpack it first" if path.suffix == ".zip" else "Give the folder it is in"
        raise InputError("this is a file, not a folder", where=str(path), remedy=remedy)
    if (path / "world.json").exists():
        raise InputError(
            "this is a world folder already", where=str(path), remedy="Use it as it is"
        )
