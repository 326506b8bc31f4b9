"""`python -m api.reference`: write all pages that come from the code."""

from __future__ import annotations

from api.reference.pages import write

if __name__ == "__main__":
    write()
