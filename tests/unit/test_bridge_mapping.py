"""A mapping that cannot be used is one line that names file, key and remedy."""

from __future__ import annotations

import tomllib

import pytest

from recarena.bridge import cli
from recarena.bridge.errors import MappingError
from recarena.bridge.loading import shipped
from recarena.bridge.mapping import Mapping
from recarena.client import Capability, Unreachable
from support.bridges import BASE, RANK, loaded

FEEDBACK = '[feedback]\npath = "/f"\n[[feedback.events]]\nof = ["rate"]\nevent = {}\n'

WRONG = {
    "a": ("base_url = ", "not TOML"),
    "b": (RANK, "base_url is missing: add it"),
    "c": ('base_url = "host:80"\n' + RANK, "base_url: an address is needed, for example http://"),
    "d": (BASE, "either [rank] or [batch] is needed, and not both"),
    "e": (BASE + RANK + '[batch]\npath = "/b"\n', "and not both"),
    "f": (BASE + RANK + 'itmes = "x"\n', "rank.itmes is not known; did you mean 'items'?"),
    "g": ("timout = 3\n" + BASE + RANK, "timout is not known; did you mean 'timeout'?"),
    "h": (BASE + RANK + 'items = "a[?"\n', "rank.items: 'a[?' is no JMESPath"),
    "i": (BASE + RANK + "id = 5\n", "rank.id: a JMESPath is a string"),
    "j": (BASE + '[rank]\npath = "/{usr_id}"\n', "rank.path: {usr_id} is not known here; did you"),
    "k": (BASE + RANK + 'paging = "them"\n', "rank.paging: Input should be 'bridge' or 'service'"),
    "l": (BASE + RANK + FEEDBACK.replace('"rate"', '"watch"'), "feedback.events.0.of.0: Input"),
    "m": (BASE + RANK + FEEDBACK.replace("event =", "evnt ="), "did you mean 'event'?"),
    "n": (BASE + RANK + FEEDBACK.replace("/f", "/f/{user_id}"), "use {events} in body, or per_req"),
    "o": (BASE + RANK.replace("/for", "/{values.db}"), "{values.db} is no key of [values]"),
    "p": ("concurrency = 0\n" + BASE + RANK, "concurrency: Input should be greater than or equal"),
    "q": ('headers = { A = "${NO_SUCH}" }\n' + BASE + RANK, "variable 'NO_SUCH' is not set"),
    "r": ('api_key_env = "NO_SUCH"\n' + BASE + RANK, "api_key_env: the environment variable"),
    "s": (BASE + RANK + '[auth]\nkind = "recombee-hmac"\ntoken_env = "NO"\n', "auth.token_env"),
    "t": (BASE + RANK + '[item_ids]\nfile = "none.csv"\n', "item_ids.file: none.csv: No such file"),
    "u": (BASE + RANK + '[item_ids]\nfile = "a"\nadd_prefix = "b"\n', "either file, or prefixes"),
    "v": (BASE + RANK + '[search]\nquery = { q = "{txt}" }\npath = "/"\n', "did you mean 'text'?"),
    "w": (
        BASE + RANK + '[train]\npath = "/"\n[train.status]\npath = "/"\n',
        "status.done is missing",
    ),
    "x": ('headers = { A = "é" }\n' + BASE + RANK, "headers.A: a header is of printable ASCII"),
}


@pytest.mark.parametrize(("text", "said"), WRONG.values(), ids=WRONG)
def test_a_wrong_mapping_is_one_line(text, said, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "my.toml").write_text(text)
    assert cli.main(["--check", "my.toml"]) == 2
    out, err = capsys.readouterr()
    assert out == ""
    assert len(err.splitlines()) == 1
    assert err.startswith("recarena-bridge: my.toml: ")
    assert said in err


@pytest.mark.parametrize(
    ("words", "said"),
    [
        ([], "which mapping? a file, or --mapping NAME"),
        (["a.toml", "--mapping", "gorse"], "which mapping?"),
        (["a.toml", "--try"], "--try goes with --check"),
        (["a.toml", "--sessions", "0"], "at least 1 is needed"),
        (["a.toml", "--retry-for", "-1"], "0 or more"),
        (["a.toml", "--tls-cert", "x.pem"], "--tls-cert needs --tls-key"),
    ],
)
def test_a_wrong_command_line_is_explained(words, said, capsys):
    with pytest.raises(SystemExit) as left:
        cli.main(words)
    assert left.value.code == 2
    assert said in capsys.readouterr().err


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["--mapping", "gorze"], "there is no mapping 'gorze'; did you mean 'gorse'?"),
        (["--show", "recombe"], "did you mean 'recombee'?"),
        (["nowhere.toml"], "nowhere.toml: No such file or directory"),
        (["--mapping", "gorse", "--set", "base_url"], "write KEY=VALUE"),
        (["--mapping", "gorse", "--set", "base_url.x=1"], "base_url is no table"),
        (["--mapping", "gorse", "--set", "rank.pth=/x"], "rank.pth is not known; did you mean"),
        (["--mapping", "recombee"], "the environment variable 'RECOMBEE_TOKEN' is not set"),
    ],
)
def test_what_is_not_there_is_named(words, said, monkeypatch, capsys):
    monkeypatch.delenv("RECOMBEE_TOKEN", raising=False)
    assert cli.main(["--check", *words]) == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert said in line


