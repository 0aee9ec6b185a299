"""How good are generated patches, and do they follow the genes? See the README."""

from importlib import import_module
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from g2m_eval.blocks import spatial_blocks
    from g2m_eval.config import (
        MOUSE_KIDNEY,
        PAPERS,
        PRESETS,
        EvaluationSettings,
        MarkerSet,
        PaperSettings,
        SpaceSettings,
    )
    from g2m_eval.distances.compare import Distances, compare_sets
    from g2m_eval.distances.frechet import FeatureStatistics, frechet_distance
    from g2m_eval.distances.kernel import KernelDistance, kernel_distance
    from g2m_eval.distances.manifold import coverage, density, precision, recall
    from g2m_eval.distances.protocol import DistanceProtocol
    from g2m_eval.errors import InputError
    from g2m_eval.evaluate import GeneratorEvaluation, evaluate_generator
    from g2m_eval.extractors.base import Extractor, Patches
    from g2m_eval.extractors.features import FeatureCache, content_digest, stream_features
    from g2m_eval.extractors.function import FunctionExtractor
    from g2m_eval.extractors.inception import InceptionExtractor
    from g2m_eval.extractors.small import SmallExtractor
    from g2m_eval.extractors.training import train_extractor
    from g2m_eval.fidelity.correspondence import same_spot_correspondence
    from g2m_eval.fidelity.evaluate import FidelityEvaluation, evaluate_fidelity
    from g2m_eval.fidelity.factors import WithinRegion, within_region_correlation
    from g2m_eval.fidelity.nuclei import measure_nuclei
    from g2m_eval.fidelity.reference import FidelityReference, measure_reference
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
    from g2m_eval.memorisation import (
        MemorisationEvaluation,
        MemorisationYardstick,
        evaluate_memorisation,
        measure_yardstick,
    )
    from g2m_eval.morphology import STATISTICS, image_statistics
    from g2m_eval.reader_study.create import Candidates, create_study, morphological_clusters
    from g2m_eval.reader_study.layout import ReaderStudy, open_study
    from g2m_eval.reader_study.score import ReaderScores, score_study
    from g2m_eval.reader_study.server import create_app
    from g2m_eval.report.comparison import compare_generators, comparison_section
    from g2m_eval.report.fidelity import fidelity_section, memorisation_section, stain_section
    from g2m_eval.report.page import ReportFigure, ReportSection, ReportTable, SummaryTile, write_report
    from g2m_eval.report.reader_study import reader_section
    from g2m_eval.report.sections import (
        generator_sections,
        generator_tile,
        generator_tiles,
        generator_warnings,
        study_warnings,
    )
    from g2m_eval.report.space import space_sections
    from g2m_eval.resize import resize_patches
    from g2m_eval.space.agreement import cluster_agreement
    from g2m_eval.space.clustering import Clustering, find_clusters
    from g2m_eval.space.evaluate import SpaceEvaluation, evaluate_space
    from g2m_eval.space.images import ImageSpace, PatchFeatures, compare_images
    from g2m_eval.space.markers import name_clusters
    from g2m_eval.space.mixing import mixing_score
    from g2m_eval.stain import ColourProfile, StainEvaluation, evaluate_stain, measure_colour

