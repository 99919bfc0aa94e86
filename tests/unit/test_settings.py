"""Settings: where values come from, what is told when they are wrong, and what is warned of."""

from __future__ import annotations

import json
from collections.abc import Mapping
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st

from bot.errors import Problem, SettingsError
from bot.model import Priority
from bot.settings import Settings, load, render, schema, tally, warnings
from bot.settings.complaints import nearest
from bot.settings.effective import effective
from bot.settings.layers import variable

ROOT = Path(__file__).parents[2]
SMALL = """\
[sources.in]
kind = "folder"
path = "in"
[accounts.box]
network = "outbox"
[[routes]]
name = "all"
"""
TOKEN = "EAAGm0PX4ZCpsBAJtoken1234wxyz"


class Desk:
    """A project folder with a settings file and secrets; nothing of this machine's environment is read."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self.path = root / "config" / "wirepost.toml"
        self.path.parent.mkdir()
        self.environ = {"WIREPOST_SECRETS": str(root / "run")}

    def write(self, text: str) -> Desk:
        self.path.write_text(text, encoding="utf-8")
        return self

    def secret(self, name: str, text: str) -> Path:
        path = self.root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8")
        return path

    def load(self, **environ: str) -> Settings:
        return load(self.path, environ={**self.environ, **environ})

    def problems(self, **environ: str) -> list[Problem]:
        with pytest.raises(SettingsError) as caught:
            self.load(**environ)
        assert caught.value.exit_code == 2
        return caught.value.problems

    def only(self, **environ: str) -> Problem:
        (problem,) = self.problems(**environ)
        return problem

    def shown(self, **environ: str) -> str:
        return render(self.problems(**environ), self.path.read_text(encoding="utf-8"))


@pytest.fixture
def desk(tmp_path: Path) -> Desk:
    return Desk(tmp_path)


# -- what is read -------------------------------------------------------------------------------------------------


def test_the_shipped_file_runs_as_it_stands() -> None:
    """Issue item 1: sample folder, outbox, settle 0, first look all, a gap of 1 s; no warning."""
    settings = load(ROOT / "config/wirepost.toml", environ={"WIREPOST_SECRETS": "/nowhere"})
    source, rules = settings.sources["samples"], settings.editorial.sources["samples"]
    assert (source.kind, source.options.path) == ("folder", ROOT / "config/articles")
    assert (rules.settle, rules.first_look) == (timedelta(0), "all")
    account = settings.accounts["outbox"]
    assert (account.network, account.live) == ("outbox", True)
    assert account.options.folder == ROOT / "var/outbox"
    assert settings.editorial.caps_of("outbox").gap == timedelta(seconds=1)
    assert settings.store_url == f"sqlite:///{ROOT}/var/wirepost.db"
    assert warnings(settings) == []


def _give_all(desk: Desk) -> None:
    said = {
        "desk-x": ("consumer_key", "consumer_secret", "access_token", "access_token_secret"),
        "page-facebook": ("token",),
        "desk-mastodon": ("token",),
        "desk-bluesky": ("password",),
        "newsletter": ("secret",),
    }
    for account, keys in said.items():
        for key in keys:
            desk.secret(f"secrets/accounts/{account}/{key}", f"{TOKEN}\n")
    desk.secret("secrets/accounts/newsletter/url", "https://hooks.example.com/in")


def test_the_example_newsroom_loads_cleanly_with_its_secrets(desk: Desk) -> None:
    """3 sources, 6 accounts on the six networks, and no warning once the secrets are there."""
    desk.write((ROOT / "config/newsroom.example.toml").read_text(encoding="utf-8"))
    _give_all(desk)
    settings = desk.load()
    networks = {account.network for account in settings.accounts.values()}
    assert networks == {"x", "facebook", "mastodon", "bluesky", "webhook", "outbox"}
    assert len(settings.sources) == 3
    assert warnings(settings) == []
    assert {name for name, account in settings.accounts.items() if account.live} == {"outbox"}


def test_missing_secrets_are_named_with_the_place_where_they_go(desk: Desk) -> None:
    """The accounts can still be previewed; each missing secret is one warning."""
    desk.write((ROOT / "config/newsroom.example.toml").read_text(encoding="utf-8"))
    found = {problem.key: problem for problem in warnings(desk.load())}
    facebook = found["accounts.page-facebook"]
    assert facebook.level == "warning"
    assert "secrets/accounts/page-facebook/token" in facebook.fix
    assert "WIREPOST_ACCOUNTS__PAGE_FACEBOOK__TOKEN" in facebook.fix
    assert "no login is given" in found["accounts.desk-x"].message
    assert set(found) == {
        f"accounts.{n}" for n in ("desk-x", "page-facebook", "desk-mastodon", "desk-bluesky", "newsletter")
    }


def test_environment_over_secret_files_over_the_file_over_defaults(desk: Desk) -> None:
    """The order, key by key."""
    desk.write('house = "File"\nlog = "json"\n' + SMALL + '[alerts]\nwebhook = "https://hooks.example.com/file"\n')
    assert desk.load().editorial.house == "File"
    assert desk.load(WIREPOST_HOUSE="Environment").editorial.house == "Environment"

    def hook(**environ: str) -> str:
        webhook = desk.load(**environ).alerts.webhook
        assert webhook is not None
        return webhook.get_secret_value()

    assert hook() == "https://hooks.example.com/file"
    desk.secret("secrets/alerts/webhook", "https://hooks.example.com/secret\n")
    assert hook() == "https://hooks.example.com/secret"
    assert hook(WIREPOST_ALERTS__WEBHOOK="https://hooks.example.com/env") == "https://hooks.example.com/env"
    assert desk.load().workers == 8


@pytest.mark.parametrize(
    "where",
    [
        "secrets/accounts/page/token",
        "secrets/accounts__page__token",
        "run/accounts__page__token",
        "run/accounts/page/token",
        "run/wirepost_accounts__page__token",
    ],
)
def test_secrets_by_file_flat_and_nested(desk: Desk, where: str) -> None:
    """Docker's and Kubernetes' flat names, and folders; the newline at the end is no part of the secret."""
    desk.write('[accounts.page]\nnetwork = "facebook"\npage = "12"\n')
    desk.secret(where, f"{TOKEN}\n")
    desk.secret("run/..data/accounts__page__token", "hidden: Kubernetes' own copy")
    desk.secret("run/other_app_password", "not ours")
    (desk.root / "run" / "others.bin").write_bytes(b"\xff\xfe\x00")
    settings = desk.load()
    assert settings.accounts["page"].options.token.get_secret_value() == TOKEN
    origin = settings.origin(("accounts", "page", "token"))
    assert origin is not None
    assert (origin.kind, origin.where) == ("secret file", str(desk.root / where))
    assert TOKEN not in repr(settings)


def test_the_variable_with_file_behind_its_name(desk: Desk) -> None:
    """*_FILE reads a file; the variable itself wins; a file that isn't there is told."""
    desk.write('[accounts.desk-p]\nnetwork = "facebook"\npage = "12"\n')
    path = desk.secret("elsewhere/token", f"{TOKEN}\n")
    by_file = {"WIREPOST_ACCOUNTS__DESK_P__TOKEN_FILE": str(path)}
    assert desk.load(**by_file).accounts["desk-p"].options.token.get_secret_value() == TOKEN
    both = desk.load(**by_file, WIREPOST_ACCOUNTS__DESK_P__TOKEN="said")
    assert both.accounts["desk-p"].options.token.get_secret_value() == "said"
    gone = desk.only(WIREPOST_ACCOUNTS__DESK_P__TOKEN_FILE="/nowhere/token")
    assert (gone.file, gone.message) == (
        "WIREPOST_ACCOUNTS__DESK_P__TOKEN_FILE",
        "/nowhere/token can't be read: No such file or directory",
    )


