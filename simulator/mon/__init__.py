"""Ceph's monitors: the commands that clients and administrators send them, answered from a twin."""
