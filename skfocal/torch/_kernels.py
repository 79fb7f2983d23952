"""Focal loss on tensors, with analytic derivatives. May import PyTorch only.

``u`` is the margin of the true class. For two classes it is the score with its sign, for K classes ``u = z_t -
logsumexp(the other z)``. In both cases ``p = sigmoid(u)``, ``q = sigmoid(-u)``, ``l = log p`` and::

    FL(u)   = -q**gamma * l
    FL'(u)  = q**gamma * (gamma*p*l - q)
    FL''(u) = q**gamma * p * ((1 + 2*gamma)*q + gamma*l*(q - gamma*p))

``1 - p`` and ``q**(gamma-1)`` are never computed. The first loses all digits for an easy row, and the second is
unbounded for ``gamma < 1``. Autograd would compute both, so the two functions define their own derivatives. Their
forward pass returns the loss and, as a second output, the gradient. The backward pass is then a single product, and a
second backward pass is the gradient of the second output. The Hessian is computed by differentiable operations without
a pole, so autograd computes third derivatives.
"""

from __future__ import annotations

from typing import Any, TypeAlias

import torch
from torch import Tensor
from torch.autograd import Function
from torch.nn.functional import logsigmoid

Gamma: TypeAlias = float | Tensor
Grads: TypeAlias = tuple[Tensor | None, ...]

FAR = -1000.0
"""Below this log-odds p is 0 even in float64, and the loss equals cross-entropy for any gamma: ``FL(u) = -u``."""

BLOCK_BYTES = 2**20
"""Size of a block of the binary loss on a CPU. Smaller blocks have a larger overhead of calls, and larger blocks do not
fit the cache. Measured from 32 kB to 8 MB, in float32 and float64."""


def q_to_the_gamma(q: Tensor, log_q: Tensor, gamma: Gamma) -> Tensor:
    """``q**gamma``, by products for the usual gammas, otherwise as ``exp(gamma * log q)``. It has no pole at ``q =
    0``.
    """
    if isinstance(gamma, float) and gamma in (0.0, 1.0, 2.0):
        return torch.ones_like(q) if gamma == 0.0 else q if gamma == 1.0 else q * q
    return power(log_q, gamma)


def power(log_q: Tensor, gamma: Gamma) -> Tensor:
    """``exp(gamma * log_q)``, which is 1 for ``gamma = 0`` even where ``log_q`` is minus infinity."""
    return torch.exp(gamma * log_q.clamp(min=torch.finfo(log_q.dtype).min))


def focal(u: Tensor, gamma: Gamma, order: int) -> list[Tensor]:
    """``FL(u)`` and its derivatives up to ``order`` (2 at most), each shaped like ``u`` and differentiable.

    ``u`` can be infinite. At minus infinity the loss is infinite and its derivative is -1.
    """
    # For extreme u, p*l is 0 times infinity. Before that, autograd multiplies q**gamma by an infinite l.
    near = u.clamp(min=FAR)
    p, q, l, log_q = torch.sigmoid(near), torch.sigmoid(-near), logsigmoid(near), logsigmoid(-near)
    qg = q_to_the_gamma(q, log_q, gamma)
    derivatives = [torch.addcmul(torch.relu(FAR - u), qg, l, value=-1.0)]
    if order >= 1:
        derivatives.append(qg * (gamma * p * l - q))
    if order >= 2:
        derivatives.append(qg * p * ((1 + 2 * gamma) * q + gamma * l * (q - gamma * p)))
    return derivatives


def add(a: Tensor | None, b: Tensor) -> Tensor:
    """``a + b``, or ``b`` if ``a`` is None."""
    return b if a is None else a + b


def binary_loss(
    z: Tensor, y: Tensor, alpha_1: Gamma, alpha_0: Gamma, gamma_1: Gamma, gamma_0: Gamma, total: bool
) -> Tensor:
    """The loss of `BinaryFunction`, differentiable."""
    # Dynamo cannot trace a Function with a forward-mode derivative. The compiled formula is a single fused loop anyway.
    if torch.compiler.is_compiling():
        loss, _ = _binary_loss_gradient(z, y, alpha_1, alpha_0, gamma_1, gamma_0)
        return loss.sum() if total else loss
    result: Tensor = BinaryFunction.apply(z, y, alpha_1, alpha_0, gamma_1, gamma_0, total)[0]
    return result


