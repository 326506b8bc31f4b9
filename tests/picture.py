"""Take the picture of the status page that README shows: `python -m tests.picture`.

The lab of `desired-state/` in sync, with the loss of pve2 simulated, as a reader with a wide window
sees it. Needs the system's Chromium.
"""

from __future__ import annotations

import sys
import tempfile
import time
from pathlib import Path

from playwright.sync_api import expect

from api.http import Server, create_app
from tests.api.browser import CHROMIUM, chromium
from tests.api.exhibit import exhibit

PICTURE = Path(__file__).parents[1] / "docs" / "page.png"
WIDTH = 1280
FAULT = "fail-node%20pve2"


def take(file: Path) -> None:
    """Write the picture."""
    with tempfile.TemporaryDirectory() as folder:
        shown = exhibit(Path(folder), time.time() - 20)
        with Server(create_app(shown.view()), "127.0.0.1", 0) as server, chromium() as browser:
            page = browser.new_page(viewport={"width": WIDTH, "height": 900}, color_scheme="light")
            page.goto(f"{server.url}#{FAULT}")
            expect(page.locator(".outcome")).to_be_visible()
            expect(page.locator("#live")).to_have_text("live")
            page.evaluate("document.querySelectorAll('.objects, .runs').forEach((e) => e.remove())")
            page.screenshot(path=file, full_page=True)
        shown.history.close()


if __name__ == "__main__":
    if CHROMIUM is None:
        sys.exit("no browser here: apt-get install chromium")
    take(PICTURE)
