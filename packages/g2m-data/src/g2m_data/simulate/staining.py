"""From a scene to pixels: paint stain concentrations tile by tile, then Beer-Lambert with the section's own stains."""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np
import numpy.typing as npt
from scipy import fft

from g2m_data.simulate.anatomy import FACTORS, OUTSIDE, RASTER_UM, REGIONS, Anatomy
from g2m_data.simulate.config import SectionPlan
from g2m_data.simulate.drawing import Scene

Floats = npt.NDArray[np.float32]
TILE_PX = 1024
MARGIN_PX = 12  # painted around a tile and cut off: edges and blur end differently where a canvas ends
UNPAINTED = 14  # graininess of the ground, by which it is told from what was painted over it
STREAKS_DEG = (0.0, 30.0, 60.0, 90.0, 120.0, 150.0)
EOSIN_PER_SD, THICKNESS_SD, BALANCE_SD = 0.20, 0.13, 0.13
# haematoxylin, eosin of the ground between the tubules
GROUND = {"CX": (0.12, 0.62), "OSOM": (0.10, 0.60), "ISOM": (0.10, 0.62), "IM&P": (0.10, 0.86), "BAT": (0.12, 0.90)}
# Every region is brought to these mean transmissions in red and green under the standard stain, so that a region cannot
# be told by its mean colour.
MEAN_RED, MEAN_GREEN = 0.690, 0.470
SAMPLED = 40_000  # pixels of each region, at least, by which it is brought there
_STANDARD = np.array([(0.5626, 0.7201, 0.4062), (0.2159, 0.8012, 0.5581)], np.float32)


@dataclass(frozen=True)
class Grain:
    """Periodic noise of unit variance, TILE_PX square, that repeats from tile to tile; wrapped on by MARGIN_PX."""

    coarse: Floats
    fine: Floats
    streaks: Floats
    """(direction, row, column): collagen along STREAKS_DEG."""
    sensor: Floats


def make_grain(mpp: float, seed: int) -> Grain:
    """Noise at the scales of cytoplasm (0.7 um), chromatin (0.4 um), collagen (1 x 7 um) and sensor (half a pixel)."""
    rng = np.random.default_rng([seed, 7])
    v, u = np.meshgrid(fft.fftfreq(TILE_PX, mpp), fft.rfftfreq(TILE_PX, mpp), indexing="ij")

    def spectrum() -> npt.NDArray[np.complex64]:
        return np.asarray(fft.rfft2(rng.standard_normal((TILE_PX, TILE_PX), np.float32)), np.complex64)

    def blur(white: npt.NDArray[np.complex64], along_um: float, across_um: float, turn_deg: float = 0.0) -> Floats:
        c, s = np.cos(np.deg2rad(turn_deg)), np.sin(np.deg2rad(turn_deg))
        squares = (along_um * (c * u + s * v)) ** 2 + (across_um * (c * v - s * u)) ** 2
        field = fft.irfft2(white * np.exp(-2 * np.pi**2 * squares).astype(np.float32))
        return np.asarray(field / field.std(), np.float32)

    white = spectrum()  # the same for all directions, so that fibres bend from one to the next
    streaks = np.stack([blur(white, 7.0, 1.0, turn) for turn in STREAKS_DEG])
    coarse, fine, sensor = (blur(spectrum(), width, width) for width in (0.7, 0.4, 0.5 * mpp))
    margins = (MARGIN_PX, MARGIN_PX)
    coarse, fine = (np.pad(field, (margins, margins), mode="wrap") for field in (coarse, fine))
    return Grain(coarse, fine, np.pad(streaks, ((0, 0), margins, margins), mode="wrap"), sensor)


