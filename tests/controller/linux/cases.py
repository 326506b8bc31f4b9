"""One case for each kind of thing on a host: how it is said, and what makes it."""

from __future__ import annotations

from dataclasses import dataclass

from controller.linux.block import Block
from controller.linux.export import Export
from controller.linux.file import File
from controller.linux.filesystem import Filesystem
from controller.linux.mount import Mount
from controller.linux.package import Package
from controller.linux.service import Service
from controller.linux.thing import HostThing


@dataclass(frozen=True)
class Case:
    """`declared` stands in the backup server's entry; `identity`: of the thing that is meant."""

    kind: type[HostThing]
    identity: str
    declared: str
    made_by: tuple[str, ...]
    says_itself: bool = True


CHRONY = "/etc/chrony/conf.d/vlab.conf"
CASES = {
    "whole file": Case(
        File,
        CHRONY,
        f'files: {{{CHRONY}: {{content: "server 192.168.99.1\\n", mode: "0600", owner: "root:root",'
        " after: [systemctl, restart, chrony]}}",
        (f"write {CHRONY}, 1 lines, mode 0600, then systemctl restart chrony",),
    ),
    "block of a file": Case(
        Block,
        "/etc/hosts",
        'files: {/etc/hosts: {block: "192.168.99.14 pve4\\n192.168.99.15 pve5\\n"}}',
        ("write block vlab of /etc/hosts, 2 lines",),
    ),
    "mount": Case(
        Mount,
        "/mnt/spare",
        "mounts: {/mnt/spare: {source: /dev/sdb, type: xfs, options: [noatime, nofail]}}",
        (
            "mkdir -p -- /mnt/spare",
            "write block vlab mount /mnt/spare of /etc/fstab, 1 lines, then systemctl"
            " daemon-reload",
            "mount /mnt/spare",
        ),
    ),
    "package": Case(
        Package,
        "multipath-tools",
        "packages: {multipath-tools: {install: true}}",
        ("apt-get --yes --no-install-recommends install multipath-tools",),
    ),
    "service": Case(
        Service,
        "multipathd",
        "packages: {multipath-tools: {install: true}}\n"
        "services: {multipathd: {running: true, enabled: true}}",
        ("systemctl enable -- multipathd", "systemctl start -- multipathd"),
    ),
    "file system": Case(
        Filesystem,
        "/dev/sdb",
        "",
        ("mkfs.xfs /dev/sdb, if wipefs --noheadings /dev/sdb finds nothing",),
        says_itself=False,
    ),
    "export": Case(
        Export,
        "/backup/a",
        "",
        (
            "mkdir -p -m 0700 -- /backup/a",
            "chmod 0700 -- /backup/a",
            "write block vlab export /backup/a of /etc/exports, 1 lines, then exportfs -ra",
        ),
    ),
}
