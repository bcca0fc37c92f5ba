# SPDX-FileCopyrightText: 2026 The CardioInterp Bundles Authors
# SPDX-License-Identifier: Apache-2.0

"""A command over the scans of a folder: one after the other, what fails is told and left, the others are done."""

from __future__ import annotations

import json
import logging
import time
from collections.abc import Mapping, Sequence
from contextlib import AbstractContextManager, ExitStack, nullcontext
from functools import cached_property
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import torch
from ignite.engine import Engine
from monai.engines import Evaluator
from monai.utils import CommonKeys as Keys
from torch import nn
from torch.utils.data import DataLoader, Dataset

from custom.errors import InputError, input_error_in
from custom.inferers.claims import Claims
from custom.inferers.failures import write_failures
from custom.inferers.scan_folder import ScanFolder
from custom.inferers.settings import settle_switches
from custom.interpolators.named import classical
from custom.scans.nifti import check_output_dir, stem
from custom.scans.provenance import says_synthetic, sha256_of
from custom.weights import load_model

logger = logging.getLogger(__name__)
WAIT_SECONDS = 0.5
"""Between looks at scans that other processes do."""


def refuse_synthetic(path: Path) -> None:
    """Raise InputError if a scan's sidecar or header says that some of its slices were made by interpolation."""
    if says_synthetic(path):
        raise InputError(path, "holds synthetic slices", "give the acquired scan instead")


