"""The paper's figures of the embedding space: 3, D.1 and E.1."""

from __future__ import annotations

import math
from dataclasses import replace
from typing import Any

from g2m_cli.evaluation.paper_items import Built, PaperItem, PaperStudy, records_of, table_of
from g2m_cli.models import label_of

_INDICES = {
    "ari_joint_vs_samplewise": "joint clusters in embedding space, each section's own clusters (mean over sections)",
    "ari_joint_vs_samplewise_pooled": "joint clusters in embedding space, sections' own clusters by name (all spots)",
    "ari_joint_vs_sample": "joint clusters in embedding space, sections",
    "ari_expression_vs_sample": "joint clusters in raw expression, sections",
    "ari_region_vs_sample": "true regions, sections: what a perfect clustering would score",
    "ari_joint_vs_region": "joint clusters in embedding space, true regions",
}


def embeddings(paper: PaperStudy, item: PaperItem) -> Built:
    """Figure 3: the embedding by cluster and by section, raw expression by section, clusters on the tissue."""
    from g2m_cli.evaluation.space import overlays_of
    from g2m_eval.report.published import REGIONS
    from g2m_eval.report.space import figure_of_embeddings, figure_of_sections

    found = paper.space.evaluation
    regions = ", ".join(f"{name} ({short})" for short, name in REGIONS.items())
    text = (
        f"In the paper five clusters appear in each section: {regions}. Here clusters are looked for in the same way "
        "(Leiden in each section by itself, the resolution searched for a wanted number) and named by marker genes. A "
        "UMAP's shape is not comparable between studies; what is: whether sections mix in a and b and part in c, and "
        "whether clusters of expression form regions of the tissue."
    )
    figures = [
        replace(figure_of_embeddings(found), number=f"{item.number}, a to c"),
        replace(figure_of_sections(found, overlays_of(paper.spots, found)), number=f"{item.number}, d on"),
    ]
    return Built(text=text, figures=figures, metrics={"ours": {"samplewise": found.metrics["samplewise"]}})


def mixing(paper: PaperStudy, item: PaperItem) -> Built:
    """Figure D.1: real and generated patches in the image encoder's space, and in an independent network's."""
    from g2m_eval.report.space import figure_of_mixing, models_of, table_of_mixing

    images = paper.space.images
    compared = [] if images is None else models_of(images)
    if images is None or not compared:
        return Built(text="Ours is missing: there are too few patches to see whether real and generated ones mix.")
    text = (
        "The paper shows this picture by the image encoder of phase 1 and calls it well mixed, without a number. That "
        "encoder guided the GAN and shares its space with the conditions of all generators, so it may find patches "
        "more alike than they are: an independent network stands beside it, and the mixing is measured against that "
        "of real training patches."
    )
    left_out = [label_of(name) for name in paper.models if name not in compared]
    if left_out:
        text += f" Of too few images to be compared: {', '.join(left_out)}."
    names = {name: label_of(name) for name in compared}
    figures = [
        replace(figure_of_mixing(images, name, label=label), number=f"{item.number} ({label})")
        for name, label in names.items()
    ]
    scores = replace(table_of_mixing(images, names), name=item.name)
    return Built(text=text, figures=figures, tables=[scores], metrics={"ours": images.metrics})


def agreement(paper: PaperStudy, item: PaperItem) -> Built:
    """Figure E.1: joint clusters in embedding and expression space, and their adjusted Rand indices."""
    import pandas as pd

    from g2m_eval.report.published import AGREEMENT, published_agreement
    from g2m_eval.report.space import figure_of_joint_clusters

    found = paper.space.evaluation
    ours: dict[str, Any] = {name: found.metrics[name] for name in _INDICES if name in found.metrics}
    table = pd.DataFrame(
        {"adjusted Rand index of": text, "published": AGREEMENT.get(name), "ours": ours[name]}
        for name, text in _INDICES.items()
        if name in ours
    )
    caption = (
        f"Published: 9,132 spots of five sections. Ours: {found.metrics['spots']:,} test spots of "
        f"{len(set(paper.spots.samples.tolist()))} sections, {found.metrics['wanted']} clusters wanted."
    )
    text = (
        "The paper does not say whether its 0.79 is the mean over sections of the index within each or one index of "
        "all spots: both of ours stand beside it. "
        "The indices have no unit and mean the same here as there: 1 is the same partition, 0 is chance. Their size "
        "still depends on the sections: where sections hold regions in other shares, even the true regions agree with "
        "the section a little, and raw expression parts sections as far as batches differ."
    )
    perfect = ours.get("ari_region_vs_sample")
    if perfect is not None and math.isfinite(perfect):
        text += f" Here they agree with it by {perfect:.3f}, which a perfect clustering would score too."
    return Built(
        text=text,
        figures=[replace(figure_of_joint_clusters(found), number=item.number)],
        tables=[replace(table_of(item, table, caption), number="")],
        metrics={"published": records_of(published_agreement()), "ours": ours},
    )
