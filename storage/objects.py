"""The object store: what readers download, written from Postgres and always writable again.

``put_current`` is for keys whose content has a number (a course's revision, a catalog's version). It writes only when
what is stored is older, and only over exactly what it saw, so a slow upload can never land on top of a newer one.
"""

from __future__ import annotations

import hashlib
import io
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from itertools import islice
from typing import Any
from urllib.parse import quote, urlsplit

import structlog
from minio import Minio
from minio.commonconfig import ENABLED, Filter
from minio.credentials.credentials import Credentials
from minio.deleteobjects import DeleteObject
from minio.error import MinioException, S3Error
from minio.lifecycleconfig import AbortIncompleteMultipartUpload, Expiration, LifecycleConfig, Rule
from minio.signer import sign_v4_s3
from urllib3 import HTTPResponse, PoolManager, Retry, Timeout
from urllib3.exceptions import HTTPError

from schema.errors import Transient
from schema.settings import S3Settings

log = structlog.get_logger(__name__)

#: Files for operators lie under this prefix of the courses bucket.
DEBUG = "debug/"
_NUMBER = "x-amz-meta-number"
_TRIES = 20
_ALIVE_SECONDS = 3.0
#: The store's own rules, for what no sweep of ours sees or a system that is switched off. The sweep is exact.
_UNFINISHED_DAYS, _DEBUG_DAYS = 7, 365


@dataclass(frozen=True)
class Stored:
    """What is in the store under a key. ``number`` is 0 when it carries none."""

    etag: str
    number: int
    written_at: datetime | None


@dataclass(frozen=True)
class Found:
    """An object of a listing, and when it was last written by the store's clock."""

    key: str
    written_at: datetime


