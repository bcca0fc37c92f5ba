# SPDX-FileCopyrightText: 2026 The CardioInterp Bundles Authors
# SPDX-License-Identifier: Apache-2.0

"""Messages that end with an advice: each is provoked, and its advice followed."""

from __future__ import annotations

import json

import nibabel as nib
import numpy as np
import pydicom
import pytest
from pydicom.encaps import encapsulate
from pydicom.uid import JPEGLosslessSV1
from skimage.io import imsave

from custom.errors import InputError
from data_scripts.prepare_oct import prepare

RAINBOW = np.random.default_rng(0).integers(0, 256, (4, 32, 32, 3), np.uint8)


def frames(count=4, height=48, width=48):
    y, x = np.mgrid[:height, :width]
    disc = np.hypot(y - (height - 1) / 2, x - (width - 1) / 2) < height / 2
    return (np.random.default_rng(0).integers(30, 150, (count, height, width)) * disc).astype(np.uint8)


def array(name, values):
    return lambda root: np.save(root / f"{name}.npy", values)


def images(*names, shapes=None):
    def make(root):
        for k, name in enumerate(names):
            (root / name).parent.mkdir(parents=True, exist_ok=True)
            imsave(root / name, frames(1, *(shapes or {}).get(k, (48, 48)))[0], check_contrast=False)

    return make


def two_stacks(root):
    np.savez(root / "a.npz", one=frames(), two=frames())


def named(root):
    np.savez(root / "a.npz", frames=frames(), two=frames())


def compressed(root, syntax=JPEGLosslessSV1):
    dataset = pydicom.Dataset()
    dataset.file_meta = pydicom.dataset.FileMetaDataset()
    dataset.file_meta.TransferSyntaxUID = syntax
    dataset.SOPClassUID = dataset.file_meta.MediaStorageSOPClassUID = "1.2.840.10008.5.1.4.1.1.7.2"
    dataset.SOPInstanceUID = dataset.file_meta.MediaStorageSOPInstanceUID = pydicom.uid.generate_uid()
    dataset.NumberOfFrames, dataset.Rows, dataset.Columns = 4, 48, 48
    dataset.SamplesPerPixel, dataset.PhotometricInterpretation = 1, "MONOCHROME2"
    dataset.BitsAllocated, dataset.BitsStored, dataset.HighBit, dataset.PixelRepresentation = 8, 8, 7, 0
    is_plain = syntax != JPEGLosslessSV1
    dataset.PixelData = frames().tobytes() if is_plain else encapsulate([b"\xff\xd8\xff\xd9"] * 4)
    dataset["PixelData"].VR = "OB"
    dataset.save_as(root / "a.dcm", enforce_file_format=True)


def uncompressed(root):
    compressed(root, pydicom.uid.ExplicitVRLittleEndian)


def apart(root):
    images("p2/1.png", "p2/2.png", shapes={0: (40, 40), 1: (40, 40)})(root)
    (root / "p/3.png").unlink()


def remove(name):
    return lambda root: (root / name).unlink()


def rename(old, new):
    def follow(root):
        (root / new).parent.mkdir(parents=True, exist_ok=True)
        (root / old).rename(root / new)

    return follow


def mask(shape, name="mask.npy"):
    return lambda root: np.save(root.parent / name, np.eye(*shape))


def both(*steps):
    return lambda root: [step(root) for step in steps]


DISC, MIXED = array("a", frames()), images("p/1.png", "p/2.png", "p/3.png", shapes={2: (40, 40)})
KINDS = images("p/a1.png", "p/a2.png", "p/b1.png", "p/b2.png")
CASES = {
    "other sizes": (MIXED, {}, "put each pullback into its own folder", apart, {}),
    "two stacks": (two_stacks, {}, 'name the one to use "frames"', named, {}),
    "one frame": (array("a", frames(1)), {}, "give at least two frames", DISC, {}),
    "five axes": (array("a", np.zeros((2, 2, 2, 2, 2))), {}, "give frames (F, H, W)", DISC, {}),
    "nan": (array("a", np.full((4, 48, 48), np.nan)), {}, "mend or remove those frames", DISC, {}),
    "complex": (array("a", frames().astype(complex)), {}, "give gray integers or floats", DISC, {}),
    "constant": (array("a", np.ones((4, 9, 9))), {}, "check the export", DISC, {}),
    "mask": (array("a", (frames() > 60).astype(np.uint8)), {}, "--label_like image", None, {"label_like": "image"}),
    "rainbow": (array("a", RAINBOW), {}, "export the pullback in gray", array("a", RAINBOW.mean(3)), {}),
    "no decoder": (compressed, {}, "or export it again, uncompressed", uncompressed, {}),
    "not square": (array("a", 30 + np.random.default_rng(1).integers(0, 90, (4, 48, 80))), {"layout": "cartesian"},
                   "--crop top:bottom,left:right", None, {"crop": "0:48,9:57"}),
    "crop": (DISC, {"crop": "0:60,0:60"}, "choose a window inside the frame", None, {"crop": "0:40,0:40"}),
    "frames": (DISC, {"frames": "0:9"}, "shorten the range", None, {"frames": "0:3"}),
    "one of them": (DISC, {"frames": "0:1"}, "give at least two frames", None, {"frames": "0:2"}),
    "mask size": (both(DISC, mask((40, 40))), {"overlay_mask": "mask.npy"}, "give a mask of the size of a frame",
                  mask((48, 48)), {}),
    "two kinds": (KINDS, {}, "choose one with --frame_names", None, {"frame_names": "^a"}),
    "two kinds apart": (KINDS, {}, "give each pullback a folder",
                        both(rename("p/b1.png", "q/b1.png"), rename("p/b2.png", "q/b2.png")), {}),
    "no match": (KINDS, {"frame_names": "^x"}, "mend the expression", None, {"frame_names": "^b"}),
    "same number": (images("p/1.png", "p/01.png", "p/2.png"), {}, "rename or remove one", remove("p/01.png"), {}),
    "no patient": (DISC, {"patient_regex": r"p\d"}, "mend the expression", None, {"patient_regex": "a"}),
    "damaged": (both(DISC, lambda root: (root / "b.npz").write_bytes(b"PK no")), {}, "or leave it out",
                remove("b.npz"), {}),
}  # fmt: skip


