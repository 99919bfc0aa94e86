"""What a measurement says: figures with targets, rounds that are interleaved and shuffled, the table."""

from __future__ import annotations

import multiprocessing
import os
import platform
import random
import sqlite3
import statistics
from collections.abc import Callable, Iterable, Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass, field
from importlib.metadata import version
from pathlib import Path
from typing import Any, TypeVar

T = TypeVar("T")

#: One run of one contender: its values by name, such as {"posts/s": 950.0, "CPU ms": 0.8}.
Sample = Mapping[str, float]


@dataclass(frozen=True, slots=True)
class Figure:
    """One line of the table. `target` and `stretch` are bounds: at least where `more` is better, else at most."""

    name: str
    unit: str
    values: Sequence[float]
    target: float | None = None
    stretch: float | None = None
    more: bool = True
    note: str = ""

    @property
    def median(self) -> float:
        return statistics.median(self.values)

    def met(self, bound: float | None) -> bool | None:
        """Does the median keep the bound? None: there is none."""
        return None if bound is None else self.median >= bound if self.more else self.median <= bound


@dataclass(frozen=True, slots=True)
class Means:
    """What every measurement is given. `articles` and `contenders`, if said, cut it down for a quick look."""

    rounds: int
    folder: Path
    articles: int | None = None
    contenders: frozenset[str] = frozenset()
    random: random.Random = field(default_factory=lambda: random.Random(1))

    def fresh(self, name: str) -> Path:
        """A new, empty folder."""
        for number in range(10_000):
            path = self.folder / f"{name}-{number}"
            if not path.exists():
                path.mkdir(parents=True)
                return path
        raise RuntimeError(f"no room for {name} in {self.folder}")


def interleaved(means: Means, contenders: Mapping[str, Callable[[], Sample]]) -> dict[str, list[Sample]]:
    """Each contender once per round, in another order each time, so that what the machine does meets them all."""
    wanted = [name for name in contenders if not means.contenders or name in means.contenders]
    found: dict[str, list[Sample]] = {name: [] for name in wanted}
    for number in range(means.rounds):
        means.random.shuffle(wanted)
        for name in wanted:
            found[name].append(contenders[name]())
            told = ", ".join(f"{value:,.4g} {unit}" for unit, value in found[name][-1].items())
            print(f"  round {number + 1}: {name}: {told}", flush=True)
    return found


def of(samples: Iterable[Sample], name: str) -> list[float]:
    """One value of each sample."""
    return [sample[name] for sample in samples]


def ratios(samples: Sequence[Sample], reference: Sequence[Sample], name: str) -> list[float]:
    """Round by round: the value over the reference's of the same round (none where one of the two was left out)."""
    return [one[name] / other[name] for one, other in zip(samples, reference, strict=False)]


def apart(function: Callable[..., T], *arguments: Any) -> T:
    """The result of a call in a new process: memory, garbage and threads of what ran before don't count."""
    with ProcessPoolExecutor(1, mp_context=multiprocessing.get_context("spawn")) as pool:
        return pool.submit(function, *arguments).result()


def machine() -> str:
    """On what this was measured."""
    load = ", ".join(f"{one:.2f}" for one in os.getloadavg())
    return (
        f"{os.cpu_count()} cores, {platform.system()} {platform.machine()}; Python {platform.python_version()}, "
        f"SQLite {sqlite3.sqlite_version}, httpx {version('httpx')}, httpcore {version('httpcore')}, "
        f"SQLAlchemy {version('SQLAlchemy')}; load before: {load}"
    )


def table(figures: Sequence[Figure]) -> str:
    """Markdown. A figure without a target is shown for what explains the others."""
    rows: list[tuple[str, ...]] = [("figure", "target", "stretch", "median [min to max]", "n", "met"), ("---",) * 6]
    for one in figures:
        sign = "≥" if one.more else "≤"
        bounds = [f"{sign} {_number(bound)} {one.unit}" if bound is not None else "" for bound in _bounds(one)]
        spread = f"[{_number(min(one.values))} to {_number(max(one.values))}]" if len(one.values) > 1 else ""
        measured = f"**{_number(one.median)} {one.unit}** {spread}".strip() + (f" {one.note}" if one.note else "")
        rows.append((one.name, *bounds, measured, str(len(one.values)), _verdict(one)))
    return "\n".join("| " + " | ".join(row) + " |" for row in rows)


def _bounds(one: Figure) -> tuple[float | None, float | None]:
    return one.target, one.stretch


def _verdict(one: Figure) -> str:
    if one.target is None:
        return ""
    return "stretch" if one.met(one.stretch) else "yes" if one.met(one.target) else "**no**"


def _number(value: float) -> str:
    """Three figures that count, whole thousands kept."""
    return f"{value:,.0f}" if abs(value) >= 100 else f"{value:.3g}"
