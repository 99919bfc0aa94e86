"""Run the measurements and print their tables: `make bench`, `make bench ONLY=delivery`; see README.md here."""

from __future__ import annotations

import argparse
import json
import sys
import tempfile
import time
from importlib import import_module
from pathlib import Path

from bench.figures import Figure, Means, machine, table

PAGE = Path(__file__).parents[1] / "docs" / "performance.md"
#: In this order. One file each, whose `measure` returns figures.
MEASUREMENTS = ("delivery", "latency", "planning", "history", "lateness", "startup", "memory", "wholerun")


def main() -> int:
    """0: every target is met, 1: some are not."""
    parser = argparse.ArgumentParser(prog="python -m bench", description=__doc__)
    parser.add_argument("only", nargs="*", metavar="MEASUREMENT", help=f"any of: {', '.join(MEASUREMENTS)}")
    parser.add_argument("--rounds", type=int, default=5, help="interleaved rounds of each measurement")
    parser.add_argument("--articles", type=int, metavar="N", help="so many articles instead of the full number")
    parser.add_argument("--of", nargs="+", default=[], metavar="CONTENDER", help="only these, such as httpx1 SQLite")
    parser.add_argument("--write", action="store_true", help=f"put the tables into {PAGE.name}, each in its place")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write the figures there, too")
    asked = parser.parse_args()
    unknown = sorted(set(asked.only) - set(MEASUREMENTS))
    if unknown:
        parser.error(f"no measurement {', '.join(unknown)}; there are {', '.join(MEASUREMENTS)}")
    about = machine()
    found: dict[str, list[Figure]] = {}
    print(about)
    with tempfile.TemporaryDirectory(prefix="wirepost-bench-") as folder:
        means = Means(asked.rounds, Path(folder), asked.articles, frozenset(asked.of))
        for name in asked.only or MEASUREMENTS:
            began = time.monotonic()
            print(f"\n{name}", flush=True)
            found[name] = import_module(f"bench.{name}").measure(means)
            print(f"  {time.monotonic() - began:.0f} s", flush=True)
            if asked.write:
                PAGE.write_text(with_table(PAGE.read_text("utf-8"), name, f"{table(found[name])}\n\n{about}."), "utf-8")
    figures = [one for name in found for one in found[name]]
    print(f"\n{about}\n\n{table(figures)}")
    if asked.json is not None:
        asked.json.write_text(json.dumps({"machine": about, "figures": [_as_object(one) for one in figures]}, indent=1))
    return 1 if any(one.met(one.target) is False for one in figures) else 0


def with_table(page: str, name: str, text: str) -> str:
    """The page with this text between the measurement's two marks. Raises ValueError if they are not there."""
    start, end = f"<!-- {name} -->\n", f"<!-- end of {name} -->"
    before, _, rest = page.partition(start)
    _, mark, after = rest.partition(end)
    if not mark:
        raise ValueError(f"the page has no place for {name}")
    return f"{before}{start}\n{text}\n\n{end}{after}"


def _as_object(one: Figure) -> dict[str, object]:
    return {
        "name": one.name,
        "unit": one.unit,
        "values": list(one.values),
        "median": one.median,
        "target": one.target,
        "stretch": one.stretch,
        "met": one.met(one.target),
    }


if __name__ == "__main__":
    sys.exit(main())
