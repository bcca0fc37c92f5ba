# Copyright 2026 The CardioInterp Bundles Authors
# Licensed under the Apache License, Version 2.0 (the "License");
# you may not use this file except in compliance with the License.
# You may obtain a copy of the License at
#     http://www.apache.org/licenses/LICENSE-2.0
# Unless required by applicable law or agreed to in writing, software
# distributed under the License is distributed on an "AS IS" BASIS,
# WITHOUT WARRANTIES OR CONDITIONS OF ANY KIND, either express or implied.
# See the License for the specific language governing permissions and
# limitations under the License.


"""Registration instead of optical flow for the slice halfway, against TV-L1 flow and the average.

    pip install SimpleITK==2.5.7 dipy==1.12.1        extras: nothing else needs them
    python benchmarks/registration.py --dataset_dir mix/2d --section validation
    python benchmarks/registration.py --dataset_dir mix/2d --methods average,tvl1,demons --output results/registration

Test triplets of `GridTripletDataset`: the middle slice is predicted and scored; averages are over stacks. Demons and
B-splines give a displacement in both directions and take TV-L1's place in `FlowMidpoint`; SyN warps both slices to a
halfway image by itself.
"""

from __future__ import annotations

import sys
import time
from collections import defaultdict
from pathlib import Path
from typing import Any

import fire
import numpy as np
import torch

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from benchmarks.measure import Table  # noqa: E402
from custom.data.sources import cmr_datalist  # noqa: E402
from custom.data.triplets import GridTripletDataset  # noqa: E402
from custom.errors import InputError, report_input_errors  # noqa: E402
from custom.interpolators.base import Interpolator  # noqa: E402
from custom.interpolators.classical import LinearFrames  # noqa: E402
from custom.interpolators.optical_flow import FlowMidpoint  # noqa: E402
from custom.metrics.fidelity import psnr, ssim  # noqa: E402

COLUMNS = {
    "method": "Method",
    "psnr": "PSNR (dB)",
    "ssim": "SSIM",
    "gain": "PSNR over TV-L1 (dB)",
    "better": "stacks better than TV-L1",
    "seconds": "s per slice",
}


class DemonsMidpoint(FlowMidpoint):
    """Diffeomorphic demons (Vercauteren et al., 2009), coarse to fine, in place of TV-L1.

    Args:
        sigma: of the smoothing of the displacement after each iteration, pixels of the level.
        iterations: of each level, coarsest first; each has half the pixels per side of the next.
    """

    def __init__(self, sigma: float = 2.0, iterations: tuple[int, ...] = (60, 60, 30)) -> None:
        super().__init__()
        self.sigma, self.iterations = sigma, iterations

    def flow(self, first: np.ndarray, second: np.ndarray) -> np.ndarray:
        """See `FlowMidpoint.flow`."""
        import SimpleITK as sitk

        fixed, moving = sitk.GetImageFromArray(first), sitk.GetImageFromArray(second)
        demons = sitk.DiffeomorphicDemonsRegistrationFilter()
        demons.SetStandardDeviations(self.sigma)
        field = None
        for level, iterations in enumerate(self.iterations):
            factor = 2 ** (len(self.iterations) - 1 - level)
            target, source = _shrunk(fixed, factor), _shrunk(moving, factor)
            demons.SetNumberOfIterations(iterations)
            if field is None:
                field = demons.Execute(target, source)
            else:
                # The last argument goes on with the border's displacement where the coarser level is a little smaller.
                field = sitk.Resample(field, target, sitk.Transform(), sitk.sitkLinear, 0.0, field.GetPixelID(), True)
                field = demons.Execute(target, source, field)
        return _rows_first(sitk.GetArrayFromImage(field))


