# SPDX-FileCopyrightText: 2026 The CardioInterp Bundles Authors
# SPDX-License-Identifier: Apache-2.0

"""What is said of files and folders that are no pullback, or not as they seem: each advice is followed."""

from __future__ import annotations

import csv
import ctypes
import resource
from ctypes import c_size_t, c_void_p

import numpy as np
import pytest
import tifffile

COMMON = ("--to", "keep", "--layout", "polar", "--geometry", "vivolight", "--nofill_overlay")


@pytest.fixture
def listed(tmp_path):
    """Of a run: file names to their fate, and to the reason."""

    def read(out="out"):
        with open(tmp_path / out / "sources.csv", newline="") as file:
            return {row["source"]: (row["fate"], row["reason"]) for row in csv.DictReader(file)}

    return read


def same(prepared, frames, name=None, out="out"):
    np.testing.assert_array_equal(prepared(name, out)[0], frames.transpose(1, 2, 0))


def test_a_series_without_order_is_read_in_order_once_its_headers_are_mended(
    tmp_path, discs, save_dicom, run_command, prepared
):
    frames = discs(3)
    for name, frame, number in zip(("c", "a", "b"), frames, (1, 1, 2), strict=True):
        save_dicom(tmp_path / "in" / name, frame[None], PatientID="P", SeriesInstanceUID="1.2", InstanceNumber=number)
    (line,) = run_command(*COMMON).warnings
    assert "in: InstanceNumber does not order the frames: names do; mend the headers" in line
    same(prepared, frames[[1, 2, 0]])
    for name, frame, number in zip(("c", "a", "b"), frames, (1, 2, 3), strict=True):
        save_dicom(tmp_path / "in" / name, frame[None], PatientID="P", SeriesInstanceUID="1.2", InstanceNumber=number)
    assert run_command(*COMMON, out="new").warnings == []
    same(prepared, frames, out="new")


def test_a_series_of_two_sizes_is_two_pullbacks_in_two_folders(tmp_path, discs, save_dicom, run_command, prepared):
    small, large = discs(2, 40), discs(2, 48)
    for k, frame in enumerate([*small, *large]):
        fields = {"PatientID": "P", "SeriesInstanceUID": "1.2", "InstanceNumber": k}
        save_dicom(tmp_path / f"in/{k}", frame[None], **fields)
    (fault,) = run_command(*COMMON).errors
    assert (
        "2: has frames (48, 48), those of the first file are (40, 40); put each pullback into its own folder" in fault
    )
    for folder, names in (("s", "01"), ("t", "23")):
        (tmp_path / "in" / folder).mkdir()
        for name in names:
            (tmp_path / "in" / name).rename(tmp_path / "in" / folder / name)
    told = run_command(*COMMON, out="new")
    assert told.errors == []
    same(prepared, small, "P_s", "new")
    same(prepared, large, "P_t", "new")


def test_a_file_that_is_no_dicom_is_exported_again_or_taken_away(tmp_path, discs, save_dicom, run_command, prepared):
    save_dicom(tmp_path / "in/a.dcm", discs(), PatientID="P")
    (tmp_path / "in/b.dcm").write_text("no DICOM " * 50)
    (fault,) = run_command(*COMMON).errors
    assert "b.dcm: is no DICOM file, whatever its name says; export it again, or take it away" in fault
    save_dicom(tmp_path / "in/b.dcm", discs(seed=1), PatientID="P")
    assert run_command(*COMMON, out="again").errors == []
    same(prepared, discs(seed=1), "P_b", "again")
    (tmp_path / "in/b.dcm").unlink()
    assert run_command(*COMMON, out="away").errors == []


def test_an_angiogram_by_its_header_is_taken_alone(tmp_path, discs, save_dicom, run_command, prepared, listed):
    save_dicom(tmp_path / "in/a.dcm", discs(), PatientID="P", Modality="XA")
    (fault,) = run_command(*COMMON).errors
    assert fault.endswith("a.dcm: is an angiogram, no pullback; give it alone as --input if it is one")
    save_dicom(tmp_path / "in/b.dcm", discs(), PatientID="P", Modality="IVOCT")
    run_command(*COMMON)
    fate, reason = listed()["a.dcm"]
    assert fate == "left out" and reason.endswith("give it alone as --input if it is one")
    assert run_command(*COMMON, source="in/a.dcm", out="alone").errors == []
    same(prepared, discs(), out="alone")


def test_synthetic_frames_make_room_for_acquired_ones(tmp_path, discs, save_dicom, run_command, prepared):
    save_dicom(tmp_path / "in/a.dcm", discs(), PatientID="P", SyntheticData="YES")
    (fault,) = run_command(*COMMON, source="in/a.dcm").errors
    assert fault.endswith("a.dcm: holds synthetic frames; give the acquired pullback instead")
    (fault,) = run_command(*COMMON).errors
    assert fault.endswith("a.dcm: holds synthetic frames; give --input a pullback or a folder of pullbacks")
    save_dicom(tmp_path / "in/b.dcm", discs(seed=1), PatientID="P")
    for source in ("in/b.dcm", "in"):
        assert run_command(*COMMON, source=source, out=f"of {source[3:]}").errors == []
        same(prepared, discs(seed=1), out=f"of {source[3:]}")


