# SPDX-FileCopyrightText: 2026 The CardioInterp Bundles Authors
# SPDX-License-Identifier: Apache-2.0

"""The benchmark on cardiac MR: slices and cine slices, MR's words and measures, rFID, generation times, steps."""

from __future__ import annotations

import csv

import numpy as np
import pytest
import torch
from skimage.io import imread
from torch import nn

from custom.evaluation import batches
from custom.evaluation.modality import MODALITIES
from custom.evaluation.protocol import InterpolationBenchmark
from custom.evaluation.scoring import fold_phases, score_frames
from custom.evaluation.steps import StepsSweep
from custom.evaluation.survey import survey_windows
from custom.interpolators.base import Interpolator
from custom.interpolators.classical import CubicFrames, LinearFrames
from custom.metrics.fidelity import psnr
from custom.papers.results import report
from custom.pictures.temporal import moving_lines

SIZE = 32


def cine(slices: int, seed: int, phases: int = 6) -> torch.Tensor:
    """A stack `(N, 1, T, h, w)` in which every slice beats, and slices change smoothly from one to the next."""
    generator = torch.Generator().manual_seed(seed)
    ends = torch.rand(2, 1, 1, SIZE, SIZE, generator=generator)
    depth = torch.linspace(0, 1, slices).reshape(-1, 1, 1, 1, 1)
    beat = 0.8 + 0.2 * torch.cos(2 * torch.pi * torch.arange(phases) / phases).reshape(1, 1, -1, 1, 1)
    return (ends[0] * (1 - depth) ** 2 + ends[1] * depth) * beat


class Triplets(torch.utils.data.Dataset):
    """Windows as `GridTripletDataset` gives them: overlapping at gap 2, with their stride."""

    def __init__(self, gap=2, stride=1, slices=9, by_phase=False, patients=("P1", "P2")):
        self.items = []
        for k, patient in enumerate(patients):
            stack = cine(slices, seed=k)
            step = 1 if gap == 2 else gap * stride
            for first in range(0, slices - gap * stride, step):
                image = stack[first : first + gap * stride + 1 : stride]
                item = {"patient": patient, "scan": f"{patient}_cine", "first": first, "crop": (-2, 0)}
                item |= {"image": image, "outer": image[[0, -1]], "stride": stride}
                phases = [(f"_t{t:02d}", image[:, :, t]) for t in (0, 3)] if by_phase else [("", image)]
                for name, part in phases:
                    self.items.append(item | {"image": part, "outer": part[[0, -1]], "scan": item["scan"] + name})

    def __len__(self):
        return len(self.items)

    def __getitem__(self, index):
        return self.items[index]


class Distance(torch.nn.Module):
    """Stands for ST-LPIPS: the mean difference of two images."""

    def forward(self, pred: torch.Tensor, truth: torch.Tensor) -> torch.Tensor:
        return (pred - truth).abs().mean(dim=(1, 2, 3))


class Features(nn.Module):
    """Stands for Inception: a few statistics of each image."""

    def forward(self, image):
        assert image.ndim == 4 and image.shape[1] == 1
        return torch.stack([image.mean((1, 2, 3)), image.std((1, 2, 3)), image[..., 3].mean((1, 2))], 1)


class PairsOnly(Interpolator):
    """A 2D method that notes what it was given."""

    def __init__(self, takes_phases=False):
        super().__init__()
        self.takes_phases, self._seen = takes_phases, []

    def interpolate(self, neighbours, positions, seeds=None, wrap_rows=False):
        self._seen.append((tuple(neighbours.shape), tuple(seeds)))
        return LinearFrames().interpolate(neighbours, positions)


def run(folder, windows, methods, modality="cmr_cine", kind=InterpolationBenchmark, **options):
    options = {"modality": modality, "coordinates": "cartesian", "batch_size": 3, "val_handlers": [report()]} | options
    benchmark = kind(windows, methods, output_dir=folder, **options)
    benchmark.run()
    with open(folder / "metrics.csv", newline="") as file:
        return benchmark, list(csv.DictReader(file))


def test_scores_of_a_cine_are_the_mean_of_its_phases():
    truth = cine(3, 0)
    pred = (truth + 0.1 * torch.rand(truth.shape, generator=torch.Generator().manual_seed(1))).clamp(0, 1)
    metrics = MODALITIES["cmr_cine"].metrics
    scores = score_frames(pred, truth, None, metrics)
    for k in range(3):
        per_phase = psnr(pred[k].movedim(1, 0), truth[k].movedim(1, 0))
        assert scores["psnr"][k] == pytest.approx(per_phase.mean().item(), abs=1e-4)
    assert scores["lpips"] is None and min(scores["roughness"]) > 1.2
    assert list(scores) == [metric.key for metric in metrics]
    assert torch.equal(fold_phases(truth)[7], truth[1, :, 1])
    single = score_frames(truth[:, :, 0], truth[:, :, 0], None, MODALITIES["cmr"].metrics)
    assert single["ssim"] == pytest.approx([1.0] * 3) and "roughness" not in single


