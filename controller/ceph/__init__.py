"""Ceph clusters: what their monitors keep, as things of the controller.

OSDs, monitors and managers themselves are made and destroyed through Proxmox VE, on their nodes.
"""
