# SPDX-FileCopyrightText: 2026 The CardioInterp Bundles Authors
# SPDX-License-Identifier: Apache-2.0

"""A Chromium to look at pages with."""

from __future__ import annotations

import shutil
import subprocess

import pytest


@pytest.fixture(scope="session")
def look(tmp_path_factory):
    """Opens a page in headless Chromium, lets a script act on it, and gives the document as it then is."""
    browser = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)
    if browser is None:
        pytest.skip("no Chromium on this machine (Debian: apt-get install chromium)")
    profile = tmp_path_factory.mktemp("chromium")

    def act(page, script="", fragment=""):
        told = f"<script>window.addEventListener('load', () => setTimeout(() => {{{script}}}, 300));</script></body>"
        copy = page.with_name("acted.html")
        copy.write_text(page.read_text().replace("</body>", told))
        done = subprocess.run(
            [browser, "--headless", "--no-sandbox", "--disable-gpu", f"--user-data-dir={profile}",
             "--window-size=1400,1200", "--virtual-time-budget=4000", "--dump-dom", f"file://{copy}{fragment}"],
            capture_output=True, text=True, timeout=180,
        )  # fmt: skip
        copy.unlink()
        assert "</html>" in done.stdout, done.stderr
        return done.stdout

    return act
