"""The report: it says what the plan says, fetches nothing, and takes every name as text."""

import json
import re
import shutil
from collections.abc import Iterator
from dataclasses import replace
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import pytest

from gilplan.calibration.profile import Profile, save
from gilplan.model.durations import Deterministic
from gilplan.model.errors import GilplanError
from gilplan.model.layout import Layout
from gilplan.model.workload import Segment, SegmentKind, Task, Workload
from gilplan.planner import charts
from gilplan.planner.cli import main
from gilplan.planner.layout_option import parse_layout
from gilplan.planner.plans.findings import Plan
from gilplan.planner.plans.plan import plan
from gilplan.planner.plans.target import Target, parse_slo
from gilplan.planner.reports import (
    Material,
    gather,
    html_page,
    markdown_page,
    read_measured,
)
from gilplan.planner.reports import gathering as gathering_module
from gilplan.planner.reports.gathering import compared_layouts, shares_a_gil

Output = pytest.CaptureFixture[str]

HOSTILE = "</script><img src=x onerror=\"fetch('http://127.0.0.1/')\"><b>|`*[a](http://127.0.0.1/)"
LAYOUTS = ("3.13", "3.13:threads=2", "3.13:interpreters=2,gil=own", "3.13t:threads=2")
MOST_BYTES = 5_000_000


def hostile_workload() -> Workload:
    segments = (
        Segment(kind=SegmentKind.PYTHON, name=HOSTILE, duration=Deterministic(1e-3)),
        Segment(kind=SegmentKind.WAIT, name="fetch", duration=Deterministic(1e-3)),
    )
    return Workload(
        name=HOSTILE, tasks=(Task(name=HOSTILE, segments=segments),), build="3.13.0", source=HOSTILE
    )


def layouts(profile: Profile) -> list[Layout]:
    return [parse_layout(text).resolve(profile) for text in LAYOUTS]


def validation_document(profile: str) -> dict[str, Any]:
    row = {
        "program": HOSTILE, "layout": "3.13.0:threads=2", "mode": "threads", "predicted": 110.0,
        "predicted_lower": None, "predicted_upper": 120.0, "measured": 100.0, "error": 0.1,
        "error_amdahl": 0.3,
    }  # fmt: skip
    return {"rows": [row, {**row, "measured": 120.0, "error": -0.0833}], "profile": profile}


@pytest.fixture(scope="module")
def made(profile: Profile) -> Plan:
    target = Target(rate=700, slos=(parse_slo("p99<80ms"),), cores_up_to=2)
    return plan(
        hostile_workload(), target, profile, layouts=layouts(profile), what_ifs=["build=3.13t"]
    )


@pytest.fixture(scope="module")
def material(
    made: Plan, profile: Profile, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Material]:
    path = tmp_path_factory.mktemp("validation") / "validation.json"
    path.write_text(json.dumps(validation_document(profile.identity)))
    with pytest.MonkeyPatch.context() as coarse:
        # What is drawn is not looked at here: coarse results do.
        coarse.setattr(gathering_module, "PRECISION", 0.2)
        coarse.setattr(gathering_module, "MOST_REPLICATIONS", 4)
        coarse.setattr(gathering_module, "SWITCH_INTERVALS", "1ms:10ms:log:3")
        yield gather(made, hostile_workload(), profile, measured=read_measured(path))


@pytest.fixture(scope="module")
def page(material: Material) -> str:
    return html_page(material)


