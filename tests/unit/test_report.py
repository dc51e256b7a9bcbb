"""The report of a competition: what it says, and that it is inert and the same each time."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
import sys
import zipfile
from dataclasses import replace
from html.parser import HTMLParser
from pathlib import Path

import numpy as np
import pytest

from recarena.evaluation.leaderboard.board import build
from recarena.evaluation.leaderboard.gate import Gate
from recarena.evaluation.metrics.measures import METRICS
from recarena.evaluation.report.blocks import Text
from recarena.evaluation.report.content import Content, content_of
from recarena.evaluation.report.figures import trajectory
from recarena.evaluation.report.headline import verdict
from recarena.evaluation.report.render import render
from recarena.evaluation.report.shown import STEPS, by_decile, lorenz
from recarena.evaluation.report.spillover import spillover
from recarena.evaluation.runs.conduct import conduct_of
from recarena.evaluation.runs.thinking import Thinking
from recarena.evaluation.statistics.worlds import Interval
from support.competition_folders import Sketch, a_card, write_competition
from support.run_logs import quick_log

ROOT = Path(__file__).parents[2]
HOSTILE = '<img src=x onerror="alert(1)">'
WORLD = "</title></style><script>alert(2)</script>"
ERROR = "gone: <a href='https://evil.example/'>click</a> {{ 7*7 }} ]]>"
VOID = {"meta", "link", "input", "line", "circle", "rect", "polyline", "polygon"}


class Seen(HTMLParser):
    """What a browser would take a page for."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.tags: set[str] = set()
        self.attributes: list[tuple[str, str]] = []
        self.text = ""
        self.open: list[str] = []
        self.texts_in: dict[str, list[str]] = {}
        self.feed(page)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.add(tag)
        self.attributes += [(name, value or "") for name, value in attrs]
        if tag not in VOID:
            self.open.append(tag)
            self.texts_in.setdefault(tag, []).append("")

    def handle_endtag(self, tag: str) -> None:
        if tag not in VOID:
            assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        self.text += data
        for tag in set(self.open):
            self.texts_in[tag][-1] += data


def words_of(content: Content) -> str:
    return " ".join(Seen(render(content)).text.split())


def made(folder: Path, sketch: Sketch) -> Content:
    return content_of(write_competition(folder / "made", sketch))


