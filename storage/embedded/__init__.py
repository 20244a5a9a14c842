"""Real Postgres, Valkey and S3 (SeaweedFS) from Python wheels, for one machine without any installed.

Nothing is installed outside the home folder and no user is added. Each server listens on 127.0.0.1 only and asks for
credentials, which are made once and kept in ``secrets.json`` (readable by its owner alone). The doors between the parts
of SeaweedFS (master, volume, gRPC) ask for none: on a machine shared with people you don't trust, use a store of your
own. As root, Postgres, which refuses to run as root, runs as ``nobody``; where folder permissions shut that user out,
in a user namespace instead.
"""

from __future__ import annotations

from storage.embedded.postgres import postgres
from storage.embedded.s3 import s3
from storage.embedded.secrets import Secrets, make_home, read_secrets
from storage.embedded.valkey import valkey
from storage.embedded.wheels import PREFERRED_PORTS

__all__ = ["PREFERRED_PORTS", "Secrets", "make_home", "postgres", "read_secrets", "s3", "valkey"]
