"""What went wrong, from what the API said, and whether the same call may succeed later.

The API has no codes for conflicts, locks and absence: texts alone tell them apart. Source: the
Proxmox VE sources of 8 and 9 (pve-cluster, qemu-server, pve-http-server).
"""

from __future__ import annotations

import re

from proxmoxer.core import ResourceException
from requests import exceptions
from urllib3.exceptions import MaxRetryError, NewConnectionError

from lab.errors import DeviceError

UNREACHABLE = 595  # another node can't be reached: the call was not begun there
BROKEN = frozenset({596, 597, 598, 599})  # the connection to it broke: it may have been begun
NO_QUORUM = re.compile(r"no quorum|unable to open file '/etc/pve/.*Permission denied", re.DOTALL)
_LATER = re.compile(
    r"got lock request timeout"  # of a cluster-wide file, after 10 s
    r"|can't lock file .* - got timeout"  # of a guest
    r"|(?:VM|CT) is locked"  # by a backup, a migration ...
    r"|checksum mismatch|detected modified configuration"  # what `{now}` meant is asked anew
    r"|Configuration file 'nodes/.*' does not exist"  # it has just moved: so is `{node:...}`
    r"|VM \d+ is running - destroy failed"  # HA has just started it: it is to be shut down first
    r"|more resources than available nodes",  # the HA manager has not seen the nodes yet
    re.DOTALL,
)


def is_transient(text: str) -> bool:
    """Whether what a call or a task says will pass by itself."""
    return bool(_LATER.search(text) or NO_QUORUM.search(text))


def from_answer(device: str, call: str, error: ResourceException) -> DeviceError:
    """The error of a call that was answered with one. `call`: `PUT /pools`, without its values."""
    status = int(error.status_code)
    said = str(error.content).strip()
    if isinstance(error.errors, dict):
        told = (f"{name}: {str(text).strip()}" for name, text in sorted(error.errors.items()))
        said = "; ".join((said, *told))
    retryable = status == UNREACHABLE or status in BROKEN or is_transient(said)
    return DeviceError(device, f"{call}: {status} {said}", retryable=retryable, status=status)


def from_failure(
    device: str, call: str, address: str, error: exceptions.RequestException
) -> DeviceError:
    """The error of a call that was not answered. A certificate that does not fit stays wrong."""
    trusted = not isinstance(error, exceptions.SSLError)
    what = f"{call}: {address} {_reason(error)}"
    return DeviceError(device, what, retryable=trusted)


def unsent(error: exceptions.RequestException) -> bool:
    """Whether the call certainly did not reach the address."""
    if isinstance(error, exceptions.ConnectTimeout | exceptions.SSLError):
        return True
    inner = error.args[0] if error.args else None
    return isinstance(inner, MaxRetryError) and isinstance(inner.reason, NewConnectionError)


def _reason(error: exceptions.RequestException) -> str:
    """In an operator's words; texts of the libraries below hold addresses in memory."""
    match error:
        case exceptions.SSLError():
            return (
                "does not prove who it is: its certificate is not from our CA, or of another name"
            )
        case exceptions.ConnectTimeout():
            return "does not take connections (timeout)"
        case exceptions.ReadTimeout():
            return "did not answer in time; what was asked may still happen"
        case _ if unsent(error):
            return "does not take connections"
        case _:
            return "broke the connection; what was asked may still happen"
