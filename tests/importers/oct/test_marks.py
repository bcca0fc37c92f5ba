# SPDX-FileCopyrightText: 2026 The CardioInterp Bundles Authors
# SPDX-License-Identifier: Apache-2.0

from __future__ import annotations

import numpy as np
import pytest

from custom.importers.notes import Doubt
from custom.importers.oct.conversion import ConversionOptions, convert
from custom.importers.oct.marks import single_labels
from custom.importers.oct.source import SourcePullback


def display(discs, count=10):
    """Gray `(N, N, F)` discs of speckle that never comes near white."""
    return np.ascontiguousarray(discs(count, 64).transpose(1, 2, 0))


def labelled(frames, k=3):
    """A white letter and a thin gray line in one frame."""
    spoiled = frames.copy()
    spoiled[20:26, 30:34, k] = 255
    spoiled[40, 10:40, k] = 215
    return spoiled


NOTHING = np.zeros((64, 64), bool)


def test_a_label_of_one_frame_is_found_with_its_thin_parts(discs):
    frames = display(discs)
    found = single_labels(labelled(frames), NOTHING)
    assert list(found) == [3]
    assert found[3][20:26, 30:34].all() and found[3][40, 10:40].all() and found[3].sum() < 400
    assert single_labels(frames, NOTHING) == {}


def test_deep_values_are_found_alike(discs):
    frames = labelled(display(discs))
    np.testing.assert_array_equal(
        single_labels(frames, NOTHING)[3], single_labels(frames.astype(np.uint16) * 257, NOTHING)[3]
    )


@pytest.mark.parametrize("spoil", ["saturated", "everywhere", "specks"])
def test_white_anatomy_is_no_label(discs, spoil):
    frames = display(discs)
    if spoil == "saturated":  # much of the tissue is as bright as white
        frames = np.minimum(frames.astype(int) * 2, 255).astype(np.uint8)
        frames[20:26, 30:34, 3] = 255
    elif spoil == "everywhere":  # metal in most frames
        frames[20:26, 30:34, 2:] = 255
    else:
        frames[20:40:3, 30:50:3, 3] = 255
    assert single_labels(frames, NOTHING) == {}


@pytest.mark.parametrize("count", [4, 10])
def test_the_label_is_filled_in_its_frame_only_and_told(tmp_path, discs, count):
    frames = display(discs, count)
    source = SourcePullback(labelled(frames).transpose(2, 0, 1), 0.05, 0.2)
    found = convert(tmp_path, source, ConversionOptions(to="keep"))
    np.testing.assert_array_equal(np.delete(found.frames, 3, axis=2), np.delete(frames, 3, axis=2))
    assert found.frames[20:26, 30:34, 3].max() < 200 and list(found.labels) == [3]
    assert any(isinstance(note, Doubt) and "frame 3 (" in note and "--nofill" in note for note in found.notes)
    kept = convert(tmp_path, source, ConversionOptions(to="keep", fill_overlay=False))
    np.testing.assert_array_equal(kept.frames, labelled(frames))


@pytest.mark.parametrize(("count", "is_filled"), [(5, False), (10, True), (40, True)])
def test_a_standing_caliper_is_filled_or_told(tmp_path, discs, count, is_filled):
    frames = display(discs, count)
    frames[31:33, 10:50] = 200
    source = SourcePullback(frames.transpose(2, 0, 1), 0.05, 0.2)
    found = convert(tmp_path, source, ConversionOptions(to="keep"))
    assert (found.frames[31:33, 12:22].max() < 190) == is_filled
    assert any("--overlay_mask" in note for note in found.notes) != is_filled
    mask = np.zeros((64, 64), bool)
    mask[31:33, 10:50] = True
    given = convert(tmp_path, source, ConversionOptions(to="keep"), mask)
    assert given.frames[31:33, 12:48].max() < 190 and not any("--overlay_mask" in note for note in given.notes)
