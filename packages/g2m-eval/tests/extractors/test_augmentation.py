import torch

from g2m_eval.extractors.augmentation import augment, eight_views


def test_eight_views_are_all_different_and_hold_the_same_pixels():
    image = torch.arange(27.0).view(1, 3, 3, 3)
    views = eight_views(image)
    assert len({tuple(v.flatten().tolist()) for v in views}) == 8
    assert all(torch.equal(v.flatten().sort().values, image.flatten().sort().values) for v in views)


def test_without_stain_and_blur_an_image_is_only_turned():
    image = torch.rand(1, 3, 8, 8, generator=torch.Generator().manual_seed(0)).clamp(0.05, 1)
    views = eight_views(image)
    turns = set()
    for seed in range(40):
        out = augment(image, torch.Generator().manual_seed(seed), stain=0.0, blurred=0.0)
        turns.add(next(i for i, v in enumerate(views) if torch.allclose(v, out, atol=1e-5)))
    assert turns == set(range(8))


def test_white_stays_nearly_white_and_values_stay_reflectances():
    generator = torch.Generator().manual_seed(0)
    images = torch.cat([torch.ones(8, 3, 16, 16), torch.zeros(8, 3, 16, 16)])
    out = augment(images, generator, smallest_crop=0.7)
    assert out.min() >= 0
    assert out.max() <= 1
    assert out[:8].min() > 0.85


def test_images_of_one_batch_are_changed_by_draws_of_their_own():
    image = torch.rand(1, 3, 16, 16, generator=torch.Generator().manual_seed(1)).expand(6, 3, 16, 16)
    out = augment(image, torch.Generator().manual_seed(2))
    assert len({round(o.mean().item(), 5) for o in out}) == 6
