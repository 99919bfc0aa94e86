"""The measurements: that they run at all, check what they measured, and judge by the median."""

from __future__ import annotations

import subprocess
import sys

import pytest

from bench.__main__ import MEASUREMENTS, PAGE, with_table
from bench.delivery import checked
from bench.figures import Figure, ratios, table
from bench.server import Got
from tests.e2e.process import PATIENCE, ROOT, environment


def test_a_measurement_runs_and_prints_its_table() -> None:
    """The smallest one: two articles, one contender. Exit 1: so small a run misses the target for CPU."""
    done = subprocess.run(
        [sys.executable, "-m", "bench", "delivery", "--rounds", "1", "--articles", "2", "--of", "SQLite"],
        cwd=ROOT,
        env=environment(),
        capture_output=True,
        text=True,
        timeout=PATIENCE,
        check=False,
    )
    assert done.returncode in (0, 1), done.stderr
    assert "| … posts |" in done.stdout, done.stderr
    assert "… commits" in done.stdout


def test_every_measurement_is_explained() -> None:
    """It has a place in the page for its table, and a line in the README."""
    page, readme = PAGE.read_text("utf-8"), (ROOT / "bench" / "README.md").read_text("utf-8")
    for name in MEASUREMENTS:
        assert "\n\nHERE\n\n" in with_table(page, name, "HERE")
        assert f"| `{name}.py` |" in readme
    with pytest.raises(ValueError, match="no place for speed"):
        with_table(page, "speed", "HERE")


def test_the_median_decides_and_bounds_point_the_right_way() -> None:
    rate = Figure("rate", "posts/s", [10.0, 30.0, 20.0], target=20, stretch=25)
    late = Figure("late", "ms", [300.0, 1.0, 200.0], target=250, stretch=150, more=False)
    assert (rate.met(rate.target), rate.met(rate.stretch)) == (True, False)
    assert (late.met(late.target), late.met(late.stretch)) == (True, False)
    lines = table([rate, late, Figure("missed", "ms", [251.0], target=250, more=False)]).splitlines()
    assert lines[2] == "| rate | ≥ 20 posts/s | ≥ 25 posts/s | **20 posts/s** [10 to 30] | 3 | yes |"
    assert lines[4].endswith("| **no** |")
    assert ratios([{"x": 3.0}, {"x": 8.0}], [{"x": 1.5}, {"x": 4.0}], "x") == [2.0, 2.0]


class Told:
    """A server that was told what it got."""

    def __init__(self, *posts: tuple[str, int]) -> None:
        self.got = [Got(account, f"Story, 1-{number}\n\nhttps://www.example.com/", 0.0) for account, number in posts]

    def posts(self) -> list[Got]:
        return self.got


@pytest.mark.parametrize(
    "posts", [[("1", 0)], [("1", 0), ("1", 0)], [("1", 1), ("1", 0)]], ids=["lost", "doubled", "disordered"]
)
def test_a_run_with_a_lost_doubled_or_disordered_post_has_no_figure(posts: list[tuple[str, int]]) -> None:
    with pytest.raises(RuntimeError):
        checked(Told(*posts), 2)
    checked(Told(("1", 0), ("2", 0), ("1", 1)), 3)
