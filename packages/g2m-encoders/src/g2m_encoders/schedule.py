import math

from g2m_encoders.config import OptimizerSettings


def learning_rate(settings: OptimizerSettings, images_seen: int, total_images: int) -> float:
    """Learning rate of the update that follows `images_seen` images: linear warm-up, then constant or cosine to 0."""
    rise = min(1.0, (images_seen + 1) / settings.warmup_images) if settings.warmup_images else 1.0
    fall = 1.0
    if settings.decay == "cosine":
        span = max(total_images - settings.warmup_images, 1)
        progress = min(max(images_seen - settings.warmup_images, 0) / span, 1.0)
        fall = (1 + math.cos(math.pi * progress)) / 2
    return settings.lr * rise * fall