def test_a_2d_method_sees_a_cine_phase_by_phase_with_one_seed_per_slice():
    neighbours = torch.stack([cine(2, seed) for seed in range(3)])  # (3, 2, 1, 6, h, w)
    positions = torch.tensor([1, 2]) / 3
    flat, whole = PairsOnly(), PairsOnly(takes_phases=True)
    results = [batches.interpolate(method, neighbours, positions, [5, 6, 7]) for method in (flat, whole)]
    assert flat._seen == [((18, 2, 1, SIZE, SIZE), (5,) * 6 + (6,) * 6 + (7,) * 6)]
    assert whole._seen == [((3, 2, 1, 6, SIZE, SIZE), (5, 6, 7))]
    assert results[0].shape == (3, 2, 1, 6, SIZE, SIZE)
    torch.testing.assert_close(*results)


def test_neighbours_of_cines_are_gathered_and_replicated():
    items = Triplets().items[:2]
    assert batches.gather_neighbours(items, 4).shape == (2, 4, 1, 6, SIZE, SIZE)
    six = batches.gather_neighbours(items, 6)
    assert torch.equal(six[:, 0], six[:, 1])
    # These windows' outer slices are replicas themselves.
    assert [batches.describe_inputs(items[0], count) for count in (2, 4, 6)] == [
        "2",
        "4 (2 replicated)",
        "6 (4 replicated)",
    ]


def test_cines_are_scored_and_drawn_and_nothing_speaks_of_frames(tmp_path):
    methods = {"Linear": LinearFrames(), "Cubic": CubicFrames(), "CaLID": PairsOnly(takes_phases=True)}
    options = {"oracles": {"Autoencoder": lambda x: x}, "inception": Features(), "timed": {"CaLID": PairsOnly(True)}}
    options |= {"lite0": Features(), "st_lpips": Distance()}
    benchmark, rows = run(tmp_path, {2: Triplets()}, methods, **options)
    assert len(rows) == 4 * 2 * 7 and {row["phases"] for row in rows} == {"6"}
    assert {(row["scan"], row["crop_y"]) for row in rows} == {("P1_cine", "-2"), ("P2_cine", "-2")}
    text = (tmp_path / "summary.md").read_text()
    assert "unknown slices, counting phases" in text and "84 unknown" in text
    assert "frame" not in text and "pullback" not in text and "frame" not in (tmp_path / "metrics.csv").read_text()
    line = next(line for line in benchmark.summary if line["method"] == "CaLID")
    assert line["fd_lite0"] == line["rfid"] > 0 and line["st_lpips"] > 0 and "| ST-LPIPS |" in text
    assert "| FD-Lite0 |" in text and line["lpips"] is None
    assert line["rfid"] > 0 and line["rfid_images"] == 84 and line["gen_seconds"] > 0
    assert next(line for line in benchmark.summary if line["kind"] == "oracle")["rfid"] == pytest.approx(0, abs=1e-6)
    names = {path.name for path in (tmp_path / "figures").iterdir()}
    assert names == {"comparison.png", "sequence_x2.png", "longitudinal_x2.png", "temporal.png"}
    assert all(imread(path).std() > 5 for path in (tmp_path / "figures").iterdir())
    # A repeated run reads what it finds: features and times as well.
    again, _ = run(tmp_path, {2: Triplets()}, methods, **options)
    assert again.summary == benchmark.summary


def test_tables_have_the_papers_numbers_in_columns_of_their_own(tmp_path):
    run(tmp_path, {2: Triplets(by_phase=True)}, {"Linear": LinearFrames(), "CaLID": PairsOnly()}, "cmr")
    lines = (tmp_path / "summary.md").read_text().splitlines()
    table = [[cell.strip() for cell in line.strip("|").split("|")] for line in lines if line.startswith("|")]
    header, body = table[0], {row[0]: row for row in table[2:12]}
    assert header[6] == "PSNR (dB), paper (UK Biobank, not comparable)" and len(header) == 11
    assert body["Linear"][6:] == ["19.795", "0.535", "0.149", "84.050", "-"]
    assert body["CaLID"][6:] == ["22.748", "0.755", "0.097", "55.585", "3.025"]
    assert body["CaLID"][3:6] == ["not available", "not available", "-"]
    assert body["DMCVR"] == ["DMCVR", *["-"] * 5, "21.023", "0.631", "0.124", "87.995", "8.966"]
    assert body["CaLID+ (2D+T)"][6:] == ["23.557", "0.757", "0.116", "53.928", "39.823"]
    assert "Bilinear Pixel" not in body  # it is our row "Linear"


