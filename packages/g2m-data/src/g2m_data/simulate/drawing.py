"""Turn packed tubules and cells into a vector scene: painted polygons in slide um, from the bottom layer to the top."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt

from g2m_data.simulate.anatomy import FACTORS, OUTSIDE, RASTER_UM, REGIONS, Anatomy
from g2m_data.simulate.packing import DIRECTIONS, KINDS, Packing, drawn_factors, nearest

Array = npt.NDArray[np.float64]
ANGLES = np.arange(DIRECTIONS) * 2 * np.pi / DIRECTIONS
# Paint is (haematoxylin, eosin, graininess) in hundredths of a concentration unit.
NUCLEI_PER_SD, LUMEN_PER_SD, DROPLET_PER_SD = 0.40, 0.30, 0.27
SEPTUM_UM, SEEN_NUCLEI = 0.9, 0.8  # of adipocytes: between droplets; nuclei in the plane of the section, per cell
# kind -> cytoplasm paint, lumen as a share of the radius, um between nuclei, where nuclei sit (share of the radius)
TUBES: dict[str, tuple[tuple[int, int, int], float, float, float]] = {
    "proximal": ((26, 88, 26), 0.32, 13.0, 0.76),
    "straight": ((20, 80, 34), 0.13, 15.0, 0.70),
    "distal": ((26, 56, 14), 0.52, 9.5, 0.76),
    "thick": ((26, 66, 16), 0.46, 8.0, 0.76),
    "thin": ((16, 52, 8), 0.68, 9.0, 0.86),
    "duct": ((12, 40, 8), 0.54, 8.5, 0.78),
    "vessel": ((22, 80, 14), 0.56, 9.0, 0.80),
}
NUCLEUS_UM = {
    "proximal": 2.9,
    "straight": 2.8,
    "distal": 2.7,
    "thick": 2.6,
    "thin": 1.9,
    "duct": 2.7,
    "vessel": 2.0,
    "adipocyte": 2.7,
}


@dataclass
class Scene:
    """Polygons of one section in painting order."""

    layers: list[tuple[npt.NDArray[np.float32], npt.NDArray[np.uint8]]] = field(default_factory=list)
    """(n, vertex, 2) outlines in slide um, (n, 3) paint."""
    glomeruli_um: Array = field(default_factory=lambda: np.zeros((0, 3)))
    """Centre and radius of each glomerular tuft."""

    def add(self, polygons: Array, paint: npt.ArrayLike) -> None:
        """Put polygons above everything added before."""
        if len(polygons):
            colours = np.broadcast_to(np.clip(np.asarray(paint, np.float64), 0, 255), (len(polygons), 3))
            self.layers.append((polygons.astype(np.float32), np.rint(colours).astype(np.uint8)))


def draw_scene(anatomy: Anatomy, packing: Packing, rng: np.random.Generator) -> Scene:
    """Draw one section's structures (nothing here depends on the scanner or the stain)."""
    scene = Scene()
    kinds = np.array(KINDS)[packing.kind]
    for name in TUBES:
        _draw_tubes(scene, packing, np.flatnonzero(kinds == name), name, rng)
    _draw_adipocytes(scene, packing, np.flatnonzero(kinds == "adipocyte"), rng)
    _draw_glomeruli(scene, packing, np.flatnonzero(kinds == "glomerulus"), rng)
    _draw_interstitium(scene, anatomy, packing, rng)
    return scene


def polygon(xy: Array, radii: Array, angles: Array = ANGLES) -> Array:
    """Star-shaped polygons, (n, 2) and (n, vertex) -> (n, vertex, 2)."""
    polygons: Array = xy[:, None] + radii[..., None] * towards(angles)
    return polygons


def towards(angle: Array) -> Array:
    """Unit vectors, (...) -> (..., 2)."""
    return np.stack([np.cos(angle), np.sin(angle)], axis=-1)


def ellipse(xy: Array, long: Array, short: Array, turn: Array, vertices: int = 12) -> Array:
    """Ellipses as polygons, (n, vertices, 2)."""
    angles = np.arange(vertices) * 2 * np.pi / vertices
    u, v = long[:, None] * np.cos(angles), short[:, None] * np.sin(angles)
    c, s = np.cos(turn)[:, None], np.sin(turn)[:, None]
    polygons: Array = xy[:, None] + np.stack([c * u - s * v, s * u + c * v], axis=-1)
    return polygons


