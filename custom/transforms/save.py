# SPDX-FileCopyrightText: 2026 The CardioInterp Bundles Authors
# SPDX-License-Identifier: Apache-2.0

"""An interpolated scan to disk: like the file it comes from, with a sidecar, complete or not there."""

from __future__ import annotations

import logging
from collections.abc import Hashable, Mapping, Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import numpy as np
from monai.transforms import SaveImaged
from monai.utils import convert_to_numpy, ensure_tuple

from custom.errors import InputError
from custom.geometry import synthetic_mask
from custom.scans.nifti import output_header, stem
from custom.scans.nifti_writer import NiftiWriter
from custom.scans.provenance import is_made, read_sidecar, says_synthetic, synthetic_record
from custom.scans.publish import Staged
from custom.scans.scan import Scan
from custom.scans.scans import can_be_cut, inspect_scan

logger = logging.getLogger(__name__)
PROVENANCE = "provenance"
"""Key of the items: what made the prediction, for the sidecar."""
CONFIDENCE = "confidence"
"""Key of the items: how far the slices so far are to be trusted, for the sidecar; of the last part counts."""


class SaveScand(SaveImaged):
    """Write `<stem>_<postfix>.nii.gz` and its sidecar for each key.

    The output takes over the input's header field by field (form codes, units, phase duration), and says in `descrip`
    that it holds synthetic slices. Integer and float dtypes are those of the prediction. A scan may come in parts, runs
    of slices one after the other, each beginning with the slice that the last one ended with; the files get their names
    when the last slice has come. Then, volumes never being there without their sidecars, old volumes go, new sidecars
    come, new volumes come.

    A `SaveImaged` by type, so that MONAI Label and Deploy, which write themselves, leave it out.

    Args:
        keys: predictions `(1, X, Y, Z)` or `(1, X, Y, Z, T)` on their dense grid (`DenseGridd`), in stored units.
        output_dir: folder of the outputs.
        output_postfix: of each key.
        kind: of the input, see `custom.scans.scans.inspect_scan`.
        axis: as `LoadScand` has it.
    """

    def __init__(
        self,
        keys: Sequence[str] | str = ("pred", "pred_std"),
        output_dir: str | Path = ".",
        output_postfix: Sequence[str] | str = ("interp", "std"),
        kind: str = "stack",
        axis: int | None = None,
    ) -> None:
        super().__init__(keys, output_dir=str(output_dir), allow_missing_keys=True, print_log=False)
        self.output_dir, self.postfixes = Path(output_dir), ensure_tuple(output_postfix)
        self.kind, self.axis = kind, axis
        self._parts: _Parts | None = None

    def place(self, path: str | Path, record: Mapping[str, Any]) -> tuple[Path, bool]:
        """Where the output of an input goes, and whether it is there already, made as `record` says.

        Where an output of another factor has the plain name, this one's has the factor in it.
        """
        name = stem(path)
        plain = self.output_dir / f"{name}_{self.postfixes[0]}.nii.gz"
        with_factor = self.output_dir / f"{name}_x{record['factor']}_{self.postfixes[0]}.nii.gz"
        for place in (plain, with_factor):
            done, differing = is_made(place, record)
            if done:
                return place, True
            if place.exists() and not says_synthetic(place):
                fault = "is there already and was not made by interpolation"
                raise InputError(place, fault, "move it away or choose another --output_dir")
            if not place.exists() or read_sidecar(place).get("factor") == record["factor"]:
                if differing:
                    logger.info("%s: made with other %s; made anew", place, ", ".join(differing))
                return place, False
        return with_factor, False

    def discard(self) -> None:
        """Forget a scan of which parts are missing, and what was written of it."""
        if self._parts is not None:
            self._parts.close(ValueError("discarded"))
            self._parts = None

    def __call__(self, data: Mapping[Hashable, Any]) -> dict[Hashable, Any]:
        """Return `data` as it came, the part written."""
        prediction = data[self.first_key(data)]
        meta = prediction.meta
        scan = inspect_scan(meta["filename_or_obj"], self.kind, self.axis)
        first, count = meta["first_slice"], meta["loaded_slices"]
        factor = (prediction.shape[1 + scan.axis] - 1) // (count - 1)
        if self._parts is None:
            record = {"factor": factor, "slice_axis": scan.axis, **data.get(PROVENANCE, {})}
            output, _ = self.place(scan.path, record)
            outputs = {
                key: output.with_name(output.name.replace(f"_{self.postfixes[0]}.nii", f"_{postfix}.nii"))
                for key, postfix in zip(self.keys, self.postfixes, strict=True)
            }
            stale = [outputs.pop(key) for key in self.keys if key not in data]
            self._parts = _Parts(scan, outputs, stale, {key: data[key] for key in outputs}, factor, record)
        try:
            for key in self._parts.writers:
                self._parts.write(key, convert_to_numpy(data[key])[0], overlap=first > 0)
            self._parts.confidence = data.get(CONFIDENCE, {})
        except BaseException as error:
            self._parts.close(error)
            self._parts = None
            raise
        if first + count == scan.num_slices:
            parts, self._parts = self._parts, None
            parts.close()
        return dict(data)


