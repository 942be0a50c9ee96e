"""What holds for every view: nothing keeps people from using it, whatever the data, the colors and the width."""

from playwright.sync_api import Page

from tests.support.process import ServiceProcess
from tests.support.views import EACH_VIEW, View, reader_of

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
