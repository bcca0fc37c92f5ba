# SPDX-FileCopyrightText: 2026 The CardioInterp Bundles Authors
# SPDX-License-Identifier: Apache-2.0

"""The page of a densified cine: what is in it, and what it does in a browser."""

from __future__ import annotations

import json
import re
from html import unescape

import nibabel as nib
import numpy as np
import pytest

from custom.densify.page import page_path, write_page
from custom.errors import InputError
from custom.inferers.gaps import GapInferer
from custom.inferers.scans import interpolate_scan
from custom.interpolators.classical import LinearFrames


class Jittery(LinearFrames):
    """Linear, and noise that differs from sample to sample: what a diffusion model looks like from outside."""

    def interpolate(self, neighbours, positions, seeds=None, wrap_rows=False):
        made = super().interpolate(neighbours, positions, seeds, wrap_rows)
        return (made * (0.9 + 0.2 * np.random.default_rng(seeds[0]).random())).clamp(0, 1)


@pytest.fixture
def cine(tmp_path, write_nifti):
    """A source of 4 slices and 3 phases, and its output of factor 3 with a map of deviations."""
    source = write_nifti(tmp_path / "in" / "heart<1>.nii.gz", shape=(24, 20, 4, 3))
    output = interpolate_scan(source, tmp_path / "out", Jittery(), GapInferer(factor=3, num_samples=3))
    assert (tmp_path / "out" / "heart<1>_std.nii.gz").exists()
    return source, output


def content(page):
    """The data that the page's script reads, and the text of its table."""
    text = page.read_text()
    data = json.loads(re.search(r'id="data">(.*?)</script>', text, re.S)[1])
    table = dict(re.findall(r"<tr><th>(.*?)</th><td>(.*?)</td></tr>", text))
    return text, data, {unescape(name): unescape(value) for name, value in table.items()}


def test_the_page_needs_nothing_else_and_says_what_it_shows(cine):
    source, output = cine
    page, is_new = write_page(source, output, "stack", {"Preparation": "5 images < 6"})
    text, data, table = content(page)
    assert is_new and page.name == "index.html"
    assert not re.findall(r"""(?:src|href)\s*=\s*["'](?!data:)|url\(|import |https?://""", text)
    assert (data["count"], data["acquired"]) == (10, [0, 3, 6, 9])
    assert (data["phaseMs"], data["phaseCount"], data["sliceMm"]) == (40.0, 3, pytest.approx(8 / 3))
    assert len(data["image"]["sheets"]) == len(data["deviation"]["sheets"]) == 3
    assert "heart&lt;1&gt;" in text and "heart<1>" not in text.split("<script")[0]
    assert table["Made from"] == "heart<1>.nii.gz" and table["Preparation"] == "5 images < 6"
    assert table["Slices"].startswith("4 acquired, every 3 of the volume") and "6 synthetic" in table["Slices"]
    assert "JPEG" in table["Shown here"] and "Research only" in text


def test_a_page_is_made_again_only_when_what_it_shows_has_changed(cine):
    source, output = cine
    page, _ = write_page(source, output, "stack")
    before = page.stat().st_mtime_ns
    assert write_page(source, output, "stack") == (page, False) and page.stat().st_mtime_ns == before
    sidecar = output.with_name("heart<1>_interp.json")
    sidecar.write_text(json.dumps({**json.loads(sidecar.read_text()), "seed": 8}))
    assert write_page(source, output, "stack") == (page, True)
    sidecar.unlink()
    with pytest.raises(InputError, match="which slices are synthetic"):
        write_page(source, output, "stack")


def test_outputs_of_two_factors_have_two_pages(tmp_path):
    assert page_path(tmp_path / "heart_interp.nii.gz", "heart").name == "index.html"
    assert page_path(tmp_path / "heart_x3_interp.nii.gz", "heart").name == "index_x3.html"


def test_a_pullback_is_shown_as_stored(tmp_path, write_nifti):
    source = write_nifti(tmp_path / "pull.nii.gz", shape=(16, 24, 5), descrip="OCT cartesian", spacing=(1, 1, 0.2))
    output = interpolate_scan(source, tmp_path / "out", LinearFrames(), GapInferer(factor=2), "pullback", axis=2)
    _, data, table = content(write_page(source, output, "pullback")[0])
    assert (data["kind"], data["noun"], data["image"]["size"]) == ("pullback", "frame", [16, 24])
    assert not data["isMeasured"], "pixels of 1 mm are what is written where nothing is known"
    assert "Frames" in table and data["deviation"] is None


