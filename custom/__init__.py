# SPDX-FileCopyrightText: 2026 The CardioInterp Bundles Authors
# SPDX-License-Identifier: Apache-2.0

"""Shared rooms of the slice-interpolation bundles; configs name what is here by `_target_`."""
