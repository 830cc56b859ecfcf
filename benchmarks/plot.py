"""A plot as SVG, drawn by hand: stacked horizontal bars in panels side by side."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from xml.sax.saxutils import escape

MOST = 4
LABEL_WIDTH = 210
PANEL_WIDTH = 190
GAP = 24
BAR = 14
ROW = 22
TOP = 32
HEAD = 24
FOOT = 22
COLOURS = ("#2f6fab", "#e08a3c", "#7a7a7a", "#4b9b5a")
STYLE = (
    "text{font:11px system-ui,sans-serif;fill:#222}.t{font-size:13px;font-weight:600}"
    ".n{font-size:10px;fill:#555}@media(prefers-color-scheme:dark){text{fill:#ddd}.n{fill:#aaa}}"
)


@dataclass(frozen=True)
class Bar:
    """One bar: its label and the parts that stack up to its length; no parts, no bar."""

    label: str
    parts: tuple[float, ...]


@dataclass(frozen=True)
class Panel:
    """One panel: its title and a bar a row, in the same order in all panels; a scale of its own."""

    title: str
    bars: tuple[Bar, ...]


def _text(x: float, y: float, text: str, kind: str = "", anchor: str = "start") -> str:
    css = f' class="{kind}"' if kind else ""
    return f'<text x="{x:.1f}" y="{y:.1f}" text-anchor="{anchor}"{css}>{escape(text)}</text>'


def columns(panels: int) -> int:
    """How many panels stand in a row: as even as can be, never more than C{MOST}."""
    rows = -(-panels // MOST)
    return -(-panels // rows)


def draw(title: str, panels: Sequence[Panel], legend: Sequence[str]) -> str:
    """The SVG text of some panels that have the same bars."""
    across = columns(len(panels))
    rows = [panels[start : start + across] for start in range(0, len(panels), across)]
    row_height = HEAD + len(panels[0].bars) * ROW + GAP
    width = LABEL_WIDTH + across * (PANEL_WIDTH + GAP)
    height = TOP + len(rows) * row_height + FOOT
    out = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {height}" '
        f'width="{width}" height="{height}" role="img">',
        f"<title>{escape(title)}</title>",
        f"<style>{STYLE}</style>",
        _text(8, 18, title, "t"),
    ]
    for index, row in enumerate(rows):
        top = TOP + index * row_height + HEAD
        for line, bar in enumerate(row[0].bars):
            out.append(_text(LABEL_WIDTH - 8, top + line * ROW + BAR - 3, bar.label, anchor="end"))
        for column, panel in enumerate(row):
            out += _panel(panel, LABEL_WIDTH + column * (PANEL_WIDTH + GAP), top)
    x, y = float(LABEL_WIDTH), height - FOOT
    for name, colour in zip(legend, COLOURS, strict=False):
        out.append(f'<rect x="{x:.1f}" y="{y}" width="10" height="10" fill="{colour}"/>')
        out.append(_text(x + 14, y + 9, name))
        x += 30 + 6.5 * len(name)
    out.append("</svg>")
    return "\n".join(out) + "\n"


def _panel(panel: Panel, left: int, top: int) -> list[str]:
    out = [_text(left, top - 8, panel.title)]
    longest = max((sum(bar.parts) for bar in panel.bars), default=0.0) or 1.0
    scale = (PANEL_WIDTH - 36) / longest
    for line, bar in enumerate(panel.bars):
        x, y = float(left), top + line * ROW
        for part, colour in zip(bar.parts, COLOURS, strict=False):
            out.append(
                f'<rect x="{x:.1f}" y="{y}" width="{part * scale:.1f}" height="{BAR}" '
                f'fill="{colour}"/>'
            )
            x += part * scale
        if bar.parts:
            value = sum(bar.parts)
            text = f"{value:.0f}" if value >= 100 else f"{value:.3g}"
            out.append(_text(x + 4, y + BAR - 3, text, "n"))
    return out