# Names are looked up at first use, so that importing this package costs neither torch nor matplotlib.
_HOME = {
    "Candidates": "reader_study.create",
    "Clustering": "space.clustering",
    "ColourProfile": "stain",
    "DistanceProtocol": "distances.protocol",
    "Distances": "distances.compare",
    "EvaluationSettings": "config",
    "Extractor": "extractors.base",
    "FeatureCache": "extractors.features",
    "FeatureStatistics": "distances.frechet",
    "FidelityEvaluation": "fidelity.evaluate",
    "FidelityReference": "fidelity.reference",
    "FunctionExtractor": "extractors.function",
    "GeneratorEvaluation": "evaluate",
    "ImageSpace": "space.images",
    "InceptionExtractor": "extractors.inception",
    "InputError": "errors",
    "Interval": "intervals",
    "KernelDistance": "distances.kernel",
    "MOUSE_KIDNEY": "config",
    "MarkerSet": "config",
    "MeanColourClassifier": "fidelity.regions",
    "MemorisationEvaluation": "memorisation",
    "MemorisationYardstick": "memorisation",
    "PAPERS": "config",
    "PRESETS": "config",
    "PaperSettings": "config",
    "PatchFeatures": "space.images",
    "Patches": "extractors.base",
    "ReaderScores": "reader_study.score",
    "ReaderStudy": "reader_study.layout",
    "RegionScores": "fidelity.regions",
    "ReportFigure": "report.page",
    "ReportSection": "report.page",
    "ReportTable": "report.page",
    "Retrieval": "fidelity.retrieval",
    "STATISTICS": "morphology",
    "SectionOverlay": "figures",
    "SmallExtractor": "extractors.small",
    "SpaceEvaluation": "space.evaluate",
    "SpaceSettings": "config",
    "StainEvaluation": "stain",
    "SummaryTile": "report.page",
    "WithinRegion": "fidelity.factors",
    "cluster_agreement": "space.agreement",
    "compare_generators": "report.comparison",
    "compare_images": "space.images",
    "compare_sets": "distances.compare",
    "comparison_section": "report.comparison",
    "content_digest": "extractors.features",
    "coverage": "distances.manifold",
    "create_app": "reader_study.server",
    "create_study": "reader_study.create",
    "density": "distances.manifold",
    "evaluate_fidelity": "fidelity.evaluate",
    "evaluate_generator": "evaluate",
    "evaluate_memorisation": "memorisation",
    "evaluate_space": "space.evaluate",
    "evaluate_stain": "stain",
    "fidelity_section": "report.fidelity",
    "figure_by_region": "figures",
    "figure_confusion": "figures",
    "figure_distances": "figures",
    "figure_factor_scatter": "figures",
    "figure_factors": "figures",
    "figure_generated": "figures",
    "figure_sections": "figures",
    "figure_training": "figures",
    "find_clusters": "space.clustering",
    "frechet_distance": "distances.frechet",
    "generator_sections": "report.sections",
    "generator_tile": "report.sections",
    "generator_tiles": "report.sections",
    "generator_warnings": "report.sections",
    "image_statistics": "morphology",
    "kernel_distance": "distances.kernel",
    "measure_colour": "stain",
    "measure_nuclei": "fidelity.nuclei",
    "measure_reference": "fidelity.reference",
    "measure_yardstick": "memorisation",
    "memorisation_section": "report.fidelity",
    "mixing_score": "space.mixing",
    "morphological_clusters": "reader_study.create",
    "name_clusters": "space.markers",
    "open_study": "reader_study.layout",
    "precision": "distances.manifold",
    "reader_section": "report.reader_study",
    "recall": "distances.manifold",
    "resize_patches": "resize",
    "retrieval_at_k": "fidelity.retrieval",
    "same_spot_correspondence": "fidelity.correspondence",
    "save_figure": "figures",
    "score_regions": "fidelity.regions",
    "score_study": "reader_study.score",
    "space_sections": "report.space",
    "spatial_blocks": "blocks",
    "stain_section": "report.fidelity",
    "stream_features": "extractors.features",
    "study_warnings": "report.sections",
    "train_extractor": "extractors.training",
    "within_region_correlation": "fidelity.factors",
    "write_report": "report.page",
}
__all__ = [
    "MOUSE_KIDNEY",
    "PAPERS",
    "PRESETS",
    "STATISTICS",
    "Candidates",
    "Clustering",
    "ColourProfile",
    "DistanceProtocol",
    "Distances",
    "EvaluationSettings",
    "Extractor",
    "FeatureCache",
    "FeatureStatistics",
    "FidelityEvaluation",
    "FidelityReference",
    "FunctionExtractor",
    "GeneratorEvaluation",
    "ImageSpace",
    "InceptionExtractor",
    "InputError",
    "Interval",
    "KernelDistance",
    "MarkerSet",
    "MeanColourClassifier",
    "MemorisationEvaluation",
    "MemorisationYardstick",
    "PaperSettings",
    "PatchFeatures",
    "Patches",
    "ReaderScores",
    "ReaderStudy",
    "RegionScores",
    "ReportFigure",
    "ReportSection",
    "ReportTable",
    "Retrieval",
    "SectionOverlay",
    "SmallExtractor",
    "SpaceEvaluation",
    "SpaceSettings",
    "StainEvaluation",
    "SummaryTile",
    "WithinRegion",
    "cluster_agreement",
    "compare_generators",
    "compare_images",
    "compare_sets",
    "comparison_section",
    "content_digest",
    "coverage",
    "create_app",
    "create_study",
    "density",
    "evaluate_fidelity",
    "evaluate_generator",
    "evaluate_memorisation",
    "evaluate_space",
    "evaluate_stain",
    "fidelity_section",
    "figure_by_region",
    "figure_confusion",
    "figure_distances",
    "figure_factor_scatter",
    "figure_factors",
    "figure_generated",
    "figure_sections",
    "figure_training",
    "find_clusters",
    "frechet_distance",
    "generator_sections",
    "generator_tile",
    "generator_tiles",
    "generator_warnings",
    "image_statistics",
    "kernel_distance",
    "measure_colour",
    "measure_nuclei",
    "measure_reference",
    "measure_yardstick",
    "memorisation_section",
    "mixing_score",
    "morphological_clusters",
    "name_clusters",
    "open_study",
    "precision",
    "reader_section",
    "recall",
    "resize_patches",
    "retrieval_at_k",
    "same_spot_correspondence",
    "save_figure",
    "score_regions",
    "score_study",
    "space_sections",
    "spatial_blocks",
    "stain_section",
    "stream_features",
    "study_warnings",
    "train_extractor",
    "within_region_correlation",
    "write_report",
]


def __getattr__(name: str) -> object:
    if name in _HOME:
        return getattr(import_module(f"g2m_eval.{_HOME[name]}"), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
