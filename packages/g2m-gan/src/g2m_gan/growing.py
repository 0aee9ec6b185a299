"""Progressive growing as a sequence of tasks, each made when it is first asked for."""

from collections.abc import Iterator

from jaxtyping import UInt8
from torch import Tensor, nn

from g2m_gan.config import GanSettings
from g2m_gan.errors import InputError
from g2m_gan.generator import Generator
from g2m_gan.task import GanTask, Guide


class Stages:
    """The stages' tasks. Task i + 1 is built, on first access, from the averaged generator task i then has.

    A loop runs them in turn. To resume a run that stopped in a later stage, load the earlier stage's last state into
    its task, ask for the next task and load that one's state: the second state holds all weights, so the first is only
    needed for the task to be buildable.
    """

    def __init__(self, settings: GanSettings, first: GanTask) -> None:
        self._settings = settings
        self._tasks = [first]

    def __len__(self) -> int:
        return len(self._settings.stages)

    def __getitem__(self, index: int) -> GanTask:
        position = range(len(self))[index]
        while len(self._tasks) <= position:
            self._tasks.append(GanTask.from_previous(self._tasks[-1]))
        return self._tasks[position]

    def __iter__(self) -> Iterator[GanTask]:
        return (self[index] for index in range(len(self)))


def stages(
    settings: GanSettings,
    condition_dim: int,
    feature_network: nn.Module,
    guide: Guide | None,
    *,
    seed: int = 0,
    patches: UInt8[Tensor, "n 3 h w"] | None = None,
) -> Stages:
    """Give the tasks of all stages (paper A2: 64 px, then 128 px with the layers up to 64 px fixed).

    Parameters
    ----------
    condition_dim
        Length of the expression embedding.
    feature_network
        Frozen network of the discriminator: images (n, 3, h, w) in [-1, 1] to feature maps or token sequences.
    guide
        Phase-1 image encoder: images in [-1, 1] to unit vectors in the conditions' space; None without guidance.
    seed
        Of the initial weights.
    patches
        Some hundred training patches; needed where `generator.patch_colors` asks to draw in their principal colours.

    Raises
    ------
    InputError
        `generator.patch_colors` is set, but no patches are given.
    """
    first = GanTask.build(settings, condition_dim, feature_network, guide, seed)
    if settings.generator.patch_colors:
        if patches is None:
            raise InputError("generator.patch_colors is set: pass some training patches to `stages`")
        for generator in (first.generator, first.ema.module):
            assert isinstance(generator, Generator)
            generator.use_colors_of(patches)
    return Stages(settings, first)