def test_every_key_can_be_set_by_environment(desk: Desk) -> None:
    """Nested keys, lists as JSON, hyphens as underscores, the store's short form, text that looks like a number."""
    desk.write(SMALL + '[schedules.peak-time]\nmon-fri = ["07:15"]\n')
    settings = desk.load(
        WIREPOST_DEFAULTS__CAPS__HOUR="9",
        WIREPOST_DEFAULTS__QUIET='["23:00-06:00"]',
        WIREPOST_ACCOUNTS__BOX__QUIET='["01:00-02:00"]',
        WIREPOST_ACCOUNTS__BOX__CAPS__GAP="90s",
        WIREPOST_ACCOUNTS__BOX__LIVE="false",
        WIREPOST_SCHEDULES__PEAK_TIME__MON_FRI='["08:00", "09:00"]',
        WIREPOST_STORE="postgresql://me:hunter2@db/wire",
        WIREPOST_ACCOUNTS__PAGE__NETWORK="facebook",
        WIREPOST_ACCOUNTS__PAGE__PAGE="1234",
        WIREPOST_ACCOUNTS__PAGE__TOKEN="12345678901234567890",
        WIREPOST_VAR="/data",
        WIREPOST_LISTEN="127.0.0.1:9100",
        WIREPOST_ROUTES='[{"name": "given", "to": ["box"]}]',
        WIREPOST_SERVICE_HOST="10.0.0.1",
        WIREPOST_PORT="tcp://10.0.0.1:80",
    )
    assert settings.editorial.defaults.caps.hour == 9
    assert [str(span) for span in settings.editorial.quiet_of("box")] == ["01:00-02:00"]
    assert settings.editorial.caps_of("box").gap == timedelta(seconds=90)
    assert settings.accounts["box"].live is False
    assert len(settings.editorial.schedules["peak-time"].times(0)) == 2
    assert settings.store_url == "postgresql://me:hunter2@db/wire"
    assert settings.accounts["page"].options.token.get_secret_value() == "12345678901234567890"
    assert settings.accounts["page"].options.page == "1234"
    assert settings.var == Path("/data")
    assert settings.accounts["box"].options.folder == Path("/data/outbox")
    assert settings.listen == "127.0.0.1:9100"
    assert [route.name for route in settings.editorial.routes] == ["given"]
    assert "hunter2" not in repr(settings)


