"""The page in a browser: headless Chromium, whose microphone is a file."""

import json
import os
import re
import runpy
import shutil
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import soundfile

from asr.recognizer import Recognizer

until = runpy.run_path(str(Path(__file__).with_name("running.py")))["until"]
DATA = Path(__file__).parents[2] / "data"
TALK = DATA / "5789-70653-0013.flac"
SECOND = DATA / "1970-28415-0034.flac"


@pytest.fixture(scope="module")
def browser(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Any]:
    sync_api = pytest.importorskip("playwright.sync_api", reason="no playwright: it drives the browser")
    chromium = shutil.which("chromium")
    if not chromium:
        pytest.skip("no chromium: apt-get install chromium")
    heard = tmp_path_factory.mktemp("microphone") / "heard.wav"
    soundfile.write(heard, soundfile.read(TALK)[0], 16_000)
    arguments = ["--use-fake-ui-for-media-stream", "--use-fake-device-for-media-stream"]
    arguments += [f"--use-file-for-fake-audio-capture={heard}", "--no-sandbox"]
    with sync_api.sync_playwright() as playwright:
        made = playwright.chromium.launch(executable_path=chromium, args=arguments)
        yield made
        made.close()


@pytest.fixture
def problems() -> list[str]:
    """What goes wrong in the page: exceptions, lines on its console, requests to elsewhere. It fails the test."""
    return []


@pytest.fixture
def page(browser: Any, server: Any, problems: list[str]) -> Iterator[Any]:
    """The page, opened with the key as a password."""
    context = browser.new_context(http_credentials={"username": "", "password": server.key})
    made = context.new_page()
    made.set_default_timeout(60_000)
    made.on("console", lambda message: problems.append(message.text) if message.type == "error" else None)
    made.on("pageerror", lambda error: problems.append(str(error)))
    made.on("request", lambda request: problems.append(request.url) if elsewhere(request.url, server) else None)
    made.goto(server.url)
    yield made
    context.close()
    assert not problems


def elsewhere(url: str, server: Any) -> bool:
    return not url.startswith((server.url, "blob:", "data:"))


def test_a_recording_is_transcribed_heard_corrected_and_saved(page: Any, tiny_bundle: Path) -> None:
    transcript = Recognizer(tiny_bundle).transcribe(TALK)
    page.set_input_files("#file", [TALK, SECOND])
    page.get_by_role("button", name=SECOND.name).wait_for()
    page.get_by_role("button", name=TALK.name).click()
    words = page.locator(".words button")
    assert words.all_inner_texts() == [word.word for word in transcript.words]
    doubtful = page.locator(".words .doubtful").count()
    assert doubtful == sum(word.confidence < 0.6 for word in transcript.words)

    words.nth(2).click()
    # Not wait_for_function, which evaluates strings within the page, whose policy forbids that.
    page.evaluate("new Promise(done => { const look = () => audio.seeking ? setTimeout(look, 10) : done(); look() })")
    assert page.evaluate("audio.currentTime") >= transcript.words[2].start - 0.01
    page.evaluate("audio.pause()")
    assert (
        page.locator("canvas").first.evaluate("c => new Set(c.getContext('2d').getImageData(0, 0, 300, 9).data).size")
        > 1
    )

    page.fill("#correction", "corrected")
    page.keyboard.press("Enter")
    assert words.nth(2).inner_text() == "corrected"
    for form, expected in (("txt", "corrected"), ("srt", "00:00:"), ("vtt", "WEBVTT"), ("json", '"corrected": true')):
        with page.expect_download() as download:
            page.get_by_role("button", name=form, exact=True).click()
        assert download.value.suggested_filename == f"{TALK.stem}.{form}"
        text = download.value.path().read_text()
        assert expected in text
        assert "corrected" in text
    assert not page.evaluate("JSON.parse(written('json')).words[0].corrected")


