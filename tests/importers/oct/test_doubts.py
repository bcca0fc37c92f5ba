# SPDX-FileCopyrightText: 2026 The CardioInterp Bundles Authors
# SPDX-License-Identifier: Apache-2.0

"""Warnings that end with an option: each is provoked by a pullback, then the option given, as it is typed."""

from __future__ import annotations

import numpy as np
import pytest
from pydicom import Dataset
from scipy.ndimage import gaussian_filter

from custom.scans.coordinates import polar_to_cartesian


def region(left, top, right, bottom, cm):
    item = Dataset()
    item.RegionLocationMinX0, item.RegionLocationMinY0 = left, top
    item.RegionLocationMaxX1, item.RegionLocationMaxY1 = right, bottom
    item.PhysicalUnitsXDirection = item.PhysicalUnitsYDirection = 3
    item.PhysicalDeltaX = item.PhysicalDeltaY = cm
    return item


STRIP, CORNER = region(0, 41, 47, 47, 0.02), region(0, 0, 19, 19, 0.004)
KNOWN = {"PixelSpacing": [0.05, 0.05], "SpacingBetweenSlices": 0.25}
PIXEL, PITCH = "--depth_spacing_mm 0.03", "--frame_pitch_mm 0.4"
SIZES = {
    "pixels that are not square": ({"PixelSpacing": [0.06, 0.05]}, "0.05 mm is taken for both", PIXEL, (0.05, 0.25)),
    "two spacings": ({"SequenceOfUltrasoundRegions": [region(0, 0, 47, 47, 0.006)]}, "0.06 mm, PixelSpacing 0.05 mm: "
                     "0.05 mm is taken", PIXEL, (0.05, 0.25)),
    "regions off the centre": ({"PixelSpacing": None, "SequenceOfUltrasoundRegions": [STRIP, CORNER]},
                               "2 ultrasound regions have different scales", PIXEL, (0.04, 0.25)),
    "a strip": ({"PixelSpacing": None, "SequenceOfUltrasoundRegions": [STRIP]}, "is no cross-section, its scale is not "
                "used", PIXEL, (1, 0.25)),
    "no spacing": ({"PixelSpacing": None}, "states no pixel spacing, 1 mm is written", PIXEL, (1, 0.25)),
    "no vessel": ({"PixelSpacing": [5, 5]}, "makes a disc of 120 mm radius", PIXEL, (5, 0.25)),
    "two pitches": ({"IVUSPullbackRate": 20, "FrameTime": 5}, "0.25 mm is taken", PITCH, (0.05, 0.25)),
    "uneven times": ({"SpacingBetweenSlices": None, "IVUSPullbackRate": 20, "FrameTimeVector": [0, 5, 5, 9]},
                     "5 is taken for all", PITCH, (0.05, 0.1)),
    "no pitch": ({"SpacingBetweenSlices": None}, "no frame pitch is stated, 0.2 mm is assumed", PITCH, (0.05, 0.2)),
}  # fmt: skip


@pytest.mark.parametrize("name", SIZES)
def test_a_size_that_is_doubted_is_set_by_the_option(tmp_path, discs, save_dicom, run_command, prepared, name):
    fields, told, option, (pixel, pitch) = SIZES[name]
    fields = {key: value for key, value in (KNOWN | fields).items() if value is not None}
    save_dicom(tmp_path / "in/a.dcm", discs(), Modality="OT", PatientID="P1", **fields)
    common = ("--to", "keep", "--nofill_overlay")
    warnings = run_command(*common).warnings
    assert all("a.dcm: " in line for line in warnings) and any(told in line for line in warnings), warnings
    assert any(option.split()[0] in line for line in warnings)
    assert prepared()[1] == (pixel, pixel, pitch)
    voxels = prepared()[0]
    assert run_command(*common, *option.split(), out="new").warnings == [], "the option settles it"
    wanted = (0.03, 0.03, pitch) if option == PIXEL else (pixel, pixel, 0.4)
    assert prepared(out="new")[1] == wanted
    np.testing.assert_array_equal(prepared(out="new")[0], voxels)


def test_a_scale_that_is_not_used_may_come_from_the_geometry(tmp_path, discs, save_dicom, run_command, prepared):
    save_dicom(tmp_path / "in/a.dcm", discs(), PatientID="P1", SequenceOfUltrasoundRegions=[STRIP])
    warnings = run_command("--to", "keep").warnings
    assert any("give --depth_spacing_mm or --geometry" in line for line in warnings)
    told = run_command("--to", "keep", "--geometry", "vivolight", out="new")
    assert not any("--geometry" in line for line in told.warnings)
    assert prepared(out="new")[1][0] == pytest.approx(1025 * 0.00747 / 24, abs=1e-5)
    assert any("0.2 mm, by --geometry vivolight; --frame_pitch_mm sets it" in line for line in told.infos)
    told = run_command("--to", "keep", "--geometry", "vivolight", "--frame_pitch_mm", "0.1", out="newer")
    assert prepared(out="newer")[1][2] == 0.1 and not any("--frame_pitch_mm" in line for line in told.infos)