class SplineMidpoint(FlowMidpoint):
    """Cubic B-splines (Rueckert et al., 1999) with local correlation or mean squares, in place of TV-L1.

    Args:
        spacing: of the control points, pixels.
        metric: "squares", or "correlation" in windows of 9 x 9 pixels.
    """

    def __init__(self, spacing: int = 8, metric: str = "squares") -> None:
        super().__init__()
        self.spacing, self.metric = spacing, metric

    def flow(self, first: np.ndarray, second: np.ndarray) -> np.ndarray:
        """See `FlowMidpoint.flow`."""
        import SimpleITK as sitk

        fixed, moving = sitk.GetImageFromArray(first), sitk.GetImageFromArray(second)
        registration = sitk.ImageRegistrationMethod()
        if self.metric == "squares":
            registration.SetMetricAsMeanSquares()
        else:
            registration.SetMetricAsANTSNeighborhoodCorrelation(4)
        registration.SetInterpolator(sitk.sitkLinear)
        registration.SetOptimizerAsLBFGS2(solutionAccuracy=1e-4, numberOfIterations=60)
        registration.SetShrinkFactorsPerLevel([4, 2, 1])
        registration.SetSmoothingSigmasPerLevel([2, 1, 0])
        coarse = [max(1, extent // (4 * self.spacing)) for extent in fixed.GetSize()]
        spline = sitk.BSplineTransformInitializer(fixed, coarse)
        registration.SetInitialTransformAsBSpline(spline, inPlace=True, scaleFactors=[1, 2, 4])
        registration.Execute(fixed, moving)
        field = sitk.TransformToDisplacementField(spline, sitk.sitkVectorFloat64, fixed.GetSize())
        return _rows_first(sitk.GetArrayFromImage(field))


class SynMidpoint(Interpolator):
    """SyN (Avants et al., 2008) of DIPY: both slices are warped to the image halfway and averaged there.

    Args:
        radius: of the windows of the local correlation, pixels. Squared differences fold the image.
        sigma: of the smoothing of each update, pixels.
    """

    def __init__(self, radius: int = 4, sigma: float = 3.0) -> None:
        super().__init__()
        self.radius, self.sigma = radius, sigma

    def interpolate(self, neighbours, positions, seeds=None):
        """See `Interpolator.interpolate`; one pair of images and the position halfway only."""
        from dipy.align.imwarp import SymmetricDiffeomorphicRegistration
        from dipy.align.metrics import CCMetric

        before, after = (image.double().numpy() for image in neighbours[0, :, 0])
        metric = CCMetric(2, sigma_diff=self.sigma, radius=self.radius)
        syn = SymmetricDiffeomorphicRegistration(metric, level_iters=[50, 50, 25], ss_sigma_factor=0.2)
        syn.verbosity = 0
        syn.optimize(before, after)
        halves = syn.moving_to_ref, syn.static_to_ref
        # SyN's own two halves: each map leads from the image halfway to one of the slices.
        warped = [half.transform_inverse(image) for half, image in zip(halves, (after, before), strict=True)]
        return torch.from_numpy(np.mean(warped, axis=0)).to(neighbours)[None, None, None].clamp(0, 1)


def _shrunk(image: Any, factor: int) -> Any:
    """An image of 1/factor of the size, smoothed first."""
    import SimpleITK as sitk

    if factor == 1:
        return image
    return sitk.Shrink(sitk.SmoothingRecursiveGaussian(image, factor / 2), [factor] * 2)


def _rows_first(field: np.ndarray) -> np.ndarray:
    """Displacements `(H, W, 2)` as (x, y) to `(2, H, W)` as (rows, columns)."""
    return np.moveaxis(field[..., ::-1], -1, 0)


METHODS = {
    "average": LinearFrames,
    "tvl1": FlowMidpoint,
    "tvl1_smooth": lambda: FlowMidpoint(attachment=5.0),
    "tvl1_smoother": lambda: FlowMidpoint(attachment=2.0),
    "demons": DemonsMidpoint,
    "demons_smooth": lambda: DemonsMidpoint(sigma=3.0),
    "demons_rough": lambda: DemonsMidpoint(sigma=1.5),
    "spline": SplineMidpoint,
    "spline_coarse": lambda: SplineMidpoint(spacing=16),
    "spline_correlation": lambda: SplineMidpoint(spacing=16, metric="correlation"),
    "syn": SynMidpoint,
}


def compare(
    dataset_dir: str,
    section: str = "test",
    methods: str | tuple[str, ...] = tuple(METHODS),
    half_gap_mm: float = 8.0,
    crop: int = 128,
    max_windows_per_stack: int = 6,
    output: str | None = None,
) -> None:
    """Score the methods on the triplets of one section of a datalist.

    Args:
        dataset_dir: prepared folder with a datalist.json.
        section: of the datalist.
        methods: names with commas; average and tvl1 are always there.
        half_gap_mm: distance of the known slices from the middle one.
        crop: side of the square that is interpolated, pixels.
        max_windows_per_stack: triplets of each stack and cine at most.
        output: folder for registration.csv.

    Raises:
        InputError: an unknown method, or an unusable data set.
    """
    names = list(methods) if isinstance(methods, tuple | list) else str(methods).split(",")
    unknown = [name for name in names if name not in METHODS]
    if unknown:
        raise InputError(dataset_dir, f"no method '{unknown[0]}'", f"choose from {', '.join(METHODS)}")
    dataset = GridTripletDataset(
        cmr_datalist(dataset_dir, "", section),
        half_gap_mm=half_gap_mm,
        crop_size=(crop, crop),
        max_windows_per_stack=max_windows_per_stack,
    )
    print(f"{len(dataset)} triplets of {len(set(window[0] for window in dataset.windows))} stacks, {section}\n")
    table, reference = Table(COLUMNS), None
    for name in dict.fromkeys(["tvl1", "average", *names]):
        scores, seconds = _score(METHODS[name](), dataset)
        reference = scores if reference is None else reference
        gains = scores[:, 0] - reference[:, 0]
        better = f"{(gains > 0).sum()} of {len(gains)}"
        row = {"psnr": scores[:, 0].mean(), "ssim": scores[:, 1].mean(), "gain": gains.mean(), "seconds": seconds}
        table.add({key: f"{value:.3f}" for key, value in row.items()} | {"method": name, "better": better})
    if output is not None:
        Path(output).mkdir(parents=True, exist_ok=True)
        table.write_csv(Path(output) / "registration.csv")


def _score(method: Interpolator, dataset: GridTripletDataset) -> tuple[np.ndarray, float]:
    """PSNR and SSIM of each stack, `(stacks, 2)`, and the mean seconds per slice."""
    of_stack, seconds, halfway = defaultdict(list), [], torch.tensor([0.5])
    for (stack, _, _), item in zip(dataset.windows, (dataset[k] for k in range(len(dataset))), strict=True):
        image = torch.as_tensor(item["image"]).float()
        start = time.perf_counter()
        pred = method.interpolate(image[None, [0, 2]], halfway)[:, 0]
        seconds.append(time.perf_counter() - start)
        of_stack[stack].append([float(measure(pred, image[None, 1])) for measure in (psnr, ssim)])
    return np.array([np.mean(rows, axis=0) for rows in of_stack.values()]), float(np.mean(seconds))


if __name__ == "__main__":
    report_input_errors()
    fire.Fire(compare)