def faults_of(root, caplog, options):
    """What a run complains of, each in one line."""
    caplog.clear()
    paths = {name: str(root.parent / options[name]) for name in ("overlay_mask",) if name in options}
    try:
        prepare(str(root), str(root.parent / "out"), **{"geometry": "vivolight", **options, **paths})
    except InputError as error:
        return [str(error)]
    except SystemExit:
        return [record.getMessage() for record in caplog.records if record.levelname == "ERROR"]
    return []


@pytest.mark.parametrize("name", CASES)
def test_the_advice_works(tmp_path, caplog, name):
    make, before, words, follow, after = CASES[name]
    (tmp_path / "in").mkdir()
    make(tmp_path / "in")
    (fault,) = faults_of(tmp_path / "in", caplog, before)
    assert words in fault and "\n" not in fault
    assert not list((tmp_path / "out").glob("*.tmp*")) if (tmp_path / "out").exists() else True
    if follow:
        follow(tmp_path / "in")
    assert faults_of(tmp_path / "in", caplog, before | after) == []
    assert (tmp_path / "out/datalist.json").is_file()


def test_one_frame_is_sent_to_its_folder(tmp_path, caplog):
    images("p/1.png", "p/2.png")(tmp_path)
    (fault,) = faults_of(tmp_path / "p/1.png", caplog, {})
    assert "is one frame only; give its folder as --input" in fault
    prepare(str(tmp_path / "p"), str(tmp_path / "out2"))


def test_patients_of_one_name_prepared_one_by_one_are_both_kept(tmp_path, caplog):
    for k, folder in enumerate(("one", "two")):
        (tmp_path / "in" / folder).mkdir(parents=True)
        np.save(tmp_path / "in" / folder / "a.npy", frames() + k)
    for folder in ("one", "two", "one", "two"):  # again, each finds its own
        prepare(str(tmp_path / "in" / folder), str(tmp_path / "out"), to="keep", layout="polar")
    highest = [np.asarray(nib.load(tmp_path / "out" / name).dataobj).max() for name in ("a.nii.gz", "a-2.nii.gz")]
    assert highest[1] == highest[0] + 1 and len(list((tmp_path / "out").glob("*.nii.gz"))) == 2
    assert sorted(images_in(tmp_path / "out")) == ["a-2.nii.gz", "a.nii.gz"]
    assert "a is the name of another source or file: this one becomes a-2" in caplog.text
    prepare(str(tmp_path / "in"), str(tmp_path / "both"), to="keep", layout="polar")  # what the line advises
    assert images_in(tmp_path / "both") == {"one_a.nii.gz": "one", "two_a.nii.gz": "two"}


def images_in(folder):
    listed = json.loads((folder / "datalist.json").read_text())
    return {entry["image"]: entry["patient"] for part in listed.values() for entry in part}


@pytest.mark.parametrize(("options", "told"), [
    ({}, "give --depth_spacing_mm or --geometry"),
    ({"depth_spacing_mm": 0.05}, "--frame_pitch_mm sets it"),
])  # fmt: skip
def test_a_warning_goes_with_the_option_that_it_names(tmp_path, caplog, options, told):
    DISC(tmp_path)
    prepare(str(tmp_path / "a.npy"), str(tmp_path / "out"), **options)
    assert told in caplog.text
    caplog.clear()
    prepare(str(tmp_path / "a.npy"), str(tmp_path / "out"), **options, geometry="vivolight", frame_pitch_mm=0.1)
    assert told not in caplog.text


def test_two_series_of_frames_in_one_folder_are_one_patient_until_the_option_is_followed(tmp_path, caplog):
    images(*(f"p/run{run}_{k}.png" for run in (1, 2) for k in (1, 2, 3)))(tmp_path / "in")
    common = {"geometry": "vivolight", "to": "keep"}
    prepare(str(tmp_path / "in"), str(tmp_path / "one"), **common)
    assert "2 series of numbers" in caplog.text and "--patient_from file makes each one" in caplog.text
    assert list(images_in(tmp_path / "one").values()) == ["p", "p"]
    prepare(str(tmp_path / "in"), str(tmp_path / "each"), **common, patient_from="file")
    assert len(set(images_in(tmp_path / "each").values())) == 2
    caplog.clear()
    prepare(str(tmp_path / "in"), str(tmp_path / "chosen"), **common, frame_names="^run2")
    assert len(images_in(tmp_path / "chosen")) == 1 and "series of numbers" not in caplog.text


def test_frames_that_are_missing_split_as_the_warning_says(tmp_path, caplog):
    images(*(f"p/{k}.png" for k in (1, 2, 3, 7, 8, 9)))(tmp_path / "in")
    prepare(str(tmp_path / "in"), str(tmp_path / "kept"), geometry="vivolight", to="keep")
    assert "frames are missing" in caplog.text and "--gaps split" in caplog.text
    prepare(str(tmp_path / "in"), str(tmp_path / "split"), geometry="vivolight", to="keep", gaps="split")
    assert (len(images_in(tmp_path / "kept")), len(images_in(tmp_path / "split"))) == (1, 2)
