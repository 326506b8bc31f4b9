"""Membership of a cluster: corosync's links and token, votequorum, the quorum device."""
