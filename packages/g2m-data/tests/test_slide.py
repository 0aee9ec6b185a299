import gzip

import numpy as np
import pytest
import tifffile

from g2m_data.errors import InputError
from g2m_data.slide import open_slide


@pytest.fixture(scope="module")
def picture():
    y, x = np.mgrid[:300, :410]
    return np.stack([(x / 2) % 256, (y / 2) % 256, (x + y) / 4 % 256], axis=-1).astype(np.uint8)


@pytest.mark.parametrize("name", ["a.tif", "a.btf", "a.ome.tif", "a.svs", "a.jpg", "a.png"])
def test_every_format_reads_any_region(tmp_path, save_slide, picture, name):
    slide = open_slide(save_slide(tmp_path / name, picture))
    assert (slide.height, slide.width) == (300, 410)
    region = slide.read(37, 211, 101, 399)
    assert region.dtype == np.uint8
    tolerance = 12 if name in ("a.jpg", "a.btf") else 0  # lossy
    assert np.abs(region.astype(int) - picture[37:211, 101:399]).max() <= tolerance


def test_format_is_told_by_content_not_by_name(tmp_path, save_slide, picture):
    path = save_slide(tmp_path / "a.png", picture).rename(tmp_path / "a.svs")
    np.testing.assert_array_equal(open_slide(path).read(0, 300, 0, 410), picture)


def test_planar_grey_alpha_and_16_bit_images_become_rgb(tmp_path, picture):
    cases = {
        "planar": (picture.transpose(2, 0, 1), {"photometric": "rgb", "planarconfig": "separate"}, picture),
        "grey": (picture[..., 0], {"photometric": "minisblack"}, np.repeat(picture[..., :1], 3, axis=2)),
        "alpha": (
            np.dstack([picture, picture[..., :1]]),
            {"photometric": "rgb", "extrasamples": ["unassalpha"]},
            picture,
        ),
        "16": (picture.astype(np.uint16) * 257, {"photometric": "rgb"}, picture),
    }
    for name, (data, options, expected) in cases.items():
        tifffile.imwrite(tmp_path / f"{name}.tif", data, **options)
        np.testing.assert_array_equal(open_slide(tmp_path / f"{name}.tif").read(0, 300, 0, 410), expected)


@pytest.mark.parametrize("options", [{}, {"rowsperstrip": 7}, {"byteorder": ">"}])
@pytest.mark.parametrize("dtype", [np.uint8, np.uint16])
def test_uncompressed_slides_are_read_by_rows_and_not_by_strips(tmp_path, options, dtype):
    image = np.random.default_rng(0).integers(0, 255, (40, 30, 3)).astype(dtype) * (257 if dtype == np.uint16 else 1)
    strips = {"rowsperstrip": options["rowsperstrip"]} if "rowsperstrip" in options else {}
    with tifffile.TiffWriter(tmp_path / "s.tif", byteorder=options.get("byteorder", "<")) as tiff:
        tiff.write(image.astype(dtype), photometric="rgb", **strips)
    slide = open_slide(tmp_path / "s.tif")
    assert slide.tile_rows == 1
    np.testing.assert_array_equal(slide.read(5, 33, 2, 29), (image[5:33, 2:29] // (257 if dtype == np.uint16 else 1)))


def test_differences_between_pixels_are_added_up(tmp_path, picture):
    tifffile.imwrite(tmp_path / "s.tif", picture, photometric="rgb", compression="zlib", predictor=True)
    np.testing.assert_array_equal(open_slide(tmp_path / "s.tif").read(3, 90, 5, 77), picture[3:90, 5:77])


def test_tiles_that_were_never_written_are_glass(tmp_path):
    tiles = [np.full((16, 16, 3), 100, np.uint8), None, None, None]
    with tifffile.TiffWriter(tmp_path / "s.tif") as tiff:
        tiff.write(iter(tiles), shape=(32, 32, 3), dtype=np.uint8, tile=(16, 16), photometric="rgb")
    found = open_slide(tmp_path / "s.tif").read(0, 32, 0, 32)
    assert (found[:16, :16] == 100).all()
    assert (found[16:] == 255).all()
    assert (found[:, 16:] == 255).all()


def test_floating_point_and_foreign_files_are_refused(tmp_path):
    tifffile.imwrite(tmp_path / "f.tif", np.zeros((50, 50, 3), np.float32), photometric="rgb")
    with pytest.raises(InputError, match=r"f\.tif.*float32"):
        open_slide(tmp_path / "f.tif")
    (tmp_path / "x.jpg").write_text("hello")
    with pytest.raises(InputError, match=r"x\.jpg: not a TIFF"):
        open_slide(tmp_path / "x.jpg")


@pytest.mark.parametrize("name", ["a.tif", "a.btf", "a.jpg", "a.png"])
def test_truncated_image_is_refused(tmp_path, save_slide, picture, name):
    noise = np.random.default_rng(0).integers(0, 255, picture.shape).astype(np.uint8)
    path = save_slide(tmp_path / name, noise)
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])
    with pytest.raises(InputError, match=name):
        open_slide(path).read(0, 300, 0, 410)


def test_tiff_that_lost_its_last_tiles_is_refused(tmp_path, picture):
    path = tmp_path / "a.tif"
    with tifffile.TiffWriter(path) as tiff:  # the directory first, then the tiles, as streaming writers do
        tiff.write(picture, tile=(128, 128), photometric="rgb", contiguous=False)
    assert tifffile.TiffFile(path).pages[0].dataoffsets[-1] > 1000
    path.write_bytes(path.read_bytes()[:-3000])
    with pytest.raises(InputError, match=r"a\.tif.*end of the file"):
        open_slide(path)


def test_gzipped_slide_is_told_to_be_unpacked(tmp_path):
    (tmp_path / "slide.tif.gz").write_bytes(gzip.compress(b"II*\0"))
    with pytest.raises(InputError, match="unpack it first"):
        open_slide(tmp_path / "slide.tif.gz")
