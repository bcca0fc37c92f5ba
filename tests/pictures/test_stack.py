# SPDX-FileCopyrightText: 2026 The CardioInterp Bundles Authors
# SPDX-License-Identifier: Apache-2.0

"""Long-axis planes lie where the ventricle does, and cuts show what is there, on any affine and array order."""

from __future__ import annotations

import csv
import json

import nibabel as nib
import numpy as np
import pytest
from matplotlib.figure import Figure
from PIL import Image
from scipy.spatial.transform import Rotation
from skimage.io import imread

from custom.errors import InputError
from custom.pictures import long_axis
from custom.pictures import stack as stack_picture
from custom.pictures.movie import BAR
from custom.pictures.planes import Volume, apex_at, cut, end_systole, long_axis_planes, read_labels, read_volume
from custom.pictures.stack import save_stack_movie, save_stack_picture
from custom.pictures.stack_views import acquired_in, ends_of, upright_planes
from custom.pictures.temporal import moving_lines
from custom.scans.provenance import read_sidecar

ROTATION = Rotation.from_euler("xyz", [20, -35, 50], degrees=True)


def oblique(spacing) -> np.ndarray:
    affine = np.eye(4)
    affine[:3, :3] = ROTATION.as_matrix() * spacing
    affine[:3, 3] = 12, -40, 7
    return affine


def heart(pitch=8.0, slices=9, phases=1, tilt=0.15, order=(0, 1, 2)):
    """A ventricle with a tilted axis, apex at the first slice, a right one beside it: image, labels `(X, Y, Z, T)`.

    `order` says which of row, column and slice each array axis is.
    """
    z = np.arange(slices) * pitch
    y, x = np.meshgrid(np.arange(60) * 1.5, np.arange(50) * 1.5, indexing="ij")
    labels = np.zeros((60, 50, slices, phases), np.uint8)
    for t in range(phases):
        beat = 1 - 0.3 * np.sin(np.pi * t / phases)
        for k, depth in enumerate(z):
            radius = beat * 22 * np.sqrt((k + 1) / slices)
            from_axis = np.hypot(y - 44 - tilt * depth, x - 40)
            right = np.hypot(y - 44 - tilt * depth, x - 12) < 0.5 * radius
            labels[:, :, k, t] = np.select([from_axis < radius, from_axis < radius + 8, right], [1, 2, 3])
    image = np.choose(labels, [30.0, 200.0, 60.0, 190.0]) + 0.2 * z[:, None]
    affine = oblique((1.5, 1.5, pitch))
    affine[:3, :3] = affine[:3, list(order)]
    move = (*order, 3)
    return Volume(image.transpose(move).astype(np.float32), affine, order.index(2)), labels.transpose(move)


@pytest.mark.parametrize("order", ((0, 1, 2), (2, 0, 1), (1, 2, 0)))
def test_planes_follow_the_labels_axis(order):
    stack, labels = heart(order=order)
    planes = long_axis_planes(stack, Volume(labels, stack.affine, stack.axis))
    expected = ROTATION.apply([0.15, 0, 1]) / np.hypot(0.15, 1)
    for plane in planes.values():
        assert plane.down @ expected > 0.999  # base down: the ventricle widens along the slices
        assert abs(plane.down @ plane.across) < 1e-9 and np.linalg.norm(plane.across) == pytest.approx(1)
        assert 2 * plane.half_length == pytest.approx(64 / (plane.down @ ROTATION.apply([0, 0, 1])), rel=1e-6)
    # The right ventricle lies towards smaller x: the four chamber plane points away from it.
    assert planes["4ch"].across @ ROTATION.apply([0, 1, 0]) > 0.99
    assert planes["4ch"].across @ planes["2ch"].across == pytest.approx(0.5)
    assert planes["4ch"].across @ planes["3ch"].across == pytest.approx(-0.5)


def test_the_four_chamber_cut_shows_both_ventricles_at_their_width():
    stack, labels = heart()
    plane = long_axis_planes(stack, Volume(labels, stack.affine, stack.axis))["4ch"]
    marks = cut(Volume(labels.astype(np.float32), stack.affine, stack.axis), plane, 0, "nearest")
    assert marks.shape == (66, 141)
    row = marks[-8]  # near the base, the last slice but one
    left = 45 + np.flatnonzero(np.isclose(row[45:95], 1, atol=0.3))  # elsewhere 1 is between two other labels
    assert len(left) == pytest.approx(2 * 22 * np.sqrt(8 / 9), abs=3)  # mm: true proportions
    assert abs(left.mean() - 70) < 2  # the axis is in the middle
    assert np.flatnonzero(row > 2.5).mean() < left.min()  # the right ventricle on the left
    assert np.isnan(row[:3]).all()  # outside the volume


