"""The environment, read once into a frozen ``Settings``. A missing or malformed value names itself.

``read_settings`` is the only code that looks at environment variables; processes receive the result.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path

from schema.environment import Reader
from schema.errors import SettingsError
from schema.guarding import GuardSettings, read_frame_ancestors, read_origins
from schema.identity_settings import IdentitySettings, read_identity
from schema.mail import MailSettings, read_mail_settings
from schema.redaction import KNOWN
from schema.secrets import secrets_of
from schema.targets import NOWHERE_PRIVATE, PrivateTargets, read_private_targets

DEMO_ORGANIZATION_ID = "00000000-0000-4000-8000-000000000001"


@dataclass(frozen=True)
class S3Settings:
    endpoint_url: str
    access_key: str = field(repr=False)
    secret_key: str = field(repr=False)
    region: str
    courses_bucket: str
    media_bucket: str


@dataclass(frozen=True)
class ModelLimits:
    """Calls and tokens a minute, for one model by everybody together and by one organization. None: no limit."""

    calls: int | None = None
    tokens: int | None = None
    organization_calls: int | None = None
    organization_tokens: int | None = None


@dataclass(frozen=True)
class ModelSettings:
    """How models are reached. ``configured`` is false when neither key nor address is set."""

    api_key: str | None = field(repr=False)
    base_url: str | None = field(repr=False)  # may carry a password
    text_model: str
    image_model: str
    timeout_seconds: float
    concurrency: int
    limits: ModelLimits = ModelLimits()

    @property
    def configured(self) -> bool:
        return bool(self.api_key or self.base_url)


@dataclass(frozen=True)
class JobSettings:
    """Life of a job, all in seconds but ``max_retries``, the window and the two shares of one asker."""

    heartbeat_seconds: float
    stale_after_seconds: float
    timeout_seconds: float
    max_retries: int
    turn_seconds: float
    resend_after_seconds: float
    dispatch_window: int
    organization_max_active: int
    user_per_hour: int


@dataclass(frozen=True)
class RetentionSettings:
    """How long, in hours, finished jobs, their events, and entries of the audit log are kept."""

    job_hours: float
    event_hours: float
    audit_hours: float


@dataclass(frozen=True)
class NoticeSettings:
    """How people and programs are told of a job's end. ``public_url`` is where links lead, without a slash at its end;
    none: there are no links in mails, and those in webhooks are paths."""

    private_targets: PrivateTargets = NOWHERE_PRIVATE
    mail: MailSettings | None = None
    public_url: str | None = None


@dataclass(frozen=True)
class Settings:
    home: Path
    database_url: str
    redis_url: str
    s3: S3Settings
    secret_key: str
    model: ModelSettings
    jobs: JobSettings
    retention: RetentionSettings
    agent_token: str | None
    host: str
    port: int
    flower_port: int
    flower_basic_auth: str | None
    worker_concurrency: int
    media_concurrency: int
    web_concurrency: int
    streams_per_process: int
    log_level: str
    sentry_dsn: str | None = field(repr=False)
    otel_endpoint: str | None = field(repr=False)
    notices: NoticeSettings = field(default_factory=NoticeSettings)
    #: As whom the web and the workers connect; none: as whom ``database_url`` says, and the web becomes its role.
    web_database_url: str | None = field(default=None, repr=False)
    worker_database_url: str | None = field(default=None, repr=False)
    guards: GuardSettings = field(default_factory=GuardSettings)
    identity: IdentitySettings = field(default_factory=IdentitySettings)

    @property
    def signing_keys(self) -> list[str]:
        """What signs cookies and tokens, the present key last; those before it only verify."""
        return [*reversed(self.identity.older_keys), self.secret_key]

    def __repr__(self) -> str:
        """Settings hold secrets, so their text never shows a value."""
        return "Settings(...)"


_POSTGRES = r"postgres(ql(\+psycopg2)?)?://", "a URL like postgresql://user:password@host:5432/name"


def read_settings(environ: Mapping[str, str]) -> Settings:
    """Read every setting. Raises ``SettingsError`` that names each missing or malformed one."""
    read = Reader(environ)
    stale_after = read.number("STALE_AFTER_SECONDS", 60, 1, 86400)
    settings = Settings(
        home=Path(read.text("COURSEWRIGHT_HOME", ".coursewright")).absolute(),
        database_url=read.url("DATABASE_URL", *_POSTGRES),
        web_database_url=read.shaped("WEB_DATABASE_URL", *_POSTGRES),
        worker_database_url=read.shaped("WORKER_DATABASE_URL", *_POSTGRES),
        redis_url=read.url("REDIS_URL", r"rediss?://", "a URL like redis://:password@host:6379/0"),
        s3=S3Settings(
            endpoint_url=read.url("S3_ENDPOINT_URL", r"https?://[^/?#]", "a URL like https://s3.example.org"),
            access_key=read.text("S3_ACCESS_KEY", needs="the access key of the object store"),
            secret_key=read.text("S3_SECRET_KEY", needs="the secret key of the object store"),
            region=read.text("S3_REGION", "us-east-1"),
            courses_bucket=read.text("S3_COURSES_BUCKET", "courses"),
            media_bucket=read.text("S3_MEDIA_BUCKET", "media-library"),
        ),
        secret_key=read.text("SECRET_KEY", needs="a long random text that signs cookies and tokens"),
        model=ModelSettings(
            api_key=read.optional("OPENAI_API_KEY"),
            base_url=read.shaped("OPENAI_BASE_URL", r"https?://[^/?#]", "a URL like https://models.example.org/v1"),
            text_model=read.text("OPENAI_TEXT_MODEL", "gpt-5.2"),
            image_model=read.text("OPENAI_IMAGE_MODEL", "gpt-image-2"),
            timeout_seconds=read.number("MODEL_TIMEOUT_SECONDS", 120, 0.1, 3600),
            concurrency=read.whole("MODEL_CONCURRENCY", 16, 1, 1000),
            limits=ModelLimits(
                calls=read.limit("MODEL_CALLS_PER_MINUTE"),
                tokens=read.limit("MODEL_TOKENS_PER_MINUTE"),
                organization_calls=read.limit("ORG_MODEL_CALLS_PER_MINUTE"),
                organization_tokens=read.limit("ORG_MODEL_TOKENS_PER_MINUTE"),
            ),
        ),
        jobs=JobSettings(
            # When only the staleness is shortened, the heartbeat follows, four beats to a stale interval.
            heartbeat_seconds=read.number("HEARTBEAT_SECONDS", min(10, stale_after / 4), 0.1, 3600),
            stale_after_seconds=stale_after,
            timeout_seconds=read.number("JOB_TIMEOUT_SECONDS", 1800, 1, 604800),
            max_retries=read.whole("JOB_MAX_RETRIES", 3, 0, 100),
            turn_seconds=read.number("TURN_SECONDS", 1, 0, 3600),
            resend_after_seconds=read.number("RESEND_AFTER_SECONDS", 5, 0.1, 3600),
            dispatch_window=read.whole("DISPATCH_WINDOW", 64, 1, 100_000),
            organization_max_active=read.whole("ORG_MAX_ACTIVE_JOBS", 50, 1, 1_000_000),
            user_per_hour=read.whole("USER_JOBS_PER_HOUR", 10, 1, 1_000_000),
        ),
        retention=RetentionSettings(
            job_hours=read.number("JOB_RETENTION_HOURS", 720, 1, 1_000_000),
            event_hours=read.number("EVENT_RETENTION_HOURS", 168, 1, 1_000_000),
            # The database itself refuses to let go of what is younger than thirty days.
            audit_hours=read.whole("AUDIT_RETENTION_DAYS", 400, 30, 36_500) * 24.0,
        ),
        agent_token=read.optional("AGENT_TOKEN"),
        host=read.text("HOST", "127.0.0.1"),
        port=read.whole("PORT", 8000, 0, 65535),
        flower_port=read.whole("FLOWER_PORT", 5555, 0, 65535),
        flower_basic_auth=read.shaped("FLOWER_BASIC_AUTH", r"[^:/]+:.", "a user and a password as user:password"),
        worker_concurrency=read.whole("WORKER_CONCURRENCY", 16, 1, 1000),
        media_concurrency=read.whole("MEDIA_CONCURRENCY", 2, 1, 100),
        web_concurrency=read.whole("WEB_CONCURRENCY", 2, 1, 64),
        streams_per_process=read.whole("STREAMS_PER_PROCESS", 5000, 1, 100_000),
        log_level=read.text("LOG_LEVEL", "INFO").upper(),
        sentry_dsn=read.shaped("SENTRY_DSN", r"https?://[^/?#]", "the address your Sentry project shows as its DSN"),
        otel_endpoint=read.shaped(
            "OTEL_EXPORTER_OTLP_ENDPOINT", r"https?://[^/?#]", "a URL like http://127.0.0.1:4318"
        ),
        notices=_read_notices(read),
        guards=_read_guards(read),
        identity=read_identity(read),
    )
    if settings.jobs.stale_after_seconds <= 2 * settings.jobs.heartbeat_seconds:
        read.faults.append(
            "STALE_AFTER_SECONDS must be more than twice HEARTBEAT_SECONDS, or living jobs would be taken for dead."
        )
    if settings.log_level not in {"DEBUG", "INFO", "WARNING", "ERROR"}:
        read.faults.append(f"LOG_LEVEL is {settings.log_level!r}. It needs DEBUG, INFO, WARNING or ERROR.")
    if read.faults:
        raise SettingsError(" ".join(read.faults), details={"faults": read.faults})
    return settings


def _read_notices(read: Reader) -> NoticeSettings:
    named, targets = read.optional("WEBHOOK_PRIVATE_TARGETS"), NOWHERE_PRIVATE
    try:
        targets = read_private_targets(named) if named else targets
    except ValueError:
        read.faults.append(
            "WEBHOOK_PRIVATE_TARGETS is malformed. It needs hosts, addresses or networks with commas between, or allow."
        )
    public_url = read.shaped("PUBLIC_URL", r"https?://[^/?#\s]+[^?#\s]*\Z", "a URL like https://courses.example.org")
    return NoticeSettings(targets, _read_mail(read), public_url.rstrip("/") if public_url else None)


def _read_guards(read: Reader) -> GuardSettings:
    origins, ancestors = read.optional("CORS_ORIGINS"), read.optional("FRAME_ANCESTORS")
    usual = GuardSettings()
    cors_origins, frame_ancestors = usual.cors_origins, usual.frame_ancestors
    try:
        cors_origins = read_origins(origins) if origins else cors_origins
    except ValueError:
        read.faults.append(
            "CORS_ORIGINS is malformed. It needs origins like https://app.example.org with commas between, or *."
        )
    try:
        frame_ancestors = read_frame_ancestors(ancestors) if ancestors else frame_ancestors
    except ValueError:
        read.faults.append("FRAME_ANCESTORS is malformed. It needs self, none, or sites like https://*.example.org.")
    return GuardSettings(
        rate_per_minute=read.whole("RATE_LIMIT_PER_MINUTE", usual.rate_per_minute, 1, 1_000_000),
        streams_per_identity=read.whole("STREAMS_PER_IDENTITY", usual.streams_per_identity, 1, 100_000),
        trusted_proxies=read.whole("TRUSTED_PROXIES", usual.trusted_proxies, 0, 10),
        cors_origins=cors_origins,
        frame_ancestors=frame_ancestors,
    )


def _read_mail(read: Reader) -> MailSettings | None:
    url, sender = read.optional("SMTP_URL"), read.optional("MAIL_FROM")
    if url is None and sender is None:
        return None
    if url is None or sender is None:
        missing, given = ("SMTP_URL", "MAIL_FROM") if url is None else ("MAIL_FROM", "SMTP_URL")
        read.faults.append(f"{missing} is not set, but {given} is. Set both to send mails, or neither.")
        return None
    try:
        return read_mail_settings(url, sender)
    except ValueError as error:
        read.faults.append(str(error))
        return None


@cache
def settings() -> Settings:
    """The settings of this process, read from its environment on first use. From then on nothing it logs holds a secret
    of theirs."""
    read = read_settings(os.environ)
    KNOWN.add(secrets_of(read))
    return read
