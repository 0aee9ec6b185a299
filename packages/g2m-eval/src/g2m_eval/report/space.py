"""What a report says about the embedding space: the paper's Figures 3, D.1 and E.1, and their tables."""

from __future__ import annotations

from collections.abc import Mapping
from string import ascii_lowercase
from typing import Any

import numpy as np
import pandas as pd

from g2m_eval.figures.slides import SectionOverlay, figure_sections
from g2m_eval.figures.space import Layout, colours_of_clusters, colours_of_samples, figure_layouts, figure_mixing
from g2m_eval.report.page import ReportFigure, ReportSection, ReportTable
from g2m_eval.space import keys
from g2m_eval.space.evaluate import SpaceEvaluation
from g2m_eval.space.images import REAL_TEST, REAL_TRAINING, ImageSpace
from g2m_eval.space.markers import SPEAKS

_CLUSTERS_TEXT = (
    "Spots are clustered by the embedding of their expression, which is all that a generator is told of them: the "
    "spots of each section by themselves, and those of all test sections jointly. Joint clusters that agree with the "
    "sections' own, and not with the section a spot is from, say that the embedding keeps the tissue and drops the "
    "batch. A cluster is named after the region whose marker genes stand out in it."
)
_IMAGES_TEXT = (
    "Real and generated patches by what a network makes of them. The paper shows the image encoder of phase 1, which "
    "guided or conditioned the generators and may therefore find them more alike than they are; beside it stands a "
    "network that took no part. The mixing score is measured in the features, not in the picture: 1 where real and "
    "generated patches are each other's neighbours as often as chance would have it, 0 where never."
)


def space_sections(
    found: SpaceEvaluation,
    *,
    overlays: Mapping[str, SectionOverlay],
    images: ImageSpace | None = None,
    labels: Mapping[str, str] | None = None,
) -> list[ReportSection]:
    """Chapters on the embedding space, on joint clusters, and on real and generated patches if there are any.

    Parameters
    ----------
    found
        Of `evaluate_space`.
    overlays
        By test section, its slide and spots, labelled by sample-wise cluster.
    images
        Of `compare_images`; None without a generator.
    labels
        How a reader is told of each generator.
    """
    chapters = [
        ReportSection(
            title="What does the embedding keep?",
            text=_CLUSTERS_TEXT,
            figures=[figure_of_embeddings(found), figure_of_sections(found, overlays)],
            tables=[table_of_clusters(found)],
        ),
        ReportSection(
            title="Do clusters follow tissue or section?",
            figures=[figure_of_joint_clusters(found)],
            tables=[table_of_agreement(found)],
        ),
    ]
    text = _IMAGES_TEXT if images else "There are no generated patches, or too few: the paper's Figure D.1 is left out."
    names = {} if images is None else {model: (labels or {}).get(model, model) for model in models_of(images)}
    chapters.append(
        ReportSection(
            title="Do real and generated patches mix?",
            text=text,
            figures=[] if images is None else [figure_of_mixing(images, m, label=name) for m, name in names.items()],
            tables=[] if images is None else [table_of_mixing(images, names)],
        )
    )
    return chapters


def models_of(images: ImageSpace) -> list[str]:
    """Name the generators that were compared."""
    return list(images.metrics["independent"]["models"])


def figure_of_embeddings(found: SpaceEvaluation) -> ReportFigure:
    """Figure 3 a-c: embeddings by sample-wise cluster and by sample, raw expression by sample."""
    obs, obsm = found.adata.obs, found.adata.obsm
    test = (obs[keys.SPLIT] == "test").to_numpy()
    samples = obs[keys.SAMPLE].to_numpy().astype(str)
    names = _samples(found)
    everywhere = np.asarray(obsm[keys.UMAP])
    raw = np.asarray(obsm[keys.UMAP_EXPRESSION])[test]
    own = obs[keys.SAMPLEWISE].astype(str).tolist()
    of_sections = colours_of_samples(names)
    figure = figure_layouts(
        [
            Layout(title="a  Embeddings, by cluster", xy=everywhere, labels=own, order=found.order),
            Layout(title="b  Embeddings, by section", xy=everywhere, labels=samples.tolist(), order=names),
            Layout(title="c  Raw expression, by section", xy=raw, labels=samples[test].tolist(), order=names),
        ],
        [colours_of_clusters(found.order), of_sections, of_sections],
    )
    metrics = found.metrics
    caption = (
        f"UMAP (scanpy) of the embeddings of all {metrics['spots']:,} test spots and {metrics['training_pairs']:,} "
        f"training pairs drawn at random: a, coloured by the clusters of each section by itself (Leiden, "
        f"{_numbers(found)}), named by marker genes; b, by section. c, the same of the test spots' raw expression "
        f"(log-normalised, {metrics['expression']['components']} principal components of all genes). The paper's "
        f"Figure 3 a-c; seed {metrics['seed']}. Distances in a UMAP mean little: what is measured is in the tables."
    )
    return ReportFigure(name="space-embeddings", figure=figure, caption=caption)


