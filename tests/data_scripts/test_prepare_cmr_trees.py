# SPDX-FileCopyrightText: 2026 The CardioInterp Bundles Authors
# SPDX-License-Identifier: Apache-2.0

"""Trees of data sets: which volumes are images, which are masks, and whose they are."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from custom.data.datalist import load_datalist
from data_scripts.prepare_cmr import prepare
from tests.data_scripts.hearts import HEART, array_of, entries_of, heart, mask, run, save


def test_acdc_tree(tmp_path):
    folder = tmp_path / "in/training/patient007"
    data = heart(phases=5)
    save(folder / "patient007_4d.nii.gz", data)
    for t in (0, 3):
        save(folder / f"patient007_frame{t + 1:02d}.nii.gz", data[..., t])
        save(folder / f"patient007_frame{t + 1:02d}_gt.nii.gz", mask(data))
    (folder / "Info.cfg").write_text("ED: 1\nES: 4\n")
    options = {"spacing": 0, "size": 20}
    prepare(str(tmp_path / "in"), str(tmp_path / "cine"), **options)
    assert entries_of(tmp_path / "cine")["training"] == ["patient007_4d.nii.gz"]
    record = json.loads((tmp_path / "cine/patient007_4d.json").read_text())
    assert record["centre_method"] == "label" and record["heart_centre"] == list(HEART)
    start = [int(s) for s in record["crop"]["start"]]
    np.testing.assert_array_equal(
        array_of(tmp_path / "cine/patient007_4d.nii.gz"), data[start[0] :, start[1] :][:20, :20]
    )
    prepare(str(tmp_path / "in"), str(tmp_path / "single"), frames="single", **options)
    entries = load_datalist(tmp_path / "single/datalist.json", "training")
    assert [Path(e["image"]).name for e in entries] == ["patient007_frame01.nii.gz", "patient007_frame04.nii.gz"]
    assert array_of(entries[0]["label"]).sum() == mask(data).sum() and {e["patient"] for e in entries} == {"patient007"}
    assert "label_classes" not in entries[0], "all structures are drawn"


@pytest.mark.parametrize(
    ("masks", "number", "known"), [("acdc", 3, None), ("lv_cavity", 1, [1]), ("7=3,200=1", 1, [1, 3])]
)
def test_masks_are_renumbered_and_what_is_not_drawn_is_noted(tmp_path, masks, number, known):
    theirs = {"acdc": 1, "lv_cavity": 1, "7=3,200=1": 200}[masks]
    save(tmp_path / "in/p.nii.gz", heart())
    save(tmp_path / "in/p_gt.nii.gz", mask(heart()) * theirs)
    prepare(str(tmp_path / "in"), str(tmp_path / "out"), spacing=0, size=0, fractions="1,0,0", masks=masks)
    (entry,) = load_datalist(tmp_path / "out/datalist.json", "training")
    np.testing.assert_array_equal(array_of(entry["label"]), mask(heart()) * number)
    assert entry.get("label_classes") == known


def test_masks_of_unknown_numbers_are_refused(tmp_path):
    save(tmp_path / "in/p.nii.gz", heart())
    save(tmp_path / "in/p_gt.nii.gz", mask(heart()) * 255)
    with pytest.raises(SystemExit):
        prepare(str(tmp_path / "in"), str(tmp_path / "out"), spacing=0, size=0)
    assert not list((tmp_path / "out").rglob("*.nii.gz"))


def test_mnms_tree_leaves_long_axes_out(tmp_path):
    data = heart(phases=3)
    label = np.zeros_like(data)
    label[..., 1] = mask(data)
    for name in ("A0S9V9", "B3F5M1"):
        save(tmp_path / f"in/Labeled/{name}/{name}_sa.nii.gz", data)
        save(tmp_path / f"in/Labeled/{name}/{name}_sa_gt.nii.gz", label)
        save(tmp_path / f"in/Labeled/{name}/{name}_LA_CINE.nii.gz", data)
    prepare(str(tmp_path / "in"), str(tmp_path / "out"), spacing=0, size=24, fractions="1,0,0")
    entries = load_datalist(tmp_path / "out/datalist.json", "training")
    assert [(Path(e["image"]).name, e["patient"]) for e in entries] == [
        ("A0S9V9_sa.nii.gz", "A0S9V9"),
        ("B3F5M1_sa.nii.gz", "B3F5M1"),
    ]
    assert array_of(entries[0]["label"]).shape == (24, 24, 6, 3)


def test_nnunet_tree(tmp_path):
    for k, frame in ((1, 1), (1, 12), (2, 1)):
        case = f"patient{k:03d}_frame{frame:02d}"
        save(tmp_path / f"in/imagesTr/{case}_0000.nii.gz", heart(seed=20 * k + frame))
        save(tmp_path / f"in/labelsTr/{case}.nii.gz", mask(heart()))
    for root, labels in (("in", 3), ("in/imagesTr", 0)):
        out = tmp_path / f"out{labels}"
        prepare(str(tmp_path / root), str(out), spacing=0, size=0)
        entries = [e for part in json.loads((out / "datalist.json").read_text()).values() for e in part]
        assert sorted(e["patient"] for e in entries) == ["patient001", "patient001", "patient002"]
        assert sum("label" in e for e in entries) == labels and all("_frame" in e["image"] for e in entries)


def test_ukbb_cardiac_and_bids_trees(tmp_path, caplog):
    caplog.set_level("INFO")
    cine = heart(phases=3)
    for subject in ("1000001", "1000002"):
        folder = tmp_path / "ukb" / subject
        save(folder / "sa.nii.gz", cine)
        save(folder / "seg_sa.nii.gz", mask(cine)[..., None].repeat(3, axis=3).astype(np.float64))
        save(folder / "sa_ED.nii.gz", cine[..., 0])
        save(folder / "label_sa_ED.nii.gz", mask(cine))
        name = f"sub-{subject}_acq-sax"
        save(tmp_path / f"bids/sub-{subject}/cmr/{name}_cine.nii.gz", cine)
        save(tmp_path / f"bids/derivatives/sub-{subject}/{name}_dseg.nii.gz", mask(cine))
    save(tmp_path / "bids/derivatives/other_dseg.nii.gz", mask(cine))
    for tree in ("ukb", "bids"):
        prepare(str(tmp_path / tree), str(tmp_path / f"out_{tree}"), spacing=0, size=0, fractions="1,0,0")
        entries = load_datalist(tmp_path / f"out_{tree}/datalist.json", "training")
        assert len(entries) == 2 and {"1000001" in e["patient"] for e in entries} == {True, False}
        if tree == "ukb":
            assert all(array_of(e["label"]).max() == 1 for e in entries)
        else:  # masks of one phase, nobody knows which
            assert not any("label" in e for e in entries) and "does not say which phase it is of" in caplog.text
            record = json.loads((tmp_path / "out_bids/sub-1000001_acq-sax_cine.json").read_text())
            assert record["centre_method"] == "label"
    assert "left out derivatives/other_dseg.nii.gz: is a label map by its name" in caplog.text


def test_a_label_map_by_its_values_is_asked_about(tmp_path):
    save(tmp_path / "in/p.nii.gz", heart())
    save(tmp_path / "in/q.nii.gz", mask(heart()).astype(np.float32))
    done = run("--input", tmp_path / "in", "--output_dir", tmp_path / "out")
    assert done.returncode == 1 and "q.nii.gz: holds the values 0, 1 and no others, as a label map does" in done.stderr
    # The remedy works.
    (tmp_path / "in/q.nii.gz").rename(tmp_path / "in/q_seg.nii.gz")
    assert run("--input", tmp_path / "in", "--output_dir", tmp_path / "out").returncode == 0
