# SPDX-FileCopyrightText: 2026 The CardioInterp Bundles Authors
# SPDX-License-Identifier: Apache-2.0

"""Rotation of a whole polar frame between two frames: found, and redone in frames between them, by whole rows."""

from __future__ import annotations

from collections.abc import Sequence

import torch
import torch.nn.functional as F

MOST_TURN = 0.25
"""Of a whole turn: rotation between neighbouring frames beyond it is not looked for."""
CLEAR_TURN = 0.5
"""A rotation is undone if it brings the neighbours' squared difference, smoothed, below this share of what it was.

Neighbours of a real pullback that did not turn, but looked alike after a turn, stayed above 0.63, and each such turn
made the frame between them worse; true turns of 30 degrees and more come out below 0.5 in most pairs.
"""


def whole_turn(first: torch.Tensor, last: torch.Tensor) -> int:
    """By how many rows the second polar frame `(H, W)` is rolled against the first; 0 unless that is clear.

    It is the peak of the circular cross-correlation along the rows, of frames smoothed against speckle.
    """
    rows = len(first)
    frames = F.pad(torch.stack([first, last])[:, None].float(), (0, 0, 2, 2), mode="circular")
    frames = F.avg_pool2d(frames, (5, 8), stride=(1, 8), ceil_mode=True)[:, 0]
    first, last = frames - frames.mean(1, keepdim=True)  # rings around the catheter do not turn
    spectrum = torch.fft.rfft(first, dim=0).conj() * torch.fft.rfft(last, dim=0)
    correlation = torch.fft.irfft(spectrum.sum(1), n=rows)
    most = int(MOST_TURN * rows)
    correlation[most + 1 : rows - most] = -torch.inf
    turn = int(correlation.argmax())
    turn = turn - rows if turn > most else turn
    return turn if F.mse_loss(first.roll(turn, 0), last) < CLEAR_TURN * F.mse_loss(first, last) else 0


def turned(frames: torch.Tensor, asked: torch.Tensor, turns: Sequence[int]) -> torch.Tensor:
    """Frames `(B, P, 1, H, W)` at `asked` `(P,)`, each rolled by its share of its gap's turn in rows."""
    if not any(turns):
        return frames
    places = asked.tolist()
    turned = [
        torch.stack([frame.roll(round(place * turn), -2) for frame, place in zip(item, places, strict=True)])
        for item, turn in zip(frames, turns, strict=True)
    ]
    return torch.stack(turned)