def test_the_key_comes_from_environment_or_file_never_from_the_toml(desk: Desk) -> None:
    """WIREPOST_KEY[_FILE], /run/secrets/wirepost_key, secrets/key; else var/key is where it will be made."""
    desk.write(SMALL)
    assert desk.load().key is None
    assert desk.load().key_file == desk.root / "var/key"
    for where in ("run/wirepost_key", "secrets/key"):
        path = desk.secret(where, "k" * 44)
        key = desk.load().key
        assert key is not None
        assert key.get_secret_value() == "k" * 44
        path.unlink()
    desk.secret("run/key", "somebody else's")
    assert desk.load().key is None
    assert desk.load(WIREPOST_KEY="q" * 44).key is not None
    desk.write('key = "abcdefghijklmnopqrst"\n' + SMALL)
    problem = desk.only()
    assert "secrets/key" in problem.fix
    assert "abcdefghijklmnop" not in desk.shown()


def test_paths_lie_in_the_projects_folder(tmp_path: Path) -> None:
    """The parent of a folder named config, else the file's own folder; absolute ones stay."""
    (tmp_path / "etc").mkdir()
    path = tmp_path / "etc" / "w.toml"
    path.write_text(SMALL + '[store]\nurl = "sqlite:///data/w.db"\n', encoding="utf-8")
    settings = load(path, environ={"WIREPOST_SECRETS": "/nowhere"})
    assert settings.root == tmp_path / "etc"
    assert settings.sources["in"].options.path == tmp_path / "etc" / "in"
    assert settings.store_url == f"sqlite:///{tmp_path}/etc/data/w.db"


