"""The comparisons behind the report of ``quality.py``: paired over folds, data sets as the sample."""

import numpy as np
import pandas as pd
from scipy import stats

TREES = 100
OURS = "ours gamma 0.5"
"""The arm with the defaults."""
LIBRARIES = ("LightGBM", "XGBoost", "HistGradientBoosting")


def read(path):
    """The results with the name of each model cut to what it is within its library."""
    lines = pd.read_csv(path)
    lines["arm"] = [model.removeprefix(f"{family} ") for model, family in zip(lines.model, lines.family, strict=True)]
    return lines


def plain(lines):
    """Those without label noise, with the usual number of trees."""
    return lines[(lines.trees == TREES) & (lines.noise == 0)]


def paired(lines, arm, opponent):
    """One line per data set, over the folds that both arms were trained on."""
    both = lines[lines.arm.isin([arm, opponent])]
    keys = ["classes", "minority", "rarest", "rows", "data_set", "repeat", "fold"]
    table = both.pivot_table(index=keys, columns="arm", values=["average_precision", "log_loss", "f1"]).dropna()
    if arm not in both.arm.values or opponent not in both.arm.values or table.empty:
        return pd.DataFrame()
    folds = pd.DataFrame({
        "precision": table["average_precision"][arm], "gain": table["average_precision"][arm]
        - table["average_precision"][opponent], "log_loss": table["log_loss"][arm], "its_log_loss":
        table["log_loss"][opponent], "f1": table["f1"][arm], "f1_gain": table["f1"][arm] - table["f1"][opponent],
    })  # fmt: skip
    groups = folds.groupby(level=keys[:-2])
    means = groups.mean()
    means["ratio"] = means.log_loss / means.its_log_loss
    means["spread"] = groups.gain.std() / np.sqrt(groups.size())
    each = (folds.log_loss / folds.its_log_loss).clip(1e-9)
    means["ratio_spread"] = np.log(each).groupby(level=keys[:-2]).std() / np.sqrt(groups.size())
    return means.reset_index()


def difference(values):
    """A mean with its standard error over the data sets, and on how many it is above and below 0."""
    error = f" ± {values.std(ddof=1) / np.sqrt(len(values)):.3f}" if len(values) > 1 else ""
    return f"{values.mean():+.3f}{error} ({(values > 1e-9).sum()}/{(values < -1e-9).sum()})"


def geometric(ratios):
    """Geometric mean with the worst data set's."""
    return f"{np.exp(np.log(ratios).mean()):.3f} ({ratios.max():.2f})"


def p_value(values):
    """Wilcoxon's signed-rank test of no difference, two-sided."""
    return stats.wilcoxon(values).pvalue if len(values) > 5 and (values != 0).any() else np.nan


def markdown(header, rows):
    """A table."""
    lines = [header, ["---"] * len(header), *rows]
    return "\n".join("| " + " | ".join(map(str, line)) + " |" for line in lines)


def parts_of(table):
    """Data sets of two classes and of several."""
    return [table[table.classes == 2], table[table.classes > 2]] if len(table) else [table, table]


def best_stock(lines):
    """The library's own arm with the least log loss on the folds common to all, class weights aside.

    Class weights are for decisions: their probabilities are those of another population.
    """
    candidates = lines[(lines.kind == "stock") & ~lines.arm.str.contains("balanced")]
    table = candidates.pivot_table(index=["data_set", "repeat", "fold"], columns="arm", values="log_loss").dropna()
    return np.log(table.groupby("data_set").mean()).mean().idxmin()


def against(lines, arms, opponent, both_sides=True):
    """A table of arms against one: average precision and log loss, two classes and several."""
    rows = []
    for label, arm in arms:
        table = paired(lines, arm, opponent) if arm != opponent else paired(lines, arm, _other(lines, arm))
        if table.empty:
            continue
        row = [label]
        for part in parts_of(table):
            if part.empty:
                row += ["", "", ""]
            elif arm == opponent:
                row += [f"{part.precision.mean():.3f}", "", "1"]
            else:
                row += [f"{part.precision.mean():.3f}", difference(part.gain), geometric(part.ratio)]
        rows.append([*row, f"{table.f1.mean():.3f}"])
    header = ["", "two classes: AP", "difference (won/lost)", "log loss (worst set)",
              "several: AP", "difference (won/lost)", "log loss (worst set)", "macro F1"]  # fmt: skip
    return markdown(header, rows)


def _other(lines, arm):
    """Some arm that was trained on the same folds, for the arm's own means."""
    counts = lines.groupby("arm").size()
    return counts.drop(arm).idxmax()


def of(lines, family):
    """A library's lines."""
    return lines[lines.family == family]


def arms_of(lines, kind):
    """The library's arms of a kind, in the order in which they were run."""
    return [(f"{arm}", arm) for arm in lines[lines.kind == kind].arm.unique()]
