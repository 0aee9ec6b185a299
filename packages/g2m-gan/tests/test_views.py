import torch

from g2m_gan.views import crop_randomly, read_patches, resize, to_uint8


def test_patches_are_averaged_by_area_and_come_back():
    patches = torch.zeros(1, 3, 4, 4, dtype=torch.uint8)
    patches[:, :, :2, :2] = 200
    small = read_patches(patches, 2)
    assert to_uint8(small)[0, 0].tolist() == [[200, 0], [0, 0]]
    assert to_uint8(read_patches(patches, 1)).flatten().tolist() == [50] * 3


def test_values_beyond_the_range_are_cut_off():
    assert to_uint8(torch.tensor([-3.0, -1.0, 0.0, 1.0, 3.0]).expand(1, 3, 1, 5))[0, 0, 0].tolist() == [
        0,
        0,
        128,
        255,
        255,
    ]


def test_right_size_is_left_alone():
    images = torch.randn(2, 3, 8, 8)
    assert resize(images, 8) is images
    assert crop_randomly(images, torch.arange(2), 8) is images
    assert crop_randomly(images, torch.arange(2), 0) is images


def test_crops_are_parts_of_their_image_at_places_of_their_own():
    images = torch.arange(2 * 3 * 64 * 64, dtype=torch.float32).reshape(2, 3, 64, 64)
    crops = crop_randomly(images, torch.tensor([5, 6]), 16)
    corners = []
    for image, crop in zip(images, crops, strict=True):
        y, x = divmod(int(crop[0, 0, 0] - image[0, 0, 0]), 64)
        assert torch.equal(crop, image[:, y : y + 16, x : x + 16])
        corners.append((y, x))
    assert corners[0] != corners[1]
    assert torch.equal(crop_randomly(images[1:], torch.tensor([6]), 16)[0], crops[1])