class BinaryFunction(Function):
    """``y*alpha_1*FL(z) + (1-y)*alpha_0*FL(-z)``, or its sum if ``total``, and its derivative by z, shaped like z.

    ``y`` is a target in [0, 1]. The loss of a soft target is the expectation over the two classes. The alphas and
    gammas are constants: numbers or tensors that broadcast against z. The loss is differentiable with respect to z and,
    for targets that are predictions themselves, with respect to y.
    """

    @staticmethod
    def forward(
        z: Tensor, y: Tensor, alpha_1: Gamma, alpha_0: Gamma, gamma_1: Gamma, gamma_0: Gamma, total: bool
    ) -> tuple[Tensor, Tensor]:
        constants = (alpha_1, alpha_0, gamma_1, gamma_0)
        one_gamma = isinstance(gamma_1, float) and isinstance(gamma_0, float) and gamma_1 == gamma_0
        per_element = any(isinstance(alpha, Tensor) and alpha.dim() for alpha in (alpha_1, alpha_0))
        if not one_gamma or per_element or z.device.type != "cpu" or z.numel() == 0:
            loss, gradient = _binary_loss_gradient(z, y, *constants)
            return loss.sum() if total else loss, gradient
        z, y = z.contiguous(), y.contiguous()
        gradient = torch.empty_like(z)
        block = BLOCK_BYTES // z.element_size()
        scratch = z.new_empty(5, min(block, z.numel()))
        # A sum needs memory for one block of losses only. New memory for all of them would cost as much as the
        # arithmetic.
        loss = z.new_zeros(()) if total else torch.empty_like(z)
        loss_blocks = [] if total else loss.view(-1).split(block)
        blocks = zip(*(x.view(-1).split(block) for x in (z, y, gradient)), strict=True)
        for i, (z_block, y_block, gradient_out) in enumerate(blocks):
            loss_out, *rest = scratch[:, : z_block.numel()]
            loss_out = loss_out if total else loss_blocks[i]
            # y*(y-1) <= 0 is 0 only for 0 and 1. Such targets need one class instead of two.
            if torch.dot(y_block, torch.sub(y_block, 1.0, out=rest[0])) == 0.0:
                _hard_block(z_block, y_block, alpha_1, alpha_0, gamma_1, loss_out, gradient_out, rest)
            else:
                results = _binary_loss_gradient(z_block, y_block, *constants)
                loss_out.copy_(results[0])
                gradient_out.copy_(results[1])
            if total:
                loss += loss_out.sum()
        return loss, gradient

    @staticmethod
    def setup_context(ctx: Any, inputs: tuple[Any, ...], output: tuple[Tensor, Tensor]) -> None:
        z, y, *ctx.constants = inputs
        ctx.set_materialize_grads(False)
        ctx.save_for_backward(z, y, output[1])
        ctx.save_for_forward(z, y, output[1])

    @staticmethod
    def backward(ctx: Any, by_loss: Tensor | None, by_gradient: Tensor | None) -> Grads:
        z, y, gradient = ctx.saved_tensors
        to_z = None if by_loss is None else by_loss * gradient
        to_y: Tensor | None = None
        if by_gradient is not None or ctx.needs_input_grad[1]:
            hessian, loss_by_y, gradient_by_y = _binary_derivatives(z, y, *ctx.constants[:4])
            if by_loss is not None:
                to_y = by_loss * loss_by_y
            if by_gradient is not None:
                to_z = add(to_z, by_gradient * hessian)
                to_y = add(to_y, by_gradient * gradient_by_y)
        return to_z, to_y, None, None, None, None, None

    @staticmethod
    def jvp(ctx: Any, z_t: Tensor | None, y_t: Tensor | None, *_: None) -> tuple[Tensor, Tensor]:
        z, y, gradient = ctx.saved_tensors
        hessian, loss_by_y, gradient_by_y = _binary_derivatives(z, y, *ctx.constants[:4])
        z_t, y_t = (torch.zeros_like(z) if t is None else t for t in (z_t, y_t))
        loss_t = z_t * gradient + y_t * loss_by_y
        return loss_t.sum() if ctx.constants[4] else loss_t, z_t * hessian + y_t * gradient_by_y

    @staticmethod
    def vmap(info: Any, in_dims: tuple[int | None, ...], z: Tensor, y: Tensor, *constants: Any) -> Any:
        z, y = (
            x.expand(info.batch_size, *x.shape) if d is None else x.movedim(d, 0)
            for x, d in zip((z, y), in_dims[:2], strict=True)
        )

        def per_batch(x: Any, d: int | None) -> Any:
            # Dimensions broadcast from the right, so the batch dimension has to be the leftmost.
            if d is None:
                return x
            x = x.movedim(d, 0)
            return x.reshape(info.batch_size, *(1,) * (z.dim() - x.dim()), *x.shape[1:])

        numbers = (per_batch(x, d) for x, d in zip(constants[:4], in_dims[2:6], strict=True))
        loss, gradient = BinaryFunction.apply(z, y, *numbers, False)
        return (loss.reshape(info.batch_size, -1).sum(1) if constants[4] else loss, gradient), (0, 0)


