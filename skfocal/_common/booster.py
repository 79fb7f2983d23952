"""What the boosters' classifiers share: constructor, parameters, documentation. May import ``loss``, but no booster."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterator
from functools import wraps
from typing import Any, ClassVar

from skfocal._common.classifier import CALIBRATION_DOC, PARAMETERS_DOC, FocalClassifierMixin
from skfocal._common.objective import MAX_STEP_DOC
from skfocal._common.validation import check_bool, check_max_step

DEFAULT_GAMMA = 0.5
"""See docs/evidence.md: in boosters a gamma above 0 changes little, and 2 increases the log loss on most tables."""

BOOSTER_PARAMETERS_DOC = (
    PARAMETERS_DOC.replace("default=2.0", f"default={DEFAULT_GAMMA}") + MAX_STEP_DOC + CALIBRATION_DOC
)

FITTED_DOC = """
    classes_ : ndarray of shape (n_classes,)
        Labels in sorted order.
    focal_loss_ : FocalLoss
        The loss that was minimized. Its ``alpha`` has one weight per class, computed from ``focal_alpha``.
"""


class FocalBoosterMixin(FocalClassifierMixin):
    """Constructor of a booster's classifier: the focal parameters, followed by the parameters of its parent.

    Among the bases of a class it precedes the library's own class. ``inspect.signature``, and therefore tab completion,
    ``repr`` and ``get_params``, show the parent's parameters with the parent's defaults, except for
    ``changed_defaults``.
    """

    focal_parameters = (*FocalClassifierMixin.focal_parameters, "max_step", "balanced_bins")

    changed_defaults: ClassVar[dict[str, Any]] = {}
    """Parameters of the parent whose default differs in this class."""

    max_step: Any
    balanced_bins: Any

    def __init__(
        self,
        focal_gamma: Any = DEFAULT_GAMMA,
        focal_alpha: Any = None,
        *,
        max_step: float | None = 4.0,
        calibration: Any = "focus",
        balanced_bins: bool = True,
        **kwargs: Any,
    ) -> None:
        self.focal_gamma = focal_gamma
        self.focal_alpha = focal_alpha
        self.max_step = max_step
        self.calibration = calibration
        self.balanced_bins = balanced_bins
        super().__init__(**(self.changed_defaults | kwargs))

    def __init_subclass__(cls, **kwargs: Any) -> None:
        super().__init_subclass__(**kwargs)
        if "__init__" not in vars(cls):
            cls.__init__ = _with_parents_parameters(cls)  # type: ignore[method-assign]

    def _check_focal_parameters(self) -> None:
        super()._check_focal_parameters()
        check_max_step(self.max_step)
        check_bool(self.balanced_bins, "balanced_bins")


def _with_parents_parameters(cls: type[FocalBoosterMixin]) -> Callable[..., None]:
    """The mixin's constructor for this class. Its signature also lists the parameters of the parents."""

    @wraps(FocalBoosterMixin.__init__)
    def constructor(self: FocalBoosterMixin, *args: Any, **kwargs: Any) -> None:
        FocalBoosterMixin.__init__(self, *args, **kwargs)

    own = inspect.signature(FocalBoosterMixin.__init__).parameters
    *named, anything = own.values()
    parents = [
        parameter.replace(default=cls.changed_defaults.get(name, parameter.default), kind=parameter.KEYWORD_ONLY)
        for name, parameter in _parents_parameters(cls)
        if name not in own
    ]
    constructor.__signature__ = inspect.Signature([*named, *parents, anything])  # type: ignore[attr-defined]
    return constructor


def _parents_parameters(cls: type) -> Iterator[tuple[str, inspect.Parameter]]:
    """Parameters of the constructors that follow the mixin, each once. A class with ``**kwargs`` passes them to the
    next class.
    """
    seen = {"self"}
    for parent in cls.__mro__[cls.__mro__.index(FocalBoosterMixin) + 1 :]:
        if parent is object or "__init__" not in vars(parent):
            continue
        parameters = inspect.signature(parent.__init__).parameters  # type: ignore[misc]  # of a class, not an instance
        hands_on = False
        for name, parameter in parameters.items():
            if parameter.kind is parameter.VAR_KEYWORD:
                hands_on = True
            elif name not in seen:
                seen.add(name)
                yield name, parameter
        if not hands_on:
            return
