# SPDX-FileCopyrightText: 2026 The CardioInterp Bundles Authors
# SPDX-License-Identifier: Apache-2.0

"""Stage 1: the autoencoder, trained to reconstruct windows against a patch discriminator."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence

import torch
from monai.engines import Trainer, default_metric_cmp_fn
from monai.engines.utils import IterationEvents, default_prepare_batch
from monai.utils.enums import CommonKeys as Keys
from torch import nn
from torch.optim import Optimizer

from custom.data.sizes import number, whole_number
from custom.training.loss_log import scalars
from custom.training.losses import (
    SliceDistance,
    adaptive_weight,
    check_weights,
    hinge_discriminator_loss,
    hinge_generator_loss,
    kl_divergence,
)
from custom.training.randomness import iteration_generator
from custom.weights import unwrapped


class AutoencoderTrainer(Trainer):
    """Trains an autoencoder of frame windows with L1, LPIPS, KL and a hinge PatchGAN, as LVDM does.

    The loss is `reconstruction_weight * L1 + perceptual_weight * LPIPS + kl_weight * KL + w * adversarial`: L1 the mean
    over pixels of images in [-1, 1], LPIPS the mean over frames, KL summed over a frame's latent. With the adaptive
    weight, w is `adversarial_weight` times a ratio of gradient norms (`custom.training.losses.adaptive_weight`).
    MONAI's `AdversarialTrainer` does not fit: its reconstruction loss sees neither mean nor variance. Of an autoencoder
    that `knows_ends`, whose decoder is given the first and last frame of a window, the frames between count.

    All random numbers come from `(seed, iteration, rank)`, so a resumed training repeats an uninterrupted one.

    Args:
        device: to train on.
        max_epochs: epochs in all, counting those before a resume.
        train_data_loader: batches with "image" `(B, L, 1, *space)` in [0, 1], and "positions" `(B, L)` of the frames
            from 0 to 1 where they are not evenly spaced.
        autoencoder: called as `autoencoder(frames, latent_noise_std=..., generator=..., [positions=...])` with frames
            in [-1, 1]; returns reconstruction, posterior mean and log variance, and what the reconstruction should be
            if not those frames, and has `last_layer_weight`.
        optimizer: of the autoencoder.
        discriminator: of single frames `(N, 1, *space)`; its output, or the last of a list of outputs, is the map of
            scores (`monai.networks.nets.PatchDiscriminator`). None trains without.
        discriminator_optimizer: of the discriminator.
        perceptual: distance of `(N, 1, h, w)` images in [0, 1], as `custom.metrics.perceptual.load_lpips` gives it, or
            None where it has no weights; then the loss goes without.
        log_rmse: see `custom.training.losses.SliceDistance`, which takes the place of L1 unless both are 0.
        ssim: the same.
        reconstruction_weight: see above.
        perceptual_weight: see above.
        kl_weight: see above; LVDM uses none, latent diffusion 1e-6.
        adversarial_weight: see above.
        adaptive_adversarial_weight: False for the fixed `adversarial_weight`.
        discriminate_images: of cine slices, give the discriminator the phases one by one, `(N, 1, h, w)`: a clip of few
            phases is too short for the strides of one in 3D.
        adversarial_start: iterations before the discriminator begins to learn and to be heard.
        latent_noise_std: passed to the autoencoder; the decoder later sees generated latents (A12).
        max_gradient_norm: gradients of each network are clipped to this norm; None for no clipping.
        seed: of the latent noise.
        amp: mixed precision, on CUDA only.
        epoch_length, non_blocking, prepare_batch, postprocessing, key_train_metric, additional_metrics, metric_cmp_fn,
            train_handlers, decollate, to_kwargs, amp_kwargs: as in `monai.engines.SupervisedTrainer`.

    After an iteration `engine.state.output` holds "image" and "pred" in [0, 1], "loss" and every term as scalars.

    Raises:
        InputError: a weight or the noise below 0.
        ValueError: a discriminator without an optimizer.
    """

    def __init__(
        self,
        device: str | torch.device,
        max_epochs: int,
        train_data_loader: Iterable,
        autoencoder: nn.Module,
        optimizer: Optimizer,
        discriminator: nn.Module | None = None,
        discriminator_optimizer: Optimizer | None = None,
        perceptual: nn.Module | None = None,
        log_rmse: float = 0.0,
        ssim: float = 0.0,
        reconstruction_weight: float = 1.0,
        perceptual_weight: float = 1.0,
        kl_weight: float = 0.0,
        adversarial_weight: float = 0.5,
        adaptive_adversarial_weight: bool = True,
        discriminate_images: bool = False,
        adversarial_start: int = 0,
        latent_noise_std: float = 0.0,
        max_gradient_norm: float | None = 1.0,
        seed: int = 0,
        amp: bool = False,
        epoch_length: int | None = None,
        non_blocking: bool = False,
        prepare_batch: Callable = default_prepare_batch,
        postprocessing: Callable | None = None,
        key_train_metric: dict | None = None,
        additional_metrics: dict | None = None,
        metric_cmp_fn: Callable = default_metric_cmp_fn,
        train_handlers: Sequence | None = None,
        decollate: bool = True,
        to_kwargs: dict | None = None,
        amp_kwargs: dict | None = None,
    ) -> None:
        check_weights(
            reconstruction=reconstruction_weight, perceptual=perceptual_weight, kl=kl_weight,
            adversarial=adversarial_weight,
        )  # fmt: skip
        number("--latent_noise_std", latent_noise_std)
        whole_number("--adversarial_start", adversarial_start, 0)
        if discriminator is not None and discriminator_optimizer is None:
            raise ValueError("A discriminator needs a discriminator_optimizer.")
        super().__init__(
            device=device,
            max_epochs=max_epochs,
            data_loader=train_data_loader,
            epoch_length=epoch_length,
            non_blocking=non_blocking,
            prepare_batch=prepare_batch,
            postprocessing=postprocessing,
            key_metric=key_train_metric,
            additional_metrics=additional_metrics,
            metric_cmp_fn=metric_cmp_fn,
            handlers=train_handlers,
            amp=amp and torch.device(device).type == "cuda",
            decollate=decollate,
            to_kwargs=to_kwargs,
            amp_kwargs=amp_kwargs,
        )
        self.network, self.optimizer = autoencoder, optimizer
        self.discriminator, self.discriminator_optimizer = discriminator, discriminator_optimizer
        self.discriminate_images = discriminate_images
        self.distance = SliceDistance(log_rmse, ssim) if log_rmse or ssim else None
        self.perceptual = None if perceptual is None else perceptual.to(self.state.device)
        self.reconstruction_weight, self.perceptual_weight = reconstruction_weight, perceptual_weight
        self.kl_weight, self.adversarial_weight = kl_weight, adversarial_weight
        self.adaptive_adversarial_weight, self.adversarial_start = adaptive_adversarial_weight, adversarial_start
        self.latent_noise_std, self.max_gradient_norm, self.seed = latent_noise_std, max_gradient_norm, seed

    def _iteration(self, engine: AutoencoderTrainer, batchdata: dict) -> dict:
        images, _ = engine.prepare_batch(batchdata, engine.state.device, engine.non_blocking, **engine.to_kwargs)
        scaler = engine.scaler or torch.amp.GradScaler(enabled=False)
        adversarial = self.discriminator is not None and engine.state.iteration > self.adversarial_start
        frames = 2 * images - 1
        places = {"positions": batchdata["positions"].to(images)} if "positions" in batchdata else {}
        reconstruction, terms = self._train_autoencoder(frames, adversarial, scaler, places)
        if getattr(unwrapped(self.network), "knows_ends", False):
            images, frames = images[:, 1:-1], frames[:, 1:-1]
        terms["discriminator"] = self._train_discriminator(frames, reconstruction, scaler) if adversarial else 0.0
        scaler.update()
        # Put into the state before the event, as MONAI's engines do: decollation and postprocessing start from there.
        prediction = ((reconstruction + 1) / 2).clamp(0, 1)
        engine.state.output = {Keys.IMAGE: images, Keys.PRED: prediction, **scalars(terms)}
        engine.fire_event(IterationEvents.MODEL_COMPLETED)
        return engine.state.output

    def _train_autoencoder(
        self, frames: torch.Tensor, adversarial: bool, scaler: torch.amp.GradScaler, places: dict[str, torch.Tensor]
    ) -> tuple[torch.Tensor, dict]:
        """One step of the autoencoder: the reconstruction `(B, L, 1, h, w)` in [-1, 1] and the value of each term."""
        generator = iteration_generator(self.seed, self.state.iteration, self.state.rank)
        self.network.train()
        with self._autocast():
            reconstruction, mean, log_variance, *target = self.network(
                frames, latent_noise_std=self.latent_noise_std, generator=generator, **places
            )
            frames = target[0] if target else frames
            l1 = (reconstruction - frames).abs().mean()
            if self.distance is not None:
                l1 = self.distance(*((_images(x) + 1) / 2 for x in (reconstruction, frames)))
            perceptual = self._perceptual_distance(reconstruction, frames)
            kl = kl_divergence(mean.float(), log_variance.float())
            fidelity = self.reconstruction_weight * l1 + self.perceptual_weight * perceptual
            adversary, weight = torch.zeros_like(l1), 0.0
            if adversarial:
                self.discriminator.requires_grad_(False)
                adversary = hinge_generator_loss(self._scores(unwrapped(self.discriminator), reconstruction))
        if adversarial:
            weight = self.adversarial_weight
            if self.adaptive_adversarial_weight:
                last_layer = unwrapped(self.network).last_layer_weight
                weight = weight * adaptive_weight(fidelity, adversary, last_layer, loss_scale=scaler.get_scale())
        loss = fidelity + self.kl_weight * kl + weight * adversary
        self._step(loss, self.network, self.optimizer, scaler)
        name = getattr(self.perceptual, "name", "lpips")
        terms = {Keys.LOSS: loss, "l1": l1, name: perceptual, "kl": kl, "adversarial": adversary}
        return reconstruction.detach().float(), {**terms, "adversarial_weight": weight}

    def _train_discriminator(
        self, frames: torch.Tensor, reconstruction: torch.Tensor, scaler: torch.amp.GradScaler
    ) -> torch.Tensor:
        """One step of the discriminator, and its loss."""
        self.discriminator.requires_grad_(True).train()
        with self._autocast():
            loss = hinge_discriminator_loss(
                self._scores(self.discriminator, frames).float(),
                self._scores(self.discriminator, reconstruction).float(),
            )
        self._step(loss, self.discriminator, self.discriminator_optimizer, scaler)
        return loss

    def _step(self, loss: torch.Tensor, network: nn.Module, optimizer: Optimizer, scaler: torch.amp.GradScaler) -> None:
        optimizer.zero_grad(set_to_none=True)
        scaler.scale(loss).backward()
        if self.max_gradient_norm is not None:
            scaler.unscale_(optimizer)
            nn.utils.clip_grad_norm_(network.parameters(), self.max_gradient_norm)
        scaler.step(optimizer)

    def _perceptual_distance(self, reconstruction: torch.Tensor, frames: torch.Tensor) -> torch.Tensor:
        if self.perceptual is None:
            return torch.zeros((), device=frames.device)
        return self.perceptual(*((_images(x) + 1) / 2 for x in (reconstruction, frames))).mean()

    def _scores(self, discriminator: nn.Module, frames: torch.Tensor) -> torch.Tensor:
        """The discriminator's raw map of scores of all frames of `(B, L, 1, *space)`."""
        output = discriminator(_images(frames) if self.discriminate_images else frames.flatten(0, 1))
        return output[-1] if isinstance(output, (list, tuple)) else output

    def _autocast(self) -> torch.autocast:
        return torch.autocast("cuda", enabled=self.amp, **self.amp_kwargs)


def _images(frames: torch.Tensor) -> torch.Tensor:
    """All 2D images of `(B, L, 1, h, w)`, or of cine slices `(B, L, 1, T, h, w)`, as `(N, 1, h, w)`."""
    return frames.flatten(0, -3).unsqueeze(1)
