from __future__ import annotations

import copy
import json
from collections import Counter
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from recarena.evaluation.questionnaires.administration import CHECK_SHARE, REPEATS, sheets
from recarena.evaluation.questionnaires.form import Questionnaire
from recarena.evaluation.questionnaires.reading import BadQuestionnaire, available, load, read
from recarena.evaluation.questionnaires.rules import folded

ROOT = Path(__file__).parents[2]
MINE = {
    "id": "mine",
    "version": "1",
    "title": "Mine",
    "source": "Myself",
    "scale": {"lowest": 1, "highest": 5},
    "constructs": [{"id": "clarity", "title": "Clarity"}],
    "items": [
        {"id": "c1", "construct": "clarity", "texts": ["It is clear.", "It is plain."]},
        {"id": "c2", "construct": "clarity", "texts": ["I follow it.", "I get it."]},
        {
            "id": "c3",
            "construct": "clarity",
            "reversed": True,
            "texts": ["It is muddled.", "It is a mess."],
        },
    ],
    "checks": [{"id": "check", "asked_for": 2, "texts": ["Choose the second step."]}],
}


def toml(document: object) -> bytes:
    """JSON values in TOML are the same but for tables, which TOML writes {a = 1}."""
    if not isinstance(document, dict):
        return b""
    lines = (f"{json.dumps(key)} = {_inline(value)}" for key, value in document.items())
    return "\n".join(lines).encode()


def _inline(value: object) -> str:
    if isinstance(value, dict):
        inner = ", ".join(f"{json.dumps(key)} = {_inline(one)}" for key, one in value.items())
        return f"{{{inner}}}"
    if isinstance(value, list):
        return f"[{', '.join(map(_inline, value))}]"
    return json.dumps(value)


def changed(path: tuple[str | int, ...], value: object) -> bytes:
    document = copy.deepcopy(MINE)
    at = document
    for key in path[:-1]:
        at = at[key]  # type: ignore[index]
    at[path[-1]] = value  # type: ignore[index]
    return toml(document)


# ----------------------------------------------------------------- built in


def test_the_battery_measures_eight_things_in_both_directions_and_two_wordings():
    battery = load("battery")
    assert [one.id for one in battery.constructs] == [
        "necessity", "informativeness", "persuasiveness", "transparency",
        "trust", "scrutability", "efficiency", "satisfaction",
    ]  # fmt: skip
    for construct in battery.constructs:
        items = battery.of(construct.id)
        assert [one.reversed for one in items] == [False, False, True]
        assert {len(one.texts) for one in items} == {2}
    assert [one.asked_for for one in battery.checks] == [2]
    assert (battery.lowest, battery.highest, len(battery.labels)) == (1, 5, 5)
    assert battery.verbatim is None


def test_the_papers_three_questions_are_there_and_do_not_pretend_to_be_its_words():
    paper = load("paper")
    assert [one.construct for one in paper.items] == [
        "necessity", "informativeness", "persuasiveness"
    ]  # fmt: skip
    assert paper.verbatim is False
    assert all(one.note for one in paper.constructs)


def test_no_two_statements_that_come_with_recarena_are_the_same():
    texts = [folded(text) for name in available() for one in load(name).items for text in one.texts]
    assert len(set(texts)) == len(texts) == 53


def test_questionnaires_are_where_a_reader_looks_for_them():
    folder = ROOT / "evaluation" / "questionnaires"
    assert {f"{name}.toml" for name in available()} == {one.name for one in folder.glob("*.toml")}
    assert load(folder / "battery.toml") == load("battery")


# ----------------------------------------------------------------- one's own


def test_ones_own_file_is_loaded_by_its_path(tmp_path):
    path = tmp_path / "mine.toml"
    path.write_bytes(b"\xef\xbb\xbf" + toml(MINE))
    mine = load(path)
    assert [one.id for one in mine.items] == ["c1", "c2", "c3", "check"]
    assert mine.labels == ()
    assert mine == load(str(path))
    assert mine.recoded(mine.by_id["c3"], 5) == 1
    path.write_bytes(toml(MINE) + b"\n# a remark")
    assert load(path).hash != mine.hash


