"""The picture of the page that docs/server.md shows: the server with the models that ship, in headless Chromium.

python tests/benchmarks/server/screenshot.py docs/server.png
"""

import runpy
import shutil
import sys
import tempfile
from pathlib import Path
from types import SimpleNamespace

from playwright.sync_api import sync_playwright

TESTS = Path(__file__).parents[2]
running = SimpleNamespace(**runpy.run_path(str(TESTS / "asr/server/running.py")))

with tempfile.TemporaryDirectory() as folder, sync_playwright() as playwright:
    server = running.Server(Path(folder), key=None)
    browser = playwright.chromium.launch(executable_path=shutil.which("chromium"), args=["--no-sandbox"])
    page = browser.new_page(viewport={"width": 900, "height": 560})
    page.goto(server.url)
    page.set_input_files("#file", TESTS / "data/5789-70653-0013.flac")
    page.get_by_role("button", name="had", exact=True).click(timeout=60_000)
    page.locator(".words .now").wait_for()  # it is heard
    page.evaluate("audio.pause()")
    page.screenshot(path=sys.argv[1])
    browser.close()
    server.end()
