"""The picture of ``quality.py``: gains and losses of skfocal on each data set, with the spread over the folds."""

import matplotlib

matplotlib.use("agg")

import matplotlib.pyplot as plt
import numpy as np
from quality_statistics import LIBRARIES, OURS, of, opponent, paired, plain

BETTER, WORSE, EQUAL = "#08519c", "#d94801", "0.5"


def per_set(lines, path):
    """Skfocal compared with the best arm of the library: differences of average precision, ratios of log loss."""
    lines = plain(lines)
    families = [f for f in LIBRARIES[:2] if (of(lines, f).arm == OURS).any() and (of(lines, f).kind == "stock").any()]
    tables = {f: paired(of(lines, f), OURS, opponent(of(lines, f))) for f in families}
    tables = {f: table for f, table in tables.items() if len(table)}
    if not tables:
        return
    order = max(tables.values(), key=len).sort_values("minority", ascending=False)
    names = order.data_set.tolist()
    labels = [
        f"{name.removeprefix('adb_').replace('_', ' ')} ({share:.2%})"
        for name, share in zip(names, order.minority, strict=True)
    ]
    size = 1 + 5 * max(2, len(tables)), 1.6 + 0.26 * len(names)
    figure, axes = plt.subplots(1, 2 * len(tables), figsize=size, sharey=True, squeeze=False, layout="constrained")
    for column, (family, table) in enumerate(tables.items()):
        table = table.set_index("data_set").reindex(names)
        of_family = axes[0, 2 * column], axes[0, 2 * column + 1]
        _points(of_family[0], table.gain, 2 * table.spread, table.gain, 0.0)
        of_family[0].set(xlabel="difference, higher is better")
        of_family[0].set_title(f"{family}: average precision", fontsize="medium")
        of_family[0].set_xscale("symlog", linthresh=0.02)
        of_family[0].set_xlim(-0.2, 1)
        of_family[0].set_xticks([-0.1, -0.02, 0, 0.02, 0.1, 0.5], ["-0.1", "-0.02", "0", "0.02", "0.1", "0.5"])
        low, high = table.ratio * np.exp(-2 * table.ratio_spread), table.ratio * np.exp(2 * table.ratio_spread)
        _points(of_family[1], table.ratio, [table.ratio - low, high - table.ratio], 1 - table.ratio, 1.0)
        of_family[1].set_xscale("log")
        of_family[1].set_xlim(0.05, 4)
        of_family[1].set_xticks([0.1, 0.25, 0.5, 1, 2], ["0.1", "0.25", "0.5", "1", "2"], minor=False)
        of_family[1].set_xticks([], minor=True)
        of_family[1].set(xlabel="ratio, lower is better")
        of_family[1].set_title(f"{family}: log loss", fontsize="medium")
    axes[0, 0].set_yticks(range(len(names)), labels)
    for color, label in ((BETTER, "ours is better"), (EQUAL, "equal to three digits"), (WORSE, "ours is worse")):
        axes[0, 0].scatter([], [], color=color, label=label)
    opponents = ", ".join(f"{f} {opponent(of(lines, f))}" for f in tables)
    title = f"Ours at gamma 0.5 against the best stock arm ({opponents}); bars: two standard errors over the folds"
    figure.suptitle(title, fontsize="medium")
    figure.legend(*axes[0, 0].get_legend_handles_labels(), loc="outside lower center", ncols=3, frameon=False)
    figure.savefig(path, dpi=110)
    plt.close(figure)


def _points(axis, values, error, gain, neutral):
    """A point with its error for each data set. The color shows which model is better."""
    y = np.arange(len(values))
    axis.axvline(neutral, color="0.6", linewidth=1)
    error = np.nan_to_num(np.asarray(error, dtype=float))
    axis.errorbar(values, y, xerr=error, fmt="none", ecolor="0.7", linewidth=1, zorder=1)
    axis.scatter(values, y, color=np.select([gain > 5e-4, gain < -5e-4], [BETTER, WORSE], EQUAL), zorder=2, s=22)
    axis.grid(axis="y", color="0.93")
    axis.tick_params(axis="x", labelsize="x-small")