class Painter:
    """Renders any rectangle of one section at one resolution; rectangles start at multiples of TILE_PX."""

    def __init__(self, scene: Scene, anatomy: Anatomy, mpp: float, grain: Grain) -> None:
        self.anatomy, self.mpp, self.grain = anatomy, mpp, grain
        self.layers = scene.layers
        self.bounds = bound_layers(scene.layers)
        shape = anatomy.region.shape
        ground = np.zeros((OUTSIDE + 1, 2), np.float32)
        ground[: len(REGIONS)] = [GROUND[name] for name in REGIONS]
        region = _fill_outside(anatomy.region)
        self.ground = ground[region]
        capsule = np.abs(anatomy.capsule) < 6.0
        self.ground[capsule] = (0.2, 1.05)
        fibrous = ((region == REGIONS.index("IM&P")) | capsule).astype(np.float32)
        self.fibres = fibrous[..., None] * _turn_towards_papilla(anatomy)
        self.gains = np.ones((*shape, 2), np.float32)
        eosin = np.clip(anatomy.factors[list(FACTORS).index("eosin")], -2.5, 2.5)
        self.fields = np.stack(
            [
                np.exp(THICKNESS_SD * anatomy.thickness + BALANCE_SD / 2 * anatomy.balance),
                np.exp(THICKNESS_SD * anatomy.thickness - BALANCE_SD / 2 * anatomy.balance + EOSIN_PER_SD * eosin),
            ],
            axis=-1,
        ).astype(np.float32)

    def concentrations(self, x_px: int, y_px: int, width: int, height: int) -> Floats:
        """Haematoxylin and eosin of a rectangle, (height, width, 2); rectangles side by side show no seam."""
        m = MARGIN_PX
        return self._paint(x_px - m, y_px - m, width + 2 * m, height + 2 * m)[m:-m, m:-m]

    def _paint(self, x_px: int, y_px: int, width: int, height: int) -> Floats:
        canvas = np.empty((height, width, 3), np.uint8)
        canvas[..., :2] = np.clip(self._upsample(self.ground, x_px, y_px, width, height) * 100, 0, 255)
        canvas[..., 2] = UNPAINTED
        paint_polygons(canvas, self.layers, self.bounds, self.mpp, x_px, y_px)

        coarse, fine = self.grain.coarse[:height, :width], self.grain.fine[:height, :width]
        grainy = canvas[..., 2].astype(np.float32) * 0.01
        layers = canvas[..., :2].astype(np.float32) * 0.01
        layers[..., 0] *= 1 + grainy * fine
        layers[..., 1] *= 1 + grainy * coarse * 0.6
        fibres = self._upsample(self.fibres, x_px, y_px, width, height)
        if fibres.any():
            streaks = np.einsum("hwd,dhw->hw", fibres, self.grain.streaks[:, :height, :width])
            layers[..., 1] *= 1 + (canvas[..., 2] == UNPAINTED) * streaks * 0.4
        layers *= self._upsample(self.fields * self.gains, x_px, y_px, width, height)
        level = self._upsample(self.anatomy.level, x_px, y_px, width, height)
        layers *= np.clip(level / 1.5 + 0.5, 0, 1)[..., None]
        return np.asarray(cv2.GaussianBlur(np.maximum(layers, 0), (0, 0), 0.35 / self.mpp), np.float32)

    def _upsample(self, raster: Floats, x_px: int, y_px: int, width: int, height: int) -> Floats:
        """Bilinear values of an 8 um raster at the rectangle's pixel centres."""
        step = self.mpp / RASTER_UM
        matrix = np.array([[step, 0, (x_px + 0.5) * step - 0.5], [0, step, (y_px + 0.5) * step - 0.5]])
        flags = cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP
        values = cv2.warpAffine(raster, matrix, (width, height), flags=flags, borderMode=cv2.BORDER_REPLICATE)
        return np.asarray(values, np.float32)


@dataclass(frozen=True)
class Bounds:
    """Bounding boxes: of each layer's polygons, and of each layer (a glomerulus is several layers of its own)."""

    layers: list[tuple[Floats, Floats]]
    """Lowest and highest x and y of each polygon, (n, 2)."""
    lowest: Floats
    highest: Floats
    """Of whole layers, (layer, 2)."""


def bound_layers(layers: list[tuple[Floats, npt.NDArray[np.uint8]]]) -> Bounds:
    """Boxes by which a tile finds what touches it."""
    boxes = [(polygons.min(axis=1), polygons.max(axis=1)) for polygons, _ in layers]
    lowest = np.array([low.min(axis=0) for low, _ in boxes]).reshape(-1, 2)
    highest = np.array([high.max(axis=0) for _, high in boxes]).reshape(-1, 2)
    return Bounds(boxes, lowest, highest)


def paint_polygons(
    canvas: npt.NDArray[np.uint8],
    layers: list[tuple[Floats, npt.NDArray[np.uint8]]],
    bounds: Bounds,
    mpp: float,
    x_px: int,
    y_px: int,
) -> None:
    """Fill the polygons that touch the canvas, whose corner lies at (x_px, y_px); edges are anti-aliased."""
    corner = np.array((x_px, y_px), np.float32)
    low, high = corner * mpp, (corner + canvas.shape[1::-1]) * mpp
    reached = ((bounds.lowest < high) & (bounds.highest > low)).all(axis=1)
    for number in np.flatnonzero(reached):
        (polygons, paint), (lowest, highest) = layers[number], bounds.layers[number]
        touching = np.flatnonzero(((lowest < high) & (highest > low)).all(axis=1))
        # polygons are in sixteenths of a pixel; pixel centres are whole numbers to OpenCV
        fixed = np.rint((polygons[touching] / mpp - corner - 0.5) * 16).astype(np.int32)
        for points, colour in zip(fixed, paint[touching].tolist(), strict=True):
            cv2.fillConvexPoly(canvas, points, colour, cv2.LINE_AA, 4) if len(points) < 16 else cv2.fillPoly(
                canvas, [points], colour, cv2.LINE_AA, 4
            )


