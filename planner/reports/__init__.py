"""Reports: a plan, its reasons and its evidence as one file that can be put before others.

from gilplan.planner.reports import gather, html_page, markdown_page
"""

from gilplan.planner.reports.gathering import gather
from gilplan.planner.reports.material import Material
from gilplan.planner.reports.measured import Measured, read_measured
from gilplan.planner.reports.pages import html_page, markdown_page

__all__ = ["Material", "Measured", "gather", "html_page", "markdown_page", "read_measured"]