def test_a_source_table_is_split_between_rules_and_options(desk: Desk) -> None:
    """Editorial keys go to the rules, the kind's own to its options, a key of both to both; the zone follows."""
    desk.write(
        'timezone = "Europe/London"\n[sources.in]\nkind = "folder"\npath = "in"\nsettle = "5s"\npriority = "breaking"\n'
        'timezone = "Asia/Kolkata"\nevery = "9s"\n[sources.two]\nkind = "folder"\npath = "two"\n'
    )
    settings = desk.load()
    rules, source = settings.editorial.sources["in"], settings.sources["in"]
    assert (rules.settle, rules.priority, rules.timezone) == (timedelta(seconds=5), Priority.BREAKING, "Asia/Kolkata")
    assert (source.options.every, source.zone.key) == (timedelta(seconds=9), "Asia/Kolkata")
    assert settings.sources["two"].zone.key == "Europe/London"


# -- what is wrong ------------------------------------------------------------------------------------------------

WRONG: Mapping[str, tuple[str, str, str]] = {
    "unknown network": (
        '[accounts.a]\nnetwork = "twiter"\n',
        '2:11: error: accounts.a.network: "twiter" is not a network',
        'did you mean "x"? Known: bluesky facebook',
    ),
    "unknown kind": (
        '[sources.a]\nkind = "foldr"\n',
        '2:8: error: sources.a.kind: "foldr" is not a kind of source',
        'did you mean "folder"? Known: feed folder',
    ),
    "no network": ("[accounts.a]\nlive = true\n", "1:1: error: accounts.a.network: is required", "Known: bluesky"),
    "missing option": (
        '[sources.a]\nkind = "folder"\n',
        "1:1: error: sources.a.path: is required",
        "",
    ),
    "duration": (
        '[defaults]\nmax_age = "6 hors"\n',
        '2:11: error: defaults.max_age: a length of time such as "90s", "4m", "6h" or "7d" is expected, not "6 hors"',
        "",
    ),
    "choice": (
        '[defaults]\non_change = "edt"\n',
        '2:13: error: defaults.on_change: "edt" is none of ask, edit, reply, ignore',
        'did you mean "edit"?',
    ),
    "enum": (
        '[[routes]]\nname = "a"\npriority = "braking"\n',
        '3:12: error: routes.0.priority: "braking" is none of breaking, normal, evergreen',
        'did you mean "breaking"?',
    ),
    "number": (
        '[defaults]\ncaps = { hour = "x" }\n',
        '2:17: error: defaults.caps.hour: a whole number is expected, not "x"',
        "",
    ),
    "bound": ("workers = 0\n", "1:11: error: workers: at least 1 is expected, not 0", ""),
    "union": (
        '[[routes]]\nname = "a"\nhold = 3\n',
        '3:8: error: routes.0.hold: true or false or a list such as ["a", "b"] is expected, not 3',
        "",
    ),
    "zone": (
        'timezone = "Europe/Londn"\n',
        '1:12: error: timezone: an IANA time zone such as "Europe/London" is expected, not "Europe/Londn"',
        'did you mean "Europe/London"?',
    ),
    "clock": (
        '[schedules.p]\nmon-fri = ["07:15", "25:00"]\n',
        '2:21: error: schedules.p.mon-fri.1: a time of day such as "07:15" is expected, not "25:00"',
        "",
    ),
    "pattern": (
        '[[routes]]\nname = "a"\n[[routes]]\nname = "b"\n[routes.when]\nheadline = "("\n',
        "5:1: error: routes.1.when: headline: not a regular expression",
        "",
    ),
    "unknown schedule": (
        '[[routes]]\nname = "a"\nschedule = "peeks"\n[schedules.peaks]\nasap = true\n',
        '3:12: error: routes.0.schedule: "peeks" is not a schedule',
        'did you mean "peaks"? Known: peaks',
    ),
    "unknown template": (
        '[[routes]]\nname = "a"\ntemplate = "t"\n',
        '3:12: error: routes.0.template: "t" is not a template',
        "there is none yet",
    ),
    "two of one name": (
        '[[routes]]\nname = "a"\n[[routes]]\nname = "a"\n',
        '4:8: error: routes.1.name: a second route has the name "a"',
        "",
    ),
    "bad template": (
        '[templates]\nt = "{{ headline }} {{ nothing_such }}"\n',
        "2:5: error: templates.t: ",
        "",
    ),
    "not a table": ("accounts = 3\n", "1:12: error: accounts: a table is expected, not 3", ""),
    "store": ('[store]\nurl = "mysql://h/d"\n', "2:7: error: store.url: an address such as", ""),
    "listen": ('listen = "here"\n', '1:10: error: listen: "host:port" such as', ""),
    "a parameter of the reader": (
        '_env_file = "x"\n',
        "1:1: error: _env_file: is not known in the top of the file",
        "",
    ),
}


