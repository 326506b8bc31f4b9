"""The faces of vlab: command line, HTTP, web page, forge comments."""
