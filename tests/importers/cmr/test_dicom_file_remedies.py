# SPDX-FileCopyrightText: 2026 The CardioInterp Bundles Authors
# SPDX-License-Identifier: Apache-2.0

"""Messages about DICOM files and whose they are: each is provoked, and its advice followed."""

from __future__ import annotations

import shutil

import nibabel as nib
import pydicom
import pytest

from custom.errors import InputError
from custom.importers.cmr.sources import find_sources
from tests.importers.cmr.remedies import image, is_stack, said, stack, told


def test_one_image_of_a_scan_is_sent_to_its_folder(tmp_path, caplog):
    stack(tmp_path / "p")
    with pytest.raises(InputError, match="im0: is one DICOM image; give the folder that holds the whole scan"):
        find_sources(tmp_path / "p/im0")
    assert not told(caplog, tmp_path / "p", tmp_path / "out")
    is_stack(tmp_path / "out")


@pytest.mark.parametrize("size", [350, 400, 550, 650])
def test_an_image_cut_within_its_header_costs_one_line_and_its_remedy_works(tmp_path, caplog, size):
    stack(tmp_path / "p")
    cut = tmp_path / "p/im5"
    cut.write_bytes(cut.read_bytes()[:size])
    (fault,) = told(caplog, tmp_path / "p", tmp_path / "out")
    assert "im5: cannot be read (it ends within its header); export it again" in fault
    image(cut, 5)
    assert not told(caplog, tmp_path / "p", tmp_path / "out")
    is_stack(tmp_path / "out")


def test_a_file_that_is_no_dicom_is_taken_away_or_exported_again(tmp_path, caplog):
    stack(tmp_path / "p")
    for name, content, fault in (
        ("im6", b"", "im6: is empty"),
        ("im7", bytes(300), "im7: is no DICOM file, though it is named like one"),
        ("x.dcm", b"letter", "x.dcm: is no DICOM file, whatever its name says"),
    ):
        (tmp_path / "p" / name).write_bytes(content)
        lines = told(caplog, tmp_path / "p", tmp_path / "out")
        assert said(lines, fault, "export it again, or take it away")
        (tmp_path / "p" / name).unlink()
    assert not told(caplog, tmp_path / "p", tmp_path / "out")
    is_stack(tmp_path / "out")
    image(tmp_path / "p/im6", 6)
    assert not told(caplog, tmp_path / "p", tmp_path / "out")
    is_stack(tmp_path / "out", range(7))


def test_an_image_of_a_header_is_mended_with_pydicom(tmp_path, caplog):
    stack(tmp_path / "p")
    wrong = pydicom.dcmread(tmp_path / "p/im2")
    wrong.ImageOrientationPatient = [1, 0, 0, 1, 0, 0]
    wrong.save_as(tmp_path / "p/im2")
    lines = told(caplog, tmp_path / "p", tmp_path / "out")
    assert said(lines, "im2", "its orientation is not two perpendicular unit vectors", "mend")
    wrong.ImageOrientationPatient = [1, 0, 0, 0, 1, 0]
    wrong.save_as(tmp_path / "p/im2")
    assert not told(caplog, tmp_path / "p", tmp_path / "out")
    is_stack(tmp_path / "out")


def test_a_folder_without_a_short_axis_scan(tmp_path, caplog):
    stack(tmp_path / "ct", Modality="CT")
    lines = told(caplog, tmp_path / "ct", tmp_path / "out")
    assert said(lines, "ct: holds no MR images of a stack (left out 6 images of series 4 (sax): modality CT, not MR)")
    assert said(lines, "give the folder of a short-axis scan")
    stack(tmp_path / "mr")
    assert not told(caplog, tmp_path / "mr", tmp_path / "out")
    is_stack(tmp_path / "out")


def test_an_image_without_all_its_pixels_is_exported_again(tmp_path, caplog):
    stack(tmp_path / "p")
    image(tmp_path / "p/im5", 5, PixelData=bytes(200))
    lines = told(caplog, tmp_path / "p", tmp_path / "out")
    assert said(lines, "im5: cannot be read (it has 200 bytes of pixels, 240 are expected); export it again")
    image(tmp_path / "p/im5", 5)
    assert not told(caplog, tmp_path / "p", tmp_path / "out")
    is_stack(tmp_path / "out")


