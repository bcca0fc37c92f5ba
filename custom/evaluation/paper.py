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

"""Numbers printed in the papers: shown beside ours, in columns marked as theirs, and never mixed with ours.

The data behind them are private (Vivolight and Abbott pullbacks, one split by sub-volume), so they are a reminder of
the order of size and of the ranking, not a target.
"""

from __future__ import annotations

#: CardioInterp, Table 1: method -> factor -> (PSNR in dB, SSIM in %).
CARDIOINTERP_TABLE_1: dict[str, dict[int, tuple[float, float]]] = {
    "I3Net": {2: (29.18, 56.50), 4: (28.96, 53.97)},
    "TSCNet": {2: (10.53, 11.38), 4: (14.20, 21.33)},
    "FLAVR": {2: (29.09, 51.18), 4: (28.60, 47.78), 6: (28.07, 47.56)},
    "CardioInterp": {2: (29.94, 59.21), 4: (28.78, 56.00), 6: (28.59, 51.80)},
}

#: CardioInterp, Table 2 (at x6): (PSNR in dB, SSIM in %) of each ablation row.
CARDIOINTERP_TABLE_2: dict[str, tuple[float, float]] = {
    "plain decoder": (27.91, 46.13),
    "+ P3D": (28.08, 46.67),
    "+ dual-path addition": (28.24, 49.07),
    "+ dual-path fusion": (28.59, 51.80),
}
