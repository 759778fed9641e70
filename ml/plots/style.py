"""How every picture looks: colours, size, file. One colour means one thing in all of them."""

from pathlib import Path
from textwrap import fill

import numpy as np
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from PIL import Image

from expectations.errors import DataError
from ml.ranked_sums import BINS
from ml.ranked_sums import equal_bins as of_rows

MODEL, REFERENCE, ACTUAL = "#1f6feb", "#6b7280", "#cbd5e1"
"""The run's own model; what chance or perfection would give; what really happened."""
OTHERS = ("#d97706", "#059669", "#9333ea", "#be185d", "#0891b2")
"""What the model is compared with, in the order given."""
WIDTH, HEIGHT, DPI = 6.4, 5.2, 110
LETTERS_AN_INCH = 11.5
"""Of the title: a longer one goes on below."""


def palette(names: list[str]) -> dict[str, str]:
    """Name → colour: the first is the run's model."""
    others = [OTHERS[n % len(OTHERS)] for n in range(len(names) - 1)]
    return dict(zip(names, [MODEL, *others], strict=True))


def new_figure(panels: int = 1, width: float | None = None) -> tuple[Figure, list[Axes]]:
    """An empty figure of ``panels`` side by side; off every window system."""
    figure = Figure(figsize=(width or (WIDTH if panels == 1 else 4.9 * panels), HEIGHT), dpi=DPI, layout="constrained")
    FigureCanvasAgg(figure)
    axes = list(np.atleast_1d(figure.subplots(1, panels)))
    for one in axes:
        one.spines[["top", "right"]].set_visible(False)
        one.grid(alpha=0.25)
        one.set_axisbelow(True)
    return figure, axes


def save(figure: Figure, file: Path, title: str) -> None:
    """Writes ``figure`` as PNG of at most 256 colours: a third of the bytes, and no difference to the eye."""
    letters = int(figure.get_figwidth() * LETTERS_AN_INCH)
    figure.suptitle(fill(title, letters), fontsize=10.5, fontweight="bold")
    figure.canvas.draw()
    pixels = Image.fromarray(np.asarray(figure.canvas.buffer_rgba())).convert("RGB")
    # The tree of colours keeps rare ones apart; the usual median cut gives a few dots their neighbours' colour.
    few = pixels.quantize(256, method=Image.Quantize.FASTOCTREE, dither=Image.Dither.NONE)
    few.save(file, optimize=True)


def equal_bins(values: np.ndarray, bins: int = BINS) -> list[np.ndarray]:
    """Row numbers by rising value in groups of equal size, as metrics bin them: ties share one; none is empty."""
    return list(numbered_bins(values, bins).values())


def numbered_bins(values: np.ndarray, bins: int = BINS) -> dict[int, np.ndarray]:
    """Number of the bin, 0 for the lowest values → its rows; those without any are left out."""
    number = of_rows(values, bins)
    return {int(n): np.flatnonzero(number == n) for n in np.unique(number)}


def matured(known: np.ndarray, what: str) -> np.ndarray:
    """Numbers of the rows whose outcome is known; DataError if there are none to draw."""
    rows = np.flatnonzero(~np.isnan(known))
    if not len(rows):
        raise DataError(f"no customer's {what} has matured: choose an earlier cutoff or deliver the days after it")
    return rows
