"""What a run tells: for whoever watches it, and as a table for the operations guide."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from datetime import UTC, datetime

from tests.chaos.evidence import Evidence
from tests.chaos.faults import Done
from tests.chaos.ledger import Ledger
from tests.chaos.model_bill import Sums
from tests.chaos.plan import KINDS
from tests.chaos.recovery import Recovery, described, undisturbed


@dataclass
class Report:
    """A run, summed up. Times in seconds; ``violations`` by check, empty lists for checks that hold."""

    seed: int
    seconds: float
    stale_after: float
    settling: float = 0.0
    whole: float = 0.0
    faults: list[Done] = field(default_factory=list)
    doubled: Counter[str] = field(default_factory=Counter)
    outcomes: dict[str, Counter[str]] = field(default_factory=dict)
    media: Counter[str] = field(default_factory=Counter)
    errors: Counter[str] = field(default_factory=Counter)
    retries: int = 0
    ended: Counter[str] = field(default_factory=Counter)
    recoveries: list[Recovery] = field(default_factory=list)
    text_calls: Sums = field(default_factory=Sums)
    picture_calls: Sums = field(default_factory=Sums)
    repeats: Counter[str] = field(default_factory=Counter)
    crashes: Counter[str] = field(default_factory=Counter)
    backoffs: dict[str, float] = field(default_factory=dict)
    violations: dict[str, list[str]] = field(default_factory=dict)

    @property
    def holds(self) -> bool:
        return not any(self.violations.values())

    @property
    def jobs(self) -> int:
        return sum(sum(counts.values()) for counts in self.outcomes.values())

    @property
    def happened(self) -> list[Done]:
        return [done for done in self.faults if done.happened]

    def recovery(self) -> str:
        """From the kill of a worker to the first new step of a job it held: of all, and of those whose way back no
        other fault disturbed."""
        return f"{described(self.recoveries)}; undisturbed: {described(undisturbed(self.recoveries))}"


def count_jobs(report: Report, evidence: Evidence, ledger: Ledger) -> None:
    """How jobs ended, by what was asked for, and why some were tried again."""
    for job_id, asked in ledger.accepted().items():
        job = evidence.jobs.get(job_id)
        report.outcomes.setdefault(asked.kind, Counter())[job.status if job else "gone"] += 1
    report.media = Counter(job.status for job in evidence.jobs.values() if job.job_type == "media")
    report.ended = Counter(job.error_code for job in evidence.jobs.values() if job.error_code and job.is_given_up)
    for events in evidence.events.values():
        for event in events:
            if event.type == "job_retrying":
                report.retries += 1
                report.errors[(event.body.get("error") or {}).get("code", "a person's retry")] += 1


def lines(report: Report) -> list[str]:
    """The whole story."""
    told = [f"Faults ({len(report.happened)}):"]
    for kind, what in KINDS.items():
        mine = [done for done in report.faults if done.kind == kind]
        skipped = sum(not done.happened for done in mine)
        told.append(f"  {len(mine) - skipped:4} {kind:<24} {what}" + (f" (not done: {skipped})" if skipped else ""))
    told.append(f"  {report.doubled.total():4} messages were delivered twice: {_counted(report.doubled)}")
    told.append(f"Jobs ({report.jobs}):")
    for kind, counts in sorted(report.outcomes.items()):
        told.append(f"  {sum(counts.values()):4} {kind:<24} {_counted(counts)}")
    told.append(f"  {sum(report.media.values()):4} {'pictures':<24} {_counted(report.media)}")
    told.append(f"Ended without success: {_counted(report.ended)}")
    told.append(f"Tried again {report.retries} times: {_counted(report.errors)}")
    told.append(f"After kill -9 of a worker: {report.recovery()} (stale after {report.stale_after:g} s)")
    told.append(f"Settled {report.settling:.1f} s after the last fault; {report.whole:.1f} s in all")
    for name, sums in (("text", report.text_calls), ("picture", report.picture_calls)):
        told.append(
            f"Model calls, {name}: {sums.calls} <= {sums.needed} needed + {sums.faulty} faulty + {sums.at_risk} at risk"
        )
    told.append(f"Asked of the model again: {_counted(report.repeats)}")
    told.append(f"Ended by themselves: {_counted(report.crashes)}")
    told.append(f"Longest wait before a restart: {', '.join(f'{n} {s:g} s' for n, s in report.backoffs.items())}")
    told.append("Checks:")
    for check, violations in report.violations.items():
        told.append(f"  {'FAIL' if violations else 'ok':<5} {check}")
        told += [f"          {words}" for words in violations[:20]]
        if len(violations) > 20:
            told.append(f"          ... and {len(violations) - 20} more")
    return told


def timeline(report: Report) -> list[str]:
    """Each fault with its time (UTC, as logs have it), victim and the jobs in its hands."""
    told = []
    for done in sorted(report.faults, key=lambda done: done.began):
        began = datetime.fromtimestamp(done.began, UTC).strftime("%H:%M:%S.%f")[:-4]
        story = f"{began} {done.ended - done.began:6.1f} s  {done.kind:<24} {done.victim}"
        told.append(
            " ".join([story, *(f"holding {job_id}" for job_id in done.held), done.skipped, done.broken]).rstrip()
        )
    return told


def verdict(report: Report) -> str:
    """The last line."""
    if report.holds:
        return f"chaos: seed {report.seed}: all {len(report.violations)} checks hold"
    broken = sum(bool(found) for found in report.violations.values())
    return f"chaos: seed {report.seed}: {broken} of {len(report.violations)} checks are broken"


def as_markdown(report: Report) -> str:
    """The table for ``docs/operations.md``."""
    rows = [
        f"Seed {report.seed}, {report.seconds:.0f} s, {report.jobs} jobs, {len(report.happened)} faults;"
        f" {sum(not found for found in report.violations.values())} of {len(report.violations)} checks hold.",
        "",
        "| fault | times |",
        "|---|---|",
        *(
            f"| {what} | {count} |"
            for kind, what in KINDS.items()
            if (count := sum(done.kind == kind for done in report.happened))
        ),
        "",
        "| figure | value |",
        "|---|---|",
        *(f"| jobs: {kind} | {_counted(counts)} |" for kind, counts in sorted(report.outcomes.items())),
        f"| pictures | {_counted(report.media)} |",
        f"| tried again | {report.retries} times: {_counted(report.errors)} |",
        f"| messages delivered twice, by queue | {_counted(report.doubled)} |",
        f"| from kill -9 of a worker to the next step of its jobs (`STALE_AFTER_SECONDS={report.stale_after:g}`) "
        f"| {report.recovery()} |",
        f"| settled after the last fault | {report.settling:.1f} s |",
        f"| calls to the text model | {report.text_calls.calls}, of {report.text_calls.needed} needed |",
    ]
    return "\n".join(rows) + "\n"


def _counted(counts: Counter[str]) -> str:
    return ", ".join(f"{count} {name}" for name, count in counts.most_common()) or "none"
