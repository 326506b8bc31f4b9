"""Calls of the served Proxmox VE about the whole cluster: people, firewall, HA, SDN, jobs."""
