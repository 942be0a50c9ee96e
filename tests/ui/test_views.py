"""What holds for every view: nothing keeps people from using it, whatever the data, the colors and the width."""

from unicodedata import normalize
from urllib.parse import quote

import pytest
from playwright.sync_api import Page

from app.ui.assets import load_assets
from tests.support.company import HOSTILE
from tests.support.process import ServiceProcess
from tests.support.views import EACH_VIEW, VIEWS, View, reader_of

# The narrowest window, in pixels, is a phone, or a desktop with 400 % zoom.
SURROUNDINGS = ((1280, "light"), (1280, "dark"), (320, "light"))


@EACH_VIEW
def test_everyone_can_use_a_view_in_all_colors_and_widths(company: ServiceProcess, view: View) -> None:
    with reader_of(company, purpose="NO VIEW IS CHECKED FOR ACCESSIBILITY") as reader:
        reader.open(view)
        faults = []
        for width, theme in SURROUNDINGS:
            reader.page.set_viewport_size({"width": width, "height": 900})
            reader.page.get_by_label("Colors").select_option(theme)
            reader.wait()
            faults += [f"{theme} {width}: {fault}" for fault in reader.find_faults()]
            faults += [f"{width}: wider than the window: {own}" for own in find_wide_elements(reader.page)]
        assert not faults, "\n".join(faults)


def find_wide_elements(page: Page) -> list[str]:
    """Return the elements that make the whole page wider than the window, so that it would have to be scrolled."""
    return page.evaluate(
        """() => {
          const root = document.documentElement;
          if (root.scrollWidth <= root.clientWidth) return [];
          const isWide = (element) => element.getBoundingClientRect().right > root.clientWidth + 1;
          const wide = [...document.querySelectorAll("body *")].filter(isWide);
          return wide.slice(0, 5).map((element) => element.outerHTML.slice(0, 200));
        }"""
    )


# Elements that only text of others could have made, and texts from right to left that would turn what stands around them.
_INTRUDERS = """() => {
  const elements = [...document.querySelectorAll("main :is(img, script, iframe, object, embed, marquee)")];
  const walker = document.createTreeWalker(document.querySelector("main"), NodeFilter.SHOW_TEXT);
  const texts = [];
  while (walker.nextNode()) {
    const { data, parentElement } = walker.currentNode;
    const isIsolated = parentElement.closest("bdi, [dir=auto], svg, option, code, title");
    if (/[\u0590-\u08ff\u202a-\u202e]/.test(data) && !isIsolated) texts.push(data);
  }
  return [...elements.map((own) => own.outerHTML), ...texts].map((text) => text.slice(0, 200));
}"""


@EACH_VIEW
def test_hostile_data_is_text_on_every_view(company: ServiceProcess, view: View) -> None:
    with reader_of(company, purpose="NO HOSTILE DATA ARE SHOWN") as reader:
        reader.open(view)
        assert reader.page.evaluate(_INTRUDERS) == []


@pytest.mark.skipif(View("accounts", True) not in VIEWS, reason="There is no view of one account.")
@pytest.mark.parametrize("account", HOSTILE)
def test_an_account_of_any_name_has_a_view(company: ServiceProcess, account: str) -> None:
    with reader_of(company, purpose="NO HOSTILE DATA ARE SHOWN") as reader:
        reader.go(f"{company.url}/accounts/{quote(account, safe='')}")
        # Ids are normalized where they come in.
        assert normalize("NFC", account) in (reader.page.get_by_role("heading", level=1).text_content() or "")
        assert reader.page.evaluate(_INTRUDERS) == []
        assert find_wide_elements(reader.page) == []


def test_the_overview_asks_little_and_weighs_little(company: ServiceProcess) -> None:
    with reader_of(company, purpose="NO PAGE IS WEIGHED") as reader:
        network, sizes = reader.page.context.new_cdp_session(reader.page), []
        network.send("Network.enable")
        network.on("Network.loadingFinished", lambda event: sizes.append(event["encodedDataLength"]))
        reader.open(View("overview"))
        paths = [request.url.removeprefix(company.url) for request in reader.requests]
        data = [path for path in paths if not path.startswith("/static/") and path != "/"]
        assert len(data) <= 3, data
        assert len(sizes) == len(paths)
        assert 100_000 < sum(sizes) < 400_000
        # What every view needs is known from the beginning.
        hints = reader.page.locator("link[rel=modulepreload]").evaluate_all("all => all.map((own) => own.href)")
        late = {f"{company.url}{path}" for path in paths if path.endswith(".js")} - set(hints)
        version = f"{company.url}/static/{load_assets().version}"
        assert late == {f"{version}/{name}" for name in ("main.js", "views/overview.js", "vendor/vega.js")}