def test_a_word_that_was_taken_out_can_be_put_back(page: Any) -> None:
    """Whatever was made of it before; screen readers are told that it is out."""
    page.set_input_files("#file", TALK)
    word = page.locator(".words button").nth(2)
    word.wait_for()
    heard, text = word.inner_text(), page.evaluate("written('txt')")

    def choose(button: str) -> None:
        word.click()
        page.evaluate("audio.pause()")
        page.locator("#alternatives").get_by_role("button", name=button, exact=True).click()
        assert page.evaluate("document.activeElement === document.querySelectorAll('.words button')[2]")

    word.click()
    page.fill("#correction", "corrected")
    page.keyboard.press("Enter")
    word.click()
    page.fill("#correction", " ")
    page.keyboard.press("Enter")
    page.get_by_role("button", name=f"{heard}, taken out").wait_for()
    assert len(page.evaluate("written('txt')").split()) == len(text.split()) - 1
    choose(heard)
    assert page.evaluate("written('txt')") == text
    assert "doubtful" not in (word.get_attribute("class") or "")  # somebody has looked
    choose("(nothing)")
    word.click()
    page.fill("#correction", heard)
    page.keyboard.press("Enter")
    assert page.evaluate("written('txt')") == text
    assert 'corrected": true' not in page.evaluate("written('json')")


# What becomes of a page's WebSocket, and of a request, both with a key.
DOINGS = """async ([url, secret, key]) => {
    const socket = new WebSocket(url.replace("http", "ws"), ["vosk", `openai-insecure-api-key.${secret}`]);
    const opened = await new Promise((done) => {
      socket.onopen = () => done(true);
      socket.onclose = () => done(false);
    });
    socket.close();
    const headers = { Authorization: `Bearer ${key}`, "X-Any": "more" };
    const asked = fetch(`${url}/v1/lm/score`, { method: "POST", headers, body: '{"texts": ["a"]}' });
    return [opened, await asked.then((response) => response.json(), () => null)];
}"""


def test_pages_from_elsewhere_may_do_nothing_unless_they_are_allowed(
    page: Any, server: Any, problems: list[str]
) -> None:
    page.context.grant_permissions(["local-network-access"])
    secret = server.ask("/v1/realtime/client_secrets")[1]["value"]
    for origin, allowed in (("https://elsewhere.example", False), ("https://app.example", True)):
        page.route(f"{origin}/", lambda route: route.fulfill(body="<title>x</title>", content_type="text/html"))
        page.goto(f"{origin}/")
        opened, answer = page.evaluate(DOINGS, [server.url, secret, server.key])
        assert (opened, answer and len(answer)) == ((True, 1) if allowed else (False, None))
    problems.clear()  # browsers tell of what they may not


def test_what_cannot_be_transcribed_is_told(page: Any, problems: list[str], tmp_path: Path) -> None:
    files = [tmp_path / "no sound.wav", tmp_path / "nor here.wav"]
    for path in files:
        path.write_bytes(b"no sound")
    page.set_input_files("#file", files)
    page.get_by_role("alert").filter(has_text="nor here.wav").filter(has_text="no sound.wav").wait_for()
    problems.clear()  # browsers tell of the 400


def test_sliders_rank_the_hypotheses_anew(page: Any) -> None:
    page.set_input_files("#file", TALK)
    page.locator(".words button").first.wait_for()
    page.get_by_role("tab", name="Why").click()
    rows = page.locator("#hypotheses tr")
    before = [row.split("\t") for row in rows.all_inner_texts()]
    assert [float(row[6]) for row in before] == sorted((float(row[6]) for row in before), reverse=True)
    page.fill("#w-acoustic", "0")
    page.fill("#w-ngram", "0")
    page.fill("#w-lstm", "0")
    page.fill("#w-word", "-5")
    after = [row.split("\t") for row in rows.all_inner_texts()]
    assert {row[1] for row in after} == {row[1] for row in before}
    assert [int(row[5]) for row in after] == sorted(int(row[5]) for row in before)
    assert page.locator("#best").inner_text() == after[0][1]
    page.get_by_role("button", name="As the recogniser").click()
    assert [row.split("\t")[1] for row in rows.all_inner_texts()] == [row[1] for row in before]


