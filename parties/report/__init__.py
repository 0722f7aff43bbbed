"""The report of a joint credit job: a page and a document in the output folder, a summary on the
terminal."""

from parties.report.render import render_html, write_report
from parties.report.terminal import print_summary

__all__ = ["print_summary", "render_html", "write_report"]