def test_gaps_of_several_factors_between_known_slices_that_lie_equally_far_apart(tmp_path):
    """Slices 1 mm apart, known ones 8 mm apart, at x2, x4 and x8: the same known slices, ever more unknown ones."""
    windows = {2: Triplets(2, 4, 33), 4: Triplets(4, 2, 33), 8: Triplets(8, 1, 33)}
    benchmark, rows = run(tmp_path, windows, {"Linear": LinearFrames()})
    positions = {f: sorted({float(r["position"]) for r in rows if r["factor"] == str(f)}) for f in windows}
    assert positions == {2: [0.5], 4: [0.25, 0.5, 0.75], 8: [k / 8 for k in range(1, 8)]}
    for factor, survey in benchmark.surveys.items():
        firsts = [windows[factor][index]["first"] for index in survey.examples]
        assert firsts == [0, 8, 16, 24][: len(firsts)] and len(firsts) > 1
    middle = {
        factor: [
            r["psnr"] for r in rows if (r["factor"], r["position"]) == (str(factor), "0.5000") and r["first"] == "8"
        ]
        for factor in windows
    }
    assert middle[2] == middle[4] == middle[8] and middle[2]


def test_overlapping_triplets_give_a_run_of_adjoining_ones():
    survey = survey_windows(Triplets(patients=("P1",)), 2)
    assert [Triplets()[index]["first"] for index in survey.examples] == [0, 2, 4, 6]


class Blurred(Interpolator):
    """Less wrong with every step."""

    def __init__(self, steps):
        super().__init__()
        self.steps = steps

    def interpolate(self, neighbours, positions, seeds=None, wrap_rows=False):
        return (LinearFrames().interpolate(neighbours, positions) + 0.2 / self.steps).clamp(0, 1)


def test_a_sweep_over_steps_gives_a_curve_a_table_and_level_lines(tmp_path):
    methods = {"CaLID": {k: Blurred(k) for k in (1, 2, 8)}, "CaLID+": {"2": Blurred(4)}}
    windows = {2: Triplets(by_phase=True, patients=("P1",))}
    _, rows = run(
        tmp_path, windows, methods, "cmr", StepsSweep, baselines={"Linear": LinearFrames()}, inception=Features()
    )
    assert {row["method"] for row in rows} == {
        *("CaLID, 1 steps", "CaLID, 2 steps", "CaLID, 8 steps", "CaLID+, 2 steps", "Linear")
    }
    with open(tmp_path / "steps.csv", newline="") as file:
        table = list(csv.DictReader(file))
    assert [(line["method"], line["steps"]) for line in table] == [
        *(("CaLID", "1"), ("CaLID", "2"), ("CaLID", "8"), ("CaLID+", "2"), ("Linear", ""))
    ]
    values = [float(line["psnr"]) for line in table]
    assert values[0] < values[1] < values[2] and values[1] < values[3]
    assert float(table[0]["rfid"]) > float(table[2]["rfid"]) and table[0]["lpips"] == "not available"
    assert float(table[0]["seconds"]) > 0
    assert imread(tmp_path / "figures" / "steps.png").std() > 5
    with pytest.raises(ValueError, match="one factor"):
        StepsSweep({2: windows[2], 4: windows[2]}, methods, tmp_path)


def test_wrong_options_are_named(tmp_path):
    with pytest.raises(ValueError, match="no modality 'ct'"):
        InterpolationBenchmark({2: Triplets()}, {}, tmp_path, modality="ct")
    with pytest.raises(ValueError, match="timed names"):
        InterpolationBenchmark({2: Triplets()}, {}, tmp_path, timed={"CaLID": LinearFrames()})


def test_temporal_lines_pass_through_what_beats():
    still = np.random.default_rng(0).random((1, 64, 64)).repeat(8, axis=0)
    still[:, 30:40, 20:30] *= 0.5 + 0.5 * np.cos(np.arange(8) * np.pi / 4)[:, None, None] ** 2
    row, column = moving_lines(still)
    assert 28 < row < 41 and 18 < column < 32
    assert moving_lines(still[:1]) == (32, 32)
