import pytest
import torch

from g2m_diffusion.views import VIEW_COUNTS, choose_view, read_patches, resize, to_uint8, turn

KEYS = torch.arange(800)


def test_patches_are_averaged_by_area_and_come_back():
    patches = torch.zeros(1, 3, 4, 4, dtype=torch.uint8)
    patches[:, :, :2, :2] = 200
    assert to_uint8(read_patches(patches, 2))[0, 0].tolist() == [[200, 0], [0, 0]]
    assert to_uint8(read_patches(patches, 1)).flatten().tolist() == [50] * 3
    assert torch.equal(to_uint8(read_patches(patches, 4)), patches)


def test_the_right_size_is_left_alone_and_enlarging_is_smooth():
    images = torch.randn(2, 3, 8, 8)
    assert resize(images, 8) is images
    ramp = torch.arange(8.0).expand(1, 3, 8, 8)
    larger = resize(ramp, 16)
    assert (larger.diff(dim=3)[..., 3:-3] > 0.2).all()
    torch.testing.assert_close(resize(larger, 8), ramp, atol=0.2, rtol=0)


@pytest.mark.parametrize("views", ["one", "flips", "dihedral"])
def test_every_view_is_drawn_about_equally_often(views):
    image = torch.arange(9.0).reshape(1, 1, 3, 3)
    turned = turn(image.expand(len(KEYS), -1, -1, -1), KEYS, views)
    _, counts = turned.flatten(1).unique(dim=0, return_counts=True)
    assert len(counts) == VIEW_COUNTS[views]
    assert counts.min() > 0.7 * len(KEYS) / VIEW_COUNTS[views]
    assert torch.equal(turned[choose_view(KEYS, views) == 0][0], image[0])


def test_flips_only_mirror_left_and_right():
    image = torch.arange(9.0).reshape(1, 1, 3, 3)
    turned = turn(image.expand(40, -1, -1, -1), KEYS[:40], "flips")
    for one, view in zip(turned, choose_view(KEYS[:40], "flips").tolist(), strict=True):
        assert torch.equal(one, image[0].flip(2) if view else image[0])


def test_a_key_turns_its_image_the_same_way_in_any_batch():
    images = torch.randn(16, 3, 4, 4)
    whole = turn(images, KEYS[:16], "dihedral")
    assert torch.equal(turn(images[5:9], KEYS[5:9], "dihedral"), whole[5:9])
