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


"""The inference command: pullbacks on disk in, dense pullbacks on disk out, one frame at a time."""

from __future__ import annotations

import json
import logging
from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from dataclasses import asdict, dataclass, field, replace
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import torch
from ignite.engine import Engine
from monai.engines import Evaluator
from monai.utils import CommonKeys as Keys
from torch.utils.data import DataLoader, Dataset
from tqdm import tqdm

from custom.data.provenance import sha256_of, sidecar_path, write_sidecar
from custom.data.pullbacks import (
    PullbackReader,
    PullbackWriter,
    check_output_dir,
    find_pullbacks,
    inspect_pullback,
    stem,
)
from custom.errors import InputError
from custom.geometry import dense_affine, dense_count, spacing_from_affine, synthetic_mask
from custom.inferers.gaps import GapInferer
from custom.interpolators.base import Interpolator
from custom.training.export import load_model

logger = logging.getLogger(__name__)
PULLBACK_AXIS = 2


@dataclass(frozen=True)
class Provenance:
    """What made an output, as its sidecar tells it.

    Attributes:
        bundle: the bundle's name.
        version: the bundle's version.
        weights_sha256: hash of the weights; None for a method without weights.
        options: the method's own options that shape the result, JSON values.
    """

    bundle: str
    version: str
    weights_sha256: str | None = None
    options: Mapping[str, Any] = field(default_factory=dict)


