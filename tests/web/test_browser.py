"""The page in a real browser, as a person uses it. Skipped where no Chromium is installed."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import urlsplit

import pytest
from support.host import Host
from support.ui_server import SHOP, UiServer

pytestmark = [pytest.mark.slow, pytest.mark.browser]

CHROMIUM = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)
if CHROMIUM is None:
    pytest.skip("no Chromium is installed: the page is not tried in a browser", allow_module_level=True)
playwright = pytest.importorskip("playwright.sync_api", reason="playwright is not installed")

TIMEOUT_MS = 20_000.0  # milliseconds: far more than anything takes
NASTY = (
    "<script>window.struck = 1</script><img src=x onerror='window.struck = 1'><b>bold</b> &amp; \u202eevil"
)
playwright.expect.set_options(timeout=TIMEOUT_MS)
HARMLESS = NASTY.replace("\u202e", "\ufffd")


@pytest.fixture(scope="module")
def browser() -> Iterator[Any]:
    with playwright.sync_playwright() as driver:
        browser = driver.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])
        yield browser
        browser.close()


@dataclass
class Visit:
    """A page that has been opened, with everything that it complained about and asked for."""

    page: Any
    server: UiServer
    complaints: list[str] = field(default_factory=list)
    asked: list[str] = field(default_factory=list)

    @property
    def host(self) -> Host:
        return self.server.host

    def go(self, place: str = "") -> None:
        self.page.goto(f"http://{self.server.auth.host}{self.server.auth.mount_path}/#/{place}")

    def rows(self, count: int) -> Any:
        """The list, once it shows so many."""
        playwright.expect(self.page.locator("a.row")).to_have_count(count)
        return self.page.locator("a.row")

    def sees(self, text: str, selector: str = "body") -> None:
        playwright.expect(self.page.locator(selector).first).to_contain_text(text)

    def press(self, *keys: str) -> None:
        for key in keys:
            self.page.keyboard.press(key)

    def contents(self) -> list[str]:
        return [memory["content"] for memory in self.host.list(limit=100)["memories"]]


@pytest.fixture
def visit(browser: Any, open_host: Callable[..., Host]) -> Iterator[Callable[..., Visit]]:
    """Opens the page over a store that already holds some texts; whatever happens, the page must ask this
    server alone, and have nothing to complain about."""
    opened: list[Visit] = []

    def open_page(*contents: str, team: str = "", **settings: Any) -> Visit:
        host = open_host(project=SHOP, team=team)
        for content in contents:
            host.store(content)
            host.clock.advance(minutes=1)
        server = UiServer(host).__enter__()
        page = browser.new_context(viewport={"width": 1300, "height": 850}, **settings).new_page()
        page.set_default_timeout(TIMEOUT_MS)
        visit = Visit(page, server)
        opened.append(visit)
        page.on("console", lambda message: visit.complaints.append(message.text))
        page.on("pageerror", lambda error: visit.complaints.append(str(error)))
        page.on("request", lambda request: visit.asked.append(request.url))
        page.goto(server.address)
        page.wait_for_selector("h1")
        return visit

    yield open_page
    for visit in opened:
        complaints, asked = visit.complaints, {urlsplit(url).netloc for url in visit.asked}
        visit.page.context.close()
        visit.server.__exit__()
        assert complaints == []
        assert asked == {visit.server.auth.host}


def test_the_keyboard_does_everything_to_find_and_read(visit: Callable[..., Visit]) -> None:
    there = visit("Tea is at five", "The port is 8080", "The cat is called Mia")
    there.rows(3)
    there.press("/")
    there.page.keyboard.type("The port is 8080")
    there.sees("result", "h1")
    playwright.expect(there.rows(3).first.locator(".text")).to_have_text("The port is 8080")
    there.sees("strong", ".signals")
    there.sees("words", ".signals")
    there.press("Enter")
    playwright.expect(there.page.locator("a.row").first).to_be_focused()
    there.press("Enter")
    there.sees("The port is 8080", ".whole")
    there.press("j")
    playwright.expect(there.page.locator("a.row").nth(1)).to_have_attribute("aria-current", "true")
    there.press("Escape")
    playwright.expect(there.page.locator(".whole")).to_have_count(0)
    there.press("Escape")
    there.sees("3 memories", "h1")
    there.press("?")
    there.sees("Keys", "dialog")
    there.press("Escape")
    playwright.expect(there.page.locator("dialog")).to_have_count(0)


def test_a_memory_is_added_for_the_team_and_found_by_that_filter(visit: Callable[..., Visit]) -> None:
    there = visit("The port is 8080", team="crew")
    there.rows(1)
    there.press("a")
    there.page.fill("#content", "Lunch is at noon")
    there.page.select_option("#scope", "team")
    there.page.click("dialog button[type=submit]")
    there.rows(2)
    there.page.click("text=the team (crew)")
    there.rows(1)
    there.sees("Lunch is at noon", "a.row")
    there.sees("the team", "a.row .project")
    there.go("overview")
    there.sees("of the team (crew)", ".tiles")


def test_an_edit_is_saved_and_its_history_leads_back(visit: Callable[..., Visit]) -> None:
    there = visit("The port is 8080")
    there.rows(1)
    there.press("j", "e")
    there.page.fill("#content", "The port is 9090")
    there.page.fill("#tags", "net")
    there.press("Enter")
    there.page.click("dialog button[type=submit]")
    there.sees("Saved as a new version", ".toasts")
    there.sees("The port is 9090", ".whole")
    (memory,) = there.host.list()["memories"]
    assert (memory["content"], memory["tags"], memory["occurred_at"]) == (
        "The port is 9090", ["net"], "2026-05-08T12:00:00Z",
    )  # fmt: skip
    there.page.click("text=What changed")
    assert there.page.locator("del").text_content() == "8080"
    assert there.page.locator("ins").text_content() == "9090"
    there.page.click("text=Make current again")
    there.sees("The port is 8080", ".whole")
    assert there.contents() == ["The port is 8080"]


def test_a_memory_leads_to_what_is_related_to_it_and_says_why(visit: Callable[..., Visit]) -> None:
    there = visit("Then E1234 came from the printer", "So E1234 is an empty tray", "The cat is asleep")
    there.rows(3).filter(has_text="printer").click()
    there.sees("So E1234 is an empty tray", ".related")
    there.sees("both mention E1234", ".related .reason")
    playwright.expect(there.page.locator(".related li")).to_have_count(1)
    there.page.click(".related a")
    there.sees("So E1234 is an empty tray", ".whole")
    there.sees("Then E1234 came from the printer", ".related")
    there.rows(3).filter(has_text="cat").click()
    there.sees("The cat is asleep", ".whole")
    playwright.expect(there.page.locator(".related li")).to_have_count(0)


def test_what_is_wrong_with_an_edit_is_said_in_the_form(visit: Callable[..., Visit]) -> None:
    there = visit("The port is 8080")
    there.rows(1)
    there.press("j", "e")
    there.page.wait_for_selector("#content")
    (memory,) = there.host.list()["memories"]
    there.host.store("The port is 7070", replaces=[memory["id"]])
    there.page.fill("#content", "The port is 9090")
    there.press("Control+Enter")
    there.sees("has been replaced", "dialog .problem")
    assert there.page.input_value("#content") == "The port is 9090"
    there.complaints.clear()  # the browser notes that the server has refused


def test_a_delete_is_undone(visit: Callable[..., Visit]) -> None:
    there = visit("The port is 8080", "Tea is at five")
    there.rows(2)
    there.press("j", "d")
    there.sees("in the trash", ".toasts")
    there.rows(1)
    assert there.contents() == ["The port is 8080"]
    there.press("u")
    there.rows(2)
    assert there.contents() == ["Tea is at five", "The port is 8080"]
    there.sees("Tea is at five", ".whole")


def test_who_deletes_stays_at_the_same_place_of_the_list(visit: Callable[..., Visit]) -> None:
    there = visit(*(f"number {n}" for n in range(5)))
    there.rows(5)
    there.press("j", "j", "d")
    there.rows(4)
    playwright.expect(there.page.locator("a.row").nth(1)).to_be_focused()
    there.press("d")
    there.rows(3)
    assert there.contents() == ["number 4", "number 1", "number 0"]


def test_two_are_merged(visit: Callable[..., Visit]) -> None:
    there = visit("Carts live 30 days", "Sessions live 14 days", "Tea is at five")
    there.rows(3)
    there.press("j", "j", "x", "j", "x", "m")
    there.page.wait_for_selector("#content")
    assert there.page.input_value("#content") == "Sessions live 14 days\n\nCarts live 30 days"
    there.page.click("text=Use this text >> nth=1")
    there.page.fill("#content", there.page.input_value("#content") + ", sessions 14")
    there.page.click("dialog button[type=submit]")
    there.sees("Merged", ".toasts")
    there.rows(2)
    assert there.contents() == ["Tea is at five", "Carts live 30 days, sessions 14"]
    there.sees("3 versions", ".history")


def test_look_alikes_are_decided(visit: Callable[..., Visit]) -> None:
    texts = ("The port is 8080", "Tea is at five", "The cat is called Mia")
    there = visit(*texts, *(text[::-1] for text in texts))
    there.go("pairs")
    pairs = there.page.locator(".pair")
    playwright.expect(pairs).to_have_count(3)
    pairs.filter(has_text=texts[0]).get_by_text("Keep both").click()
    playwright.expect(pairs).to_have_count(2)
    pairs.filter(has_text=texts[1]).get_by_text("Keep only this").nth(1).click()
    playwright.expect(pairs).to_have_count(1)
    assert texts[1][::-1] not in there.contents()
    there.press("u")
    playwright.expect(pairs).to_have_count(2)
    assert texts[1][::-1] in there.contents()
    pairs.filter(has_text=texts[2]).get_by_text("Merge").click()
    there.page.fill("#content", "The cat is called Mia Maria")
    there.page.click("dialog button[type=submit]")
    playwright.expect(pairs).to_have_count(1)
    assert "The cat is called Mia Maria" in there.contents()
    there.page.reload()
    playwright.expect(pairs).to_have_count(1)
    there.sees(texts[1], ".pair")


def test_what_memories_hold_is_never_more_than_text(visit: Callable[..., Visit]) -> None:
    there = visit()
    for _ in range(2):
        (old,) = [memory["id"] for memory in there.host.list()["memories"]] or [None]
        there.host.store(
            NASTY + ("" if old else "!"), tags=[NASTY[:60]], session=NASTY, metadata={NASTY: NASTY},
            replaces=[old] if old else [],
        )  # fmt: skip
        there.host.clock.advance(minutes=1)
    there.host.project = NASTY
    there.host.store(NASTY[::-1], tags=["x"])
    there.host.project = SHOP
    there.host.delete(there.host.store(f"{NASTY} gone")["id"])
    for place in ("", "?query=bold", "?history=1", "pairs", "overview", "trash"):
        there.go(place)
        there.page.wait_for_selector("main h1, main .pair")
        there.page.wait_for_load_state("networkidle")
    there.go("")
    there.rows(2).filter(has_text="<script>window").click()
    assert there.page.locator(".whole").text_content() == HARMLESS
    there.page.click("text=What changed")
    there.page.wait_for_selector(".difference")
    there.press("e")
    there.page.wait_for_selector("#content")
    assert there.page.input_value("#content") == NASTY
    assert there.page.evaluate("window.struck") is None
    assert there.page.locator("main b, main img:not([alt='']), main script, dialog b").count() == 0


def test_filters_live_in_the_address_and_back_leads_back(visit: Callable[..., Visit]) -> None:
    there = visit()
    there.host.store("The router is up", tags=["net"], kind="procedural")
    there.host.store("The kettle is on", tags=["home"])
    there.page.reload()
    there.rows(2)
    there.page.click(".choice:has-text('net')")
    there.rows(1)
    assert "tags=net" in there.page.url
    for tag, is_on in (("net", "true"), ("home", "false")):
        choice = there.page.locator(f".choice:has-text('{tag}')")
        playwright.expect(choice).to_have_attribute("aria-pressed", is_on)
    there.page.click(".choice:has-text('how-to')")
    there.page.click(".choice:has-text('net')")
    there.rows(1)
    there.page.go_back()
    there.page.go_back()
    there.page.go_back()
    there.rows(2)


def test_a_first_memory_is_added_to_an_empty_store(visit: Callable[..., Visit]) -> None:
    there = visit()
    there.sees("Nothing is remembered yet")
    there.press("a")
    there.page.fill("#content", "Tea is at five")
    there.page.select_option("#kind", "procedural")
    there.press("Control+Enter")
    there.sees("Remembered", ".toasts")
    there.rows(1)
    assert there.host.list()["memories"][0]["kind"] == "procedural"
    for number, title in ((2, "Look-alikes"), (3, "Overview"), (4, "trash"), (1, "1 memory")):
        there.press(str(number))
        there.sees(title, "main h1")
    there.press("3")
    there.page.wait_for_selector("svg.growth")


def test_long_lists_come_page_by_page(visit: Callable[..., Visit]) -> None:
    there = visit()
    for n in range(60):
        there.host.store(f"number {n}")
    there.page.reload()
    there.rows(50)
    there.page.click("text=Show more of 60 memories")
    there.rows(60)
    playwright.expect(there.page.locator("a.row").nth(50)).to_be_focused()


@pytest.mark.parametrize("width", [360, 900, 1600])
def test_every_width_and_both_schemes_are_readable(visit: Callable[..., Visit], width: int) -> None:
    there = visit(
        "word " * 600, "x" * 3000, "The port is 8080", color_scheme="dark" if width == 900 else "light"
    )
    there.page.set_viewport_size({"width": width, "height": 800})
    for place in ("", "pairs", "captured", "overview", "trash"):
        there.go(place)
        there.page.wait_for_load_state("networkidle")
        assert there.page.evaluate("document.documentElement.scrollWidth <= innerWidth"), place
    there.go("")
    there.rows(3).nth(1).click()
    there.page.wait_for_selector(".whole")
    assert there.page.evaluate("document.documentElement.scrollWidth <= innerWidth")
    ground = "getComputedStyle(document.body).backgroundColor"
    dark, light = "rgb(22, 21, 19)", "rgb(246, 243, 238)"
    assert there.page.evaluate(ground) == (dark if width == 900 else light)
    there.page.click("#theme")
    assert there.page.evaluate(ground) == (light if width == 900 else dark)


def test_a_server_that_has_ended_is_told(visit: Callable[..., Visit]) -> None:
    there = visit("The port is 8080")
    there.rows(1)
    there.page.route("**/api/**", lambda route: route.abort())
    there.page.click(".choice:has-text('how-to')")
    there.sees("start it again in a terminal", ".empty")
    there.complaints.clear()  # the browser notes that nobody has answered


def test_captured_turns_are_kept_as_facts_and_dropped(visit: Callable[..., Visit]) -> None:
    page = visit()
    for text in ("We deploy on Tuesdays.", "hm, port 5433 then", NASTY):
        page.host.store(text, kind="episodic", tags=["captured"], session="s1", metadata={"role": "user"})
        page.host.clock.advance(minutes=1)
    page.go("captured")
    page.sees("3 captured turns", "h1")
    page.sees("Capture is off", ".lead")
    page.sees("<script>", ".card")
    page.page.get_by_role("button", name="Drop", exact=True).first.click()
    page.sees("2 captured turns", "h1")
    page.page.get_by_role("button", name="Keep in other words").first.click()
    page.page.locator("#content").fill("The port is 5433.")
    page.page.get_by_role("button", name="Keep", exact=True).click()
    page.sees("1 captured turn", "h1")
    page.page.get_by_role("button", name="Keep as a fact").click()
    page.sees("Nothing is captured", "h1")
    kept = {memory["content"]: memory for memory in page.host.list(limit=100)["memories"]}
    assert kept.keys() == {"We deploy on Tuesdays.", "The port is 5433."}
    assert {memory["kind"] for memory in kept.values()} == {"semantic"}
    assert all("captured" not in memory["tags"] for memory in kept.values())


def test_a_whole_session_is_dropped_and_comes_back(visit: Callable[..., Visit]) -> None:
    page = visit()
    for number in range(3):
        page.host.store(f"Turn {number}.", kind="episodic", tags=["captured"], session="s1")
    page.go("captured")
    page.page.get_by_role("button", name="Drop the session").first.click()
    page.page.get_by_role("button", name="Drop them").click()
    page.sees("Nothing is captured", "h1")
    page.page.get_by_role("button", name="Undo").click()
    page.sees("3 captured turns", "h1")
