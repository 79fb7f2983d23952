"""Focal loss on tensors, with analytic derivatives. May import PyTorch only.

One class is the true one, with the margin ``u``: of two classes the score with its sign, of K classes
``u = z_t - logsumexp(the other z)``. Either way ``p = sigmoid(u)``, ``q = sigmoid(-u)``, ``l = log p`` and::

    FL(u)   = -q**gamma * l
    FL'(u)  = q**gamma * (gamma*p*l - q)
    FL''(u) = q**gamma * p * ((1 + 2*gamma)*q + gamma*l*(q - gamma*p))

Neither ``1 - p`` nor ``q**(gamma-1)`` is ever formed: the first has no digits left for an easy row, the second no
bound for ``gamma < 1``. Autograd would form both, so the two functions here bring their own derivatives. Their
forward pass returns the gradient as a second output beside the loss: the backward pass is one product then, and a
second backward pass arrives as the gradient of that output. What computes the Hessian consists of differentiable
operations without a pole, so third derivatives follow by autograd.
"""

from __future__ import annotations

from typing import Any, TypeAlias

import torch
from torch import Tensor
from torch.autograd import Function
from torch.nn.functional import logsigmoid

Gamma: TypeAlias = float | Tensor
Grads: TypeAlias = tuple[Tensor | None, ...]

BLOCK_BYTES = 2**20
"""Size of a block of the binary loss on a CPU. Smaller ones pay for the calls, larger ones leave the cache: measured
from 32 kB to 8 MB, in float32 and float64."""


def q_to_the_gamma(q: Tensor, log_q: Tensor, gamma: Gamma) -> Tensor:
    """``q**gamma``, by products for the usual gammas, else as ``exp(gamma * log q)``: no pole at ``q = 0``."""
    if isinstance(gamma, float) and gamma in (0.0, 1.0, 2.0):
        return torch.ones_like(q) if gamma == 0.0 else q if gamma == 1.0 else q * q
    return torch.exp(gamma * log_q)


def focal(u: Tensor, gamma: Gamma, order: int) -> list[Tensor]:
    """``FL(u)`` and its derivatives up to ``order`` (2 at most), each shaped like ``u`` and differentiable."""
    p, q, l, log_q = torch.sigmoid(u), torch.sigmoid(-u), logsigmoid(u), logsigmoid(-u)
    qg = q_to_the_gamma(q, log_q, gamma)
    derivatives = [-qg * l]
    if order >= 1:
        derivatives.append(qg * (gamma * p * l - q))
    if order >= 2:
        derivatives.append(qg * p * ((1 + 2 * gamma) * q + gamma * l * (q - gamma * p)))
    return derivatives


def _add(a: Tensor | None, b: Tensor) -> Tensor:
    return b if a is None else a + b


def binary_loss(
    z: Tensor, y: Tensor, alpha_1: Gamma, alpha_0: Gamma, gamma_1: float, gamma_0: float, total: bool
) -> Tensor:
    """What `BinaryFunction` describes, differentiable."""
    # Dynamo traces no Function with a forward-mode derivative. Compiled, the formula is one fused loop anyway.
    if torch.compiler.is_compiling():
        loss, _ = _binary_loss_gradient(z, y, alpha_1, alpha_0, gamma_1, gamma_0)
        return loss.sum() if total else loss
    result: Tensor = BinaryFunction.apply(z, y, alpha_1, alpha_0, gamma_1, gamma_0, total)[0]
    return result


class BinaryFunction(Function):
    """``y*alpha_1*FL(z) + (1-y)*alpha_0*FL(-z)``, or its sum if ``total``, and its derivative by z, shaped like z.

    ``y`` is a target in [0, 1]; a soft one is the expectation over the two classes. The alphas are numbers or
    tensors of one element, and constants. Differentiable by z and, for targets that are predicted themselves, by y.
    """

    @staticmethod
    def forward(
        z: Tensor, y: Tensor, alpha_1: Gamma, alpha_0: Gamma, gamma_1: float, gamma_0: float, total: bool
    ) -> tuple[Tensor, Tensor]:
        constants = (alpha_1, alpha_0, gamma_1, gamma_0)
        if gamma_1 != gamma_0 or z.device.type != "cpu" or z.numel() == 0:
            loss, gradient = _binary_loss_gradient(z, y, *constants)
            return loss.sum() if total else loss, gradient
        z, y = z.contiguous(), y.contiguous()
        gradient = torch.empty_like(z)
        block = BLOCK_BYTES // z.element_size()
        scratch = z.new_empty(5, min(block, z.numel()))
        # A sum needs no more than a block of losses: fresh memory costs as much as the arithmetic here.
        loss = z.new_zeros(()) if total else torch.empty_like(z)
        loss_blocks = [] if total else loss.view(-1).split(block)
        blocks = zip(*(x.view(-1).split(block) for x in (z, y, gradient)), strict=True)
        for i, (z_block, y_block, gradient_out) in enumerate(blocks):
            loss_out, *rest = scratch[:, : z_block.numel()]
            loss_out = loss_out if total else loss_blocks[i]
            # y*(y-1) <= 0 is 0 for 0 and 1 alone. Such targets need one class instead of two.
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
                to_z = _add(to_z, by_gradient * hessian)
                to_y = _add(to_y, by_gradient * gradient_by_y)
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
        loss, gradient = BinaryFunction.apply(z, y, *constants[:4], False)
        return (loss.reshape(info.batch_size, -1).sum(1) if constants[4] else loss, gradient), (0, 0)


