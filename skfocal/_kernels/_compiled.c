/* The kernels of binary.py and softmax.py in C: the same functions of the same letters, in one pass over the rows.
 *
 * _compiled.h has the formulas and is included once for each number type. This file has what is asked for by Python:
 *
 *     binary(z, minus_s, weight, gamma, scale, hessian_factor, least, floor, drop_bits, loss, gradient, hessian)
 *     softmax(z, y, weight, gamma, scale, hessian_factor, least, floor, drop_bits, loss, gradient, hessian)
 *
 * with arrays of any strides, None for a weight or a result that is not wanted, gamma a number or an array. The last
 * three are filled. z, minus_s, weight and an array gamma share a type, float32 or float64; results are of it or narrower.
 * And the same from labels of any integer or float type, with a gamma and an alpha (or None) that may be an array of one
 * float64 for each class:
 *
 *     binary_of_labels(z, y, weight, gamma, alpha, loss, gradient, hessian)
 *     softmax_of_labels(z, y, weight, gamma, alpha, loss, gradient, hessian)
 *
 * These return False if a score is not finite or a label is no class; what is filled then has no meaning.
 *
 * Built on the stable ABI with nothing but Python's headers. It is optional: where this file refuses to compile, the
 * NumPy code does the work.
 */

#define Py_LIMITED_API 0x030B0000
#define PY_SSIZE_T_CLEAN
#include <Python.h>

#include <float.h>
#include <math.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

/* The vector instructions are chosen when the module is loaded. Where that can't be done NumPy, which can, is faster. */
#if defined(__x86_64__) && defined(__GLIBC__) && defined(__GNUC__) && !defined(__clang__) && __GNUC__ >= 12
#define VECTORISED __attribute__((target_clones("arch=x86-64-v4", "arch=x86-64-v3", "default")))
#else
#error "no vector instructions chosen at load time with this compiler: skfocal uses NumPy instead"
#endif

#define CHUNK 256          /* rows a time: what the loops leave to each other stays in the first-level cache */
#define CHUNK_NUMBERS 8192 /* rows times classes a time, but 16 rows at least */
#define MOST_CLASSES 2147483647 /* a class is an int32_t where scores are float, and the scratch's size stays a size_t */
#define SURELY_WRONG 0.97  /* see softmax.py */

typedef struct {
    Py_buffer view;
    int given, is_double, contiguous; /* contiguous: along the rows, and aligned */
    char kind;                        /* NumPy's: i, u or f; bool counts as u */
    Py_ssize_t stride, class_stride;
} Array;

typedef struct {
    Array z, labels, weight, gammas, alphas, loss, gradient, hessian; /* labels: minus_s or y */
    double gamma, scale, factor, least, floor;
    int drop_bits, of_labels; /* of_labels: gammas and alphas are by class, else gammas by row */
    Py_ssize_t n_rows, n_classes;
} Call;

enum { DONE = 0, WRONG_SCORE = 1, WRONG_LABEL = 2, NO_MEMORY = 4 }; /* what a kernel returns: the sum of what happened */

#define JOIN_(a, b) a##b
#define JOIN(a, b) JOIN_(a, b)

/* x rounded to `drop_bits` fewer bits. As integers, numbers of one sign are in their order: half a step up, then down. */
#define ROUNDED(T, U)                                       \
    static inline T rounded_##T(T x, int drop_bits)         \
    {                                                       \
        U bits;                                             \
        memcpy(&bits, &x, sizeof bits);                     \
        bits += ((U)1 << drop_bits) >> 1;                   \
        bits &= ~(((U)1 << drop_bits) - 1);                 \
        memcpy(&x, &bits, sizeof x);                        \
        return x;                                           \
    }
ROUNDED(float, uint32_t)
ROUNDED(double, uint64_t)

/* exp(r) = 1 + r + r**2 * EXP_POLYNOMIAL(r) for abs(r) <= log(2)/2, and atanh(s) = s + s**3 * ATANH_POLYNOMIAL(s**2) for
 * 0 <= s <= 1/3: Chebyshev interpolation at 60 digits with mpmath.chebyfit(f, interval, 10), for float 6 and 5. Errors
 * relative to the result: 1.3e-17 and 5e-18, for float 1.7e-10 and 4e-10. */
