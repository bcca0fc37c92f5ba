# SPDX-FileCopyrightText: 2026 The CardioInterp Bundles Authors
# SPDX-License-Identifier: Apache-2.0

"""One training of a bundle, from its first stage to the weights and the line that uses them."""

from __future__ import annotations

import ast
import logging
import os
import shlex
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Protocol

import ignite.distributed as idist
import torch
from torch import nn

from custom.command_line import options_in
from custom.data.sizes import check_item_size, whole_number
from custom.switches import is_on
from custom.training.processes import shared
from custom.training.progress_log import ProgressLog
from custom.training.stage_checkpoint import StageCheckpoint
from custom.training.tracking import RunTracking, SharedTracking
from custom.weights import save_model

logger = logging.getLogger(__name__)


class Stage(Protocol):
    """What a session knows of a stage, beside what MONAI's trainers have.

    Attributes:
        name: of its files, `stages/<name>.pt` and `<name>_loss.csv`, and in the log.
        checkpoint: its file, among the handlers.
        progress: its lines in the log.
        tracked: the handlers of its config.
        sized_by: attribute of the trained network that says what sizes of its images must be multiples of.
        prepare_batch: a `custom.training.task.Task`, which says what windows it takes, or MONAI's own.
        data_loader: of MONAI's `DataLoader`.
        state: Ignite's, with `max_epochs` and `epoch_length`.
    """

    name: str
    checkpoint: StageCheckpoint
    progress: ProgressLog
    tracked: Sequence[Any]
    sized_by: str
    prepare_batch: Any
    data_loader: Any
    state: Any

    def run(self) -> None:
        """Train, from the start or from the checkpoint."""


class Session:
    """What the stages of a training share, and the order in which they run.

    Args:
        bundle_root: folder of the bundle.
        output_dir: gets a loss curve per stage.
        ckpt_dir: gets `model.pt`, and `stages/` from which a training that was stopped goes on.
        device: to train on.
        seed: of all draws.
        amp: mixed precision, on CUDA only.
        num_workers: processes that prepare batches.
        log_every: iterations between the lines of the log.
        half_precision: write the weights as float16, for half the size.
        weights: files that the network starts from or builds on, by name, None where there is none. What a stage learns
            depends on their content.
        overwrite: see `StageCheckpoint`.

    Raises:
        InputError: a number of workers or iterations that is none.
    """

    def __init__(
        self,
        bundle_root: str | Path,
        output_dir: str | Path,
        ckpt_dir: str | Path,
        device: torch.device | str,
        seed: int = 0,
        amp: bool = True,
        num_workers: int = 0,
        log_every: int = 25,
        half_precision: bool = False,
        weights: Mapping[str, str | None] | None = None,
        overwrite: bool = False,
    ) -> None:
        self.bundle_root = Path(bundle_root)
        self.output_dir, self.ckpt_dir = Path(output_dir), Path(ckpt_dir)
        self.device, self.seed = torch.device(device), seed
        self.log_every = whole_number("--log_every", log_every)
        self.num_workers = whole_number("--num_workers", num_workers, 0)
        self.half_precision = is_on(half_precision)
        self.amp = is_on(amp) and self.device.type == "cuda"
        self.given, self.overwrite = dict(weights or {}), is_on(overwrite)
        self._shared: dict[int, nn.Module] = {}
        logger.info("%s: loss curves go to %s, weights to %s", self.bundle_root.name, output_dir, self.result)

    @property
    def result(self) -> Path:
        """The file that the training ends with."""
        return self.ckpt_dir / "model.pt"

    def shared(self, network: nn.Module, find_unused_parameters: bool = False) -> nn.Module:
        """See `custom.training.processes.shared`; the same wrapper for the same network."""
        if id(network) not in self._shared:
            self._shared[id(network)] = shared(network, self.device, find_unused_parameters)
        return self._shared[id(network)]

    def check(self, stages: Sequence[Stage], trained: nn.Module) -> None:
        """All that can be refused before the first epoch; see `run`.

        Raises:
            InputError: see `run`.
        """
        shapes = [stage.data_loader.dataset[0]["image"].shape for stage in stages]
        for stage, shape in reversed(list(zip(stages, shapes, strict=True))):  # the last is that of `--crop_size`
            option = "--crop_size" if shape[-2:] == shapes[-1][-2:] else f"--{stage.name}_crop_size"
            units = getattr(trained, stage.sized_by, 1)  # networks that pad their images have none
            getattr(stage.prepare_batch, "check", lambda length: None)(shape[0])
            check_item_size(shape, units, getattr(trained, "fixed_size", None), option)
        for stage in stages:
            stage.checkpoint.check()

    def run(self, stages: Sequence[Stage], trained: nn.Module) -> None:
        """Train all stages, write the weights, and tell how to use them.

        Args:
            stages: in order; the last is the one that `--tracking` knows of.
            trained: the network whose weights are written after the last.

        Raises:
            InputError: a folder cannot be written, or holds a stage of another training; the network does not take
                images of the size that is drawn, or a stage not so many frames.
            FloatingPointError: a loss is not finite.
        """
        self.check(stages, trained)
        tracking = RunTracking(stages[-1], stages[-1].tracked, self.bundle_root, self.output_dir)
        sizes = [stage.state.max_epochs * stage.state.epoch_length for stage in stages]
        for place, stage in enumerate(stages):
            if len(stages) > 1:
                stage.progress.place = f"stage {place + 1} of {len(stages)}"
            stage.progress.later = sum(sizes[place + 1 :])
            if stage is not stages[-1]:
                SharedTracking(stages[-1].tracked, prefix=stage.name).attach(stage)
        for place, stage in enumerate(stages):
            logger.info(
                "stage %d of %d: %s, %d epochs of %d iterations, on %s",
                place + 1, len(stages), stage.name, stage.state.max_epochs, stage.state.epoch_length, self.device,
            )  # fmt: skip
            stage.run()
        tracking.finish()
        if idist.get_rank() == 0:
            save_model(trained, self.result, half=self.half_precision)
            usage = inference_command(self.bundle_root, self.result, sys.argv)
            logger.info("the weights are in %s; to use them:\n%s", self.result, usage)


_OF_TRAINING = ("multi_gpu_train.json", "train_release.json")
"""Overlays that say nothing of the network."""


def inference_command(bundle_root: str | Path, checkpoint: str | Path, argv: Sequence[str] = ()) -> str:
    """The command line that uses the weights of a training.

    Args:
        bundle_root: folder of the bundle.
        checkpoint: the weights.
        argv: of the training; what it said of the network, by options or by overlays such as `paper.json`, is repeated.

    Returns:
        One line, with paths relative to the working directory where they are below it.
    """
    options = dict(options_in(argv))
    given = options.get("config_file", "")
    files = ast.literal_eval(given) if given.startswith("[") else [given]
    overlays = [file for file in files[1:] if Path(file).name not in _OF_TRAINING]
    configs = [_short(Path(bundle_root) / "configs" / "inference.json"), *overlays]
    words = ["python", "-m", "monai.bundle", "run", "--config_file", configs[0] if not overlays else str(configs)]
    words += ["--checkpoint", _short(checkpoint)]
    for name, value in options.items():
        if name.replace("::", "#").split("#")[0] == "network_def":
            words += [f"--{name}", value]
    return shlex.join(words) + " --dataset_dir SCANS --output_dir DENSE"


def _short(path: str | Path) -> str:
    path = Path(os.path.abspath(path))
    return str(path.relative_to(Path.cwd()) if path.is_relative_to(Path.cwd()) else path)