class ObjectStore:
    """The two buckets. Every failure to reach the store is a ``Transient`` with code ``store_away``."""

    def __init__(self, settings: S3Settings) -> None:
        self.settings = settings
        url = urlsplit(settings.endpoint_url)
        self._http = PoolManager(
            timeout=Timeout(connect=3, read=30), retries=Retry(0), maxsize=16, block=False, num_pools=4
        )

        def client(http: PoolManager) -> Minio:
            return Minio(
                endpoint=url.netloc,
                access_key=settings.access_key,
                secret_key=settings.secret_key,
                secure=url.scheme == "https",
                region=settings.region,
                http_client=http,
            )

        self.client = client(self._http)
        # Who asks whether the store lives (a load balancer, Prometheus) does not wait for long, and neither do we.
        self._asking = client(PoolManager(timeout=Timeout(total=_ALIVE_SECONDS), retries=Retry(0)))

    def ensure_buckets(self) -> None:
        """Make the buckets that are missing."""
        for bucket in (self.settings.courses_bucket, self.settings.media_bucket):
            try:
                if not self.client.bucket_exists(bucket):
                    self.client.make_bucket(bucket)
                    self._set_rules(bucket)
            except (MinioException, HTTPError, OSError) as error:
                raise _away(error) from error

    def _set_rules(self, bucket: str) -> None:
        """What the store shall let go of by itself. Only in a bucket made here: others have their owner's rules.

        Debug files stay a year, longer than any sweep leaves them, because SeaweedFS stamps an object with its end
        while it is written, and no later rule changes that."""
        unfinished = AbortIncompleteMultipartUpload(days_after_initiation=_UNFINISHED_DAYS)
        uploads = Rule(
            ENABLED,
            rule_filter=Filter(prefix=""),
            rule_id="unfinished-uploads",
            abort_incomplete_multipart_upload=unfinished,
        )
        expiration = Expiration(days=_DEBUG_DAYS)
        debug = [Rule(ENABLED, rule_filter=Filter(prefix=DEBUG), rule_id="debug", expiration=expiration)]
        debug = debug if bucket == self.settings.courses_bucket else []
        # MinIO refuses a rule about unfinished uploads: it ends them by itself after a day.
        for rules in filter(None, ([uploads, *debug], debug)):
            try:
                self.client.set_bucket_lifecycle(bucket, LifecycleConfig(rules))
                return
            except S3Error as error:
                refused = error.code
        # Some stores have no rules at all. Nothing depends on them.
        log.info("store_takes_no_rules", bucket=bucket, reason=refused)

    def alive(self) -> bool:
        """Whether the store answers within seconds and has the bucket of the courses."""
        try:
            return bool(self._asking.bucket_exists(self.settings.courses_bucket))
        except (MinioException, HTTPError, OSError):
            return False

    def put(self, bucket: str, key: str, body: bytes, content_type: str, cache_control: str) -> None:
        """Write an object whatever is there. For keys whose content never changes, or doesn't matter."""
        try:
            self.client.put_object(
                bucket,
                key,
                io.BytesIO(body),
                len(body),
                content_type=content_type,
                metadata={"Cache-Control": cache_control},
            )
        except (MinioException, HTTPError, OSError) as error:
            raise _away(error) from error

    def read(self, bucket: str, key: str) -> bytes | None:
        """An object's bytes; none when there is none."""
        response: Any = None
        try:
            response = self.client.get_object(bucket, key)
            return bytes(response.data)
        except S3Error as error:
            if error.code in {"NoSuchKey", "NoSuchBucket"}:
                return None
            raise _away(error) from error
        except (MinioException, HTTPError, OSError) as error:
            raise _away(error) from error
        finally:
            if response is not None:
                response.release_conn()

    def stored(self, bucket: str, key: str) -> Stored | None:
        """What is under a key, without its bytes."""
        try:
            found = self.client.stat_object(bucket, key)
        except S3Error as error:
            if error.code in {"NoSuchKey", "NoSuchBucket"}:
                return None
            raise _away(error) from error
        except (MinioException, HTTPError, OSError) as error:
            raise _away(error) from error
        number = (found.metadata or {}).get(_NUMBER, "0")
        return Stored(str(found.etag), int(number), found.last_modified)

    def list(self, bucket: str, after: str = "", limit: int = 1000, prefix: str = "") -> Sequence[Found]:
        """Objects whose keys begin so, in the order of their keys, those after the given one. Empty when there is no
        such bucket."""
        try:
            found = self.client.list_objects(bucket, prefix=prefix or None, recursive=True, start_after=after or None)
            listed = islice(found, limit)
            return [Found(str(one.object_name), one.last_modified) for one in listed if one.last_modified]
        except S3Error as error:
            if error.code == "NoSuchBucket":
                return []
            raise _away(error) from error
        except (MinioException, HTTPError, OSError) as error:
            raise _away(error) from error

    def delete(self, bucket: str, keys: Sequence[str]) -> None:
        """Delete objects, at most 1,000 at once. One that isn't there is no error."""
        try:
            refused = list(self.client.remove_objects(bucket, [DeleteObject(key) for key in keys]))
        except (MinioException, HTTPError, OSError) as error:
            raise _away(error) from error
        if refused:
            raise Transient(
                "The object store refused to delete something.",
                code="store_away",
                details={"count": len(refused), "reason": refused[0].code},
            )

    def clock(self) -> datetime:
        """What time it is for the store: ages of objects are told by its clock, not by ours."""
        try:
            # Every answer carries the time, also the refusal of an unsigned request or a redirection of it.
            answer = self._http.request("HEAD", self.settings.endpoint_url, redirect=False)
        except (HTTPError, OSError) as error:
            raise _away(error) from error
        return parsedate_to_datetime(answer.headers["Date"])

    def put_current(self, bucket: str, key: str, body: bytes, number: int, cache_control: str) -> bool:
        """Bring a key up to ``number``: true when this call wrote it, false when it was there or newer already."""
        for _ in range(_TRIES):
            before = self.stored(bucket, key)
            if before is not None and before.number >= number:
                return False
            condition = {"If-Match": f'"{before.etag}"'} if before else {"If-None-Match": "*"}
            headers = {
                "Content-Type": "application/json; charset=utf-8",
                "Cache-Control": cache_control,
                _NUMBER: str(number),
                **condition,
            }
            response = self._signed_put(bucket, key, body, headers)
            if response.status in (200, 204):
                return True
            if response.status not in (404, 409, 412):
                raise Transient(
                    "The object store refused a write.", code="store_away", details={"status": response.status}
                )
        raise Transient("Too many others write the same object just now.", code="store_busy")

    def _signed_put(self, bucket: str, key: str, body: bytes, headers: Mapping[str, str]) -> HTTPResponse:
        # The minio client can't send conditional headers, so the request is signed with its signer and sent here.
        url = urlsplit(f"{self.settings.endpoint_url.rstrip('/')}/{quote(bucket)}/{quote(key)}")
        digest = hashlib.sha256(body).hexdigest()
        now = datetime.now(UTC)
        signed = sign_v4_s3(
            method="PUT",
            url=url,
            region=self.settings.region,
            headers={
                **headers,
                "Host": url.netloc,
                "x-amz-content-sha256": digest,
                "x-amz-date": now.strftime("%Y%m%dT%H%M%SZ"),
            },
            credentials=Credentials(self.settings.access_key, self.settings.secret_key),
            content_sha256=digest,
            date=now,
        )
        try:
            response = self._http.request(
                "PUT", url.geturl(), body=body, headers={name: str(value) for name, value in signed.items()}
            )
        except (HTTPError, OSError) as error:
            raise _away(error) from error
        return response  # type: ignore[return-value]


def _away(error: BaseException) -> Transient:
    return Transient(
        "The object store can't be reached just now.", code="store_away", details={"reason": type(error).__name__}
    )
