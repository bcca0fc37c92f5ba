# SPDX-FileCopyrightText: 2026 The CardioInterp Bundles Authors
# SPDX-License-Identifier: Apache-2.0

from __future__ import annotations

import json
from pathlib import Path

import nibabel as nib
import numpy as np
import pytest

from custom.errors import InputError
from custom.geometry import dense_affine, synthetic_mask
from custom.scans.provenance import sidecar_path, synthetic_record, write_json
from custom.scans.stacks import inspect_stack, read_slices, write_stack
from data_scripts.prepare_cmr import prepare
from data_scripts.restore_cmr import restore_folder
from tests.data_scripts.hearts import HEART, affine_of, array_of, disc, heart, save

REAL = next(
    (p for p in (p / "shared/data" for p in Path(__file__).resolve().parents) if p.is_dir()), Path("shared/data")
)


def densify(path, folder, factor, marker, std=False):
    """What inference leaves: acquired slices as they are, synthetic ones filled with `marker` units, and sidecars."""
    info = inspect_stack(path)
    slices = read_slices(info)
    mask = synthetic_mask(len(slices), factor)
    dense = np.full((len(mask), *slices.shape[1:]), marker, np.float32 if std else slices.dtype)
    dense[~mask] = 0 if std else slices
    output = folder / f"{path.name.removesuffix('.nii.gz')}_{'std' if std else 'interp'}.nii.gz"
    folder.mkdir(exist_ok=True)
    affine = dense_affine(info.affine, info.axis, factor)
    write_stack(output, info, dense, affine, "", np.float32 if std else None)
    fields = {"bundle": "b", "version": "1", "weights_sha256": None, "options": {}, "seed": 0, "input_sha256": "0"}
    write_json(sidecar_path(output), synthetic_record(fields, path, output, mask))
    return output


@pytest.mark.parametrize("options", [{"spacing": 0, "size": 20}, {"spacing": 1.8, "size": 16}])
def test_restored_volumes_lie_on_the_scanners_grid(tmp_path, options):
    data, factor, marker = heart(phases=3), 4, 777
    save(tmp_path / "in/p/p_cine.nii.gz", data)
    prepare(str(tmp_path / "in"), str(tmp_path / "crop"), **options)
    for std in (False, True):
        densify(tmp_path / "crop/p_cine.nii.gz", tmp_path / "dense", factor, marker, std)
    names = {"prepared": str(tmp_path / "crop"), "originals": str(tmp_path / "in")}
    restore_folder(str(tmp_path / "dense"), **names, output_dir=str(tmp_path / "back"))
    image = nib.load(tmp_path / "back/p_cine_interp.nii.gz")
    dense = np.asarray(image.dataobj)
    assert dense.shape == (48, 44, 21, 3) and dense.dtype == np.int16
    np.testing.assert_array_equal(dense[:, :, ::factor], data)
    expected = affine_of()
    expected[:3, 2] /= factor
    np.testing.assert_allclose(image.affine, expected, atol=1e-4)
    inside = dense[:, :, 1, 0] == marker
    size = options["size"] * (options["spacing"] or 1.3) / 1.3
    assert (size - 2.5) ** 2 <= inside.sum() <= size**2 and inside[HEART]
    linear = 0.25 * data[:, :, 2] + 0.75 * data[:, :, 3]
    np.testing.assert_allclose(dense[:, :, 11][~inside], linear[~inside], atol=0.5)
    deviation = array_of(tmp_path / "back/p_cine_std.nii.gz")
    assert not deviation[:, :, ::factor].any() and not deviation[:, :, 1][~inside].any()
    np.testing.assert_allclose(deviation[:, :, 1][inside], marker)
    sidecar = json.loads((tmp_path / "back/p_cine_interp.json").read_text())
    assert sidecar["synthetic_slices"] == [k for k in range(21) if k % factor]
    assert sidecar["restored"]["from"] == "p_cine_interp.nii.gz" and sidecar["output"] == "p_cine_interp.nii.gz"


def test_gains_are_undone_on_the_way_back(tmp_path):
    data = (heart() * np.array([1, 0.5, 1, 0.25, 1, 1])).astype(np.int16)
    save(tmp_path / "in/p.nii.gz", data)
    prepare(str(tmp_path / "in"), str(tmp_path / "crop"), spacing=0, size=20, intensity="slice")
    gains = json.loads((tmp_path / "crop/p.json").read_text())["gains"]
    densify(tmp_path / "crop/p.nii.gz", tmp_path / "dense", 2, 500)
    names = {"prepared": str(tmp_path / "crop"), "originals": str(tmp_path / "in/p.nii.gz")}
    restore_folder(str(tmp_path / "dense"), **names, output_dir=str(tmp_path / "back"))
    dense = array_of(tmp_path / "back/p_interp.nii.gz")
    np.testing.assert_array_equal(dense[:, :, ::2], data)
    assert dense[HEART][1] == round(500 / np.mean(gains[:2])) and max(gains) > 1.5


