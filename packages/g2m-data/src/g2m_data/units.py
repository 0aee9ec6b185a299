"""Units and coordinates, stated once.

Coordinates are centres, (x, y) = (column, row), in full-resolution slide pixels, float64, unless a name says otherwise.
The centre of the pixel in row 0 and column 0 is (0, 0), so a slide of `height` x `width` pixels spans -0.5 ..
width - 0.5 in x. Space Ranger's `pxl_col_in_fullres` is x and its `pxl_row_in_fullres` is y.

The *resampled slide* is the slide at patch width / patch pixels µm per pixel. A point x of the slide lies at
`(x + 0.5) * scale - 0.5` in it, because it is the pixels' edges that scale, not their centres.
"""

from typing import NewType

Microns = NewType("Microns", float)
"""A length on the glass slide, µm."""

SlidePixels = NewType("SlidePixels", float)
"""A length in full-resolution slide pixels."""

BIN_UM = 2.0
"""Width of Visium HD's finest bins, µm; windows are given in these."""

MicronsPerPixel = NewType("MicronsPerPixel", float)
"""The width of one pixel on the glass slide, µm."""
