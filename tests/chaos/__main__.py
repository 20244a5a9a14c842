"""The chaos run: ``python -m tests.chaos [--seed N] [--seconds S] [--jobs J]``, or ``make chaos SEED=N``.

The real system with real servers under a steady load, while its processes are killed and stopped, its servers restarted
and emptied, its messages doubled. Then everything must settle and every promise be kept; what must hold is in
``checks.py``, ``model_checks.py`` and ``server_checks.py``.
"""

from __future__ import annotations

import argparse
import random
import sys
from dataclasses import replace
from pathlib import Path

from tests.chaos.plan import LONG, SHORT, Form, faults
from tests.chaos.report import as_markdown, lines, verdict
from tests.chaos.run import run


def _say(words: str) -> None:
    sys.stdout.write(f"{words}\n")
    sys.stdout.flush()


def _form(chosen: argparse.Namespace) -> Form:
    if chosen.short:
        return SHORT
    share = chosen.seconds / LONG.seconds
    # A run of another length has as many faults and jobs a minute, and waits no longer than a tenth of it.
    return replace(
        LONG,
        seconds=chosen.seconds,
        jobs=chosen.jobs or round(LONG.jobs * share),
        faults=chosen.faults or round(LONG.faults * share),
        least=LONG.least if share >= 1 else round((chosen.faults or LONG.faults * share) * 3 / 4),
        long=share >= 1,
        store_away=min(LONG.store_away, max(4.0, chosen.seconds / 10)),
        model_away=min(LONG.model_away, max(3.0, chosen.seconds / 10)),
        a_while=min(LONG.a_while, max(6.0, chosen.seconds / 20)),
    )


def main() -> int:
    options = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    options.add_argument("--seed", type=int, help="repeats the plan of an earlier run")
    options.add_argument("--seconds", type=float, default=LONG.seconds, help="how long there are faults")
    options.add_argument("--jobs", type=int, help="how many courses are asked for meanwhile")
    options.add_argument("--faults", type=int, help="how many faults there are at least")
    options.add_argument("--short", action="store_true", help="the form that make test has")
    options.add_argument("--plan", action="store_true", help="only print which faults would come when")
    options.add_argument("--markdown", type=Path, help="write the summary as a Markdown table to this file")
    options.add_argument("--keep", action="store_true", help="keep the home folder, whatever comes out")
    chosen = options.parse_args()
    seed = random.SystemRandom().randrange(1_000_000) if chosen.seed is None else chosen.seed
    form = _form(chosen)
    if chosen.plan:
        for fault in faults(form, seed):
            _say(f"{fault.at:7.1f} s  {fault.kind}" + (f", for {fault.lasting:.1f} s" if fault.lasting else ""))
        return 0
    report = run(form, seed, _say, keep=chosen.keep)
    for line in lines(report):
        _say(line)
    if chosen.markdown:
        chosen.markdown.write_text(as_markdown(report), "utf-8")
    _say(verdict(report))
    return 0 if report.holds else 1


if __name__ == "__main__":
    sys.exit(main())