PRESS = "document.dispatchEvent(new KeyboardEvent('keydown', {{key: '{}', bubbles: true}}));"


TELL = (
    "document.body.append("
    "Object.assign(document.createElement('pre'), {id: 'told', textContent: JSON.stringify(out)}));"
)


def told_by(document):
    """What a script that ended with `TELL` found out; the page's own status is written again with every frame."""
    return json.loads(unescape(re.search(r'id="told">([^<]*)<', document)[1]))


ACTS = {
    "link": "",
    "keys": PRESS.format("ArrowDown") * 2 + PRESS.format("ArrowRight"),
    "jump": PRESS.format("PageUp"),
    "slider": "const s = get('slice-slider'); s.value = 4; s.dispatchEvent(new Event('input'));",
    "play": PRESS.format(" "),
}


def test_keys_and_sliders_scroll_and_the_kind_of_slice_is_marked(cine, look):
    """One visit: each act, and then what the page says and how it marks the slice."""
    page, _ = write_page(*cine, "stack")
    script = (
        "const out = {}; const note = name => {drawNow(); out[name] = "
        "[get('status').textContent, get('slice').className, state.playing]};"
    )
    script += "".join(f"{{{act}}} note('{name}');" for name, act in ACTS.items())
    # A phase takes 40 ms: while it plays, the phase goes on.
    script += "setTimeout(() => {note('later'); play(); " + TELL + "}, 60);"
    told = told_by(look(page, script, "#slice=4&phase=1"))
    words, mark, _ = told["link"]
    assert words == "slice 5 of 10: SYNTHETIC, between acquired 2 and 3, 1/3 of the way, 10.7 mm; phase 2 of 3"
    assert mark == "synthetic"
    words, mark, _ = told["keys"]
    assert words == "slice 7 of 10: ACQUIRED, acquired 3 of 4, 16.0 mm; phase 3 of 3" and mark == ""
    assert "slice 4 of 10: ACQUIRED" in told["jump"][0]
    assert "slice 5 of 10: SYNTHETIC" in told["slider"][0]
    assert "phase 3 of 3" in told["play"][0] and told["play"][2] is True
    assert "phase 1 of 3" in told["later"][0] or "phase 2 of 3" in told["later"][0]


def test_what_is_drawn_is_the_slice_and_its_long_axis(cine, look):
    """The pixels of the canvases against the volume, through JPEG and the screen's own scale."""
    source, output = cine
    page, _ = write_page(source, output, "stack")
    script = (
        "const at = (id, x, y) => {const c = get(id); "
        "return c.getContext('2d').getImageData(x * c.width, y * c.height, 1, 1).data};"
        "get('cross').checked = false; get('overlay').checked = false; drawNow(); const out = [];"
        "for (let x = 0; x < wide; x += 5) for (let y = 0; y < high; y += 5) {"
        "  state.column = x; state.row = y; drawNow(); const [u, v] = [(x + .5) / wide, (y + .5) / high];"
        "  const w = (state.slice + .5) / count;"
        "  out.push([x, y, at('slice', u, v)[0], at('first-cut', w, v)[0], at('second-cut', u, w)[0]]);}"
        "get('overlay').checked = true; drawNow();"
        "const [r, g, b] = at('slice', .5, .5); out.push(['overlay', r - b]);"
    )
    *points, overlay = told_by(look(page, script + TELL, "#slice=4"))
    volume = np.asarray(nib.load(output).dataobj)[:, :, 4, 0].astype(float)
    low, high = np.percentile(np.asarray(nib.load(source).dataobj), (0.5, 99.5))
    picture = ((volume[::-1].T[::-1] - low) / (high - low)).clip(0, 1) * 255  # right is -x, down is -y
    for x, y, *drawn in points:
        assert drawn == pytest.approx([picture[y, x]] * 3, abs=16), (x, y)
    assert overlay[1] > 5, "the deviation of a synthetic slice is laid over it in orange"
