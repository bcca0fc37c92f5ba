# SPDX-FileCopyrightText: 2026 The CardioInterp Bundles Authors
# SPDX-License-Identifier: Apache-2.0

from __future__ import annotations

import numpy as np
import pydicom
import pytest
from pydicom.fileset import FileSet
from pydicom.uid import generate_uid

from custom.errors import InputError
from custom.importers.notes import Doubt
from custom.importers.oct.reading import read_source
from custom.importers.oct.sources import FindOptions, find_sources


def found_in(root, **options):
    left_out = []
    sources = find_sources(root, FindOptions(**options), left_out)
    return {source.path.name: source for source in sources}, {path.name: reason for path, reason in left_out}


def test_a_file_without_preamble_is_a_pullback_and_others_are_told(tmp_path, discs, save_dicom):
    frames = discs()
    dataset = save_dicom(tmp_path / "new.dcm", frames)
    bare = pydicom.Dataset(dataset)
    bare.save_as(tmp_path / "old", implicit_vr=True, little_endian=True, enforce_file_format=False)
    (tmp_path / "film.mp4").write_bytes(b"\0\0\0\x18ftypmp42" + bytes(300))
    sources, left_out = found_in(tmp_path)
    assert sorted(sources) == ["new.dcm", "old"] and list(left_out) == ["film.mp4"]
    np.testing.assert_array_equal(read_source(sources["old"]).frames, frames)


def test_the_index_of_a_disc_and_what_has_no_pixels_is_passed_over(tmp_path, discs, save_dicom):
    tags = {"StudyDate": "20200101", "StudyTime": "10", "AccessionNumber": "", "StudyID": "1", "SeriesNumber": 1}
    uids = {"StudyInstanceUID": generate_uid(), "SeriesInstanceUID": generate_uid(), "InstanceNumber": 1}
    save_dicom(tmp_path / "a.dcm", discs(), PatientID="A", PatientName="A", Modality="OT", **tags, **uids)
    index = FileSet()
    index.add(tmp_path / "a.dcm")
    index.write(tmp_path / "disc")
    report = "1.2.840.10008.5.1.4.1.1.88.11"
    nothing = {"Rows": None, "Columns": None, "NumberOfFrames": None, "PixelData": None, "SOPClassUID": report}
    save_dicom(tmp_path / "disc/report", discs(), Modality="SR", **nothing)
    save_dicom(tmp_path / "disc/angio", discs(), Modality="XA")
    sources, left_out = found_in(tmp_path / "disc")
    assert [source.patient for source in sources.values()] == ["A"]
    assert "index" in left_out["DICOMDIR"] and "no pixels" in left_out["report"] and "angiogram" in left_out["angio"]
    assert list(found_in(tmp_path / "disc/angio")[0]) == ["angio"]


def test_single_images_are_a_pullback_together_and_none_alone(tmp_path, discs, save_dicom):
    frames = discs(4)
    order = [2, 0, 3, 1]
    for k in order:
        fields = {"SeriesInstanceUID": "1.2.3", "InstanceNumber": k + 1, "PatientID": "A"}
        save_dicom(tmp_path / f"IM{order.index(k)}", frames[k : k + 1], **fields)
    save_dicom(tmp_path / "screen", frames[:1], SeriesInstanceUID="1.2.4", PatientID="A")
    sources, left_out = found_in(tmp_path)
    (source,) = sources.values()
    np.testing.assert_array_equal(read_source(source).frames, frames)
    assert source.numbers == (1, 2, 3, 4) and "single image" in left_out["screen"]


def test_files_and_folders_named_like_masks_go_with_no_pullback(tmp_path, discs, save_images):
    np.save(tmp_path / "a.npy", discs())
    np.save(tmp_path / "a_mask.npy", (discs() > 90).astype(np.uint8))
    names = [f"{k}.png" for k in range(3)]
    save_images(tmp_path / "images/p1", names, discs(3))
    save_images(tmp_path / "labels/p1", names, 255 * (discs(3) > 90).astype(np.uint8))
    sources, left_out = found_in(tmp_path)
    assert sorted(sources) == ["a.npy", "p1"] and sources["p1"].path.parent.name == "images"
    assert all("--label_like image" in left_out[name] for name in ("a_mask.npy", "p1"))
    assert len(find_sources(tmp_path, FindOptions(label_like="image"))) == 4


def test_label_maps_of_any_name_are_refused_unless_they_are_images(tmp_path, discs):
    np.save(tmp_path / "lumen.npy", 255 * (discs() > 90).astype(np.uint8))
    (source,) = found_in(tmp_path)[0].values()
    with pytest.raises(InputError, match="only the values 0, 255.*--label_like image"):
        read_source(source)
    assert read_source(source, "image").frames.shape == (4, 48, 48)