class Elements(HTMLParser):
    """Collects elements with their attributes, and the text outside scripts."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.elements: list[tuple[str, dict[str, str | None]]] = []
        self.text = ""
        self._inside = ""
        self.feed(page)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.elements.append((tag, dict(attrs)))
        self._inside = tag

    def handle_endtag(self, tag: str) -> None:
        self._inside = ""

    def handle_data(self, data: str) -> None:
        if self._inside not in ("script", "style"):
            self.text += data


def specs(page: str) -> dict[str, Any]:
    blocks = re.findall(r'<script type="application/json" id="spec-([\w-]+)">(.*?)</script>', page)
    return {name: json.loads(text) for name, text in blocks}


def test_the_page_says_the_verdict_the_target_and_every_section(page: str, made: Plan) -> None:
    text = Elements(page).text
    assert made.met
    assert "Target met." in text
    for said in (made.verdict, str(made.target), made.profile, "p99 of the response time"):
        assert said in text
    for title in (
        "Target", "The workload as observed", "Recommended layout", "Rate against latency",
        "Layouts compared", "The switch interval", "What would change it",
        "Utilisation and where the time goes", "A stretch of the schedule",
        "Predicted against measured", "Calibration: provenance and quality",
        "Assumptions and limits",
    ):  # fmt: skip
        assert text.count(title) >= 2, title  # in the contents, and as a heading


def test_every_chart_has_a_place_and_its_data(page: str) -> None:
    drawn = specs(page)
    places = [
        attributes["data-spec"]
        for tag, attributes in Elements(page).elements
        if tag == "div" and attributes.get("class") == "chart"
    ]
    assert places == [f"spec-{name}" for name in drawn]
    assert {"rate-latency", "interval-p99", "gains", "schedule", "validation"} <= set(drawn)
    assert all(spec["width"] == "container" and spec["datasets"] for spec in drawn.values())


def test_names_from_files_are_text_and_never_markup(page: str) -> None:
    found = Elements(page)
    assert HOSTILE in found.text
    assert {tag for tag, _ in found.elements}.isdisjoint({"img", "b", "iframe", "object", "form"})
    assert not any(name.startswith("on") for _, attributes in found.elements for name in attributes)
    programs = [row["program"] for d in specs(page)["validation"]["datasets"].values()
                for row in d if "program" in row]  # fmt: skip
    assert programs == [HOSTILE, HOSTILE]


def test_the_page_asks_for_nothing_and_may_not(page: str) -> None:
    elements = Elements(page).elements
    for tag, attributes in elements:
        for name in ("src", "href", "action", "data", "poster"):
            value = attributes.get(name) or ""
            assert not value or value.startswith("#") or value == "data:,", (tag, value)
    (policy,) = [
        attributes["content"] or ""
        for tag, attributes in elements
        if tag == "meta" and attributes.get("http-equiv") == "Content-Security-Policy"
    ]
    assert policy.startswith("default-src 'none'; script-src 'sha256-")
    assert "unsafe-eval" not in policy
    assert "http" not in policy
    assert len(page.encode()) < MOST_BYTES


def test_the_same_plan_gives_the_same_page(material: Material, page: str) -> None:
    assert html_page(material) == page


def test_markdown_says_the_same_with_names_as_text(material: Material, made: Plan) -> None:
    text = markdown_page(material)
    assert text.startswith("# Capacity plan: ")
    assert "<img" not in text
    assert "](http" not in text
    assert re.sub(r"\\(.)", r"\1", text).count(made.verdict) == 1
    for line in text.splitlines():
        if line.startswith("|"):
            cells = re.split(r"(?<!\\)\|", line)
            assert cells[0] == cells[-1] == ""
    headings = [line for line in text.splitlines() if line.startswith("## ")]
    assert len(headings) == 12


def test_markdown_tables_are_tables_to_a_reader_of_markdown(material: Material) -> None:
    from markdown_it import MarkdownIt

    html = MarkdownIt("commonmark").enable("table").render(markdown_page(material))
    found = Elements(html)
    assert HOSTILE in found.text
    assert sum(tag == "table" for tag, _ in found.elements) >= 10
    assert {tag for tag, _ in found.elements}.isdisjoint({"img", "b", "script", "a"})


def test_what_cannot_be_met_is_said_first(profile: Profile, material: Material) -> None:
    target = Target(rate=5000, cores_up_to=2)
    missed = plan(hostile_workload(), target, profile, layouts=layouts(profile)[:2])
    page = html_page(replace(material, plan=missed, measured=None))
    text = Elements(page).text
    assert text.index("Target not met.") < text.index(missed.verdict)
    assert "The nearest miss" in text
    assert "No validation was given" in text


def test_the_layouts_compared_begin_with_the_choice_and_differ_in_kind(made: Plan) -> None:
    compared = compared_layouts(made)
    assert made.choice is not None
    assert compared[0] == made.choice.layout
    assert len({layout.mode for layout in compared[1:]}) == len(compared) - 1
    assert len(compared) <= 4


@pytest.mark.parametrize(
    ("text", "shared"),
    [
        ("3.13:threads=2", True),
        ("3.13:interpreters=2,gil=own", False),
        ("3.13:interpreters=2,gil=shared", True),
        ("3.13:processes=2", False),
        ("3.13t:threads=4", False),
    ],
)
def test_only_threads_that_share_a_gil_feel_the_switch_interval(
    profile: Profile, text: str, shared: bool
) -> None:
    assert shares_a_gil(parse_layout(text).resolve(profile)) is shared


def test_the_charts_of_a_plan_hold_its_numbers(made: Plan) -> None:
    def rows(chart: Any, field: str) -> list[Any]:
        return [
            row[field] for d in chart.to_dict()["datasets"].values() for row in d if field in row
        ]

    assert made.choice is not None
    assert made.choice.capacity.mean in rows(charts.plot_candidates(made), "value")
    assert "chosen" in rows(charts.plot_candidates(made), "kind")
    curve = charts.plot_rate_latency(made)
    assert {point.rate for point in made.curve if point.response_time} <= set(rows(curve, "rate"))
    assert "target p99 < 80 ms" in rows(curve, "label")
    (gain,) = made.what_ifs
    assert gain.throughput.mean in rows(charts.plot_gains(made.what_ifs), "value")
    tornado = rows(charts.plot_sensitivity(made), "quantity")
    most = sorted(made.sensitivities, key=lambda each: -each.effect)[:10]
    assert tornado == [each.name for each in most]


@pytest.mark.parametrize(
    ("text", "part"),
    [
        ("{", "must be JSON"),
        ("[]", "must be a JSON object"),
        ('{"rows": 1}', "rows must be a list of cells"),
        ('{"rows": []}', "at least one cell"),
        ('{"rows": [{"predicted": "x"}]}', "rows[0].predicted must be a number"),
        ('{"rows": [{"predicted": 1, "measured": 0, "error": 0}]}', "must be above 0"),
        ('{"rows": [{"predicted": 1, "measured": 1, "error": 0}]}', "rows[0].program"),
    ],
)
def test_a_file_that_is_no_validation_is_refused(tmp_path: Path, text: str, part: str) -> None:
    path = tmp_path / "validation.json"
    path.write_text(text)
    with pytest.raises(GilplanError, match=re.escape(part)) as refused:
        read_measured(path)
    assert "\n" not in str(refused.value)


def test_a_report_that_cannot_be_written_is_refused_before_anything_is_simulated(
    tmp_path: Path, profile: Profile, workload_path: Path, capsys: Output
) -> None:
    save(profile, tmp_path / "profile.json")
    here = ["report", str(workload_path), "--profile", str(tmp_path / "profile.json")]
    html = ["-o", str(tmp_path / "r.html")]
    for wrong, part in (
        (["-o", str(tmp_path / "report.pdf")], "ends in .html or .md"),
        ([*html, "--validation", str(tmp_path / "none.json")], "cannot be read"),
        ([*html, "--slo", "p99>50ms"], "upper limit"),
        ([*html, "--growth", "30%"], "without a rate"),
        ([], "Missing option"),
    ):
        assert main([*here, "--allow-foreign", *wrong]) == 2
        told = capsys.readouterr()
        assert part in told.err
        assert told.err.count("\n") == 1
        assert told.out == ""
    assert not (tmp_path / "r.html").exists()


CHROMIUM = shutil.which("chromium") or shutil.which("google-chrome")


@pytest.mark.skipif(CHROMIUM is None, reason="no Chromium on PATH")
@pytest.mark.parametrize("width", [1100, 390])
def test_a_browser_draws_every_chart_and_fetches_nothing(
    page: str, tmp_path: Path, width: int
) -> None:
    from playwright.sync_api import sync_playwright

    path = tmp_path / "report.html"
    path.write_text(page, encoding="utf-8")
    console: list[str] = []
    requests: list[str] = []
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])
        view = browser.new_page(viewport={"width": width, "height": 800})
        view.on("console", lambda message: console.append(message.text))
        view.on("pageerror", lambda error: console.append(str(error)))
        view.on("request", lambda request: requests.append(request.url))
        view.goto(path.as_uri())
        view.wait_for_selector("html[data-charts]", state="attached", timeout=120_000)
        assert view.evaluate("document.documentElement.dataset.charts") == "drawn"
        assert view.locator(".chart svg").count() == len(specs(page))
        assert view.evaluate("document.documentElement.scrollWidth") <= width
        slider = view.locator('#chart-interval-throughput input[type="range"]')
        slider.fill("0")
        assert view.locator("#chart-interval-throughput").inner_text().count("1 ms") >= 1
        browser.close()
    assert console == []
    assert requests == [path.as_uri()]
