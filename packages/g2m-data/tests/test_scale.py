from pathlib import Path

import pytest

from g2m_data.errors import InputError
from g2m_data.lattice import Lattice
from g2m_data.manifest import SampleEntry
from g2m_data.scale import decide_scale

POSITIONS = Path("tissue_positions.csv")


def entry(**settings):
    return SampleEntry(id="s", spaceranger=Path(), image=Path("i.tif"), split="train", **settings)


def square(pitch):
    return Lattice(origin=(0, 0), per_row=(0, pitch), per_col=(pitch, 0), residual_px=0, outliers=0, is_visium=False)


def hexagonal(pitch):
    step = (0.0, pitch * 3**0.5 / 2), (pitch / 2, 0.0)
    return Lattice(origin=(0, 0), per_row=step[0], per_col=step[1], residual_px=0, outliers=0, is_visium=True)


def decide(sample, lattice, json=None, is_hd=False):
    return decide_scale(sample, is_hd, lattice, json or {}, POSITIONS)


def test_visium_scale_comes_from_the_lattice_not_from_the_spot_diameter():
    scale = decide(entry(platform="visium"), hexagonal(200), {"spot_diameter_fullres": 130.0})
    assert (scale.mpp, scale.spot_um, scale.source) == (pytest.approx(0.5), 55, "lattice")


@pytest.mark.parametrize("platform", [None, "visium"])
def test_square_lattice_is_refused_without_platform_pitch_or_mpp(platform):
    with pytest.raises(InputError, match=r"tissue_positions\.csv.*not on Visium's lattice.*platform = \"st\".*mpp"):
        decide(entry(platform=platform), square(290))


def test_legacy_array_uses_its_own_pitch_and_spot():
    scale = decide(entry(platform="st"), square(290))
    assert (scale.platform, scale.mpp, scale.spot_um) == ("st", pytest.approx(200 / 290), 100)


@pytest.mark.parametrize("settings", [{"mpp": 200 / 290}, {"pitch_um": 200.0}])
def test_stated_scale_tells_a_legacy_array_without_its_platform(settings):
    scale = decide(entry(**settings), square(290))
    assert (scale.platform, scale.mpp, scale.spot_um) == ("st", pytest.approx(200 / 290), 100)


def test_unknown_lattice_needs_a_spot_diameter():
    with pytest.raises(InputError, match="spot_um"):
        decide(entry(pitch_um=120.0), square(290))
    assert decide(entry(pitch_um=120.0, spot_um=70.0), square(290)).spot_um == 70


def test_legacy_platform_on_visium_lattice_is_refused():
    with pytest.raises(InputError, match="its lattice is Visium's"):
        decide(entry(platform="st"), hexagonal(200))


def test_sources_are_believed_in_order_and_disagreement_is_noted():
    json = {"microns_per_pixel": 0.52}
    assert decide(entry(), hexagonal(200), json).mpp == 0.52
    assert "0.5000" in decide(entry(), hexagonal(200), json).notes[0]
    assert decide(entry(mpp=0.3), hexagonal(200), json).mpp == 0.3
    assert len(decide(entry(mpp=0.3), hexagonal(200), json).notes) == 2
    assert decide(entry(pitch_um=110.0), hexagonal(200), json).mpp == pytest.approx(0.55)
    assert decide(entry(), hexagonal(200), {"microns_per_pixel": 0.51}).notes == ()


def test_hd_uses_microns_per_pixel_and_checks_it_against_bin_size():
    scale = decide(entry(), square(7.0), {"microns_per_pixel": 0.2857, "bin_size_um": 2.0}, is_hd=True)
    assert (scale.platform, scale.mpp, scale.notes) == ("visium-hd", 0.2857, ())
    assert decide(entry(), square(7.0), {"bin_size_um": 2.0}, is_hd=True).mpp == pytest.approx(2 / 7)


def test_no_source_at_all_asks_for_mpp():
    with pytest.raises(InputError, match=r"too few spots.*'mpp'"):
        decide(entry(platform="visium"), None)
    assert decide(entry(platform="visium", mpp=0.4), None).mpp == 0.4
