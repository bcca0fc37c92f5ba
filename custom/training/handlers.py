# SPDX-FileCopyrightText: 2026 The CardioInterp Bundles Authors
# SPDX-License-Identifier: Apache-2.0

"""What MONAI's trainers lack: averaged weights whose warm-up survives a resume, clipped gradients, whole outputs."""

from __future__ import annotations

from typing import Any

from ignite.engine import Engine, Events
from ignite.handlers import EMAHandler
from monai.engines.utils import IterationEvents
from torch import nn

from custom.data.sizes import number


class WarmupEMA(EMAHandler):
    """Ignite's moving average of the weights with the warm-up of LVDM.

    The decay at iteration n is min(`decay`, (1 + n) / (10 + n)). Ignite's own warm-up counts its calls and forgets them
    on a resume; this one follows the engine's iteration. To resume, `StageCheckpoint` must save `ema_model`.

    Args:
        model: whose weights are averaged.
        decay: share of the average that an iteration keeps, once warmed up.

    Raises:
        InputError: a share that is not between 0 and 1.
    """

    def __init__(self, model: nn.Module, decay: float = 0.9999) -> None:
        super().__init__(model, momentum=1 - number("--ema_decay", decay, 0, 1, open_ends=True))

    def attach(self, engine: Engine) -> None:
        engine.add_event_handler(Events.ITERATION_COMPLETED, self._set_momentum)
        super().attach(engine, name="ema_momentum", warn_if_exists=False)

    def _set_momentum(self, engine: Engine) -> None:
        engine.state.ema_momentum = max(self.momentum, 9 / (10 + engine.state.iteration))


class ClipGradients:
    """Clips the gradients of a `SupervisedTrainer`'s network to a norm, which MONAI's trainer does not do.

    Args:
        max_norm: largest L2 norm of all gradients together.
    """

    def __init__(self, max_norm: float = 1.0) -> None:
        self.max_norm = max_norm

    def attach(self, engine: Engine) -> None:
        engine.add_event_handler(IterationEvents.BACKWARD_COMPLETED, self)

    def __call__(self, engine: Any) -> None:
        if engine.amp and engine.scaler is not None:
            engine.scaler.unscale_(engine.optimizer)
        nn.utils.clip_grad_norm_(engine.network.parameters(), self.max_norm)


class WholeBatch:
    """Puts an iteration's output into a list of one, in place of MONAI's decollation into one dictionary per item.

    That costs a copy of every loss to the host in every iteration, and training looks at nothing but the losses. What
    MONAI attaches for `--tracking mlflow` reads the first of a list.
    """

    def attach(self, engine: Engine) -> None:
        engine.add_event_handler(IterationEvents.MODEL_COMPLETED, self)

    def __call__(self, engine: Engine) -> None:
        engine.state.output = [engine.state.output]
