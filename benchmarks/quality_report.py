"""Summary and pictures of the results of ``quality.py``: means over folds, then data sets are the sample."""

import matplotlib

matplotlib.use("agg")

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
from scipy import stats

COLLAPSED = 0.9
"""A model has collapsed where its average precision is below this part of the best other model's of its family."""


def write(path):
    """Write the summary and the pictures beside the CSV; return the summary."""
    lines = pd.read_csv(path)
    means = lines.groupby(["family", "data_set", "model"]).mean(numeric_only=True).reset_index()
    summary = "\n\n".join(section for section in (
        head(lines), *(family(name, part) for name, part in means.groupby("family", sort=False))
    ) if section)  # fmt: skip
    path.with_suffix(".md").write_text(summary + "\n")
    paired(means, path.with_name(path.stem + "_paired.png"))
    ranks(means, path.with_name(path.stem + "_ranks.png"))
    return summary


def head(lines):
    """What was run."""
    sets = lines.groupby("data_set").first()[["rows", "classes", "minority"]].sort_values("minority")
    families = [
        f"{part['model'].nunique()} models of {name} on {len(part[['repeat', 'fold']].drop_duplicates())} folds each"
        for name, part in lines.groupby("family", sort=False)
    ]
    return f"{len(sets)} data sets: {', '.join(families)}.\n\n" + markdown(sets, digits=5)


def pivot(means, measure):
    """Data sets x models."""
    return means.pivot(index="data_set", columns="model", values=measure)


def family(name, means):
    """The findings on one family, in Markdown."""
    precision, loss, bare = (pivot(means, m) for m in ("average_precision", "log_loss", "log_loss_bare"))
    precision_bare = pivot(means, "average_precision_bare")
    if not {name, f"{name} focal 1"} <= set(precision):
        return "\n".join([f"## {name}", "", "Average precision:", "", markdown(precision), "",
                          *others_against_the_parent(name, precision, loss)])  # fmt: skip
    several = means.groupby("data_set")["classes"].first() > 2
    text = [f"## {name}", "Average precision (macro where there are several classes):", markdown(precision)]
    focal = [m for m in precision if m.startswith(f"{name} focal") and "search" not in m and "stop" not in m]
    # Early stopping has other parameters than the library's defaults, in which the models are compared.
    with_defaults = precision[[m for m in precision if "stop" not in m]]
    for what, table in (("with the same parameters", with_defaults), ("early stopping counted", precision)):
        worst = worst_part(table, focal)
        text.append(f"- No collapse, {what}: at worst {worst[0]:.3f} of the best other ({worst[1]} on {worst[2]}); "
                    f"below {COLLAPSED}: {worst[3]} of {len(focal) * len(precision)}.")  # fmt: skip
    parent_worst = worst_part(with_defaults, [name])
    text.append(f"- {name} as it comes, for comparison: at worst {parent_worst[0]:.4f} ({parent_worst[2]}).")
    for what, model in (("gamma 1", f"{name} focal 1"), ("gamma searched", f"{name} focal searched")):
        if model in precision:
            text.append("- " + compared(f"average precision, {what}", precision[name], precision[model]))
    ranked = compared("average precision, gamma 1, bare softmax", precision[name], precision_bare[f"{name} focal 1"])
    text.append(f"- {ranked}. With two classes it ranks as predict_proba does.")
    for model in focal:
        if "balanced" not in model:
            ours, sigmoid = ratio(loss[model], loss[name]), ratio(bare[model], loss[name])
            text.append(f"- Log loss, {model}, over the parent's, geometric mean: {ours}; bare sigmoid {sigmoid}.")
    if several.any():
        several = several.reindex(loss.index)
        model = f"{name} focal 1"
        text.append(f"- The same at gamma 1, several classes only: {ratio(loss[model][several], loss[name][several])}; "
                    f"two classes only: {ratio(loss[model][~several], loss[name][~several])}.")  # fmt: skip
    stopped = f"{name} early stopping", f"{name} focal 1 early stopping"
    if set(stopped) <= set(loss):
        text.append(f"- The same with early stopping: {ratio(loss[stopped[1]], loss[stopped[0]])}.")
    chosen = means[means["model"] == f"{name} focal searched"]["chosen_gamma"]
    if len(chosen):
        text.append(f"- Mean gamma that the inner search chose: {chosen.mean():.2f}.")
    others = means.groupby("model", sort=False)[["log_loss", "brier", "calibration_error", "f1", "f1_tuned",
                                                 "balanced_accuracy", "seconds"]].mean()  # fmt: skip
    return "\n".join([*text[:1], "", text[1], "", text[2], "", *text[3:], "", "Means over the data sets:", "",
                      markdown(others)])  # fmt: skip


def others_against_the_parent(name, precision, loss):
    """A family that is not ours: each model against its parent, on the data sets that both were trained on."""
    if name not in precision:
        return []
    return [
        f"- {compared(f'{model}, average precision', precision[name], precision[model])}; log loss over the parent's, "
        f"geometric mean: {ratio(loss[model], loss[name])}."
        for model in precision if model != name
    ]  # fmt: skip