def _factor(packing: Packing, chosen: npt.NDArray[np.int64], name: str) -> Array:
    values: Array = packing.factors[chosen, list(FACTORS).index(name)]
    return values


def _around(outline: Array, angle: Array) -> Array:
    """Outline radius at any angle; (n, direction), (n, k) -> (n, k)."""
    slot = np.rint(angle % (2 * np.pi) / (2 * np.pi) * DIRECTIONS).astype(np.int64) % DIRECTIONS
    return np.take_along_axis(outline, slot, axis=1)


def _draw_tubes(
    scene: Scene, packing: Packing, chosen: npt.NDArray[np.int64], name: str, rng: np.random.Generator
) -> None:
    if not len(chosen):
        return
    paint, lumen, spacing, ring = TUBES[name]
    xy, outline = packing.xy_um[chosen], packing.outline_um[chosen]
    shade = np.array(paint, float) * rng.normal(1.0, 0.06, (len(chosen), 1))
    scene.add(polygon(xy, outline + 0.5), (22, 112, 10))  # basement membrane
    scene.add(polygon(xy, outline - 0.5), shade)
    _draw_texture(scene, xy, outline, name, shade, rng)

    open_share = np.clip(lumen * np.exp(LUMEN_PER_SD * _factor(packing, chosen, "lumen")), 0.05, 0.84)
    open_share *= rng.normal(1.0, 0.08, len(chosen)).clip(0.7, 1.3)
    ragged = {"proximal": 0.20, "straight": 0.22, "distal": 0.07}.get(name, 0.05)
    phase = rng.uniform(0, 2 * np.pi, (len(chosen), 3, 1))
    edge = 1 + sum(ragged * 0.6 * np.sin(k * ANGLES + phase[:, i]) for i, k in enumerate((2, 5, 9)))
    inner = outline * open_share[:, None] * edge
    if name in ("proximal", "straight"):  # brush border
        rim = 0.13 if name == "proximal" else 0.26
        scene.add(polygon(xy, np.minimum(inner + rim * outline, outline * 0.72)), shade + np.array((-10, 26, -8)))
    shifted = xy + rng.normal(0, 0.04, xy.shape) * outline.mean(axis=1, keepdims=True)
    scene.add(polygon(shifted, np.maximum(inner, 0.4)), (1, 5, 2))
    if name == "vessel" or name == "thin":
        _draw_blood(scene, shifted, inner, name, rng)
    _draw_wall_nuclei(scene, packing, chosen, name, spacing, ring, open_share, rng)


def _draw_texture(scene: Scene, xy: Array, outline: Array, name: str, shade: Array, rng: np.random.Generator) -> None:
    """Basal striations (convoluted), vacuoles (straight), cell borders (ducts)."""
    n = len(xy)
    lines = {"proximal": 22, "distal": 16, "duct": 9, "thick": 10}.get(name, 0)
    if lines:
        angle = np.arange(lines) * 2 * np.pi / lines + rng.uniform(0, 0.25, (n, lines))
        start, stop, half = {"duct": (0.45, 0.96, 0.35)}.get(name, (0.62, 0.95, 0.42))
        radius = _around(outline, angle)
        along, across = towards(angle), towards(angle + np.pi / 2)
        near, far = (xy[:, None] + along * (radius * share)[..., None] for share in (start, stop))
        quads = np.stack([near + half * across, far + half * across, far - half * across, near - half * across], axis=2)
        tone = shade + {"duct": (10, 42, 0)}.get(name, (8, 24, 0))
        scene.add(quads.reshape(-1, 4, 2), np.repeat(tone, lines, axis=0))
    if name == "straight":
        count = 26
        angle, share = rng.uniform(0, 2 * np.pi, (n, count)), rng.uniform(0.5, 0.92, (n, count))
        radius = _around(outline, angle) * share
        centres = xy[:, None] + radius[..., None] * towards(angle)
        size = rng.uniform(0.7, 1.5, n * count)
        pale = np.repeat(shade, count, axis=0) * (0.5, 0.36, 0.4)
        scene.add(ellipse(centres.reshape(-1, 2), size, size, size, 8), pale)


