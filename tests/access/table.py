"""The matrix's lines: one for each route, saying who may, what they ask for, and how it answers them.

``who``: the least role; ``everybody`` where nobody is asked who they are; ``anybody`` where what is public is shown to
all, the rest to whom it belongs, and a wrong credential is refused. ``+pass``: also who has the token of this stream.
``scope``: the noun a limited token needs, ``-`` for none. ``object``: the kind of thing the address or the body names,
and the state it is in; ``-`` for none. ``is``: the status for who may, and after a slash the one for an object that is
not there or another's, where it isn't 404. ``sends``: which of ``BODIES``.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

_TABLE = """
method address                                                           who         scope     object          is      sends
GET    /                                                                 viewer      catalog   -               302     -
GET    /catalog                                                          viewer      catalog   -               200     -
GET    /courses/<course_id>                                              viewer      courses   course          200     -
GET    /jobs                                                             viewer      jobs      -               200     -
GET    /jobs/at-work                                                     viewer      jobs      -               200     -
GET    /jobs/<job_id>                                                    viewer      jobs      job             200     -
GET    /new                                                              author      jobs      -               200     -
GET    /audit                                                            admin       audit     -               200     -

POST   /api/jobs                                                         author      jobs      -               202     job
GET    /api/jobs                                                         viewer      jobs      -               200     -
GET    /api/jobs/<job_id>                                                viewer      jobs      job             200     -
GET    /api/jobs/<job_id>/events                                         viewer      jobs      job             200     -
GET    /api/jobs/<job_id>/partial                                        viewer      jobs      job             200     -
GET    /api/jobs/<job_id>/stream                                         viewer+pass jobs      job             204     -
POST   /api/jobs/<job_id>/cancel                                         author      jobs      job:pending     200     -
POST   /api/jobs/<job_id>/retry                                          author      jobs      job:failed      202     -
POST   /api/jobs/batch                                                   author      jobs      -               202     batch
GET    /api/batches                                                      viewer      jobs      -               200     -
GET    /api/batches/<batch_id>                                           viewer      jobs      batch           200     -
POST   /api/batches/<batch_id>/cancel                                    author      jobs      batch           200     -
POST   /api/generation/start                                             author      jobs      exam            202/422 exam_id
POST   /api/generation/cancel                                            author      jobs      job:pending     200     job_id
GET    /api/generation/status/<job_id>                                   viewer      jobs      job             200     -
GET    /api/generation/stream/<job_id>                                   viewer+pass jobs      job             204     -

GET    /api/courses                                                      viewer      courses   -               200     -
GET    /api/courses/<course_id>                                          viewer      courses   course          200     -
POST   /api/courses/<course_id>/approve                                  admin       courses   course          200     -
GET    /api/reviews                                                      author      courses   -               200     -
GET    /content/courses/<course_id>/course.json                          viewer      courses   course          200     -
GET    /content/public/<organization_slug>/<course_id>/course.json       everybody   -         course          200     -
GET    /content/media/<name>                                             anybody     media     medium          200     -

GET    /api/catalog                                                      viewer      catalog   -               200     -
GET    /api/catalog/changes                                              viewer      catalog   -               200     -
GET    /api/catalog/stream                                               viewer      catalog   -               501     -
GET    /api/public/catalog                                               everybody   -         -               200     -
GET    /api/public/catalog/changes                                       everybody   -         -               200     -
GET    /api/public/catalog/stream                                        everybody   -         -               501     -

POST   /api/exams                                                        author      exams     -               201     exam
POST   /api/exams/preview                                                author      exams     -               200     exam
GET    /api/exams                                                        viewer      exams     -               200     -
GET    /api/exams/<exam_id>                                              viewer      exams     exam            200     -
PUT    /api/exams/<exam_id>                                              author      exams     exam            200     exam_at_1
DELETE /api/exams/<exam_id>                                              author      exams     exam            204     -

GET    /api/settings                                                     viewer      settings  -               200     -
PUT    /api/settings                                                     admin       settings  -               200     settings
GET    /api/webhooks                                                     admin       webhooks  -               200     -
POST   /api/webhooks                                                     admin       webhooks  -               201     webhook
GET    /api/webhooks/<webhook_id>                                        admin       webhooks  webhook         200     -
PATCH  /api/webhooks/<webhook_id>                                        admin       webhooks  webhook         200     paused
DELETE /api/webhooks/<webhook_id>                                        admin       webhooks  webhook         204     -
POST   /api/webhooks/<webhook_id>/test                                   admin       webhooks  webhook         202     -
POST   /api/webhooks/<webhook_id>/rotate-secret                          admin       webhooks  webhook         200     -
GET    /api/webhooks/<webhook_id>/deliveries                             admin       webhooks  webhook         200     -
POST   /api/webhooks/<webhook_id>/deliveries/<delivery_id>/redeliver     admin       webhooks  delivery        202     -
GET    /api/schedules                                                    viewer      schedules -               200     -
POST   /api/schedules                                                    author      schedules -               201     schedule
GET    /api/schedules/<schedule_id>                                      viewer      schedules schedule        200     -
PATCH  /api/schedules/<schedule_id>                                      author      schedules schedule        200     paused
DELETE /api/schedules/<schedule_id>                                      author      schedules schedule        204     -
POST   /api/schedules/<schedule_id>/run                                  author      schedules schedule        202     -