def worst_part(precision, models):
    """Least part of the best other model's average precision, its model and data set, and how many have collapsed."""
    parts = pd.DataFrame({m: precision[m] / precision.drop(columns=m).max(axis=1) for m in models}).stack()
    data_set, model = parts.idxmin()
    return parts.min(), model, data_set, int((parts < COLLAPSED).sum())


def compared(what, parent, ours):
    """Means, wins and a Wilcoxon signed-rank test over the data sets."""
    both = pd.concat([parent, ours], axis=1).dropna()
    a, b = both.iloc[:, 0], both.iloc[:, 1]
    if len(both) < 2 or (a == b).all():
        return f"{what}: {a.mean():.4f} becomes {b.mean():.4f}"
    worse = stats.wilcoxon(b, a, alternative="less").pvalue
    better = stats.wilcoxon(b, a, alternative="greater").pvalue
    return (f"{what}: mean {a.mean():.4f} becomes {b.mean():.4f}; higher on {(b > a).sum()}, lower on {(b < a).sum()} "
            f"of {len(both)}; Wilcoxon: p = {better:.3f} for higher, {worse:.3f} for lower")  # fmt: skip


def ratio(ours, parent):
    """Geometric mean of the ratios, and how many are below 1."""
    ratios = (ours / parent).dropna()
    return f"{np.exp(np.log(ratios).mean()):.3f} (lower on {(ratios < 1).sum()} of {len(ratios)})"


def markdown(frame, digits=4):
    """A table in Markdown."""
    rows = [["", *map(str, frame.columns)], ["---"] * (1 + len(frame.columns))]
    for name, row in frame.iterrows():
        rows.append([str(name), *("" if pd.isna(v) else f"{v:.{digits}g}" for v in row)])
    return "\n".join("| " + " | ".join(row) + " |" for row in rows)


def paired(means, path):
    """Parent against gamma 1, a point per data set: average precision and log loss of each family."""
    families = [f for f in means["family"].unique() if (means["model"] == f"{f} focal 1").any()]
    if not families:
        return
    figure, axes = plt.subplots(2, len(families), figsize=(4 * len(families), 7.6), squeeze=False, layout="constrained")
    for column, name in zip(axes.T, families, strict=True):
        part = means[means["family"] == name]
        for axis, measure in zip(column, ("average_precision", "log_loss"), strict=True):
            table = pivot(part, measure)
            if name not in table:
                continue
            x, y = table[name], table[f"{name} focal 1"]
            low, high = np.nanmin([x, y]) * 0.9, np.nanmax([x, y]) * 1.1
            axis.plot([low, high], [low, high], color="0.6", linewidth=1)
            better = y > x if measure == "average_precision" else y < x
            axis.scatter(x[better], y[better], color="#08519c", label=f"focal better ({better.sum()})")
            axis.scatter(x[~better], y[~better], color="#d94801", marker="s", label=f"not better ({(~better).sum()})")
            axis.set(xlabel=name, ylabel=f"{name}, focal, gamma 1")
            if measure == "log_loss":
                axis.set(xscale="log", yscale="log")
            axis.set_title(measure.replace("_", " "))
            axis.legend(frameon=False, fontsize="small")
    figure.savefig(path, dpi=110)
    plt.close(figure)


def ranks(means, path):
    """Mean ranks by average precision with Friedman's test and the critical difference of Nemenyi."""
    families = [f for f in means["family"].unique() if (means["family"] == f).sum()]
    figure, axes = plt.subplots(len(families), 1, figsize=(9, 3.2 * len(families)), squeeze=False, layout="constrained")
    for axis, name in zip(axes[:, 0], families, strict=True):
        table = pivot(means[means["family"] == name], "average_precision").dropna()
        n, k = table.shape
        if n < 2 or k < 3:
            axis.set_title(f"{name}: too few data sets or models to rank")
            axis.axis("off")
            continue
        mean_ranks = table.rank(axis=1, ascending=False).mean().sort_values()
        p = stats.friedmanchisquare(*table.T.to_numpy()).pvalue
        # Demsar, Statistical Comparisons of Classifiers over Multiple Data Sets, JMLR 2006.
        critical = stats.studentized_range.ppf(0.95, k, np.inf) / np.sqrt(2) * np.sqrt(k * (k + 1) / (6 * n))
        labels = [m.removeprefix(name).strip() or "as it comes" for m in mean_ranks.index]
        focal = [any(word in m.lower() for word in ("focal", "gamma")) for m in mean_ranks.index]
        colours = ["#08519c" if is_focal else "#d94801" for is_focal in focal]
        axis.hlines(range(k), 1, mean_ranks, color="0.85")
        axis.scatter(mean_ranks, range(k), color=colours, zorder=3)
        axis.set_yticks(range(k), labels)
        axis.invert_yaxis()
        axis.axvspan(mean_ranks.iloc[0], mean_ranks.iloc[0] + critical, color="0.93", zorder=0)
        axis.set(xlim=(1, k), xlabel=f"mean rank by average precision over {n} data sets")
        axis.set_title(f"{name}: Friedman's p = {p:.2g}; grey: within Nemenyi's difference {critical:.2f} of the best")
    figure.savefig(path, dpi=110)
    plt.close(figure)
