"""The container: small, pinned, not root, read-only, one volume, and able to say that it is well."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from pathlib import Path

import yaml

ROOT = Path(__file__).parents[2]
DOCKERFILE = ROOT / "Dockerfile"


def _instructions() -> list[tuple[str, str]]:
    """The instructions in order, with continued lines joined and comments left out."""
    lines = [line for line in DOCKERFILE.read_text("utf-8").splitlines() if not line.startswith("#")]
    joined = re.sub(r"\\\n\s*", "", "\n".join(lines))
    return [(word, rest.strip()) for word, _, rest in (line.partition(" ") for line in joined.splitlines() if line)]


def _last_stage() -> list[tuple[str, str]]:
    found = _instructions()
    return found[max(at for at, (word, _) in enumerate(found) if word == "FROM") :]


def _all(word: str, instructions: list[tuple[str, str]] | None = None) -> list[str]:
    return [rest for found, rest in (instructions or _instructions()) if found == word]


def test_hadolint_finds_nothing() -> None:
    hadolint = Path(sys.executable).parent / "hadolint"
    done = subprocess.run(
        [hadolint, "--no-color", "--failure-threshold", "style", DOCKERFILE],
        capture_output=True,
        text=True,
        check=False,
    )
    assert (done.returncode, done.stdout) == (0, ""), done.stdout + done.stderr


def test_it_has_two_stages_on_one_pinned_base() -> None:
    assert _all("FROM") == ["${BASE} AS build", "${BASE}"]
    assert re.fullmatch(r"BASE=python:3\.\d+-slim-[a-z]+(@sha256:[0-9a-f]{64})?", _all("ARG")[0])


def test_packages_come_from_the_lock_in_a_layer_before_the_code() -> None:
    words = [f"{word} {rest}" for word, rest in _instructions()]
    lock, code = words.index("COPY requirements.lock ./"), words.index("COPY bot bot")
    install = next(at for at, line in enumerate(words) if "--require-hashes" in line)
    assert lock < install < code
    assert "--no-deps --no-build-isolation" in words[code + 1]
    assert all("--compile" in line for line in words if "pip install" in line), "a read-only root can't compile later"


def test_it_runs_as_a_numbered_user_that_is_not_root() -> None:
    user, group = _all("USER", _last_stage())[-1].split(":")
    assert int(user) >= 10_000
    assert int(group) >= 10_000


def test_it_writes_to_one_volume_only() -> None:
    assert _all("VOLUME") == ["/data"]
    assert "WIREPOST_VAR=/data" in " ".join(_all("ENV"))
    assert "WIREPOST_CONFIG=/config/wirepost.toml" in " ".join(_all("ENV"))


def test_no_shell_stands_between_the_program_and_a_signal() -> None:
    """P102: SIGTERM reaches the bot itself only in the exec form."""
    assert json.loads(_all("ENTRYPOINT")[-1]) == ["wirepost"]
    assert json.loads(_all("CMD")[-1]) == ["run"]


def test_its_health_is_asked_of_the_worker() -> None:
    health = _all("HEALTHCHECK")
    assert len(health) == 1
    command = json.loads(health[0].partition("CMD ")[2])
    assert command[:2] == ["python", "-c"]
    compile(command[2], "HEALTHCHECK", "exec")
    assert "/live" in command[2]
    port = re.search(r":(\d+)/live", command[2])
    assert port is not None
    assert f"WIREPOST_LISTEN=0.0.0.0:{port[1]}" in " ".join(_all("ENV"))


def test_nothing_secret_and_nothing_big_goes_to_the_builder() -> None:
    lines = [line for line in (ROOT / ".dockerignore").read_text("utf-8").splitlines() if not line.startswith("#")]
    assert lines[0] == "*", "everything is left out but what is named"
    copied = {word for rest in _all("COPY") if "--from" not in rest for word in rest.split()[:-1]}
    assert {line[1:] for line in lines if line.startswith("!")} == copied


def test_the_compose_file_keeps_the_promises_of_the_image() -> None:
    service = yaml.safe_load((ROOT / "compose.yaml").read_text("utf-8"))["services"]["wirepost"]
    assert service["read_only"] is True
    assert service["cap_drop"] == ["ALL"]
    assert service["security_opt"] == ["no-new-privileges:true"]
    assert service["user"] == _all("USER")[-1]
    assert "./config:/config:ro" in service["volumes"]
    assert [volume for volume in service["volumes"] if volume.endswith(":/data")] == ["wirepost-data:/data"]
    assert all(port.startswith("127.0.0.1:") for port in service["ports"])
    assert int(service["stop_grace_period"].removesuffix("s")) > 25, "a stop waits 25 s for what is on the wire"