BAD = [
    (("colour",), "blue", "mine.toml: colour is not known; known are id"),
    (("scale", "lowst"), 1, "mine.toml: scale.lowst is not known; did you mean lowest?"),
    (("items", 1, "reverse"), True, "items[2] (c2).reverse is not known; did you mean reversed?"),
    (("items", 1, "id"), "c1", "items[2].id is 'c1' as that of items[1]; give it another id"),
    (("checks", 0, "id"), "c1", "checks[1].id is 'c1' as that of items[1]"),
    (("items", 1, "id"), "c 2", "items[2].id is 'c 2'; write 1 to 64 letters"),
    (("items", 1, "texts", 1), "it IS\u00a0 clear.", "items[2].texts[2] (c2) says the same as"),
    (("checks", 0, "texts", 0), "It is clear.", "checks[1].texts[1] (check) says the same as"),
    (("items", 2, "texts"), ["It is muddled."], "items[3].texts (c3) has 1 wordings and c1 has 2"),
    (("items", 2, "texts"), [], "items[3] (c3).texts is []; write a list of texts"),
    (("items", 2, "texts"), "one", "items[3] (c3).texts is 'one'; write a list of texts"),
    (("items", 2, "texts", 0), "", "items[3] (c3).texts[1] is ''; write \"text\" in quotes"),
    (("items", 2, "texts", 0), "a" * 501, "it has 501 letters, say it in 500"),
    (("items", 2, "texts", 0), "a\nb", "write it on one line"),
    (("items", 2, "texts", 0), "a\u200bb", "without invisible characters"),
    (("items", 2, "reversed"), False, "constructs[1] (clarity): all its 3 items are forward"),
    (("items", 2, "reversed"), 1, "items[3] (c3).reversed is 1; write true or false"),
    (("items", 2, "construct"), "clariti", "items[3].construct is 'clariti', which no"),
    (("items", 2, "construct"), "clariti", "did you mean clarity?"),
    (("items",), [], "items is []; write at least one table [[items]]"),
    (("constructs",), 3, "constructs is 3; write at least one table [[constructs]]"),
    (("scale",), 3, "scale is 3; write it as a table, [scale]"),
    (("scale", "highest"), 1, "scale.lowest is 1 and scale.highest 1; write a lowest below"),
    (("scale", "highest"), 12, "which makes 12 steps from 1; write at most 11"),
    (("scale", "highest"), 5.0, "scale.highest is 5.0; write a whole number"),
    (("scale", "lowest"), True, "scale.lowest is True; write a whole number"),
    (("scale", "labels"), ["a", "b"], "scale.labels has 2 labels for 5 steps"),
    (("scale", "labels"), ["a", "b", "c", "d", "A "], "labels[5] is the same as scale.labels[1]"),
    (("checks", 0, "asked_for"), 6, "checks[1].asked_for (check) is 6; ask for a step of"),
    (("checks", 0, "asked_for"), 0, "1 to 5, other than 0"),
    (("verbatim",), "yes", "verbatim is 'yes'; write true or false"),
    (("constructs", 0, "id"), "other", "items[1].construct is 'clarity', which no [[constructs]]"),
]  # fmt: skip


@pytest.mark.parametrize(("path", "value", "said"), BAD)
def test_what_cannot_be_asked_is_refused_by_file_item_and_field(path, value, said):
    with pytest.raises(BadQuestionnaire) as refused:
        read(changed(path, value), "mine.toml")
    text = str(refused.value)
    assert said in text
    assert "mine.toml" in text
    assert "\n" not in text


def test_a_construct_has_items_and_few_of_them_need_a_note():
    extra = [*MINE["constructs"], {"id": "other", "title": "Other"}]
    with pytest.raises(BadQuestionnaire, match=r"constructs\[2\] \(other\).*write an item for it"):
        read(changed(("constructs",), extra), "mine.toml")
    single = {**MINE, "items": MINE["items"][:1]}
    with pytest.raises(BadQuestionnaire, match=r"\(clarity\)\.note is missing"):
        read(toml(single), "mine.toml")
    noted = {**single, "constructs": [{"id": "clarity", "title": "Clarity", "note": "One item."}]}
    assert read(toml(noted), "mine.toml").constructs[0].note == "One item."


