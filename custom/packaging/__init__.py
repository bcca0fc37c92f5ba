# SPDX-FileCopyrightText: 2026 The CardioInterp Bundles Authors
# SPDX-License-Identifier: Apache-2.0

"""From the bundles of the repository to Model Zoo packages: one self-contained zip each."""
