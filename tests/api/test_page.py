"""The status page as a reader meets it, in a real browser."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import pytest
from playwright.sync_api import APIResponse, Browser, Page, Route, expect

from api.answers import Fault
from api.http import PAGE, Server, create_app
from api.topology import GuestPlace
from api.view import LabNow, View
from controller.conditions import Condition, ConditionType, Status
from controller.history import Event, Judged
from simulator.build import twin_of
from tests.api.browser import PATIENCE_MS, chromium, needs_chromium
from tests.api.exhibit import REVISION, TOKEN, Exhibit
from tests.simulator.three_nodes import guest, three_nodes

pytestmark = needs_chromium

Open = Callable[..., Page]
PVE2 = "[data-subject='node pve2']"


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    """One browser for all tests of the module."""
    with chromium() as made:
        yield made


@pytest.fixture
def open_page(browser: Browser, shown: Exhibit) -> Iterator[Open]:
    """A function that serves a view and opens its page. It must be quiet and stay at home."""
    complaints: list[str] = []
    closing: list[Callable[[], object]] = []

    def heard(text: str) -> None:
        """Chromium itself tells of each answer that says no; the page shows it to the reader."""
        if not text.startswith("Failed to load resource: the server responded with a status of 4"):
            complaints.append(text)

    def opened(
        view: View | None = None,
        width: int = 1280,
        path: str = "",
        scheme: str = "light",
        first: str = "",
    ) -> Page:
        """`first`: a script that runs before those of the page."""
        server = Server(create_app(view or shown.view()), "127.0.0.1", 0)
        server.__enter__()
        context = browser.new_context(
            viewport={"width": width, "height": 900},
            color_scheme="dark" if scheme == "dark" else "light",
        )
        context.set_default_timeout(PATIENCE_MS)
        page = context.new_page()
        page.add_init_script(first)
        page.on("console", lambda said: heard(said.text))
        page.on("pageerror", lambda error: complaints.append(str(error)))
        page.on("request", lambda asked: _at_home(asked.url, server.url, complaints))
        closing.extend([lambda: server.__exit__(None, None, None), context.close])
        page.goto(server.url + path)
        expect(page.locator("#drawing svg")).to_be_visible()
        expect(page.locator("#live")).to_have_text("live")
        return page

    yield opened
    for close in reversed(closing):
        close()
    assert complaints == []


def _at_home(url: str, home: str, complaints: list[str]) -> None:
    if not url.startswith(home):
        complaints.append(f"asked {url}")


def test_a_lab_in_sync_says_so_with_its_commit_and_conditions(open_page: Open) -> None:
    page = open_page()
    expect(page.get_by_role("heading", name="In sync")).to_be_visible()
    expect(page.locator("#revision")).to_contain_text("4be1c2a9d07f")
    expect(page.locator("#revision")).to_contain_text("Give zoro its second disk")
    conditions = page.locator("#conditions li")
    expect(conditions).to_have_count(5)
    expect(conditions.nth(0)).to_contain_text("Ready")
    expect(conditions.nth(0)).to_contain_text("yes")
    expect(page).to_have_title("In sync · vlab")
    expect(page.locator("#faults")).to_be_hidden()


def test_a_commit_that_nothing_was_compared_with_yet_is_not_called_in_sync(
    open_page: Open, shown: Exhibit
) -> None:
    page = open_page()
    expect(page).to_have_title("In sync · vlab")
    newer = replace(REVISION, commit="f" * 40)
    shown.history.see(newer, Judged.GOOD, "", shown.clock_s)
    shown.history.tell([Event(shown.clock_s, "commit", newer.commit, "a newer one")])
    expect(page.get_by_role("heading", name="Reconciling")).to_be_visible()


def test_the_drawing_has_everything_of_the_lab(open_page: Open, shown: Exhibit) -> None:
    page = open_page()
    lab = shown.lab
    for subject in (
        *(f"switch {name}" for name in lab.switches),
        *(f"router {name}" for name in lab.routers),
        *(f"feed {name}" for name in lab.feeds),
        *(f"node {name}" for name in lab.nodes),
        *(f"nas {name}" for name in lab.nas),
        *(f"backup-server {name}" for name in lab.backup_servers),
        *(f"guest {name}" for name in lab.guests),
        *(f"cable {name}" for name in lab.cables),
    ):
        expect(page.locator(f"#drawing [data-subject='{subject}']")).to_have_count(1)
    assert page.locator("#drawing .cable .wire").count() == len(lab.cables)
    assert page.locator("#drawing .cable.peer").count() == 2
    legs = page.locator("#drawing .cable.leg[aria-label*='node pve2']")
    assert legs.count() == 4
    expect(page.locator("#drawing")).to_contain_text("peer link")
    expect(page.locator(f"{PVE2}")).to_contain_text("zoro")
    expect(page.locator("[data-subject='guest ussop']")).to_contain_text("○")
    expect(page.locator("#legend")).to_contain_text("leg of bond0 (LACP)")


def test_asking_what_if_pve2_fails_draws_the_timeline_and_the_outage_of_files(
    open_page: Open,
) -> None:
    page = open_page()
    page.locator(PVE2).click()
    page.get_by_role("button", name="What if this fails?").click()
    expect(page.locator(".outcome")).to_contain_text("Safe")
    lane = page.locator(".chart .lane", has_text="files")
    expect(lane.locator(".outage rect").first).to_be_visible()
    box, axis = (
        lane.locator(".outage rect").first.bounding_box(),
        lane.locator(".base").bounding_box(),
    )
    assert box is not None
    assert axis is not None
    told = lane.locator(".told").text_content() or ""
    outage_s = float(told.removesuffix(" s"))
    assert 60 < outage_s < 300
    until_s = _until_s(page)
    assert box["width"] / axis["width"] == pytest.approx(outage_s / until_s, abs=0.02)
    expect(page.get_by_role("row", name="service files")).to_contain_text(told)
    expect(page.locator(".told .fine")).to_contain_text("student11")
    expect(page.locator(f"{PVE2}.simulated .tag")).to_be_visible()
    expect(page).to_have_url(re.compile("#fail-node%20pve2$"))
    page.get_by_role("button", name="Clear").click()
    expect(page.locator(".simulated")).to_have_count(0)


def test_pointing_at_a_mark_tells_it_and_shows_in_the_drawing_what_it_concerns(
    open_page: Open,
) -> None:
    page = open_page(path="#fail-node%20pve2")
    expect(page.locator(".outcome")).to_be_visible()
    for mark in page.locator(".lane.guest .mark").all()[:2]:
        mark.hover()
    expect(page.locator("#readout")).to_contain_text("guest zoro: HA: started -> fence on pve2")
    expect(page.locator("[data-subject='guest zoro']")).to_have_class(re.compile("looked"))


def _until_s(page: Page) -> float:
    page.locator(".events summary").click()
    words = page.locator(".outcome p").text_content() or ""
    found = re.search(r"after (?:(\d+) min )?([\d.]+) s\.", words)
    assert found
    return int(found[1] or 0) * 60 + float(found[2])


def test_the_same_is_chosen_from_the_list_and_read_with_the_keyboard_alone(open_page: Open) -> None:
    page = open_page()
    page.locator("#element").focus()
    page.locator("#element").select_option("osd a/2")
    expect(page.locator("#words")).to_have_value("fail-osd a/2")
    page.locator("#words").focus()
    page.keyboard.press("Enter")
    expect(page.locator(".outcome")).to_be_visible()
    page.locator(".mark[tabindex='0']").focus()
    expect(page.locator("#readout")).to_contain_text("+0 s osd a/2")
    page.keyboard.press("End")
    expect(page.locator("#readout")).to_contain_text("osd.2 is marked out")
    expect(page.locator(".mark:focus")).to_have_count(1)
    page.keyboard.press("Home")
    expect(page.locator("#readout")).to_contain_text("+0 s osd a/2")


def test_a_box_of_the_drawing_is_chosen_with_enter(open_page: Open) -> None:
    page = open_page()
    page.locator("[data-subject='switch sw1']").focus()
    page.keyboard.press("Enter")
    expect(page.locator("#selected h3")).to_have_text("switch sw1")
    page.locator("#selected").get_by_role("button", name="feed1").click()
    expect(page.locator("#selected h3")).to_have_text("feed feed1")
    expect(page.locator("#words")).to_have_value("fail-feed feed1")


def test_an_unsafe_verdict_says_why_and_where_it_was_promised(open_page: Open) -> None:
    page = open_page(path="#fail-osd%20a/2%20fail-osd%20a/5")
    outcome = page.locator(".outcome")
    expect(outcome).to_contain_text("Unsafe")
    expect(outcome).to_contain_text("files does not come back")
    expect(outcome.locator("li code").first).to_contain_text(re.compile(r"expect\.yaml:\d+"))
    expect(page.locator(".outage.ongoing")).to_have_count(6)
    expect(page.locator(".told .outages")).to_contain_text("not back")


def test_a_fault_that_can_t_be_is_told_in_place(open_page: Open) -> None:
    page = open_page()
    page.locator("#words").fill("fail-node pve22")
    page.get_by_role("button", name="Simulate").click()
    expect(page.locator("#told [role='alert']")).to_contain_text("there is no node pve22")


def test_one_vlan_is_shown_by_its_button(open_page: Open) -> None:
    page = open_page()
    button = page.get_by_role("button", name="253 ceph")
    button.click()
    expect(button).to_have_attribute("aria-pressed", "true")
    lit = page.locator("#drawing .cable.in")
    assert sorted(str(each.get_attribute("data-subject")) for each in lit.all()) == sorted(
        ["cable peer-1", "cable peer-2"]
        + [f"cable pve{node}-{port}" for node in (1, 2, 3) for port in (3, 4)]
    )
    expect(page.locator("[data-subject='node pve4']")).not_to_have_class(re.compile(r"\bin\b"))
    button.click()
    expect(page.locator("#drawing .in")).to_have_count(0)


def test_what_changes_is_shown_without_a_reload(open_page: Open, shown: Exhibit) -> None:
    page = open_page()
    page.evaluate("window.same = true")
    shown.break_down(
        Fault(subject="node pve2", text="is offline"), Fault(subject="cable pve1-3", text="no link")
    )
    expect(page.locator("#faults")).to_contain_text("node pve2 is offline")
    expect(page.locator(f"{PVE2}.fault .about")).to_have_text("✕ is offline")
    expect(page.locator("[data-subject='cable pve1-3'].fault .cross")).to_be_visible()
    shown.history.set_conditions(
        {"": [Condition(ConditionType.READY, Status.FALSE, "GateRefused", "worse than before")]}
    )
    shown.history.tell([Event(1.0, "condition", "", "Ready is False")])
    expect(page.get_by_role("heading", name="Gate refused")).to_be_visible()
    expect(page.locator("#messages")).to_have_text("Readyworse than before")
    shown.break_down()
    expect(page.locator("#faults")).to_be_hidden()
    assert page.evaluate("window.same")


TELL_EVENTS = """
window.EventSource = class extends EventSource {
  addEventListener(type, told) {
    super.addEventListener(type, (event) => {
      told(event);
      if (type === "status") document.body.dataset.heard = JSON.parse(event.data).event;
    });
  }
};"""


def test_an_answer_that_comes_late_does_not_stand_for_what_was_asked_since(
    open_page: Open, shown: Exhibit
) -> None:
    page = open_page(first=TELL_EVENTS)
    kept: list[Route] = []
    answers: list[APIResponse] = []

    def delayed(route: Route) -> None:
        """The first answer is kept back; all others come at once."""
        if kept:
            route.continue_()
        else:
            kept.append(route)
            answers.append(route.fetch())

    def told(text: str) -> None:
        """The page has heard of it, and what it asked at once for it was answered."""
        shown.history.tell([Event(1.0, "condition", "", text)])
        number = str(shown.history.events(1)[0].number)
        expect(page.locator("body")).to_have_attribute("data-heard", number)
        page.evaluate(ASK)

    told("nothing that is shown")
    page.route("**/api/v1/status", delayed)
    told("nothing again")
    shown.history.set_conditions(
        {"": [Condition(ConditionType.READY, Status.FALSE, "GateRefused", "worse than before")]}
    )
    told("Ready is False")
    kept[0].fulfill(response=answers[0])
    page.evaluate(ASK)
    expect(page.get_by_role("heading", name="Gate refused")).to_be_visible()


ASK = "() => fetch('api/v1/status').then((answer) => answer.json())"
LATE_SIZES = """
window.ResizeObserver = class extends ResizeObserver {
  constructor(told) {
    super((...sizes) => {
      window.tellSize = () => told(...sizes);
      document.body.dataset.sized = "";
    });
  }
};"""


def test_the_first_size_that_the_browser_tells_draws_nothing_anew(open_page: Open) -> None:
    page = open_page(first=LATE_SIZES)
    page.locator("[data-subject='switch sw1']").focus()
    expect(page.locator("body")).to_have_attribute("data-sized", "")
    page.evaluate("() => tellSize()")
    page.keyboard.press("Enter")
    expect(page.locator("#selected h3")).to_have_text("switch sw1")


def test_a_commit_that_is_not_in_force_is_shown_with_its_problems(
    open_page: Open, shown: Exhibit
) -> None:
    bad = replace(REVISION, commit="bad" * 13 + "b", subject="<img src=x onerror=alert(1)>")
    shown.history.see(bad, Judged.INVALID, "guests.yaml:3:5: <b>no</b> guest zorro", 2.0)
    page = open_page()
    expect(page.locator("#newest")).to_contain_text("Commit badbadbadbad is not in force: invalid")
    expect(page.locator("#newest pre")).to_have_text("guests.yaml:3:5: <b>no</b> guest zorro")


def test_what_people_wrote_is_shown_as_text_and_never_as_markup(
    open_page: Open, shown: Exhibit
) -> None:
    subject = "<img src=x onerror=alert(1)>"
    shown.history.see(replace(REVISION, commit="c" * 40, subject=subject), Judged.GOOD, "", 3.0)
    page = open_page()
    expect(page.locator("#revision")).to_contain_text(subject)
    expect(page.locator("#revision img")).to_have_count(0)


def test_objects_are_filtered_by_name_and_by_what_is_wrong(open_page: Open, shown: Exhibit) -> None:
    drifted = Condition(
        ConditionType.DRIFTED, Status.TRUE, "ChangedByOthers", "memory 8GiB -> 4GiB by root@pam"
    )
    shown.history.set_conditions({"guests/luffy": [drifted]})
    page = open_page()
    rows = page.locator("#objects tr")
    expect(rows.first).to_contain_text("guests/luffy")
    expect(rows.first).to_contain_text("by root@pam")
    page.locator("#show").select_option("Drifted")
    expect(rows).to_have_count(1)
    page.locator("#show").select_option("")
    page.locator("#filter").fill("guests/")
    expect(rows).to_have_count(len(shown.lab.guests))
    page.locator("#filter").fill("nothing like this")
    expect(page.locator("#objects-empty")).to_have_text("Nothing fits the filter.")


def test_a_run_opens_to_its_operations(open_page: Open) -> None:
    page = open_page()
    page.locator("#runs summary").first.click()
    expect(page.locator(".operations li")).to_have_count(64)
    expect(page.locator(".operations")).to_contain_text("memory_bytes nothing → 8GiB")


def test_from_afar_the_page_asks_for_the_token(open_page: Open, shown: Exhibit) -> None:
    page = open_page(shown.view(listen="0.0.0.0"))
    expect(page.locator("#token")).to_be_hidden()
    page.locator("#words").fill("fail-node pve2")
    page.get_by_role("button", name="Simulate").click()
    page.locator("#token").fill(TOKEN)
    page.get_by_role("button", name="Simulate").click()
    expect(page.locator(".outcome")).to_be_visible()


@pytest.mark.parametrize("width", [380, 620, 900, 1280, 1900])
def test_nothing_hangs_over_the_edge_at_any_width(open_page: Open, width: int) -> None:
    page = open_page(width=width, path="#fail-node%20pve2")
    expect(page.locator(".outcome")).to_be_visible()
    assert page.evaluate("document.documentElement.scrollWidth") <= width
    svg = page.locator("#drawing svg").bounding_box()
    assert svg is not None
    assert svg["x"] >= 0
    assert svg["x"] + svg["width"] <= width
    name = page.locator("[data-subject='node pve2'] .name")
    assert name.evaluate("element => element.getBoundingClientRect().height") > 11


def test_a_small_lab_is_drawn_in_its_own_size(open_page: Open, shown: Exhibit) -> None:
    lab = three_nodes(guest("web", 101, on="pve1"))
    places = {key: GuestPlace(each.node, True) for key, each in twin_of(lab).state.guests.items()}
    shown.now = LabNow(lab, "c0ffee", places)
    page = open_page()
    expect(page.locator("#drawing .box")).to_have_count(3)
    expect(page.locator("#drawing .switch")).to_have_count(1)
    expect(page.locator("#vlans button")).to_have_count(2)
    expect(page.locator("[data-subject='node pve1']")).to_contain_text("web")
    svg = page.locator("#drawing svg").bounding_box()
    assert svg is not None
    assert svg["width"] < 800


def test_everything_that_can_be_used_has_a_name_and_the_page_its_landmarks(open_page: Open) -> None:
    page = open_page(path="#fail-node%20pve2")
    expect(page.locator(".outcome")).to_be_visible()
    for role in ("banner", "main", "contentinfo"):
        expect(page.get_by_role(role)).to_have_count(1)
    nameless = page.evaluate(
        """() => [...document.querySelectorAll("button, input, select, a, [role]")]
        .filter((each) => !(each.textContent.trim() || each.ariaLabel || each.labels?.length))
        .map((each) => each.outerHTML)"""
    )
    assert nameless == []
    expect(page.get_by_role("status").filter(has_text="service files out for")).to_have_count(1)
    expect(page.locator("h1")).to_have_count(1)


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_text_stands_out_from_its_ground(open_page: Open, scheme: str) -> None:
    page = open_page(scheme=scheme)
    pairs = [
        (text, ground)
        for text in ("ink", "soft", "mute", "accent", "bad", "good")
        for ground in ("paper", "ground")
    ]
    pairs += [("bad", "bad-wash"), ("good", "good-wash"), ("busy", "busy-wash")]
    pairs += [("unknown", "unknown-wash"), ("accent-ink", "accent"), ("bar-ink", "bar")]
    pairs += [("guest-ink", "guest"), ("simulated", "simulated-wash"), ("soft", "faint")]
    for text, ground in pairs:
        contrast = _contrast(_colour(page, text), _colour(page, ground))
        assert contrast >= 4.5, f"{text} on {ground} in {scheme}: {contrast:.2f}"  # WCAG 2.2, 1.4.3


def _colour(page: Page, name: str) -> list[float]:
    """A colour of the page's palette as red, green and blue from 0 to 1."""
    told = page.evaluate(
        """(name) => { const probe = document.body.appendChild(document.createElement("i"));
        probe.style.color = `var(--${name})`; return getComputedStyle(probe).color; }""",
        name,
    )
    return [int(part) / 255 for part in re.findall(r"\d+", str(told))[:3]]


def _contrast(one: list[float], other: list[float]) -> float:
    """Source: WCAG 2.2, contrast ratio and relative luminance."""

    def luminance(colour: list[float]) -> float:
        linear = [c / 12.92 if c <= 0.04045 else ((c + 0.055) / 1.055) ** 2.4 for c in colour]
        return sum(weight * c for weight, c in zip((0.2126, 0.7152, 0.0722), linear, strict=True))

    high, low = sorted((luminance(one), luminance(other)), reverse=True)
    return (high + 0.05) / (low + 0.05)


def test_the_page_is_whole_in_the_package_and_asks_no_other_host() -> None:
    for file in PAGE.iterdir():
        text = file.read_text()
        hosts = set(re.findall(r"https?://([\w.]+)", text)) - {"www.w3.org"}  # a namespace
        assert hosts == set(), file.name
    used = set(re.findall(r'(?:from|src=|href=) ?"(?:\./|page/)([\w.]+)"', _texts()))
    assert used <= {file.name for file in PAGE.iterdir()}


def _texts() -> str:
    return "\n".join(path.read_text() for path in sorted(Path(PAGE).iterdir()))
