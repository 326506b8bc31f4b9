"""What holds for every test: properties are tried on the same examples everywhere, at any speed."""

from __future__ import annotations

from hypothesis import settings

settings.register_profile("vlab", deadline=None, derandomize=True)
settings.load_profile("vlab")
