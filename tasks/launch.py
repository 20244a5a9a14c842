"""``celery --app tasks.app worker ...`` and ``... beat`` as ``coursewright up`` starts them: the same commands with the
same options, a fifth sooner.

Celery's own entry point first imports all its other commands, a shell among them, and Flower, because it is installed:
a quarter of a second of processor time in each of four processes, and again in each that is started anew.
"""

from __future__ import annotations

import sys

from celery.bin.base import CLIContext
from celery.bin.beat import beat
from celery.bin.worker import worker

from tasks.app import app

_COMMANDS = {"worker": worker, "beat": beat}
_BEFORE = ["--app", "tasks.app"]


def main(argv: list[str]) -> None:
    """Run a worker or beat until it is stopped. Exits with 1 when ``argv`` asks for anything else."""
    name = argv[2] if len(argv) > 2 else ""
    if argv[:2] != _BEFORE or name not in _COMMANDS:
        sys.exit(f"Only --app tasks.app worker and --app tasks.app beat are started here, not {' '.join(argv)!r}.")
    _COMMANDS[name].main(
        args=argv[3:],
        prog_name=f"celery {name}",
        obj=CLIContext(app=app, no_color=False, workdir=None, quiet=False),
        auto_envvar_prefix=f"CELERY_{name.upper()}",
    )


if __name__ == "__main__":
    main(sys.argv[1:])
