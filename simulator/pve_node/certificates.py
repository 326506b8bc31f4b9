"""Certificates of a node. Source: PVE::API2::Certificates, PVE::Certificate get_certificate_info.

Those that the served lab really shows to clients, so that a client that was told a fingerprint can
go by it; a cluster that is not served has only made-up fingerprints. Leaves out: setting others,
and ordering them (ACME).
"""

from __future__ import annotations

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.hazmat.primitives.serialization import Encoding
from cryptography.x509.oid import NameOID

from simulator.pve.call import Call
from simulator.pve.routes import Routes, index
from simulator.pve_datacenter import resources

routes = Routes()
index(routes, "/nodes/{node}/certificates", "acme custom info")

_SHORT = {NameOID.COMMON_NAME: "CN", NameOID.ORGANIZATION_NAME: "O"}


@routes.add("GET /nodes/{node}/certificates/info", takes="node pve-node\n")
def info(call: Call) -> object:
    """The authority's certificate and the node's own."""
    shown = call.api.certificates.get(call.node)
    if shown is None:
        made_up = resources.fingerprint(call.api, call.node)
        return [{"filename": "pve-ssl.pem", "fingerprint": made_up}]
    return [_row("pve-root-ca.pem", shown.authority), _row("pve-ssl.pem", shown.own)]


def name_of(name: x509.Name) -> str:
    """As OpenSSL writes it in one line: `/CN=pve1.lab`."""
    return "".join(f"/{_SHORT[part.oid]}={part.value!s}" for part in name if part.oid in _SHORT)


def _row(filename: str, certificate: x509.Certificate) -> dict[str, object]:
    key = certificate.public_key()
    row: dict[str, object] = {
        "filename": filename,
        "fingerprint": certificate.fingerprint(hashes.SHA256()).hex(":").upper(),
        "subject": name_of(certificate.subject),
        "issuer": name_of(certificate.issuer),
        "notbefore": int(certificate.not_valid_before_utc.timestamp()),
        "notafter": int(certificate.not_valid_after_utc.timestamp()),
        "pem": certificate.public_bytes(Encoding.PEM).decode(),
        "san": _alternatives(certificate),
    }
    if isinstance(key, ec.EllipticCurvePublicKey | rsa.RSAPublicKey):
        kind = "id-ecPublicKey" if isinstance(key, ec.EllipticCurvePublicKey) else "rsaEncryption"
        row |= {"public-key-bits": key.key_size, "public-key-type": kind}
    return row


def _alternatives(certificate: x509.Certificate) -> list[str]:
    try:
        extension = certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName)
    except x509.ExtensionNotFound:
        return []
    return [str(name.value) for name in extension.value]