def _draw_wall_nuclei(
    scene: Scene,
    packing: Packing,
    chosen: npt.NDArray[np.int64],
    name: str,
    spacing: float,
    ring: float,
    open_share: Array,
    rng: np.random.Generator,
) -> None:
    outline = packing.outline_um[chosen]
    density = np.exp(NUCLEI_PER_SD * _factor(packing, chosen, "nuclear_density"))
    wanted = 2 * np.pi * outline.mean(axis=1) * ring / spacing * density
    count = np.floor(wanted + rng.random(len(chosen))).astype(np.int64)
    most = max(int(count.max()), 1)
    step = 2 * np.pi / np.maximum(count, 1)
    angle = rng.uniform(0, 2 * np.pi, (len(chosen), 1)) + step[:, None] * (
        np.arange(most) + rng.normal(0, 0.16, (len(chosen), most))
    )
    present = np.arange(most) < count[:, None]
    share = np.maximum(ring, (open_share[:, None] + 1) / 2) if name in ("thick", "distal", "duct") else ring
    radius = _around(outline, angle) * (share + rng.normal(0, 0.025, angle.shape))
    radius = np.minimum(radius, np.maximum(_around(outline, angle) - NUCLEUS_UM[name] * 0.9, 0.5))
    centres = packing.xy_um[chosen][:, None] + radius[..., None] * towards(angle)
    flat = 0.5 if name in ("thin", "vessel") else 0.9
    draw_nuclei(scene, centres[present], NUCLEUS_UM[name], flat, (angle + np.pi / 2)[present], rng)


def draw_nuclei(
    scene: Scene, xy: Array, radius_um: float, flat: float, turn: Array, rng: np.random.Generator, dark: float = 1.0
) -> None:
    """Nuclei with a rim of chromatin and, often, a nucleolus."""
    n = len(xy)
    long = radius_um * rng.normal(1.0, 0.09, n).clip(0.75, 1.3)
    short = long * (flat * rng.normal(1.0, 0.07, n)).clip(0.35, 1.0)
    tone = (rng.normal(1.0, 0.11, n) * dark).clip(0.6, 1.4)[:, None]
    scene.add(ellipse(xy, long, short, turn), np.array((152.0, 34.0, 26.0)) * tone)
    scene.add(ellipse(xy, long * 0.72, short * 0.72, turn, 10), np.array((116.0, 30.0, 44.0)) * tone)
    some = np.flatnonzero(rng.random(n) < 0.6)
    spot = np.full(len(some), 0.5)
    shift = rng.normal(0, 0.25, (len(some), 2)) * short[some, None]
    scene.add(ellipse(xy[some] + shift, spot, spot, spot, 6), np.array((178.0, 44.0, 10.0)) * tone[some])


def _draw_blood(scene: Scene, xy: Array, inner: Array, name: str, rng: np.random.Generator) -> None:
    """Red cells in some capillaries and vessels."""
    full = np.flatnonzero(rng.random(len(xy)) < (0.35 if name == "thin" else 0.6))
    cells = 1 if name == "thin" else 4
    angle, share = rng.uniform(0, 2 * np.pi, (len(full), cells)), rng.uniform(0.1, 0.6, (len(full), cells))
    radius = inner[full].mean(axis=1, keepdims=True)
    centres = xy[full][:, None] + (radius * share)[..., None] * towards(angle)
    size = np.minimum(np.repeat(radius[:, 0] * 0.6, cells), rng.uniform(1.5, 2.4, len(full) * cells))
    scene.add(ellipse(centres.reshape(-1, 2), size, size * 0.85, size * 9), (6, 132, 4))


