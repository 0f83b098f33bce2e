"""The pictures of the page that docs/server.md shows: the server with the models that ship, in headless Chromium.

python tests/benchmarks/server/screenshot.py docs/server.png docs/server-live.png

The second one is of the captions of a microphone that hears two recordings over and over.
"""

import re
import runpy
import shutil
import sys
import tempfile
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import soundfile
from playwright.sync_api import sync_playwright

TESTS = Path(__file__).parents[2]
running = SimpleNamespace(**runpy.run_path(str(TESTS / "asr/server/running.py")))

with tempfile.TemporaryDirectory() as folder, sync_playwright() as playwright:
    names = ("1970-28415-0034.flac", "5789-70653-0013.flac")
    heard = np.concatenate([soundfile.read(TESTS / "data" / name)[0] for name in names])
    soundfile.write(f"{folder}/heard.wav", heard, 16_000)
    server = running.Server(Path(folder), key=None)
    arguments = ["--use-fake-ui-for-media-stream", "--use-fake-device-for-media-stream", "--no-sandbox"]
    arguments.append(f"--use-file-for-fake-audio-capture={folder}/heard.wav")
    browser = playwright.chromium.launch(executable_path=shutil.which("chromium"), args=arguments)
    page = browser.new_page(viewport={"width": 900, "height": 560})
    page.set_default_timeout(60_000)
    page.goto(server.url)
    page.set_input_files("#file", TESTS / "data/5789-70653-0013.flac")
    page.get_by_role("button", name="had", exact=True).click()
    page.locator(".words .now").wait_for()  # it is heard
    page.evaluate("audio.pause()")
    page.screenshot(path=sys.argv[1])
    page.set_viewport_size({"width": 900, "height": 300})
    page.get_by_role("tab", name="Live").click()
    page.get_by_role("button", name="Start captions").click()
    page.get_by_role("log").locator("p").nth(1).wait_for()
    page.locator("#growing").filter(has_text=re.compile(r"\w+ \w+ \w+")).wait_for()
    page.screenshot(path=sys.argv[2])
    browser.close()
    server.end()
