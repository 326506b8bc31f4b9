"""Proxmox VE clusters: each thing that the API holds is one file; versions live here alone."""

from controller.pve.connect import connect
from controller.pve.kinds import KINDS, context, costs
from controller.pve.port import PvePort

__all__ = ["KINDS", "PvePort", "connect", "context", "costs"]