def test_patients_come_from_the_header_wherever_files_lie(tmp_path, discs, save_dicom):
    for k in range(6):
        save_dicom(tmp_path / f"IMG{k}", discs(seed=k), PatientID=f"P{k // 2}")
    sources, _ = found_in(tmp_path)
    assert [sources[f"IMG{k}"].patient for k in range(6)] == ["P0", "P0", "P1", "P1", "P2", "P2"]
    assert [sources[f"IMG{k}"].patient for k in range(2)] == ["P0", "P0"]
    assert found_in(tmp_path, patient_from="file")[0]["IMG1"].patient == "IMG1"
    assert found_in(tmp_path, patient_regex=r"IMG(\d)")[0]["IMG1"].patient == "1"


def test_folders_that_contradict_the_header_are_doubts(tmp_path, discs, save_dicom):
    for folder, patient in (("a", "P"), ("b", "P"), ("c", "Q"), ("c", "R")):
        save_dicom(tmp_path / folder / patient, discs(), PatientID=patient)
    sources = find_sources(tmp_path, FindOptions())
    assert [source.patient for source in sources] == ["P", "P", "Q", "R"]
    told = " ".join(doubt for source in sources for doubt in source.doubts if isinstance(doubt, Doubt))
    assert "2 folders (a, b) have PatientID P" in told and "folder c holds 2 PatientIDs" in told
    by_folder = find_sources(tmp_path, FindOptions(patient_from="folder"))
    assert [source.patient for source in by_folder] == ["a", "b", "c", "c"]


@pytest.mark.parametrize("stated", ["ANONYMOUS", "", None])
def test_anonymised_pullbacks_of_one_study_are_of_one_patient(tmp_path, discs, save_dicom, stated):
    for k in range(4):
        fields = {"StudyInstanceUID": f"1.2.{k // 2}"} | ({} if stated is None else {"PatientID": stated})
        save_dicom(tmp_path / f"IMG{k}", discs(), **fields)
    sources, _ = found_in(tmp_path)
    assert [sources[f"IMG{k}"].patient for k in range(4)] == ["IMG0", "IMG0", "IMG2", "IMG2"]
    assert any("same study as IMG0" in doubt for doubt in sources["IMG1"].doubts)
    assert any("--patient_from" in doubt for doubt in sources["IMG0"].doubts)


def test_images_beside_dicom_files_are_of_their_patient(tmp_path, discs, save_dicom, save_images):
    save_dicom(tmp_path / "x/a.dcm", discs(), PatientID="P")
    save_images(tmp_path / "x/export", ["1.png", "2.png"], discs(2))
    save_images(tmp_path / "images/y", ["1.png", "2.png"], discs(2))
    sources, _ = found_in(tmp_path)
    assert (sources["export"].patient, sources["y"].patient) == ("P", "y")


def test_a_path_that_the_expression_misses_costs_one_source(tmp_path, discs):
    for name in ("p1", "other"):
        np.save(tmp_path / f"{name}.npy", discs())
    found = find_sources(tmp_path, FindOptions(patient_regex=r"p\d"))
    assert [type(item).__name__ for item in found] == ["OctSource", "InputError"]
    with pytest.raises(InputError, match="--patient_regex: is not an expression"):
        find_sources(tmp_path, FindOptions(patient_regex="("))


def test_damaged_dicom_files_are_faults_and_no_notes(tmp_path, discs, save_dicom):
    save_dicom(tmp_path / "a.dcm", discs(), PatientID="A")
    save_dicom(tmp_path / "cut.dcm", discs(), PatientID="A")
    (tmp_path / "cut.dcm").write_bytes((tmp_path / "cut.dcm").read_bytes()[:300])
    (tmp_path / "text.dcm").write_text("no DICOM " * 50)
    left_out = []
    found = find_sources(tmp_path, FindOptions(), left_out)
    told = [str(item) for item in found if isinstance(item, InputError)]
    assert len(told) == 1 and "text.dcm: is no DICOM file, whatever its name says" in told[0] and not left_out
    (cut,) = [item for item in found if not isinstance(item, InputError) and item.path.name == "cut.dcm"]
    with pytest.raises(InputError, match="cannot be read"):
        read_source(cut)


def test_a_damaged_image_is_not_sent_for_more_decoders(tmp_path, discs, save_images):
    save_images(tmp_path / "p", ["1.png", "2.png"], discs(2))
    (tmp_path / "p/2.png").write_bytes(b"\x89PNG broken")
    (source,) = found_in(tmp_path)[0].values()
    with pytest.raises(InputError, match="it is no PNG inside, or damaged") as caught:
        read_source(source)
    assert "pip install" not in str(caught.value)
