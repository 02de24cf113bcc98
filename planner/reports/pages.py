"""A report as one HTML file that needs nothing else, and as Markdown.

The page may do no more than it must: its content security policy allows the two scripts that it
carries, by their hashes, and no request at all. Text from workload files reaches the page only
through Jinja2's autoescape or inside JSON blocks, which a browser does not read as markup.
"""

import base64
import hashlib
import json
from functools import cache
from importlib.resources import files
from typing import Any

import altair as alt
import vl_convert
from jinja2 import DictLoader, Environment, StrictUndefined, select_autoescape
from markupsafe import Markup

from gilplan.calibration.profile import gilplan_version
from gilplan.planner.reports.evidence_sections import (
    calibration_section,
    limits_section,
    measured_section,
)
from gilplan.planner.reports.material import Material
from gilplan.planner.reports.reason_sections import (
    change_section,
    interval_section,
    schedule_section,
    time_section,
)
from gilplan.planner.reports.section import Section
from gilplan.planner.reports.target_sections import (
    candidates_section,
    layout_section,
    rate_section,
    target_section,
    workload_section,
)

SECTIONS = (
    target_section,
    workload_section,
    layout_section,
    rate_section,
    candidates_section,
    interval_section,
    change_section,
    time_section,
    schedule_section,
    measured_section,
    calibration_section,
    limits_section,
)
#: What Markdown would read as markup; a line break would end a table's row.
MARKDOWN_MARKUP = str.maketrans(
    {
        **{character: "\\" + character for character in "\\`*_{}[]()#!|~"},
        "<": "&lt;",
        ">": "&gt;",
        "&": "&amp;",
        "\n": " ",
        "\r": " ",
    }
)


def html_page(material: Material) -> str:
    """Return the report as one HTML document, with its charts and what draws them."""
    sections = sections_of(material)
    figures = [figure for section in sections for figure in section.figures]
    scripts = (_renderer(), _asset("page.js"))
    page: str = _template("page.html").render(
        **_headline(material),
        sections=sections,
        specs={figure.name: _json_block(figure.chart) for figure in figures},
        style=Markup(_asset("page.css")),
        scripts=[Markup(script) for script in scripts],
        script_hashes=Markup(" ".join(f"'{_hash(script)}'" for script in scripts)),
    )
    return page


def markdown_page(material: Material) -> str:
    """Return the report as Markdown: the same text and tables; charts are for the HTML file."""
    text: str = _template("page.md", finalize=_markdown_text).render(
        **_headline(material), sections=sections_of(material)
    )
    return text.strip() + "\n"


def sections_of(material: Material) -> list[Section]:
    """Return the report's sections, in their order."""
    return [section(material) for section in SECTIONS]


def _headline(material: Material) -> dict[str, Any]:
    return {
        "title": f"Capacity plan: {material.workload.name}",
        "verdict": material.plan.verdict,
        "met": material.plan.met,
        "target": str(material.plan.target),
        "provenance": f"gilplan {gilplan_version()}, profile {material.profile.identity}, "
        f"seed {material.plan.seed}",
    }


def _template(name: str, finalize: Any = None) -> Any:
    environment = Environment(
        loader=DictLoader({name: _asset(name)}),
        autoescape=select_autoescape(["html"]),
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        finalize=finalize,
    )
    return environment.get_template(name)


def _markdown_text(value: object) -> object:
    """Return a text whose every character means itself in Markdown."""
    return value.translate(MARKDOWN_MARKUP) if isinstance(value, str) else value


def _json_block(chart: Any) -> Markup:
    """Return a chart's specification as JSON that cannot end its script element."""
    document = chart.to_dict()
    # As wide as the page, whatever that is read on.
    document["width"] = "container"
    document["autosize"] = {"type": "fit-x", "contains": "padding"}
    text = json.dumps(document, allow_nan=False, separators=(",", ":"))
    for character in "<>&\u2028\u2029":
        text = text.replace(character, f"\\u{ord(character):04x}")
    return Markup(text)


@cache
def _renderer() -> str:
    """Return Vega, Vega-Lite and Vega-Embed as one script, of the version that Altair writes."""
    version = alt.SCHEMA_VERSION.removeprefix("v").rsplit(".", 1)[0]
    bundle = vl_convert.javascript_bundle("window.vegaEmbed = vegaEmbed;", vl_version=version)
    assert "</script" not in bundle.lower()
    return bundle


def _asset(name: str) -> str:
    return (files("gilplan.planner.reports") / name).read_text(encoding="utf-8")


def _hash(script: str) -> str:
    digest = hashlib.sha256(script.encode()).digest()
    return "sha256-" + base64.b64encode(digest).decode()
