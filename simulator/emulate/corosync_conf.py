"""corosync.conf of the real clusters: who is called what, on which address.

Neither real-time scheduling nor the root control group is asked for: nothing of the machine's own
is touched. Source: corosync.conf(5).
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from pathlib import Path

LINKS = (0, 1)
DEVICE = 0  # the number of the quorum device's server among the nodes
DEVICE_LINK = 9

_CONFIG = """
system {{
 sched_rr: no
 move_to_root_cgroup: no
}}
totem {{
 version: 2
 cluster_name: vlab
 transport: knet
 crypto_cipher: none
 crypto_hash: none
{timers}}}
logging {{
 to_logfile: yes
 logfile: {log}
 to_syslog: no
 to_stderr: no
 timestamp: hires
}}
quorum {{
provider: corosync_votequorum
{votes}}}
nodelist {{
{members}}}
"""
_QDEVICE = """device {{
 model: net
{votes} net {{
  host: {host}
  algorithm: {algorithm}
  tls: off
 }}
}}
"""


def port_of(link: int, peer: int) -> str:
    """The port of a node that leads to a peer."""
    return f"l{link}n{peer}"


def address_of(link: int, number: int) -> str:
    """The address of a node on a link."""
    return f"10.{link}.0.{number + 1}"


def config(
    log: Path,
    nodes: Iterable[int],
    totem: Mapping[str, int],
    quorum: Mapping[str, int | str],
    device: str,
) -> str:
    """The file of one node. `totem`, `quorum`: more keys of those sections. `device`: the algorithm
    of the quorum device, or nothing.
    """
    members = "".join(
        f"node {{\n nodeid: {number}\n name: n{number}\n"
        + "".join(f" ring{link}_addr: {address_of(link, number)}\n" for link in LINKS)
        + "}\n"
        for number in nodes
    )
    votes = "".join(f"{key}: {value}\n" for key, value in quorum.items())
    if device:
        host = address_of(DEVICE_LINK, DEVICE)
        one = " votes: 1\n" if device == "ffsplit" else ""  # it refuses to start without
        votes += _QDEVICE.format(host=host, algorithm=device, votes=one)
    timers = "".join(f"{key}: {value}\n" for key, value in totem.items())
    return _CONFIG.format(log=log, timers=timers, members=members, votes=votes)
