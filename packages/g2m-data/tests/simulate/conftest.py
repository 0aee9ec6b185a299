"""One small phantom for all tests, and its parts."""

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest

from g2m_data.simulate import simulate_study
from g2m_data.simulate.anatomy import Anatomy, draw_anatomy
from g2m_data.simulate.config import PRESETS, PhantomSettings, SectionPlan
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