def test_blocks_are_blocks_and_linear_is_the_interpolation_between_slices():
    values = np.zeros((20, 20, 3, 1), np.float32)
    values[:, :, 1] = 10
    stack = Volume(values, oblique((1, 1, 10)), 2)
    plane = long_axis_planes(stack)["4ch"]
    blocks, linear = (cut(stack, plane, 0, through, width_mm=10) for through in ("nearest", "linear"))
    np.testing.assert_allclose(linear[:, 5], 10 - abs(np.arange(21) - 10), atol=1e-4)
    assert set(np.unique(blocks[:, 5])) == {0, 10} and blocks[6:15, 5].min() == 10 and blocks[4, 5] == 0


def test_without_labels_the_axis_is_the_normal_through_what_beats():
    stack, _ = heart(phases=8, tilt=0.0)
    plane = long_axis_planes(stack)["4ch"]
    np.testing.assert_allclose(plane.down, ROTATION.apply([0, 0, 1]), atol=1e-12)
    row, column, depth = stack.voxels(plane.centre[None])[0]
    assert abs(1.5 * row - 44) < 5 and abs(1.5 * column - 33) < 12 and depth == pytest.approx(4)
    still = Volume(stack.values[..., :1], stack.affine, 2)
    np.testing.assert_allclose(still.voxels(long_axis_planes(still)["2ch"].centre[None])[0], [29.5, 24.5, 4], atol=1e-9)


def test_end_systole_is_the_smallest_ventricle_and_without_labels_the_most_different_phase():
    stack, labels = heart(phases=8)
    assert end_systole(stack, Volume(labels, stack.affine, 2)) == 4
    assert end_systole(stack) == 4


def write(path, volume, values=None):
    values = (volume.values if values is None else values).astype(np.int16)
    nib.save(nib.Nifti1Image(values[..., 0] if values.shape[3] == 1 else values, volume.affine), path)
    return str(path)


def dense_of(stack, factor):
    """Linear interpolation of a stack along its last spatial axis."""
    z = np.arange((stack.values.shape[2] - 1) * factor + 1) / factor
    low = z.astype(int).clip(0, stack.values.shape[2] - 2)
    share = (z - low)[:, None]
    values = stack.values[:, :, low] * (1 - share) + stack.values[:, :, low + 1] * share
    affine = stack.affine.copy()
    affine[:3, 2] /= factor
    return Volume(values, affine, 2)


def test_cuts_from_disk_to_picture_and_table(tmp_path):
    dense, labels = heart(pitch=1.0, slices=33, phases=4)
    sparse = Volume(dense.values[:, :, ::8], oblique((1.5, 1.5, 8.0)), 2)
    paths = {
        name: write(tmp_path / f"{name}.nii.gz", volume) for name, volume in (("sparse", sparse), ("dense", dense))
    }
    marks = write(tmp_path / "labels.nii.gz", dense, labels)
    linear = write(tmp_path / "linear.nii.gz", dense_of(sparse, 8))
    picture = tmp_path / "figures" / "cuts.png"
    methods = {"Perfect": paths["dense"], "Linear x8": linear}
    long_axis.picture_of(paths["sparse"], str(picture), methods, paths["dense"], marks)
    assert imread(picture).std() > 5
    with open(picture.with_suffix(".csv"), newline="") as file:
        rows = list(csv.DictReader(file))
    assert len(rows) == 2 * 3 * 4 and {row["phase"] for row in rows} == {"ED", "ES"}
    for view in ("4ch", "2ch", "3ch"):
        psnr = {row["stack"]: float(row["psnr"]) for row in rows if (row["view"], row["phase"]) == (view, "ED")}
        assert psnr["Perfect"] == 100 and psnr["acquired"] < psnr["linear"] < 60
        assert psnr["Linear x8"] == pytest.approx(psnr["linear"], abs=0.3)  # the file was rounded to whole numbers
    with pytest.raises(InputError, match="has no phase 4"):
        long_axis.picture_of(paths["sparse"], str(picture), phases=[0, 4])
    write(tmp_path / "three.nii.gz", sparse, sparse.values[..., :3])
    with pytest.raises(InputError, match="3 phases, the acquired stack 4"):
        long_axis.picture_of(paths["sparse"], str(picture), {"Short": str(tmp_path / "three.nii.gz")})


def test_labels_without_a_ventricle_are_refused(tmp_path):
    stack, labels = heart()
    path = write(tmp_path / "labels.nii.gz", stack, 3 * (labels == 3))
    with pytest.raises(InputError, match="no left ventricle"):
        read_labels(path, 2)


