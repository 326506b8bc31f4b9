"""Linux hosts: things against simulated hosts, writes against a real OpenSSH server."""
