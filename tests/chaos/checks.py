"""What must hold of jobs, documents and catalogs when everything has settled; each check tells its violations."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterator

from tests.chaos.evidence import FINAL, Evidence
from tests.chaos.ledger import Ledger

_ENDS = frozenset({"job_completed", "job_failed", "job_cancelled"})
#: What is told on a parent whose own work is over.
_OF_PICTURES = frozenset({"media_completed", "media_failed", "media_settled"})
#: Ends of a picture that was not attached.
_NO_REVISION = frozenset({"failed", "cancelled", "dead_letter"})


def accepted_jobs_exist(evidence: Evidence, ledger: Ledger) -> Iterator[str]:
    """Every accepted job is there, and no job is there that nobody asked for."""
    accepted = ledger.accepted()
    for job_id in accepted.keys() - evidence.jobs.keys():
        yield f"{job_id}: accepted (request {accepted[job_id].number}) and gone"
    asked = {job.job_id for job in evidence.jobs.values() if job.parent is None}
    for job_id in asked - accepted.keys():
        yield f"{job_id}: course {evidence.jobs[job_id].course_id} is there and was never accepted"
    for one in ledger.all():
        if one.job_id is None:
            yield f"request {one.number} was never accepted: {one.answers[-5:]}"


def jobs_are_final(evidence: Evidence, _: Ledger) -> Iterator[str]:
    """Every job is final, and nothing is held or awaited any more."""
    for job in evidence.jobs.values():
        if job.status not in FINAL:
            yield f"{job.job_id}: {job.status}"
        if job.media_pending:
            yield f"{job.job_id}: {job.media_pending} pictures pending"
    yield from (f"{job_id}: a lease is left" for job_id in evidence.leases)


def jobs_are_done(evidence: Evidence, ledger: Ledger) -> Iterator[str]:
    """No fault here is for good, and there are more retries than faults: what nobody cancelled is done, and what was
    cancelled and taken up again. So are its pictures."""
    children = evidence.children()
    for job_id, asked in ledger.accepted().items():
        if asked.left_alone or asked.retry_told:
            for job in [*filter(None, [evidence.jobs.get(job_id)]), *children[job_id]]:
                if job.status in FINAL - {"done"}:
                    yield f"{job.job_id} ({job.job_type}, {asked.kind}): {job.status} {job.error_code}"


def nothing_crashed(evidence: Evidence, _: Ledger) -> Iterator[str]:
    """No job failed by a fault in our own code."""
    for job_id, events in evidence.events.items():
        for event in events:
            if (event.body.get("error") or {}).get("code") == "internal_error":
                yield f"{job_id}: event {event.seq} tells of internal_error"


def cancelled_stays_cancelled(evidence: Evidence, ledger: Ledger) -> Iterator[str]:
    """A job that told its cancel went on only if somebody retried it."""
    for job_id, asked in ledger.accepted().items():
        told = any(event.type == "job_cancelled" for event in evidence.events[job_id])
        if told and asked.retried_at is None and evidence.jobs[job_id].status != "cancelled":
            yield f"{job_id}: told job_cancelled and is {evidence.jobs[job_id].status}"
        if told and asked.cancelled_at is None:
            yield f"{job_id}: cancelled, and nobody asked for that"


def answers_were_kept(evidence: Evidence, ledger: Ledger) -> Iterator[str]:
    """A cancel that was answered with 200 is told, by the job or by its pictures; a retry that was answered with 202 is
    told, and a step begun after it."""
    children = evidence.children()
    for job_id, asked in ledger.accepted().items():
        kinds = [(event.type, event.body.get("error")) for event in evidence.events[job_id]]
        cancelled = ("job_cancelled", None) in kinds or any(one.status == "cancelled" for one in children[job_id])
        if asked.cancel_told_at is not None and not cancelled:
            yield f"{job_id}: its cancel was answered with 200, and nothing was cancelled"
        if asked.retry_told:
            retried = kinds.index(("job_retrying", None)) if ("job_retrying", None) in kinds else len(kinds)
            if ("step_started", None) not in kinds[retried:]:
                yield f"{job_id}: its retry was answered with 202, and no step began after it"


def events_have_no_gap(evidence: Evidence, _: Ledger) -> Iterator[str]:
    """``seq`` of each job's events is 1 to n, and the job knows n."""
    for job in evidence.jobs.values():
        numbers = [event.seq for event in evidence.events[job.job_id]]
        if numbers != list(range(1, len(numbers) + 1)) or job.last_seq != len(numbers):
            yield f"{job.job_id}: last_seq {job.last_seq}, numbers {numbers}"


