"""The chaos run in its short form. ``CHAOS_SEED`` repeats the plan of faults of an earlier one."""

from __future__ import annotations

import os
import random
import subprocess
import sys

import pytest

from tests.acceptance.conftest import ROOT
from tests.chaos.plan import KINDS, LONG, SHORT, Form, faults


@pytest.mark.chaos
def test_nothing_is_lost_doubled_or_stuck() -> None:
    seed = os.environ.get("CHAOS_SEED") or str(random.SystemRandom().randrange(1_000_000))
    ended = subprocess.run(
        [sys.executable, "-m", "tests.chaos", "--short", "--seed", seed],
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=170,
        check=False,
    )
    assert ended.returncode == 0, f"CHAOS_SEED={seed} repeats these faults.\n{ended.stdout}\n{ended.stderr}"
    assert f"chaos: seed {seed}: all " in ended.stdout


@pytest.mark.parametrize("form", [SHORT, LONG])
@pytest.mark.parametrize("seed", [1, 2, 3])
def test_a_plan_is_repeatable_and_has_every_kind(form: Form, seed: int) -> None:
    plan = faults(form, seed)
    assert plan == faults(form, seed)
    assert plan != faults(form, seed + 1)
    assert {fault.kind for fault in plan} == set(KINDS)
    assert all(fault.at > 0 and fault.at + fault.lasting <= max(form.seconds, fault.lasting + 0.5) for fault in plan)
    if form is LONG:
        assert len(plan) >= 100
