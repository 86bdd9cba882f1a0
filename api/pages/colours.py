"""Colour scales that are read by lightness alone, so with any colour vision, on paper and without colours.

Colours are mixed in OKLab (B. Ottosson, "A perceptual color space for image processing", 2020), where equal steps look
equally large.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

Lab = tuple[float, float, float]
Rgb = tuple[float, float, float]
_BLACK: Final = "#000000"
_WHITE: Final = "#ffffff"
# The luminance on which both are read equally well (WCAG 2.2, 1.4.3): the root of 1.05 * 0.05, less 0.05.
_INK_TURNS: Final = 0.179


@dataclass(frozen=True, slots=True)
class Scale:
    """Colours from ``low`` to ``high``, values of what is shown, through the stops at equal distances."""

    low: float
    high: float
    stops: Sequence[Lab]

    def fill(self, value: float) -> str:
        """Return the colour of a value as ``#rrggbb``; beyond an end it is the end's."""
        return "#" + "".join(f"{round(255 * _encoded(channel)):02x}" for channel in self._mixed(value))

    def ink(self, value: float) -> str:
        """Return the colour in which text is read on `fill`."""
        red, green, blue = self._mixed(value)
        return _WHITE if 0.2126 * red + 0.7152 * green + 0.0722 * blue < _INK_TURNS else _BLACK

    def _mixed(self, value: float) -> Rgb:
        along = (value - self.low) / (self.high - self.low) * (len(self.stops) - 1)
        along = min(max(along, 0.0), len(self.stops) - 1.0)
        at = min(int(along), len(self.stops) - 2)
        before, after, share = self.stops[at], self.stops[at + 1], along - at
        lightness, a, b = (one + share * (other - one) for one, other in zip(before, after, strict=True))
        return _linear(lightness, a, b)


_RISING: Final[tuple[Lab, ...]] = ((0.30, 0.00, -0.11), (0.62, -0.09, 0.00), (0.94, -0.05, 0.15))
_ORANGE_TO_BLUE: Final[tuple[Lab, ...]] = ((0.58, 0.11, 0.11), (0.96, 0.00, 0.00), (0.50, -0.03, -0.13))


def shares() -> Scale:
    """Return the scale of shares: dark for 0, light for 1."""
    return Scale(0.0, 1.0, _RISING)


def around_zero(reach: float) -> Scale:
    """Return the scale from ``-reach``, orange, over 0, almost white, to ``reach``, blue."""
    return Scale(-reach, reach, _ORANGE_TO_BLUE)


def _linear(lightness: float, a: float, b: float) -> Rgb:
    """Return a colour of OKLab in linear sRGB, its channels cut to 0 to 1."""
    long = (lightness + 0.3963377774 * a + 0.2158037573 * b) ** 3
    medium = (lightness - 0.1055613458 * a - 0.0638541728 * b) ** 3
    short = (lightness - 0.0894841775 * a - 1.2914855480 * b) ** 3
    red, green, blue = (
        min(max(channel, 0.0), 1.0)
        for channel in (
            4.0767416621 * long - 3.3077115913 * medium + 0.2309699292 * short,
            -1.2684380046 * long + 2.6097574011 * medium - 0.3413193965 * short,
            -0.0041960863 * long - 0.7034186147 * medium + 1.7076147010 * short,
        )
    )
    return red, green, blue


def _encoded(channel: float) -> float:
    """Return a linear channel as sRGB's (IEC 61966-2-1), both from 0 to 1."""
    return 12.92 * channel if channel <= 0.0031308 else 1.055 * channel ** (1 / 2.4) - 0.055  # noqa: PLR2004 - the standard's
