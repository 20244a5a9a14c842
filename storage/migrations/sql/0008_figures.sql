-- What is measured over all organizations: counts and ages, never a row. storage/figures/metrics.py reads them.
-- An index can't be searched with a volatile clock, but with the answer of a query to it.

CREATE OR REPLACE FUNCTION figures_living()
RETURNS TABLE (status text, job_type text, n bigint, retries bigint)
LANGUAGE sql STABLE SECURITY DEFINER SET search_path = public, pg_temp AS $$
      SELECT status, job_type, count(*) AS n, sum(retry_count) AS retries FROM jobs
      WHERE status IN ('pending', 'processing', 'stale') GROUP BY 1, 2
      UNION ALL SELECT status, job_type, count(*), 0 FROM jobs
      WHERE status = 'dead_letter' AND purged_at IS NULL GROUP BY 1, 2
$$;

CREATE OR REPLACE FUNCTION figures_ended()
RETURNS TABLE (status text, job_type text, n bigint)
LANGUAGE sql STABLE SECURITY DEFINER SET search_path = public, pg_temp AS $$
      SELECT status, job_type, count(*) AS n FROM jobs
      WHERE status IN ('done', 'failed', 'cancelled', 'dead_letter')
        AND COALESCE(completed_at, cancelled_at) > (SELECT clock_timestamp() - interval '5 minutes') GROUP BY 1, 2
$$;

CREATE OR REPLACE FUNCTION figures_queues()
RETURNS TABLE (queue text, due bigint, later bigint, oldest double precision)
LANGUAGE sql STABLE SECURITY DEFINER SET search_path = public, pg_temp AS $$
      SELECT queue, count(*) FILTER (WHERE due_at <= clock_timestamp()) AS due,
        count(*) FILTER (WHERE due_at > clock_timestamp()) AS later,
        GREATEST(max(EXTRACT(epoch FROM clock_timestamp() - due_at)), 0)::float AS oldest
      FROM jobs WHERE due_at IS NOT NULL GROUP BY 1
$$;

CREATE OR REPLACE FUNCTION figures_moved()
RETURNS TABLE (step text, five bigint, one bigint)
LANGUAGE sql STABLE SECURITY DEFINER SET search_path = public, pg_temp AS $$
      SELECT step, count(*) AS five,
        count(*) FILTER (WHERE created_at > clock_timestamp() - interval '1 minute') AS one
      FROM job_steps WHERE created_at > (SELECT clock_timestamp() - interval '5 minutes') GROUP BY 1
$$;

CREATE OR REPLACE FUNCTION figures_leases(stale double precision)
RETURNS TABLE (n bigint, silent bigint, stuck bigint, oldest_heartbeat double precision,
  oldest_progress double precision)
LANGUAGE sql STABLE SECURITY DEFINER SET search_path = public, pg_temp AS $$
      SELECT count(*) AS n,
        count(*) FILTER (WHERE heartbeat_at < clock_timestamp() - make_interval(secs => stale)) AS silent,
        count(*) FILTER (WHERE progress_at < clock_timestamp() - make_interval(secs => patience_seconds)) AS stuck,
        COALESCE(max(EXTRACT(epoch FROM clock_timestamp() - heartbeat_at)), 0)::float AS oldest_heartbeat,
        COALESCE(max(EXTRACT(epoch FROM clock_timestamp() - progress_at)), 0)::float AS oldest_progress
      FROM job_leases
$$;

CREATE OR REPLACE FUNCTION figures_calls()
RETURNS TABLE (model text, outcome text, n bigint, seconds double precision, input bigint, output bigint,
  cost double precision)
LANGUAGE sql STABLE SECURITY DEFINER SET search_path = public, pg_temp AS $$
      SELECT name AS model, outcome, sum(n)::bigint AS n, sum(seconds)::float AS seconds,
        sum(input)::bigint AS input, sum(output)::bigint AS output, sum(cost)::float AS cost
      FROM (
        SELECT model AS name, outcome, count(*) AS n, sum(seconds) AS seconds, sum(input_tokens) AS input,
          sum(output_tokens) AS output, COALESCE(sum(cost_usd), 0) AS cost FROM model_calls
        WHERE created_at >= (SELECT date_trunc('day', clock_timestamp(), 'UTC')) AND outcome <> 'started' GROUP BY 1, 2
        UNION ALL SELECT name, outcome, count, seconds, input_tokens, output_tokens, cost_usd FROM daily_stats
        WHERE kind = 'call' AND day = (SELECT (clock_timestamp() AT TIME ZONE 'UTC')::date)
      ) AS today GROUP BY 1, 2
