# SPDX-FileCopyrightText: 2026 The CardioInterp Bundles Authors
# SPDX-License-Identifier: Apache-2.0

"""From scans on disk to dense scans on disk, the one way of the data.

    path ── LoadScand ── UnitIntensityd ──> known slices in [0, 1] ── GapInferer ──> dense slices
         ── DenseGridd ── RestoreIntensityd ── SaveScand ──> volume and sidecar

Both rows of transforms are those that `inference.json` declares, so what it says is what runs: here, and in MONAI
Label or Deploy, which call the same objects one by one and write themselves. A scan whose dense form is large goes
through in parts, runs of gaps; noise goes by a gap's place in the whole scan, so the parts give what the whole would.
"""

from __future__ import annotations

import json
import logging
import math
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import torch
from monai.inferers import Inferer
from monai.transforms import Compose
from monai.utils import CommonKeys as Keys
from tqdm import tqdm

from custom.errors import InputError
from custom.geometry import dense_count, factor_for_spacing
from custom.inferers.confidence import Confidence
from custom.inferers.doubts import doubts, pixel_mm
from custom.inferers.folder import FolderEvaluator, refuse_synthetic
from custom.inferers.gaps import GapInferer
from custom.inferers.rehearsal import Estimate, estimate, write_excerpt
from custom.inferers.settings import options_of, settings_of
from custom.interpolators.base import Interpolator
from custom.progress import advance_within
from custom.scans.nifti import stem
from custom.scans.provenance import sha256_of
from custom.scans.scan import Scan
from custom.scans.scans import can_be_cut
from custom.switches import is_on
from custom.transforms.grid import DenseGridd
from custom.transforms.intensity import RestoreIntensityd, UnitIntensityd
from custom.transforms.load import SLICES, LoadScand
from custom.transforms.save import CONFIDENCE, PROVENANCE, SaveScand

logger = logging.getLogger(__name__)
PART_VOXELS = 2**23
"""Dense voxels that are in memory at once, as float32 and a few times over: 32 MiB each."""
BAR = "{desc}: {percentage:3.0f}%|{bar}| {n:.0f}/{total} slices [{elapsed}<{remaining}]"
"""Of all slices of all phases: within one slice the bar moves as well (`custom.progress`)."""