def events_agree_with_status(evidence: Evidence, _: Ledger) -> Iterator[str]:
    """One end a run, the last one is where the job stands, and each new run is told."""
    ends = {"done": "job_completed", "failed": "job_failed", "dead_letter": "job_failed", "cancelled": "job_cancelled"}
    for job in evidence.jobs.values():
        kinds = [event.type for event in evidence.events[job.job_id]]
        if kinds[:1] != ["job_created"] or kinds.count("job_created") != 1:
            yield f"{job.job_id}: begins with {kinds[:2]}"
        over = False
        for kind in kinds:
            if over and kind != "job_retrying" and kind not in _OF_PICTURES:
                yield f"{job.job_id}: {kind} after its end"
            over = kind in _ENDS or (over and kind in _OF_PICTURES)
        told = [kind for kind in kinds if kind in _ENDS]
        if job.status in ends and told[-1:] != [ends[job.status]]:
            yield f"{job.job_id}: {job.status}, and its last end is {told[-1:]}"
        if job.run != 1 + kinds.count("job_retrying"):
            yield f"{job.job_id}: run {job.run}, and job_retrying {kinds.count('job_retrying')} times"
        if told.count("job_completed") > 1:
            yield f"{job.job_id}: completed {told.count('job_completed')} times"


def progress_never_goes_back(evidence: Evidence, _: Ledger) -> Iterator[str]:
    """What events tell of a job's progress rises within each run, whoever worked on it."""
    for job_id, events in evidence.events.items():
        reached = 0.0
        for event in events:
            if event.type == "job_retrying":
                reached = 0.0
            told = event.body.get("progress", reached)
            if not reached <= told <= 100:
                yield f"{job_id}: progress {told} after {reached} (event {event.seq})"
            reached = told


def no_step_ends_twice(evidence: Evidence, _: Ledger) -> Iterator[str]:
    """``step_completed`` once a step; again only after a failed validation dropped the checkpoints."""
    for job_id, events in evidence.events.items():
        ended: set[str] = set()
        for event in events:
            if event.type == "job_failed" and event.body["error"]["code"] == "validation_failed":
                ended -= {"skeleton", "fill", "questions", "topics", "lessons"}
            if event.type == "step_completed":
                if event.body["step"] in ended:
                    yield f"{job_id}: {event.body['step']} ended twice (event {event.seq})"
                ended.add(event.body["step"])
        for step in ended:
            if evidence.jobs[job_id].status == "done" and (job_id, step, "") not in evidence.checkpoints:
                yield f"{job_id}: {step} ended and left no checkpoint"


def one_revision_a_save(evidence: Evidence, _: Ledger) -> Iterator[str]:
    """A done course has one revision of its ``persist`` step, and one of each picture: nobody else brings a picture
    here, so none can be there already when its job comes to attach it. They are numbered 1 to n."""
    made = Counter((saved.job_id, saved.step) for saved in evidence.revisions)
    yield from (f"{job_id}: {count} revisions by {step}" for (job_id, step), count in made.items() if count > 1)
    for job in evidence.jobs.values():
        step = "attach" if job.job_type == "media" else "persist"
        if job.status == "done" and made[job.job_id, step] != 1:
            yield f"{job.job_id}: done, with {made[job.job_id, step]} revisions by {step}"
        if job.job_type == "media" and job.status in _NO_REVISION and made[job.job_id, step]:
            yield f"{job.job_id}: {job.status}, and yet it attached its picture"
    numbers: dict[str, list[int]] = {}
    for saved in evidence.revisions:
        numbers.setdefault(saved.course_id, []).append(saved.revision)
    for course, found in numbers.items():
        if found != list(range(1, len(found) + 1)) or evidence.revision(course) != len(found):
            yield f"course {course}: revisions {found}, current {evidence.revision(course)}"


def pictures_are_counted(evidence: Evidence, _: Ledger) -> Iterator[str]:
    """A parent knows how its pictures ended, tells each once, and settles once."""
    living = evidence.children()
    for job in evidence.jobs.values():
        children = living[job.job_id]
        if not children:
            continue
        done = sum(child.status == "done" for child in children)
        kinds = Counter(event.type for event in evidence.events[job.job_id])
        told = (kinds["media_completed"], kinds["media_failed"], kinds["media_settled"])
        if told != (done, len(children) - done, 1):
            yield f"{job.job_id}: {done} of {len(children)} pictures done; told completed, failed, settled {told}"
        if (job.media_completed, job.media_failed) != (done, len(children) - done):
            counted = (job.media_completed, job.media_failed)
            yield f"{job.job_id}: counts {counted} pictures completed and failed, of {len(children)} {done} are done"


