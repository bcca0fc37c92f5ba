# SPDX-FileCopyrightText: 2026 The CardioInterp Bundles Authors
# SPDX-License-Identifier: Apache-2.0

"""Messages on the way back to the scanner's grid: each is provoked, its advice followed, and the scan comes out."""

from __future__ import annotations

import json
import logging
import shutil

import nibabel as nib
import numpy as np
import pytest

from custom.errors import InputError
from custom.inferers.gaps import GapInferer
from custom.inferers.scans import interpolate_scan
from custom.interpolators.classical import LinearFrames
from data_scripts.prepare_cmr import prepare
from data_scripts.restore_cmr import restore_folder
from tests.importers.cmr.remedies import AFFINE, VALUES, said, volume

FACTOR = 2
FOLDERS = {"results": "dense", "prepared": "crop", "originals": "in", "output_dir": "back"}


def cut(root, name, values=VALUES, **options):
    """A scan, its crop and the crop densified, in `in`, `crop` and `dense`, their names behind by `name`."""
    volume(root / f"in{name}/p.nii.gz", values)
    prepare(str(root / f"in{name}"), str(root / f"crop{name}"), **{"spacing": 0, "size": 10, **options})
    interpolated(root, name)


def interpolated(root, name=""):
    shutil.rmtree(root / f"dense{name}", ignore_errors=True)
    interpolate_scan(root / f"crop{name}/p.nii.gz", root / f"dense{name}", LinearFrames(), GapInferer(FACTOR))


def restored(caplog, root, **changes):
    """The errors of the command; `changes` of its options."""
    caplog.clear()
    caplog.set_level(logging.ERROR)
    try:
        restore_folder(**{option: str(root / folder) for option, folder in (FOLDERS | changes).items()})
    except InputError as error:
        return [str(error)]
    except SystemExit:
        pass
    return [record.getMessage() for record in caplog.records]


def is_restored(folder, values=VALUES):
    """Whether the linear interpolation of a scan lies there: it does not matter to it what was cropped."""
    image = nib.load(folder / "p_interp.nii.gz")
    dense = np.asarray(image.dataobj)
    np.testing.assert_array_equal(dense[..., ::FACTOR], values)
    middle = (values[..., 1:].astype(float) + values[..., :-1]) / 2
    np.testing.assert_allclose(dense[..., 1::FACTOR], middle, atol=1)
    np.testing.assert_allclose(image.affine, AFFINE @ np.diag([1, 1, 1 / FACTOR, 1]), atol=1e-5)
    assert json.loads((folder / "p_interp.json").read_text())["synthetic_slices"] == [1, 3, 5, 7]


def edited(name, **changes):
    """Change a JSON file, None taking entries out; the old one is kept in `kept`."""

    def make(root):
        (root / "kept").mkdir()
        shutil.copy(root / name, root / "kept")
        content = json.loads((root / name).read_text()) | changes
        (root / name).write_text(json.dumps({key: value for key, value in content.items() if value is not None}))

    return make


def without_sidecar(root):
    (root / "kept").mkdir()
    (root / "dense/p_interp.json").rename(root / "kept/p_interp.json")


def with_sidecar(root):
    shutil.copy(root / "kept/p_interp.json", root / "dense")


def another_crop(root):
    cut(root, "2", size=12)


def another_place(root):
    label = np.zeros((20, 16, 5), np.uint8)
    label[14:18, 10:14] = 1
    volume(root / "in2/p.nii.gz")
    volume(root / "in2/p_gt.nii.gz", label)
    prepare(str(root / "in2"), str(root / "crop2"), spacing=0, size=10, masks="lv_cavity")


def another_scan(root):
    volume(root / "in2/p.nii.gz", VALUES[::-1])


def taken(root):
    cut(root, "2", VALUES[::-1].copy())
    assert not restore_folder(*(str(root / name) for name in ("dense2", "crop2", "in2", "back")))


def moved_away(root):
    (root / "back").rename(root / "away")


PREPARED = "give --prepared the folder that prepare_cmr.py wrote"
ORIGINALS = "give --originals what was --input of prepare_cmr.py"
BOTH = "give --prepared and --originals of this result"
SIDECAR = "p_interp.json: does not say what its volume was made from; keep the sidecar beside its volume"
# What is wrong, options, words of one line, what the user then does, options.
CASES = {
    "no record": (None, {"prepared": "in"}, ["in/p.json: no such record of a crop", PREPARED], None, {}),
    "no crop": (edited("crop/p.json", crop=None), {}, ["crop/p.json: is no record of a crop", PREPARED], None,
                {"prepared": "copy"}),
    "no settings": (edited("crop/p.json", settings={}), {}, ["crop/p.json: is no record", PREPARED], None,
                    {"prepared": "copy"}),
    "other settings": (edited("crop/p.json", settings={"slice_axis": None, "dicom": {"new": 1}}), {},
                       ["crop/p.json: is no record", PREPARED], None, {"prepared": "copy"}),
    "no source": (edited("crop/p.json", source=[]), {}, ["crop/p.json: is no record", PREPARED], None,
                  {"prepared": "copy"}),
    "no original": (None, {"originals": "dense"}, ["dense: does not hold p.nii.gz, which p.json was", ORIGINALS],
                    None, {"originals": "in"}),
    "other original": (another_scan, {"originals": "in2"}, ["in2/p.nii.gz: is not the scan that p.json was cut from",
                       ORIGINALS], None, {"originals": "in"}),
    "no sidecar, kept": (without_sidecar, {}, [SIDECAR], with_sidecar, {}),
    "no sidecar, again": (without_sidecar, {}, [SIDECAR, "or interpolate again"], interpolated, {}),
    "other sidecar": (edited("dense/p_interp.json", synthetic_slices=[3, 5, 7]), {},
                      ["p_interp.json: names other synthetic slices than its volume has", "interpolate again"],
                      interpolated, {}),
    "slices that are not": (edited("dense/p_interp.json", synthetic_slices=[99]), {},
                            ["p_interp.json: does not say which frames are synthetic", "or interpolate again"],
                            interpolated, {}),
    "other size": (another_crop, {"prepared": "crop2", "originals": "in2"}, ["p_interp.nii.gz: is (10, 10, 9)",
                   "the crop has planes (12, 12)", BOTH], None, {"prepared": "crop", "originals": "in"}),
    "other place": (another_place, {"prepared": "crop2", "originals": "in2"}, ["p_interp.nii.gz: lies elsewhere",
                    "than the crop it was made from", BOTH], None, {"prepared": "crop", "originals": "in"}),
    "taken, elsewhere": (taken, {}, ["back/p_interp.nii.gz: is there already, and is not of this result",
                         "choose another --output_dir"], None, {"output_dir": "back2"}),
    "taken, moved": (taken, {}, ["back/p_interp.nii.gz: is there already", "or move it away"], moved_away, {}),
}  # fmt: skip


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    root = tmp_path_factory.mktemp("made")
    cut(root, "")
    shutil.copytree(root / "crop", root / "copy")
    return root


@pytest.mark.parametrize("name", CASES)
def test_the_advice_works(tmp_path, caplog, made, name):
    make, before, words, follow, after = CASES[name]
    root = tmp_path / "root"
    shutil.copytree(made, root)
    if make:
        make(root)
    lines = restored(caplog, root, **before)
    assert len(lines) == 1 and said(lines, *words), lines
    if follow:
        follow(root)
    changes = before | after if after else {}
    assert not restored(caplog, root, **changes)
    is_restored(root / changes.get("output_dir", "back"))