def interpolate_pullback(
    path: str | Path,
    output_dir: str | Path,
    network: Interpolator,
    inferer: GapInferer,
    provenance: Provenance,
    device: torch.device | str = "cpu",
) -> Path:
    """Interpolate one pullback from disk to disk, in memory that does not grow with its length.

    Writes `<stem>_interp.nii.gz` and, for several samples, `<stem>_std.nii.gz` (float32, in the image's own
    units, 0 at acquired frames), each with its sidecar. Acquired frames are bit-identical in the stored dtype. An
    output whose sidecar names the same input, weights and options is left as it is.

    Args:
        path: NIfTI `(H, W, frames)`.
        output_dir: an existing folder.
        network: the method, on `device`, in evaluation mode.
        inferer: factor, samples, seed and batch size.
        provenance: what the sidecar says of the method.
        device: where the frames go.

    Returns:
        The output's path.

    Raises:
        InputError: a file that is no pullback, or already interpolated; a target spacing that it meets; a full disk.
    """
    path, output = Path(path), Path(output_dir) / f"{stem(path)}_interp.nii.gz"
    deviation = output.with_name(f"{stem(path)}_std.nii.gz")
    if "synthetic_frames" in _read_json(sidecar_path(path)):
        raise InputError(path, "holds synthetic frames", "give the acquired pullback instead")
    info = inspect_pullback(path)
    network.wrap_rows = info.coordinates == "polar"
    record = _record(path, inferer, provenance)
    if output.exists() and record.items() <= _read_json(sidecar_path(output)).items():
        logger.info("%s: already done with these options, kept", output)
        return output

    try:
        factor = inferer.factor_for(spacing_from_affine(info.affine)[PULLBACK_AXIS])
    except ValueError as error:
        raise InputError(path, str(error), "ask for a smaller --target_spacing") from error
    num_frames = info.shape[PULLBACK_AXIS]
    num_dense = dense_count(num_frames, factor)
    affine = dense_affine(info.affine, PULLBACK_AXIS, factor)
    low, high = info.intensity_range
    description = f"x{factor}, synthetic frames"
    with ExitStack() as stack:
        # Two readers, each moving forwards only: the inferer reads ahead of the frame that is being written.
        ahead, acquired = (stack.enter_context(PullbackReader(info)) for _ in range(2))
        writer = stack.enter_context(PullbackWriter(output, info, num_dense, affine, description))
        std_writer = None
        if inferer.num_samples > 1:
            std_writer = PullbackWriter(deviation, info, num_dense, affine, description, np.float32)
            stack.enter_context(std_writer)
        frames = (torch.from_numpy(ahead.normalised(k)).to(device).unsqueeze(0) for k in range(num_frames))
        dense = inferer.stream(frames, network, factor)
        for frame in tqdm(dense, desc=stem(path), total=num_dense, unit="frame", smoothing=0, mininterval=1):
            if frame.synthetic:
                writer.write(acquired.denormalise(frame.mean.squeeze(0).cpu().numpy()))
            else:
                writer.write(acquired.stored(frame.index // factor))
            if std_writer is not None:
                std = torch.zeros(info.shape[:2]) if frame.std is None else frame.std.squeeze(0).cpu()
                std_writer.write(std.numpy() * np.float32((high - low) * abs(info.slope)))
        # The files take their names now. Until the sidecars follow, no older one may vouch for them.
        for stale in (sidecar_path(output), sidecar_path(deviation), deviation):
            stale.unlink(missing_ok=True)
    synthetic = synthetic_mask(num_frames, factor).tolist()
    for written in (deviation, output) if std_writer else (output,):
        write_sidecar(written, **record, input_path=path, synthetic=synthetic)
    return output


def _record(path: Path, inferer: GapInferer, provenance: Provenance) -> dict[str, Any]:
    """All that determines the output, as it reads in a sidecar."""
    chosen = ("factor",) if inferer.target_spacing is None else ("target_spacing",)
    options = {name: getattr(inferer, name) for name in (*chosen, "num_samples", "max_factor")}
    record = asdict(provenance) | {"seed": inferer.seed, "input_sha256": sha256_of(path)}
    record["options"] = {**options, **provenance.options}
    return json.loads(json.dumps(record))


def _read_json(path: Path) -> dict[str, Any]:
    """A JSON object; empty where there is none, since any file may lie beside a user's scan."""
    try:
        content = json.loads(path.read_text())
    except (FileNotFoundError, ValueError):
        return {}
    return content if isinstance(content, dict) else {}


class PullbackFolder(Dataset):
    """The pullbacks of a folder as `{"image": path}`.

    The folder is listed at first use: a missing one is then told in one line by the evaluator, rather than by the
    traceback of a config that could not be built.

    Args:
        dataset_dir: a folder of NIfTI files, or one file.
    """

    def __init__(self, dataset_dir: str | Path) -> None:
        self.dataset_dir = dataset_dir

    @cached_property
    def paths(self) -> list[Path]:
        """The files, sorted by name."""
        return find_pullbacks(self.dataset_dir)

    def __len__(self) -> int:
        return len(self.paths)

    def __getitem__(self, index: int) -> dict[str, str]:
        return {Keys.IMAGE: str(self.paths[index])}


class PullbackInterpolator(Evaluator):
    """The `evaluator` of an inference config: one iteration is one pullback.

    A pullback that cannot be done costs one line in the log; the others are still done.

    Args:
        device: where the network runs.
        dataset: items `{"image": path}`, such as `PullbackFolder`.
        network: the method.
        inferer: the gap inferer.
        output_dir: made if needed.
        checkpoint: the weights, loaded into `network` by `run`; None for a method without weights.
        bundle: name for the sidecars.
        version: version for the sidecars.
        options: the method's own options that shape the result, for the sidecars.
        val_handlers: further Ignite handlers.
    """

    def __init__(
        self,
        device: torch.device | str,
        dataset: Dataset,
        network: Interpolator,
        inferer: GapInferer,
        output_dir: str | Path,
        checkpoint: str | Path | None = None,
        bundle: str = "",
        version: str = "",
        options: Mapping[str, Any] | None = None,
        val_handlers: Sequence | None = None,
    ) -> None:
        # The epoch length is a stand-in: the dataset is not listed before `run`.
        super().__init__(
            device, DataLoader(dataset, batch_size=None), epoch_length=1, val_handlers=val_handlers, decollate=False
        )
        self.dataset, self.network, self.inferer = dataset, network, inferer
        self.output_dir, self.checkpoint = output_dir, checkpoint
        self.provenance = Provenance(bundle, version, options=options or {})
        self._outputs: dict[str, str] = {}
        self._failures: list[str] = []

    def run(self, global_epoch: int = 1) -> None:
        """Do every pullback.

        Raises:
            SystemExit: with one line, if nothing can be done (options, folders, weights) or a pullback failed.
        """
        self._outputs, self._failures = {}, []
        try:
            self.inferer.validate()
            check_output_dir(self.output_dir)
            self.state.epoch_length = len(self.dataset)
            self._prepare_network()
        except ValueError as error:
            raise SystemExit(f"error: {error}") from error
        super().run(global_epoch)
        if self._failures:
            names = ", ".join(Path(path).name for path in self._failures)
            raise SystemExit(f"error: {len(self._failures)} of {len(self.dataset)} pullbacks failed: {names}")

    def _prepare_network(self) -> None:
        if self.checkpoint is not None:
            load_model(self.network, self.checkpoint)
            self.provenance = replace(self.provenance, weights_sha256=sha256_of(self.checkpoint))
        self.network.to(self.state.device).eval()

    def _iteration(self, engine: Engine, batchdata: Mapping[str, str]) -> dict[str, str | None]:
        path, output = batchdata[Keys.IMAGE], None
        logger.info("pullback %d of %d: %s", engine.state.iteration, engine.state.epoch_length, path)
        try:
            output = self._interpolate(path)
        except (InputError, OSError) as error:
            logger.error("%s", error if isinstance(error, InputError) else f"{path}: {error}; check the disk")
            self._failures.append(path)
        return {Keys.IMAGE: path, Keys.PRED: output}

    def _interpolate(self, path: str) -> str:
        other = self._outputs.setdefault(stem(path), path)
        if other != path:
            raise InputError(path, f"would overwrite the output of {Path(other).name}", "rename one of the two")
        output = interpolate_pullback(
            path, self.output_dir, self.network, self.inferer, self.provenance, self.state.device
        )
        return str(output)