#define T double
#define I int64_t
#define U uint64_t
#define NAME(name) JOIN(name, _double)
#define SQRT sqrt
#define LARGEST 750.0 /* exp(-LARGEST) is 0 */
#define HUGEST DBL_MAX
#define TINY 2.2250738585072014e-308
#define MANTISSA_BITS 52
#define BIAS 1023
#define ROUNDER 6755399441055744.0 /* 1.5 * 2**52: in a sum with it the last bit counts ones */
#define WHOLE 4503599627370496.0   /* 2**52 */
#define RAISED 60                  /* exp: 2**(n+60) is a normal number, times 2**-60 it may be subnormal */
#define LOG2_HIGH 0x1.62e42fefap-1 /* log(2) in two parts, the first with trailing zeros so that n*LOG2_HIGH is exact */
#define LOG2_LOW 0x1.cf79abc9e3b3ap-40
#define EXP_POLYNOMIAL(r) \
    (0.50000000000000010221 + r * (0.16666666666666667453 + r * (0.041666666666624127873 + r * (0.0083333333333300618325 \
    + r * (0.0013888888917213716901 + r * (0.00019841269863053616878 + r * (0.000024801521295954375131 \
    + r * (2.7557268459997064772e-6 + r * (2.7620088445409748161e-7 + r * 2.5100385495510319078e-8)))))))))
#define ATANH_POLYNOMIAL(t) \
    (0.33333333333333329281 + t * (0.20000000000007291337 + t * (0.14285714283554378581 + t * (0.11111111358713931495 \
    + t * (0.090908947180664290846 + t * (0.076927850324793115517 + t * (0.066570721048274680752 \
    + t * (0.060005364047953562676 + t * (0.044003692430723369411 + t * 0.080820228059717661105)))))))))
#include "_compiled.h"

#define T float
#define I int32_t
#define U uint32_t
#define NAME(name) JOIN(name, _float)
#define SQRT sqrtf
#define LARGEST 104.0f
#define HUGEST FLT_MAX
#define TINY 1.17549435e-38f
#define MANTISSA_BITS 23
#define BIAS 127
#define ROUNDER 12582912.0f /* 1.5 * 2**23 */
#define WHOLE 8388608.0f    /* 2**23 */
#define RAISED 30
#define LOG2_HIGH 0x1.62e4p-1f
#define LOG2_LOW 0x1.7f7d1cp-20f
#define EXP_POLYNOMIAL(r) \
    (0.50000000134658092001f + r * (0.16666666681623231402f + r * (0.041666464925285905408f \
    + r * (0.0083333109254809008349f + r * (0.001393364999630925043f + r * 0.00019890990824673653848f)))))
#define ATANH_POLYNOMIAL(t) \
    (0.33333333660263706234f + t * (0.19999853165964858701f + t * (0.14296178997151418861f \
    + t * (0.10853287900440186323f + t * 0.11612164612011674416f))))
#include "_compiled.h"

/* The kind of numbers in a buffer of this format, or 0. 'n' stands for the letters of NumPy's intp. */
static char kind_of(const char *format)
{
    if (strlen(format) != 1)
        return 0;
    return strchr("bhilqn", format[0]) ? 'i' : strchr("?BHILQN", format[0]) ? 'u' : strchr("fd", format[0]) ? 'f' : 0;
}

/* Take the buffer of `object`, or note that it is None. 0 if it has another shape or type than asked for: one of the
 * letters of `types`, 'y' for an intp, '*' for any integer or float. */
static int take(PyObject *object, const char *name, int optional, int writable, const char *types, Py_ssize_t n_rows,
                Py_ssize_t n_classes, Array *to)
{
    if (optional && object == Py_None)
        return 1;
    if (PyObject_GetBuffer(object, &to->view, PyBUF_STRIDES | PyBUF_FORMAT | (writable ? PyBUF_WRITABLE : 0)) < 0)
        return 0;
    to->given = 1;
    const Py_buffer *view = &to->view;
    const char *format = view->format ? view->format + strspn(view->format, "@=<") : "B"; /* native: little-endian */
    to->kind = kind_of(format);
    int fits = types[0] == '*'   ? to->kind != 0
               : types[0] == 'y' ? to->kind == 'i' && view->itemsize == sizeof(Py_ssize_t)
                                 : strlen(format) == 1 && strchr(types, format[0]);
    if (!fits || view->ndim != (n_classes ? 2 : 1) || (n_rows >= 0 && view->shape[0] != n_rows) ||
        (n_classes > 0 && view->shape[1] != n_classes)) {
        PyErr_Format(PyExc_ValueError, "%s has the wrong type or shape: format %s, %d dimensions", name, format, view->ndim);
        return 0;
    }
    to->is_double = format[0] == 'd';
    to->stride = view->strides[0];
    to->class_stride = n_classes ? view->strides[1] : 0;
    to->contiguous = to->stride == view->itemsize && to->class_stride % view->itemsize == 0 &&
                     (uintptr_t)view->buf % view->itemsize == 0;
    return 1;
}