class ScanInterpolator(FolderEvaluator):
    """One iteration is one scan: `preprocessing`, `inferer`, `postprocessing`.

    Args:
        device: see `FolderEvaluator`, as are `dataset`, `network`, `checkpoint`, `bundle_root`, `val_handlers`.
        dataset: items `{"image": path}`.
        network: the method.
        preprocessing: from `{"image": path}` to known slices; its first transform is a `LoadScand`.
        inferer: from known slices to dense ones.
        postprocessing: from these to files, by a `SaveScand`.
        dry_run: tell what each scan would become and take, and write nothing.
        preview: draws an output, `(volume, picture)`; given, only a small piece of each scan is done and drawn
            (`custom.inferers.rehearsal.write_excerpt`).
        kwargs: the others of `FolderEvaluator`.
    """

    def __init__(
        self,
        device: torch.device | str,
        dataset: torch.utils.data.Dataset,
        network: Interpolator,
        preprocessing: Compose,
        inferer: Inferer,
        postprocessing: Compose,
        dry_run: bool | str = False,
        preview: Callable[[str, str], Any] | None = None,
        **kwargs: Any,
    ) -> None:
        self.preprocessing, self.postprocessing = preprocessing, postprocessing
        self.dry_run, self.preview = is_on(dry_run), preview
        self.loader = next(t for t in preprocessing.transforms if isinstance(t, LoadScand))
        self.saver = next(t for t in postprocessing.transforms if isinstance(t, SaveScand))
        super().__init__(device, dataset, network, inferer, self.saver.output_dir, **kwargs)

    def do_scan(self, path: Path) -> Path:
        """Interpolate one scan from disk to disk.

        Raises:
            InputError: no scan of this kind, or already interpolated; one volume where the method takes cines; a target
                spacing that it meets; a full disk.
        """
        refuse_synthetic(path)
        scan = self.loader.inspect(str(path))
        if self.network.takes_phases and scan.num_phases < 2:
            fault = "holds one phase, and this bundle takes whole cines (X, Y, Z, T)"
            raise InputError(path, fault, "give the 4D cine, or use the 2D bundle")
        for line in doubts(scan, self._factor(scan)):
            logger.warning("%s: %s", path, line)
        if self.preview is None:
            return self._do(scan)
        with tempfile.TemporaryDirectory() as folder:
            part = write_excerpt(scan, Path(folder), self.network.takes_phases)
            output = self._do(self.loader.inspect(str(part)))
        if self.dry_run:
            return output
        picture = output.with_name(f"{stem(output)}.png")
        self.preview(str(output), str(picture))
        return picture

    def _do(self, scan: Scan) -> Path:
        """Interpolate a scan, or tell what it would take."""
        factor = self._factor(scan)
        provenance = self._provenance(scan, factor)
        output, done = self.saver.place(scan.path, provenance)
        count, name = dense_count(scan.num_slices, factor), self.made_by["bundle"] or type(self.network).__name__
        before, after = f"{scan.num_slices} slices {scan.spacing_mm:.3g} mm apart", f"{scan.spacing_mm / factor:.3g} mm"
        if done:
            self.summary = "already done with these options, kept"
            return output
        if self.dry_run:
            cost = self._estimate(scan, factor)
            phases = f" in {scan.num_phases} phases" if scan.num_phases > 1 else ""
            self.summary = f"{before}{phases} would become {count}, {after} apart (factor {factor}), in {cost}; dry run"
            return output
        total = (count - scan.num_slices) * scan.num_phases
        confidence = Confidence(self.loader.kind, pixel_mm(scan), scan.spacing_mm, factor)
        try:
            with tqdm(desc=stem(scan.path), total=total, unit="slice", smoothing=0, bar_format=BAR) as bar:
                for first, stop in _parts(scan, factor, self.network.num_neighbours // 2 - 1):
                    self._do_part(scan.path, first, stop, provenance, confidence, advance_within(bar))
        finally:
            self.saver.discard()
        if confidence.warning:
            logger.warning("%s: %s", scan.path, confidence.warning)
        self.summary = f"{before} became {count}, {after} apart, by {self.method or name}"
        return output

    @torch.no_grad()
    def _do_part(
        self, path: Path, first: int, stop: int, provenance: dict[str, Any], confidence: Confidence, progress: Any
    ) -> None:
        data = self.preprocessing({Keys.IMAGE: str(path), SLICES: (first, stop)})
        inputs = data[Keys.IMAGE][None].to(self.state.device)
        if isinstance(self.inferer, GapInferer):
            dense = self.inferer.moments(inputs, self.network, progress)
            confidence.add(dense)
            mean, std = dense.mean, dense.std
        else:
            mean, std = self.inferer(inputs, self.network), None
        data |= {Keys.PRED: mean[0], PROVENANCE: provenance, CONFIDENCE: confidence.record}
        if std is not None:
            data[f"{Keys.PRED}_std"] = std[0]
        self.postprocessing(data)

    def _estimate(self, scan: Scan, factor: int) -> Estimate:
        middle = (scan.num_slices - 2) // 2
        pair = self.preprocessing({Keys.IMAGE: str(scan.path), SLICES: (middle, middle + 2)})[Keys.IMAGE]
        first, stop = next(_parts(scan, factor, self.network.num_neighbours // 2 - 1))
        voxels = dense_count(stop - first, factor) * math.prod(scan.plane) * scan.num_phases
        return estimate(pair[None].to(self.state.device), scan, self.network, self.inferer, voxels)

    def _check_output(self) -> None:
        if not self.dry_run:
            super()._check_output()

    def _validate(self) -> None:
        self.network.validate()
        self.inferer.validate(self.network)

    def slices_for(self, scan: Scan) -> int:
        """How many slices a scan will have; InputError where it meets the target spacing, or is too far from it."""
        return dense_count(scan.num_slices, self._factor(scan))

    def _run_options(self) -> dict[str, Any]:
        return self._recipe()

    def _factor(self, scan: Scan) -> int:
        try:
            return self.inferer.factor_for(scan.spacing_mm)
        except ValueError as error:
            wish = "smaller" if factor_for_spacing(scan.spacing_mm, self.inferer.target_spacing) < 2 else "larger"
            raise InputError(scan.path, str(error), f"ask for a {wish} --target_spacing") from error

    def _provenance(self, scan: Scan, factor: int) -> dict[str, Any]:
        """All that determines the output of a scan, as it reads in a sidecar."""
        record = {
            **self._recipe(),
            "input_sha256": sha256_of(scan.path),
            "factor": factor,
            "slice_axis": scan.axis,
            "coordinates": scan.coordinates,
        }
        return json.loads(json.dumps(record))

    def _recipe(self) -> dict[str, Any]:
        """What of it is the same for every scan."""
        transforms = (*self.preprocessing.transforms, *self.postprocessing.transforms)
        chosen = ("factor",) if self.inferer.target_spacing is None else ("target_spacing",)
        options = {name: getattr(self.inferer, name) for name in (*chosen, "num_samples")} | options_of(self.network)
        settings = settings_of(self.network, self.inferer, transforms)
        return {**self.made_by, "options": options, "seed": self.inferer.seed, "settings": settings}


def _parts(scan: Scan, factor: int, outer: int) -> Iterator[tuple[int, int]]:
    """Runs of slices, (first, stop), that overlap in one slice; all of a scan that is small or cannot be cut.

    A method that looks past a gap's ends would miss what lies beyond a part, so its scans are not cut.
    """
    gaps = max(1, PART_VOXELS // (scan.plane[0] * scan.plane[1] * factor))
    if outer or not can_be_cut(scan) or gaps >= scan.num_slices - 1:
        yield 0, scan.num_slices
        return
    for first in range(0, scan.num_slices - 1, gaps):
        yield first, min(first + gaps, scan.num_slices - 1) + 1


def scan_transforms(output_dir: str | Path, kind: str = "stack", axis: int | None = None) -> tuple[Compose, Compose]:
    """`preprocessing` and `postprocessing` as the bundles declare them; arguments as `interpolate_scan` has them."""
    before = Compose([LoadScand(kind=kind, axis=axis), UnitIntensityd("image")])
    save = SaveScand(output_dir=output_dir, kind=kind, axis=axis)
    return before, Compose([DenseGridd(), RestoreIntensityd(keep_excess=kind == "stack"), save])


def interpolate_scan(
    path: str | Path,
    output_dir: str | Path,
    network: Interpolator,
    inferer: GapInferer,
    kind: str = "stack",
    device: torch.device | str = "cpu",
    axis: int | None = None,
    bundle_root: str | Path | None = None,
) -> Path:
    """Interpolate one scan from disk to disk with the transforms of the bundles: the way from Python.

    Args:
        path: NIfTI file.
        output_dir: made if needed.
        network: the method.
        inferer: factor, samples, seed and batch size.
        kind: "stack" or "pullback", see `custom.scans.scans.inspect_scan`.
        device: where the network runs.
        axis: the through-plane array axis; None for the one that `kind` says.
        bundle_root: the bundle's folder, for the sidecar.

    Returns:
        The output's path.

    Raises:
        InputError: see `ScanInterpolator.do_scan`.
    """
    before, after = scan_transforms(output_dir, kind, axis)
    evaluator = ScanInterpolator(device, [], network, before, inferer, after, bundle_root=bundle_root)
    Path(output_dir).mkdir(parents=True, exist_ok=True)
    network.to(device).eval()
    output = evaluator.do_scan(Path(path))
    logger.info("%s: %s; %s", path, evaluator.summary, output)
    return output