@pytest.mark.parametrize("case", WRONG)
def test_p38_each_mistake_has_its_place_what_was_expected_and_the_fix(desk: Desk, case: str) -> None:
    """Line and column, key path, the human sentence, a caret with the nearest name; no pydantic words, no URL."""
    text, first, fix = WRONG[case]
    shown = desk.write(text).shown()
    assert f"wirepost.toml:{first}" in shown, shown
    assert fix in shown, shown
    for foreign in ("Value error", "pydantic", "https://errors", "Input should", "validation error"):
        assert foreign not in shown
    assert "^" in shown


MISPLACED: Mapping[str, tuple[str, str, str]] = {
    "grace in the wrong table": (
        '[accounts.box]\nnetwork = "outbox"\nmax_age = "3h"\n',
        "accounts.box.max_age",
        "[defaults]",
    ),
    "top instead of defaults": ('settle = "3s"\n', "settle", "[defaults] or [sources.NAME]"),
    "a cap outside caps": ("[defaults]\ngap = '4m'\n", "defaults.gap", "[defaults.caps]"),
    "another network's": (
        '[accounts.box]\nnetwork = "outbox"\nvisibility = "public"\n',
        "accounts.box.visibility",
        "[accounts.NAME] of mastodon",
    ),
    "a condition outside when": ('[[routes]]\nname = "a"\nsections = ["x"]\n', "routes.0.sections", "[routes.when]"),
}


@pytest.mark.parametrize("case", MISPLACED)
def test_p38_a_misplaced_key_is_told_where_it_belongs(desk: Desk, case: str) -> None:
    """A grace time in the wrong place has no effect: so it is an error with the right place."""
    text, key, home = MISPLACED[case]
    problem = desk.write(text).only()
    assert problem.key == key
    assert problem.message.startswith("is no key of")
    assert f"{key.rpartition('.')[2]} belongs in " in problem.fix
    assert home in problem.fix


MISSPELT: Mapping[str, tuple[str, str]] = {
    "top": ("hause = 'x'\n", "did you mean house?"),
    "caps": ("[defaults]\ncaps = { daay = 3 }\n", "did you mean defaults.caps.day?"),
    "option": ('[accounts.box]\nnetwork = "outbox"\nfoldr = "x"\n', "did you mean accounts.box.folder?"),
    "when": (
        '[[routes]]\nname = "a"\nwhen = { not = { hedline = "x" } }\n',
        "did you mean routes.0.when.not.headline?",
    ),
    "weekday": ('[schedules.p]\nmonn = ["08:00"]\n', "did you mean schedules.p.mon?"),
    "nothing near": ("[alerts]\nqqq = 1\n", "known here: allow_private silence webhook"),
}


@pytest.mark.parametrize("case", MISSPELT)
def test_p38_a_misspelt_key_is_told_the_nearest(desk: Desk, case: str) -> None:
    """Every table has its own known names, an account those of its network too."""
    text, fix = MISSPELT[case]
    assert fix in [problem.fix for problem in desk.write(text).problems()]


def test_all_mistakes_at_once(desk: Desk) -> None:
    """Never only the first: the file's, the accounts', the sources', the variables', in the file's order."""
    desk.write(
        'hause = "x"\n[accounts.a]\nnetwork = "twiter"\n[accounts.b]\nnetwork = "outbox"\nlive = "perhaps"\n'
        '[sources.s]\nkind = "fed"\n[[routes]]\nname = "r"\nschedule = "none"\n'
    )
    problems = desk.problems(WIREPOST_WORKERS="many", WIREPOST_LISEN="x")
    assert tally(problems) == "7 errors"
    lines = [int(line.split(":")[1]) for line in desk.shown().split("\n") if "wirepost.toml:" in line]
    assert lines == [1, 3, 6, 8, 11]


