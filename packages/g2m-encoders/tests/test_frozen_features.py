import dataclasses

import numpy as np
import torch

from g2m_encoders import ContrastiveModel, ContrastiveTask
from g2m_encoders.frozen_features import FrozenFeatures

KEYS, PATCHES = torch.arange(3), torch.ones(3, 3, 2, 2, dtype=torch.uint8)


def counting(calls, value=1.0):
    return lambda: calls.append(1) or [torch.full((3, 4), value)]


def test_features_are_computed_once_for_the_same_pairs():
    kept, calls = FrozenFeatures(), []
    first = kept.get(KEYS, PATCHES, counting(calls))
    assert torch.equal(kept.get(KEYS, PATCHES, counting(calls, 2.0))[0], first[0])
    assert len(calls) == 1


def test_other_patches_under_the_same_keys_are_other_pairs():
    kept = FrozenFeatures()
    kept.get(KEYS, PATCHES, counting([]))
    assert kept.get(KEYS, PATCHES * 2, counting([], 2.0))[0][0, 0] == 2


def test_memory_is_bounded():
    kept, calls = FrozenFeatures(most_bytes=60), []
    for _ in range(2):
        kept.get(KEYS, PATCHES, counting(calls))  # 48 bytes
        kept.get(KEYS + 3, PATCHES, counting(calls))  # no room
    assert len(calls) == 3


def test_a_frozen_backbone_sees_held_out_patches_once_and_scores_them_alike(settings, pairs, toy):
    settings = dataclasses.replace(settings, image=dataclasses.replace(settings.image, frozen=True))
    task = ContrastiveTask(settings, ContrastiveModel.build(settings, toy.GENES))
    task.prepare(toy.PlainAccelerator())
    held_out = [pairs.batch(np.arange(start, start + 32)) for start in (0, 32, 64)]
    before = task.evaluate(held_out)
    seen = []
    hook = task.model.image.backbone.register_forward_hook(lambda *_: seen.append(1))
    assert task.evaluate(held_out) == before
    assert not seen
    hook.remove()
    task.step(held_out[0], 0)  # the head has changed, the features have not
    after = task.evaluate(held_out)
    assert after != before
    assert ContrastiveTask(settings, task.model).evaluate(held_out) == after
