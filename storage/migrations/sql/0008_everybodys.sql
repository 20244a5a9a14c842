-- How long jobs and steps of a kind took with everybody: for an organization that has too few of its own to tell.
-- Quantiles over all organizations, never a row. storage/figures/statistics.py and storage/figures/history.py have the same statements,
-- and a test compares them.

CREATE OR REPLACE FUNCTION everybodys_job_times(wanted_type text)
RETURNS TABLE (n bigint, found double precision[])
LANGUAGE sql STABLE SECURITY DEFINER SET search_path = public, pg_temp AS $$
    SELECT count(seconds) AS n, percentile_cont(ARRAY[0.5, 0.9]) WITHIN GROUP (ORDER BY seconds) AS found
    FROM (SELECT CASE WHEN status = 'done' AND job_type = wanted_type THEN
        CASE WHEN worked_seconds > 0 THEN worked_seconds
          ELSE EXTRACT(epoch FROM COALESCE(completed_at, cancelled_at, updated_at) - started_at) END END AS seconds
      FROM organizations CROSS JOIN LATERAL (SELECT * FROM jobs WHERE organization_id = organizations.id
        ORDER BY created_at DESC, id DESC LIMIT 100) newest WHERE true LIMIT 1000) recent
$$;

CREATE OR REPLACE FUNCTION everybodys_step_times(wanted_type text, wanted_steps text[])
RETURNS TABLE (step text, seconds double precision, n bigint, ahead double precision[])
LANGUAGE sql STABLE SECURITY DEFINER SET search_path = public, pg_temp AS $$
    WITH newest AS (
      SELECT newest.id, job_type, status FROM organizations CROSS JOIN LATERAL (
        SELECT id, job_type, status FROM jobs WHERE organization_id = organizations.id
        ORDER BY created_at DESC, id DESC LIMIT 100) newest WHERE true LIMIT 1000
    ), past AS (SELECT id FROM newest WHERE job_type = wanted_type AND status = 'done' LIMIT 200
    ), taken AS (
      SELECT s.step, s.seconds, sum(s.seconds) OVER (
        PARTITION BY s.job_id ORDER BY array_position(wanted_steps, s.step) DESC) AS ahead
      FROM past JOIN job_steps s ON s.job_id = past.id AND s.part = '' AND s.step = ANY(wanted_steps)
    )
    SELECT step, sum(seconds) AS seconds, count(*) AS n,
      percentile_cont(ARRAY[0.5, 0.9]) WITHIN GROUP (ORDER BY ahead) AS ahead FROM taken GROUP BY step
$$;
