"""Storage: Ceph over time, iSCSI paths and targets, what disks carry, whether a storage serves."""
