"""One small phantom for all tests, and its parts."""

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest
from scipy import sparse

from g2m_data.simulate import simulate_study
from g2m_data.simulate.anatomy import Anatomy, draw_anatomy
from g2m_data.simulate.config import PRESETS, PhantomSettings, SectionPlan
from g2m_data.simulate.counts import Molecules
from g2m_data.simulate.drawing import Scene, draw_scene
from g2m_data.simulate.packing import Packing, pack_tissue
from g2m_data.simulate.programmes import Panel, choose_panel


@dataclass(frozen=True)
class Section:
    settings: PhantomSettings
    plan: SectionPlan
    panel: Panel
    anatomy: Anatomy
    packing: Packing
    scene: Scene


@pytest.fixture(scope="session")
def study(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return simulate_study(tmp_path_factory.mktemp("phantom") / "tiny", preset="tiny", seed=3, workers=1).parent


@pytest.fixture(scope="session")
def section() -> Section:
    settings = PRESETS["tiny"]
    plan = settings.sections[3]
    anatomy = draw_anatomy(plan, settings, np.random.default_rng(0))
    packing = pack_tissue(anatomy, np.random.default_rng(1))
    scene = draw_scene(anatomy, packing, np.random.default_rng(2))
    return Section(settings, plan, choose_panel(settings, 0), anatomy, packing, scene)


@pytest.fixture(scope="session")
def join_molecules() -> Callable[[Iterable[Molecules]], Molecules]:
    """Strips of molecules as one."""

    def join(strips: Iterable[Molecules]) -> Molecules:
        strips = list(strips)
        names = ("array_row", "array_col", "xy_um", "in_tissue")
        parts = {name: np.concatenate([getattr(strip, name) for strip in strips]) for name in names}
        return Molecules(**parts, counts=sparse.vstack([strip.counts for strip in strips], format="csr"))

    return join