def _binary_derivatives(
    z: Tensor, y: Tensor, alpha_1: Gamma, alpha_0: Gamma, gamma_1: float, gamma_0: float
) -> tuple[Tensor, Tensor, Tensor]:
    """Second derivative by z, first by y, and second by z and y, of the loss of two classes."""
    loss_1, slope_1, curvature_1 = focal(z, gamma_1, 2)
    loss_0, slope_0, curvature_0 = focal(-z, gamma_0, 2)
    hessian = y * alpha_1 * curvature_1 + (1 - y) * alpha_0 * curvature_0
    return hessian, alpha_1 * loss_1 - alpha_0 * loss_0, alpha_1 * slope_1 + alpha_0 * slope_0


def _binary_loss_gradient(
    z: Tensor, y: Tensor, alpha_1: Gamma, alpha_0: Gamma, gamma_1: float, gamma_0: float
) -> tuple[Tensor, Tensor]:
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
    """Fill ``loss`` and ``gradient`` for targets of 0 and 1, each element by the one class that is true."""
    minus_u, e, p, q = scratch
    torch.addcmul(z, y, z, value=-2.0, out=minus_u)
    # p is divided by, and in float32 it underflows at u = -88. Below u = -80 q + gamma*p*L is 1 to the last digit, in
    # float64 too, so the clip does not change the gradient; the loss keeps the true margin.
    far = bool(minus_u.max() > 80.0)
    v = minus_u.clamp(max=80.0) if far else minus_u
    torch.sigmoid(torch.neg(v, out=e), out=p)
    torch.sigmoid(v, out=q)
    L = torch.log1p(torch.div(q, p, out=e), out=loss)
    if far:
        torch.maximum(L, minus_u, out=L)
    torch.addcmul(q, p, L, value=gamma, out=gradient)
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


def softmax_loss(z: Tensor, t: Tensor, gamma: Gamma) -> Tensor:
    """What `SoftmaxFunction` describes, (n,), differentiable."""
    if torch.compiler.is_compiling():
        others = z.scatter(1, t.unsqueeze(1), -torch.inf)
        return focal(z.gather(1, t.unsqueeze(1)).squeeze(1) - others.logsumexp(1), gamma, 0)[0]
    result: Tensor = SoftmaxFunction.apply(z, t, gamma)[0]
    return result


