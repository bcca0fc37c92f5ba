# SPDX-FileCopyrightText: 2026 The CardioInterp Bundles Authors
# SPDX-License-Identifier: Apache-2.0

"""One command from an export to dense volumes and a page to look at: `python -m custom densify`."""
