import numpy as np
import pytest

from g2m_data.doctor.examine import examine
from g2m_data.doctor.overlay import DETAIL_UM, GAP, HEAD, PANEL, PATCH, SPOT, TITLE, can_be_drawn, draw_overlay
from g2m_data.errors import InputError


def _near(image, colour):
    return np.abs(image.astype(int) - colour).max(axis=2) < 60


def test_the_detail_shows_a_patch_at_its_true_size_and_place(maker, make_hd):
    section = make_hd(rows=60, cols=60, first=(0, 0), holes=0, mpp=0.5)
    section.in_tissue[:] = True
    maker.add(section, platform="visium-hd")
    manifest = maker.manifest(view="window_bins = 27\nstride_bins = 30")
    picture = np.array(draw_overlay(next(iter(examine(manifest)))))
    upper = picture.shape[0] - PANEL - HEAD - 2 * (TITLE + GAP)
    top = HEAD + upper + TITLE + GAP + TITLE
    detail = picture[top : top + PANEL, GAP : GAP + PANEL]
    # four windows, 60 µm apart; the detail is centred on one of them
    um = DETAIL_UM / PANEL
    for colour, width_um in ((PATCH, 55.0), (SPOT, 54.0)):
        columns = np.flatnonzero(_near(detail, colour)[int(PANEL / 2)])
        edges = (columns - PANEL / 2) * um
        assert np.abs(edges + width_um / 2).min() < 1
        assert np.abs(edges - width_um / 2).min() < 1


def test_every_section_of_the_phantom_is_drawn(healthy):
    for examination in healthy.values():
        assert can_be_drawn(examination)
        picture = np.array(draw_overlay(examination))
        assert _near(picture, SPOT).sum() > 1000
        assert _near(picture, PATCH).sum() > 1000


def test_a_section_without_a_whole_window_is_drawn_all_the_same(maker, make_hd):
    maker.add(make_hd(rows=20, cols=20), platform="visium-hd")
    examination = next(iter(examine(maker.manifest())))
    assert examination.report.check("extent").verdict == "error"
    assert np.array(draw_overlay(examination)).min() < 200


def test_a_section_without_a_scale_is_not_drawn(maker, make_spots):
    maker.add(make_spots(platform="st"), platform="visium")
    examination = next(iter(examine(maker.manifest())))
    assert not can_be_drawn(examination)
    with pytest.raises(InputError, match="no scale"):
        draw_overlay(examination)
