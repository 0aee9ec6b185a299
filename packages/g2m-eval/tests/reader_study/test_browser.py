"""The page as a reader uses it, in a real browser."""

import re
import shutil

import pytest
from playwright.sync_api import Error, expect, sync_playwright

from g2m_eval.reader_study.layout import ANSWERS, open_study
from g2m_eval.reader_study.store import AnswerStore

pytestmark = pytest.mark.slow
DESKTOP, PHONE = {"width": 1280, "height": 800}, {"width": 390, "height": 844}


@pytest.fixture(scope="module")
def browser():
    with sync_playwright() as playwright:
        try:
            # without one on the path, playwright looks for its own
            found = playwright.chromium.launch(executable_path=shutil.which("chromium"), args=["--no-sandbox"])
        except Error as error:
            pytest.fail(
                "this test needs a browser: `apt-get install chromium` or `uv run playwright install chromium`; "
                f"{error.message.splitlines()[0]}"
            )
        yield found
        found.close()


@pytest.fixture
def visit(browser):
    """Function that opens a page, in a browser profile of its own unless given one."""
    contexts, mistakes = [], []

    def open_page(address, context=None, viewport=DESKTOP):
        if context is None:
            contexts.append(context := browser.new_context(viewport=viewport))
        page = context.new_page()
        page.on("pageerror", lambda error: mistakes.append(str(error)))
        page.goto(address)
        return page

    yield open_page
    for context in contexts:
        context.close()
    assert not mistakes


def begin(page):
    page.locator("#begin").click()
    seen(page)


def seen(page):
    """Wait until the picture is shown and can be answered."""
    expect(page.locator("#choices button").first).to_be_enabled()


def press(page, *keys):
    for key in keys:
        seen(page)
        page.keyboard.press(key)


def all_pictures(page, count):
    """Wait until the page holds every picture, so that it can go on without the server."""
    script = "performance.getEntriesByType('resource').filter(e => e.name.includes('/images/') && e.responseEnd).length"
    for _ in range(200):
        if page.evaluate(script) >= count:
            return
        page.wait_for_timeout(50)
    pytest.fail("the page did not fetch all pictures")


def stored(folder, reader="reader-01"):
    """The answers that count, by place in the reader's order."""
    current = AnswerStore(folder / ANSWERS).current(reader)
    order = open_study(folder).orders[reader]
    return {place: current[name][0] for place, name in enumerate(order, start=1) if name in current}


def expect_saved(page):
    expect(page.locator("#saved")).to_have_text("All answers saved")


def test_reader_answers_by_keyboard_goes_back_and_finishes(make_study, serve, token, visit):
    folder = make_study(n_images=6, width_um=55.0)
    page = visit(f"{serve(folder).address}/r/{token(folder)}")
    expect(page).to_have_title("Real or generated?")
    expect(page.locator("#instructions")).to_contain_text("You will see 6 small images")
    begin(page)
    expect(page.locator("#place")).to_have_text("Image 1 of 6 · 55 µm wide")
    press(page, "1", "2", "g")
    expect(page.locator("#place")).to_contain_text("Image 4 of 6")
    press(page, "ArrowLeft", "ArrowLeft")
    expect(page.locator("[data-answer=generated]")).to_have_attribute("aria-pressed", "true")
    press(page, "r")  # changes the second
    expect(page.locator("#place")).to_contain_text("Image 3 of 6")
    press(page, "ArrowRight", "ArrowRight", "1", "1")  # past the fourth, which is left out
    expect(page.locator("#place")).to_contain_text("Image 4 of 6")  # and comes back
    press(page, "2")
    expect(page.locator("#place")).to_contain_text("Image 5 of 6")
    press(page, "ArrowRight", "ArrowRight")
    expect(page.locator("#done")).to_be_visible()
    expect(page.locator("#farewell")).to_contain_text("All answers are saved")
    assert stored(folder) == {1: "real", 2: "real", 3: "generated", 4: "generated", 5: "real", 6: "real"}
    assert len(AnswerStore(folder / ANSWERS).history()) == 7  # the changed answer is kept