GET    /api/session                                                      viewer      -         -               200     -
POST   /api/session                                                      viewer      -         -               201     -
DELETE /api/session                                                      viewer      -         -               204     -
GET    /api/tokens                                                       admin       tokens    -               200     -
POST   /api/tokens                                                       admin       tokens    -               201     token
GET    /api/tokens/<token_id>                                            admin       tokens    token           200     -
PATCH  /api/tokens/<token_id>                                            admin       tokens    token           200     renamed
DELETE /api/tokens/<token_id>                                            admin       tokens    token           204     -
GET    /api/members                                                      admin       members   -               200     -
POST   /api/members                                                      admin       members   -               201     member
GET    /api/members/<path:user_id>                                       admin       members   member          200     -
PATCH  /api/members/<path:user_id>                                       admin       members   member          200     renamed
DELETE /api/members/<path:user_id>                                       admin       members   member          204     -
GET    /api/audit                                                        admin       audit     -               200     -
GET    /api/audit.csv                                                    admin       audit     -               200     -

GET    /api/admin/jobs                                                   admin       admin     -               200     -
GET    /api/admin/jobs/<job_id>                                          admin       admin     job             200     -
DELETE /api/admin/jobs/<job_id>                                          admin       admin     job:failed      200     -
POST   /api/admin/jobs/<job_id>/requeue                                  admin       admin     job:dead_letter 202     -
POST   /api/admin/jobs/<job_id>/mark-stale                               admin       admin     job:processing  200     -
POST   /api/admin/jobs/<job_id>/dead-letter                              admin       admin     job:failed      200     -
GET    /api/admin/jobs/<job_id>/debug                                    admin       admin     job             200     -
GET    /api/admin/jobs/<job_id>/debug/<path:name>                        admin       admin     job             200     -
GET    /api/admin/dead-letters                                           admin       admin     -               200     -
POST   /api/admin/dead-letters/requeue                                   admin       admin     -               200     -
POST   /api/admin/reconcile                                              admin       admin     -               200     -
GET    /api/admin/corrections                                            admin       admin     -               200     -
GET    /api/admin/metrics                                                admin       admin     -               200     -
GET    /api/admin/failures                                               admin       admin     -               200     -
GET    /api/admin/durations                                              admin       admin     -               200     -
GET    /api/admin/cost                                                   admin       admin     -               200     -

GET    /login                                                            everybody   -         -               200     -
POST   /login                                                            everybody   -         -               403     -
GET    /login/<token>                                                    everybody   -         -               403     -
POST   /logout                                                           anybody     -         -               303     -
GET    /api/openapi.json                                                 everybody   -         -               200     -
GET    /docs                                                             everybody   -         -               200     -
GET    /docs/errors                                                      everybody   -         -               200     -
GET    /docs/assets/<path:name>                                          everybody   -         -               200     -
GET    /static/<path:filename>                                           everybody   -         -               200     -
GET    /healthz                                                          everybody   -         -               200     -
GET    /readyz                                                           everybody   -         -               200     -
GET    /metrics                                                          everybody   -         -               200     -
"""  # noqa: E501 - a table is read across

_PAYLOAD: dict[str, Any] = {
    "subject": "Addition",
    "gradeBand": "2",
    "mode": "numeric",
    "itemsPerGroup": 4,
    "studyTextsCount": 1,
}
_EXAM: dict[str, Any] = {"title": "Civics", "questions": [{"text": "Who votes?", "answer": "Everybody"}]}
#: What is sent, by its name in the table. In ``{braces}``: an id of the object, or one that is new each time.
BODIES: dict[str, dict[str, Any]] = {
    "job": {"jobType": "course", "payload": _PAYLOAD},
    "batch": {"jobs": [{"jobType": "course", "payload": _PAYLOAD}]},
    "exam_id": {"examId": "{exam_id}"},
    "job_id": {"jobId": "{job_id}"},
    "exam": _EXAM,
    "exam_at_1": {**_EXAM, "baseRevision": 1},
    "settings": {"settings": {"language": "en"}},
    "webhook": {"url": "https://127.0.0.1:8443/hook"},
    "schedule": {"name": "Mondays", "cron": "0 6 * * 1", "request": {"jobType": "course", "payload": _PAYLOAD}},
    "paused": {"paused": True},
    "token": {"name": "Nightly", "scopes": ["jobs:read"]},
    "member": {"userId": "{new}", "role": "author"},
    "renamed": {"name": "Another name"},
}

#: Exchanges a token for a session: whoever has nothing but a session is asked for a token.
NO_COOKIE = ("POST", "/api/session")
#: Where a head is not that of what a GET would give: it uses up no login link, and no stream is begun for it.
HEADS = {"/login/<token>": 302, "/api/catalog/stream": 200, "/api/public/catalog/stream": 200}
#: These end the session of who asks.
SIGNS_OUT = {("DELETE", "/api/session"), ("POST", "/logout")}


@dataclass(frozen=True)
class Line:
    """A line of the table. ``absent`` is the status for an object that isn't there."""

    method: str
    rule: str
    who: str
    by_pass: bool
    scope: str | None
    kind: str | None
    state: str
    status: int
    absent: int
    sends: str | None

    @property
    def writes(self) -> bool:
        return self.method not in {"GET", "HEAD"}

    @property
    def name(self) -> str:
        return f"{self.method} {self.rule}"


def _line(text: str) -> Line:
    method, rule, who, scope, thing, answers, sends = text.split()
    kind, _, state = thing.partition(":")
    status, _, absent = answers.partition("/")
    return Line(
        method,
        rule,
        who.removesuffix("+pass"),
        who.endswith("+pass"),
        None if scope == "-" else scope,
        None if kind == "-" else kind,
        state or "done",
        int(status),
        int(absent or 404),
        None if sends == "-" else sends,
    )


LINES = [_line(text) for text in _TABLE.strip().splitlines()[1:] if text]