@pytest.mark.parametrize("phases", (1, 4))
def test_picture_of_a_densified_stack(tmp_path, phases, monkeypatch):
    drawn: list[Figure] = []
    monkeypatch.setattr(stack_picture, "save", lambda figure, path: drawn.append(figure))
    dense = dense_of(heart(phases=phases)[0], 8)
    path = tmp_path / "P1_interp.nii.gz"
    write(path, dense)
    count = dense.values.shape[2]
    with pytest.raises(InputError, match="does not say"):
        stack_picture.picture_of(str(path), str(tmp_path / "p.png"))
    synthetic = [k for k in range(count) if k % 8]
    (tmp_path / "P1_interp.json").write_text(json.dumps({"synthetic_slices": synthetic, "slice_axis": 2}))
    stack_picture.picture_of(str(path), str(tmp_path / "p.png"), phase=phases - 1)
    (figure,) = drawn
    titles = [axes.get_title() for part in figure.subfigs for axes in part.axes]
    assert sum(title.startswith("synthetic") for title in titles) == 2 * 5  # seven of the nine slices of each gap
    shown = {f"long axis: {what}" for what in (stack_picture.BLOCKS, stack_picture.LINEAR, stack_picture.DENSE)}
    assert shown < set(titles)
    assert figure.get_figheight() * 160 < 2 * 1080  # two screens
    assert (len(figure.subfigs) == 3) == (phases > 1)
    with pytest.raises(InputError, match=f"has no phase {phases}"):
        stack_picture.picture_of(str(path), str(tmp_path / "p.png"), phase=phases)


def test_the_cuts_name_the_ends_where_the_place_in_the_patient_tells_them():
    towards_apex = np.array([-0.7, 0.6, -0.4]) / np.linalg.norm([0.7, 0.6, 0.4])
    for sign, last in ((1, True), (-1, False)):
        stack, _ = heart()
        affine = np.eye(4)
        affine[:3, 2] = 8 * sign * towards_apex
        turned = Volume(stack.values, affine, 2)
        assert apex_at(turned) == (turned.count - 1 if last else 0)
        planes = upright_planes(turned)
        assert all(plane.down @ towards_apex < -0.99 for plane in planes.values())  # the base is below
        assert ends_of(turned) == ("apex", "base")
    lost = Volume(stack.values, np.diag([1.5, 1.5, 8.0, 1.0]), 2)
    assert apex_at(lost) is None and ends_of(lost) == ("first slice", "last slice")


def test_the_row_along_time_goes_through_the_left_ventricle():
    stack, _ = heart(phases=8, tilt=0.0)
    cine = np.moveaxis(stack.values[:, :, 6], 2, 0)
    row, column = moving_lines(cine / cine.max())
    assert abs(1.5 * row - 44) < 4 and abs(1.5 * column - 40) < 4


@pytest.mark.parametrize("phases", (1, 4))
def test_a_movie_shows_every_phase_or_every_slice(tmp_path, phases):
    dense = dense_of(heart(phases=phases)[0], 2)
    mask = np.arange(dense.count) % 2 > 0
    save_stack_movie(dense, mask, tmp_path / "heart.gif")
    with Image.open(tmp_path / "heart.gif") as movie:
        assert movie.n_frames == (phases if phases > 1 else dense.count) and movie.info["loop"] == 0
        colours = []
        for frame in range(2):
            movie.seek(frame)
            colours.append(np.asarray(movie.convert("RGB"))[BAR + 1, 6])
    if phases == 1:  # slice by slice: acquired, then synthetic
        assert colours[0][2] > colours[0][0] and colours[1][0] > colours[1][2]
    with pytest.raises(InputError, match="no name of a movie"):
        save_stack_movie(dense, mask, tmp_path / "heart.png")


def test_slices_closer_than_pixels_are_found_by_the_sidecar(tmp_path):
    dense = dense_of(heart()[0], 8)  # 1 mm apart, pixels of 1.5 mm
    path = tmp_path / "P1_interp.nii.gz"
    write(path, dense)
    assert read_volume(path).axis != 2 and read_volume(path, 2).axis == 2
    (tmp_path / "P1_interp.json").write_text(json.dumps({"synthetic_slices": [1], "slice_axis": 2}))
    assert read_volume(path, read_sidecar(path).get("slice_axis")).axis == 2


def test_the_acquired_stack_is_taken_out_of_the_dense_one_where_it_was(tmp_path):
    sparse, _ = heart()
    dense = dense_of(sparse, 4)
    found = acquired_in(dense, np.arange(0, dense.values.shape[2], 4))
    np.testing.assert_allclose(found.affine, sparse.affine)
    np.testing.assert_allclose(found.values, sparse.values)
    save_stack_picture(dense, np.arange(dense.values.shape[2]) % 4 > 0, tmp_path / "new" / "picture.png")
    assert imread(tmp_path / "new" / "picture.png").std() > 5
    with pytest.raises(ValueError, match="do not fit"):
        save_stack_picture(dense, np.zeros(3, dtype=bool), tmp_path / "picture.png")