def _finite(z: Tensor) -> Tensor:
    # The loss of the other class has the weight 0, and 0 times infinity is NaN.
    limits = torch.finfo(z.dtype)
    return z.clamp(limits.min, limits.max)


def _binary_derivatives(
    z: Tensor, y: Tensor, alpha_1: Gamma, alpha_0: Gamma, gamma_1: Gamma, gamma_0: Gamma
) -> tuple[Tensor, Tensor, Tensor]:
    """Derivatives of the loss of two classes: second by z, first by y, and mixed by z and y."""
    z = _finite(z)
    loss_1, slope_1, curvature_1 = focal(z, gamma_1, 2)
    loss_0, slope_0, curvature_0 = focal(-z, gamma_0, 2)
    hessian = y * alpha_1 * curvature_1 + (1 - y) * alpha_0 * curvature_0
    return hessian, alpha_1 * loss_1 - alpha_0 * loss_0, alpha_1 * slope_1 + alpha_0 * slope_0


def _binary_loss_gradient(
    z: Tensor, y: Tensor, alpha_1: Gamma, alpha_0: Gamma, gamma_1: Gamma, gamma_0: Gamma
) -> tuple[Tensor, Tensor]:
    z = _finite(z)
    loss_1, slope_1 = focal(z, gamma_1, 1)
    loss_0, slope_0 = focal(-z, gamma_0, 1)
    weight_1, weight_0 = y * alpha_1, (1 - y) * alpha_0
    return weight_1 * loss_1 + weight_0 * loss_0, weight_1 * slope_1 - weight_0 * slope_0


def _hard_block(
    z: Tensor,
    y: Tensor,
    alpha_1: Gamma,
    alpha_0: Gamma,
    gamma: float,
    loss: Tensor,
    gradient: Tensor,
    scratch: list[Tensor],
) -> None:
    """Fill ``loss`` and ``gradient`` for targets 0 and 1. Each element is computed from its true class only."""
    minus_u, e, p, q = scratch
    # Not z - 2*y*z, which overflows for the largest logits.
    torch.mul(z, torch.mul(y, -2.0, out=e).add_(1.0), out=minus_u)
    # The code divides by p, which underflows at u = -88 in float32. Below u = -80, q + gamma*p*L is 1 to the last digit
    # even in float64, so that the clip does not change the gradient. The loss uses the margin without the clip.
    far = bool(minus_u.max() > 80.0)
    v = minus_u.clamp(max=80.0) if far else minus_u
    torch.sigmoid(torch.neg(v, out=e), out=p)
    torch.sigmoid(v, out=q)
    L = torch.log1p(torch.div(q, p, out=e), out=loss)
    torch.addcmul(q, p, L, value=gamma, out=gradient)
    if far:
        torch.maximum(L, minus_u.clamp_(max=torch.finfo(z.dtype).max), out=L)
    if gamma in (0.0, 1.0, 2.0):
        qg = q.fill_(1.0) if gamma == 0.0 else q if gamma == 1.0 else q.square_()
    else:
        qg = torch.sub(minus_u, L, out=q).mul_(gamma).exp_()
    if not (isinstance(alpha_1, float) and alpha_1 == alpha_0 == 1.0):
        qg.mul_(torch.mul(y, alpha_1 - alpha_0, out=e).add_(alpha_0))
    # dFL/d(-u) = q**gamma * (q + gamma*p*L); the sign of u is that of 2*y - 1.
    gradient.mul_(qg)
    torch.addcmul(gradient, y, gradient, value=-2.0, out=gradient)
    loss.mul_(qg)
