"""Run histories from the command line.

::

    python -m tests.simulation                        # 1,000 histories
    python -m tests.simulation --from 1000 --count 20000
    python -m tests.simulation --seed 4711 -v         # one again, told step by step
    python -m tests.simulation --mutation no_fence    # what a missing safeguard does

Prints each history that breaks a promise, shrunk, with the command that replays it; the exit code is 1 then.
"""

from __future__ import annotations

import argparse
import contextlib
import sys
import time

from tests.simulation.history import History, draw
from tests.simulation.mutations import MUTATIONS
from tests.simulation.shrink import shrink
from tests.simulation.world import Verdict, live


def explain(verdict: Verdict, small: History | None = None) -> str:
    """What to print about a history that failed."""
    seed = verdict.history.seed
    lines = [f"history {seed} broke {len(verdict.complaints)} promises:"]
    lines += [f"  {complaint}" for complaint in verdict.complaints[:10]]
    lines += [verdict.table, str(verdict.history)]
    if small is not None and len(small.steps) < len(verdict.history.steps):
        lines += ["shrunk to", str(small), *live(small).complaints[:3]]
    lines.append(f"replay: python -m tests.simulation --seed {seed} -v")
    return "\n".join(lines)


def fails(history: History) -> bool:
    """Whether it breaks a promise."""
    return not live(history).clean


def one(seed: int, verbose: bool, shrinks: bool) -> bool:
    """Run one history; whether it was clean."""
    verdict = live(draw(seed), print if verbose else None)
    if verdict.clean:
        if verbose:
            print(verdict.table)
        return True
    print(explain(verdict, shrink(verdict.history, fails) if shrinks else None))
    return False


def main(arguments: list[str] | None = None) -> int:
    """Run what was asked for; the exit code."""
    parser = argparse.ArgumentParser(prog="python -m tests.simulation", description="Seeded histories with faults.")
    parser.add_argument("--seed", type=int, help="run this one")
    parser.add_argument("--from", type=int, default=0, dest="first", help="the first seed (0)")
    parser.add_argument("--count", type=int, default=1000, help="how many (1000)")
    parser.add_argument("--mutation", choices=sorted(MUTATIONS), help="take a safeguard out")
    parser.add_argument("-v", "--verbose", action="store_true", help="tell what happens")
    parser.add_argument("--no-shrink", action="store_true", help="print a failing history as it is")
    options = parser.parse_args(arguments)
    seeds = [options.seed] if options.seed is not None else range(options.first, options.first + options.count)
    began = time.perf_counter()
    with MUTATIONS[options.mutation]() if options.mutation else contextlib.nullcontext():
        bad = [seed for seed in seeds if not one(seed, options.verbose, not options.no_shrink)]
    took = time.perf_counter() - began
    print(f"{len(seeds)} histories in {took:.1f} s ({len(seeds) / took * 60:.0f} a minute), {len(bad)} broke a promise")
    if bad:
        print("seeds:", *bad)
    return 1 if bad else 0


if __name__ == "__main__":
    sys.exit(main())
