# SPDX-FileCopyrightText: 2026 The CardioInterp Bundles Authors
# SPDX-License-Identifier: Apache-2.0

"""A comparison as one HTML page that needs nothing else: inline style and script, figures as data URIs."""

from __future__ import annotations

import base64
import io
from collections.abc import Sequence
from dataclasses import dataclass, field
from html import escape
from pathlib import Path

from PIL import Image

from custom.files import atomic

WARNING = (
    "Research only. Synthetic slices and frames are not measurements: not for diagnosis, not for planning or guiding "
    "an intervention, not for measuring a heart or a vessel."
)

WIDTH = 1600

_STYLE = """
:root { color-scheme: light dark; --paper: #fdfdfb; --ink: #1c1c1a; --soft: #6b6b66; --line: #dcdcd5; --band: #f3f3ee;
  --mark: #0b6e4f; --warn: #9a3412; }
@media (prefers-color-scheme: dark) { :root { --paper: #171716; --ink: #e8e8e3; --soft: #9d9d96; --line: #363633;
  --band: #212120; --mark: #6ee7b7; --warn: #fdba74; } }
body { margin: 0; background: var(--paper); color: var(--ink); font: 16px/1.55 Georgia, "Times New Roman", serif; }
main { max-width: 72rem; margin: 0 auto; padding: 2.5rem 1.25rem 5rem; }
h1 { font-size: 1.9rem; line-height: 1.2; margin: 0 0 .4rem; font-weight: 600; }
h2 { font-size: 1.3rem; margin: 2.8rem 0 .6rem; border-top: 1px solid var(--line); padding-top: 1.2rem;
  font-weight: 600; }
h3 { font-size: 1.05rem; margin: 1.8rem 0 .4rem; font-weight: 600; }
p, li { max-width: 48rem; } .soft, figcaption, .note { color: var(--soft); font-size: .9rem; }
.warning { color: var(--warn); border-left: 3px solid var(--warn); padding-left: .8rem; }
.verdict li { margin: .35rem 0; }
.table { overflow-x: auto; margin: .6rem 0 1rem; }
table { border-collapse: collapse; font: .84rem/1.35 system-ui, -apple-system, "Segoe UI", sans-serif;
  font-variant-numeric: tabular-nums; }
th, td { padding: .38rem .7rem; text-align: right; white-space: nowrap; border-bottom: 1px solid var(--line); }
th { font-weight: 600; vertical-align: bottom; white-space: normal; min-width: 4rem; cursor: pointer;
  user-select: none; }
th:first-child, td:first-child { text-align: left; position: sticky; left: 0; background: var(--paper);
  min-width: 9rem; }
tbody tr:hover td { background: var(--band); } td.best { color: var(--mark); font-weight: 700; }
th.theirs, td.theirs { color: var(--soft); font-style: italic; }
th[aria-sort=ascending]::after { content: " \\2191"; } th[aria-sort=descending]::after { content: " \\2193"; }
figure { margin: 1.4rem 0 2rem; } figure img { max-width: 100%; height: auto; background: #fff; padding: .4rem;
  border: 1px solid var(--line); border-radius: 3px; box-sizing: border-box; }
pre { font: .82rem/1.45 ui-monospace, Menlo, Consolas, monospace; background: var(--band); padding: .8rem 1rem;
  white-space: pre-wrap; word-break: break-word; }
dl { display: grid; grid-template-columns: max-content 1fr; gap: .25rem 1.2rem; }
dt { color: var(--soft); } dd { margin: 0; }
@media print { .table { overflow: visible; } th, td { white-space: normal; } }
"""

_SCRIPT = """
document.querySelectorAll('table').forEach(table => table.querySelectorAll('th').forEach((head, column) => {
  head.tabIndex = 0;
  const sort = () => {
    const up = head.getAttribute('aria-sort') !== 'ascending';
    table.querySelectorAll('th').forEach(other => other.removeAttribute('aria-sort'));
    head.setAttribute('aria-sort', up ? 'ascending' : 'descending');
    const value = row => row.cells[column].textContent.trim();
    const body = table.tBodies[0];
    [...body.rows].sort((a, b) => {
      const [x, y] = [parseFloat(value(a)), parseFloat(value(b))];
      if (isNaN(x) !== isNaN(y)) return isNaN(x) ? 1 : -1;
      const order = column && !isNaN(x) ? x - y : value(a).localeCompare(value(b));
      return up ? order : -order;
    }).forEach(row => body.append(row));
  };
  head.addEventListener('click', sort);
  head.addEventListener('keydown', event => { if (event.key === 'Enter') sort(); });
}));
"""


