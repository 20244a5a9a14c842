-- The organizations that list a course for everybody: their ids and the names in the addresses of those courses. With a
-- name only that one, if it is one of them. Of all others nothing is told, not even that they are there.
CREATE OR REPLACE FUNCTION public_organizations(wanted_slug text) RETURNS TABLE (id uuid, slug text)
LANGUAGE sql STABLE SECURITY DEFINER SET search_path = public, pg_temp AS $$
  SELECT o.id, o.slug FROM organizations o WHERE (wanted_slug IS NULL OR o.slug = wanted_slug)
    AND EXISTS (SELECT FROM course_metadata m WHERE m.organization_id = o.id AND m.visibility = 'public')
$$;

-- Whether a course has a revision that its organization has yet to approve: nobody outside may read that one. It answers
-- whoever knows the organization's id and the course's, and only yes or no.
CREATE OR REPLACE FUNCTION awaits_review(organization uuid, course text) RETURNS boolean
LANGUAGE sql STABLE SECURITY DEFINER SET search_path = public, pg_temp AS $$
  SELECT EXISTS (SELECT FROM course_reviews
    WHERE organization_id = organization AND course_id = course AND approved_at IS NULL)
$$;
