# SPDX-FileCopyrightText: 2026 The CardioInterp Bundles Authors
# SPDX-License-Identifier: Apache-2.0

from __future__ import annotations

import numpy as np
import pytest
from pydicom import Dataset
from pydicom.encaps import encapsulate, generate_frames
from pydicom.uid import JPEGLosslessSV1, RLELossless

from custom.errors import InputError
from custom.importers.notes import Doubt
from custom.importers.oct.dicom import read_dicom


def region(left, top, right, bottom, cm, units=3, **fields):
    item = Dataset()
    item.RegionLocationMinX0, item.RegionLocationMinY0 = left, top
    item.RegionLocationMaxX1, item.RegionLocationMaxY1 = right, bottom
    item.PhysicalUnitsXDirection = item.PhysicalUnitsYDirection = units
    item.PhysicalDeltaX = item.PhysicalDeltaY = cm
    for name, value in fields.items():
        setattr(item, name, value)
    return item


STRIP, DISC = region(0, 41, 47, 47, 0.02), region(0, 0, 47, 40, 0.005)


@pytest.mark.parametrize(
    ("regions", "spacing", "words"),
    [
        ([STRIP, DISC], 0.05, "2 ultrasound regions"),
        ([DISC, STRIP], 0.05, "2 ultrasound regions"),
        ([STRIP], None, "no cross-section"),
        ([region(0, 0, 47, 40, 0.005, units=0), STRIP], None, "no cross-section"),
        ([region(0, 0, 47, 47, 0.02, RegionSpatialFormat=3), DISC], 0.05, "by SequenceOfUltrasoundRegions"),
        ([region(0, 0, 47, 40, -0.005)], 0.05, "by SequenceOfUltrasoundRegions"),
        ([region(0, 0, 47, 40, 0.005, PhysicalDeltaY=0.01)], 0.05, "0.1 mm between rows"),
    ],
)
def test_the_scale_is_that_of_the_cross_section(tmp_path, discs, save_dicom, regions, spacing, words):
    save_dicom(tmp_path / "a.dcm", discs(), SequenceOfUltrasoundRegions=regions)
    found = read_dicom([tmp_path / "a.dcm"])
    assert found.pixel_spacing_mm == (spacing and pytest.approx(spacing))
    assert any(words in note for note in found.spacing_notes), found.spacing_notes


def test_statements_that_contradict_each_other_are_doubts(tmp_path, discs, save_dicom):
    fields = {"PixelSpacing": [0.02, 0.02], "SequenceOfUltrasoundRegions": [DISC], "SpacingBetweenSlices": 0.2}
    save_dicom(tmp_path / "a.dcm", discs(), IVUSPullbackRate=20.0, FrameTime=5.0, **fields)
    found = read_dicom([tmp_path / "a.dcm"])
    assert (found.pixel_spacing_mm, found.frame_pitch_mm) == (0.02, 0.2)
    doubts = [note for note in (*found.spacing_notes, *found.pitch_notes) if isinstance(note, Doubt)]
    assert any("0.05 mm" in note and "--depth_spacing_mm" in note for note in doubts)
    assert any("0.1 mm" in note and "--frame_pitch_mm" in note for note in doubts)


@pytest.mark.parametrize("zero", [[0, 0], [-1, -1]])
def test_a_spacing_of_zero_states_nothing(tmp_path, discs, save_dicom, zero):
    save_dicom(tmp_path / "a.dcm", discs(), PixelSpacing=zero, SpacingBetweenSlices=0)
    found = read_dicom([tmp_path / "a.dcm"])
    assert found.pixel_spacing_mm is None and found.frame_pitch_mm is None


def test_uneven_times_are_a_doubt(tmp_path, discs, save_dicom):
    save_dicom(tmp_path / "a.dcm", discs(), IVUSPullbackRate=20.0, FrameTimeVector=[0, 5, 5, 9])
    found = read_dicom([tmp_path / "a.dcm"])
    assert found.frame_pitch_mm == pytest.approx(0.1)
    assert any(isinstance(note, Doubt) and "5 to 9 ms apart" in note for note in found.pitch_notes)


@pytest.mark.parametrize(
    ("syntax", "count", "words"),
    [(JPEGLosslessSV1, 4, "pip install python-gdcm"), (RLELossless, 3, "fewer frames than the 4 of its header")],
)
def test_what_cannot_be_decoded_says_why_in_one_line(tmp_path, discs, save_dicom, syntax, count, words):
    dataset = save_dicom(tmp_path / "a.dcm", discs())
    if syntax == RLELossless:
        dataset.compress(RLELossless, discs())
        dataset.PixelData = encapsulate(list(generate_frames(dataset.PixelData, number_of_frames=4))[:count])
    else:
        dataset.file_meta.TransferSyntaxUID = syntax
        dataset.PixelData = encapsulate([b"\xff\xd8\xff\xd9"] * count)
        dataset["PixelData"].VR = "OB"
    dataset.save_as(tmp_path / "a.dcm", enforce_file_format=True)
    with pytest.raises(InputError) as caught:
        read_dicom([tmp_path / "a.dcm"])
    assert words in str(caught.value) and "\n" not in str(caught.value) and "a.dcm" in str(caught.value)


def test_files_of_one_frame_are_put_together(tmp_path, discs, save_dicom):
    frames = discs(3)
    paths = [tmp_path / f"{k}.dcm" for k in range(3)]
    for path, frame in zip(paths, frames, strict=True):
        save_dicom(path, frame[None])
    np.testing.assert_array_equal(read_dicom(paths).frames, frames)
    save_dicom(paths[1], frames[:1, :40])
    with pytest.raises(InputError, match="put each pullback into its own folder"):
        read_dicom(paths)


@pytest.mark.parametrize(("bits", "scale"), [(8, 1), (16, 1), (16, 256), (16, 257), (12, 16), (16, 16)])
def test_palettes_of_8_and_12_bits_in_words_are_as_those_of_8(tmp_path, discs, save_dicom, bits, scale):
    table = np.arange(256) ** 2 // 255
    fields = {"PhotometricInterpretation": "PALETTE COLOR"}
    for colour in ("Red", "Green", "Blue"):
        fields[f"{colour}PaletteColorLookupTableDescriptor"] = [256, 0, bits]
        fields[f"{colour}PaletteColorLookupTableData"] = (table * scale).astype("<u2").tobytes()
    save_dicom(tmp_path / "a.dcm", discs(), **fields)
    found = read_dicom([tmp_path / "a.dcm"]).frames
    np.testing.assert_array_equal(found, np.repeat(table[discs()][..., None], 3, axis=3))


def test_a_spacing_of_one_number_states_nothing(tmp_path, discs, save_dicom):
    save_dicom(tmp_path / "a.dcm", discs(), PixelSpacing=0.05)
    assert read_dicom([tmp_path / "a.dcm"]).pixel_spacing_mm is None