@dataclass(frozen=True)
class PageTable:
    """A table with its heading.

    Attributes:
        heading: above it.
        header: of the columns; those that contain `theirs` are set apart as numbers from the paper.
        body: rows of text.
        note: below the heading.
        best: (row, column) of the best value of each column.
        theirs: mark of the paper's columns.
    """

    heading: str
    header: Sequence[str]
    body: Sequence[Sequence[str]]
    note: str = ""
    best: frozenset[tuple[int, int]] = frozenset()
    theirs: str = ""


@dataclass(frozen=True)
class Page:
    """What the page says, in its order.

    Attributes:
        title: heading.
        subtitle: data and counts, one line.
        verdict: heading -> sentences.
        sections: heading -> tables.
        figures: PNG file -> caption.
        facts: name -> text, such as the machine.
        command: that made the page.
    """

    title: str
    subtitle: str
    verdict: dict[str, list[str]]
    sections: dict[str, list[PageTable]]
    figures: dict[Path, str]
    facts: dict[str, str]
    command: str
    notes: list[str] = field(default_factory=list)


def write_page(page: Page, path: Path) -> None:
    """Write the page, all or nothing."""
    with atomic(path) as temporary:
        temporary.write_text(render(page), encoding="utf-8")


def render(page: Page) -> str:
    """The page as HTML."""
    parts = [f"<h1>{escape(page.title)}</h1>", f'<p class="soft">{escape(page.subtitle)}</p>']
    parts += [f'<p class="warning">{escape(WARNING)}</p>', "<h2>Verdict</h2>"]
    for heading, sentences in page.verdict.items():
        items = "".join(f"<li>{escape(text)}</li>" for text in sentences)
        parts += [f"<h3>{escape(heading)}</h3>"] * bool(heading) + [f'<ul class="verdict">{items}</ul>']
    for heading, tables in page.sections.items():
        parts += [f"<h2>{escape(heading)}</h2>", *map(_table, tables)]
    if page.figures:
        parts.append("<h2>Figures</h2>")
        parts += [_figure(path, caption) for path, caption in page.figures.items()]
    parts.append("<h2>How this was made</h2>")
    facts = "".join(f"<dt>{escape(name)}</dt><dd>{escape(text)}</dd>" for name, text in page.facts.items())
    parts += [f"<dl>{facts}</dl>", *(f'<p class="note">{escape(note)}</p>' for note in page.notes)]
    parts.append(f"<pre>{escape(page.command)}</pre>")
    head = '<meta charset="utf-8"><meta name="viewport" content="width=device-width, initial-scale=1">'
    head += f"<title>{escape(page.title)}</title><style>{_STYLE}</style>"
    body = "<main>\n" + "\n".join(parts) + f"\n</main><script>{_SCRIPT}</script>"
    return f'<!DOCTYPE html>\n<html lang="en"><head>{head}</head>\n<body>{body}</body></html>\n'


def _smaller(path: Path) -> bytes:
    """A picture as PNG of at most `WIDTH` pixels across and 256 colours; the file keeps the full ones."""
    with Image.open(path) as picture:
        small = picture.convert("RGB")
    small.thumbnail((WIDTH, small.height))
    stream = io.BytesIO()
    small.quantize(256).save(stream, "PNG", optimize=True)
    return stream.getvalue()


def _table(table: PageTable) -> str:
    marks = [' class="theirs"' if table.theirs and table.theirs in cell else "" for cell in table.header]
    head = "".join(f"<th{mark}>{escape(cell)}</th>" for cell, mark in zip(table.header, marks, strict=True))
    rows = []
    for row, cells in enumerate(table.body):
        classes = [' class="best"' if (row, column) in table.best else mark for column, mark in enumerate(marks)]
        rows.append("".join(f"<td{c}>{escape(cell)}</td>" for c, cell in zip(classes, cells, strict=True)))
    body = "".join(f"<tr>{row}</tr>" for row in rows)
    note = f'<p class="note">{escape(table.note)}</p>' if table.note else ""
    heading = f"<h3>{escape(table.heading)}</h3>" if table.heading else ""
    return f'{heading}{note}<div class="table"><table><thead><tr>{head}</tr></thead><tbody>{body}</tbody></table></div>'


def _figure(path: Path, caption: str) -> str:
    data = base64.b64encode(_smaller(path)).decode()
    image = f'<img alt="{escape(caption, quote=True)}" src="data:image/png;base64,{data}">'
    return f"<figure>{image}<figcaption>{escape(caption)}</figcaption></figure>"
