"""Templates of containers to fetch, and what is at an address. Source: PVE::API2::Nodes aplinfo,
apl_download, query_url_metadata, query_oci_repo_tags; PVE::APLInfo.

As with any other file, nothing is fetched. The index is a part of the one that a release brings
along, in its form. Leaves out: appliances of TurnKey Linux, checksums, which a file that was not
fetched has none to compare with, images from registries, of which none is reached.
"""

from __future__ import annotations

import re

from simulator.pve.call import Call
from simulator.pve.parameters import Value
from simulator.pve.propertystring import items
from simulator.pve.routes import Routes
from simulator.pve.tasks import start_task
from simulator.pve.wire import bad_parameters, died
from simulator.pve_node import volumes
from simulator.pve_node.storage import need_enabled
from simulator.pve_node.storage_download import (
    EXTENSIONS,
    LINK_BPS,
    SIZE_BYTES,
    URL,
    may_use_network,
)

routes = Routes()

_TEMPLATES = (
    # os, package, version, ending, headline
    ("alpine", "alpine-3.22-default", "20250617", "xz", "LXC default image for alpine 3.22"),
    ("almalinux", "almalinux-9-default", "20240911", "xz", "LXC default image for almalinux 9"),
    ("archlinux", "archlinux-base", "20240911-1", "zst", "ArchLinux base image."),
    ("debian-12", "debian-12-standard", "12.12-1", "zst", "Debian 12 Bookworm (standard)"),
    ("debian-13", "debian-13-standard", "13.1-2", "zst", "Debian 13 Trixie (standard)"),
    ("rockylinux", "rockylinux-9-default", "20240912", "xz", "LXC default image for rockylinux 9"),
    ("ubuntu-22.04", "ubuntu-22.04-standard", "22.04-1", "zst", "Ubuntu 22.04 Jammy (standard)"),
    ("ubuntu-24.04", "ubuntu-24.04-standard", "24.04-2", "zst", "Ubuntu 24.04 Noble (standard)"),
)
SYSTEM = "http://download.proxmox.com/images/system"


def _appliance(
    os: str, package: str, version: str, ending: str, headline: str
) -> tuple[str, dict[str, object]]:
    template = f"{package}_{version}_amd64.tar.{ending}"
    return template, {
        "architecture": "amd64",
        "description": headline,
        "headline": headline,
        "infopage": "https://pve.proxmox.com/wiki/Linux_Container#pct_supported_distributions",
        "location": f"{SYSTEM}/{template}",
        "maintainer": "Proxmox Support Team <support@proxmox.com>",
        "os": os,
        "package": package,
        "section": "system",
        "template": template,
        "type": "lxc",
        "version": version,
    }


APPLIANCES = dict(_appliance(*known) for known in _TEMPLATES)
"""By their file's name."""


@routes.add("GET /nodes/{node}/aplinfo", takes="node pve-node")
def appliances(call: Call) -> object:
    """Templates that can be fetched."""
    del call
    return list(APPLIANCES.values())


@routes.add(
    "POST /nodes/{node}/aplinfo",
    "/storage/{storage} Datastore.AllocateTemplate",
    "node pve-node\nstorage pve-storage-id\ntemplate string ..255",
)
def fetch(call: Call) -> object:
    """Fetch one into a storage, unless it is there already: a task."""
    storage, template = call.text("storage"), call.text("template")
    if (appliance := APPLIANCES.get(template)) is None:
        raise bad_parameters(template="no such template")
    if "vztmpl" not in items(str(need_enabled(call, storage)["content"])):
        raise died(f"storage '{storage}' does not support templates")
    there = volumes.find(call.documents, call.node, f"{storage}:vztmpl/{template}") is not None
    work: dict[str, Value] = {
        "storage": storage,
        "content": "vztmpl",
        "url": str(appliance["location"]),
        "verified": int(there),
    }
    took_s = 1.0 if there else SIZE_BYTES["vztmpl"] / LINK_BPS
    return start_task(call, "download", template, work, took_s=took_s)


@routes.add(
    "GET /nodes/{node}/query-url-metadata",
    may_use_network,
    f"node pve-node\nurl {URL}\nverify-certificates? boolean\n",
)
def url_metadata(call: Call) -> object:
    """What a server would say of a file: the size that it will have once it is fetched."""
    told: dict[str, object] = {"mimetype": "application/octet-stream"}
    if match := re.fullmatch(r"[^?]+/([^?/]*)(?:\?.*)?", call.text("url"), re.DOTALL):
        told["filename"] = match[1]
    name = str(told.get("filename", ""))
    kinds = [kind for kind, form in EXTENSIONS.items() if re.fullmatch(form, name)]
    return {**told, "size": SIZE_BYTES[kinds[0] if kinds else "iso"]}


_HOST = r"[a-zA-Z\d](?:[a-zA-Z\d-]*[a-zA-Z\d])?"
_PART = r"[a-z\d]+(?:(?:[._]|__|[-]*)[a-z\d]+)*"


@routes.add(
    "GET /nodes/{node}/query-oci-repo-tags",
    "/nodes/{node} Sys.AccessNetwork",
    rf"""
    node       pve-node
    reference  /(?:{_HOST}(?:\.{_HOST})*(?::\d+)?/)?{_PART}(?:/{_PART})*/
    """,
)
def image_tags(call: Call) -> object:
    """Tags of an image in a registry: skopeo reaches none."""
    command = f"skopeo list-tags docker://{call.text('reference')}"
    raise died(f"command '{command}' failed: exit code 1")
