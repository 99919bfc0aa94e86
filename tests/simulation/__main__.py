"""`make simulate SEEDS=N [FROM=seed]`: so many weeks; each that breaks a promise is told in full."""

from __future__ import annotations

import argparse
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path

from bot.log import configure
from tests.simulation.ground import Ground
from tests.simulation.weeks import lived


def main(arguments: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="make simulate", description=__doc__)
    parser.add_argument("--seeds", type=int, default=1)
    parser.add_argument("--from", type=int, default=1, dest="first")
    parser.add_argument("--story", action="store_true", help="tell the weeks that went well, too")
    asked = parser.parse_args(arguments)
    configure(json=True, level="critical")
    broken = []
    with tempfile.TemporaryDirectory() as folder:
        ground = Ground(Path(folder))
        for seed in range(asked.first, asked.first + asked.seeds):
            ended = lived(seed, ground)
            if ended.broken is not None:
                broken.append(seed)
            if ended.broken is not None or asked.story:
                sys.stdout.write(ended.told() + "\n")
                sys.stdout.flush()  # a long run that is ended early has told what it found
    sys.stdout.write(f"{asked.seeds} weeks, {len(broken)} broke a promise{': ' if broken else ''}")
    sys.stdout.write(", ".join(map(str, broken)) + "\n")
    return 1 if broken else 0


if __name__ == "__main__":
    sys.exit(main())
