"""Which genes drew the tissue, and what if they were gone? See the README."""

from importlib import import_module
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from g2m_interpret.attribution.integral import PathIntegral, integrate_gradients
    from g2m_interpret.attribution.pairs import attribute_pairs
    from g2m_interpret.attribution.profiles import ClusterProfiles, cluster_profiles
    from g2m_interpret.attribution.ranking import rank_genes, top_genes
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
    from g2m_interpret.scoring import DriverDefinition, driver_genes, rank_true_sets, score_drivers

# Names are looked up at first use, so that importing this package costs neither torch nor matplotlib.
_HOME = {
    "AttributionSettings": "config",
    "ClusterProfiles": "attribution.profiles",
    "DriverDefinition": "scoring",
    "Enrichment": "enrichment.prerank",
    "EnrichmentSettings": "config",
    "InputError": "errors",
    "InterpretationSettings": "config",
    "OutsideTraining": "errors",
    "PRESETS": "config",
    "PathIntegral": "attribution.integral",
    "PerturbationSettings": "config",
    "SetMatch": "enrichment.gene_sets",
    "attribute_pairs": "attribution.pairs",
    "cluster_profiles": "attribution.profiles",
    "driver_genes": "scoring",
    "enrich_pairs": "enrichment.prerank",
    "enrich_ranking": "enrichment.prerank",
    "integrate_gradients": "attribution.integral",
    "match_gene_sets": "enrichment.gene_sets",
    "rank_genes": "attribution.ranking",
    "rank_true_sets": "scoring",
    "read_gmt": "enrichment.gene_sets",
    "score_drivers": "scoring",
    "significant_terms": "enrichment.tables",
    "terms_table": "enrichment.tables",
    "top_genes": "attribution.ranking",
}
__all__ = [
    "PRESETS",
    "AttributionSettings",
    "ClusterProfiles",
    "DriverDefinition",
    "Enrichment",
    "EnrichmentSettings",
    "InputError",
    "InterpretationSettings",
    "OutsideTraining",
    "PathIntegral",
    "PerturbationSettings",
    "SetMatch",
    "attribute_pairs",
    "cluster_profiles",
    "driver_genes",
    "enrich_pairs",
    "enrich_ranking",
    "integrate_gradients",
    "match_gene_sets",
    "rank_genes",
    "rank_true_sets",
    "read_gmt",
    "score_drivers",
    "significant_terms",
    "terms_table",
    "top_genes",
]


def __getattr__(name: str) -> object:
    if name in _HOME:
        return getattr(import_module(f"g2m_interpret.{_HOME[name]}"), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