$$;

CREATE OR REPLACE FUNCTION figures_in_flight()
RETURNS TABLE (model text, n bigint)
LANGUAGE sql STABLE SECURITY DEFINER SET search_path = public, pg_temp AS $$
      SELECT model, count(*) AS n FROM model_calls WHERE outcome = 'started' GROUP BY 1
$$;

-- Under load something is always being written. A catalog is behind since the first change its file does not show,
-- because it may change every second.
CREATE OR REPLACE FUNCTION figures_behind(behind double precision)
RETURNS TABLE (catalogs bigint, documents bigint)
LANGUAGE sql STABLE SECURITY DEFINER SET search_path = public, pg_temp AS $$
      SELECT (SELECT count(*) FROM catalogs c WHERE file_version < version AND COALESCE(
          (SELECT created_at FROM catalog_updates u WHERE u.catalog_id = c.id AND u.version = c.file_version + 1),
          updated_at) < clock_timestamp() - make_interval(secs => behind)) AS catalogs,
        (SELECT count(*) FROM documents WHERE stored_revision < revision
          AND updated_at < (SELECT clock_timestamp() - make_interval(secs => behind))) AS documents
$$;

-- An attempt moves due_at on, so what is overdue is what nobody tries. A delivery that was put in line at the very
-- moment its webhook was paused stands there until it is resumed.
CREATE OR REPLACE FUNCTION figures_notices()
RETURNS TABLE (kind text, pending bigint, overdue double precision)
LANGUAGE sql STABLE SECURITY DEFINER SET search_path = public, pg_temp AS $$
      SELECT kind, count(*) FILTER (WHERE due_at IS NOT NULL) AS pending,
        GREATEST(max(EXTRACT(epoch FROM clock_timestamp() - due_at)), 0)::float AS overdue
      FROM (SELECT 'webhook' AS kind, due_at FROM webhook_deliveries d JOIN webhooks w ON w.id = d.webhook_id
          WHERE due_at IS NOT NULL AND NOT w.paused
        UNION ALL SELECT 'mail', due_at FROM mails WHERE due_at IS NOT NULL) AS waiting GROUP BY 1
$$;

CREATE OR REPLACE FUNCTION figures_told()
RETURNS TABLE (kind text, outcome text, n bigint)
LANGUAGE sql STABLE SECURITY DEFINER SET search_path = public, pg_temp AS $$
      SELECT kind, outcome, count(*) AS n FROM (
        SELECT 'webhook' AS kind, status AS outcome FROM webhook_deliveries
        WHERE attempted_at > (SELECT clock_timestamp() - interval '5 minutes')
        UNION ALL SELECT 'mail', CASE status WHEN 'sent' THEN 'delivered' ELSE status END FROM mails
        WHERE attempted_at > (SELECT clock_timestamp() - interval '5 minutes')) AS tried GROUP BY 1, 2
$$;

CREATE OR REPLACE FUNCTION figures_schedules()
RETURNS TABLE (outcome text, n bigint, overdue double precision)
LANGUAGE sql STABLE SECURITY DEFINER SET search_path = public, pg_temp AS $$
      SELECT outcome, count(*) FILTER (WHERE last_due_at > clock_timestamp() - interval '5 minutes') AS n,
        GREATEST(max(EXTRACT(epoch FROM clock_timestamp() - due_at)), 0)::float AS overdue
      FROM (SELECT last_due_at, due_at, CASE WHEN last_error IS NULL THEN 'started'
        WHEN last_error->>'code' = 'schedule_missed' THEN 'skipped' ELSE 'refused' END AS outcome
        FROM schedules) AS told GROUP BY 1
$$;
