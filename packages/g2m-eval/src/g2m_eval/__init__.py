"""How good are generated patches, and do they follow the genes? See the README."""

from importlib import import_module
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from g2m_eval.config import PRESETS, EvaluationSettings
    from g2m_eval.distances.frechet import FeatureStatistics, frechet_distance
    from g2m_eval.distances.kernel import KernelDistance, kernel_distance
    from g2m_eval.errors import InputError
    from g2m_eval.evaluate import GeneratorEvaluation, evaluate_generator
    from g2m_eval.extractors.base import Extractor, Patches
    from g2m_eval.extractors.small import SmallExtractor
    from g2m_eval.extractors.training import train_extractor
    from g2m_eval.fidelity.correspondence import same_spot_correspondence
    from g2m_eval.fidelity.factors import WithinRegion, within_region_correlation
    from g2m_eval.fidelity.regions import MeanColourClassifier, RegionScores, score_regions
    from g2m_eval.fidelity.retrieval import Retrieval, retrieval_at_k
    from g2m_eval.figures import (
        SectionOverlay,
        figure_by_region,
        figure_confusion,
        figure_distances,
        figure_factor_scatter,
        figure_factors,
        figure_generated,
        figure_sections,
        figure_training,
        save_figure,
    )
    from g2m_eval.intervals import Interval
    from g2m_eval.morphology import STATISTICS, image_statistics
    from g2m_eval.report.comparison import compare_generators, comparison_section
    from g2m_eval.report.page import ReportFigure, ReportSection, ReportTable, SummaryTile, write_report
    from g2m_eval.report.sections import (
        generator_sections,
        generator_tile,
        generator_tiles,
        generator_warnings,
        study_warnings,
    )
    from g2m_eval.resize import resize_patches

# Names are looked up at first use, so that importing this package costs neither torch nor matplotlib.
_HOME = {
    "EvaluationSettings": "config",
    "Extractor": "extractors.base",
    "Interval": "intervals",
    "Patches": "extractors.base",
    "FeatureStatistics": "distances.frechet",
    "GeneratorEvaluation": "evaluate",
    "InputError": "errors",
    "KernelDistance": "distances.kernel",
    "MeanColourClassifier": "fidelity.regions",
    "RegionScores": "fidelity.regions",
    "PRESETS": "config",
    "ReportFigure": "report.page",
    "ReportSection": "report.page",
    "ReportTable": "report.page",
    "Retrieval": "fidelity.retrieval",
    "STATISTICS": "morphology",
    "SectionOverlay": "figures",
    "SmallExtractor": "extractors.small",
    "SummaryTile": "report.page",
    "WithinRegion": "fidelity.factors",
    "same_spot_correspondence": "fidelity.correspondence",
    "compare_generators": "report.comparison",
    "comparison_section": "report.comparison",
    "evaluate_generator": "evaluate",
    "figure_by_region": "figures",
    "figure_confusion": "figures",
    "figure_distances": "figures",
    "figure_factor_scatter": "figures",
    "figure_factors": "figures",
    "figure_generated": "figures",
    "figure_sections": "figures",
    "figure_training": "figures",
    "frechet_distance": "distances.frechet",
    "generator_sections": "report.sections",
    "generator_tile": "report.sections",
    "generator_tiles": "report.sections",
    "generator_warnings": "report.sections",
    "image_statistics": "morphology",
    "kernel_distance": "distances.kernel",
    "resize_patches": "resize",
    "retrieval_at_k": "fidelity.retrieval",
    "save_figure": "figures",
    "study_warnings": "report.sections",
    "score_regions": "fidelity.regions",
    "train_extractor": "extractors.training",
    "within_region_correlation": "fidelity.factors",
    "write_report": "report.page",
}
__all__ = [
    "PRESETS",
    "STATISTICS",
    "EvaluationSettings",
    "Extractor",
    "FeatureStatistics",
    "GeneratorEvaluation",
    "InputError",
    "Interval",
    "KernelDistance",
    "MeanColourClassifier",
    "Patches",
    "RegionScores",
    "ReportFigure",
    "ReportSection",
    "ReportTable",
    "Retrieval",
    "SectionOverlay",
    "SmallExtractor",
    "SummaryTile",
    "WithinRegion",
    "compare_generators",
    "comparison_section",
    "evaluate_generator",
    "figure_by_region",
    "figure_confusion",
    "figure_distances",
    "figure_factor_scatter",
    "figure_factors",
    "figure_generated",
    "figure_sections",
    "figure_training",
    "frechet_distance",
    "generator_sections",
    "generator_tile",
    "generator_tiles",
    "generator_warnings",
    "image_statistics",
    "kernel_distance",
    "resize_patches",
    "retrieval_at_k",
    "same_spot_correspondence",
    "save_figure",
    "score_regions",
    "study_warnings",
    "train_extractor",
    "within_region_correlation",
    "write_report",
]


def __getattr__(name: str) -> object:
    if name in _HOME:
        return getattr(import_module(f"g2m_eval.{_HOME[name]}"), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
