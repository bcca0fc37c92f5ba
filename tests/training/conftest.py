# SPDX-FileCopyrightText: 2026 The CardioInterp Bundles Authors
# SPDX-License-Identifier: Apache-2.0

"""Small stand-ins with the interfaces of the real networks and data, shared by the training tests."""

from __future__ import annotations

import pytest
import torch
from torch import nn
from torch.utils.data import DataLoader, Dataset

from custom.data.windows import EpochWindowSampler
from custom.diffusion.schedules import alphas_cumprod, betas


class TinyAutoencoder(nn.Module):
    def __init__(self):
        super().__init__()
        self.encoder = nn.Conv2d(1, 4, 8, stride=8)
        self.decoder = nn.ConvTranspose2d(2, 1, 8, stride=8)

    @property
    def last_layer_weight(self):
        return self.decoder.weight

    def forward(self, frames, latent_noise_std=0.0, generator=None):
        mean, log_variance = self.encoder(frames.flatten(0, 1)).unflatten(0, frames.shape[:2]).chunk(2, dim=2)
        latents = mean + latent_noise_std * torch.randn(mean.shape, generator=generator).to(mean)
        return self.decoder(latents.flatten(0, 1)).unflatten(0, frames.shape[:2]), mean, log_variance


class TinyCodec(nn.Module):
    """A composite whose latents are 8 x 8 means in two differently scaled channels."""

    prediction_type = "epsilon"

    def __init__(self):
        super().__init__()
        self.denoiser = TinyDenoiser()
        self.register_buffer("latent_shift", torch.zeros(2, 1, 1))
        self.register_buffer("latent_scale", torch.ones(2, 1, 1))

    def set_latent_statistics(self, mean, std):
        self.latent_shift.copy_(torch.as_tensor(mean).reshape(-1, 1, 1).expand_as(self.latent_shift))
        self.latent_scale.copy_((1 / torch.as_tensor(std)).reshape(-1, 1, 1).expand_as(self.latent_scale))

    def encode_latents(self, frames):
        means = nn.functional.avg_pool2d(frames.flatten(0, 1), 8).unflatten(0, frames.shape[:2])
        return (torch.cat([means, 3 * means + 1], dim=2) - self.latent_shift) * self.latent_scale


class TinyDenoiser(nn.Module):
    def __init__(self):
        super().__init__()
        self.conv = nn.Conv3d(3, 2, 3, padding=1)
        self.register_buffer("prior_variance", torch.tensor(0.25))
        self.register_buffer("alphas_cumprod", alphas_cumprod(betas()), persistent=False)

    def forward(self, z, mask, timesteps, positions=None):
        flags = mask[:, :, None, None, None].expand(-1, -1, 1, *z.shape[3:])
        return self.conv(torch.cat([z, flags], dim=2).transpose(1, 2)).transpose(1, 2) * (1 + timesteps.max() / 1000)

    def loss_weight(self, timesteps, mask, expected=None):
        return torch.ones(len(timesteps), 1, 1, 1, 1)


class RandomWindows(Dataset):
    def __len__(self):
        return 6

    def __getitem__(self, index):
        generator = torch.Generator().manual_seed(index)
        return {"image": torch.rand(3, 1, 32, 32, generator=generator), "patient": "P"}


@pytest.fixture
def make_loader():
    def make(batch_size=2):
        dataset = RandomWindows()
        return DataLoader(dataset, batch_size, sampler=EpochWindowSampler(dataset))

    return make


@pytest.fixture
def networks():
    """Classes of the stand-ins: autoencoder, composite, denoiser."""
    return TinyAutoencoder, TinyCodec, TinyDenoiser