def test_more_items_than_a_call_holds_are_refused():
    items = [
        {"id": f"c{at}", "construct": "clarity", "reversed": at > 9, "texts": [f"Say {at}."]}
        for at in range(20)
    ]
    with pytest.raises(BadQuestionnaire, match="20 items; one call asks 19 at most"):
        read(changed(("items",), items), "mine.toml")
    assert len(read(changed(("items",), items[:19]), "mine.toml").of("clarity")) == 19


@pytest.mark.parametrize("field", ["id", "version", "title", "source", "scale", "items"])
def test_a_missing_field_is_named(field):
    document = {key: value for key, value in MINE.items() if key != field}
    with pytest.raises(BadQuestionnaire, match=rf"^mine\.toml: {field} is missing; say what it is"):
        read(toml(document), "mine.toml")


def test_a_misspelt_field_is_guessed_where_it_leaves_another_missing():
    document = {key: value for key, value in MINE.items() if key != "title"} | {"tittle": "Mine"}
    with pytest.raises(BadQuestionnaire, match=r"title is missing; is it what tittle should say\?"):
        read(toml(document), "mine.toml")


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (b"id = ", "mine.toml is not TOML: "),
        (b'id = "\xff"', "mine.toml: byte 6 is not UTF-8; save the file as UTF-8"),
        (b"x = " + b"[" * 5000, "mine.toml is not TOML that can be read"),
    ],
)
def test_what_is_no_toml_is_refused_with_its_place(tmp_path, monkeypatch, content, said):
    monkeypatch.chdir(tmp_path)
    Path("mine.toml").write_bytes(content)
    with pytest.raises(BadQuestionnaire) as refused:
        load("mine.toml")
    assert said in str(refused.value)


