"""`recarena report` as people type it."""

from __future__ import annotations

from pathlib import Path

from support.commands import recarena
from support.competition_folders import Sketch, write_competition


async def test_a_report_is_written_where_it_is_asked_for(tmp_path: Path):
    write_competition(tmp_path / "spring", Sketch(("ease", "random"), worlds=2))
    told = (await recarena("report", "spring", "--json", cwd=tmp_path)).went_well().value
    page = (tmp_path / "spring" / "report.html").read_text("utf-8")
    assert told["event"] == "report"
    assert (told["file"], told["bytes"]) == ("spring/report.html", len(page.encode()))
    assert page.startswith("<!doctype html>")
    assert page.rstrip().endswith("</html>")


async def test_a_place_that_cannot_be_written_to_is_named_with_the_remedy(tmp_path: Path):
    write_competition(tmp_path / "spring", Sketch(("ease",), worlds=1))
    words = ("report", "spring", "--out", "nowhere/page.html")
    said = (await recarena(*words, cwd=tmp_path)).failed()
    assert said.startswith("nowhere/page.html cannot be written (No such file or directory).")
    assert said.endswith("Name another file with --out")


async def test_a_folder_with_nothing_to_show_is_told_in_a_line(tmp_path: Path):
    (tmp_path / "empty").mkdir()
    said = (await recarena("report", "empty", cwd=tmp_path)).failed()
    assert "empty is no run folder and holds none" in said
    assert not (tmp_path / "empty" / "report.html").exists()