def test_a_wrong_variable_is_named_as_variable(desk: Desk) -> None:
    """Not a line of the file that says something else."""
    desk.write(SMALL)
    wrong = desk.only(WIREPOST_ACCOUNTS__BOX__LIVE="perhaps")
    assert (wrong.file, wrong.line, wrong.key) == ("WIREPOST_ACCOUNTS__BOX__LIVE", 0, "accounts.box.live")
    typo = desk.only(WIREPOST_LISEN=":1")
    assert (typo.file, typo.fix) == ("WIREPOST_LISEN", "did you mean WIREPOST_LISTEN?")
    nobody = desk.only(WIREPOST_ACCOUNTS__BX__FOLDER="x")
    assert (nobody.file, nobody.fix) == ("WIREPOST_ACCOUNTS__BX__FOLDER", 'did you mean "box"?')


SYNTAX: Mapping[str, tuple[str, int, int]] = {
    "no quotes": ('house = "x"\nnetwork = twitter\n', 2, 11),
    "no end": ('house = "x\n', 1, 11),
    "twice": ('[accounts.a]\nnetwork = "x"\n[accounts.a]\n', 3, 12),
    "at the end": ("quiet = [\n", 1, 10),
}


@pytest.mark.parametrize("case", SYNTAX)
def test_a_file_that_is_no_toml_is_told_with_line_and_column(desk: Desk, case: str) -> None:
    """tomllib's own place, on the line that it means."""
    text, line, column = SYNTAX[case]
    problem = desk.write(text).only()
    assert (problem.line, problem.column) == (line, column)
    assert problem.message.startswith("this is no TOML: ")


def test_a_file_that_can_not_be_read(desk: Desk) -> None:
    """Not there, or no UTF-8: one clean problem with the next step."""
    assert "wirepost init" in desk.only().fix
    desk.path.write_bytes(b'house = "\xe9"\n')
    assert desk.only().message == "byte 10 is no UTF-8"


# -- secrets ------------------------------------------------------------------------------------------------------


def test_p82_a_secret_in_the_file_is_an_error_with_the_right_place(desk: Desk) -> None:
    """At most four characters of it are shown, anywhere."""
    desk.write(f'[accounts.desk-fb]\nnetwork = "facebook"\npage = "12"\ntoken = "{TOKEN}"\n')
    shown = desk.shown()
    assert "wirepost.toml:4:1: error: accounts.desk-fb.token: a secret doesn't belong in this file" in shown
    assert "secrets/accounts/desk-fb/token" in shown
    assert "WIREPOST_ACCOUNTS__DESK_FB__TOKEN" in shown
    assert TOKEN[-4:] in shown
    assert TOKEN[-5:] not in shown


def test_p82_a_wrong_shaped_secret_is_refused_without_showing_it(desk: Desk) -> None:
    """A whole message pasted as the secret: refused by its shape, before any call."""
    desk.write('[accounts.hook]\nnetwork = "webhook"\n')
    pasted = "too short"
    desk.secret("secrets/accounts/hook/url", "https://hooks.example.com/in")
    path = desk.secret("secrets/accounts/hook/secret", pasted)
    problem = desk.only()
    assert (problem.file, problem.key) == (str(path), "accounts.hook.secret")
    assert pasted not in desk.shown()


@pytest.mark.parametrize("name", ["tokn", "pasword", "toke"])
def test_p82_a_secret_under_a_misspelt_key_is_not_quoted(desk: Desk, name: str) -> None:
    """Nobody knows what the key was meant to be: its value is dotted out."""
    desk.write(f'[accounts.a]\nnetwork = "facebook"\npage = "1"\n{name} = "{TOKEN}"\n')
    assert TOKEN[-5:] not in desk.shown()


@pytest.mark.parametrize("broken", ['token = "{}', "x = 1 token = '{}'", 'password = "{}" "'])
def test_p82_a_broken_line_shows_no_secret(desk: Desk, broken: str) -> None:
    """A syntax error on the very line."""
    desk.write(broken.format(TOKEN) + "\n")
    assert TOKEN[-5:] not in desk.shown()


