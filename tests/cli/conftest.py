"""What the tests of commands share."""

from __future__ import annotations

import pytest
from house import House, Run


@pytest.fixture
def run(capsys: pytest.CaptureFixture[str]) -> Run:
    """A command's stdout and stderr; its exit code must be the one expected."""

    def run(made: House, *words: str, code: int = 0) -> tuple[str, str]:
        capsys.readouterr()
        found = made.call(*words)
        told = capsys.readouterr()
        assert found == code, f"{found}: {told.out}{told.err}"
        assert "Traceback" not in told.err
        return told.out, told.err

    return run
