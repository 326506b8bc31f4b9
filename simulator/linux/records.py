"""The node database of open-iscsi: a file for each target and portal, and what they inherit.

Records are ordinary files of the host, `/etc/iscsi/nodes/IQN/ADDRESS,PORT,TAG/default`, so what an
administrator writes there counts. Source: open-iscsi 2.1 (README, idbm), a record as it writes one.
Leaves out: interfaces other than `default`, offload, boot records.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from simulator.linux.files import Files
from simulator.storage.targets import PORT

NODES = "/etc/iscsi/nodes"
DISCOVERED = "/etc/iscsi/send_targets"
ISCSID = "/etc/iscsi/iscsid.conf"
INITIATOR = "/etc/iscsi/initiatorname.iscsi"

DEFAULTS: Mapping[str, str] = dict(
    line.split(" = ", 1)
    for line in """\
node.name =
node.tpgt = -1
node.startup = manual
node.leading_login = No
iface.iscsi_ifacename = default
iface.transport_name = tcp
node.discovery_address = <empty>
node.discovery_port = 0
node.discovery_type = static
node.session.initial_cmdsn = 0
node.session.initial_login_retry_max = 4
node.session.xmit_thread_priority = -20
node.session.cmds_max = 128
node.session.queue_depth = 32
node.session.nr_sessions = 1
node.session.auth.authmethod = None
node.session.auth.username = <empty>
node.session.auth.password = <empty>
node.session.auth.username_in = <empty>
node.session.auth.password_in = <empty>
node.session.auth.chap_algs = MD5
node.session.timeo.replacement_timeout = 120
node.session.err_timeo.abort_timeout = 15
node.session.err_timeo.lu_reset_timeout = 30
node.session.err_timeo.tgt_reset_timeout = 30
node.session.err_timeo.host_reset_timeout = 60
node.session.iscsi.FastAbort = Yes
node.session.iscsi.InitialR2T = No
node.session.iscsi.ImmediateData = Yes
node.session.iscsi.FirstBurstLength = 262144
node.session.iscsi.MaxBurstLength = 16776192
node.session.iscsi.DefaultTime2Retain = 0
node.session.iscsi.DefaultTime2Wait = 2
node.session.iscsi.MaxConnections = 1
node.session.iscsi.MaxOutstandingR2T = 1
node.session.iscsi.ERL = 0
node.session.scan = auto
node.session.reopen_max = 0
node.conn[0].address =
node.conn[0].port = 3260
node.conn[0].startup = manual
node.conn[0].tcp.window_size = 524288
node.conn[0].tcp.type_of_service = 0
node.conn[0].timeo.logout_timeout = 15
node.conn[0].timeo.login_timeout = 30
node.conn[0].timeo.auth_timeout = 45
node.conn[0].timeo.noop_out_interval = 5
node.conn[0].timeo.noop_out_timeout = 5
node.conn[0].iscsi.MaxXmitDataSegmentLength = 0
node.conn[0].iscsi.MaxRecvDataSegmentLength = 262144
node.conn[0].iscsi.HeaderDigest = None
node.conn[0].iscsi.DataDigest = None
node.conn[0].iscsi.IFMarker = No
node.conn[0].iscsi.OFMarker = No""".replace(" =\n", " = \n").splitlines()
)
_SECRET = re.compile(r"password")
EMPTY = "<empty>"


@dataclass(frozen=True)
class Record:
    """A portal of a target that the host knows how to log in to. `path`: its file."""

    iqn: str
    address: str
    port: int
    tag: int
    values: Mapping[str, str]
    path: str

    @property
    def line(self) -> str:
        """As `iscsiadm -m node` lists it; an unknown tag is shown as an unsigned -1."""
        return f"{self.address}:{self.port},{self.tag % 2**32} {self.iqn}"

    @property
    def named(self) -> str:
        """As messages name it."""
        return f"[iface: default, target: {self.iqn}, portal: {self.address},{self.port}]"


def read_settings(text: str) -> dict[str, str]:
    """`name = value` lines; comments and anything else are passed over."""
    found = {}
    for line in text.splitlines():
        name, equals, value = line.partition("=")
        if equals and not line.lstrip().startswith("#"):
            found[name.strip()] = value.strip()
    return found


def initiator(files: Files) -> str:
    """The host's own name; empty if the file is missing or says none."""
    found = files.find(INITIATOR)
    return read_settings(found.content).get("InitiatorName", "") if found is not None else ""


def records(files: Files) -> Iterator[Record]:
    """Every record, by target and portal."""
    for iqn in _names(files, NODES):
        for portal in _names(files, f"{NODES}/{iqn}"):
            place = f"{NODES}/{iqn}/{portal}"
            found = files.find(place)
            path = f"{place}/default" if found is not None and found.kind == "dir" else place
            content = files.find(path)
            words = portal.split(",")
            if content is None or len(words) < 2 or not words[1].isdigit():
                continue
            values = read_settings(content.content)
            tag = int(words[2]) if len(words) > 2 and words[2].isdigit() else -1
            yield Record(iqn, words[0], int(words[1]), tag, values, path)


def fresh(files: Files, iqn: str, address: str, port: int, tag: int, source: str = "") -> Record:
    """A record as discovery or `-o new` makes it: the defaults, and what iscsid.conf says."""
    found = files.find(ISCSID)
    settings = read_settings(found.content) if found is not None else {}
    values = {name: settings.get(name, value) for name, value in DEFAULTS.items()}
    values |= {
        "node.name": iqn,
        "node.tpgt": str(tag),
        "node.conn[0].address": address,
        "node.conn[0].port": str(port),
    }
    if source:
        values |= {
            "node.discovery_address": source,
            "node.discovery_port": str(PORT),
            "node.discovery_type": "send_targets",
        }
    folder = f"{NODES}/{iqn}/{address},{port}"
    path = f"{folder},{tag}/default" if tag >= 0 else folder
    return Record(iqn, address, port, tag, values, path)


def keep(files: Files, record: Record) -> None:
    """Write a record to its file. Raises OSError."""
    parts = record.path.split("/")[1:-1]
    for depth in range(1, len(parts) + 1):
        folder = "/" + "/".join(parts[:depth])
        if files.find(folder) is None:
            files.make_folder(folder, 0o700)
    files.write(record.path, text_of(record.values), 0o600)


def drop(files: Files, record: Record) -> None:
    """Remove a record, and the folders that are empty then."""
    files.remove(record.path)
    folder = record.path.rpartition("/")[0]
    while folder != NODES and not files.names(folder):
        files.remove(folder)
        folder = folder.rpartition("/")[0]


def text_of(values: Mapping[str, str], *, masked: bool = False) -> str:
    """A record as a file, or as `iscsiadm` shows it."""
    lines = ["# BEGIN RECORD 2.1.11"]
    for name, value in values.items():
        hidden = masked and _SECRET.search(name) and value != EMPTY
        lines.append(f"{name} = {'********' if hidden else value}")
    return "\n".join([*lines, "# END RECORD"]) + "\n"


def _names(files: Files, folder: str) -> list[str]:
    found = files.find(folder)
    return files.names(folder) if found is not None and found.kind == "dir" else []
