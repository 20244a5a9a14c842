-- A change of a catalog takes its catalog's next number. Of the public catalog, which belongs to nobody, this is all
-- that an organization may change: a number more, with a row of its own that says why.
CREATE OR REPLACE FUNCTION next_catalog_version() RETURNS trigger
LANGUAGE plpgsql SECURITY DEFINER SET search_path = public, pg_temp AS $$
BEGIN
  UPDATE catalogs SET version = version + 1, updated_at = clock_timestamp()
  WHERE id = NEW.catalog_id RETURNING version INTO NEW.version;
  RETURN NEW;
END
$$;