def _draw_adipocytes(scene: Scene, packing: Packing, chosen: npt.NDArray[np.int64], rng: np.random.Generator) -> None:
    """Brown fat: cells full of small droplets around a central nucleus."""
    if not len(chosen):
        return
    xy, outline = packing.xy_um[chosen], packing.outline_um[chosen]
    shade = np.array((15.0, 104.0, 20.0)) * rng.normal(1.0, 0.06, (len(chosen), 1))
    scene.add(polygon(xy, outline + 0.4), (16, 126, 8))
    scene.add(polygon(xy, outline - 0.3), shade)
    # droplets on a jittered sunflower: about the same number a cell, whatever their size; neighbours keep a septum
    count = 15
    order = np.arange(count) + 0.5
    angle = order * 2.399963 + rng.uniform(0, 2 * np.pi, (len(chosen), 1)) + rng.normal(0, 0.1, (len(chosen), count))
    radius = _around(outline, angle) * (np.sqrt(order / count) * 0.9 + rng.normal(0, 0.025, angle.shape)).clip(0, 0.9)
    centres = (xy[:, None] + radius[..., None] * towards(angle)).reshape(-1, 2)
    size = 1.62 * np.exp(DROPLET_PER_SD * _factor(packing, chosen, "droplet_size"))[:, None]
    size = (size * rng.lognormal(0, 0.16, (len(chosen), count))).ravel()
    apart = nearest(centres, centres, 2)[0][:, 1]
    size = np.minimum(size, np.maximum(apart * 0.58 - SEPTUM_UM / 2, 0.5))
    scene.add(ellipse(centres, size, size, size, 10), (1, 6, 2))
    density = np.exp(NUCLEI_PER_SD * _factor(packing, chosen, "nuclear_density"))
    seen = np.flatnonzero(rng.random(len(chosen)) < np.minimum(SEEN_NUCLEI * density, 1.0))
    twice = seen[rng.random(len(seen)) < (SEEN_NUCLEI * density[seen] - 1).clip(0, 1)]
    where = np.concatenate([seen, twice])
    spot = xy[where] + rng.normal(0, 2.6, (len(where), 2))
    draw_nuclei(scene, spot, NUCLEUS_UM["adipocyte"], 0.92, rng.uniform(0, np.pi, len(where)), rng)


def _draw_glomeruli(scene: Scene, packing: Packing, chosen: npt.NDArray[np.int64], rng: np.random.Generator) -> None:
    tufts = []
    for xy, outline in zip(packing.xy_um[chosen], packing.outline_um[chosen], strict=True):
        one = xy[None]
        scene.add(polygon(one, outline[None] + 0.5), (26, 112, 8))
        scene.add(polygon(one, outline[None] - 1.2), (1, 4, 2))  # Bowman's space
        tuft = outline * 0.86 * (1 + 0.05 * np.sin(5 * ANGLES + rng.uniform(0, 6)))
        scene.add(polygon(one, tuft[None]), (34, 74, 24))
        radius = float(tuft.mean())
        tufts.append((*xy, radius))

        def scatter(n: int, reach: float, centre: Array = xy, size: float = radius) -> Array:
            angle, share = rng.uniform(0, 2 * np.pi, n), np.sqrt(rng.random(n)) * reach
            points: Array = centre + (share * size)[:, None] * towards(angle)
            return points

        loops = scatter(46, 0.88)
        long = rng.uniform(1.4, 3.0, len(loops))
        turn = rng.uniform(0, np.pi, len(loops))
        scene.add(ellipse(loops, long + 0.9, long * 0.6 + 0.9, turn, 10), (26, 104, 8))
        scene.add(ellipse(loops, long, long * 0.6, turn, 10), (4, 12, 2))
        extra = float(np.exp(0.6 * NUCLEI_PER_SD * packing.factors[chosen[0], 0]))
        nuclei = scatter(int(46 * extra), 0.92)
        draw_nuclei(scene, nuclei, 2.2, 0.8, rng.uniform(0, np.pi, len(nuclei)), rng)
    scene.glomeruli_um = np.array(tufts).reshape(-1, 3)


def _draw_interstitium(scene: Scene, anatomy: Anatomy, packing: Packing, rng: np.random.Generator) -> None:
    """Sparse elongated nuclei between the tubules, along the medullary rays."""
    height, width = anatomy.region.shape
    count = int(height * width * RASTER_UM**2 / 55)
    xy = rng.uniform((0, 0), (width * RASTER_UM, height * RASTER_UM), (count, 2))
    region = anatomy.at(anatomy.region, xy).astype(np.uint8)
    xy, region = xy[region != OUTSIDE], region[region != OUTSIDE]
    clear = packing.clearance(xy)
    density = np.exp(NUCLEI_PER_SD * drawn_factors(anatomy, xy, region)[:, list(FACTORS).index("nuclear_density")])
    chance = np.array([0.5, 0.5, 0.34, 0.115, 0.35])[region] * density
    needed = np.where(region == REGIONS.index("IM&P"), 1.6, 0.9)
    xy = xy[(clear > needed) & (rng.random(len(xy)) < chance)]
    ray = np.arctan2(xy[:, 1] - anatomy.papilla_um[1], xy[:, 0] - anatomy.papilla_um[0])
    draw_nuclei(scene, xy, 2.9, 0.42, ray + rng.normal(0, 0.5, len(xy)), rng, dark=1.05)