def test_shipped_mappings_are_listed_shown_and_good(monkeypatch, capsys):
    monkeypatch.setenv("RECOMBEE_TOKEN", "geheim")
    assert cli.main(["--list"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert (
        [line.split()[0] for line in lines] == list(shipped()) == ["generic", "gorse", "recombee"]
    )
    for name, text in shipped().items():
        assert cli.main(["--show", name]) == 0
        assert capsys.readouterr().out == text
        assert cli.main(["--check", "--mapping", name]) == 0
        assert capsys.readouterr().out.startswith(f"{name}: good; it asks http")


def test_the_generic_mapping_names_every_key_also_where_it_is_commented_out():
    text = shipped()["generic"]
    bare = "\n".join(line.removeprefix("# ") for line in text.splitlines())
    tables = [name for name, one in Mapping.model_fields.items() if name not in ("auth",)]
    assert [name for name in tables if name not in bare] == []
    shown = tomllib.loads(text)
    assert set(shown["rank"]) >= {"items", "id", "score", "explanation", "token", "paging", "extra"}


def test_settings_go_before_the_file_and_are_toml_where_they_can_be():
    one = loaded(BASE + RANK, "rank.extra=7", "base_url=http://there:1", "values.v=2").mapping
    assert one.rank is not None
    assert (one.rank.extra, one.base_url, one.values) == (7, "http://there:1", {"v": 2})


def test_the_environment_is_read_and_what_comes_from_it_is_hidden():
    text = 'api_key_env = "KEY"\nheaders = { Authorization = "Bearer ${TOKEN}" }\n' + BASE + RANK
    one = loaded(text, KEY="k/1", TOKEN="geheim")
    assert one.mapping.headers == {"Authorization": "Bearer geheim", "X-API-Key": "k/1"}
    assert one.hidden("geheim k/1 k%2F1 other") == "*** *** *** other"


@pytest.mark.parametrize(
    ("name", "text", "said"),
    [
        ("ids.csv", "a,1\na,2\n", "'a' stands there twice"),
        ("ids.csv", "a,1\nb,1\n", "'1' stands for two items"),
        ("ids.csv", "a;1\n", "line 1 has not two columns: 'a;1'"),
        ("ids.csv", "\n", "it holds no ids"),
        ("ids.json", "{", "not JSON"),
        ("ids.json", '["a"]', "not a JSON object of ids"),
        ("ids.json", '{"a": {"b": 1}}', "not a JSON object of ids"),
        ("ids.json", '{"a": 1, "a": 2}', "'a' stands there twice"),
    ],
)
def test_a_wrong_file_of_ids_is_explained(name, text, said, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / name).write_text(text)
    with pytest.raises(MappingError) as error:
        loaded(f'{BASE}{RANK}[item_ids]\nfile = "{name}"\n')
    assert said in str(error.value)


@pytest.mark.parametrize(
    ("name", "text"), [("ids.csv", "a,1\n\nb,2\n"), ("ids.json", '{"a": 1, "b": "2"}')]
)
def test_ids_are_turned_over_and_back_by_a_file(name, text, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / name).write_text(text)
    ids = loaded(f'{BASE}{RANK}[item_ids]\nfile = "{name}"\n').ids.of_catalog(["a", "c"])
    assert (ids.service("a"), ids.service("c"), ids.item("1"), ids.item("2")) == (
        "1",
        None,
        "a",
        None,
    )
    assert len(ids) == 1


def test_ids_are_turned_over_and_back_by_rules():
    rules = '[item_ids]\nstrip_prefix = "ml-"\nadd_prefix = "film:"\nadd_suffix = "!"\n'
    ids = loaded(BASE + RANK + rules).ids.of_catalog(["ml-1", "x"])
    assert [ids.service(one) for one in ("ml-1", "x")] == ["film:1!", "film:x!"]
    assert [ids.item(one) for one in ("film:1!", "film:x!", "film:2!")] == ["ml-1", "x", None]


def test_options_reach_the_sdk(monkeypatch, tmp_path):
    calls = []
    monkeypatch.setattr("recarena.client.serve", lambda *a, **k: calls.append((a, k)))
    path = tmp_path / "shop.toml"
    path.write_text(BASE + RANK + 'explanation = "why"\n[search]\npath = "/s"\n')
    words = ["--server", "h:1", "--sessions", "2", "--once", "--retry-for", "3", "--token", "t"]
    assert cli.main([str(path), *words]) == 0
    ((_, name), options) = calls[0]
    assert name == "shop"
    assert options["capabilities"] == [
        Capability.CAPABILITY_RANK, Capability.CAPABILITY_SEARCH, Capability.CAPABILITY_EXPLAIN
    ]  # fmt: skip
    wanted = {"server": "h:1", "sessions": 2, "once": True, "retry_for": 3.0, "token": "t",
              "encoding": "rich", "max_users_per_work": 16, "credentials": None}  # fmt: skip
    assert {key: options[key] for key in wanted} == wanted


def test_a_server_that_refuses_is_one_line(monkeypatch, tmp_path, capsys):
    def refuse(*_: object, **__: object) -> None:
        raise Unreachable("no session at h:1")

    monkeypatch.setattr("recarena.client.serve", refuse)
    path = tmp_path / "shop.toml"
    path.write_text(BASE + RANK)
    assert cli.main([str(path)]) == 1
    assert capsys.readouterr().err == "recarena-bridge: no session at h:1\n"
