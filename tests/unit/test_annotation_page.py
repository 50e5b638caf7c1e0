"""The page that people answer on, driven in a real browser as they would: by keys, by taps, on a phone, again later."""

import json
import re
from collections.abc import Iterator, Sequence
from pathlib import Path

import pytest
from PIL import Image
from playwright.sync_api import Browser, BrowserContext, Dialog, Page, ViewportSize, expect

from browsing import headless_browser
from d3s.annotation.page import FOLDER, STYLE, data_address, embed_json, render_index, render_page
from d3s.annotation.pictures import shown_picture

HOSTILE = "</script><img src=x onerror=alert(1)>"
DESKTOP: ViewportSize = {"width": 1280, "height": 800}
PHONE: ViewportSize = {"width": 390, "height": 844}


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    with headless_browser() as found:
        yield found


@pytest.fixture
def context(browser: Browser) -> Iterator[BrowserContext]:
    """A browser of its own, which remembers nothing of other tests."""
    context = browser.new_context(viewport=DESKTOP)
    yield context
    context.close()


def write_page(folder: Path, count: int, repeats: int = 0, label: str = "ball") -> Path:
    """A batch of so many items; the first ones are shown twice."""
    items = [
        {
            "item": f"item{number % count}",
            "key": f"key{number % count}",
            "class": "0",
            "background": "sea",
            "picture": data_address(shown_picture(Image.new("RGB", (8, 8), (number % 256, 0, 0)), 8)),
        }
        for number in range(count + repeats)
    ]
    example = data_address(shown_picture(Image.new("RGB", (8, 8), (0, 99, 0)), 8))
    classes = {0: {"label": label, "definition": f"a thing {label}", "examples": [example] * 3}}
    path = folder / "batch-0001.html"
    path.write_text(render_page("demo", 1, items, classes, {"sea": "at sea"}), encoding="utf-8")
    return path


def start(context: BrowserContext, path: Path, worker: str = "Ann") -> Page:
    page = context.new_page()
    page.goto(path.as_uri())
    page.keyboard.type(worker)  # the field has the focus already
    page.keyboard.press("Enter")
    return page


def press(page: Page, keys: Sequence[str]) -> None:
    for key in keys:
        page.keyboard.press(key)


def export(page: Page, button: str) -> dict:
    with page.expect_download() as found:
        page.get_by_role("button", name=button).press("Enter")
    return json.loads(found.value.path().read_text())


def answers(exported: dict) -> list[str]:
    return ["".join(vote[question][0] for question in ("object", "unsafe", "background")) for vote in exported["votes"]]


def test_a_batch_is_answered_by_keyboard_alone_with_a_reload_and_an_undo(
    context: BrowserContext, tmp_path: Path
) -> None:
    path = write_page(tmp_path, 6)
    page = start(context, path)
    press(page, "ynyn")
    page.keyboard.press("Backspace")  # takes back the "n"
    press(page, "ynuyn")
    page.reload()
    page.keyboard.type("Ann")
    expect(page.locator("#saved")).to_have_text("2 of 6 are answered already; you go on from there.")
    page.keyboard.press("Enter")
    expect(page.locator("#place")).to_have_text("3 of 6")
    press(page, "nnnyyyyunn")  # the third item's first two answers were kept as well
    expect(page.locator("#thanks")).to_be_focused()
    exported = export(page, "Export answers")
    assert answers(exported) == ["yny", "ynu", "ynn", "nny", "yyy", "unn"]
    assert {name: exported[name] for name in ("format", "version", "campaign", "batch", "worker")} == {
        "format": "d3s-annotations",
        "version": 2,
        "campaign": "demo",
        "batch": 1,
        "worker": "Ann",
    }
    assert sorted(vote["item"] for vote in exported["votes"]) == [f"item{number}" for number in range(6)]
    assert all(vote["key"] == vote["item"].replace("item", "key") for vote in exported["votes"])
    assert all(0 <= vote["seconds"] < 60 for vote in exported["votes"])


def test_a_closed_tab_loses_nothing_and_another_person_starts_anew(context: BrowserContext, tmp_path: Path) -> None:
    path = write_page(tmp_path, 4)
    page = start(context, path)
    press(page, "ynyyny")
    page.close()
    again = start(context, path)
    expect(again.locator("#place")).to_have_text("3 of 4")
    assert answers(export(again, "Export")) == ["yny", "yny"], "what there is can be exported at any time"
    expect(again.locator("#told")).to_have_text("2 answers exported; 2 pictures are left.")
    other = start(context, path, "Bob")
    expect(other.locator("#place")).to_have_text("1 of 4")