def test_a_database_password_does_not_belong_in_the_file(desk: Desk) -> None:
    """The address with its password goes into WIREPOST_STORE; without one it may stay."""
    desk.write(SMALL + '[store]\nurl = "postgresql://me:hunter2@db/wire"\n')
    assert "WIREPOST_STORE" in desk.only().fix
    assert "hunter2" not in desk.shown()
    desk.write(SMALL + '[store]\nurl = "postgresql://db/wire"\n')
    assert desk.load().store_url == "postgresql://db/wire"


@hypothesis_settings(deadline=None, max_examples=20)
@given(secret=st.text(alphabet=st.characters(codec="ascii", categories=["L", "N"]), min_size=13, max_size=40))
def test_p82_no_problem_and_no_repr_holds_a_secret(tmp_path_factory: pytest.TempPathFactory, secret: str) -> None:
    """Whatever it is, and in whatever layer it was said."""
    desk = Desk(tmp_path_factory.mktemp("p")).write('[accounts.a]\nnetwork = "facebook"\npage = "x"\nlive = 7\n')
    problems = desk.problems(WIREPOST_ACCOUNTS__A__TOKEN=secret, WIREPOST_KEY=secret)
    assert secret[-5:] not in repr([(problem.message, problem.fix) for problem in problems])
    good = Desk(tmp_path_factory.mktemp("g")).write('[accounts.a]\nnetwork = "facebook"\npage = "1"\n')
    settings = good.load(WIREPOST_ACCOUNTS__A__TOKEN=secret, WIREPOST_KEY=secret)
    assert secret not in repr(settings)
    assert secret not in json.dumps([list(row) for row in effective(settings)], default=str)


# -- what can't be meant ------------------------------------------------------------------------------------------

TWO = '[accounts.a-x]\nnetwork = "outbox"\nfolder = "a"\n[accounts.b]\nnetwork = "outbox"\nfolder = "b"\n'
DOUBTFUL: Mapping[str, tuple[str, str]] = {
    "route to nobody": (
        '[[routes]]\nname = "r"\nto = ["b", "desk-*"]\n',
        'routes.0.to.1: "desk-*" names no account',
    ),
    "hold on nobody": ('[[routes]]\nname = "r"\nhold = ["c"]\n', 'routes.0.hold.0: "c" names no account'),
    "source that is not": (
        '[[routes]]\nname = "r"\nwhen = { sources = ["m"] }\n',
        'routes.0.when.sources.0: "m" names no source',
    ),
    "tags of nobody": ("[tags]\nmax = { defualt = 2 }\n", 'tags.max.defualt: "defualt" names no account or network'),
    "never matches": (
        '[[routes]]\nname = "all"\n[[routes]]\nname = "sport"\nwhen = { sections = ["sport"] }\n',
        'warning: route "sport" never matches: ',
    ),
    "slot in quiet hours": (
        (
            '[defaults]\nquiet = ["23:00-06:00"]\nmax_age = "30h"\n[schedules.p]\ndaily = ["05:30", "12:00"]\n'
            '[[routes]]\nname = "r"\nto = ["b"]\nschedule = "p"\n'
        ),
        "schedules.p.daily.0: the slot 05:30 lies in the quiet hours 23:00-06:00 of b",
    ),
    "cap below slots": (
        (
            '[defaults]\nmax_age = "30h"\ncaps = { hour = 9, day = 1, gap = "1m" }\n[schedules.p]\n'
            'daily = ["08:00", "12:00"]\n[[routes]]\nname = "r"\nto = ["b"]\nschedule = "p"\n'
        ),
        'routes.0.schedule: "p" has 2 slots a day, the cap of b is 1',
    ),
    "stale before the next slot": (
        '[schedules.p]\ndaily = ["07:15", "21:00"]\n[[routes]]\nname = "r"\nto = ["b"]\nschedule = "p"\n',
        'articles for "p" can be missed: up to 13h45m lie between two slots, and they are too old after 6h',
    ),
    "two names, one identity": (
        '[accounts.c]\nnetwork = "outbox"\nfolder = "b"\n',
        "accounts.c: c and b say the same of outbox",
    ),
}