class _Parts:
    """Files that are being written: volumes with growing numbers of slices, and their sidecars.

    Args:
        scan: the input.
        outputs: key -> file to write.
        stale: files of an earlier output that go with it.
        predictions: key -> the first part, for dtype and grid.
        factor: dense steps per gap.
        record: for the sidecars.
    """

    def __init__(
        self,
        scan: Scan,
        outputs: Mapping[str, Path],
        stale: Sequence[Path],
        predictions: Mapping[str, Any],
        factor: int,
        record: Mapping[str, Any],
    ) -> None:
        self.scan, self.record = scan, record
        self.confidence: Mapping[str, Any] = {}
        self.synthetic = synthetic = synthetic_mask(scan.num_slices, factor)
        shape = list(scan.shape)
        shape[scan.axis] = len(synthetic)
        self.writers: dict[str, NiftiWriter] = {}
        with ExitStack() as stack:  # on a disk that is full now, nothing stays
            self.staged = staged = stack.enter_context(Staged(list(outputs.values()), stale))
            for key, output in outputs.items():
                affine = convert_to_numpy(predictions[key].affine)
                affine[:3, 3] -= predictions[key].meta["first_slice"] * scan.affine[:3, scan.axis]
                dtype = convert_to_numpy(predictions[key][..., :1]).dtype
                kept = dtype == scan.dtype.newbyteorder("=")
                header = output_header(
                    scan.header, shape, scan.affine, affine, f"x{factor}, synthetic slices", None if kept else dtype
                )
                ndim, name = (2, "frame") if can_be_cut(scan) else (3, "volume")
                place = staged.place(output)
                self.writers[key] = stack.enter_context(NiftiWriter(place, header, ndim, name, told_as=output))
            self.stack = stack.pop_all()

    def write(self, key: str, volume: np.ndarray, overlap: bool) -> None:
        """Append a part, without its first slice where the part before ended with it."""
        if can_be_cut(self.scan):
            for place in range(1 if overlap else 0, volume.shape[2]):
                self.writers[key].write(volume[..., place])
        else:
            for phase in range(self.scan.num_phases):
                self.writers[key].write(volume[..., phase] if volume.ndim == 4 else volume)

    def close(self, error: BaseException | None = None) -> None:
        """Give the files their sidecars and their names; after an error, remove what there is of them."""
        if error is None:
            record = {**self.record, **self.confidence}
            with self.stack:
                for output in self.staged.outputs:
                    self.staged.add_sidecar(output, synthetic_record(record, self.scan.path, output, self.synthetic))
        else:
            self.stack.__exit__(type(error), error, error.__traceback__)
