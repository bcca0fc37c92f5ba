# SPDX-FileCopyrightText: 2026 The CardioInterp Bundles Authors
# SPDX-License-Identifier: Apache-2.0

"""Enhanced (multi-frame) MR: one file for a cine, or for each of its slices."""

from __future__ import annotations

import numpy as np
import pytest
from pydicom.dataset import Dataset
from pydicom.sequence import Sequence
from pydicom.uid import EnhancedMRImageStorage

from custom.errors import InputError
from custom.importers.cmr.dicom_options import DicomOptions
from custom.importers.cmr.sources import find_sources
from custom.importers.cmr.study import read_source
from tests.importers.cmr.dicoms import COLUMNS, FRAME, ORIENTATION, ROWS, mr_dataset, position_of, write


def value_of(row, column, k, t):
    return 1000 + 7 * row + 3 * column + 100 * k + 20 * t


def group(name, **fields):
    item = Dataset()
    for key, value in fields.items():
        setattr(item, key, value)
    return name, Sequence([item])


def save(path, places, slope=None, **changes):
    """A file whose frames are the slices and phases `(k, t)` of `places`."""
    row, column = np.indices((ROWS, COLUMNS))
    fields = {
        "PatientID": "secret", "ImageType": ["ORIGINAL", "PRIMARY", "CARDIAC", "NONE"], "InstanceNumber": 1,
        "NumberOfFrames": len(places), "PixelRepresentation": 0, "PixelSpacing": None, "ImageOrientationPatient": None,
    }  # fmt: skip
    shared = dict(
        [
            group("PixelMeasuresSequence", PixelSpacing=[1.5, 1.25], SliceThickness=8),
            group("PlaneOrientationSequence", ImageOrientationPatient=ORIENTATION),
        ]
    )
    frames = []
    for n, (k, t) in enumerate(places):
        groups = [
            group("PlanePositionSequence", ImagePositionPatient=position_of(8.0 * k)),
            group("CardiacSynchronizationSequence", NominalCardiacTriggerDelayTime=30.5 * t),
            group("FrameContentSequence", TemporalPositionIndex=t + 1, FrameAcquisitionNumber=1),
        ]
        if slope:
            groups.append(group("PixelValueTransformationSequence", RescaleSlope=slope(n), RescaleIntercept=0))
        frames.append(Dataset())
        for name, value in groups:
            setattr(frames[-1], name, value)
    fields["SharedFunctionalGroupsSequence"] = Sequence([Dataset()])
    for name, value in shared.items():
        setattr(fields["SharedFunctionalGroupsSequence"][0], name, value)
    fields["PerFrameFunctionalGroupsSequence"] = Sequence(frames)
    pixels = np.stack([value_of(row, column, k, t) for k, t in places])
    return write(path, mr_dataset(pixels, EnhancedMRImageStorage, **{**fields, **changes}))


PLACES = [(k, t) for k in range(5) for t in range(3)]
SHUFFLED = [PLACES[n] for n in np.random.default_rng(0).permutation(len(PLACES))]


def read(root):
    (source,) = find_sources(root)
    return read_source(source, DicomOptions())[0][0].volumes[0]


@pytest.mark.parametrize("layout", ["one file", "a file for each slice", "a file for each phase"])
def test_frames_come_out_in_order_and_in_place(tmp_path, layout):
    if layout == "one file":
        save(tmp_path / "p/IM1", SHUFFLED)
    else:
        for n in range(5 if "slice" in layout else 3):
            places = [place for place in SHUFFLED if place["phase" in layout] == n]
            save(tmp_path / f"p/IM{n}", places, SeriesInstanceUID=f"1.2.{n}", SeriesNumber=4 + n)
    volume = read(tmp_path / "p")
    assert volume.info.shape == (COLUMNS, ROWS, 5, 3)
    k, t, column, row = np.indices(volume.slices.shape)
    np.testing.assert_array_equal(volume.slices, value_of(row, column, k, t))
    lps = np.array([5, -30, 60]) + 9 * 1.25 * FRAME[0] + 11 * 1.5 * FRAME[1] + 4 * 8 * FRAME[2]
    np.testing.assert_allclose((volume.info.affine @ [9, 11, 4, 1])[:3], lps * [-1, -1, 1], atol=1e-3)
    assert volume.info.header.get_zooms()[3] == 30.5


def test_one_file_is_a_scan_of_its_own(tmp_path):
    path = save(tmp_path / "p/IM1.dcm", PLACES)
    volume = read(path)
    assert (volume.name, volume.info.shape[2:]) == ("IM1", (5, 3))


def test_rescaling_of_frames(tmp_path):
    save(tmp_path / "p/IM1", PLACES, slope=lambda n: 2.0)
    assert (read(tmp_path / "p").info.slope, read(tmp_path / "p").slices[1, 0, 0, 0]) == (2.0, value_of(0, 0, 1, 0))
    save(tmp_path / "q/IM1", PLACES, slope=lambda n: 1.0 + n)
    assert read(tmp_path / "q").slices[0, 2, 0, 0] == 3 * value_of(0, 0, 0, 2)


def test_frames_and_headers_that_disagree_are_told(tmp_path):
    save(tmp_path / "p/IM1", PLACES, NumberOfFrames=14)
    with pytest.raises(InputError, match="NumberOfFrames is 14, 15 frames have a header"):
        read(tmp_path / "p")
    path = save(tmp_path / "q/IM1", PLACES)
    path.write_bytes(path.read_bytes()[:-100])
    with pytest.raises(InputError, match="IM1: cannot be read"):
        read(tmp_path / "q")
    save(tmp_path / "r/IM1", PLACES, PerFrameFunctionalGroupsSequence=Sequence([]))
    with pytest.raises(InputError, match="several frames without a place of their own"):
        read(tmp_path / "r")
