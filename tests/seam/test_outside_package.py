"""The seams, proved: an outside package brings a network and a source, and nothing of Wirepost is edited for them.

`noticeboard/` is such a package. It is really built and installed (pip, no index) into a folder of its own, and tried
in processes that have that folder on their path.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

PACKAGE = Path(__file__).parent / "noticeboard"
ROOT = Path(__file__).parents[2]
SETTINGS = """\
house    = "The Daily Example"
timezone = "Europe/Berlin"

[sources.sheet]
kind          = "spreadsheet"
url           = "{base}/sheet.csv"
settle        = "0s"
first_look    = "all"
allow_private = true

[accounts.town]
network       = "noticeboard"
base          = "{base}"
live          = true
caps          = {{ gap = "0s" }}
allow_private = true

[[routes]]
name = "everything"
to   = ["*"]
"""
#: The worker's steps, each once, without its threads: what `wirepost run --once` does.
STEPS = """
import sys
from pathlib import Path
from bot.app import begin, build, prepare
from bot.flow import check, deliver, discover, plan, schedule
from bot.settings import environment, load
settings = load(Path(sys.argv[1]), environ=environment())
prepare(settings)
app = build(settings)
begin(app)
for source in app.newsroom.sources.values():
    discover.look(app.newsroom, source, anyway=True)
check.run(app.newsroom)
plan.run(app.newsroom)
schedule.run(app.newsroom)
deliver.run_account(app.newsroom, "town")
app.close()
"""


@pytest.fixture(scope="module")
def installed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder that the package was installed into."""
    build = tmp_path_factory.mktemp("outside")
    shutil.copytree(PACKAGE, build / "package")
    _run(
        "-m", "pip", "--disable-pip-version-check", "install", "--quiet", "--no-index", "--no-deps",
        "--no-build-isolation", "--target", build / "site", build / "package",
    )  # fmt: skip
    return build / "site"


def _run(*arguments: str | Path, path: Path | None = None, cwd: Path | None = None) -> str:
    """A Python process's output; its failure is the test's."""
    ours = os.environ  # noqa: TID251 -- a child process gets it, less what belongs to this run
    environ = {name: value for name, value in ours.items() if not name.startswith(("PYTEST_", "WIREPOST_"))}
    if path is not None:
        environ["PYTHONPATH"] = os.pathsep.join((str(path), str(ROOT)))
    done = subprocess.run(
        [sys.executable, *map(str, arguments)], cwd=cwd, env=environ, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def test_both_are_found_by_their_entry_points_and_imported_only_when_asked_for(installed: Path) -> None:
    code = (
        "import sys; from bot import networks, sources\n"
        "assert 'noticeboard' in networks.names() and 'spreadsheet' in sources.kinds()\n"
        "assert not [name for name in sys.modules if name.startswith('wirepost_noticeboard')]\n"
        "print(networks.network('noticeboard').title, '+', sources.kind('spreadsheet').title)"
    )
    assert _run("-c", code, path=installed).strip() == "Notice board + Spreadsheet"


def test_both_pass_the_public_contract_suites(installed: Path, tmp_path: Path) -> None:
    """The package's own tests are 20 lines: the suites are Wirepost's."""
    shutil.copytree(PACKAGE / "tests", tmp_path / "tests")
    (tmp_path / "pytest.ini").write_text("[pytest]\nfilterwarnings = error\n")
    told = _run("-m", "pytest", "-q", "-p", "no:cacheprovider", "-p", "no:randomly", path=installed, cwd=tmp_path)
    closing = told.strip().splitlines()[-1]
    passed = int(closing.split(" passed")[0].split()[-1])
    # 15 cases of the fixture, 17 unexpected answers, and what else the two suites ask.
    assert passed >= 40, told
    assert not {"failed", "skipped", "error"} & set(closing.replace(",", "").split()), told


def test_neither_is_longer_than_an_outsider_can_write_in_a_morning() -> None:
    for name in ("network.py", "source.py"):
        lines = (PACKAGE / "wirepost_noticeboard" / name).read_text("utf-8").splitlines()
        assert len([line for line in lines if line.strip()]) <= 60, name


class Town(BaseHTTPRequestHandler):
    """The sheet and the board, on one loopback server."""

    pinned: list[dict[str, str]]

    def do_GET(self) -> None:
        sheet = "id,headline,link\n1,Market day moves to Friday,https://www.example.com/market\n"
        self._answer(200, sheet if self.path == "/sheet.csv" else json.dumps({"id": "b-17", "name": "Town board"}))

    def do_POST(self) -> None:
        self.pinned.append(json.loads(self.rfile.read(int(self.headers["Content-Length"]))))
        self._answer(201, json.dumps({"id": f"n-{len(self.pinned)}", "url": "https://board.example.com/n"}))

    def _answer(self, status: int, text: str) -> None:
        body = text.encode()
        self.send_response(status)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, format: str, *args: object) -> None:
        """Silence."""


@pytest.fixture
def town() -> Iterator[tuple[str, list[dict[str, str]]]]:
    """The server's address, and what was pinned on its board."""
    pinned: list[dict[str, str]] = []
    server = ThreadingHTTPServer(("127.0.0.1", 0), type("Handler", (Town,), {"pinned": pinned}))
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    yield f"http://127.0.0.1:{server.server_address[1]}", pinned
    server.shutdown()
    server.server_close()
    thread.join()


def test_an_article_travels_from_the_outside_source_to_the_outside_network(
    installed: Path, town: tuple[str, list[dict[str, str]]], tmp_path: Path
) -> None:
    """Settings, rules, store and door take both as they take the house's own; a second run pins nothing twice."""
    base, pinned = town
    settings = tmp_path / "config" / "wirepost.toml"
    settings.parent.mkdir()
    settings.write_text(SETTINGS.format(base=base))
    token = tmp_path / "secrets" / "accounts" / "town" / "token"
    token.parent.mkdir(parents=True)
    token.write_text("secret-token-b1")
    for _ in range(2):
        _run("-c", STEPS, settings, path=installed)
        assert [notice["text"] for notice in pinned] == ["Market day moves to Friday\n\nhttps://www.example.com/market"]