def test_what_does_not_belong_together_is_not_restored(tmp_path, caplog):
    save(tmp_path / "in/p.nii.gz", heart())
    prepare(str(tmp_path / "in"), str(tmp_path / "crop"), spacing=0, size=20)
    output = densify(tmp_path / "crop/p.nii.gz", tmp_path / "dense", 2, 500)
    folders = {"prepared": "crop", "originals": "in", "output_dir": "back"}
    names = {name: str(tmp_path / folder) for name, folder in folders.items()}

    def refused(words, **changes):
        caplog.clear()
        with pytest.raises(SystemExit):
            restore_folder(str(output), **{**names, **changes})
        assert words in caplog.text and not list((tmp_path / "back").glob("*"))

    refused("no such record of a crop", prepared=str(tmp_path / "in"))
    refused("does not hold p.nii.gz", originals=str(tmp_path / "dense"))
    save(tmp_path / "other/p.nii.gz", heart(seed=1))
    refused("is not the scan that p.json was cut from", originals=str(tmp_path / "other"))
    save(tmp_path / "in/p_gt.nii.gz", disc((48, 44), 5)[..., None].repeat(6, axis=2).astype(np.uint8))
    prepare(str(tmp_path / "in"), str(tmp_path / "moved"), spacing=0, size=20)
    refused("lies elsewhere than the crop", prepared=str(tmp_path / "moved"))
    with pytest.raises(InputError, match="holds --results"):
        refused("", output_dir=str(output.parent))
    sidecar = output.with_name("p_interp.json")
    text = sidecar.read_text()
    content = json.loads(text)
    sidecar.write_text(json.dumps({**content, "synthetic_slices": content["synthetic_slices"][1:]}))
    refused("names other synthetic slices")
    sidecar.unlink()
    refused("does not say what its volume was made from")
    sidecar.write_text(text)
    restore_folder(str(output), **names)
    assert len(list((tmp_path / "back").glob("*"))) == 2


def test_restored_scans_of_other_results_are_not_replaced(tmp_path, caplog):
    names = {"output_dir": str(tmp_path / "back")}
    for seed, patient in enumerate("AB"):
        save(tmp_path / f"{patient}/p.nii.gz", heart(seed=seed))
        prepare(str(tmp_path / patient), str(tmp_path / f"crop{patient}"), spacing=0, size=20)
        densify(tmp_path / f"crop{patient}/p.nii.gz", tmp_path / f"dense{patient}", 2, 500 + seed)
    folders = {p: {"prepared": str(tmp_path / f"crop{p}"), "originals": str(tmp_path / p)} for p in "AB"}
    for _ in range(2):  # the same again is no harm
        restore_folder(str(tmp_path / "denseA"), **folders["A"], **names)
    first = (tmp_path / "back/p_interp.nii.gz").read_bytes()
    with pytest.raises(SystemExit):
        restore_folder(str(tmp_path / "denseB"), **folders["B"], **names)
    assert "p_interp.nii.gz: is there already, and is not of this result; choose another --output_dir" in caplog.text
    assert (tmp_path / "back/p_interp.nii.gz").read_bytes() == first
    restore_folder(str(tmp_path / "denseB"), **folders["B"], output_dir=str(tmp_path / "other"))


@pytest.mark.skipif(not (REAL / "sax_dicom").is_dir(), reason="no ../shared/data/sax_dicom")
def test_dicom_export_is_cropped_densified_and_restored(tmp_path):
    prepare(str(REAL / "sax_dicom"), str(tmp_path / "crop"), spacing=0)
    densify(tmp_path / "crop/SCD0000301.nii.gz", tmp_path / "dense", 2, 400)
    names = {"prepared": str(tmp_path / "crop"), "originals": str(REAL / "sax_dicom")}
    restore_folder(str(tmp_path / "dense"), **names, output_dir=str(tmp_path / "back"))
    image = nib.load(tmp_path / "back/SCD0000301_interp.nii.gz")
    cine = nib.load(REAL / "sax_cine/SCD0000301_cine.nii.gz")
    assert image.shape == (256, 256, 19, 20)
    np.testing.assert_array_equal(np.asarray(image.dataobj)[:, :, ::2], np.asarray(cine.dataobj))
    np.testing.assert_allclose(image.affine[:, [0, 1, 3]], cine.affine[:, [0, 1, 3]], atol=1e-3)
