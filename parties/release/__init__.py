"""A published table of joint statistics: a page, a document and a spreadsheet."""

from parties.release.write import render_html, write_release

__all__ = ["render_html", "write_release"]
