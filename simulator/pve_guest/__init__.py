"""Calls of the served Proxmox VE about guests: configuration, power, moves, backups."""
