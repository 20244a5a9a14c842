"""A certificate with which the parts of the object store know each other: none of their doors opens without it.

It is made anew at each start, vouches for itself, and is believed by nobody else.
"""

from __future__ import annotations

import os
from datetime import timedelta
from ipaddress import IPv4Address
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from schema.clock import utc_now

#: SeaweedFS's names for the doors that others of its parts knock at, over gRPC and over HTTP.
_GRPC = ("MASTER", "VOLUME", "FILER", "S3", "ADMIN", "WORKER", "MQ", "MSG_BROKER", "MSG_AGENT", "CLIENT")
_HTTPS = ("MASTER", "VOLUME", "FILER", "ADMIN", "CLIENT")
#: A system may run for years without a new start.
_DAYS = 3650


def mutual_tls(folder: Path) -> dict[str, str]:
    """Make a certificate for this machine in ``folder``, and return the environment that has SeaweedFS ask for it and
    show it."""
    folder.mkdir(exist_ok=True)
    folder.chmod(0o700)
    key = ec.generate_private_key(ec.SECP256R1())
    pem, private = serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8
    _write(folder / "cert.pem", _certificate(key).public_bytes(pem))
    _write(folder / "key.pem", key.private_bytes(pem, private, serialization.NoEncryption()))
    own = {"CERT": str(folder / "cert.pem"), "KEY": str(folder / "key.pem")}
    environment = {"WEED_GRPC_CA": own["CERT"], "WEED_HTTPS_CLIENT_ENABLED": "true"}
    for door in _GRPC:
        environment |= {f"WEED_GRPC_{door}_{part}": path for part, path in own.items()}
    for door in _HTTPS:
        environment |= {f"WEED_HTTPS_{door}_{part}": path for part, path in {**own, "CA": own["CERT"]}.items()}
    return environment


def _certificate(key: ec.EllipticCurvePrivateKey) -> x509.Certificate:
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "coursewright")])
    now = utc_now()
    places = x509.SubjectAlternativeName([x509.DNSName("localhost"), x509.IPAddress(IPv4Address("127.0.0.1"))])
    both_ends = x509.ExtendedKeyUsage([ExtendedKeyUsageOID.SERVER_AUTH, ExtendedKeyUsageOID.CLIENT_AUTH])
    made = x509.CertificateBuilder(name, name, key.public_key(), x509.random_serial_number())
    # A clock that is put right meanwhile must not make it one of the future.
    made = made.not_valid_before(now - timedelta(days=1)).not_valid_after(now + timedelta(days=_DAYS))
    made = made.add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
    return (
        made.add_extension(places, critical=False).add_extension(both_ends, critical=False).sign(key, hashes.SHA256())
    )


def _write(path: Path, content: bytes) -> None:
    with os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "wb") as file:
        file.write(content)
