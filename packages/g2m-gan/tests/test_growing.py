import pytest
import torch

from g2m_gan.errors import InputError
from g2m_gan.growing import stages


def test_second_stage_is_built_from_the_averages_the_first_ends_with(micro, small_features, small_guide, batch_from):
    tasks = stages(micro, 12, small_features, small_guide)
    assert len(tasks) == 2
    for step in range(3):
        tasks[0].step(batch_from(16 * step), 16 * step)
    low, high = tasks[0].ema.module, tasks[1].generator
    assert (low.resolution, high.resolution) == (16, 32)
    for name, value in low.state_dict().items():
        assert torch.equal(high.state_dict()[name], value)
    for name, value in tasks[0].discriminator.state_dict().items():
        assert torch.equal(tasks[1].discriminator.state_dict()[name], value)
    assert tasks[1] is tasks[-1]
    assert list(tasks) == [tasks[0], tasks[1]]


def test_same_key_keeps_its_image_below_the_new_block(micro, small_features, small_guide, batch_from):
    tasks = stages(micro, 12, small_features, small_guide)
    conditions = batch_from(0)["embedding"]
    with torch.no_grad():
        tasks[1].ema.module.blocks["32"].to_rgb.weight.zero_()
    small, large = tasks[0].sample(conditions, 0).float(), tasks[1].sample(conditions, 0).float()
    shrunk = torch.nn.functional.avg_pool2d(large.permute(0, 3, 1, 2), 2).permute(0, 2, 3, 1)
    assert (shrunk - small).abs().mean() < 12  # up-sampling smooths a little
    assert torch.corrcoef(torch.stack([shrunk.flatten(), small.flatten()]))[0, 1] > 0.9


def test_frozen_layers_stay_and_new_ones_learn(micro, small_features, small_guide, batch_from):
    task = stages(micro, 12, small_features, small_guide)[1]
    before = {name: value.clone() for name, value in task.generator.named_parameters()}
    for step in range(2):
        task.step(batch_from(16 * step), 16 * step)
    for name, value in task.generator.named_parameters():
        assert torch.equal(value, before[name]) != name.startswith("blocks.32"), name
    assert all(p.requires_grad for p in task.discriminator.parameters())


def test_patch_colours_need_patches_and_reach_every_stage(micro, small_features, small_guide, batch_from, changed):
    settings = changed(micro, {"generator.patch_colors": True})
    with pytest.raises(InputError, match="training patches"):
        stages(settings, 12, small_features, small_guide)
    first, second = stages(settings, 12, small_features, small_guide, patches=batch_from(0)["patch"])
    assert not torch.equal(first.generator.colors, torch.eye(3))
    for generator in (first.ema.module, second.generator, second.ema.module):
        assert torch.equal(generator.colors, first.generator.colors)
