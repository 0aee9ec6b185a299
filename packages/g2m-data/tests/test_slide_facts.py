import numpy as np
import pytest
import tifffile

from g2m_data.slide_facts import read_slide_facts

IMAGE = np.full((300, 260, 3), 200, np.uint8)


def test_resolution_in_centimetres_and_inches(tmp_path):
    path = tmp_path / "slide.tif"
    tifffile.imwrite(path, IMAGE, photometric="rgb", resolution=(20000, 20000), resolutionunit="CENTIMETER")
    facts = read_slide_facts(path)
    assert facts.mpp_tags == {"TIFF XResolution": pytest.approx(0.5)}
    assert (facts.format, facts.compression, facts.levels, facts.tiled) == ("TIFF", "NONE", 1, False)
    tifffile.imwrite(path, IMAGE, photometric="rgb", resolution=(101600, 101600), resolutionunit="INCH")
    assert read_slide_facts(path).mpp_tags == {"TIFF XResolution": pytest.approx(0.25)}


def test_ome_pixel_size_in_its_unit(tmp_path):
    path = tmp_path / "slide.ome.tif"
    metadata = {"axes": "YXS", "PhysicalSizeX": 273.8, "PhysicalSizeXUnit": "nm"}
    tifffile.imwrite(path, IMAGE, photometric="rgb", metadata=metadata, bigtiff=True, tile=(128, 128))
    facts = read_slide_facts(path)
    assert facts.mpp_tags["OME PhysicalSizeX"] == pytest.approx(0.2738)
    assert (facts.format, facts.tiled) == ("BigTIFF", True)


def test_aperio_description(tmp_path):
    path = tmp_path / "slide.svs"
    description = "Aperio Image Library v12\r\n260x300 |AppMag = 40|MPP = 0.2520|Left = 3"
    tifffile.imwrite(path, IMAGE, tile=(128, 128), photometric="rgb", description=description, metadata=None)
    assert read_slide_facts(path).mpp_tags["Aperio MPP"] == pytest.approx(0.252)


def test_levels_of_a_pyramid(tmp_path):
    path = tmp_path / "slide.tif"
    with tifffile.TiffWriter(path) as tiff:
        tiff.write(IMAGE, subifds=2, tile=(128, 128), photometric="rgb", compression="jpeg")
        for step in (2, 4):
            tiff.write(IMAGE[::step, ::step], subfiletype=1, tile=(128, 128), photometric="rgb", compression="jpeg")
    facts = read_slide_facts(path)
    assert (facts.levels, facts.compression) == (3, "JPEG")


def test_a_jpeg_says_nothing_of_its_scale(tmp_path, save_slide):
    facts = read_slide_facts(save_slide(tmp_path / "slide.jpg", IMAGE))
    assert (facts.format, facts.mpp_tags) == ("JPEG", {})