def test_reload_and_another_device_resume(make_study, serve, token, visit):
    folder = make_study(n_images=6)
    address = f"{serve(folder).address}/r/{token(folder)}"
    page = visit(address)
    begin(page)
    press(page, "1", "2")
    expect_saved(page)
    page.reload()
    expect(page.locator("#begin")).to_have_text("Continue with image 3")
    other = visit(address, viewport=PHONE)
    begin(other)
    expect(other.locator("#place")).to_contain_text("Image 3 of 6")
    expect(other.locator("#count")).to_have_text("2 of 6 answered")


def test_picture_is_enlarged_dragged_and_reset(make_study, serve, token, visit):
    folder = make_study()
    page = visit(f"{serve(folder).address}/r/{token(folder)}")
    begin(page)
    view, picture = page.locator("#view"), page.locator("#picture")
    before, frame = picture.bounding_box(), view.bounding_box()
    press(page, "+")
    assert picture.bounding_box()["width"] == pytest.approx(1.5 * before["width"], rel=0.01)
    page.mouse.move(frame["x"] + 20, frame["y"] + 20)
    page.mouse.down()
    page.mouse.move(frame["x"] + 5000, frame["y"] + 20)
    page.mouse.up()
    assert picture.bounding_box()["x"] == pytest.approx(frame["x"], abs=1)  # no further than the picture's edge
    press(page, "0")
    assert picture.bounding_box() == before
    page.mouse.move(frame["x"] + frame["width"] / 2, frame["y"] + frame["height"] / 2)
    page.mouse.wheel(0, -100)
    expect(view).to_have_class("enlarged")
    press(page, "1")
    seen(page)
    assert picture.bounding_box() == before  # the next one starts whole
    assert view.bounding_box() == frame


def test_answers_queue_while_the_server_is_down(make_study, serve, token, visit):
    folder = make_study(n_images=8)
    server = serve(folder)
    page = visit(f"{server.address}/r/{token(folder)}")
    begin(page)
    press(page, "1", "2")
    expect_saved(page)
    all_pictures(page, 8)
    server.stop()
    press(page, "1", "2", "1")
    expect(page.locator("#saved")).to_have_text(re.compile("3 not saved yet"), timeout=15000)
    assert stored(folder) == {1: "real", 2: "generated"}
    server.start()
    expect(page.locator("#saved")).to_have_text("All answers saved", timeout=20000)
    assert stored(folder) == {1: "real", 2: "generated", 3: "real", 4: "generated", 5: "real"}


def test_answers_outlive_a_closed_page_while_the_server_is_down(make_study, serve, token, visit):
    folder = make_study(n_images=8)
    server = serve(folder)
    address = f"{server.address}/r/{token(folder)}"
    page = visit(address)
    begin(page)
    all_pictures(page, 8)
    server.stop()
    press(page, "2", "2")
    expect(page.locator("#saved")).to_have_text(re.compile("2 not saved yet"), timeout=15000)
    page.close()
    server.start()
    again = visit(address, page.context)
    expect(again.locator("#begin")).to_have_text("Continue with image 3")
    expect_saved(again)
    assert stored(folder) == {1: "generated", 2: "generated"}


LEAVE_WAITING = """([prefix, entries]) => {
    for (const entry of entries) localStorage.setItem(prefix + entry.id, JSON.stringify(entry));
    localStorage.setItem(prefix + "torn", "{");
}"""


def test_many_waiting_answers_are_sent_and_one_that_is_refused_holds_up_none(make_study, serve, token, visit):
    """700 answers are more than one request of a page that may be closed can carry (64 KiB)."""
    folder = make_study(n_images=6)
    address = f"{serve(folder).address}/r/{token(folder)}"
    page = visit(address)
    said = [{"id": f"{n:032x}", "place": n % 5 + 1, "answer": "real", "given_at": 1000 + n} for n in range(700)]
    said[350] |= {"place": 6, "answer": "perhaps"}
    page.evaluate(LEAVE_WAITING, [f"g2m-reader-study /r/{token(folder)} ", said])
    page.reload()
    expect(page.locator("#saved")).to_contain_text(
        "All other answers saved. Not accepted by the server: image 6.", timeout=30000
    )
    assert len(AnswerStore(folder / ANSWERS).history()) == 699
    expect(page.locator("#count")).to_have_text("5 of 6 answered")
    page.reload()  # still told, and the image still to be answered
    expect(page.locator("#begin")).to_have_text("Continue with image 6")
    expect(page.locator("#saved")).to_contain_text("Not accepted by the server: image 6.")
    begin(page)
    press(page, "2")
    expect_saved(page)
    assert stored(folder) == {**dict.fromkeys(range(1, 6), "real"), 6: "generated"}


