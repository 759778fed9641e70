"""Charts as SVG text: flows between stages, and a heat map of cohorts. No script, no network."""

from html import escape

COLOURS = {
    "prospect": "#9aa5b1", "new": "#2a9d8f", "active": "#3f78c1", "loyal": "#5b4fa8", "dormant": "#e0a030",
    "reactivated": "#4fb286", "churned": "#b5483a", "unseen": "#b4bcc7", "gone": "#4b5563",
}  # fmt: skip
WIDTH, SIDE, BAR, LEAST = 680, 165, 14, 2.0
"""SIDE: room for a name and its number beside a column of bars."""
GAP, LINE = 8, 14.0
"""Between bars; and what the name of a thin one takes."""
TOP, TALL = 34.0, 380

Flow = tuple[str, str, int]


def sankey(flows: list[Flow], order: tuple[str, ...], titles: tuple[str, str]) -> str:
    """From → to, customers. Bands are as thick as their customers are many; a tooltip tells the number."""
    total = sum(n for _, _, n in flows)
    if not total:
        return ""
    rank = {name: place for place, name in enumerate(order)}
    flows = sorted(flows, key=lambda flow: (rank[flow[0]], rank[flow[1]]))
    left, right = (_columns(flows, order, side, total) for side in (0, 1))
    bands, used = [], [dict.fromkeys(left, 0.0), dict.fromkeys(right, 0.0)]
    for source, target, n in flows:
        thick = n / total * TALL
        y0, y1 = left[source][0] + used[0][source], right[target][0] + used[1][target]
        used[0][source] += thick
        used[1][target] += thick
        bands.append(_band(source, target, n, y0, y1, thick))
    height = max(top + max(size, LINE) for top, size, _ in (*left.values(), *right.values())) + GAP
    sides = ((left, SIDE, "end"), (right, WIDTH - SIDE - BAR, "start"))
    labels = [_bar(name, *place, x, anchor) for column, x, anchor in sides for name, place in column.items()]
    heads = "".join(
        f'<text x="{x}" y="16" text-anchor="{anchor}" class="head">{escape(title)}</text>'
        for title, x, anchor in zip(titles, (SIDE + BAR, WIDTH - SIDE - BAR), ("end", "start"), strict=True)
    )
    return (
        f'<svg viewBox="0 0 {WIDTH} {height:.0f}" role="img" aria-label="Customers between lifecycle stages">'
        f"{heads}{''.join(bands)}{''.join(labels)}</svg>"
    )


def _columns(flows: list[Flow], order: tuple[str, ...], side: int, total: int) -> dict[str, tuple[float, float, int]]:
    """Name → (top, height, customers) of a column's bars, in the order of stages."""
    sums = {name: sum(flow[2] for flow in flows if flow[side] == name) for name in order}
    top, found = TOP, {}
    for name, n in sums.items():
        if n:
            size = n / total * TALL
            found[name] = (top, size, n)
            top += max(size, LINE) + GAP
    return found


def _band(source: str, target: str, n: int, y0: float, y1: float, thick: float) -> str:
    x0, x1, middle, width = SIDE + BAR, WIDTH - SIDE - BAR, WIDTH / 2, max(thick, 0.6)
    a, b = y0 + thick / 2, y1 + thick / 2
    kind = "stay" if source == target else "move"
    return (
        f'<path class="{kind}" d="M{x0},{a:.1f} C{middle},{a:.1f} {middle},{b:.1f} {x1},{b:.1f}" fill="none" '
        f'stroke="{COLOURS[source]}" stroke-width="{width:.1f}">'
        f"<title>{escape(source)} → {escape(target)}: {n:,}</title></path>"
    )


def _bar(name: str, top: float, size: float, n: int, x: float, anchor: str) -> str:
    at = x - 8 if anchor == "end" else x + BAR + 8
    return (
        f'<rect x="{x}" y="{top:.1f}" width="{BAR}" height="{max(size, LEAST):.1f}" fill="{COLOURS[name]}"/>'
        f'<text x="{at}" y="{top + max(size, LEAST) / 2 + 4:.1f}" text-anchor="{anchor}">{escape(name)} '
        f'<tspan class="n">{n:,}</tspan></text>'
    )


def bar(share: float, colour: str = "#3f78c1") -> str:
    """A share of 0 … 1 as a bar and its number, within a table's cell."""
    drawn = f'<i style="width:{100 * min(max(share, 0), 1):.1f}%;background:{colour}"></i>'
    return f'<span class="share"><span class="bar">{drawn}</span> <span class="part">{share:.1%}</span></span>'


def heat(share: float | None) -> str:
    """Background of a cell of the cohort table: white for nobody, the deeper the more."""
    return "" if share is None else f"background:rgba(63,120,193,{0.08 + 0.72 * share:.2f})"
