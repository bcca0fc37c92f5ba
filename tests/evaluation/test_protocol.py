# SPDX-FileCopyrightText: 2026 The CardioInterp Bundles Authors
# SPDX-License-Identifier: Apache-2.0

"""The benchmark scores what it should, once, and the same when it is killed and run again."""

from __future__ import annotations

import csv

import pytest
import torch
from ignite.engine import Events
from torch import nn

from custom.evaluation.batches import describe_inputs, gather_neighbours, window_seed
from custom.evaluation.methods import fingerprint
from custom.evaluation.protocol import InterpolationBenchmark
from custom.interpolators.base import Interpolator
from custom.interpolators.classical import LinearFrames, NearestFrame
from custom.metrics.fidelity import PSNR_CAP_DB


class NoisyLinear(Interpolator):
    """Linear plus seeded noise: a stochastic method whose mean of samples must beat its samples."""

    def __init__(self, strength: float = 0.1) -> None:
        super().__init__()
        self.strength, self.calls = strength, []

    def interpolate(self, neighbours, positions, seeds=None, wrap_rows=False):
        self.calls.append(tuple(neighbours.shape))
        frames = LinearFrames().interpolate(neighbours, positions)
        noise = [torch.randn(frames.shape[1:], generator=torch.Generator().manual_seed(seed)) for seed in seeds]
        return (frames + self.strength * torch.stack(noise)).clamp(0, 1)


def run(folder, windows, **options):
    benchmark = InterpolationBenchmark(windows, output_dir=folder, **options)
    benchmark.run()
    with open(folder / "metrics.csv", newline="") as file:
        return benchmark, list(csv.DictReader(file))


def test_only_unknown_frames_are_scored(tmp_path, make_windows):
    _, rows = run(tmp_path, make_windows(), methods={"Nearest": NearestFrame()})
    for factor in (2, 4, 6):
        frames = {int(row["step"]) for row in rows if row["factor"] == str(factor)}
        assert frames == set(range(1, factor))
    # 13 frames: 6, 3 and 2 gaps with 1, 3 and 5 unknown frames; two patients.
    assert len(rows) == 2 * (6 * 1 + 3 * 3 + 2 * 5)


def test_linear_is_exact_on_a_ramp_and_nearest_is_not(tmp_path, make_windows):
    _, rows = run(tmp_path, make_windows(), methods={"Nearest": NearestFrame(), "Linear": LinearFrames()})
    linear = [float(row["psnr"]) for row in rows if row["method"] == "Linear"]
    nearest = [float(row["psnr"]) for row in rows if row["method"] == "Nearest"]
    assert min(linear) > PSNR_CAP_DB - 1 and max(nearest) < 60


def test_an_oracle_sees_all_frames_and_reaches_the_cap(tmp_path, make_windows):
    seen = []

    def identity(frames):
        seen.append(tuple(frames.shape))
        return frames

    _, rows = run(tmp_path, make_windows(factors=(4,)), methods={}, oracles={"Autoencoder": identity})
    assert {float(row["psnr"]) for row in rows} == {PSNR_CAP_DB}
    assert {row["kind"] for row in rows} == {"oracle"}
    assert all(shape[1:] == (5, 1, 16, 16) for shape in seen)


def test_stochastic_methods_are_scored_as_single_samples_and_as_their_mean(tmp_path, make_windows):
    options = {"methods": {"Noisy": NoisyLinear()}, "num_samples": {"Noisy": 8}}
    _, rows = run(tmp_path, make_windows(factors=(6,)), **options)
    single = [float(row["psnr"]) for row in rows if row["method"] == "Noisy"]
    mean = [float(row["psnr"]) for row in rows if row["method"] == "Noisy mean of 8"]
    assert len(single) == len(mean) == 20
    # The mean of 8 has an eighth of the noise power: 9 dB.
    assert sum(mean) / 20 - sum(single) / 20 == pytest.approx(9, abs=0.7)


def test_results_do_not_depend_on_the_batch_size(tmp_path, make_windows):
    options = {"methods": {"Noisy": NoisyLinear()}, "num_samples": {"Noisy": 2}}
    _, one = run(tmp_path / "one", make_windows(), batch_size=1, **options)
    _, many = run(tmp_path / "many", make_windows(), batch_size=5, **options)
    for row in one + many:
        row.pop("seconds")
    assert one == many


def test_a_repeated_run_keeps_finished_parts_and_gives_the_identical_table(tmp_path, make_windows):
    method = NoisyLinear()
    run(tmp_path, make_windows(), methods={"Noisy": method, "Linear": LinearFrames()})
    before = (tmp_path / "metrics.csv").read_bytes()
    calls = len(method.calls)
    again = NoisyLinear()  # a new process has a new object
    run(tmp_path, make_windows(), methods={"Noisy": again, "Linear": LinearFrames()})
    assert (tmp_path / "metrics.csv").read_bytes() == before
    assert calls > 0 and not again.calls


