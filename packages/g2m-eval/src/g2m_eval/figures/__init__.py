"""Figures: every function takes arrays and tables and returns a matplotlib ``Figure``; none computes a metric."""

from g2m_eval.figures.numbers import (
    figure_confusion,
    figure_distances,
    figure_factor_scatter,
    figure_factors,
    figure_training,
)
from g2m_eval.figures.patches import figure_by_region, figure_generated
from g2m_eval.figures.slides import SectionOverlay, figure_sections
from g2m_eval.figures.style import save_figure

__all__ = [
    "SectionOverlay",
    "figure_by_region",
    "figure_confusion",
    "figure_distances",
    "figure_factor_scatter",
    "figure_factors",
    "figure_generated",
    "figure_sections",
    "figure_training",
    "save_figure",
]
