"""
Probabilities of a neural network trained with focal loss
=========================================================

Focal loss is not a proper scoring rule: the sigmoid of a network that was trained with it is not the probability of the
class. The method ``posterior`` of the loss corrects for gamma with a closed formula, and needs no calibration set. In
this example a small PyTorch network learns to detect one class of Statlog shuttle (58,000 rows), with cross-entropy and
with focal loss.

    python -m pip install -e ".[torch,plot]" && python examples/plot_neural_network.py
"""

# sphinx_gallery_thumbnail_path = "images/neural_network.png"

from pathlib import Path

import matplotlib

matplotlib.use("agg")

import matplotlib.pyplot as plt
import numpy as np
import torch
from sklearn.metrics import average_precision_score, log_loss
from sklearn.model_selection import train_test_split
from sklearn.preprocessing import QuantileTransformer

from skfocal.torch import BinaryFocalLoss

# %%
# Data
# ----
# The network predicts whether a row belongs to the class "High", which has 15 % of the rows. It uses only four of the
# nine columns, so that the classes overlap and the calibration matters.

DATA = (Path(__file__).parent if "__file__" in globals() else Path.cwd()) / "data"
table = np.loadtxt(DATA / "shuttle.csv.gz", delimiter=",", skiprows=1, dtype=str)
X, y = table[:, [1, 2, 3, 5]].astype(float), (table[:, -1] == "High").astype(np.float32)
X_train, X_test, y_train, y_test = train_test_split(
    X, y, test_size=0.4, stratify=y, random_state=0
)
scaler = QuantileTransformer(output_distribution="normal").fit(X_train)
X_train, X_test = (
    torch.tensor(scaler.transform(part), dtype=torch.float32)
    for part in (X_train, X_test)
)

# %%
# Two networks that differ in their loss
# --------------------------------------
# `BinaryFocalLoss` replaces `BCEWithLogitsLoss` in one line.


def train(criterion, epochs=20, batch_size=512, learning_rate=1e-2):
    """Train a network with two hidden layers on the training rows, and return the logits of the test rows."""
    torch.manual_seed(0)
    network = torch.nn.Sequential(
        torch.nn.Linear(X_train.shape[1], 32), torch.nn.ReLU(), torch.nn.Linear(32, 32), torch.nn.ReLU(),
        torch.nn.Linear(32, 1), torch.nn.Flatten(0),
    )  # fmt: skip
    optimizer = torch.optim.AdamW(network.parameters(), weight_decay=1e-4)
    n_steps = epochs * -(-len(X_train) // batch_size)
    schedule = torch.optim.lr_scheduler.OneCycleLR(
        optimizer, learning_rate, total_steps=n_steps
    )
    target = torch.tensor(y_train)
    for _ in range(epochs):
        for rows in torch.randperm(len(X_train)).split(batch_size):
            optimizer.zero_grad()
            criterion(network(X_train[rows]), target[rows]).backward()
            optimizer.step()
            schedule.step()
    with torch.no_grad():
        return network(X_test)


focal = BinaryFocalLoss(gamma=2.0)
cross_entropy_logits = train(torch.nn.BCEWithLogitsLoss())
focal_logits = train(focal)

# %%
# Log loss
# --------
# The log loss of the posterior is as low as that of the network trained with cross-entropy. The log loss of the sigmoid
# is higher. Posterior and sigmoid have the same order, and therefore the same average precision.

probabilities = {
    "cross-entropy, sigmoid": torch.sigmoid(cross_entropy_logits),
    "focal, sigmoid": torch.sigmoid(focal_logits),
    "focal, posterior": focal.posterior(focal_logits),
}
log_losses = {}
print(f"{'test rows':<24} {'log loss':>9} {'to the first':>13} {'avg precision':>14}")
for name, p in probabilities.items():
    p = p.double().numpy()
    log_losses[name] = log_loss(y_test, p)
    ratio = log_losses[name] / log_losses["cross-entropy, sigmoid"]
    print(
        f"{name:<24} {log_losses[name]:>9.4f} {ratio:>13.3f} {average_precision_score(y_test, p):>14.4f}"
    )

# %%
# Reliability
# -----------
# Of the rows with a predicted probability of about 0.3, 30 % should be positive. Bins with fewer than 50 rows are not
# shown.

figure, ax = plt.subplots(figsize=(5.5, 5.2), layout="constrained")
ax.plot([0, 1], [0, 1], color="0.6", linewidth=1, linestyle=":")
for (name, p), color in zip(
    probabilities.items(), ("#3182bd", "#e6550d", "#31a354"), strict=True
):
    p = p.numpy()
    tenth = np.minimum((10 * p).astype(int), 9)
    filled = [i for i in range(10) if np.sum(tenth == i) >= 50]
    predicted = [p[tenth == i].mean() for i in filled]
    observed = [y_test[tenth == i].mean() for i in filled]
    ax.plot(
        predicted,
        observed,
        color=color,
        marker="o",
        label=f"{name}: log loss {log_losses[name]:.3f}",
    )
ax.set(
    xlabel="predicted probability, by tenths",
    ylabel="observed share",
    xlim=(0, 1),
    ylim=(0, 1),
)
ax.legend(loc="upper left", fontsize="small")
picture = Path("neural_network.png").absolute()
figure.savefig(picture, dpi=120)
print(f"Picture: {picture}")