def test_a_killed_run_goes_on_where_it_was(tmp_path, make_windows, monkeypatch):
    class Killed(LinearFrames):
        def interpolate(self, neighbours, positions, seeds=None, wrap_rows=False):
            raise KeyboardInterrupt

    first = NoisyLinear()
    benchmark = InterpolationBenchmark(make_windows(), {"Noisy": first, "Other": Killed()}, tmp_path)
    with pytest.raises(KeyboardInterrupt):
        benchmark.run()
    assert not (tmp_path / "metrics.csv").exists()
    assert not list(tmp_path.rglob(".part.*"))
    second = NoisyLinear()
    _, rows = run(tmp_path, make_windows(), methods={"Noisy": second, "Other": LinearFrames()})
    assert not second.calls and {row["method"] for row in rows} == {"Noisy", "Other"}


def test_changed_options_weights_or_pixels_are_measured_again(tmp_path, make_windows):
    run(tmp_path, make_windows(), methods={"Noisy": NoisyLinear(0.1)})
    stronger = NoisyLinear(0.2)
    run(tmp_path, make_windows(), methods={"Noisy": stronger})
    assert stronger.calls
    other_pixels = NoisyLinear(0.1)
    run(tmp_path, make_windows(patients=("P1",)), methods={"Noisy": other_pixels})
    assert other_pixels.calls
    a, b = nn.Linear(2, 2), nn.Linear(2, 2)
    b.load_state_dict(a.state_dict())
    assert fingerprint(a) == fingerprint(b)
    with torch.no_grad():
        b.weight[0, 0] += 1e-6
    assert fingerprint(a) != fingerprint(b)


def test_four_neighbours_are_real_where_the_window_has_them_and_replicated_elsewhere():
    frames = torch.arange(7.0).reshape(7, 1, 1, 1).expand(7, 1, 2, 2)
    inner = {"image": frames[2:5]}
    known = inner | {"outer": frames[[0, 6]]}
    assert gather_neighbours([inner], 4)[0, :, 0, 0, 0].tolist() == [2, 2, 4, 4]
    assert gather_neighbours([known], 4)[0, :, 0, 0, 0].tolist() == [0, 2, 4, 6]
    assert gather_neighbours([known], 2)[0, :, 0, 0, 0].tolist() == [2, 4]
    described = [describe_inputs(inner, 4), describe_inputs(known, 4), describe_inputs(known, 2)]
    assert described == ["4 (2 replicated)", "4", "2"]
    # At the ends of a stack the data set itself replicates.
    assert describe_inputs(inner | {"outer": frames[[2, 6]]}, 4) == "4 (1 replicated)"


def test_seeds_tell_windows_and_samples_apart(make_windows):
    windows = make_windows()[6]
    seeds = {window_seed(item, 0, sample) for item in windows.items for sample in range(3)}
    assert len(seeds) == 3 * len(windows)


def test_lpips_is_measured_where_it_is_and_said_to_be_absent_where_it_is_not(tmp_path, make_windows):
    class Distance(nn.Module):
        def forward(self, pred, target):
            return (pred - target).abs().mean(dim=(1, 2, 3))

    methods = {"Nearest": NearestFrame()}
    _, rows = run(tmp_path, make_windows(factors=(2,)), methods=methods)
    assert {row["lpips"] for row in rows} == {"not available"}
    _, rows = run(tmp_path, make_windows(factors=(2,)), methods=methods, lpips=Distance())
    assert all(float(row["lpips"]) > 0 for row in rows)


def test_handlers_find_the_averages_when_the_epoch_completes(tmp_path, make_windows):
    class Spy:
        def attach(self, engine):
            engine.add_event_handler(Events.EPOCH_COMPLETED, lambda e: found.update(e.state.metrics))

    found: dict[str, float] = {}
    run(tmp_path, make_windows(factors=(2,)), methods={"Linear": LinearFrames()}, val_handlers=[Spy()])
    assert found["Linear/x2/psnr"] > PSNR_CAP_DB - 1 and "Linear/x2/lpips" not in found


def test_wrong_windows_are_named(tmp_path, make_windows):
    windows = make_windows()
    with pytest.raises(ValueError, match="x6 needs windows of 7 frames"):
        InterpolationBenchmark({6: windows[4]}, {"Linear": LinearFrames()}, tmp_path).run()
    with pytest.raises(ValueError, match="not among the methods"):
        InterpolationBenchmark(windows, {"Linear": LinearFrames()}, tmp_path, num_samples={"Other": 2})
