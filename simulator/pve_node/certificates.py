"""Certificates of a node. Source: PVE::API2::Certificates, PVE::CertHelpers set_cert_files,
PVE::Certificate.

Those that the served lab really shows to clients, so that a client that was told a fingerprint can
go by it; a cluster that is not served has only made-up fingerprints. One that is set is in the
node's folder below /etc/pve at once, and is shown to clients from when pveproxy starts next, as
`restart` asks for. Leaves out: that pveproxy is away for a moment then, and that 7.4 takes a key
that does not fit, with which its pveproxy would not start.
"""

from __future__ import annotations

import re
from dataclasses import replace

from cryptography import x509
from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.hazmat.primitives.serialization import Encoding, load_pem_private_key
from cryptography.x509.oid import NameOID

from simulator.pve.call import Call, Environment
from simulator.pve.documents import Documents, NodeFiles
from simulator.pve.formats import FORMATS, Format
from simulator.pve.routes import Routes, index
from simulator.pve.wire import bad_parameters, died
from simulator.pve_datacenter import resources
from simulator.pve_datacenter.resources import proxy_file, set_certificate

routes = Routes()
index(routes, "/nodes/{node}/certificates", "acme custom info")

_SHORT = {
    NameOID.COMMON_NAME: "CN",
    NameOID.COUNTRY_NAME: "C",
    NameOID.DOMAIN_COMPONENT: "DC",
    NameOID.EMAIL_ADDRESS: "emailAddress",
    NameOID.LOCALITY_NAME: "L",
    NameOID.ORGANIZATIONAL_UNIT_NAME: "OU",
    NameOID.ORGANIZATION_NAME: "O",
    NameOID.STATE_OR_PROVINCE_NAME: "ST",
}
NODE, MODIFY = "node pve-node\n", "/nodes/{node} Sys.Modify"
_LINES = r"[0-9A-Za-z+/\s]*+={0,2}\s*+"  # possessive: a long text that is none is refused at once


def _pem(label: str, *, several: bool = False) -> re.Pattern[str]:
    one = rf"-----BEGIN {label}-----{_LINES}-----END {label}-----\s*"
    return re.compile(f"({one})+" if several else one)


def _stripped(text: str) -> str:
    """Without what stands before the first block."""
    return re.sub(r"^.*?(?=-----BEGIN .*?-----)", "", text, count=1, flags=re.DOTALL)


def _formed(form: re.Pattern[str]) -> Format:
    wrong = "not a valid PEM-formatted string.\n"
    return lambda text: "" if form.fullmatch(_stripped(text)) else wrong


FORMATS |= {
    "pem-certificate-chain": _formed(_pem("CERTIFICATE", several=True)),
    "pem-string": _formed(_pem(r"[^\n]*?")),
}


@routes.add("GET /nodes/{node}/certificates/info", takes=NODE)
def info(call: Call) -> object:
    """The authority's certificate, the node's own, and the one that was set."""
    shown = call.api.certificates.get(call.node)
    if shown is None:
        made_up = resources.issued_fingerprint(call.api, call.node)
        rows: list[dict[str, object]] = [{"filename": "pve-ssl.pem", "fingerprint": made_up}]
    else:
        rows = [_row("pve-root-ca.pem", shown.authority), _row("pve-ssl.pem", shown.own)]
    if (found := set_certificate(call.documents, call.node)) is not None:
        rows.append(_row("pveproxy-ssl.pem", found))
    return rows


@routes.add(
    "POST /nodes/{node}/certificates/custom",
    MODIFY,
    NODE
    + "certificates pem-certificate-chain\nkey? pem-string\nforce? boolean\nrestart? boolean\n",
)
def upload(call: Call) -> object:
    """Set a certificate, with those that lead to its authority; its key may be there already."""
    files, force = call.documents.files, call.flag("force")
    pem, key = proxy_file(call.node, "pem"), proxy_file(call.node, "key")
    if not call.text("key") and key not in files:
        raise bad_parameters(key="Attempted to upload custom certificate without (existing) key.")
    call.need_quorum()
    if not force and pem in files:
        raise died("Custom certificate file exists but force flag is not set.")
    if not force and key in files:
        raise died("Custom certificate key file exists but force flag is not set.")
    chain = _stripped(call.text("certificates"))
    secret = _stripped(call.text("key")) or files[key]
    certificate = _checked(chain, secret)
    files |= {pem: chain, key: secret}
    if call.flag("restart"):
        start_proxy(call)
    return _row("pveproxy-ssl.pem", certificate)


def _checked(chain: str, key: str) -> x509.Certificate:
    """The first certificate of a chain. Raises for one that can't be read, or is of another key.

    What OpenSSL adds to the texts is left out.
    """
    failed = "Setting certificate files failed - "
    try:
        certificate = x509.load_pem_x509_certificates(chain.encode())[0]
    except ValueError as error:
        raise died(f"{failed}Failed to load certificate") from error
    try:
        fits = load_pem_private_key(key.encode(), None).public_key() == certificate.public_key()
    except (TypeError, ValueError, UnsupportedAlgorithm) as error:
        raise died(f"{failed}Failed to load private key") from error
    if not fits:
        raise died(f"{failed}Failed to validate private key and certificate")
    return certificate


@routes.add("DELETE /nodes/{node}/certificates/custom", MODIFY, NODE + "restart? boolean\n")
def remove(call: Call) -> object:
    """Go back to the node's own one."""
    call.need_quorum()
    for ending in ("pem", "key"):
        call.documents.files.pop(proxy_file(call.node, ending), None)
    if call.flag("restart"):
        start_proxy(call)
    return None


def start_proxy(scene: Environment) -> None:
    """Let the node's pveproxy take up the certificate that is there when it starts."""
    nodes = scene.documents.nodes
    known = nodes.get(scene.node, NodeFiles())
    nodes[scene.node] = replace(known, presented=set_pair(scene.documents, scene.node))


def set_pair(documents: Documents, node: str) -> tuple[str, str] | None:
    """The certificates and the key that were set; None if they were not."""
    pem, key = (documents.files.get(proxy_file(node, ending)) for ending in ("pem", "key"))
    return (pem, key) if pem and key else None


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
