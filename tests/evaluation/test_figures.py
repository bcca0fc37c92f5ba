# SPDX-FileCopyrightText: 2026 The CardioInterp Bundles Authors
# SPDX-License-Identifier: Apache-2.0

"""The figures are drawn from what was measured, and mark what is synthetic."""

from __future__ import annotations

import numpy as np
import pytest
from matplotlib.colors import to_hex
from PIL import Image
from skimage.io import imread

from custom.evaluation.protocol import InterpolationBenchmark
from custom.interpolators.classical import LinearFrames
from custom.papers.results import report
from custom.pictures import figures, plotting
from custom.pictures import pullback as pullback_picture
from custom.pictures.movie import thinned
from custom.pictures.pullback import save_pullback_picture


def example(factor=6, windows=2, size=12):
    truth = np.random.default_rng(0).random((windows, factor + 1, size, size))
    truth[1:, 0] = truth[:-1, -1]
    return truth, {"Linear": truth[:, 1:-1] * 0.9, "Perfect": truth[:, 1:-1]}


def test_the_benchmark_draws_all_its_figures(tmp_path, make_windows):
    windows = make_windows(factors=(2, 4))
    oracles = {"Codec": lambda x: x}
    InterpolationBenchmark(
        windows, {"Linear": LinearFrames()}, tmp_path, oracles=oracles, val_handlers=[report()]
    ).run()
    names = {path.name for path in (tmp_path / "figures").iterdir()}
    cuts = {"longitudinal_x2.png", "longitudinal_x4.png"}
    assert names == {"comparison.png", "sequence_x4.png", "position_x4.png"} | cuts
    for path in (tmp_path / "figures").iterdir():
        assert imread(path).std() > 5


def test_windows_are_joined_without_repeating_their_common_ends():
    truth, _ = example()
    joined = figures._join(truth, truth[:, 1:-1])
    assert len(joined) == 2 * 6 + 1
    np.testing.assert_array_equal(joined[6], truth[0, -1])
    np.testing.assert_array_equal(joined[7], truth[1, 1])


def test_comparison_shows_middle_frames_and_shares_one_error_scale():
    figure = figures.comparison({2: example(2), 6: example(6)}, "polar")
    truth, _ = example(6)
    images = [image for axes in figure.axes for image in axes.get_images()]
    np.testing.assert_array_equal(images[2].get_array(), truth[1, 3])  # row 0: frame and difference of x2, then x6
    errors = [image for image in images if image.get_cmap().name == plotting.ERROR_MAP]
    assert len(errors) == 6 and len({image.get_clim() for image in errors}) == 1


def test_many_methods_at_one_factor_stand_in_blocks_side_by_side():
    truth, _ = example(2)
    methods = {f"method {k}": truth[:, 1:-1] * k / 20 for k in range(1, 12)}
    figure = figures.comparison({2: (truth, methods)}, "cartesian")
    names = [text.get_text().replace("\n", " ") for axes in figure.axes for text in axes.texts]
    assert [name for name in names if name.startswith("method")] and {*methods} <= set(names)
    images = [image.get_array() for axes in figure.axes for image in axes.get_images()]
    assert len(images) == 2 * (1 + len(methods))
    rows = len({round(axes.get_position().y0, 3) for axes in figure.axes if axes.get_images()})
    assert rows <= figures.MOST_ROWS
    assert any(np.array_equal(image, methods["method 11"][1, 0]) for image in images)


def test_synthetic_and_acquired_frames_have_different_borders():
    figure, axes = plotting.panels(1, 2, 2, 1)
    plotting.show_frame(axes[0, 0], np.zeros((4, 4)), synthetic=False)
    plotting.show_frame(axes[0, 1], np.zeros((4, 4)), synthetic=True)
    acquired, synthetic = (a.spines["left"] for a in axes[0])
    assert to_hex(acquired.get_edgecolor()) == plotting.ACQUIRED and acquired.get_linestyle() == "solid"
    assert to_hex(synthetic.get_edgecolor()) == plotting.SYNTHETIC and synthetic.get_linestyle() != "solid"


@pytest.mark.parametrize("coordinates", ["polar", "cartesian"])
def test_pullback_picture(tmp_path, coordinates):
    volume = np.random.default_rng(0).integers(0, 255, (24, 16, 13), dtype=np.uint8)
    mask = np.arange(13) % 6 > 0
    path = tmp_path / "new folder" / "picture.png"
    save_pullback_picture(volume, mask, path, coordinates=coordinates, frame_pitch_mm=0.2 / 6)
    assert imread(path).std() > 5
    with pytest.raises(ValueError, match="does not match 13 frames"):
        save_pullback_picture(volume, mask[:-1], path)


def test_a_flight_through_a_pullback(tmp_path):
    volume = np.random.default_rng(0).integers(0, 255, (24, 16, 13), dtype=np.uint8)
    pullback_picture.save_pullback_movie(volume, np.arange(13) % 6 > 0, tmp_path / "p.gif")
    with Image.open(tmp_path / "p.gif") as movie:
        assert movie.n_frames == 13 and np.asarray(movie.convert("L")).std() > 5
    assert len(thinned(13)) == 13 and len(thinned(2400)) == 300


def test_the_linear_cut_passes_through_the_acquired_frames():
    cut = np.random.default_rng(0).random((5, 13))
    linear = pullback_picture._linear(cut, np.arange(0, 13, 6))
    np.testing.assert_array_equal(linear[:, ::6], cut[:, ::6])
    np.testing.assert_allclose(linear[:, 3], (cut[:, 0] + cut[:, 6]) / 2)


def test_the_picture_shows_one_gap_with_its_acquired_ends():
    assert plotting.one_gap(np.arange(0, 13, 4), 1) == [4, 5, 6, 7, 8]
    shown = plotting.one_gap(np.array([0, 24]), 0)
    assert shown[0] == 0 and shown[-1] == 24 and len(shown) == plotting.MAX_COLUMNS


def test_the_longitudinal_cut_joins_opposite_alines_at_the_catheter():
    volume = np.arange(4 * 3)[:, None].reshape(4, 3, 1).astype(float)
    cut, _ = pullback_picture._longitudinal_cut(volume, "polar")
    assert cut.shape == (6, 1)
    line, opposite = cut[3:, 0], cut[:3, 0][::-1]
    assert (opposite - line == 6).all()  # half a turn away: two rows of three depths
