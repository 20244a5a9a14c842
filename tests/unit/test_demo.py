"""What the demo does with a signal. The demo itself is in the acceptance tests."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[2]

#: The signal comes while an object is being finalized: there Python prints what is raised, and goes on.
LOST = """
import os, signal, sys
from web.demo import Client, Ending

ending = Ending()
signal.signal(signal.SIGTERM, ending)

class Finalized:
    def __del__(self):
        os.kill(os.getpid(), signal.SIGTERM)
        for _ in range(1000):
            pass

thing = Finalized()
del thing
print("went on", flush=True)
Client("http://127.0.0.1:9", "token", "organization", ending.check).call("GET", "/")
"""


def test_an_end_that_was_asked_for_in_a_bad_moment_comes_before_the_next_call() -> None:
    environment = os.environ | {"PYTHONPATH": str(ROOT)}
    ran = subprocess.run([sys.executable, "-c", LOST], cwd=ROOT, env=environment, capture_output=True, text=True)
    assert ran.stdout == "went on\n", ran.stderr
    assert ran.returncode == 128 + signal.SIGTERM