def figure_of_sections(found: SpaceEvaluation, overlays: Mapping[str, SectionOverlay]) -> ReportFigure:
    """Figure 3 d-h: each test section's spots on its slide, coloured by cluster."""
    titled = {f"{letter}  {name}": overlays[name] for letter, name in zip(_letters("d"), overlays, strict=False)}
    figure = figure_sections(titled, order=found.order, colours=colours_of_clusters(found.order))
    caption = (
        "Each test section's slide, and on it its spots coloured by the section's own clusters (the paper's Figure 3 "
        "d-h). A spot's cluster comes from its expression alone: that clusters form regions of tissue is a finding."
    )
    return ReportFigure(name="space-sections", figure=figure, caption=caption)


def figure_of_joint_clusters(found: SpaceEvaluation) -> ReportFigure:
    """Figure E.1: joint clusters in embedding and in expression space, with the ARI values in the titles."""
    test = (found.adata.obs[keys.SPLIT] == "test").to_numpy()
    obs = found.adata.obs[test]
    samples = obs[keys.SAMPLE].astype(str).tolist()
    names = _samples(found)
    joint, raw = (obs[key].astype(str).tolist() for key in (keys.JOINT, keys.EXPRESSION))
    numbers = sorted(set(raw), key=int)
    layouts = [np.asarray(found.adata.obsm[key])[test] for key in (keys.UMAP, keys.UMAP_EXPRESSION)]
    metrics = found.metrics
    titles = [
        f"a  Embedding, joint clusters\nARI with sections' own: {_number(metrics['ari_joint_vs_samplewise'])} (mean), "
        f"{_number(metrics['ari_joint_vs_samplewise_pooled'])} (all spots)",
        f"b  Embedding, by section\nARI clusters, section: {_number(metrics['ari_joint_vs_sample'])}",
        "c  Raw expression, joint clusters\n",
        f"d  Raw expression, by section\nARI clusters, section: {_number(metrics['ari_expression_vs_sample'])}",
    ]
    panels = [
        Layout(title=title, xy=xy, labels=labels, order=order)
        for title, xy, labels, order in zip(
            titles,
            [layouts[0], layouts[0], layouts[1], layouts[1]],
            [joint, samples, raw, samples],
            [found.order, names, numbers, names],
            strict=True,
        )
    ]
    of_sections = colours_of_samples(names)
    of_numbers = {number: f"C{9 - place}" for place, number in enumerate(numbers)}
    figure = figure_layouts(panels, [colours_of_clusters(found.order), of_sections, of_numbers, of_sections], columns=2)
    caption = (
        f"Joint clusters of all {metrics['spots']:,} test spots: above in embedding space (the layout is that of all "
        f"spots, the clusters are those of test spots), below in raw expression, where clusters are numbered and a "
        f"number has nothing to do with a region. ARI: adjusted Rand index, 1 = the same partition, 0 = chance. The "
        f"paper's Figure E.1."
    )
    return ReportFigure(name="space-joint", figure=figure, caption=caption)


def figure_of_mixing(images: ImageSpace, model: str, *, label: str) -> ReportFigure:
    """Figure D.1 of one generator: real and generated patches by the image encoder, and by an independent network."""
    obs = images.adata.obs
    real = (obs[keys.KIND] == REAL_TEST).to_numpy()
    rows = real | (obs[keys.MODEL] == model).to_numpy()
    kinds = np.where(real, "real", "generated")[rows].tolist()
    panels, sentences = [], []
    for letter, role, key, title in (
        ("a", "image_encoder", keys.UMAP_IMAGE_ENCODER, "Phase-1 image encoder (took part)"),
        ("b", "independent", keys.UMAP_INDEPENDENT, "Network that took no part"),
    ):
        scores = images.metrics[role]["models"][model]
        generated, reference = (scores[name] for name in ("generated_vs_test", "train_vs_test"))
        panels.append(
            Layout(
                title=f"{letter}  {title}\nmixing {generated['value']:.2f}; real with real {reference['value']:.2f}",
                xy=np.asarray(images.adata.obsm[key])[rows], labels=kinds, order=("real", "generated"),
            )
        )  # fmt: skip
        sentences.append(
            f"{letter}, {images.metrics[role]['network']}: mixing {_range(generated)}; real training with real test "
            f"patches {_range(reference)}."
        )
    shared = ", laid out with those of the other generators" if len(models_of(images)) > 1 else ""
    caption = (
        f"{label}: UMAP of the features of {sum(real):,} real patches of test spots and "
        f"{kinds.count('generated'):,} generated ones (the paper's Figure D.1){shared}. "
        f"{' '.join(sentences)} Scores (95 % interval) of {scores['n']:,} patches of each kind, "
        f"{images.metrics['independent']['neighbours']} neighbours, brought to one size in pixels by area averages."
    )
    return ReportFigure(name=f"space-images-{_file(model)}", figure=figure_mixing(panels), caption=caption)


