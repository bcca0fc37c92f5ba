# SPDX-FileCopyrightText: 2026 The CardioInterp Bundles Authors
# SPDX-License-Identifier: Apache-2.0

"""Messages about options and about what `--input` is: each is provoked, and its advice followed."""

from __future__ import annotations

import json
import re

import fire
import numpy as np
import pytest

from custom.errors import InputError
from data_scripts.prepare_cmr import prepare
from tests.importers.cmr.remedies import VALUES, image, is_stack, is_volume, label, made, said, stack, told, volume
from tests.importers.cmr.somebody import somebody

CHOICES = (
    *("source", "centre", "intensity", "masks", "frames", "duplicates", "join", "phases_by", "unit", "label_like"),
    "patient_from",
)


@pytest.mark.parametrize("option", CHOICES)
def test_every_choice_that_a_refusal_names_can_be_chosen(tmp_path, caplog, option):
    volume(tmp_path / "in/p/a.nii.gz")
    (line,) = told(caplog, tmp_path / "in", tmp_path / "out", **{option: "perhaps"})
    fault, _, remedy = line.partition("; ")
    assert fault == f"--{option}: is perhaps" and remedy.startswith("choose from ")
    words, _, pairs = remedy.removeprefix("choose from ").partition(", or give pairs theirs=ours such as ")
    choices = [*words.split(", "), *([pairs] if pairs else [])]
    assert len(choices) > 1 and bool(pairs) == (option == "masks")
    for k, choice in enumerate(choices):
        lines = told(caplog, tmp_path / "in", tmp_path / f"out{k}", **{option: choice})
        if option == "source" and choice in ("dicom", "zip"):
            assert said(lines, f"in: holds no source of the kind {choice}", "or leave out --source")
            assert not told(caplog, tmp_path / "in", tmp_path / f"out{k}")
        elif option == "unit" and choice != "auto":
            record = json.loads((tmp_path / f"out{k}/p_a.json").read_text())
            assert record["spacing_mm"][2] == pytest.approx({"mm": 8, "micron": 0.008, "meter": 8000}[choice])
            continue
        else:
            assert not lines
        if choice == "slice":
            bright = np.percentile(np.asarray(made(tmp_path / f"out{k}").dataobj), 99.5, axis=(0, 1))
            assert np.ptp(bright) < 2
            continue
        is_volume(tmp_path / f"out{k}")


WRONG = {
    "spacing": ("spacing", -1, "--spacing: is -1; give a positive number of mm, or 0", 1.5),
    "spacing, kept": ("spacing", "fine", "--spacing: is fine; give a positive number of mm, or 0 to keep the", 0),
    "size": ("size", 128.0, "--size: is 128.0; give a whole number of pixels", 0),
    "min_slices": ("min_slices", 1, "--min_slices: is 1; give a whole number of at least 2", 2),
    "series": ("series", "(", "--series: is not an expression (missing ), unterminated subpattern", "(sax)"),
    "pattern": ("patient_pattern", "(", "--patient_pattern: is not an expression (missing )", "(p)"),
    "no match": ("patient_pattern", "q", "p: does not match --patient_pattern q; mend the expression", "p"),
}


@pytest.mark.parametrize("name", WRONG)
def test_values_that_are_none(tmp_path, caplog, name):
    option, wrong, fault, right = WRONG[name]
    stack(tmp_path / "in/p")
    (line,) = told(caplog, tmp_path / "in", tmp_path / "out", **{option: wrong})
    assert line.startswith(fault) and ("mend " in line or "give " in line)
    assert not told(caplog, tmp_path / "in", tmp_path / "out", **{option: right})
    is_stack(tmp_path / "out")


def test_a_crop_of_half_a_pixel_is_told(tmp_path, caplog):
    volume(tmp_path / "in/a.nii.gz")
    assert said(told(caplog, tmp_path / "in", tmp_path / "out", size=12.5), "--size: is 12.5", "give a whole number")
    assert not told(caplog, tmp_path / "in", tmp_path / "out", size=12)
    assert made(tmp_path / "out").shape == (12, 12, 5)


def test_numbers_and_commas_in_expressions_of_the_command_line(tmp_path):
    stack(tmp_path / "in/7", SeriesDescription="4, sax")

    def command(*words):
        options = ["--input", tmp_path / "in", "--output_dir", tmp_path / "out", "--spacing", 0, "--size", 0, *words]
        fire.Fire(prepare, [str(word) for word in options])

    with pytest.raises(InputError, match=r"--series: is \(4, 'sax'\)") as caught:
        command("--series", "4,sax")
    quotes = re.search(r"quotes: --series '(\S+)'$", str(caught.value))[1]
    command("--series", quotes.replace("...", "4, sax"), "--patient_pattern", 7)
    is_stack(tmp_path / "out")
    assert json.loads((tmp_path / "out/7.json").read_text())["entry"]["patient"] == "7"
    command("--series", 4)