UNREACHED = "no route goes to it: nothing is posted there but by hand"


def test_an_account_that_no_route_takes_and_settings_that_hold_nothing_are_said(desk: Desk) -> None:
    """Somebody added an account and thought of everything but its route; somebody saved an empty file."""
    settings = desk.write(TWO + '[[routes]]\nname = "r"\nto = ["a-*"]\n').load()
    assert [(one.key, one.message, one.line) for one in warnings(settings)] == [("accounts.b", UNREACHED, 4)]
    assert [one.message for one in warnings(desk.write("\n").load())] == [
        "there is no source and no account: nothing is posted"
    ]


@pytest.mark.parametrize("case", DOUBTFUL)
def test_the_second_pass_warns(desk: Desk, case: str) -> None:
    """Each of the plan's cross-checks: one warning, at its line, and the settings load all the same."""
    text, message = DOUBTFUL[case]
    settings = desk.write(TWO + text).load()
    found = [one for one in warnings(settings) if one.message != UNREACHED]
    assert len(found) == 1, found
    assert message in render(found, settings.text)
    assert found[0].level == "warning"
    assert found[0].line > 0


def test_quiet_slots_are_meant_where_the_route_says_so(desk: Desk) -> None:
    """quiet = [] on the route, or two clocks that can't be compared: no warning."""
    base = TWO + '[defaults]\nquiet = ["23:00-06:00"]\nmax_age = "30h"\n[[routes]]\nname = "r"\nschedule = "p"\n'
    slots = '[schedules.p]\ndaily = ["05:30", "12:00"]\n'
    assert warnings(desk.write(base + "quiet = []\n" + slots).load()) == []
    assert warnings(desk.write(base + slots + 'timezone = "Asia/Tokyo"\n').load()) == []


# -- schema, origins, names ---------------------------------------------------------------------------------------


def test_the_committed_schema_is_the_generated_one() -> None:
    """`wirepost settings schema --write` after each change of a model."""
    committed = json.loads((ROOT / "config/wirepost.schema.json").read_text(encoding="utf-8"))
    assert committed == schema()


@pytest.mark.parametrize("name", ["wirepost.toml", "newsroom.example.toml"])
def test_the_schema_takes_the_shipped_files_and_no_secret(name: str) -> None:
    """Read by an outside validator; a secret in the file is refused by editors too."""
    import tomllib

    from jsonschema import Draft202012Validator

    validator = Draft202012Validator(schema())
    said: dict[str, Any] = tomllib.loads((ROOT / "config" / name).read_text(encoding="utf-8"))
    assert [error.message for error in validator.iter_errors(said)] == []
    for account in said["accounts"].values():
        account["token"] = "x"
    assert not validator.is_valid(said)


def test_effective_values_say_who_said_them(desk: Desk) -> None:
    """File with line, variable, secret file, default; secrets only as set."""
    desk.write(SMALL + "[[routes]]\nname = 'two'\n[schedules.p]\ndaily = ['08:00']\n")
    settings = desk.load(WIREPOST_HOUSE="H", WIREPOST_ALERTS__WEBHOOK="https://hooks.example.com/x")
    rows = {key: (value, origin) for key, value, origin in effective(settings)}
    assert rows["house"] == ("H", "WIREPOST_HOUSE")
    assert rows["accounts.box.network"][1].endswith("wirepost.toml:5")
    assert rows["accounts.box.live"] == (True, "default")
    assert rows["defaults.max_age"] == ("6h", "default")
    assert rows["alerts.webhook"] == ("(set)", "WIREPOST_ALERTS__WEBHOOK")
    assert rows["routes.1.name"][0] == "two"
    assert rows["schedules.p.slots.daily"][1].endswith("wirepost.toml:11")


def test_names_near_each_other() -> None:
    """Case, hyphens and underscores don't count."""
    assert nearest("Max-Age", ["max_age", "settle"]) == "max_age"
    assert nearest("zzz", ["max_age"]) is None
    assert variable(("accounts", "desk-x", "token")) == "WIREPOST_ACCOUNTS__DESK_X__TOKEN"