def table_of_clusters(found: SpaceEvaluation) -> ReportTable:
    """List clusters with their sizes, resolutions and marker scores."""
    scored = ", ".join(f"{region} {' '.join(genes)}" for region, genes in found.metrics["markers"]["found"].items())
    absent = found.metrics["markers"]["absent"]
    caption = (
        "Clusters and what marker genes say in them: mean over a cluster's spots and a region's genes of expression in "
        "standard deviations from the section's mean. Each region goes to one cluster at most, such that the sum is "
        f"largest; below {SPEAKS:g} no name is given. Clear: the region is the cluster's loudest, and the cluster the "
        f"region's. Markers found: {scored or 'none'}. Not in the panel: {', '.join(absent) or 'none'}. Symbols match "
        "whatever their case."
    )
    return ReportTable(table=found.clusters, caption=caption, name="clusters")


def table_of_agreement(found: SpaceEvaluation) -> ReportTable:
    """List the ARI values, each with what it compares."""
    metrics = found.metrics
    meaning = {
        "ari_joint_vs_samplewise": "joint clusters with each section's own, mean over sections",
        "ari_joint_vs_samplewise_pooled": "joint clusters with the sections' own, all spots at once",
        "ari_joint_vs_sample": "joint clusters with the section",
        "ari_expression_vs_sample": "joint clusters of raw expression with the section",
        "ari_region_vs_sample": "true regions with the section: what a perfect clustering would score",
        "ari_joint_vs_region": "joint clusters with true regions",
    }
    rows = [{"adjusted Rand index of": text, "value": metrics[key]} for key, text in meaning.items() if key in metrics]
    caption = (
        f"{metrics['spots']:,} test spots; {_numbers(found)}; seed {metrics['seed']}. The paper's 0.79 is of joint "
        "clusters with sample-wise ones; it does not say whether as a mean or of all spots at once, where a cluster's "
        "name has to be the same in all sections."
    )
    if "names" in metrics:
        names = metrics["names"]
        caption += (
            f" Names against the truth, on the {names['spots']:,} spots that are at least 90 % one region: balanced "
            f"accuracy {_range(names['balanced_accuracy'])}."
        )
    return ReportTable(table=pd.DataFrame(rows), caption=caption, name="cluster-agreement")


def table_of_mixing(images: ImageSpace, labels: Mapping[str, str]) -> ReportTable:
    """List the mixing scores."""
    table = images.table.assign(generator=[labels.get(str(model), str(model)) for model in images.table["generator"]])
    training = int((images.adata.obs[keys.KIND] == REAL_TRAINING).sum())
    caption = (
        "Share of a patch's nearest neighbours that are of the other kind, over what perfect mixing gives, with 95 % "
        f"intervals. Real training patches ({training:,} drawn) are mixed with real test patches in the same number: "
        "what sections differ by anyway. The score depends on the number of patches: compare rows of the same N."
    )
    return ReportTable(table=table, caption=caption, name="image-mixing")


def _numbers(found: SpaceEvaluation) -> str:
    counts = sorted({entry["number"] for entry in found.metrics["samplewise"].values()})
    wanted = found.metrics["wanted"]
    if counts == [wanted]:
        return f"resolution searched for {wanted} clusters"
    return f"resolution searched for {wanted} clusters, found {' and '.join(map(str, counts))}"


def _samples(found: SpaceEvaluation) -> list[str]:
    """Name all sections, so that a section has one colour in every figure."""
    return list(dict.fromkeys(found.adata.obs[keys.SAMPLE].astype(str)))


def _letters(first: str) -> str:
    return ascii_lowercase[ascii_lowercase.index(first) :]


def _number(value: float) -> str:
    return "none" if np.isnan(value) else f"{value:.3f}"


def _range(interval: Mapping[str, Any]) -> str:
    return f"{interval['value']:.2f} ({interval['low']:.2f} to {interval['high']:.2f})"


def _file(model: str) -> str:
    return model.replace(".", "_")
