"""CRUSH as Ceph computes it, bit for bit: from an object or placement group to its OSDs."""