def test_names_and_files_that_do_not_exist_are_refused(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    for name, said in (
        ("batery", "did you mean battery?"),
        ("zzz", "built in are battery, paper"),
        ("zzz.toml", "zzz.toml: there is no such file"),
        ("x" * 5000, "built in are battery, paper"),
        ("a\0b", "built in are"),
        (str(tmp_path), "cannot be read"),
    ):
        with pytest.raises(BadQuestionnaire) as refused:
            load(name)
        assert said in str(refused.value)
    Path("large.toml").write_bytes(b"#" * ((1 << 20) + 1))
    with pytest.raises(BadQuestionnaire, match="larger than 1 MiB"):
        load("large.toml")


PLACES = st.sampled_from([
    ("id",), ("verbatim",), ("scale",), ("scale", "lowest"), ("scale", "highest"),
    ("scale", "labels"), ("constructs",), ("constructs", 0), ("constructs", 0, "id"),
    ("constructs", 0, "note"), ("items",), ("items", 0), ("items", 0, "texts"),
    ("items", 1, "texts", 0), ("items", 2, "reversed"), ("items", 2, "construct"),
    ("items", 0, "x"), ("checks",), ("checks", 0), ("checks", 0, "asked_for"),
])  # fmt: skip
ANYTHING = st.recursive(
    st.booleans() | st.integers() | st.floats(-9, 9) | st.text(max_size=9).map(
        lambda one: one.encode("utf-8", "ignore").decode()
    ),
    lambda inner: st.lists(inner, max_size=3)
    | st.dictionaries(st.sampled_from(["id", "texts", "note"]), inner, max_size=3),
    max_leaves=5,
)  # fmt: skip


@given(PLACES, ANYTHING)
def test_a_file_with_anything_anywhere_loads_or_is_refused_in_one_line(path, value):
    found, refusal = _read(changed(path, value))
    if found is None:
        assert refusal.startswith("mine.toml")
        assert len(refusal.splitlines()) == 1
    else:
        assert sheets(found, "t1", "real", 0)


@given(st.data())
def test_a_file_with_bytes_lost_or_changed_loads_or_is_refused(data):
    content = bytearray((ROOT / "evaluation" / "questionnaires" / "paper.toml").read_bytes())
    for at in data.draw(st.lists(st.integers(0, len(content) - 1), max_size=3)):
        content[at] = data.draw(st.integers(0, 255))
    del content[data.draw(st.integers(0, len(content))) :]
    found, refusal = _read(bytes(content))
    assert found is not None or refusal.startswith("mine.toml")


def _read(content: bytes) -> tuple[Questionnaire | None, str]:
    try:
        return read(content, "mine.toml"), ""
    except BadQuestionnaire as refused:
        return None, str(refused)


# ------------------------------------------------------------ administration


def test_each_construct_is_asked_in_each_wording_as_often_as_said():
    battery = load("battery")
    found = sheets(battery, "t1", "real", 5)
    asked = Counter((one.construct, one.wording, one.repeat) for one in found)
    assert set(asked.values()) == {1}
    assert len(found) == 8 * 2 * REPEATS
    for sheet in found:
        texts = {
            (item.id, item.texts[sheet.wording]) for item in battery.of(sheet.construct)
        }  # fmt: skip
        checks = {("attention", battery.checks[0].texts[sheet.wording])}
        assert texts <= set(sheet.statements) <= texts | checks
        assert len(set(sheet.statements)) == len(sheet.statements)
        assert sheet.seed == 5


def test_sheets_follow_from_the_seed_and_what_is_asked_alone():
    battery = load("battery")
    found = sheets(battery, "t1", "real", 5)
    assert found == sheets(battery, "t1", "real", 5)
    assert found[:32] == sheets(battery, "t1", "real", 5, repeats=2)
    for other in (("t1", "real", 6), ("t2", "real", 5), ("t1", "placebo", 5)):
        assert [one.statements for one in sheets(battery, *other)] != [
            one.statements for one in found
        ]


def test_orders_of_statements_and_constructs_are_as_likely_as_one_another():
    battery = load("battery")
    found = [one for at in range(300) for one in sheets(battery, f"t{at}", "real", 5, repeats=1)]
    orders = Counter(
        tuple(item for item, _ in one.statements if item != "attention")
        for one in found
        if one.construct == "trust"
    )
    assert len(orders) == 6
    assert all(70 <= times <= 130 for times in orders.values())
    first = Counter(one.construct for one in found[::16])
    assert len(first) == 8
    assert all(18 <= times <= 60 for times in first.values())


def test_labels_are_turned_in_half_of_a_constructs_sheets_and_start_by_a_coin():
    battery = load("battery")
    firsts = Counter[bool]()
    for at in range(100):
        by_construct: dict[str, list[bool]] = {}
        for one in sheets(battery, f"t{at}", "real", 5):
            by_construct.setdefault(one.construct, []).append(one.labels_from_highest)
        assert all(sum(turns) == 3 for turns in by_construct.values())
        firsts.update(turns[0] for turns in by_construct.values())
    assert 340 <= firsts[True] <= 460


def test_a_share_of_the_sheets_checks_attention_at_any_place():
    battery = load("battery")
    found = [one for at in range(60) for one in sheets(battery, f"t{at}", "real", 5)]
    places = Counter(
        [item for item, _ in one.statements].index("attention")
        for one in found
        if any(item == "attention" for item, _ in one.statements)
    )
    assert sum(places.values()) / len(found) == pytest.approx(CHECK_SHARE, abs=0.03)
    assert len(places) == 4
    assert min(places.values()) > 0.7 * max(places.values())
    for share in (0, 1):
        sizes = {len(one.statements) for one in sheets(battery, "t1", "real", 5, 1, share)}
        assert sizes == {3 + share}


def test_a_check_leaves_the_order_of_the_statements_as_it_was():
    battery = load("battery")
    without = sheets(battery, "t1", "real", 5, check_share=0)
    checked = sheets(battery, "t1", "real", 5, check_share=1)
    assert [
        tuple(pair for pair in one.statements if pair[0] != "attention") for one in checked
    ] == [one.statements for one in without]


def test_orders_are_the_same_on_every_machine_and_in_every_version():
    first = sheets(load("paper"), "t1", "real", 5, repeats=1)
    assert [(one.construct, one.labels_from_highest) for one in first] == [
        ("necessity", False),
        ("informativeness", True),
        ("persuasiveness", False),
    ]


@pytest.mark.parametrize(("repeats", "share"), [(0, 0.2), (1, 1.5), (1, -0.1)])
def test_nonsense_is_refused(repeats, share):
    with pytest.raises(ValueError, match=r"repeat|share"):
        sheets(load("paper"), "t1", "real", 5, repeats, share)
