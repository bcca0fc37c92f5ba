# SPDX-FileCopyrightText: 2026 The CardioInterp Bundles Authors
# SPDX-License-Identifier: Apache-2.0

"""The version of the code. Not in `custom/__init__.py`, which packed bundles do without (`custom.paths`)."""

VERSION = "0.1.0"
