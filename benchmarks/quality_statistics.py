"""Comparisons for the report of ``quality.py``. They are paired over folds, and the data sets are the sample."""

import numpy as np
import pandas as pd
from scipy import stats

TREES = 100
MEASURES = "average_precision", "log_loss", "f1"
GAMMAS = ("0", "0.5", "1", "2")
OURS = "ours gamma 0.5"
"""Name of the arm with the default parameters."""
CLASSES = {
    "LightGBM": "FocalLGBMClassifier",
    "XGBoost": "FocalXGBClassifier",
    "HistGradientBoosting": "FocalHistGradientBoostingClassifier",
}
LIBRARIES = tuple(CLASSES)


def read(path):
    """The results. The names of the models do not include the library."""
    lines = pd.read_csv(path)
    lines["arm"] = [model.removeprefix(f"{family} ") for model, family in zip(lines.model, lines.family, strict=True)]
    return lines


def plain(lines):
    """Lines without label noise and with the default number of trees."""
    return lines[(lines.trees == TREES) & (lines.noise == 0)]


def paired(lines, arm, opponent):
    """One line per data set, over the folds that both arms were trained on."""
    folds, of_set = ["data_set", "repeat", "fold"], ["classes", "minority", "rarest", "rows"]
    ours, its = (lines[lines.arm == name].set_index(folds) for name in (arm, opponent))
    both = ours[[*of_set, *MEASURES]].join(its[[*MEASURES]].add_suffix("_its"), how="inner")
    if both.empty:
        return pd.DataFrame()
    both["gain"] = both.average_precision - both.average_precision_its
    both["f1_gain"] = both.f1 - both.f1_its
    both["log_ratio"] = np.log((both.log_loss / both.log_loss_its).clip(1e-9))
    by_set = both.groupby("data_set")
    means = by_set.mean()
    means["ratio"] = means.log_loss / means.log_loss_its
    for name, values in (("spread", by_set.gain.std()), ("ratio_spread", by_set.log_ratio.std())):
        means[name] = values / np.sqrt(by_set.size())
    return means.rename(columns={"average_precision": "precision"}).reset_index()


def difference(values):
    """Mean, standard error over the data sets, and the numbers of data sets above and below 0."""
    error = f" ± {values.std(ddof=1) / np.sqrt(len(values)):.3f}" if len(values) > 1 else ""
    return f"{values.mean():+.3f}{error} ({(values > 1e-9).sum()}/{(values < -1e-9).sum()})"


def geometric(ratios):
    """Geometric mean, and the ratio of the worst data set."""
    worst = ratios.max()
    return f"{np.exp(np.log(ratios).mean()):.3f} ({f'{worst:.2f}' if worst < 100 else f'{worst:.0f}'})"


def p_value(values):
    """p-value of Wilcoxon's two-sided signed-rank test with its exact distribution. Zeros are removed."""
    differences = np.asarray(values)[np.asarray(values) != 0]
    return stats.wilcoxon(differences, method="exact").pvalue if len(values) > 5 and len(differences) else np.nan


def markdown(header, rows):
    """A Markdown table."""
    lines = [header, ["---"] * len(header), *rows]
    return "\n".join("| " + " | ".join(map(str, line)) + " |" for line in lines)


def parts_of(table):
    """Data sets with two classes, and data sets with several classes."""
    return [table[table.classes == 2], table[table.classes > 2]] if len(table) else [table, table]


OPPONENTS = {
    "LightGBM": "reg_lambda=1",
    "XGBoost": "base_score=0.5",
    "HistGradientBoosting": "l2_regularization=1",
    "Logistic": "as it comes",
    "CatBoost": "as it comes",
}
"""Results of `best_stock` for the tables of docs/evidence.md. The same arms are the opponents in all other tables."""


def opponent(lines):
    """The arm with which the arms of a library are compared."""
    arm = OPPONENTS.get(lines.family.iloc[0])
    return arm if (lines.arm == arm).any() else best_stock(lines)


def best_stock(lines):
    """The library with default parameters, or with the one parameter that gives the lowest log loss on common folds.

    Class weights are excluded, because they are for decisions, and their probabilities belong to another population.
    """
    one_parameter = (lines.arm == "as it comes") | ~lines.arm.str.contains(" ")
    candidates = lines[(lines.kind == "stock") & one_parameter & ~lines.arm.str.contains("balanced")]
    table = candidates.pivot_table(index=["data_set", "repeat", "fold"], columns="arm", values="log_loss").dropna()
    return np.log(table.groupby("data_set").mean()).mean().idxmin()


def against(lines, arms, opponent):
    """A table that compares arms with an opponent: average precision and log loss, for two and for several classes.

    Arms that were not trained on all data sets of the opponent are not included.
    """
    rows, sets = [], lines[lines.arm == opponent].groupby("data_set")["classes"].first()
    wanted = (sets == 2).sum(), (sets > 2).sum()
    for label, arm in arms:
        table = paired(lines, arm, opponent)
        parts = parts_of(table)
        if len(parts[0]) < wanted[0] or len(parts[1]) not in (0, wanted[1]):
            continue
        row = [label]
        for part in parts:
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


def of(lines, family):
    """Lines of a library."""
    return lines[lines.family == family]


def arms_of(lines, kind):
    """Arms of a library that have a kind, in the order in which they were run."""
    return [(f"{arm}", arm) for arm in lines[lines.kind == kind].arm.unique()]


OVER_ZERO = ["gamma 0.5: AP", "log loss", "gamma 1: AP", "log loss", "gamma 2: AP", "log loss"]


def over_zero(part, chosen=None):
    """Skfocal at each gamma compared with gamma 0, on some of the data sets."""
    cells = []
    for gamma in GAMMAS[1:]:
        table = paired(part, f"ours gamma {gamma}", "ours gamma 0")
        table = table[chosen(table)] if chosen and len(table) else table
        cells += ["", ""] if table.empty else [difference(table.gain), geometric(table.ratio)]
    return cells


def gamma_by(lines, groups):
    """Each gamma compared with gamma 0, for each group of data sets."""
    rows = []
    for family in LIBRARIES:
        for name, chosen in groups.items():
            cells = over_zero(of(lines, family), chosen)
            if any(cells):
                rows.append([family, name, *cells])
    return markdown(["", "sets", *OVER_ZERO], rows)


def conditions(lines, column, name, same):
    """Skfocal compared with the best stock arm, and gamma compared with gamma 0, for each value of a training
    condition.
    """
    rows = []
    for family in LIBRARIES[:2]:
        if (of(plain(lines), family).kind == "stock").sum() == 0:
            continue
        best, part = opponent(of(plain(lines), family)), of(lines[lines[same[0]] == same[1]], family)
        # Each row uses the same folds of the same data sets.
        keys = list(zip(part.data_set, part.repeat, part.fold, strict=True))
        common = set.intersection(*part.assign(key=keys).groupby(column)["key"].agg(set))
        part = part[[key in common for key in keys]]
        for value in sorted(part[column].unique()):
            of_value = part[part[column] == value]
            table = paired(of_value, OURS, best)
            if len(table):
                cells = [f"{table.precision.mean():.3f}", difference(table.gain), geometric(table.ratio)]
                rows.append([family, name(value), *cells, *over_zero(of_value)])
    header = ["", "", f"{OURS}: AP", "over the best stock arm", "log loss"]
    return markdown([*header, *(f"over 0: {text}" if "gamma" in text else text for text in OVER_ZERO)], rows)