static PyObject *run(PyObject *arguments, int several, int of_labels)
{
    PyObject *z, *labels, *weight, *gamma, *alpha = Py_None, *loss, *gradient, *hessian, *result = NULL;
    Call call;
    memset(&call, 0, sizeof call);
    call.of_labels = of_labels;
    call.scale = call.factor = 1;
    call.floor = -INFINITY;
    if (of_labels ? !PyArg_ParseTuple(arguments, "OOOOOOOO", &z, &labels, &weight, &gamma, &alpha, &loss, &gradient, &hessian)
                  : !PyArg_ParseTuple(arguments, "OOOOddddiOOO", &z, &labels, &weight, &gamma, &call.scale, &call.factor,
                                      &call.least, &call.floor, &call.drop_bits, &loss, &gradient, &hessian))
        return NULL;
    if (call.drop_bits < 0 || call.drop_bits > 23) {
        PyErr_Format(PyExc_ValueError, "drop_bits must be from 0 to 23, got %d", call.drop_bits);
        return NULL;
    }
    if (!take(z, "raw_prediction", 0, 0, "df", -1, several ? -1 : 0, &call.z))
        goto end;
    Py_ssize_t n = call.n_rows = call.z.view.shape[0], K = call.n_classes = several ? call.z.view.shape[1] : 0;
    if (several && (K < 1 || K > MOST_CLASSES)) {
        PyErr_Format(PyExc_ValueError, "raw_prediction must have from 1 to %d classes, got %zd", MOST_CLASSES, K);
        goto end;
    }
    const char *type = call.z.is_double ? "d" : "f", *result_types = call.z.is_double ? "df" : "f";
    const Py_ssize_t n_labels = several ? K : 2;
    if (!take(labels, several || of_labels ? "y" : "minus_s", 0, 0, of_labels ? "*" : several ? "y" : type, n, 0, &call.labels) ||
        !take(weight, "weight", 1, 0, type, n, 0, &call.weight) ||
        !take(alpha, "alpha", 1, 0, "d", n_labels, 0, &call.alphas) ||
        !take(loss, "loss", 1, 1, type, n, 0, &call.loss) ||
        !take(gradient, "gradient", 1, 1, result_types, n, K, &call.gradient) ||
        !take(hessian, "hessian", 1, 1, result_types, n, K, &call.hessian))
        goto end;
    if (PyFloat_Check(gamma))
        call.gamma = PyFloat_AsDouble(gamma);
    else if (!take(gamma, "gamma", 0, 0, of_labels ? "d" : type, of_labels ? n_labels : n, 0, &call.gammas))
        goto end;
    int outcome;
    Py_BEGIN_ALLOW_THREADS
    if (several)
        outcome = call.z.is_double ? softmax_double(&call) : softmax_float(&call);
    else
        outcome = call.z.is_double ? binary_double(&call) : binary_float(&call);
    Py_END_ALLOW_THREADS
    if (outcome == NO_MEMORY)
        PyErr_NoMemory();
    else if (of_labels)
        result = PyBool_FromLong(outcome == DONE);
    else if (outcome & WRONG_LABEL)
        PyErr_Format(PyExc_ValueError, "y must hold class indices 0 .. %zd", K - 1);
    else
        result = Py_NewRef(Py_None);
end:
    for (Array *array = &call.z; array <= &call.hessian; array++)
        if (array->given)
            PyBuffer_Release(&array->view);
    return result;
}

static PyObject *binary(PyObject *module, PyObject *arguments)
{
    return run(arguments, 0, 0);
}

static PyObject *softmax(PyObject *module, PyObject *arguments)
{
    return run(arguments, 1, 0);
}

static PyObject *binary_of_labels(PyObject *module, PyObject *arguments)
{
    return run(arguments, 0, 1);
}

static PyObject *softmax_of_labels(PyObject *module, PyObject *arguments)
{
    return run(arguments, 1, 1);
}

static PyMethodDef functions[] = {
    {"binary", binary, METH_VARARGS, "Fill loss, gradient and Hessian of one score a row."},
    {"softmax", softmax, METH_VARARGS, "Fill loss, gradient and Hessian of K scores a row."},
    {"binary_of_labels", binary_of_labels, METH_VARARGS, "Check labels and scores, and do as `binary` does."},
    {"softmax_of_labels", softmax_of_labels, METH_VARARGS, "Check labels and scores, and do as `softmax` does."},
    {NULL, NULL, 0, NULL},
};

static struct PyModuleDef module = {PyModuleDef_HEAD_INIT, "_compiled", NULL, 0, functions, NULL, NULL, NULL, NULL};

PyMODINIT_FUNC PyInit__compiled(void)
{
    return PyModuleDef_Init(&module);
}