def test_people_see_different_orders_and_repeats_late(context: BrowserContext, tmp_path: Path) -> None:
    path = write_page(tmp_path, 40, repeats=4)
    orders = []
    for worker in ("Ann", "Bob", "Ann "):
        page = start(context, path, worker)
        press(page, "yny" * 44)
        orders.append([vote["item"] for vote in export(page, "Export answers")["votes"]])
        page.evaluate("localStorage.clear()")
        page.close()
    assert orders[0] != orders[1]
    assert orders[0] == orders[2], "the same person, the same order"
    for number in range(4):
        first, second = (place for place, item in enumerate(orders[0]) if item == f"item{number}")
        assert second - first >= 5


def test_answers_are_kept_by_item_when_a_page_is_made_anew(context: BrowserContext, tmp_path: Path) -> None:
    path = write_page(tmp_path, 4)
    page = start(context, path)
    press(page, "ynu" * 4)
    page.close()
    write_page(tmp_path, 5)
    page = start(context, path)
    expect(page.locator("#work")).to_be_visible()
    press(page, "nnn")
    assert sorted(answers(export(page, "Export answers"))) == ["nnn", "ynu", "ynu", "ynu", "ynu"]


def test_taps_on_a_phone(browser: Browser, tmp_path: Path) -> None:
    context = browser.new_context(viewport=PHONE, has_touch=True, is_mobile=True)
    page = context.new_page()
    page.goto(write_page(tmp_path, 2, label="a label that is long and " * 4).as_uri())
    page.get_by_label("Your name or code").fill("Ann")
    page.get_by_role("button", name="Start").tap()
    for question, answer in (("Is this in", "Yes"), ("Is there adult", "No"), ("Is the place", "Unsure")):
        assert page.evaluate("document.documentElement.scrollWidth") <= PHONE["width"], "nothing to scroll sideways"
        page.get_by_role("group", name=question).get_by_text(answer).tap()
    expect(page.locator("#place")).to_have_text("2 of 2")
    page.get_by_role("button", name="Undo").tap()
    expect(page.locator("#place")).to_have_text("1 of 2")
    expect(page.get_by_role("group", name="Is there adult").get_by_label("No")).to_be_checked()
    context.close()


def test_a_screen_reader_finds_a_name_for_everything(context: BrowserContext, tmp_path: Path) -> None:
    page = start(context, write_page(tmp_path, 2))
    told = page.locator("body").aria_snapshot()
    for part in (
        'heading "ball" [level=1]',
        'img "The picture to judge"',
        'img "Example 1"',
        'group "Is this in the picture: ball?"',
        'radio "Unsure"',
        'progressbar "Progress"',
        'button "Undo"',
    ):
        assert part in told
    expect(page.locator("#name")).to_be_focused()
    expect(page.locator("#place")).to_have_attribute("aria-live", "polite")


@pytest.mark.parametrize(
    ("text", "ground"), [("ink", "paper"), ("ink", "ground"), ("soft", "ground"), ("paper", "accent")]
)
def test_text_stands_out_from_its_ground(text: str, ground: str) -> None:
    """By at least 4.5 to 1, as WCAG's level AA asks."""
    colours = dict(re.findall(r"--(\w+): (#\w+);", (FOLDER / STYLE).read_text()))

    def luminance(name: str) -> float:
        digits = colours[name][1:] if len(colours[name]) == 7 else "".join(2 * digit for digit in colours[name][1:])
        parts = [int(digits[place : place + 2], 16) / 255 for place in (0, 2, 4)]
        linear = [part / 12.92 if part <= 0.04045 else ((part + 0.055) / 1.055) ** 2.4 for part in parts]
        return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]

    low, high = sorted((luminance(text), luminance(ground)))
    assert (high + 0.05) / (low + 0.05) >= 4.5


def test_hostile_text_is_text_and_nothing_is_fetched(context: BrowserContext, tmp_path: Path) -> None:
    said: list[str] = []
    asked: list[str] = []

    def dismiss(dialog: Dialog) -> None:
        said.append(dialog.message)
        dialog.dismiss()

    context.on("dialog", dismiss)
    context.on("request", lambda request: asked.append(request.url.partition(":")[0]))
    page = start(context, write_page(tmp_path, 2, label=HOSTILE))
    expect(page.locator("#name")).to_have_text(HOSTILE)
    expect(page.locator("legend").first).to_have_text(f"Is this in the picture: {HOSTILE}?")
    assert said == []
    assert set(asked) <= {"file", "data"}


