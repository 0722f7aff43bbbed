"""Pages as a headless browser shows them, where there is one."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

import pytest

needs_browser = pytest.mark.skipif(
    shutil.which("chromium") is None, reason="no headless browser here")


def assert_shown(page: Path | str, folder: Path) -> None:
    """The browser makes a picture of the page that is not empty; nothing without a browser."""
    if shutil.which("chromium") is None:
        return
    picture = folder / "page.png"
    subprocess.run(
        ["chromium", "--headless", "--no-sandbox", "--disable-gpu", "--window-size=1100,2400",
         f"--user-data-dir={folder / 'profile'}", f"--screenshot={picture}", f"file://{page}"],
        check=True, capture_output=True, timeout=120,
    )
    assert picture.stat().st_size > 50_000
