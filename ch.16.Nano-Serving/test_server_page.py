"""The page at / in headless Chromium, in front of the small model."""

import os
import pathlib
import re
import shutil
import sys

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1]))
import pytest
from playwright.sync_api import expect, sync_playwright

import chapters

from ch16_serving import serving, slow_engine, wait_until
from ch16_testing import engine
from nano_engine import SamplingParams

KEY = "a-key-for-the-tests"
# Without the last four it looks for hosts that a test has no business with.
FLAGS = [
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
]


@pytest.fixture(scope="module")
def browser():
    names = ("chromium", "chromium-browser", "google-chrome")
    found = os.environ.get("COURSE_CHROMIUM") or next(filter(None, map(shutil.which, names)), None)
    assert found, "these tests need Chromium: apt-get install chromium, or name one with COURSE_CHROMIUM=FILE"
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=found, args=FLAGS)
        yield browser
        browser.close()


@pytest.fixture
def open_page(browser):
    """open_page(url, …) is a page on which nothing may go wrong: no script error, no refused load."""
    contexts, complaints = [], []

    def open_(url, **options):
        context = browser.new_context(**{"viewport": {"width": 1000, "height": 800}} | options)
        contexts.append(context)
        page = context.new_page()
        page.set_default_timeout(20_000)
        page.on("pageerror", lambda failure: complaints.append(str(failure)))
        page.on("console", lambda line: line.type == "error" and complaints.append(line.text))
        page.on("request", lambda request: request.url.startswith(url) or complaints.append(request.url))
        page.goto(url)
        return page

    yield open_
    for context in contexts:
        context.close()
    assert [c for c in complaints if not c.startswith("data:") and "status of 400" not in c] == []


def test_it_writes_what_the_engine_writes(open_page):
    (request,) = engine("reference").generate(["To be"], SamplingParams(max_tokens=9))
    with serving() as served:
        page = open_page(served.url)
        expect(page.locator("#status")).to_have_text("small, 40 tokens")
        expect(page.locator(".modes")).to_be_hidden()
        page.fill("#prompt", "To be")
        page.fill("#max_tokens", "9")
        page.fill("#temperature", "0")
        page.click("#write")
        expect(page.locator(".ended")).to_have_text("length")
        assert page.locator(".text").text_content() == "To be" + request.output_text
        num_tokens = request.num_prompt_tokens
        expect(page.locator(".cached")).to_have_text(f"{num_tokens} tokens, 0 from the cache")
        expect(page.locator(".written")).to_contain_text("9 tokens, ")
        expect(page.locator(".shared")).to_have_text("nobody")
        assert page.locator(".steps rect").count() > 0


def test_a_prompt_asked_again_comes_from_the_cache(open_page):
    with serving() as served:
        page = open_page(served.url)
        page.fill("#prompt", "To be, or not to be")
        page.fill("#max_tokens", "2")
        for num_answers in (1, 2):
            page.click("#write")
            expect(page.locator(".answer")).to_have_count(num_answers)
            expect(page.locator(".cached").first).to_contain_text("from the cache")
        again, first = page.locator(".cached").all_text_contents()
        assert ", 0 from the cache" in first and ", 0 from the cache" not in again


def test_several_answers_share_their_steps(open_page):
    with serving() as served:
        page = open_page(served.url)
        page.fill("#prompt", "To be")
        page.fill("#max_tokens", "8")
        page.fill("#n", "3")
        page.click("#write")
        expect(page.locator(".shared")).to_have_text("2 others")
        expect(page.locator(".text")).to_have_count(3)
        expect(page.locator(".text.writing")).to_have_count(0)


def test_stop_ends_the_request_in_the_engine(open_page):
    with serving(slow_engine(step_s=0.25)) as served:
        page = open_page(served.url)
        page.fill("#prompt", "x")
        page.fill("#max_tokens", "39")
        page.click("#write")
        expect(page.locator(".written")).to_contain_text(re.compile(r"\d pieces"))
        assert page.locator("#write").is_disabled()
        page.click("#stop")
        expect(page.locator(".ended")).to_have_text("you")
        wait_until(lambda: served.engine.get_stats()["total_requests_aborted"] == 1)
        expect(page.locator("#write")).to_be_enabled()


def test_a_refusal_is_shown_and_the_next_question_works(open_page):
    with serving() as served:
        page = open_page(served.url)
        page.fill("#prompt", "x " * 60)
        page.click("#write")
        expect(page.locator("#error")).to_contain_text("the model reads at most 40")
        page.fill("#prompt", "x")
        page.fill("#max_tokens", "3")
        page.click("#write")
        expect(page.locator(".ended")).to_have_text("length")
        expect(page.locator("#error")).to_be_hidden()


def test_a_chat_of_two_turns(open_page):
    template = "{% for m in messages %}{{ m.content }}{% endfor %}"  # the small model reads 40 tokens
    with serving(template=template) as served:
        page = open_page(served.url)
        page.check("input[value=chat]")
        page.fill("#max_tokens", "2")
        page.fill("#temperature", "0")
        page.fill("#prompt", "a?")
        page.click("#write")
        expect(page.locator("#prompt")).to_have_value("")
        page.fill("#prompt", "b?")
        page.click("#write")
        expect(page.locator(".answer")).to_have_count(2)
        expect(page.locator("#prompt")).to_have_value("")
        # The second question is longer by the first and its answer.
        second, first = (int(text.split()[0]) for text in page.locator(".cached").all_text_contents())
        assert second > first


def test_what_is_written_is_text_and_nothing_else(open_page, monkeypatch):
    """A model that writes markup: the page shows it."""
    markup = "<img src=x onerror=alert(1)>"
    with serving() as served:
        page = open_page(served.url)
        page.fill("#prompt", markup)
        page.fill("#max_tokens", "1")
        page.click("#write")
        expect(page.locator(".ended")).to_have_text("length")
        assert page.locator(".text").text_content().startswith(markup)
        assert page.locator(".text img").count() == 0


def test_with_a_key_the_browser_asks_for_it(open_page):
    with serving(api_keys=(KEY,)) as served:
        page = open_page(served.url, http_credentials={"username": "", "password": KEY})
        page.fill("#max_tokens", "3")
        page.click("#write")
        expect(page.locator(".ended")).to_have_text("length")


def test_it_fits_a_narrow_screen(open_page):
    with serving() as served:
        page = open_page(served.url, viewport={"width": 360, "height": 740})
        page.fill("#prompt", "To be" * 3)
        page.fill("#n", "2")
        page.fill("#max_tokens", "20")
        page.click("#write")
        expect(page.locator(".text.writing")).to_have_count(0)
        assert page.evaluate("document.documentElement.scrollWidth") <= 360


if __name__ == "__main__":
    raise SystemExit(chapters.run_tests(__file__))