def test_next_words_by_keyboard(page: Any, server: Any) -> None:
    page.get_by_role("tab", name="Transcribe").focus()
    page.keyboard.press("ArrowLeft")
    assert page.evaluate("document.activeElement.id") == "tab-next"
    page.fill("#text", "the")
    expected = server.ask("/v1/lm/next", text="the", model="lstm", top=3)[1]["words"]
    name = {"</s>": "(end of the sentence)", "<unk>": "(an unknown word)"}
    for item in expected:
        label = name.get(item["word"], item["word"].lower())
        page.locator("#models section").nth(1).get_by_text(label, exact=True).wait_for()
    assert page.locator("#models section").count() == 3
    choice = page.locator("#models section").nth(1).locator("button").filter(has_not_text="(").first
    word = choice.locator("span").first.inner_text()
    choice.press("Enter")
    assert page.input_value("#text") == f"the {word}"


def test_the_microphone_is_recorded(page: Any) -> None:
    page.get_by_role("button", name="Record", exact=True).click()
    page.get_by_role("button", name="Stop recording").wait_for()
    page.wait_for_timeout(1500)
    page.get_by_role("button", name="Stop recording").click()
    page.get_by_role("button", name="recording 1.wav").wait_for()
    sound = page.evaluate("[...recordings[0].sound.samples]")
    assert len(sound) > 8000
    assert np.abs(sound).max() > 0.01


def test_captions_of_the_microphone_by_keyboard(page: Any, server: Any, tiny_bundle: Path) -> None:
    """Words that may change, then those that stay, which screen readers are told."""
    page.get_by_role("tab", name="Transcribe").focus()
    page.keyboard.press("ArrowRight")
    page.keyboard.press("ArrowRight")
    assert page.evaluate("document.activeElement.id") == "tab-live"
    page.keyboard.press("Tab")
    page.keyboard.press("Enter")
    page.get_by_role("status").filter(has_text="Listening").wait_for()
    growing = page.locator("#growing").filter(has_text=re.compile(r"\w"))
    growing.wait_for()
    faint, usual = (
        page.locator(name).evaluate("node => getComputedStyle(node).color") for name in ("#growing", "body")
    )
    assert faint != usual
    page.keyboard.press("Enter")  # what was said last is told
    final = page.get_by_role("log").locator("p")
    final.wait_for()
    assert final.evaluate("node => getComputedStyle(node).color") == usual
    vocabulary = Recognizer(tiny_bundle).search.vocabulary
    assert all(word in vocabulary for word in final.inner_text().split())
    page.get_by_role("button", name="Start captions").wait_for()
    until(lambda: server.metric('nicebeach_busy{lane="live"}') == 0)


def test_captions_that_find_no_room_say_so(page: Any, server: Any, problems: list[str]) -> None:
    client = pytest.importorskip("websockets.sync.client")
    with ExitStack() as stack:
        for _ in range(3):
            headers = {"Authorization": f"Bearer {server.key}"}
            socket = client.connect(server.url.replace("http", "ws"), additional_headers=headers)
            stack.enter_context(socket).send('{"config": {}}')  # who says nothing is soon closed
        page.get_by_role("tab", name="Live").click()
        page.get_by_role("button", name="Start captions").click()
        page.get_by_role("alert").filter(has_text="no room").wait_for()
    page.get_by_role("button", name="Start captions").wait_for()
    problems.clear()  # browsers tell of the 429


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_axe_finds_nothing_serious(page: Any, scheme: str) -> None:
    """AXE names the file axe.min.js of the package axe-core of npm."""
    axe = os.environ.get("AXE")
    if not axe:
        pytest.skip("AXE doesn't name axe.min.js: npm pack axe-core")
    page.emulate_media(color_scheme=scheme)
    page.set_input_files("#file", TALK)
    page.locator(".words button").nth(1).click()
    page.get_by_role("button", name="(nothing)").click()
    page.locator(".words button").first.click()
    page.evaluate("$('growing').append('words that may change')")
    page.evaluate("$('captions').append(made('p', { textContent: 'words that stay' }))")
    for tab in ("Transcribe", "Why", "Live", "Next word"):
        page.get_by_role("tab", name=tab).click()
        if tab == "Next word":
            page.locator("#models button").first.wait_for()
        found = page.evaluate(f"(async () => {{ {Path(axe).read_text()}; return await axe.run(); }})()")
        assert found["passes"]
        serious = [item for item in found["violations"] if item["impact"] in ("serious", "critical")]
        assert not serious, json.dumps(serious, indent=1)[:3000]