@pytest.fixture(scope="module")
def spring(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Three recommenders in five worlds; one run failed, one recommender is late."""
    return write_competition(
        tmp_path_factory.mktemp("competitions") / "spring",
        Sketch(
            worlds=5,
            failing="random",
            gate=Gate(max_unusable_rate=0.05),
            errors={"w4-popular": "its session was lost"},
        ),
    )


@pytest.fixture(scope="module")
def content(spring: Path) -> Content:
    return content_of(spring)


@pytest.fixture(scope="module")
def words(content: Content) -> str:
    return words_of(content)


@pytest.fixture(scope="module")
def little(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """One world."""
    return write_competition(tmp_path_factory.mktemp("competitions") / "little", Sketch(worlds=1))


def test_the_winner_is_named_where_she_is_separated_from_all_others(words: str):
    assert "Which of 3 recommenders is best in watch rate?" in words
    assert re.search(r"ease is best in watch rate, 0\.\d{3} ±0\.\d{3}, and separated", words)


def test_a_band_that_is_cut_off_is_said_to_be(content: Content):
    board, metric = content.board, content.primary
    assert board
    flat = Interval(0.5, 0.4, 0.6, 5, 0.95)
    wide = replace(flat, low=-9.0, high=9.0)
    risen = replace(flat, mean=0.6, low=0.5, high=0.7)
    named = {row.recommender: (flat, risen) for row in board.rows}
    assert "cut off" not in trajectory(board, metric, named).caption
    named[board.rows[0].recommender] = (flat, wide)
    assert "cut off where it is wider" in trajectory(board, metric, named).caption


def test_places_are_said_to_rest_on_mirrored_worlds_where_they_do(content: Content):
    record = {"a": "ease", "b": "random", "sentence": "It leaks."}
    for design, said in (("both", True), ("split", False)):
        section = spillover(
            replace(content, results={"spillover": [record]}, manifest={"design": design})
        )
        (text,) = [block.text for block in section.blocks if isinstance(block, Text)]
        assert ("Places rest on mirrored worlds." in text) is said


def test_who_the_users_were_stands_beside_the_result(words: str):
    assert "Users are simulated by a choice model: no LLM, no people." in words
    assert "Simulated preference is not human preference." in words


def test_a_run_that_failed_is_left_out_and_said(words: str):
    assert "Failed, and left out: w4-popular: its session was lost" in words


def test_a_gate_that_is_not_passed_is_said_with_its_reason(words: str):
    assert "✗ failed" in words
    assert "random fails the gate: unusable pages 25" in words


def test_who_was_late_is_called_late(words: str):
    assert "random was late with 25.00 % of its pages." in words


def test_a_missing_card_is_said(words: str):
    assert "There is no believability card" in words


def test_the_manifest_stands_there_in_full(spring: Path, content: Content):
    shown = Seen(render(content)).texts_in["pre"][0]
    assert json.loads(shown) == json.loads((spring / "manifest.json").read_text())


def test_the_page_says_how_to_reproduce_it(words: str):
    assert "recarena reproduce spring/manifest.json" in words


def test_every_metric_has_its_page_with_meaning_and_formula(content: Content):
    page = render(content)
    assert 'id="metric-watch_rate"' in page
    assert 'id="metric-unknown_per_list"' in page
    assert page.count('class="note formula"') == page.count('<article class="metric"') > 20


def test_the_same_folder_gives_the_same_bytes(spring: Path, content: Content):
    assert render(content) == render(content) == render(content_of(spring))


def test_every_plot_has_a_table_and_words(content: Content):
    page = render(content)
    for figure in re.findall(r"<figure>.*?</figure>", page, re.S):
        assert "<table>" in figure
        assert re.findall(r'<svg [^>]*role="img"[^>]*aria-label="[^"]+', figure)
    assert page.count("<svg") == page.count('role="img"')


def test_the_page_asks_nobody_for_anything(content: Content):
    seen = Seen(render(content))
    for name, value in seen.attributes:
        assert name not in ("src", "srcset", "action", "style", "background")
        assert not name.startswith("on")
        if name in ("href", "xlink:href"):
            assert value.startswith("#") or value == "data:,"
    assert not {"script", "img", "iframe", "object", "embed", "form"} & seen.tags
    (style,) = seen.texts_in["style"]
    assert not re.search(r"url\(|@import|expression", style)
    assert ("content", "default-src 'none'; style-src 'unsafe-inline'; img-src data:; "
            "base-uri 'none'; form-action 'none'") in seen.attributes  # fmt: skip


def test_names_from_outside_are_text_and_nothing_else(tmp_path: Path, content: Content):
    tame = Seen(render(replace(content, card=a_card(passed=False))))
    card = a_card(passed=False)
    card["verdict"]["sentence"] = card["mind"]["name"] = f"Not passed {HOSTILE}"
    names = ("ease", HOSTILE, "random")
    folder = write_competition(
        tmp_path / "wild",
        Sketch(names, worlds=2, world_name=WORLD, errors={"w1-random": ERROR}, card=card,
               more_results={"stopped_early": WORLD, "spillover": [{"a": HOSTILE, "b": WORLD}]}),
    )  # fmt: skip
    conduct = {"recommender": HOSTILE, "software": WORLD, "endings": {HOSTILE: 1},
               "complaints": [{"outcome": "late", "text": ERROR}]}  # fmt: skip
    (folder / "runs" / "w0-ease" / "conduct.jsonl").write_text(json.dumps(conduct) + "\n{cut")
    wild = Seen(render(content_of(folder)))
    assert wild.tags <= tame.tags
    assert not [name for name, _ in wild.attributes if name.startswith("on")]
    for text in (HOSTILE, WORLD, ERROR):
        assert text in wild.text


def test_a_card_that_loses_to_popularity_says_so_in_red_and_in_words(content: Content):
    page = render(replace(content, card=a_card(passed=False)))
    assert page.count('<p class="alarm">Believability card ✗ Not passed') == 2
    assert "<li>LOSES to popularity on uniform negatives</li>" in page
    assert "measured on ml-tiny, and the worlds played are tiny" in page
    assert "Position bias was not measured" in page


def test_a_card_that_is_passed_raises_no_alarm(content: Content):
    page = render(replace(content, card=a_card()))
    assert "Believability card ✓ Passed" in page
    assert 'class="alarm"' not in page


def test_a_card_of_another_mind_is_no_comfort(content: Content):
    words = words_of(replace(content, card={**a_card(), "mind": {"kind": "llm"}}))
    assert "The believability card is of the mind llm, the users' is choice" in words


def test_one_world_has_no_interval_and_no_winner(little: Path):
    words = words_of(content_of(little))
    assert "Not separated: all 3 recommenders share the first place; one world has no" in words
    assert "one world has no interval" in words
    assert not re.search(r"\bnan\b", words)


def test_one_recommender_has_nobody_to_be_compared_with(tmp_path: Path):
    words = words_of(made(tmp_path, Sketch(("ease",), worlds=2)))
    assert "there is none to compare it with" in words


def test_nothing_measured_is_said_and_drawn_without_a_number(tmp_path: Path):
    page = render(made(tmp_path, Sketch(("ease", "random"), worlds=1, nothing=True)))
    words = " ".join(Seen(page).text.split())
    assert "Nothing could be measured: nobody has a value." in words
    assert "No value: nothing of the kind happened." in words
    assert not re.search(r'"[^"]*\bnan\b[^"]*"|>nan<', page)


def test_a_competition_without_results_shows_what_is_there(little: Path, tmp_path: Path):
    begun = shutil.copytree(little, tmp_path / "begun")
    (begun / "results.json").unlink()
    words = words_of(content_of(begun))
    assert "The competition is not at its end: there is no results.json yet." in words
    assert "Which of 3 recommenders" in words


def test_a_competition_of_which_nothing_is_finished_has_a_page(tmp_path: Path):
    words = words_of(made(tmp_path, Sketch(("ease",), worlds=1, errors={"w0-ease": "it died"})))
    assert "Nothing is finished: there is no run to compare." in words
    assert "Failed, and left out: w0-ease: it died" in words


def test_a_recommender_that_finished_nothing_is_missed_in_the_headline(tmp_path: Path):
    errors = {f"w{world}-random": "it died" for world in range(2)}
    words = words_of(made(tmp_path, Sketch(("ease", "random"), worlds=2, errors=errors)))
    assert "there is none to compare it with. Without a finished run: random." in words
    assert "Failed, and left out: w0-random, w1-random: it died" in words


def test_the_winner_is_who_is_separated_and_not_who_finished_in_easy_worlds_alone():
    easy_and_hard = [[20, 19, 20], [20, 20, 19], [19, 19, 19], [5, 4, 5], [5, 5, 4], [4, 4, 5]]
    runs = [quick_log("good", w, seed=seed, shown=20) for seed, w in enumerate(easy_and_hard)]
    runs += [quick_log("fails", [n - 3 for n in w], seed=seed, shown=20)
             for seed, w in enumerate(easy_and_hard[:3])]  # fmt: skip
    board = build(runs)
    assert [row.recommender for row in board.rows] == ["fails", "good"]
    _, _, names, after = verdict(board, METRICS[0])
    assert names == "good"
    assert "is best in watch rate, 0.600 ±0.428, and separated from all others." in after


def test_runs_that_are_not_finished_are_counted_and_can_be_gone_on_with(
    little: Path, tmp_path: Path
):
    begun = shutil.copytree(little, tmp_path / "begun")
    shutil.rmtree(begun / "runs" / "w0-random")
    words = words_of(content_of(begun))
    assert "Not finished, and left out: 1 of 3 runs (see Runs)." in words
    assert "Worlds that are not complete are left out of the ranking: 0." in words
    assert "recarena compete --resume begun" in words


def test_a_manifest_that_was_changed_afterwards_is_found_out(little: Path, tmp_path: Path):
    changed = shutil.copytree(little, tmp_path / "changed")
    manifest = json.loads((changed / "manifest.json").read_text())
    (changed / "manifest.json").write_text(json.dumps({**manifest, "minimum_effect": 0.5}))
    assert "manifest.json was changed after it was played" in words_of(content_of(changed))


def test_a_flood_and_a_quarantine_are_called_what_they_are(content: Content, tmp_path: Path):
    line = {"recommender": "random", "sessions": 3, "unsolicited": 120, "software": "x 1",
            "endings": {"FLOODED": 1, "QUARANTINED": 2}, "dispositions": {"LATE": 4}}  # fmt: skip
    (tmp_path / "conduct.jsonl").write_text(f"{json.dumps(line)}\n{json.dumps(line)}\n")
    said = words_of(replace(content, conduct=conduct_of([tmp_path, tmp_path / "none"])))
    assert "random sent more than it was asked for, and was cut off (2 sessions)." in said
    assert "random was quarantined for refused answers in a row (4 sessions)." in said
    assert "random sent 240 messages that answered nothing." in said
    assert "random sent 8 answers after the deadline." in said


def test_what_spills_over_is_shown(content: Content):
    bounds = {"mean": 0.03, "low": 0.02, "high": 0.04}
    record = {"a": "ease", "b": "popular", "metric": "watch_rate", "unit": "users", "worlds": 3,
              "mirrored": bounds, "spillover": bounds, "shown": True,
              "sentence": "The user split recovers 40 %."}  # fmt: skip
    page = render(replace(content, results={"spillover": [record]}))
    assert "The user split recovers 40 %." in page
    assert "0.030 (0.020 to 0.040)" in page


def test_run_folders_without_a_competition_have_a_page(spring: Path):
    content = content_of(spring / "runs")
    words = " ".join(Seen(render(content)).text.split())
    assert "ease is best in watch rate" in words
    assert "Run w4-popular of popular did not come to its end" in words
    assert "recarena leaderboard runs" in words


def test_a_winner_that_fails_the_gate_is_told_so_at_once(content: Content):
    board = content.board
    assert board
    (best, *others) = board.rows
    failing = replace(best, verdict=Gate(max_p95_ms=0).judge({"latency_p95_ms": 1.0}))
    told = verdict(replace(board, rows=(failing, *others)), content.primary)
    assert told[-1].endswith("It fails the operations gate.")


def test_what_language_models_cost_is_said_for_each_and_together(content: Content):
    board = content.board
    assert board
    one = Thinking(200, 4, 100, 1.5, 400, "USD", 90_000)
    (best, *others) = board.rows
    costly = replace(board, rows=(replace(best, thinking=one), *others), thinking=one)
    page = render(replace(content, board=costly))
    row = "<td>100</td><td>0.250</td><td>90,000</td><td>225.0</td><td>1.50 USD</td>"
    assert f'<th scope="row">ease</th>{row}' in page
    assert f'<th scope="row">all together</th>{row}' in page
    assert "no call was paid for" in render(content)


def test_a_lorenz_curve_by_hand():
    curve = lorenz(np.array([0, 6, 2, 2]))
    assert curve[[0, STEPS // 4, STEPS // 2, STEPS]].tolist() == pytest.approx([0, 0, 0.2, 1])
    assert curve[STEPS * 3 // 4] == pytest.approx(0.4)
    assert np.isnan(lorenz(np.zeros(4))).all()


def test_deciles_run_from_the_most_watched():
    exposures, popularity = np.arange(20), np.arange(20)
    shares = by_decile(exposures, popularity)
    assert shares[0] == pytest.approx((19 + 18) / 190)
    assert shares[-1] == pytest.approx(1 / 190)


def test_the_wheel_brings_the_templates(tmp_path: Path):
    subprocess.run(
        [sys.executable, "-m", "hatchling", "build", "-t", "wheel", "-d", str(tmp_path)],
        cwd=ROOT / "evaluation", check=True, capture_output=True, timeout=60,
    )  # fmt: skip
    (wheel,) = tmp_path.glob("*.whl")
    names = zipfile.ZipFile(wheel).namelist()
    for name in ("report.html.j2", "parts.html.j2", "style.css"):
        assert f"recarena/evaluation/report/templates/{name}" in names
