"""The icon of the server and of its tools: three layers, small enough for each list."""

from __future__ import annotations

from binascii import b2a_base64
from typing import Any

SIZE = 16
LAYERS = ((3, 2, 10, "#e0b070"), (2, 6, 12, "#b07840"), (1, 10, 14, "#704820"))
"""Where each layer begins (column and row), its width and its colour; each is three rows high."""

LAYER_HEIGHT = 3


def draw_svg() -> str:
    """Return the icon as SVG."""
    layers = "".join(
        f"<path fill='{color}' d='M{x} {y}h{width}v{LAYER_HEIGHT}H{x}z'/>" for x, y, width, color in LAYERS
    )
    return f"<svg xmlns='http://www.w3.org/2000/svg' viewBox='0 0 {SIZE} {SIZE}'>{layers}</svg>"


ICON: dict[str, Any] = {
    "src": f"data:image/svg+xml;base64,{b2a_base64(draw_svg().encode(), newline=False).decode()}",
    "mimeType": "image/svg+xml",
    "sizes": ["any"],
}
"""The icon as the protocol has it, whole in its address, so that no host has to fetch it."""

ICONS = [dict(sorted(ICON.items()))]
"""The same, as results list it."""
