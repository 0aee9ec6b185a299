"""Which genes drew the tissue, and what if they were gone? See the README."""

from importlib import import_module
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from g2m_interpret.attribution.halves import shared_by_halves
    from g2m_interpret.attribution.integral import PathIntegral, integrate_gradients
    from g2m_interpret.attribution.pairs import attribute_pairs
    from g2m_interpret.attribution.profiles import ClusterProfiles, cluster_profiles
    from g2m_interpret.attribution.ranking import rank_genes, shared_top, top_genes
    from g2m_interpret.attribution.untrained import freshly_initialised
    from g2m_interpret.config import (
        PRESETS,
        AttributionSettings,
        EnrichmentSettings,
        InterpretationSettings,
        PerturbationSettings,
    )
    from g2m_interpret.enrichment.gene_sets import SetMatch, match_gene_sets, read_gmt
    from g2m_interpret.enrichment.prerank import Enrichment, enrich_pairs, enrich_ranking
    from g2m_interpret.enrichment.tables import significant_terms, terms_table
    from g2m_interpret.errors import InputError, OutsideTraining
    from g2m_interpret.figures.genes import figure_enrichment, figure_top_genes
    from g2m_interpret.figures.perturbation import difference_map, figure_doses, figure_perturbation
    from g2m_interpret.figures.screen import figure_image_genes, figure_screen
    from g2m_interpret.images.surrogates import ImageStatistics, along, image_surrogates, surrogate_agreement
    from g2m_interpret.images.through_generator import attribute_images
    from g2m_interpret.perturbation.dose import DoseResponse, dose_response
    from g2m_interpret.perturbation.edits import Edit, edit_expression, matched_genes
    from g2m_interpret.perturbation.effects import (
        Perturbation,
        perturb,
        random_changes,
        random_edits,
        share_beyond,
        summarise_changes,
    )
    from g2m_interpret.perturbation.familiarity import Familiarity
    from g2m_interpret.perturbation.screen import gene_controls, rank_by_gradient, screen_table, set_controls
    from g2m_interpret.perturbation.simulator import Simulator, draw_keys
    from g2m_interpret.perturbation.verification import pending_edits, verify_edits
    from g2m_interpret.scoring import DriverDefinition, driver_genes, rank_true_sets, score_drivers

# Names are looked up at first use, so that importing this package costs neither torch nor matplotlib.
_HOME = {
    "AttributionSettings": "config",
    "ClusterProfiles": "attribution.profiles",
    "DoseResponse": "perturbation.dose",
    "DriverDefinition": "scoring",
    "Edit": "perturbation.edits",
    "Enrichment": "enrichment.prerank",
    "EnrichmentSettings": "config",
    "Familiarity": "perturbation.familiarity",
    "ImageStatistics": "images.surrogates",
    "InputError": "errors",
    "InterpretationSettings": "config",
    "OutsideTraining": "errors",
    "PRESETS": "config",
    "PathIntegral": "attribution.integral",
    "Perturbation": "perturbation.effects",
    "PerturbationSettings": "config",
    "SetMatch": "enrichment.gene_sets",
    "Simulator": "perturbation.simulator",
    "along": "images.surrogates",
    "attribute_images": "images.through_generator",
    "attribute_pairs": "attribution.pairs",
    "cluster_profiles": "attribution.profiles",
    "difference_map": "figures.perturbation",
    "dose_response": "perturbation.dose",
    "draw_keys": "perturbation.simulator",
    "driver_genes": "scoring",
    "edit_expression": "perturbation.edits",
    "enrich_pairs": "enrichment.prerank",
    "enrich_ranking": "enrichment.prerank",
    "figure_doses": "figures.perturbation",
    "figure_enrichment": "figures.genes",
    "figure_image_genes": "figures.screen",
    "figure_perturbation": "figures.perturbation",
    "figure_screen": "figures.screen",
    "figure_top_genes": "figures.genes",
    "freshly_initialised": "attribution.untrained",
    "gene_controls": "perturbation.screen",
    "image_surrogates": "images.surrogates",
    "integrate_gradients": "attribution.integral",
    "match_gene_sets": "enrichment.gene_sets",
    "matched_genes": "perturbation.edits",
    "pending_edits": "perturbation.verification",
    "perturb": "perturbation.effects",
    "random_changes": "perturbation.effects",
    "random_edits": "perturbation.effects",
    "rank_by_gradient": "perturbation.screen",
    "rank_genes": "attribution.ranking",
    "rank_true_sets": "scoring",
    "read_gmt": "enrichment.gene_sets",
    "score_drivers": "scoring",
    "screen_table": "perturbation.screen",
    "set_controls": "perturbation.screen",
    "share_beyond": "perturbation.effects",
    "shared_by_halves": "attribution.halves",
    "shared_top": "attribution.ranking",
    "significant_terms": "enrichment.tables",
    "summarise_changes": "perturbation.effects",
    "surrogate_agreement": "images.surrogates",
    "terms_table": "enrichment.tables",
    "top_genes": "attribution.ranking",
    "verify_edits": "perturbation.verification",
}
__all__ = [
    "PRESETS",
    "AttributionSettings",
    "ClusterProfiles",
    "DoseResponse",
    "DriverDefinition",
    "Edit",
    "Enrichment",
    "EnrichmentSettings",
    "Familiarity",
    "ImageStatistics",
    "InputError",
    "InterpretationSettings",
    "OutsideTraining",
    "PathIntegral",
    "Perturbation",
    "PerturbationSettings",
    "SetMatch",
    "Simulator",
    "along",
    "attribute_images",
    "attribute_pairs",
    "cluster_profiles",
    "difference_map",
    "dose_response",
    "draw_keys",
    "driver_genes",
    "edit_expression",
    "enrich_pairs",
    "enrich_ranking",
    "figure_doses",
    "figure_enrichment",
    "figure_image_genes",
    "figure_perturbation",
    "figure_screen",
    "figure_top_genes",
    "freshly_initialised",
    "gene_controls",
    "image_surrogates",
    "integrate_gradients",
    "match_gene_sets",
    "matched_genes",
    "pending_edits",
    "perturb",
    "random_changes",
    "random_edits",
    "rank_by_gradient",
    "rank_genes",
    "rank_true_sets",
    "read_gmt",
    "score_drivers",
    "screen_table",
    "set_controls",
    "share_beyond",
    "shared_by_halves",
    "shared_top",
    "significant_terms",
    "summarise_changes",
    "surrogate_agreement",
    "terms_table",
    "top_genes",
    "verify_edits",
]


def __getattr__(name: str) -> object:
    if name in _HOME:
        return getattr(import_module(f"g2m_interpret.{_HOME[name]}"), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