def synthetic(root):
    volume(root / "p/a_interp.nii.gz")
    (root / "p/a_interp.json").write_text('{"synthetic_slices": [1, 3]}')


def acquired(root):
    synthetic(root)
    volume(root / "p/a.nii.gz")


def letter(root):
    root.parent.mkdir(exist_ok=True)
    root.write_text("hello")


def mask_of(root):
    volume(root / "p/a_gt.nii.gz", (VALUES % 4).astype("uint8"))


def with_image(root):
    volume(root / "p/a.nii.gz")


def renamed(before, after):
    return lambda root: (root / "p" / before).rename(root / "p" / after)


ACQUIRED = "give --input short-axis scans that were acquired, with their masks beside them"
RENAME = "if its name misleads, rename it"
# How it is made, words of the line, what the user then does, what he gives as --input.
CASES = {
    "not there": (lambda root: volume(root.parent / "there/a.nii.gz"), ["in: no such file or folder", "check --input"],
                  None, "there"),
    "empty": (lambda root: root.mkdir(), ["in: holds no NIfTI, DICOM or zip file", "give --input a scan"],
              with_image, "in"),
    "letter": (letter, ["in: is no volume, no zip and no DICOM", "give a NIfTI, NRRD or MetaImage file"],
               lambda root: volume(root.parent / "there/a.nii.gz"), "there/a.nii.gz"),
    "letter, tree": (letter, ["a zip or folder of DICOM files, or a tree of these"],
                     lambda root: volume(root.parent / "there/p/a.nii.gz"), "there"),
    "synthetic": (synthetic, ["a_interp.nii.gz: was made by this project: give what it was made from", ACQUIRED],
                  acquired, "in"),
    "long axis": (lambda root: volume(root / "p/a_la.nii.gz"), ["a_la.nii.gz: is a long-axis view", ACQUIRED],
                  with_image, "in"),
    "long axis by name": (lambda root: volume(root / "p/a_la.nii.gz"), ["a_la.nii.gz: is a long-axis view", RENAME],
                          renamed("a_la.nii.gz", "a.nii.gz"), "in"),
    "mask": (mask_of, ["a_gt.nii.gz: is a label map by its name, without an image of that name", ACQUIRED], with_image,
             "in"),
    "mask by name": (lambda root: volume(root / "p/a_gt.nii.gz"), ["a_gt.nii.gz: is a label map by its name", RENAME],
                     renamed("a_gt.nii.gz", "a.nii.gz"), "in"),
}  # fmt: skip


@pytest.mark.parametrize("name", CASES)
def test_the_advice_works(tmp_path, caplog, name):
    make, words, follow, given = CASES[name]
    make(tmp_path / "in")
    lines = told(caplog, tmp_path / "in", tmp_path / "out")
    assert said(lines, *words), lines
    if follow:
        follow(tmp_path / "in")
    assert not told(caplog, tmp_path / given, tmp_path / "out")
    is_volume(tmp_path / "out")
    if name == "mask":
        assert (label(tmp_path / "out") == VALUES % 4).all()


def test_single_phases_of_a_cine_that_is_there_are_left_out_unless_asked_for(tmp_path, caplog):
    volume(tmp_path / "in/p/p_4d.nii.gz", VALUES[..., None] + VALUES[0, 0, :2])
    volume(tmp_path / "in/p/p_frame01.nii.gz")
    assert not told(caplog, tmp_path / "in", tmp_path / "cine")
    assert "a phase of a cine that is there as a whole" in (tmp_path / "cine/sources.csv").read_text()
    assert not told(caplog, tmp_path / "in", tmp_path / "single", frames="single")
    is_volume(tmp_path / "single")
    assert "single phases are taken" in (tmp_path / "single/sources.csv").read_text()


CLOSED = "cannot be read (Permission denied)"


@pytest.mark.parametrize("given", ["in", "in/p", "in/p/a.nii.gz"])
def test_permissions_of_a_volume_are_changed(caplog, given):
    with somebody() as home:
        volume(home / "in/p/a.nii.gz")
        (home / given).chmod(0)
        lines = told(caplog, home / "in", home / "out")
        assert said(lines, f"{home / given}: {CLOSED}; change its permissions"), lines
        (home / given).chmod(0o700)
        assert not told(caplog, home / "in", home / "out")
        is_volume(home / "out")


@pytest.mark.parametrize("name", ["im{}", "{}.dcm"])
def test_permissions_of_an_image_are_changed(caplog, name):
    with somebody() as home:
        for k in range(6):
            image(home / "in/p" / name.format(k), k)
        closed = home / "in/p" / name.format(5)
        closed.chmod(0)
        lines = told(caplog, home / "in", home / "out")
        assert said(lines, f"{closed}: {CLOSED}; change its permissions"), lines
        assert said(told(caplog, closed, home / "out"), f"{closed}: {CLOSED}; change its permissions")
        closed.chmod(0o600)
        assert not told(caplog, home / "in", home / "out")
        is_stack(home / "out")
