"""Certificates and keys as somebody brings them along, in PEM."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from cryptography.x509.oid import NameOID


def self_signed(name: str, *also: str) -> tuple[str, str]:
    """A certificate that its own key signed, for these names, and the key."""
    key = rsa.generate_private_key(65537, 2048)
    parts = {NameOID.COMMON_NAME: name, NameOID.ORGANIZATION_NAME: "lab"}
    subject = x509.Name([x509.NameAttribute(oid, text) for oid, text in parts.items()])
    names = x509.SubjectAlternativeName([x509.DNSName(each) for each in (name, *also)])
    begins = datetime(2026, 1, 1, tzinfo=UTC)
    certificate = (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(subject)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(begins)
        .not_valid_after(begins + timedelta(days=3650))
        .add_extension(names, critical=False)
        .sign(key, hashes.SHA256())
    )
    secret = key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
    return certificate.public_bytes(Encoding.PEM).decode(), secret.decode()
