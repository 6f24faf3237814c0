"""The diagram as one HTML file: data, style and code in it, nothing fetched from anywhere."""

from html import escape
from importlib.resources import files

from quorate.lab.diagram.model import Diagram, encode

SCRIPTS = ("scene.js", "paint.js", "page.js")
"""In this order: what there is, how it is drawn, what a reader can do."""


def render(diagram: Diagram) -> str:
    """The whole page."""
    here = files("quorate.lab.diagram")
    data = encode(diagram).decode().replace("<", "\\u003c")  # so that no text can end the script element
    page = here.joinpath("page.html").read_text(encoding="utf-8")
    parts = {
        "@title": escape(diagram.title),
        "@style": here.joinpath("page.css").read_text(encoding="utf-8"),
        "@script": "\n".join(here.joinpath(name).read_text(encoding="utf-8") for name in SCRIPTS),
        "@data": data,
    }
    for place, text in parts.items():
        page = page.replace(place, text, 1)
    return page
