"""The wall between organizations: roles, and a policy on every table (decision 19).

Whoever connects as the owner, as workers and the web of the release before do, sees everything as before.
"""

from __future__ import annotations

from pathlib import Path

from alembic import op

from storage.postgres.hot_tables import each_alone
from storage.postgres.policies import ENTERED, share, unwall, wall_in
from storage.postgres.role_making import making_roles
from storage.postgres.roles import STEP, WEB, WORKER

revision = "0008"
down_revision = "0007"

_NIL = "'00000000-0000-0000-0000-000000000000'"
#: Nothing about these but whose they are.
_PLAIN = (
    *("jobs", "job_payloads", "job_leases", "job_steps", "job_events", "idempotency_keys", "batches"),
    *("exams", "exam_questions", "exam_topics", "organization_settings", "model_calls", "daily_stats"),
    *("webhooks", "webhook_deliveries", "mails", "schedules", "course_reviews"),
)
_VIEWS = ("ai_course_jobs", "ai_media_jobs", "course_generation_jobs", "workflow_runs")
_SQL = Path(__file__).parent.parent / "sql"
#: Functions by name with the types of what they are given, and who may call them.
_FIGURES = {
    "figures_living()": WEB,
    "figures_ended()": WEB,
    "figures_queues()": WEB,
    "figures_moved()": WEB,
    "figures_leases(double precision)": WEB,
    "figures_calls()": WEB,
    "figures_in_flight()": WEB,
    "figures_behind(double precision)": WEB,
    "figures_notices()": WEB,
    "figures_told()": WEB,
    "figures_schedules()": WEB,
    "everybodys_job_times(text)": f"{WEB}, {STEP}",
    "everybodys_step_times(text, text[])": f"{WEB}, {STEP}",
    "public_organizations(text)": WEB,
    "awaits_review(uuid, text)": WEB,
}
_SHARED = {
    # The figures of all organizations together, and what keeps everybody from an endpoint that is in trouble.
    "corrections": {WEB: "SELECT, INSERT, UPDATE", STEP: "SELECT, INSERT, UPDATE"},
    "model_brakes": {WEB: "SELECT", STEP: "SELECT, INSERT, UPDATE"},
    "alembic_version": {WEB: "SELECT", STEP: "SELECT", WORKER: "SELECT"},
}
#: A course that its organization lists for everybody. (The web sees public rows of ``course_metadata`` itself.)
_LISTED = """EXISTS (SELECT FROM course_metadata m WHERE m.organization_id = {0}.organization_id
  AND m.course_id = {0}.document_id AND m.visibility = 'public'{1})"""
#: The revision it lists, and later ones, which it will list in a moment or once they are approved.
_FROM_THERE_ON = """ AND (m.revision = document_revisions.revision OR m.revision < document_revisions.revision
  AND NOT awaits_review(m.organization_id, m.course_id))"""


def upgrade() -> None:
    each_alone(*making_roles())
    _functions()
    for table in _PLAIN:
        wall_in(table)
    # A version of the public catalog comes with the row that tells of it (the trigger below), and in no other way.
    wall_in("catalogs", also_read=f"id = {_NIL}")
    wall_in(
        "catalog_updates",
        written=f"organization_id = {ENTERED} AND catalog_id IN ({ENTERED}, {_NIL})",
        also_read=f"catalog_id = {_NIL}",
        rights="SELECT, INSERT (catalog_id, organization_id, course_id, action, entry)",
    )
    wall_in("course_metadata", public="visibility = 'public'")
    wall_in("documents", public=f"kind = 'course' AND archived_at IS NULL AND {_LISTED.format('documents', '')}")
    wall_in(
        "document_revisions",
        public="kind = 'course' AND content->>'visibility' = 'public' AND "
        + _LISTED.format("document_revisions", _FROM_THERE_ON),
    )
    wall_in("media_assets", public="visibility = 'public'")
    # Locked by whoever counts what belongs to it, which takes the right to change something.
    wall_in("organizations", whose=f"id = {ENTERED}", rights="SELECT, UPDATE (name)")
    for table, rights in _SHARED.items():
        share(table, rights)
    for view in _VIEWS:
        op.execute(f"ALTER VIEW {view} SET (security_invoker = true)")
        op.execute(f"GRANT SELECT ON {view} TO {WEB}, {STEP}, {WORKER}")


def _functions() -> None:
    for name in ("catalog_versions", "figures", "everybodys", "public_organizations"):
        op.execute((_SQL / f"0008_{name}.sql").read_text("utf-8"))
    for function, roles in _FIGURES.items():
        op.execute(f"REVOKE ALL ON FUNCTION {function} FROM PUBLIC")
        op.execute(f"GRANT EXECUTE ON FUNCTION {function} TO {WORKER}, {roles}")
    op.execute("REVOKE ALL ON FUNCTION next_catalog_version() FROM PUBLIC")
    each_alone(
        """CREATE OR REPLACE TRIGGER next_catalog_version BEFORE INSERT ON catalog_updates
        FOR EACH ROW WHEN (NEW.version IS NULL) EXECUTE FUNCTION next_catalog_version()"""
    )


def downgrade() -> None:
    """Roles stay: other databases of the server may use them."""
    each_alone("DROP TRIGGER IF EXISTS next_catalog_version ON catalog_updates")
    for view in _VIEWS:
        op.execute(f"ALTER VIEW {view} RESET (security_invoker)")
        op.execute(f"REVOKE ALL ON {view} FROM {WEB}, {STEP}, {WORKER}")
    walled = ("catalogs", "catalog_updates", "course_metadata", "documents", "document_revisions", "media_assets")
    for table in (*_PLAIN, *walled, "organizations", *_SHARED):
        unwall(table)
    for function in ("next_catalog_version()", *_FIGURES):
        op.execute(f"DROP FUNCTION IF EXISTS {function}")