def test_series_that_were_put_together_are_kept_apart_as_the_note_says(tmp_path, caplog):
    stack(tmp_path / "p", range(8))
    for k in range(4, 8):
        image(tmp_path / f"p/im{k}", k, SeriesInstanceUID="1.2.9", SeriesNumber=9)
    assert not told(caplog, tmp_path / "p", tmp_path / "one")
    is_stack(tmp_path / "one", range(8))
    note = "2 series make one stack of 8 slices"
    assert said((tmp_path / "one/p.json").read_text().splitlines(), note, "--join none keeps them apart")
    told(caplog, tmp_path / "p", tmp_path / "two", join="none")
    found = sorted(nib.load(path).shape for path in (tmp_path / "two").glob("*.nii.gz"))
    assert found == [(10, 12, 4)] * 2


def in_two_studies(root, parts):
    for k, slices in enumerate(parts):
        stack(root / f"p/{k}", slices, StudyInstanceUID=f"1.2.{k}", SeriesInstanceUID=f"1.2.{k}.1")


@pytest.mark.parametrize(
    "parts", [(range(6), range(6, 10)), (range(8), range(8, 10)), (range(0, 10, 2), range(1, 10, 2))]
)
def test_a_stack_cut_in_two_studies_is_doubted_and_becomes_one_as_the_doubt_says(tmp_path, caplog, parts):
    in_two_studies(tmp_path, parts)
    lines = told(caplog, tmp_path / "p", tmp_path / "out")
    assert said(lines, "1: slices of series 4 (sax)", "of another study", "if they are one, say --join all")
    assert not said(told(caplog, tmp_path / "p", tmp_path / "all", join="all"), "another study")
    is_stack(tmp_path / "all", range(10))


def test_two_visits_are_no_stack_cut_in_two(tmp_path):
    in_two_studies(tmp_path, (range(6), range(6)))
    assert not any("another study" in doubt for source in find_sources(tmp_path / "p") for doubt in source.doubts)


def test_a_slice_that_lacks_between_two_parts_of_a_stack_is_looked_for(tmp_path, caplog):
    stack(tmp_path / "p", [*range(4), *range(5, 9)], SeriesInstanceUID="1.2.8")
    for k in range(5, 9):
        image(tmp_path / f"p/im{k}", k, SeriesInstanceUID="1.2.9", SeriesNumber=5)
    lines = told(caplog, tmp_path / "p", tmp_path / "out", join="all")
    assert said(lines, "series 5 (sax) continues the grid of series 4 (sax)", "look for slices that are missing"), lines
    image(tmp_path / "p/im4", 4, SeriesInstanceUID="1.2.9", SeriesNumber=5)
    assert not told(caplog, tmp_path / "p", tmp_path / "whole", join="all")
    is_stack(tmp_path / "whole", range(9))


def two_patients(root):
    stack(root / "p", range(5))
    for k in range(5):
        image(root / f"p/b{k}", k, PatientID="Q", StudyInstanceUID="1.3", plus=700)


def test_two_patients_in_one_series_are_given_folders_or_one_name(tmp_path, caplog):
    two_patients(tmp_path / "in")
    words = ["b0: and im0 are of one series", "but name 2 patients", "mend the headers", "give each of the patients"]
    assert said(told(caplog, tmp_path / "in", tmp_path / "out"), *words)
    (tmp_path / "in/q").mkdir()
    for path in (tmp_path / "in/p").glob("b*"):
        path.rename(tmp_path / "in/q" / path.name)
    assert not told(caplog, tmp_path / "in", tmp_path / "out")
    for name, plus in (("p", 0), ("q", 700)):
        (tmp_path / name).mkdir()
        shutil.copy(tmp_path / f"out/{name}.nii.gz", tmp_path / name)
        is_stack(tmp_path / name, range(5), plus=plus)
    # Or their headers were wrong, and all are slices of one.
    stack(tmp_path / "one/p", range(5))
    for k in range(5, 10):
        image(tmp_path / f"one/p/im{k}", k, PatientID="Q")
    assert said(told(caplog, tmp_path / "one", tmp_path / "out"), *words[1:])
    for k in range(5, 10):
        image(tmp_path / f"one/p/im{k}", k)
    assert not told(caplog, tmp_path / "one", tmp_path / "whole")
    is_stack(tmp_path / "whole", range(10))


def test_one_patient_id_in_several_folders_is_several_patients_if_the_user_says_so(tmp_path, caplog):
    for k, name in enumerate(("ann", "bob")):
        stack(tmp_path / f"in/{name}", range(5), StudyInstanceUID=f"1.2.{k}", SeriesInstanceUID=f"1.2.{k}.1")
    lines = told(caplog, tmp_path / "in", tmp_path / "out")
    assert said(lines, "2 folders (ann, bob) have the same PatientID", "say --patient_from folder")
    assert not told(caplog, tmp_path / "in", tmp_path / "out", patient_from="folder")
    assert {source.patient for source in find_sources(tmp_path / "in", patient_from="folder")} == {"ann", "bob"}