def test_the_policy_forbids_foreign_scripts(context: BrowserContext, tmp_path: Path) -> None:
    page = start(context, write_page(tmp_path, 2))
    page.evaluate("""() => {
        const script = document.createElement("script");
        script.textContent = "window.ran = true";
        document.body.append(script);
    }""")
    assert page.evaluate("window.ran === undefined")


def test_without_a_store_the_page_warns_and_still_exports(context: BrowserContext, tmp_path: Path) -> None:
    context.add_init_script("Storage.prototype.setItem = () => { throw new Error('full'); }")
    page = start(context, write_page(tmp_path, 1))
    press(page, "yny")
    expect(page.get_by_role("alert")).to_contain_text("export your answers before you close it")
    assert answers(export(page, "Export answers")) == ["yny"]


def test_help_loses_nothing_even_without_a_store(context: BrowserContext, tmp_path: Path) -> None:
    context.add_init_script("Storage.prototype.setItem = () => { throw new Error('full'); }")
    page = start(context, write_page(tmp_path, 3))
    press(page, "yny?")
    expect(page.locator("#start")).to_be_visible()
    page.keyboard.press("Enter")
    expect(page.locator("#place")).to_have_text("2 of 3")


def test_two_tabs_keep_what_each_of_them_was_told(context: BrowserContext, tmp_path: Path) -> None:
    path = write_page(tmp_path, 4)
    first, second = start(context, path), start(context, path)
    press(first, "ynyynuyny")
    expect(second.locator("#place")).to_have_text("4 of 4")
    press(second, "unn")
    expect(first.locator("#done")).to_be_visible()
    assert answers(export(first, "Export answers")) == ["yny", "ynu", "yny", "unn"]


def test_undo_takes_back_what_was_answered_last_in_whatever_order(context: BrowserContext, tmp_path: Path) -> None:
    path = write_page(tmp_path, 2)
    page = start(context, path)
    page.get_by_role("group", name="Is the place").get_by_text("Yes").click()
    page.reload()
    page.keyboard.type("Ann")
    page.keyboard.press("Enter")
    expect(page.get_by_role("group", name="Is the place").get_by_label("Yes")).to_be_checked()
    page.get_by_role("group", name="Is there adult").get_by_text("No").click()
    page.get_by_role("group", name="Is this in").get_by_text("Unsure").click()
    expect(page.locator("#place")).to_have_text("2 of 2")
    page.keyboard.press("Backspace")
    expect(page.locator("#place")).to_have_text("1 of 2")
    expect(page.get_by_role("group", name="Is there adult").get_by_label("No")).to_be_checked()
    assert page.get_by_role("group", name="Is this in").locator("input:checked").count() == 0


def test_arrow_keys_move_and_space_answers(context: BrowserContext, tmp_path: Path) -> None:
    page = start(context, write_page(tmp_path, 2))
    page.get_by_role("group", name="Is this in").get_by_label("Yes").focus()
    press(page, ["ArrowRight", "ArrowRight"])
    assert page.locator("#questions input:checked").count() == 0
    page.keyboard.press("Space")
    expect(page.get_by_role("group", name="Is this in").get_by_label("Unsure")).to_be_checked()


def test_the_letters_can_be_switched_off(context: BrowserContext, tmp_path: Path) -> None:
    page = context.new_page()
    page.goto(write_page(tmp_path, 2).as_uri())
    page.get_by_label("Answer by the keys").uncheck()
    page.get_by_label("Your name or code").fill("Ann")
    page.keyboard.press("Enter")
    press(page, "ynu?")
    assert page.locator("#questions input:checked").count() == 0
    expect(page.locator("#work")).to_be_visible()


def test_five_hundred_pictures_are_one_batch(context: BrowserContext, tmp_path: Path) -> None:
    page = start(context, write_page(tmp_path, 500))
    press(page, "yny" * 500)
    assert len(export(page, "Export answers")["votes"]) == 500


def test_the_index_names_every_batch() -> None:
    page = render_index("demo", {2: 30, 1: 110}, votes=5)
    assert page.index("batch-0001.html") < page.index("batch-0002.html")
    assert "110 pictures" in page
    assert "&lt;b&gt;" in render_index("<b>", {}, votes=1)


def test_embedded_json_can_not_end_its_element() -> None:
    text = embed_json({"label": HOSTILE + "<!-- & "})
    assert not set(text) & set("<>&")
    assert json.loads(text) == {"label": HOSTILE + "<!-- & "}
