"""One run: start everything, load and break it, let it settle, look, stop it, look again."""

from __future__ import annotations

import shutil
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import psycopg2

from tests.chaos import checks, server_checks
from tests.chaos.evidence import gather
from tests.chaos.faults import Attack
from tests.chaos.ledger import Ledger
from tests.chaos.load import Client, Load
from tests.chaos.model import Model, serving
from tests.chaos.model_checks import CHECKS as MODEL_CHECKS
from tests.chaos.model_checks import ModelCalls
from tests.chaos.plan import Form, faults
from tests.chaos.plan_checks import carried_out
from tests.chaos.recovery import come_back_in_time, recoveries
from tests.chaos.report import Report, count_jobs, lines, timeline, verdict
from tests.chaos.system import System, halt, launch

#: Beyond STALE_AFTER_SECONDS, how long after the last fault everything must have settled.
SETTLE_WITHIN = 60.0
#: High enough that nothing is given up for kills alone.
_MAX_RETRIES = 20
#: Checks that look at the run as a whole.
SETTLES = "everything settles in time"
STOPS = "everything stops, and nothing is left behind"
CARRIED_OUT = "the plan was carried out"
BACK_IN_TIME = "jobs of a killed worker are back in time"

Say = Callable[[str], None]


def run(form: Form, seed: int, say: Say, *, keep: bool = False) -> Report:
    """A whole run. The home folder of one that failed is kept, and said; with ``keep`` that of any."""
    began = time.monotonic()
    home = Path(tempfile.mkdtemp(prefix=f"coursewright-chaos-{seed}-"))
    home.chmod(0o755)
    report = Report(seed, form.seconds, form.stale_after)
    with serving(form.thinking, home / "model.log") as model:
        system = launch(home, **_settings(form, model))
        say(f"chaos: seed {seed}: up after {time.monotonic() - began:.1f} s, home {home}")
        try:
            _under_attack(system, model, form, report, say)
        finally:
            report.violations[STOPS] = halt(system)
    report.whole = time.monotonic() - began
    (home / "chaos.txt").write_text("\n".join([*timeline(report), *lines(report), verdict(report), ""]), "utf-8")
    if report.holds and not keep:
        shutil.rmtree(home, ignore_errors=True)
    else:
        say(f"chaos: what was left is in {home}; the faults are in chaos.txt, the logs in logs/")
    return report


def _settings(form: Form, model: Model) -> dict[str, str]:
    return {
        "OPENAI_BASE_URL": model.url,
        "STALE_AFTER_SECONDS": f"{form.stale_after:g}",
        "HEARTBEAT_SECONDS": "0.5",
        "JOB_MAX_RETRIES": str(_MAX_RETRIES),
        "MODEL_TIMEOUT_SECONDS": f"{form.model_timeout:g}",
        "RESEND_AFTER_SECONDS": f"{form.resend_after:g}",
        "LOG_LEVEL": "INFO",
    }


def _under_attack(system: System, model: Model, form: Form, report: Report, say: Say) -> None:
    ledger = Ledger()
    client = Client(system, ledger, report.seed)
    load = Load(client, report.seed, form.jobs, form.seconds)
    attack = Attack(system, model, load)
    load.start()
    try:
        attack.carry_out(faults(form, report.seed), form.seconds)
        calm = time.monotonic()
        report.faults, report.doubled = attack.done, attack.doubled
        say(f"chaos: {len(report.happened)} faults over; waiting until everything settles")
        limit = calm + form.stale_after + SETTLE_WITHIN
        load.finish(limit - time.monotonic())
        while (left := unsettled(system)) and time.monotonic() < limit:
            time.sleep(0.2)
        report.settling = time.monotonic() - calm
        report.violations[SETTLES] = left
        load.ask_again()
    finally:
        client.gave_up.set()
        client.close()
    _look(system, model, ledger, report)
    report.violations[CARRIED_OUT] = list(carried_out(form, report.faults, report.doubled, len(ledger.accepted())))
    if form.long:
        report.violations[BACK_IN_TIME] = list(come_back_in_time(report.recoveries, form.stale_after))


def unsettled(system: System) -> list[str]:
    """What is not at rest yet, in words."""
    try:
        return [words for (words,) in system.rows(_UNSETTLED)]
    except psycopg2.Error as error:
        return [f"the database is away: {error}"]


def _look(system: System, model: Model, ledger: Ledger, report: Report) -> None:
    for name, look in server_checks.CHECKS.items():
        report.violations[name] = list(look(system))
    evidence = gather(system)
    for what, check in checks.CHECKS.items():
        report.violations[what] = list(check(evidence, ledger))
    calls = ModelCalls(evidence, ledger, model.calls(), report.happened)
    for what, holds in MODEL_CHECKS.items():
        report.violations[what] = list(holds(calls))
    report.text_calls, report.picture_calls = calls.sums(), calls.picture_sums()
    report.repeats = calls.causes()
    report.crashes = server_checks.ended_by_themselves(system)
    report.backoffs = server_checks.longest_backoffs(system)
    count_jobs(report, evidence, ledger)
    report.recoveries = recoveries(report.happened, evidence)


_UNSETTLED = """SELECT format('%s %s: %s, step %s, due %s, sends %s, media pending %s', job_type, id, status,
    current_step, due_at, sends, media_pending)
  FROM jobs WHERE status IN ('pending', 'processing', 'stale') OR media_pending > 0
UNION ALL SELECT format('course.json of %s: revision %s of %s', document_id, stored_revision, revision)
  FROM documents WHERE stored_revision < revision
UNION ALL SELECT format('catalog.json of %s: version %s of %s', id, file_version, version)
  FROM catalogs WHERE file_version < version"""
