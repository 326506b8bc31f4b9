"""Linux hosts: files and what daemons make of them, over SSH."""
