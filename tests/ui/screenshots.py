"""Take a picture of every view with the demo, for the documentation: `make screenshots`.

Light and dark on a desktop, and light on a phone. What the demo shows depends on the day, and nothing else.
"""

from pathlib import Path
from tempfile import TemporaryDirectory

from app.embedded.server import start_server
from tests.support.command import run_process
from tests.support.process import ServiceProcess, service_process
from tests.support.views import VIEWS, reader_of

_TARGET = Path(__file__).parents[2] / "docs" / "images" / "page"
# Width and height in pixels. A longer view ends there.
_DESKTOP, _PHONE = (1440, 1800), (390, 1800)
_PICTURES = {"light": (_DESKTOP, "light"), "dark": (_DESKTOP, "dark"), "phone": (_PHONE, "light")}


def main() -> None:
    """Load the demo into a database of its own, and take the pictures."""
    with TemporaryDirectory(prefix="csm-pictures-") as name:
        folder = Path(name)
        # PostgreSQL has a user of its own, who has to get there.
        folder.chmod(0o755)
        server = start_server(folder / "data")
        try:
            loaded = run_process("demo", folder=folder, DATABASE_URL=server.url)
            assert loaded.returncode == 0, loaded.stderr
            with service_process(folder, server.url) as process:
                for picture in _PICTURES:
                    take_pictures(process, picture)
        finally:
            server.stop()


def take_pictures(process: ServiceProcess, picture: str) -> None:
    """Take the pictures of one kind, of all views."""
    (width, height), theme = _PICTURES[picture]
    options = {"viewport": {"width": width, "height": 900}, "color_scheme": theme, "reduced_motion": "reduce"}
    options |= {"locale": "en-US", "timezone_id": "UTC"}
    with reader_of(process, purpose="there are no pictures", **options) as reader:
        for view in VIEWS:
            reader.open(view)
            whole = reader.page.evaluate("document.documentElement.scrollHeight")
            path = _TARGET / f"{view.name}{'-one' * view.is_detail}-{picture}.png"
            clip = {"x": 0, "y": 0, "width": width, "height": min(whole, height)}
            reader.page.screenshot(path=path, full_page=True, clip=clip, animations="disabled")
            print(f"{path.name}: {path.stat().st_size / 1000:.0f} kB")  # noqa: T201


if __name__ == "__main__":
    main()
