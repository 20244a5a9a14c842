# One image for every process; docker-compose.yml says which one a container runs.

# --- packages: installed apart, so that pip and its leavings stay out of the image ---------------------------------
FROM python:3.11.15-slim-bookworm AS packages
ENV PIP_DISABLE_PIP_VERSION_CHECK=1 \
    PIP_NO_CACHE_DIR=1
RUN python -m venv /venv
COPY requirements.txt requirements-observability.txt constraints.txt /build/
RUN /venv/bin/pip install -r /build/requirements-observability.txt -r /build/requirements.txt -c /build/constraints.txt \
    && /venv/bin/pip check \
    && /venv/bin/pip uninstall --yes pip

# --- the image -----------------------------------------------------------------------------------------------------
FROM python:3.11.15-slim-bookworm
RUN groupadd --system --gid 10001 coursewright \
    && useradd --system --uid 10001 --gid 10001 --no-create-home --home-dir /nonexistent \
       --shell /usr/sbin/nologin coursewright
# /app comes first on the path: the package index has other packages named schema, storage and tasks.
ENV PATH=/venv/bin:$PATH \
    PYTHONPATH=/app \
    PYTHONUNBUFFERED=1 \
    PYTHONDONTWRITEBYTECODE=1
WORKDIR /app
COPY --from=packages /venv /venv
COPY Procfile celeryconfig.py ./
COPY schema ./schema
COPY storage ./storage
COPY tasks ./tasks
COPY web ./web
# Compiled here, because a container's file system is read-only.
RUN python -m compileall -q celeryconfig.py schema storage tasks web
USER 10001:10001
EXPOSE 8000 5555
CMD ["gunicorn", "--config", "web/gunicorn_settings.py", "web.app:create_app()"]
