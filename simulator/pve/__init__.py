"""The Proxmox VE API of a cluster, served on the twin."""
