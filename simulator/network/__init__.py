"""The network: what is cabled to what, who reaches whom in a VLAN, bonds over time."""