def polar(alines=120, depths=64, count=6):
    noise = np.random.default_rng(0).random((alines, depths, count))
    speckle = gaussian_filter(noise, (3, 1, 0), mode=("wrap", "nearest", "nearest"))
    return (20 + 180 * (speckle - speckle.min()) / np.ptp(speckle)).astype(np.uint8)


def screen():
    """A disc of 128 pixels at row 20, column 10 of a black screen, above a strip along the pullback."""
    seen = np.zeros((200, 170, 6), np.uint8)
    seen[165:190, 5:165] = np.linspace(60, 200, 160)[None, :, None]
    seen[20:148, 10:138] = polar_to_cartesian(polar(), 128)
    return seen


NOISE = np.random.default_rng(0).integers(40, 200, (60, 90, 6)).astype(np.uint8)
LAYOUTS = {
    "disc, cropped": (screen, "the disc at rows", "--crop 20:148,10:138", lambda s: s[20:148, 10:138]),
    "disc, polar": (screen, "--layout and --crop top:bottom,left:right overrule it", "--layout polar", lambda s: s),
    "columns": (lambda: polar().swapaxes(0, 1), "say --transpose if so", "--transpose", lambda s: s.swapaxes(0, 1)),
    "no columns": (lambda: polar().swapaxes(0, 1), "else --layout", "--layout polar", lambda s: s),
    "rows": (polar, "leave out --transpose if so", "--notranspose", lambda s: s),
    "neither, polar": (lambda: NOISE, "their last row does not continue the first", "--layout polar", lambda s: s),
    "neither, cut": (lambda: NOISE, "--layout and --crop top:bottom,left:right overrule it",
                     "--layout cartesian --crop 0:60,10:70", lambda s: s[:, 10:70]),
}  # fmt: skip


@pytest.mark.parametrize("name", LAYOUTS)
def test_a_layout_that_is_doubted_is_set_by_the_option(tmp_path, run_command, prepared, name):
    make, told, options, expected = LAYOUTS[name]
    (tmp_path / "in").mkdir()
    np.save(tmp_path / "in/a.npy", make().transpose(2, 0, 1))
    common = ("--to", "keep", "--geometry", "vivolight", "--nofill_overlay")
    mistaken = ["--transpose"] if name == "rows" else []
    (line,) = run_command(*common, *mistaken).warnings
    assert "a.npy: " in line and told in line
    assert run_command(*common, *options.split(), out="new").warnings == []
    np.testing.assert_array_equal(prepared(out="new")[0], expected(make()))


def test_frames_that_are_not_square_are_polar_if_one_says_so(tmp_path, run_command, prepared):
    (tmp_path / "in").mkdir()
    np.save(tmp_path / "in/a.npy", NOISE.transpose(2, 0, 1))
    (fault,) = run_command("--layout", "cartesian").errors
    assert "a.npy: has Cartesian frames (60, 90) that are not square" in fault and "say --layout polar" in fault
    assert not run_command("--layout", "polar").errors
    np.testing.assert_array_equal(prepared()[0], NOISE)


def test_marks_in_few_frames_are_filled_with_a_mask(tmp_path, discs, run_command, prepared):
    frames, mask = discs(), np.zeros((48, 48), np.uint8)
    mask[20, 10:30] = 255
    frames[:, mask > 0] = 240
    (tmp_path / "in").mkdir()
    np.save(tmp_path / "in/a.npy", frames)
    np.save(tmp_path / "mask.npy", mask)
    common = ("--to", "keep", "--geometry", "vivolight")
    (line,) = run_command(*common).warnings
    assert "a.npy: in so few frames" in line and "--overlay_mask fills them" in line
    assert (prepared()[0][mask > 0] == 240).all()
    assert run_command(*common, "--overlay_mask", tmp_path / "mask.npy", out="new").warnings == []
    assert prepared(out="new")[0][mask > 0].max() < 150, "no brighter than what surrounds it"


def test_white_labels_are_kept_with_the_option(tmp_path, discs, run_command, prepared):
    frames = discs(12)
    frames[3, 20:24, 10:30] = 255
    (tmp_path / "in").mkdir()
    np.save(tmp_path / "in/a.npy", frames)
    common = ("--to", "keep", "--geometry", "vivolight")
    (line,) = run_command(*common).warnings
    assert "a.npy: white labels are filled in frame 3 (" in line and "--nofill_overlay keeps all marks" in line
    assert prepared()[0][20:24, 10:30, 3].max() < 255
    assert run_command(*common, "--nofill_overlay", out="new").warnings == []
    np.testing.assert_array_equal(prepared(out="new")[0], frames.transpose(1, 2, 0))
