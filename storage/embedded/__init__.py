"""Real Postgres, Valkey and S3 (SeaweedFS) from Python wheels, for one machine without any installed.

Nothing is installed outside the home folder and no user is added. Each server listens on 127.0.0.1 only and asks for
credentials, which are made once and kept in ``secrets.json`` (readable by its owner alone); the doors between the parts
of SeaweedFS ask for a certificate that is made at each start. None of them finds our settings in its environment. As
root, Postgres, which refuses to run as root, runs as ``nobody``; where folder permissions shut that user out, in a user
namespace instead.
"""

from __future__ import annotations

from storage.embedded.postgres import postgres, role_urls
from storage.embedded.s3 import s3
from storage.embedded.secrets import Secrets, make_home, read_secrets
from storage.embedded.valkey import valkey
from storage.embedded.wheels import PREFERRED_PORTS

__all__ = ["PREFERRED_PORTS", "Secrets", "make_home", "postgres", "read_secrets", "role_urls", "s3", "valkey"]
