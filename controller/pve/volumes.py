"""On which storages a guest's volumes are: its disks, and all else that its configuration names.

Source: qm.conf(5), pct.conf(5). Leaves out the memory of snapshots.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

_VOLUMES = re.compile(
    r"(?:ide|sata|scsi|virtio|efidisk|tpmstate|unused|mp)\d+|rootfs"  # of machines and containers
)
_VOLUME = re.compile(r"(?:file=|volume=)?([A-Za-z][A-Za-z0-9._-]*):")


def storages_of(config: Mapping[str, Any]) -> frozenset[str]:
    """Storages that a configuration names."""
    found = (
        _VOLUME.match(str(value)) for name, value in config.items() if _VOLUMES.fullmatch(name)
    )
    return frozenset(match[1] for match in found if match)
