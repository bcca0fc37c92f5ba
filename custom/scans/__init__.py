# SPDX-FileCopyrightText: 2026 The CardioInterp Bundles Authors
# SPDX-License-Identifier: Apache-2.0

"""Scans as they lie on disk: reading, writing, intensity range, coordinates, provenance."""
