# SPDX-FileCopyrightText: 2026 The CardioInterp Bundles Authors
# SPDX-License-Identifier: Apache-2.0

"""The pages of a bundle, so that they can be read where nothing else of the repository is."""

from __future__ import annotations

import re
from pathlib import Path

from custom.errors import InputError

_LINK = re.compile(r"(?P<image>!?)\[(?P<text>[^\]]*)\]\((?P<target>[^)#\s]*)(?P<anchor>#[^)\s]*)?\)")
_ELSEWHERE = re.compile(r"[a-z]+:")


def packed_pages(bundle: Path) -> dict[str, bytes]:
    """`docs/` of a bundle for its package: path in the bundle -> content.

    What a page links to outside the bundle comes along: pictures as they are, pages as text, in which further links and
    pictures are their wording only. Paths of commands start at the bundle and not at the repository.

    Args:
        bundle: its folder in the repository.

    Raises:
        InputError: a link leads nowhere.
    """
    pages: dict[str, bytes] = {}
    for page in sorted((bundle / "docs").iterdir()):
        content = page.read_bytes()
        if page.suffix == ".md":
            content = _with_what_it_links_to(page, bundle, pages)
        pages[f"docs/{page.name}"] = content
    return pages


def _with_what_it_links_to(page: Path, bundle: Path, pages: dict[str, bytes]) -> bytes:
    """A page whose links stay within the bundle; what they lead to is added to `pages`."""

    def settle(link: re.Match) -> str:
        if not link["target"] or _ELSEWHERE.match(link["target"]):
            return link[0]
        target = (page.parent / link["target"]).resolve()
        if not target.is_file():
            raise InputError(page, f"links to {link['target']}, which is not there", "correct the link")
        if target.is_relative_to(bundle.resolve()):
            return link[0]
        # A sibling's README is called by the sibling's name.
        name = f"{target.parent.parent.name}.md" if target.name == "README.md" else target.name
        page_text = target.suffix == ".md"
        pages[f"docs/{name}"] = (
            _LINK.sub(_wording, target.read_text("utf-8")).encode() if page_text else target.read_bytes()
        )
        text = link["text"].replace(f"docs/{name}", name)
        return f"{link['image']}[{text}]({name}{link['anchor'] or ''})"

    text = _LINK.sub(settle, page.read_text(encoding="utf-8"))
    return text.replace(f"bundles/{bundle.name}/", "").encode()


def _wording(link: re.Match) -> str:
    """A link of a page that came along: kept if it leads into the same page or to the internet."""
    if not link["target"] or _ELSEWHERE.match(link["target"]):
        return link[0]
    return f"(figure: {link['text']})" if link["image"] else link["text"]
