"""A new table: which media a course shows, as its newest revision says. From now on a medium is everybody's because a
public course shows it, not because one once did.

``course_media`` is written by a trigger, so that whoever saves a course, of whatever release, says it in the same
transaction. ``is_everybodys`` answers from there, and the wall asks it.
"""

from __future__ import annotations

from alembic import op

from storage.postgres.hot_tables import add_index, each_alone
from storage.postgres.policies import unwall, wall_in
from storage.postgres.roles import STEP, WEB, WORKER

revision = "0011"
down_revision = "0010"

#: Rows of ``course_media``: what a course shows. ``said`` is its newest revision as text, ``how_open`` that one's
#: visibility. Both are variables, because a document of megabytes is unpacked each time it is asked, and here once for
#: each picture.
_SHOWN = """SELECT DISTINCT {0}.organization_id, {0}.document_id, shows[1], how_open
    FROM regexp_matches(said, '/content/media/([0-9a-f]{{64}})\\.', 'g') AS shows"""
_SAYS = "{0}.content::text, COALESCE({0}.content->>'visibility', 'private')"
_NOTE = f"""CREATE OR REPLACE FUNCTION note_course_media() RETURNS trigger
LANGUAGE plpgsql SET search_path = public, pg_temp AS $$
DECLARE said text; how_open text;
BEGIN
  SELECT {_SAYS.format("NEW")} INTO said, how_open;
  DELETE FROM course_media WHERE organization_id = NEW.organization_id AND course_id = NEW.document_id;
  INSERT INTO course_media (organization_id, course_id, sha256, visibility)
    {_SHOWN.format("NEW")};
  RETURN NULL;
END
$$"""
#: Whether everybody may see a medium: a public course shows it that is listed, not archived, and waits for no review;
#: or it belongs to no course and was made so. It answers whoever knows the organization's id and the hash of the bytes.
_ASK = """CREATE OR REPLACE FUNCTION is_everybodys(organization uuid, medium text) RETURNS boolean
LANGUAGE sql STABLE SECURITY DEFINER SET search_path = public, pg_temp AS $$
  SELECT EXISTS (SELECT FROM course_media s
      JOIN course_metadata m ON m.organization_id = s.organization_id AND m.course_id = s.course_id
      JOIN documents d ON d.organization_id = s.organization_id AND d.kind = 'course' AND d.document_id = s.course_id
    WHERE s.organization_id = organization AND s.sha256 = medium AND s.visibility = 'public'
      AND m.visibility = 'public' AND d.archived_at IS NULL AND NOT awaits_review(s.organization_id, s.course_id))
  OR EXISTS (SELECT FROM media_assets a WHERE a.organization_id = organization AND a.sha256 = medium
    AND a.course_id IS NULL AND a.visibility = 'public')
$$"""
_CURRENT = """documents d JOIN document_revisions r ON r.organization_id = d.organization_id AND r.kind = d.kind
      AND r.document_id = d.document_id AND r.revision = d.revision"""
#: Courses that were there before the trigger, one after the other, each locked while it is read: what is noted is then
#: what it shows, also when somebody is about to save it. Each is a transaction of its own: nobody waits for the rest.
_FILL = f"""DO $fill$ DECLARE one record; said text; how_open text; BEGIN
  FOR one IN SELECT d.organization_id, d.document_id FROM {_CURRENT}
    WHERE d.kind = 'course' AND r.content::text LIKE '%/content/media/%' LOOP
    PERFORM FROM documents d WHERE d.organization_id = one.organization_id AND d.kind = 'course'
      AND d.document_id = one.document_id FOR NO KEY UPDATE;
    SELECT {_SAYS.format("r")} INTO said, how_open FROM {_CURRENT}
    WHERE d.organization_id = one.organization_id AND d.kind = 'course' AND d.document_id = one.document_id;
    INSERT INTO course_media (organization_id, course_id, sha256, visibility)
    {_SHOWN.format("one")}
    ON CONFLICT DO NOTHING; COMMIT; END LOOP; END $fill$"""
_MAY_ASK = "is_everybodys(organization_id, sha256)"


def upgrade() -> None:
    # All of it can be run twice: only its end waits for tables in use, and what came before is kept then.
    op.execute("""CREATE TABLE IF NOT EXISTS course_media (
      organization_id uuid NOT NULL
        CONSTRAINT fk_course_media_organization_id_organizations REFERENCES organizations,
      course_id text NOT NULL, sha256 text NOT NULL, visibility text NOT NULL,
      CONSTRAINT pk_course_media PRIMARY KEY (organization_id, course_id, sha256))""")
    add_index("ix_course_media_sha256", "course_media (organization_id, sha256)")
    wall_in("course_media", rights="SELECT, INSERT, DELETE")
    op.execute(_NOTE)
    op.execute(_ASK)
    op.execute("REVOKE ALL ON FUNCTION note_course_media() FROM PUBLIC")
    op.execute("REVOKE ALL ON FUNCTION is_everybodys(uuid, text) FROM PUBLIC")
    op.execute(f"GRANT EXECUTE ON FUNCTION is_everybodys(uuid, text) TO {WORKER}, {WEB}, {STEP}")
    each_alone(
        """CREATE OR REPLACE TRIGGER note_course_media AFTER INSERT ON document_revisions
        FOR EACH ROW WHEN (NEW.kind = 'course') EXECUTE FUNCTION note_course_media()""",
        _FILL,
        # Last, so that no picture is closed for a moment that is to be open.
        f"ALTER POLICY public_rows ON media_assets USING ({_MAY_ASK})",
    )


def downgrade() -> None:
    """What the release before goes by is made true first."""
    each_alone(
        f"""UPDATE media_assets SET visibility = CASE WHEN {_MAY_ASK} THEN 'public' ELSE 'org' END
        WHERE (visibility = 'public') <> {_MAY_ASK}""",
        "ALTER POLICY public_rows ON media_assets USING (visibility = 'public')",
        "DROP TRIGGER IF EXISTS note_course_media ON document_revisions",
    )
    op.execute("DROP FUNCTION IF EXISTS note_course_media()")
    op.execute("DROP FUNCTION IF EXISTS is_everybodys(uuid, text)")
    unwall("course_media")
    op.drop_table("course_media")
