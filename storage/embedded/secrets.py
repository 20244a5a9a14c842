"""The home folder of the embedded servers, shut to others, and the credentials kept in it."""

from __future__ import annotations

import json
import os
import secrets
from dataclasses import asdict, dataclass, fields
from pathlib import Path

#: Others may go through the home folder, for Postgres runs as another user under root, but not list it ...
_HOME_MODE = 0o711
#: ... and these folders in it are for their owner alone. The database's folder belongs to Postgres.
_OWN_FOLDERS = ("s3", "valkey", "logs", "run")
_FILE = "secrets.json"


@dataclass(frozen=True, repr=False)
class Secrets:
    postgres: str
    postgres_web: str
    postgres_worker: str
    valkey: str
    s3_access: str
    s3_secret: str
    filer: str
    secret_key: str
    flower: str


def make_home(home: Path) -> None:
    """Make the home folder and shut it to others. Raises ``OSError`` when it can't be used."""
    home.mkdir(parents=True, exist_ok=True)
    # A folder of somebody else's, or one that held other things before it was named as home, keeps its mode.
    is_ours = home.stat().st_uid == os.geteuid() and ((home / _FILE).exists() or not any(home.iterdir()))
    if is_ours:
        home.chmod(_HOME_MODE)
    for name in _OWN_FOLDERS:
        (home / name).mkdir(exist_ok=True)
        (home / name).chmod(0o700)


def read_secrets(home: Path) -> Secrets:
    """The credentials of this home folder, made on first use. Raises ``OSError``."""
    make_home(home)
    path = home / _FILE
    kept = json.loads(path.read_text("utf-8")) if path.exists() else {}
    # Files of earlier versions may hold more, and may lack what is new.
    found = Secrets(**{field.name: kept.get(field.name) or secrets.token_urlsafe(24) for field in fields(Secrets)})
    if not asdict(found).items() <= kept.items():
        written = path.with_suffix(".new")
        with os.fdopen(os.open(written, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "w") as file:
            json.dump(kept | asdict(found), file)
        written.replace(path)
    path.chmod(0o600)
    return found
