"""The routes of the HTTP API, a module per area; each only turns values into answers."""