def test_nothing_to_read_is_told_until_there_is_a_pullback(tmp_path, discs, run_command, prepared):
    (fault,) = run_command(*COMMON).errors
    assert fault.endswith("in: no such file or folder; check --input")
    (tmp_path / "in").mkdir()
    (fault,) = run_command(*COMMON).errors
    assert "in: holds no DICOM, image or array; give --input a pullback or a folder of pullbacks" in fault
    (tmp_path / "in/film.avi").write_bytes(b"RIFF" + bytes(300))
    (fault,) = run_command(*COMMON).errors
    assert "film.avi: is neither DICOM, image nor array; give --input a pullback or" in fault
    (fault,) = run_command(*COMMON, source="in/film.avi").errors
    assert "film.avi: is neither DICOM, image nor array; export the pullback in one of these formats" in fault
    np.save(tmp_path / "in/film.npy", discs())
    for source in ("in", "in/film.npy"):
        assert run_command(*COMMON, source=source).errors == []
        same(prepared, discs())


def test_a_mask_of_another_size_in_an_array_file_is_mended(tmp_path, discs, run_command, prepared):
    (tmp_path / "in").mkdir()
    frames, mask = np.full((4, 48, 48), 100, np.uint8), np.zeros((48, 48), bool)
    frames[0, 0, :20], frames[:, 20, 20], mask[20, 20] = np.arange(20), 250, True
    np.savez(tmp_path / "in/a.npz", frames=frames, overlay_mask=mask[:40])
    (fault,) = run_command(*COMMON[:-1]).errors
    assert "a.npz: has an overlay mask (40, 48) for frames (48, 48); give a mask of the size of a frame" in fault
    np.savez(tmp_path / "in/a.npz", frames=frames, overlay_mask=mask)
    assert run_command(*COMMON[:-1]).errors == []
    assert (prepared()[0][20, 20] == 100).all()


@pytest.mark.parametrize("form", [lambda colours: colours.mean(3), lambda colours: colours.astype(np.uint8)])
def test_colours_of_16_bits_are_given_as_gray_or_in_8(tmp_path, discs, run_command, prepared, form):
    (tmp_path / "in").mkdir()
    colours = discs()[..., None].repeat(3, 3).astype(np.uint16)
    np.save(tmp_path / "in/a.npy", colours)
    (fault,) = run_command(*COMMON).errors
    assert "a.npy: has uint16 values; give gray integers or floats, or 8-bit RGB" in fault
    np.save(tmp_path / "in/a.npy", form(colours))
    assert run_command(*COMMON).errors == []
    same(prepared, discs())


def test_files_named_like_masks_are_taken_with_the_option(tmp_path, discs, run_command, prepared, listed):
    (tmp_path / "in").mkdir()
    np.save(tmp_path / "in/a.npy", discs())
    np.save(tmp_path / "in/a_overlay.npy", discs(seed=1))
    run_command(*COMMON)
    fate, reason = listed()["a_overlay.npy"]
    assert fate == "left out" and "(--label_like image takes it)" in reason
    assert run_command(*COMMON, "--label_like", "image", out="new").errors == []
    same(prepared, discs(seed=1), "a_overlay", "new")


def limit_memory(more):
    """At most so many bytes more than this process has now; gives what undoes it."""
    libc = ctypes.CDLL(None)
    libc.malloc.restype, libc.malloc.argtypes, libc.free.argtypes = c_void_p, [c_size_t], [c_void_p]
    before = resource.getrlimit(resource.RLIMIT_DATA)
    with open("/proc/self/status") as file:
        has = next(int(line.split()[1]) for line in file if line.startswith("VmData")) * 1024
    # What earlier tests freed and the process kept (custom/memory.py) would be given out again: it is taken first.
    resource.setrlimit(resource.RLIMIT_DATA, (has, before[1]))
    taken = list(iter(lambda: libc.malloc(2**23), None))
    resource.setrlimit(resource.RLIMIT_DATA, (has + more, before[1]))

    def undo():
        resource.setrlimit(resource.RLIMIT_DATA, before)
        for block in taken:
            libc.free(block)

    return undo


LARGE = {"npy": "give a part of it with --frames", "images": "give a part of it with --frames",
         "npz": "export it in parts", "tif": "export it in parts", "dcm": "export it in parts"}  # fmt: skip


@pytest.mark.parametrize("kind", LARGE)
def test_a_pullback_too_large_for_memory_is_read_in_parts(
    tmp_path, run_command, prepared, save_images, save_dicom, kind
):
    noise = np.random.default_rng(0).integers(1, 200, (1000, 1000)).astype(np.uint8)

    def write(count):
        frames = np.zeros((count, 1000, 1000), np.uint8)
        frames[:3] = noise
        (tmp_path / "in").mkdir(exist_ok=True)
        if kind == "npy":
            np.save(tmp_path / "in/a.npy", frames)
        elif kind == "npz":
            np.savez(tmp_path / "in/a.npz", frames=frames)
        elif kind == "tif":
            tifffile.imwrite(tmp_path / "in/a.tif", frames, photometric="minisblack")
        elif kind == "dcm":
            save_dicom(tmp_path / "in/a.dcm", frames, PatientID="a")
        else:
            save_images(tmp_path / "in", [f"{k}.bmp" for k in range(count)], frames)

    write(120)
    undo = limit_memory(60_000_000)
    try:
        (fault,) = run_command(*COMMON, "--nocompress").errors
        assert "/in" in fault and "is too large for memory (" in fault and fault.endswith(LARGE[kind]), fault
        assert not list((tmp_path / "out").glob("*.nii*"))
        if "--frames" not in LARGE[kind]:
            write(3)
        assert run_command(*COMMON, "--frames", "0:3", out="new").errors == []
    finally:
        undo()
    same(prepared, np.stack([noise] * 3), out="new")
