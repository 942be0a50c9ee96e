"""Content codings: which one a client gets, and which bodies are compressed."""

from app.http.chart_formats import CHART_FORMATS
from app.http.compression import MIN_COMPRESSED_BYTES, choose_coding, is_compressed
from app.http.encoding import JSON
from app.http.formats import FORMATS


def test_the_preferred_coding_that_is_accepted_is_chosen() -> None:
    values = {
        "": "",
        "gzip": "gzip",
        "gzip, deflate, br, zstd": "zstd",
        "zstd;q=0, gzip": "gzip",
        "gzip;q=0": "",
        "*": "zstd",
        "*;q=0, gzip;q=0.1": "gzip",
        "identity": "",
        "gzip;q=x": "",
    }
    assert {value: choose_coding(value) for value in values} == values


def test_texts_are_compressed_and_not_what_is_compressed_already() -> None:
    types = {name: entry.content_type for name, entry in FORMATS.items()}
    types |= {name: entry.media_type for name, entry in CHART_FORMATS.items()}
    body = bytes(MIN_COMPRESSED_BYTES)
    assert {name for name, own in types.items() if is_compressed(body, own)} == {"json", "csv", "ndjson", "vega", "svg"}
    assert not is_compressed(body[1:], JSON)
