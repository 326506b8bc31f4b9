"""A certificate authority of one's own, made when servers start, and the certificates it issues.

Clients get the authority's certificate as a file and verify with it as they would in a company.
Keys never leave the folder they are written to. Source: RFC 5280. Leaves out: revocation.
"""

from __future__ import annotations

import ssl
from datetime import datetime, timedelta
from ipaddress import ip_address
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

VALID = timedelta(days=30)


class Authority:
    """Issues certificates for loopback addresses; `folder` gets ca.pem and a key per server."""

    def __init__(self, folder: Path, now: datetime) -> None:
        self.folder = folder
        self.now = now
        self._key = ec.generate_private_key(ec.SECP256R1())
        self._name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "vlab simulated lab")])
        usage = x509.KeyUsage(
            digital_signature=True,
            content_commitment=False,
            key_encipherment=False,
            data_encipherment=False,
            key_agreement=False,
            key_cert_sign=True,
            crl_sign=True,
            encipher_only=False,
            decipher_only=False,
        )
        own = (
            self._builder(self._name, self._key.public_key())
            .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
            .add_extension(usage, critical=True)
        )
        self.certificate = own.sign(self._key, hashes.SHA256())
        self.issued: dict[str, x509.Certificate] = {}  # by the server's name, the last one
        self._given: dict[str, tuple[tuple[str, str], ssl.SSLContext]] = {}
        self.ca_file = folder / "ca.pem"
        self.ca_file.write_bytes(self.certificate.public_bytes(serialization.Encoding.PEM))

    def _builder(
        self, subject: x509.Name, key: ec.EllipticCurvePublicKey
    ) -> x509.CertificateBuilder:
        identifier = x509.SubjectKeyIdentifier.from_public_key(key)
        authority = x509.AuthorityKeyIdentifier.from_issuer_public_key(self._key.public_key())
        return (
            x509.CertificateBuilder()
            .subject_name(subject)
            .issuer_name(self._name)
            .public_key(key)
            .serial_number(x509.random_serial_number())
            .not_valid_before(self.now - timedelta(days=1))
            .not_valid_after(self.now + VALID)
            .add_extension(identifier, critical=False)
            .add_extension(authority, critical=False)
        )

    def server_context(self, name: str, address: str) -> ssl.SSLContext:
        """TLS for a server called `name` at `address`."""
        key = ec.generate_private_key(ec.SECP256R1())
        subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
        names = x509.SubjectAlternativeName(
            [x509.DNSName(name), x509.IPAddress(ip_address(address))]
        )
        builder = (
            self._builder(subject, key.public_key())
            .add_extension(names, critical=False)
            .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
            .add_extension(x509.ExtendedKeyUsage([ExtendedKeyUsageOID.SERVER_AUTH]), critical=False)
        )
        certificate = self.issued[name] = builder.sign(self._key, hashes.SHA256())
        secret = key.private_bytes(
            serialization.Encoding.PEM,
            serialization.PrivateFormat.PKCS8,
            serialization.NoEncryption(),
        )
        return self._context(name, secret + certificate.public_bytes(serialization.Encoding.PEM))

    def given_context(self, name: str, own: tuple[str, str]) -> ssl.SSLContext:
        """TLS with a certificate of somebody else's: its chain and its key, which fits."""
        known = self._given.get(name)
        if known is None or known[0] != own:
            chain, key = own
            context = self._context(f"{name}-given", f"{key}\n{chain}".encode())
            known = self._given[name] = (own, context)
        return known[1]

    def _context(self, name: str, content: bytes) -> ssl.SSLContext:
        file = self.folder / f"{name}.pem"
        file.touch(mode=0o600)
        file.write_bytes(content)
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(file)
        return context
