"""Calls of the served Proxmox VE about a node: network, disks, storages, Ceph, services."""
