# SPDX-FileCopyrightText: 2026 The CardioInterp Bundles Authors
# SPDX-License-Identifier: Apache-2.0

"""Derived series: geometry, pixels, references and marks, by our own reader and by dciodvfy where it is installed."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

import nibabel as nib
import numpy as np
import pydicom
import pytest
from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.uid import (
    EnhancedMRImageStorage,
    ExplicitVRLittleEndian,
    IntravascularOpticalCoherenceTomographyImageStorageForPresentation,
    MRImageStorage,
    generate_uid,
)

from custom.errors import InputError
from custom.exporters.dicom import write_dicom_series
from custom.importers.cmr.dicom_headers import read_headers
from custom.importers.cmr.dicom_options import DicomOptions
from custom.importers.cmr.study import read_study
from custom.importers.oct.reading import read_source
from custom.importers.oct.source import OctSource
from custom.inferers.gaps import GapInferer
from custom.inferers.scans import interpolate_scan
from custom.interpolators.named import classical
from custom.scans.nifti import stem
from custom.scans.pullbacks import PullbackWriter, new_pullback
from custom.scans.stacks import write_stack

FACTOR = 4
ROWS, COLUMNS = 24, 20
AXES = np.linalg.qr(np.random.default_rng(5).normal(size=(3, 3)))[0]
AXES[2] = np.cross(AXES[0], AXES[1])
REAL = Path(__file__).resolve().parents[2].parent / "shared/data/sax_dicom/SCD0000301"
DCIODVFY = shutil.which("dciodvfy")
UIDS = {name: generate_uid(entropy_srcs=[name]) for name in ("study", "series", "frame of reference")}


def pixels(k, t=0, shape=(ROWS, COLUMNS)):
    return np.random.default_rng([k, t]).integers(0, 4096, shape).astype(np.uint16)


def described(values):
    """A data set with the attributes that every image of the study has."""
    fields = {
        "SpecificCharacterSet": "ISO_IR 100", "StudyDate": "20240311", "StudyTime": "101112", "AccessionNumber": "",
        "Modality": "MR", "Manufacturer": "Maker", "ReferringPhysicianName": "", "SeriesDescription": "cine sax",
        "PatientName": "Doe^Jane", "PatientID": "P1", "PatientBirthDate": "", "PatientSex": "F",
        "StudyInstanceUID": UIDS["study"], "SeriesInstanceUID": UIDS["series"], "StudyID": "1", "SeriesNumber": 4,
        "FrameOfReferenceUID": UIDS["frame of reference"], "PositionReferenceIndicator": "", "SamplesPerPixel": 1,
        "PhotometricInterpretation": "MONOCHROME2", "Rows": ROWS, "Columns": COLUMNS, "BitsAllocated": 16,
        "BitsStored": 12, "HighBit": 11, "PixelRepresentation": 0, "SOPInstanceUID": generate_uid(),
        **values,
    }  # fmt: skip
    dataset = Dataset()
    for name, value in fields.items():
        setattr(dataset, name, value)
    dataset.file_meta = FileMetaDataset()
    dataset.file_meta.MediaStorageSOPClassUID = dataset.SOPClassUID
    dataset.file_meta.MediaStorageSOPInstanceUID = dataset.SOPInstanceUID
    dataset.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
    return dataset


def save(path, dataset):
    path.parent.mkdir(parents=True, exist_ok=True)
    dataset.save_as(path, enforce_file_format=True)
    return path


def position(k):
    return [round(float(value), 4) for value in AXES[2] * 8.0 * k + [5, -30, 60]]


def save_cine(folder, slices=4, phases=3, **changes):
    orientation = [round(float(value), 6) for value in AXES[:2].ravel()]
    for k in range(slices):
        for t in range(phases):
            dataset = described({
                "SOPClassUID": MRImageStorage, "ImageType": ["ORIGINAL", "PRIMARY", "M", "ND"],
                "ScanningSequence": "GR", "SequenceVariant": "SK", "ScanOptions": "CG", "MRAcquisitionType": "2D",
                "EchoTime": "1.6", "EchoTrainLength": "1", "RepetitionTime": "3.8", "SliceThickness": "6",
                "SpacingBetweenSlices": "8", "TriggerTime": str(10 + 40 * t + k), "SliceLocation": str(8.0 * k),
                "PatientPosition": "HFS", "BodyPartExamined": "HEART", "AcquisitionNumber": 1,
                "InstanceNumber": 1 + t + phases * k,
                "ImagePositionPatient": position(k), "ImageOrientationPatient": orientation,
                "PixelSpacing": ["1.5", "1.25"], "PixelData": pixels(k, t).tobytes(),
                "ContentDate": "20240311", "ContentTime": "101500", **changes,
            })  # fmt: skip
            dataset.add_new(0x00090010, "LO", "MAKER")
            dataset.add_new(0x00091001, "LO", f"private of slice {k}")
            save(folder / f"im{k}_{t}.dcm", dataset)
    return folder


def group(**fields):
    item = Dataset()
    for name, value in fields.items():
        setattr(item, name, value)
    return [item]


def save_frames(path, count, frames, shared, **fields):
    stack = np.stack([pixels(k, t) for k, t in count])
    dataset = described({"NumberOfFrames": len(stack), "PixelData": stack.tobytes(), "InstanceNumber": 1, **fields})
    dataset.SharedFunctionalGroupsSequence = group(**shared)
    dataset.PerFrameFunctionalGroupsSequence = [group(**frame)[0] for frame in frames]
    return save(path, dataset)


def save_enhanced(path, slices=4, phases=2):
    places = [(k, t) for t in range(phases) for k in range(slices)]
    frames = [
        {
            "PlanePositionSequence": group(ImagePositionPatient=position(k)),
            "CardiacSynchronizationSequence": group(NominalCardiacTriggerDelayTime=30.0 * t + k),
            "FrameContentSequence": group(TemporalPositionIndex=t + 1, DimensionIndexValues=[k + 1, t + 1]),
        }
        for k, t in places
    ]
    kind = ["ORIGINAL", "PRIMARY", "CARDIAC", "NONE"]
    shared = {
        "PixelMeasuresSequence": group(PixelSpacing=[1.5, 1.25], SliceThickness=6, SpacingBetweenSlices=8),
        "PlaneOrientationSequence": group(ImageOrientationPatient=[round(float(c), 6) for c in AXES[:2].ravel()]),
        "MRImageFrameTypeSequence": group(FrameType=kind),
    }
    return save_frames(path, places, frames, shared, SOPClassUID=EnhancedMRImageStorage, ImageType=kind)


def save_pullback(path, frames=5, **changes):
    stack = np.stack([pixels(k).astype(np.uint8) for k in range(frames)])
    sop = IntravascularOpticalCoherenceTomographyImageStorageForPresentation
    fields = {
        "SOPClassUID": sop, "Modality": "IVOCT", "ImageType": ["ORIGINAL", "PRIMARY", "INTRAVASCULAR"],
        "NumberOfFrames": frames, "BitsAllocated": 8, "BitsStored": 8, "HighBit": 7, "PixelData": stack.tobytes(),
        "PixelSpacing": [0.01, 0.01], "FrameTime": "10", "IVUSPullbackRate": "20", "InstanceNumber": 1,
        "PresentationIntentType": "FOR PRESENTATION", **changes,
    }  # fmt: skip
    return save(path, described(fields))


def dense_stack(sources, tmp_path, options=None, name="dense"):
    """Read, write as NIfTI, interpolate: the volume."""
    headers = read_headers(sorted(sources.rglob("*.dcm")) if sources.is_dir() else [sources])
    volume = read_study(headers, name, options or DicomOptions(), sources)[0][0].volumes[0]
    path = tmp_path / "prepared" / f"{name}.nii.gz"
    path.parent.mkdir(exist_ok=True)
    write_stack(path, volume.info, volume.slices, volume.info.affine)
    return interpolate_scan(path, tmp_path / "dense", classical("linear"), GapInferer(factor=FACTOR))


def dense_pullback(source, tmp_path):
    frames = read_source(OctSource(source, (source,), ()))
    values = frames.frames.transpose(1, 2, 0)
    path = tmp_path / "prepared" / "pullback.nii.gz"
    path.parent.mkdir()
    spacing = (frames.pixel_spacing_mm, frames.pixel_spacing_mm, frames.frame_pitch_mm)
    info = new_pullback(path, values.shape, values.dtype, spacing, "cartesian")
    with PullbackWriter(path, info, values.shape[2]) as writer:
        for k in range(values.shape[2]):
            writer.write(values[..., k])
    return interpolate_scan(path, tmp_path / "dense", classical("linear"), GapInferer(factor=FACTOR), "pullback")


def check_read_back(files, volume):
    """Our own reader finds the volume again, and takes none of it for acquired unless it is told to."""
    scans, _, faults = read_study(read_headers(files, take_synthetic=True), "again", DicomOptions(), files[0])
    again, image = scans[0].volumes[0], nib.load(volume)
    assert not faults and len(scans) == 1
    values = np.moveaxis(again.slices, (0, 1), (2, 3)).reshape(image.shape)
    np.testing.assert_array_equal(values, image.dataobj.get_unscaled())
    np.testing.assert_allclose(again.info.affine, image.affine, atol=1e-4)
    np.testing.assert_allclose(again.info.header.get_zooms(), image.header.get_zooms(), rtol=1e-5)
    assert not read_headers(files).images


def test_a_cine_becomes_a_series_of_its_own(tmp_path):
    sources = save_cine(tmp_path / "in")
    volume = dense_stack(sources, tmp_path)
    files = write_dicom_series(volume, sources, tmp_path / "out")
    assert len(files) == 13 * 3 and {path.parent.name for path in files} == {"dense_interp_dicom"}
    check_read_back(files, volume)
    images = [pydicom.dcmread(path) for path in files]
    source = pydicom.dcmread(sources / "im1_2.dcm")
    for name in ("StudyInstanceUID", "FrameOfReferenceUID", "PatientID", "StudyDate", "SliceThickness"):
        assert {image[name].value for image in images} == {source[name].value}, name
    assert len({image.SOPInstanceUID for image in images}) == len(images)
    assert {image.SeriesInstanceUID for image in images}.isdisjoint({source.SeriesInstanceUID})
    assert {tuple(image.ImageType) for image in images} == {("DERIVED", "SECONDARY", "M", "ND")}
    assert {(image.SeriesNumber, float(image.SpacingBetweenSlices)) for image in images} == {(1004, 2.0)}
    assert not any(element.tag.is_private for image in images for element in image)
    acquired = next(image for image in images if image.PixelData == source.PixelData)
    assert acquired.SyntheticData == "NO" and "DerivationCodeSequence" not in acquired
    assert [item.ReferencedSOPInstanceUID for item in acquired.SourceImageSequence] == [source.SOPInstanceUID]
    for name in ("ImagePositionPatient", "TriggerTime", "SliceLocation"):
        assert acquired[name].value == source[name].value
    synthetic = [image for image in images if image.SyntheticData == "YES"]
    assert len(synthetic) == 9 * 3
    quarter = synthetic[3 * 3 + 2]  # the first of the second gap, last phase
    neighbours = [pydicom.dcmread(sources / f"im{k}_2.dcm") for k in (1, 2)]
    assert [item.ReferencedSOPInstanceUID for item in quarter.SourceImageSequence] == [
        image.SOPInstanceUID for image in neighbours
    ]
    ends = np.array([image.ImagePositionPatient for image in neighbours], float)
    np.testing.assert_allclose(np.array(quarter.ImagePositionPatient, float), 0.75 * ends[0] + 0.25 * ends[1])
    assert float(quarter.TriggerTime) == 91.25 and float(quarter.SliceLocation) == 10.0
    assert quarter.DerivationCodeSequence[0].CodeValue == "113085"
    assert "SYNTHETIC" in quarter.DerivationDescription and "0.25 of the 8 mm" in quarter.DerivationDescription


def test_the_same_volume_gives_the_same_bytes_and_what_is_there_is_kept(tmp_path):
    sources = save_cine(tmp_path / "in", phases=1)
    volume = dense_stack(sources, tmp_path)
    first = write_dicom_series(volume, sources, tmp_path / "out")
    second = write_dicom_series(volume, list(sources.iterdir()), tmp_path / "again")
    assert [path.read_bytes() for path in first] == [path.read_bytes() for path in second]
    times = [path.stat().st_mtime_ns for path in first]
    assert write_dicom_series(volume, sources, tmp_path / "out") == first
    assert [path.stat().st_mtime_ns for path in first] == times
    marked = write_dicom_series(volume, sources, tmp_path / "out", burnt_in=True)
    for path, other in zip(marked, second, strict=True):
        image, plain = pydicom.dcmread(path), pydicom.dcmread(other)
        differ = not np.array_equal(image.pixel_array, plain.pixel_array)
        assert differ == (image.SyntheticData == "YES") and image.SeriesInstanceUID != plain.SeriesInstanceUID
    assert not list((tmp_path / "out").glob(".*"))


@pytest.mark.parametrize(
    "changes",
    [
        {"RescaleSlope": "2", "RescaleIntercept": "-100", "RescaleType": "US"},
        {"BitsStored": 16, "HighBit": 15, "PixelRepresentation": 1},
        {"SmallestImagePixelValue": 0, "LargestImagePixelValue": 4095},
    ],
)
def test_ways_of_storing_pixels(tmp_path, changes):
    sources = save_cine(tmp_path / "in", phases=1, **changes)
    volume = dense_stack(sources, tmp_path)
    files = write_dicom_series(volume, sources, tmp_path / "out")
    check_read_back(files, volume)
    for path in files:
        image = pydicom.dcmread(path)
        if "LargestImagePixelValue" in changes and image.SyntheticData == "YES":
            assert (image.SmallestImagePixelValue, image.LargestImagePixelValue) == (
                image.pixel_array.min(),
                image.pixel_array.max(),
            )


def test_an_enhanced_file_becomes_an_enhanced_file(tmp_path):
    source = save_enhanced(tmp_path / "in" / "cine.dcm")
    volume = dense_stack(source, tmp_path)
    (path,) = files = write_dicom_series(volume, source, tmp_path / "out")
    check_read_back(files, volume)
    image, acquired = pydicom.dcmread(path), pydicom.dcmread(source)
    frames = image.PerFrameFunctionalGroupsSequence
    assert image.NumberOfFrames == len(frames) == 13 * 2 and image.SyntheticData == "YES"
    for n, frame in enumerate(frames):
        k, t = divmod(n, 2)
        told = frame.DerivationImageSequence[0]
        ends = [item.ReferencedFrameNumber for item in told.SourceImageSequence]
        gap = k // FACTOR
        if k % FACTOR:
            assert frame.FrameContentSequence[0].FrameComments == "SYNTHETIC" and "SYNTHETIC" in told[0x00082111].value
            assert ends == [t * 4 + gap + 1, t * 4 + gap + 2]
        else:
            assert frame.FrameContentSequence[0].FrameComments == "ACQUIRED" and ends == [t * 4 + gap + 1]
            np.testing.assert_array_equal(image.pixel_array[n], acquired.pixel_array[t * 4 + gap])


def test_a_pullback_becomes_one_file_of_more_frames(tmp_path):
    source = save_pullback(tmp_path / "in" / "pullback.dcm")
    volume = dense_pullback(source, tmp_path)
    (path,) = write_dicom_series(volume, source.parent, tmp_path / "out")
    written = OctSource(path, (path,), ())
    again = read_source(written, take_synthetic=True)
    np.testing.assert_array_equal(again.frames.transpose(1, 2, 0), np.asarray(nib.load(volume).dataobj))
    assert again.frame_pitch_mm == pytest.approx(0.2 / FACTOR) and again.pixel_spacing_mm == 0.01
    image = pydicom.dcmread(path)
    np.testing.assert_array_equal(image.pixel_array[::FACTOR], pydicom.dcmread(source).pixel_array)
    assert list(image.FrameLabelVector[:5]) == ["ACQUIRED", "SYNTHETIC", "SYNTHETIC", "SYNTHETIC", "ACQUIRED"]
    with pytest.raises(InputError, match="holds synthetic frames; give the acquired pullback"):
        read_source(written)


def test_what_does_not_belong_together_is_refused_and_nothing_is_left(tmp_path):
    sources = save_cine(tmp_path / "in", phases=1)
    volume = dense_stack(sources, tmp_path)
    out = tmp_path / "out"
    other = pydicom.dcmread(sources / "im2_0.dcm")
    other.PixelData = other.PixelData[:-1] + b"\0"
    save(tmp_path / "altered" / "im2_0.dcm", other)
    for path in sources.glob("im[013]_0.dcm"):
        shutil.copy(path, tmp_path / "altered")
    for path, told in {
        tmp_path / "altered": "has other values in slice 9, phase 1 than im2_0.dcm",
        tmp_path / "nowhere": "no such file or folder",
        save_cine(tmp_path / "longer", slices=5, phases=1): "lies on the grid of no stack of the DICOM files",
    }.items():
        with pytest.raises(InputError, match=told):
            write_dicom_series(volume, path, out)
    (out / f"{stem(volume)}_dicom").mkdir(parents=True)
    (out / f"{stem(volume)}_dicom" / "notes.txt").write_text("mine")
    with pytest.raises(InputError, match="is there already and holds other files"):
        write_dicom_series(volume, sources, out)
    volume.with_name(f"{stem(volume)}.json").unlink()
    with pytest.raises(InputError, match="does not say which frames are synthetic"):
        write_dicom_series(volume, sources, tmp_path / "clean")
    assert not (tmp_path / "clean").exists() or not list((tmp_path / "clean").iterdir())


def faults(path):
    """Lines of dciodvfy. Of 2022, it does not know SyntheticData, which came to the standard after it."""
    done = subprocess.run([DCIODVFY, str(path)], capture_output=True, text=True, check=False)
    lines = (done.stdout + done.stderr).splitlines()
    return {line for line in lines if line.startswith("Error") and "0x0008,0x001c" not in line}


@pytest.mark.skipif(DCIODVFY is None, reason="dciodvfy is absent: Debian's package dicom3tools")
def test_the_validator_accepts_a_cine(tmp_path):
    sources = save_cine(tmp_path / "in", phases=2)
    assert not faults(sources / "im1_0.dcm")
    for path in write_dicom_series(dense_stack(sources, tmp_path), sources, tmp_path / "out"):
        assert not faults(path)


@pytest.mark.skipif(DCIODVFY is None, reason="dciodvfy is absent: Debian's package dicom3tools")
@pytest.mark.parametrize("kind", ["enhanced", "pullback"])
def test_the_validator_finds_no_fault_that_the_source_has_not(tmp_path, kind):
    make, densify = {"enhanced": (save_enhanced, dense_stack), "pullback": (save_pullback, dense_pullback)}[kind]
    source = make(tmp_path / "in" / "source.dcm")
    (path,) = write_dicom_series(densify(source, tmp_path), source, tmp_path / "out")
    assert faults(path) <= faults(source)


@pytest.mark.skipif(not REAL.is_dir(), reason="real export absent: shared/data/sax_dicom beside the repository")
def test_a_real_export_comes_back_with_the_same_geometry(tmp_path):
    sources = tmp_path / "in"
    sources.mkdir()
    headers = read_headers(sorted(REAL.iterdir()))
    times = sorted({image.trigger_ms for image in headers.images})[:2]
    for image in headers.images:
        if image.trigger_ms in times:
            shutil.copy(image.path, sources)
    volume = dense_stack(sources, tmp_path)
    files = write_dicom_series(volume, sources, tmp_path / "out")
    check_read_back(files, volume)
    if DCIODVFY:
        known = set().union(*(faults(path) for path in sources.iterdir()))
        new = {line for path in files[:12] for line in faults(path) - known}
        # UIDs with leading zeroes are the archive's own; references repeat them.
        assert not {line for line in new if "Leading zeroes" not in line}
