/* The kernels of binary.py and softmax.py in C. Formulas and letters are the same, in one pass over the rows.
 *
 * _compiled.h has the formulas. _compiled_types.h includes _compiled.h for each number type, and this file includes
 * _compiled_types.h for each level of vector instructions. This file has the functions that Python calls:
 *
 *     binary(z, minus_s, weight, gamma, scale, hessian_factor, least, floor, drop_bits, loss, gradient, hessian)
 *     softmax(z, y, weight, gamma, scale, hessian_factor, least, floor, drop_bits, loss, gradient, hessian)
 *
 * Arrays may have any strides. weight is None if there are no weights. gamma is a number or an array with one number per
 * row. The functions fill loss, gradient and hessian, except for those that are None. z, minus_s, weight and an array
 * gamma have the same type, float32 or float64. Results have this type or a narrower one. Two more functions take labels y
 * of any integer or float type. Their gamma is a number or one float64 per class, their alpha is None or one float64 per
 * class:
 *
 *     binary_of_labels(z, y, weight, gamma, alpha, loss, gradient, hessian)
 *     softmax_of_labels(z, y, weight, gamma, alpha, loss, gradient, hessian)
 *
 * They return False if a score is not finite or a label is no class. The results then have no meaning.
 *
 * The file needs only Python's headers and uses the stable ABI. It is optional: on platforms where it refuses to compile,
 * NumPy is used.
 */

#define Py_LIMITED_API 0x030B0000
#define PY_SSIZE_T_CLEAN
#include <Python.h>

#include <float.h>
#include <math.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

/* The platforms that were tested. tests/conftest.py has the same list. */
#if !defined(__GNUC__) || (!defined(__clang__) && __GNUC__ < 12)
#error "skfocal's kernels in C are for GCC 12 or later and for Clang: skfocal uses NumPy instead"
#elif !defined(__linux__) && !defined(__APPLE__)
#error "skfocal's kernels in C are for Linux and macOS: skfocal uses NumPy instead"
#elif !defined(__x86_64__) && !(defined(__aarch64__) && __BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__)
#error "skfocal's kernels in C are for x86-64 and ARM64: skfocal uses NumPy instead"
#endif

#define CHUNK 256          /* rows at a time, so that the loops' arrays stay in the first-level cache */
#define CHUNK_NUMBERS 8192 /* rows times classes at a time, but at least 16 rows */
#define MOST_CLASSES 2147483647 /* for float scores a class is an int32_t; the size of the scratch array fits a size_t */
#define SURELY_WRONG 0.97  /* see softmax.py */

typedef struct {
    Py_buffer view;
    int given, is_double, contiguous; /* contiguous: rows follow each other without gaps, and the buffer is aligned */
    char kind;                        /* as in NumPy: i, u or f; bool counts as u */
    Py_ssize_t stride, class_stride;
} Array;

typedef struct {
    Array z, labels, weight, gammas, alphas, loss, gradient, hessian; /* labels: minus_s or y */
    double gamma, scale, factor, least, floor;
    int drop_bits, of_labels; /* of_labels: gammas and alphas have one entry per class; otherwise gammas one per row */
    Py_ssize_t n_rows, n_classes;
} Call;

enum { DONE = 0, WRONG_SCORE = 1, WRONG_LABEL = 2, NO_MEMORY = 4 }; /* a kernel returns the sum of its problems */

#define JOIN_(a, b) a##b
#define JOIN(a, b) JOIN_(a, b)

/* The loops are compiled once for each level of vector instructions. The best level of the processor is chosen when the
 * module is loaded, and `use` chooses another one. On ARM64 there is one level, because every processor has the
 * instructions that compilers use by default. */
#define PRAGMA(text) _Pragma(#text)
#ifdef __clang__
#define BEGIN_LEVEL(features) PRAGMA(clang attribute push(__attribute__((target(features))), apply_to = function))
#define END_LEVEL _Pragma("clang attribute pop")
#else
#define BEGIN_LEVEL(features) _Pragma("GCC push_options") PRAGMA(GCC target(features))
#define END_LEVEL _Pragma("GCC pop_options")
#endif

#ifdef __x86_64__
BEGIN_LEVEL("avx2,fma,avx512f,avx512bw,avx512cd,avx512dq,avx512vl")
#define LEVEL _avx512
#include "_compiled_types.h"
#undef LEVEL
END_LEVEL