class FolderEvaluator(Evaluator):
    """The `evaluator` of an inference config: one iteration is one scan. A subclass does it (`do_scan`).

    A scan that cannot be done costs one line in the log; the others are still done.

    Args:
        device: where the network runs.
        dataset: items `{"image": path}`, such as a `ScanFolder`.
        network: the method.
        inferer: what asks the network; has `validate()`.
        output_dir: made if needed.
        checkpoint: the weights, loaded into `network` by `run`; None for a method without weights.
        bundle_root: the bundle's folder, whose name and version the sidecars tell.
        val_handlers: further Ignite handlers.
        method: name of a method without weights (`custom.interpolators.named`) that takes the network's place.
    """

    dry_run = False
    """A subclass that only tells what it would do writes nothing, so it claims no scan and keeps nothing prepared."""

    def do_scan(self, path: Path) -> Path:
        """Do one scan from disk to disk and return the output; InputError where it cannot be done.

        What was done goes into `summary`, for the line that the user reads.
        """
        raise TypeError(f"{type(self).__name__} does not say how to do a scan: override do_scan().")

    def __init__(
        self,
        device: torch.device | str,
        dataset: Dataset,
        network: nn.Module,
        inferer: Any,
        output_dir: str | Path,
        checkpoint: str | Path | None = None,
        bundle_root: str | Path | None = None,
        val_handlers: Sequence | None = None,
        method: str | None = None,
    ) -> None:
        if method is not None:
            network, checkpoint = classical(method), None
        # The epoch length is a stand-in: the dataset is not listed before `run`.
        super().__init__(
            device, DataLoader(dataset, batch_size=None), epoch_length=1, val_handlers=val_handlers, decollate=False
        )
        self.dataset, self.network, self.inferer = dataset, network, inferer
        self.output_dir, self.checkpoint, self.bundle_root = output_dir, checkpoint, bundle_root
        self.method = method
        for thing in (inferer, *network.modules()):
            settle_switches(thing)
        self.weights_sha256: str | None = None
        self.summary = ""
        self._failures: dict[str, str] = {}

    def run(self, global_epoch: int = 1) -> None:
        """Do every scan.

        Raises:
            SystemExit: with one line, if nothing can be done (options, folders, weights) or a scan failed.
        """
        self._failures = {}
        try:
            self._check()
            with ExitStack() as stack:
                if isinstance(self.dataset, ScanFolder):
                    temporary = stack.enter_context(TemporaryDirectory()) if self.dry_run else None
                    self.dataset.write_into(self.output_dir, temporary)
                self._list_scans()
                self._prepare_network()
                self._claims = stack.enter_context(self._open_claims())
                super().run(global_epoch)
                self._do_those_left()
                if self._claims is not None:
                    write_failures(self.output_dir, self._scans, self._failures)
        except ValueError as error:
            raise SystemExit(f"error: {error}") from error
        if self._failures:
            names = ", ".join(Path(path).name for path in self._failures)
            raise SystemExit(f"error: {len(self._failures)} of {len(self.dataset)} scans failed: {names}")

    def prepare(self) -> None:
        """Check the options, make the output folder and load the weights: all that `do_scan` needs.

        Raises:
            ValueError: an option is out of its range; as InputError, a folder or weights that are not usable.
        """
        self._check()
        self._prepare_network()

    def _check(self) -> None:
        self._validate()
        self._keep_apart()
        self._check_output()

    def _check_output(self) -> None:
        """Make the folder of the outputs; InputError where that cannot be."""
        check_output_dir(self.output_dir)

    def _list_scans(self) -> None:
        """Give each scan a name, and two of one name to the first."""
        self.state.epoch_length = len(self.dataset)
        self._scans = [self.dataset[k][Keys.IMAGE] for k in range(len(self.dataset))]
        self._owners = {stem(path): path for path in reversed(self._scans)}
        self._left: list[str] = []

    def _open_claims(self) -> AbstractContextManager[Claims | None]:
        """What shares the scans out among processes; nothing for a run that writes nothing."""
        return nullcontext() if self.dry_run else Claims(self.output_dir, self._run_options())

    def _run_options(self) -> dict[str, Any]:
        """What shapes the outputs, whichever scan; two runs on one folder agree in it, or the second is refused."""
        return self.made_by

    def _do_those_left(self) -> None:
        """Wait for the scans that other processes do, and take over those of processes that end without them."""
        if self._left:
            logger.info("waiting for %d scans that other processes do", len(self._left))
        while self._left:
            left, self._left = self._left, []
            for path in left:
                self._do_if_free(path)
            if self._left:
                time.sleep(WAIT_SECONDS)

    def _keep_apart(self) -> None:
        """Raise InputError if outputs would come to lie among the scans, where a next run finds them."""
        source = getattr(self.dataset, "dataset_dir", None)
        if source is not None and Path(source).is_dir() and Path(source).resolve() == Path(self.output_dir).resolve():
            raise InputError(self.output_dir, "is the folder of the scans", "choose another --output_dir")

    @cached_property
    def made_by(self) -> dict[str, Any]:
        """Name and version of the bundle and hash of its weights, or the method without weights, for the sidecars."""
        root = Path(self.bundle_root or ".")
        metadata = root / "configs" / "metadata.json"
        version = json.loads(metadata.read_text())["version"] if self.bundle_root and metadata.is_file() else ""
        name = root.name if self.bundle_root else ""
        made_by = {"bundle": name, "version": version, "weights_sha256": self.weights_sha256}
        return made_by if self.method is None else {**made_by, "method": self.method}

    def _validate(self) -> None:
        """Raise ValueError if an option is unusable."""
        self.inferer.validate()

    def _prepare_network(self) -> None:
        if self.checkpoint is not None:
            load_model(self.network, self.checkpoint)
            self.weights_sha256 = sha256_of(self.checkpoint)
        self.network.to(self.state.device).eval()

    def _iteration(self, engine: Engine, batchdata: Mapping[str, str]) -> dict[str, str | None]:
        path = batchdata[Keys.IMAGE]
        logger.info("scan %d of %d: %s", engine.state.iteration, engine.state.epoch_length, path)
        return {Keys.IMAGE: path, Keys.PRED: self._do_if_free(path)}

    def _do_if_free(self, path: str) -> str | None:
        """Do a scan, unless another process does it now or has failed at it since this one began."""
        name = stem(path)
        if self._claims is None or self._owners[name] != path:
            return self._do_item(path)
        try:
            taken = self._claims.take(name)
        except InputError as error:
            return self._fail(path, f"{path}: {error}")
        if not taken:
            self._left.append(path)
            return None
        fault = self._claims.fault(name)
        if fault is not None:
            self._failures[path] = fault
        try:
            return self._do_item(path) if fault is None else None
        finally:
            self._claims.release(name, self._failures.get(path))

    def _do_item(self, path: str) -> str | None:
        other = self._owners[stem(path)]
        if other != path:
            fault = f"would overwrite the output of {Path(other).name}"
            return self._fail(path, str(InputError(path, fault, "rename one of the two")))
        volumes, faults = self.dataset.volumes(path) if isinstance(self.dataset, ScanFolder) else ([Path(path)], [])
        output = None
        for volume in volumes:
            started = time.perf_counter()
            try:
                output = str(self.do_scan(volume))
                seconds = time.perf_counter() - started
                logger.info("%s: %s; %.1f s; %s", volume.name, self.summary, seconds, output)
            except (ValueError, OSError, MemoryError, RuntimeError) as error:
                told = input_error_in(error)
                if told is None and isinstance(error, RuntimeError):
                    raise
                advice = "; check the disk" if isinstance(error, OSError) else ""
                faults.append(str(told or f"{volume}: {error}{advice}"))
        return self._fail(path, "; ".join(faults)) if faults else output

    def _fail(self, path: str, fault: str) -> None:
        """Tell why a scan failed, and remember it."""
        logger.error("%s", fault)
        self._failures[path] = fault