def even_out(painter: Painter, step_um: float = 1.0) -> None:
    """Set the painter's gains so that all regions have the same mean colour in this section."""
    anatomy = painter.anatomy
    thumbnail = Painter(Scene(painter.layers), anatomy, step_um, painter.grain)
    width, height = (int(side / step_um) for side in anatomy.size_um)
    tiles = [
        (x, y, min(TILE_PX, width - x), min(TILE_PX, height - y))
        for y in range(0, height, TILE_PX)
        for x in range(0, width, TILE_PX)
    ]

    def regions(x: int, y: int, w: int, h: int) -> npt.NDArray[np.uint8]:
        yy, xx = (np.indices((h, w)) + 0.5) * step_um
        return anatomy.at(anatomy.region, np.stack([xx + x * step_um, yy + y * step_um], axis=-1))

    # counted first, so that only the pixels that will be used are kept
    counted = np.zeros(OUTSIDE + 1, np.int64)
    for tile in tiles:
        counted += np.bincount(regions(*tile).ravel(), minlength=len(counted))
    every, passed = np.maximum(counted // SAMPLED, 1), np.zeros(len(REGIONS), np.int64)
    samples: dict[int, list[Floats]] = {code: [] for code in range(len(REGIONS))}
    for tile in tiles:
        layers, region = thumbnail.concentrations(*tile), regions(*tile)
        for code, values in samples.items():
            pixels = layers[region == code]
            values.append(pixels[-passed[code] % every[code] :: every[code]].copy())
            passed[code] += len(pixels)
    gains = np.ones((OUTSIDE + 1, 2), np.float32)
    for code, values in samples.items():
        if counted[code]:
            gains[code] = match_means(np.concatenate(values))
    painter.gains = cv2.blur(gains[_fill_outside(anatomy.region)], (3, 3))


def match_means(pixels: Floats) -> npt.NDArray[np.float64]:
    """Gains of haematoxylin and eosin that bring (n, 2) concentrations to the common mean red and green (Newton)."""
    target = np.array((MEAN_RED, MEAN_GREEN))
    stain = _STANDARD[:, :2].astype(np.float64)
    gain = np.ones(2)
    for _ in range(8):
        light = np.exp(-(pixels * gain) @ stain)  # (n, 2): red, green
        slope = -np.einsum("nc,ns,sc->cs", light, pixels, stain) / len(pixels)
        step = np.linalg.solve(slope, target - light.mean(axis=0))
        gain = np.clip(gain + step, 0.6, 1.8)
    return gain


def develop(concentrations: Floats, plan: SectionPlan, noise: Floats | None = None) -> npt.NDArray[np.uint8]:
    """Light through the stained section, uint8 RGB (Beer-Lambert)."""
    stain = np.array([plan.haematoxylin, plan.eosin], np.float32)
    stain *= (np.array(plan.strength, np.float32) / np.linalg.norm(stain, axis=1))[:, None]
    density = concentrations[..., :1] * stain[0] + concentrations[..., 1:] * stain[1]
    light = np.asarray(cv2.exp(-density), np.float32) * np.array(plan.white, np.float32)
    if noise is not None:
        light += noise[: light.shape[0], : light.shape[1], None] * 1.6
    pixels: npt.NDArray[np.uint8] = np.clip(np.rint(light), 0, 255).astype(np.uint8)
    return pixels


def _turn_towards_papilla(anatomy: Anatomy) -> Floats:
    """Weights of the streaks' directions so that fibres run along the medullary rays; (row, column, direction)."""
    y, x = (np.indices(anatomy.region.shape) + 0.5) * RASTER_UM
    ray = np.arctan2(y - anatomy.papilla_um[1], x - anatomy.papilla_um[0])
    away = (np.rad2deg(ray)[..., None] - STREAKS_DEG + 90) % 180 - 90
    weights = np.cos(np.deg2rad(np.minimum(np.abs(away) * 90 / STREAKS_DEG[1], 90)))
    return np.asarray(weights / np.linalg.norm(weights, axis=-1, keepdims=True), np.float32)


def _fill_outside(region: npt.NDArray[np.uint8]) -> npt.NDArray[np.uint8]:
    """Give cells just outside the tissue the region of a neighbour inside, so that edges do not fade."""
    filled = region.copy()
    kernel = np.ones((3, 3), np.uint8)
    for _ in range(3):
        # dilation takes the largest code, so shift codes up and leave 0 for empty
        codes = np.where(filled == OUTSIDE, 0, filled + 1).astype(np.uint8)
        grown = cv2.dilate(codes, kernel)
        filled = np.where((filled == OUTSIDE) & (grown > 0), grown - 1, filled).astype(np.uint8)
    return filled