BEGIN_LEVEL("avx2,fma")
#define LEVEL _avx2
#include "_compiled_types.h"
#undef LEVEL
END_LEVEL
#endif

#define LEVEL _baseline
#include "_compiled_types.h"
#undef LEVEL

typedef struct {
    const char *name;
    int (*kernels[2][2])(const Call *); /* binary and softmax, each of float and of double */
} Level;
#define KERNELS(level) {{binary_float##level, binary_double##level}, {softmax_float##level, softmax_double##level}}

static Level levels[3]; /* the levels of this processor, the best first */
static int n_levels;
static const Level *in_use;

static void find_levels(void)
{
    n_levels = 0;
#ifdef __x86_64__
    __builtin_cpu_init();
    const int avx2 = __builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma");
    if (avx2 && __builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512bw") &&
        __builtin_cpu_supports("avx512cd") && __builtin_cpu_supports("avx512dq") && __builtin_cpu_supports("avx512vl"))
        levels[n_levels++] = (Level){"AVX-512", KERNELS(_avx512)};
    if (avx2)
        levels[n_levels++] = (Level){"AVX2", KERNELS(_avx2)};
#endif
    levels[n_levels++] = (Level){"baseline", KERNELS(_baseline)};
    in_use = levels;
}

/* The kind of numbers in a buffer of this format, or 0. 'n' stands for the letters of NumPy's intp. */
static char kind_of(const char *format)
{
    if (strlen(format) != 1)
        return 0;
    return strchr("bhilqn", format[0]) ? 'i' : strchr("?BHILQN", format[0]) ? 'u' : strchr("fd", format[0]) ? 'f' : 0;
}

/* Take the buffer of `object`. An optional `object` may be None. Returns 0 and sets an error if the shape or the type is
 * wrong. `types` contains the letters of the allowed types; "y" allows an intp, and "*" any integer or float. */
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
    outcome = in_use->kernels[several][call.z.is_double](&call);
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

static PyObject *use(PyObject *module, PyObject *name)
{
    for (int i = 0; i < n_levels; i++)
        if (PyUnicode_Check(name) && PyUnicode_CompareWithASCIIString(name, levels[i].name) == 0) {
            in_use = &levels[i];
            Py_RETURN_NONE;
        }
    return PyErr_Format(PyExc_ValueError, "level must be one of those of levels(), got %R", name);
}

static PyObject *names_of_levels(PyObject *module, PyObject *nothing)
{
    PyObject *names = PyList_New(n_levels);
    for (int i = 0; names && i < n_levels; i++) {
        PyObject *name = PyUnicode_FromString(levels[i].name);
        if (!name || PyList_SetItem(names, i, name) < 0)
            Py_CLEAR(names);
    }
    return names;
}

static PyObject *level(PyObject *module, PyObject *nothing)
{
    return PyUnicode_FromString(in_use->name);
}

static PyMethodDef functions[] = {
    {"binary", binary, METH_VARARGS, "Fill loss, gradient and Hessian of one score a row."},
    {"softmax", softmax, METH_VARARGS, "Fill loss, gradient and Hessian of K scores a row."},
    {"binary_of_labels", binary_of_labels, METH_VARARGS, "Check labels and scores, then do the same as `binary`."},
    {"softmax_of_labels", softmax_of_labels, METH_VARARGS, "Check labels and scores, then do the same as `softmax`."},
    {"level", level, METH_NOARGS, "The level of vector instructions in use."},
    {"levels", names_of_levels, METH_NOARGS, "The levels of this processor. The first is the best, and the default."},
    {"use", use, METH_O, "Use one of `levels()`, in the whole process."},
    {NULL, NULL, 0, NULL},
};

static int set_up(PyObject *module)
{
    find_levels();
    return 0;
}

static PyModuleDef_Slot slots[] = {{Py_mod_exec, set_up}, {0, NULL}};

static struct PyModuleDef module = {PyModuleDef_HEAD_INIT, "_compiled", NULL, 0, functions, slots, NULL, NULL, NULL};

PyMODINIT_FUNC PyInit__compiled(void)
{
    return PyModuleDef_Init(&module);
}
