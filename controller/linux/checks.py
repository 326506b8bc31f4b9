"""Commands that say whether a configuration file can be used, for files whose daemon has one."""

from __future__ import annotations

CHECKS = {
    "/etc/sudoers": ("visudo", "-c", "-q", "-f", "{}"),
    "/etc/ssh/sshd_config": ("sshd", "-t", "-f", "{}"),
    "/etc/nftables.conf": ("nft", "-c", "-f", "{}"),
    "/etc/fstab": ("findmnt", "--verify", "--tab-file", "{}"),
}


def check_of(path: str) -> tuple[str, ...]:
    """The check of a file; empty if there is none. Parts of a folder `x.d` are checked as x."""
    return CHECKS.get(path.rpartition("/")[0].removesuffix(".d"), CHECKS.get(path, ()))
