"""What an installation puts on a host: versions of packages and the files they bring.

Sources: Debian 13 and Proxmox VE 9 (versions); the packages' own default files, in few lines that
say the same. Leaves out: every package that nothing here asks about.
"""

from __future__ import annotations

from collections.abc import Mapping

VERSIONS: Mapping[str, str] = {
    "chrony": "4.6.1-3",
    "cron": "3.0pl1-197",
    "lvm2": "2.03.31-2",
    "multipath-tools": "0.11.1-2",
    "nfs-common": "1:2.8.3-1",
    "nfs-kernel-server": "1:2.8.3-1",
    "nftables": "1.1.3-1",
    "open-iscsi": "2.1.11-1",
    "openssh-server": "1:10.0p1-7",
    "rpcbind": "1.2.7-1",
    "sudo": "1.9.16p2-3",
    "xfsprogs": "6.13.0-2",
}

ISCSID_CONF = """\
iscsid.startup = /bin/systemctl start iscsid.socket
node.startup = manual
node.leading_login = No
node.session.timeo.replacement_timeout = 120
node.conn[0].timeo.login_timeout = 15
node.conn[0].timeo.logout_timeout = 15
node.conn[0].timeo.noop_out_interval = 5
node.conn[0].timeo.noop_out_timeout = 5
node.session.initial_login_retry_max = 8
node.session.cmds_max = 128
node.session.queue_depth = 32
node.session.nr_sessions = 1
node.session.scan = auto
"""

CONFIGURATION: Mapping[str, Mapping[str, tuple[int, str]]] = {
    "chrony": {"/etc/chrony/chrony.conf": (0o644, "confdir /etc/chrony/conf.d\nmakestep 1 3\n")},
    "multipath-tools": {},  # no /etc/multipath.conf: the daemon's own defaults
    "nfs-kernel-server": {
        "/etc/exports": (
            0o644,
            "# /etc/exports: the access control list for filesystems which may be exported\n",
        ),
        "/etc/nfs.conf": (0o644, "[nfsd]\n"),
    },
    "nftables": {
        "/etc/nftables.conf": (0o755, "flush ruleset\n"),
    },
    "open-iscsi": {
        "/etc/iscsi/iscsid.conf": (0o600, ISCSID_CONF),
    },
    "openssh-server": {
        "/etc/ssh/sshd_config": (
            0o644,
            "PermitRootLogin prohibit-password\nPasswordAuthentication no\n",
        ),
    },
    "sudo": {
        "/etc/sudoers": (
            0o440,
            "root ALL=(ALL:ALL) ALL\n%sudo ALL=(ALL:ALL) ALL\n@includedir /etc/sudoers.d\n",
        ),
    },
}