class SoftmaxFunction(Function):
    """``FL(u)`` of K scores a row with ``u = z_t - logsumexp(the other z)``, (n,), and its gradient, (n, K).

    ``z`` (n, K) scores, ``t`` (n,) class indices, ``gamma`` a number or (n,). With pi the softmax over the other
    classes (``pi_t = 0``), ``d = du/dz``, that is 1 at t and -pi elsewhere, and a direction x::

        gradient    = FL'(u) * d
        Hessian . x = FL''(u) * (d.x) * d - FL'(u) * pi * (x - pi.x)
    """

    @staticmethod
    def forward(z: Tensor, t: Tensor, gamma: Gamma) -> tuple[Tensor, Tensor]:
        t = t.unsqueeze(1)
        others = z.scatter(1, t, -torch.inf)
        top = others.amax(1, keepdim=True)
        # In place: fresh memory for each step would cost as much as the steps.
        pi = others.sub_(top).exp_()
        total = pi.sum(1, keepdim=True)
        u = (z.gather(1, t) - top - total.log()).squeeze(1)
        loss, slope = focal(u, gamma, 1)
        slope = slope.unsqueeze(1)
        return loss, pi.mul_(-slope / total).scatter_(1, t, slope)

    @staticmethod
    def setup_context(ctx: Any, inputs: tuple[Any, ...], output: tuple[Tensor, Tensor]) -> None:
        z, t, gamma = inputs
        ctx.gamma_is_number = isinstance(gamma, float)
        ctx.gamma = gamma if ctx.gamma_is_number else None
        ctx.set_materialize_grads(False)
        saved = (z, t, output[1]) if ctx.gamma_is_number else (z, t, output[1], gamma)
        ctx.save_for_backward(*saved)
        ctx.save_for_forward(*saved)

    @staticmethod
    def backward(ctx: Any, by_loss: Tensor | None, by_gradient: Tensor | None) -> Grads:
        z, t, gradient, *rest = ctx.saved_tensors
        to_z = None if by_loss is None else by_loss.unsqueeze(1) * gradient
        if by_gradient is not None:
            to_z = _add(to_z, hessian_product(z, t, rest[0] if rest else ctx.gamma, by_gradient))
        return to_z, None, None

    @staticmethod
    def jvp(ctx: Any, z_t: Tensor, *_: None) -> tuple[Tensor, Tensor]:
        z, t, gradient, *rest = ctx.saved_tensors
        return (gradient * z_t).sum(1), hessian_product(z, t, rest[0] if rest else ctx.gamma, z_t)

    @staticmethod
    def vmap(info: Any, in_dims: tuple[int | None, ...], z: Tensor, t: Tensor, gamma: Gamma) -> Any:
        def rows(x: Tensor, d: int | None) -> Tensor:
            x = x.expand(info.batch_size, *x.shape) if d is None else x.movedim(d, 0)
            return x.flatten(0, 1)

        per_row = gamma if isinstance(gamma, float) else rows(gamma, in_dims[2])
        loss, gradient = SoftmaxFunction.apply(rows(z, in_dims[0]), rows(t, in_dims[1]), per_row)
        return tuple(x.unflatten(0, (info.batch_size, -1)) for x in (loss, gradient)), (0, 0)


def hessian_product(z: Tensor, t: Tensor, gamma: Gamma, x: Tensor) -> Tensor:
    """The Hessian of each row's loss times its direction ``x``, (n, K), differentiable."""
    t = t.unsqueeze(1)
    others = z.scatter(1, t, -torch.inf)
    u = z.gather(1, t).squeeze(1) - others.logsumexp(1)
    pi = others.softmax(1)
    _, slope, curvature = (f.unsqueeze(1) for f in focal(u, gamma, 2))
    # Directions count from the top class m: x - pi.x is then free of the cancellation in 1 - pi_m.
    x_m = x.gather(1, others.argmax(1, keepdim=True))
    x_t, x = x.gather(1, t) - x_m, x - x_m
    along_pi = (pi * x).sum(1, keepdim=True)
    d = (-pi).scatter(1, t, 1.0)
    return curvature * (x_t - along_pi) * d - slope * pi * (x - along_pi)


def log_probabilities(z: Tensor) -> tuple[Tensor, Tensor]:
    """``log p_k`` and ``log(1 - p_k)`` of K scores a row, (n, K), each to its last digits and differentiable."""
    top = z.argmax(1, keepdim=True)
    is_top = torch.zeros_like(z, dtype=torch.bool).scatter(1, top, True)
    # Only the top class can have 1 - p_k near 0: its u is taken against the sum of the others.
    z_top = z.gather(1, top)
    u = z_top - z.masked_fill(is_top, -torch.inf).logsumexp(1, keepdim=True)
    log_p = torch.where(is_top, logsigmoid(u), z - z_top + logsigmoid(u))
    log_q = torch.log1p(-torch.exp(log_p.masked_fill(is_top, -1.0)))
    return log_p, torch.where(is_top, logsigmoid(-u), log_q)


def soft_loss(z: Tensor, weight: Tensor, gamma: Gamma) -> Tensor:
    """Sum over the classes k of ``weight_k * -q_k**gamma_k * log p_k``, (n,); ``gamma`` a number or (K,)."""
    log_p, log_q = log_probabilities(z)
    return -(weight * torch.exp(gamma * log_q) * log_p).sum(1)


def log_w(log_p: Tensor, log_q: Tensor, gamma: Gamma) -> Tensor:
    """``gamma*log q + log1p(gamma*p*r)``, ``r = -log(p)/q``: the log of the gradient's ratio to cross-entropy's."""
    q, tiny = torch.exp(log_q), torch.finfo(log_q.dtype).tiny
    # Where q underflows r is 1; the inner where keeps autograd from 0/0.
    r = torch.where(q > tiny, -log_p / torch.where(q > tiny, q, 1.0), 1.0)
    return gamma * log_q + torch.log1p(gamma * torch.exp(log_p) * r)