def test_reply_lost_on_the_way_back(make_study, serve, token, visit):
    """The server stored the answer, the page never heard: sent again, it is still one answer."""
    folder = make_study(n_images=6)
    page = visit(f"{serve(folder).address}/r/{token(folder)}")
    begin(page)
    lost = []

    def lose_first_reply(route):
        if lost:
            route.continue_()
            return
        lost.append(route.fetch().status)
        route.abort("connectionreset")

    page.route("**/answers", lose_first_reply)
    press(page, "1", "2")
    expect(page.locator("#saved")).to_have_text("All answers saved", timeout=15000)
    assert lost == [200]
    assert stored(folder) == {1: "real", 2: "generated"}
    assert len(AnswerStore(folder / ANSWERS).history()) == 2


def test_two_tabs_of_one_reader_agree_and_lose_nothing(make_study, serve, token, visit):
    folder = make_study(n_images=6)
    server = serve(folder)
    address = f"{server.address}/r/{token(folder)}"
    first = visit(address)
    second = visit(address, first.context)
    begin(first)
    begin(second)
    press(first, "1")
    expect(second.locator("#count")).to_have_text("1 of 6 answered")
    expect(second.locator("[data-answer=real]")).to_have_attribute("aria-pressed", "true")
    press(second, "2")  # the same image, changed in the other tab
    press(first, "1", "1")
    expect(second.locator("#count")).to_have_text("3 of 6 answered")
    all_pictures(first, 6)
    all_pictures(second, 6)
    server.stop()
    press(first, "2")
    press(second, "ArrowRight", "ArrowRight", "ArrowRight", "1")  # image 5, while the other waits with image 4
    expect(first.locator("#saved")).to_have_text(re.compile("2 not saved yet"), timeout=15000)
    server.start()
    for page in (first, second):
        expect(page.locator("#saved")).to_have_text("All answers saved", timeout=30000)
        expect(page.locator("#count")).to_have_text("5 of 6 answered")
    assert stored(folder) == {1: "generated", 2: "real", 3: "real", 4: "generated", 5: "real"}
    assert len(AnswerStore(folder / ANSWERS).history()) == 6


def test_nothing_is_asked_of_another_host_or_by_a_telling_name(make_study, serve, token, visit, browser):
    folder = make_study(n_images=6)
    server = serve(folder)
    context = browser.new_context()
    asked = []
    context.on("request", lambda request: asked.append(request.url))
    page = visit(f"{server.address}/r/{token(folder)}", context)
    begin(page)
    press(page, "1")
    expect_saved(page)
    all_pictures(page, 6)
    context.close()
    path = re.compile(
        rf"{server.address}/(web/(study|outbox|zoom)\.(js|css)|r/{token(folder)}(/state|/answers|/images/[1-6])?)"
        rf"|blob:{server.address}/.*|data:,"
    )
    assert len(asked) >= 12
    assert [url for url in asked if not path.fullmatch(url)] == []


@pytest.mark.parametrize("viewport", [PHONE, DESKTOP, {"width": 844, "height": 390}])
def test_page_fits_its_window(make_study, serve, token, visit, viewport):
    folder = make_study()
    page = visit(f"{serve(folder).address}/r/{token(folder)}", viewport=viewport)
    begin(page)
    press(page, "1")
    seen(page)
    wide = page.locator("body").evaluate("body => body.scrollWidth")
    assert wide <= viewport["width"]
    if viewport["height"] > 500:  # image and answers are seen together
        bottom = page.locator("#choices").bounding_box()
        assert bottom["y"] + bottom["height"] <= viewport["height"]