def media_are_in_the_store(evidence: Evidence, _: Ledger) -> Iterator[str]:
    """Every asset's bytes are there, and no others but those of pictures that were cancelled before their row was
    written."""
    yield from (f"{key} has a row and no bytes" for key in evidence.assets - evidence.pictures)
    without_row = evidence.pictures - evidence.assets
    begun = sum(
        job.job_type == "media" and job.status != "done" and any(e.type == "step_started" for e in evidence.events[id_])
        for id_, job in evidence.jobs.items()
    )
    if len(without_row) > begun:
        yield f"{len(without_row)} pictures have no row, {begun} were begun and not done: {min(without_row)} ..."


def files_show_the_current_revision(evidence: Evidence, _: Ledger) -> Iterator[str]:
    """``course.json`` of each course equals its current revision, and every file belongs to a course or a catalog."""
    for job in evidence.done_courses():
        if job.course_id not in evidence.current:
            yield f"{job.job_id}: done, and course {job.course_id} has no row"
    keys = {evidence.course_key(course): course for course in evidence.current}
    for key, course in keys.items():
        body = evidence.files.get(key)
        revision, content = evidence.current[course]
        if body is None:
            yield f"course {course} has no course.json"
        elif json.loads(body) != content:
            told = json.loads(body)["contentVersion"]
            yield f"course.json of {course} is {told}, current is revision {revision}"
    for key in evidence.files.keys() - keys.keys() - set(evidence.catalog_keys().values()):
        yield f"{key} is in the store, and no revision stands for it"


def done_courses_are_listed(evidence: Evidence, _: Ledger) -> Iterator[str]:
    """Each done course has its entry, at its current revision, in every catalog it belongs to, and in their files."""
    done = evidence.done_courses()
    for job in done:
        if evidence.listed.get(job.course_id) != evidence.revision(job.course_id):
            yield f"{job.job_id}: {job.course_id} is listed at revision {evidence.listed.get(job.course_id)}"
    for catalog, key in evidence.catalog_keys().items():
        version, file_version = evidence.catalogs.get(catalog, (0, 0))
        file = json.loads(evidence.files.get(key) or b'{"version": 0, "courses": []}')
        if (version, version) != (file_version, file["version"]):
            yield f"catalog {catalog} is at {version}, its file at {file['version']} and by its row at {file_version}"
        shown = {entry["id"]: entry["contentVersion"] for entry in file["courses"]}
        for job in done:
            belongs = catalog == evidence.organization or job.visibility == "public"
            if belongs and shown.get(job.course_id) != f"v{evidence.revision(job.course_id)}":
                yield f"{job.job_id}: {key} shows {job.course_id} as {shown.get(job.course_id)}"


def catalog_versions_are_dense(evidence: Evidence, _: Ledger) -> Iterator[str]:
    """Versions 1 to n without gap, and one change for each revision of a done course."""
    for catalog, (version, _file) in evidence.catalogs.items():
        numbers = [number for number, _ in evidence.changes[catalog]]
        if numbers != list(range(1, version + 1)):
            yield f"catalog {catalog} is at {version}, with {len(numbers)} changes to {numbers[-1:]}"
    made = Counter(saved.course_id for saved in evidence.revisions)
    told = Counter(course for _, course in evidence.changes[evidence.organization])
    for job in evidence.done_courses():
        if told[job.course_id] != made[job.course_id]:
            yield f"{job.job_id}: {made[job.course_id]} revisions, {told[job.course_id]} changes in the catalog"


def promises_were_kept(_: Evidence, ledger: Ledger) -> Iterator[str]:
    """What the client saw while it all went on: no lost job, no 500, no key that brought two jobs."""
    yield from ledger.faults


CHECKS = {
    "every accepted job exists, and no other": accepted_jobs_exist,
    "every job is final; no lease is left": jobs_are_final,
    "what nobody cancelled is done": jobs_are_done,
    "no job failed by a fault of ours": nothing_crashed,
    "cancelled jobs stay cancelled": cancelled_stays_cancelled,
    "an answered cancel or retry was done": answers_were_kept,
    "events are numbered 1 to n": events_have_no_gap,
    "one end a run, and it is where the job stands": events_agree_with_status,
    "progress never goes back within a run": progress_never_goes_back,
    "no step ended twice": no_step_ends_twice,
    "one revision a save, none twice": one_revision_a_save,
    "pictures are counted once": pictures_are_counted,
    "every asset's bytes are in the store, and no others": media_are_in_the_store,
    "course.json is the current revision, and nothing else is there": files_show_the_current_revision,
    "done courses are in the catalogs and their files": done_courses_are_listed,
    "catalog versions are dense": catalog_versions_are_dense,
    "what the client saw was kept": promises_were_kept,
}
