# SPDX-FileCopyrightText: 2026 The CardioInterp Bundles Authors
# SPDX-License-Identifier: Apache-2.0

"""A Chromium to look at pages with."""

from __future__ import annotations

import shutil
import subprocess

import pytest

WATCH = """<script>
const NativeImage = window.Image, pictures = [];
window.Image = function () { const picture = new NativeImage(); pictures.push(picture); return picture; };
function whenDrawn(act) {
  if (pictures.length && pictures.every(picture => picture.complete)) act(); else setTimeout(() => whenDrawn(act), 20);
}
</script>"""
"""On a busy machine a picture may take longer to be read than the page's own time runs: a script waits for them."""


@pytest.fixture(scope="session")
def look(tmp_path_factory):
    """Opens a page in headless Chromium, lets a script act on it, and gives the document as it then is."""
    browser = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)
    if browser is None:
        pytest.skip("no Chromium on this machine (Debian: apt-get install chromium)")
    profile = tmp_path_factory.mktemp("chromium")

    def act(page, script="", fragment=""):
        told = f"<script>window.addEventListener('load', () => setTimeout(() => whenDrawn(() => {{{script}}}), 300));"
        copy = page.with_name("acted.html")
        copy.write_text(
            page.read_text().replace("<script", WATCH + "<script", 1).replace("</body>", told + "</script></body>")
        )
        done = subprocess.run(
            [browser, "--headless", "--no-sandbox", "--disable-gpu", f"--user-data-dir={profile}",
             "--window-size=1400,1200", "--virtual-time-budget=20000", "--dump-dom", f"file://{copy}{fragment}"],
            capture_output=True, text=True, timeout=180,
        )  # fmt: skip
        copy.unlink()
        assert "</html>" in done.stdout, done.stderr
        return done.stdout

    return act
