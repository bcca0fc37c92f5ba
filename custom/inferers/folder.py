# SPDX-FileCopyrightText: 2026 The CardioInterp Bundles Authors
# SPDX-License-Identifier: Apache-2.0

"""From a folder of scans to a folder of dense ones: what pullbacks and stacks have in common."""

from __future__ import annotations

import json
import logging
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from functools import cached_property
from pathlib import Path
from typing import Any

import torch
from ignite.engine import Engine
from monai.engines import Evaluator
from monai.utils import CommonKeys as Keys
from torch.utils.data import DataLoader, Dataset

from custom.errors import InputError
from custom.inferers.gaps import GapInferer
from custom.interpolators.base import Interpolator
from custom.scans.provenance import SYNTHETIC_KEY, sha256_of, sidecar_path
from custom.scans.pullbacks import check_output_dir, stem
from custom.weights import load_model

logger = logging.getLogger(__name__)


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

    def record(self, path: Path, inferer: GapInferer, slice_axis: int) -> dict[str, Any]:
        """All that determines the output of `path`, as it reads in a sidecar and as `write_sidecar` takes it."""
        chosen = ("factor",) if inferer.target_spacing is None else ("target_spacing",)
        options = {name: getattr(inferer, name) for name in (*chosen, "num_samples")}
        record = asdict(self) | {"seed": inferer.seed, "input_sha256": sha256_of(path)}
        record["options"] = {**options, **self.options}
        return json.loads(json.dumps({**record, "extra": {"slice_axis": slice_axis}}))


def refuse_synthetic(path: Path) -> None:
    """Raise InputError if the sidecar of a scan says that some of its slices were made by interpolation."""
    if {SYNTHETIC_KEY, "synthetic_frames"} & _read_sidecar(path).keys():  # the latter in files of version 0.1.0
        raise InputError(path, "holds synthetic slices", "give the acquired scan instead")


def is_done(output: Path, record: Mapping[str, Any]) -> bool:
    """Whether `output` is there, and its sidecar says that it was made as `record` describes."""
    wanted = {name: value for name, value in record.items() if name != "extra"} | record["extra"]
    said = _read_sidecar(output)
    return output.exists() and SYNTHETIC_KEY in said and wanted.items() <= said.items()


def factor_of(path: Path, inferer: GapInferer, spacing: float) -> int:
    """The inferer's factor for a scan of `spacing` mm; InputError if that already meets the target spacing."""
    try:
        return inferer.factor_for(spacing)
    except ValueError as error:
        raise InputError(path, str(error), "ask for a smaller --target_spacing") from error


def _read_sidecar(path: Path) -> dict[str, Any]:
    """A scan's sidecar; empty where there is none, since any file may lie beside a user's scan."""
    try:
        content = json.loads(sidecar_path(path).read_text())
    except (FileNotFoundError, ValueError):
        return {}
    return content if isinstance(content, dict) else {}


class ScanFolder(Dataset):
    """The scans of a folder as `{"image": path}`; a subclass says which files those are (`find`).

    The folder is listed at first use: a missing one is then told in one line by the evaluator, rather than by the
    traceback of a config that could not be built.

    Args:
        dataset_dir: a folder of NIfTI files, or one file; None where a subclass knows what to do without.
    """

    def __init__(self, dataset_dir: str | Path | None) -> None:
        self.dataset_dir = dataset_dir

    def find(self) -> list[Path]:
        """The files, sorted by name; InputError if there are none."""
        raise TypeError(f"{type(self).__name__} does not say what a scan is: override find().")

    @cached_property
    def paths(self) -> list[Path]:
        """The files, sorted by name."""
        return self.find()

    def __len__(self) -> int:
        return len(self.paths)

    def __getitem__(self, index: int) -> dict[str, str]:
        return {Keys.IMAGE: str(self.paths[index])}


class FolderInterpolator(Evaluator):
    """The `evaluator` of an inference config: one iteration is one scan. A subclass does it (`interpolate_scan`).

    A scan that cannot be done costs one line in the log; the others are still done.

    Args:
        device: where the network runs.
        dataset: items `{"image": path}`, such as a `ScanFolder`.
        network: the method.
        inferer: the gap inferer.
        output_dir: made if needed.
        checkpoint: the weights, loaded into `network` by `run`; None for a method without weights.
        bundle: name for the sidecars.
        version: version for the sidecars.
        options: the method's own options that shape the result, for the sidecars.
        val_handlers: further Ignite handlers.
    """

    noun = "scan"

    def interpolate_scan(self, path: Path) -> Path:
        """Interpolate one scan from disk to disk and return the output; InputError where it cannot be done."""
        raise TypeError(f"{type(self).__name__} does not say how to do a scan: override interpolate_scan().")

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
        """Do every scan.

        Raises:
            SystemExit: with one line, if nothing can be done (options, folders, weights) or a scan failed.
        """
        self._outputs, self._failures = {}, []
        try:
            self._validate()
            check_output_dir(self.output_dir)
            self.state.epoch_length = len(self.dataset)
            self._prepare_network()
        except ValueError as error:
            raise SystemExit(f"error: {error}") from error
        super().run(global_epoch)
        if self._failures:
            names = ", ".join(Path(path).name for path in self._failures)
            raise SystemExit(f"error: {len(self._failures)} of {len(self.dataset)} {self.noun}s failed: {names}")

    def _validate(self) -> None:
        """Raise ValueError if an option is unusable."""
        self.network.validate()
        self.inferer.validate(self.network)

    def _prepare_network(self) -> None:
        if self.checkpoint is not None:
            load_model(self.network, self.checkpoint)
            self.provenance = replace(self.provenance, weights_sha256=sha256_of(self.checkpoint))
        self.network.to(self.state.device).eval()

    def _iteration(self, engine: Engine, batchdata: Mapping[str, str]) -> dict[str, str | None]:
        path, output = batchdata[Keys.IMAGE], None
        logger.info("%s %d of %d: %s", self.noun, engine.state.iteration, engine.state.epoch_length, path)
        try:
            output = self._interpolate(path)
        except (ValueError, OSError, MemoryError) as error:
            advice = "; check the disk" if isinstance(error, OSError) else ""
            logger.error("%s", error if isinstance(error, InputError) else f"{path}: {error}{advice}")
            self._failures.append(path)
        return {Keys.IMAGE: path, Keys.PRED: output}

    def _interpolate(self, path: str) -> str:
        other = self._outputs.setdefault(stem(path), path)
        if other != path:
            raise InputError(path, f"would overwrite the output of {Path(other).name}", "rename one of the two")
        return str(self.interpolate_scan(Path(path)))
