"""The devices' half of a controller's settings for a lab that is served on this machine.

For the demo, trials and stories: where each simulated device is and how to log in, as `vlab.toml`
says it of real ones. What it opens is a simulation; the secrets are still kept in files.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from lab.lab import Lab
from simulator.linux.install import ADMINISTRATOR
from simulator.served.lab import ServedLab


def device_tables(folder: Path, lab: Lab, served: ServedLab) -> str:
    """TOML tables for all devices of the lab; their secrets and keys are put into `folder`."""
    lines = [
        *_clusters(folder, lab, served),
        *_arrays(folder, served),
        *_monitors(lab, served),
        *_hosts(served),
    ]
    return "\n".join(lines) + "\n"


def _clusters(folder: Path, lab: Lab, served: ServedLab) -> Iterator[str]:
    user, token_name = served.login.token.split("!")
    _keep(folder / "token", served.login.secret)
    for cluster in lab.clusters:
        yield f"[pve.{cluster}]"
        yield f"addresses = {[served.addresses[node] for node in lab.members(cluster)]}"
        yield f'user = "{user}"'
        yield f'token_name = "{token_name}"'
        yield 'token = "secret://file/token"'
        yield f'ca = "{served.ca_file}"'


def _arrays(folder: Path, served: ServedLab) -> Iterator[str]:
    for nas, key in served.login.api_keys.items():
        _keep(folder / f"{nas}.key", key)
        yield f"[nas.{nas}]"
        yield f'address = "{served.addresses[nas]}"'
        yield f'api_key = "secret://file/{nas}.key"'
        yield f'ca = "{served.ca_file}"'


def _monitors(lab: Lab, served: ServedLab) -> Iterator[str]:
    for ceph in lab.ceph:
        yield f"[ceph.{ceph}]"
        yield f'conf = "{served.ceph.with_name(f"{ceph}.conf")}"'
        yield f'command = ["{served.ceph}"]'


def _hosts(served: ServedLab) -> Iterator[str]:
    if served.ssh_addresses:
        yield '[linux."*"]'
        yield f'user = "{ADMINISTRATOR}"'
        yield f'key = "{served.ssh.key_file}"'
        yield f'known_hosts = "{served.ssh.known_hosts}"'
    for host, address in served.ssh_addresses.items():
        name, _, port = address.partition(":")
        yield f"[linux.{host}]"
        yield f'address = "{name}"'
        yield f"port = {port}"


def _keep(file: Path, secret: str) -> None:
    file.touch(mode=0o600)
    file.write_text(secret)
