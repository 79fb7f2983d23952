/* The kernels in the number type T, with its integers I and U and its constants, all defined by _compiled_types.h.
 *
 * Letters and formulas are those of binary.py and softmax.py. Loops run over rows, without a branch or a call that is not
 * inlined, so that they become vector instructions. NaN stays NaN: of two numbers the first is kept unless the second is
 * certainly the one.
 */

static inline T NAME(exp_)(T x) /* exp(x), -LARGEST <= x <= 0, to an ulp */
{
    T rounded = x * (T)1.4426950408889634 + ROUNDER, n = rounded - ROUNDER, power;
    U bits;
    memcpy(&bits, &rounded, sizeof bits);
    bits = (bits << MANTISSA_BITS) + ((U)(BIAS + RAISED) << MANTISSA_BITS);
    memcpy(&power, &bits, sizeof power);
    T r = (x - n * LOG2_HIGH) - n * LOG2_LOW;
    return (1 + (r + r * r * EXP_POLYNOMIAL(r))) * power * ((T)1 / ((int64_t)1 << RAISED));
}

static inline T NAME(twice_atanh)(T s) /* log((1+s)/(1-s)) for abs(s) <= 1/3; log1p(a) for s = a/(2+a) */
{
    T t = s * s;
    return 2 * s + 2 * s * t * ATANH_POLYNOMIAL(t);
}

static inline T NAME(log_)(T x) /* log(x) of a normal number > 0 */
{
    U bits, one = (U)BIAS << MANTISSA_BITS, exponent_of_whole = (U)(BIAS + MANTISSA_BITS) << MANTISSA_BITS;
    memcpy(&bits, &x, sizeof bits);
    U m_bits = (bits & (((U)1 << MANTISSA_BITS) - 1)) | one, k_bits = bits >> MANTISSA_BITS | exponent_of_whole;
    T m, k;
    memcpy(&m, &m_bits, sizeof m);
    memcpy(&k, &k_bits, sizeof k);
    k -= WHOLE + BIAS;
    int large = m > (T)1.4142135623730951; /* x = 2**k * m with m near 1 on both sides: log(1 - tiny) keeps its digits */
    k = large ? k + 1 : k;
    m = large ? m * (T)0.5 : m;
    return k * LOG2_HIGH + (k * LOG2_LOW + NAME(twice_atanh)((m - 1) / (m + 1)));
}

/* n rows of a column as contiguous numbers: where they are, or copied to `room`. NULL if the array is not given. */
static inline const T *NAME(load)(const Array *a, Py_ssize_t row, Py_ssize_t k, int n, T *room)
{
    if (!a->given)
        return NULL;
    const char *from = (const char *)a->view.buf + row * a->stride + k * a->class_stride;
    if (a->contiguous)
        return (const T *)from;
    for (int i = 0; i < n; i++)
        memcpy(room + i, from + i * a->stride, sizeof(T));
    return room;
}

/* Read the class indices of n rows. A label that is no class index becomes 0. Returns whether there was such a label. */
static inline int NAME(load_labels)(const Array *a, Py_ssize_t row, int n, Py_ssize_t n_classes, I *y)
{
    const Py_ssize_t size = a->view.itemsize;
    const char *from = (const char *)a->view.buf + row * a->stride;
    uint64_t room[CHUNK];
    if (!a->contiguous) {
        for (int i = 0; i < n; i++)
            memcpy((char *)room + i * size, from + i * a->stride, size);
        from = (const char *)room;
    }
    const uint32_t last = (uint32_t)(n_classes - 1); /* below 2**31: see MOST_CLASSES */
    int32_t wrong = 0;
    /* A negative integer, read as unsigned, is larger than the largest signed integer of its type. */
#define READ_INTEGERS(type, largest)                                                              \
    {                                                                                             \
        const type top = last < (largest) >> (a->kind == 'i') ? (type)last : (largest) >> (a->kind == 'i'); \
        for (int i = 0; i < n; i++) {                                                             \
            type label = ((const type *)from)[i];                                                 \
            wrong |= label > top;                                                                 \
            y[i] = label > top ? 0 : (I)label;                                                    \
        }                                                                                         \
    }
#define READ_FLOATS(type)                                                                                      \
    {                                                                                                          \
        if (n_classes == 2) /* the usual case; without a conversion it takes half of the time */               \
            for (int i = 0; i < n; i++) {                                                                      \
                type label = ((const type *)from)[i];                                                          \
                wrong |= !((label == 0) | (label == 1));                                                       \
                y[i] = label == 1;                                                                             \
            }                                                                                                  \
        else                                                                                                   \
            for (int i = 0; i < n; i++) {                                                                      \
                type label = ((const type *)from)[i];                                                          \
                int32_t whole = (int32_t)(label >= 0 && label < 2147483648 ? label : -1);                      \
                int bad = ((type)whole != label) | ((uint32_t)whole > last);                                   \
                wrong |= bad;                                                                                  \
                y[i] = bad ? 0 : whole;                                                                        \
            }                                                                                                  \
    }
    if (a->kind == 'f' && size == 8)
        READ_FLOATS(double)
    else if (a->kind == 'f')
        READ_FLOATS(float)
    else if (size == 8)
        READ_INTEGERS(uint64_t, UINT64_MAX)
    else if (size == 4)
        READ_INTEGERS(uint32_t, UINT32_MAX)
    else if (size == 2)
        READ_INTEGERS(uint16_t, UINT16_MAX)
    else
        READ_INTEGERS(uint8_t, UINT8_MAX)
#undef READ_INTEGERS
#undef READ_FLOATS
    return wrong;
}

static inline int NAME(any_infinite)(const T *x, int n) /* or NaN */
{
    I any = 0;
    for (int i = 0; i < n; i++)
        any |= !((x[i] < 0 ? -x[i] : x[i]) <= HUGEST);
    return any != 0;
}

/* The entry for a class in a table with one float64 per class. */
static inline T NAME(of_class)(const Array *table, I label)
{
    double entry;
    memcpy(&entry, (const char *)table->view.buf + label * table->stride, sizeof entry);
    return (T)entry;
}

static inline const T *NAME(load_weight)(const Call *call, Py_ssize_t row, int n, const I *y, T *room)
{
    const T *weight = NAME(load)(&call->weight, row, 0, n, room);
    if (!call->alphas.given)
        return weight;
    for (int i = 0; i < n; i++)
        room[i] = NAME(of_class)(&call->alphas, y[i]) * (weight ? weight[i] : 1);
    return room;
}

static inline const T *NAME(load_gammas)(const Call *call, Py_ssize_t row, int n, const I *y, T *room)
{
    if (!call->of_labels || !call->gammas.given)
        return NAME(load)(&call->gammas, row, 0, n, room);
    for (int i = 0; i < n; i++)
        room[i] = NAME(of_class)(&call->gammas, y[i]);
    return room;
}

static inline void NAME(store)(const T *from, int n, const Array *a, Py_ssize_t row, Py_ssize_t k, int drop_bits)
{
    char *to = (char *)a->view.buf + row * a->stride + k * a->class_stride;
    if (a->is_double && a->contiguous)
        for (int i = 0; i < n; i++)
            ((double *)to)[i] = OF_LEVEL(rounded_double)(from[i], drop_bits);
    else if (a->is_double)
        for (int i = 0; i < n; i++) {
            double x = OF_LEVEL(rounded_double)(from[i], drop_bits);
            memcpy(to + i * a->stride, &x, sizeof x);
        }
    else if (a->contiguous)
        for (int i = 0; i < n; i++)
            ((float *)to)[i] = OF_LEVEL(rounded_float)((float)from[i], drop_bits);
    else
        for (int i = 0; i < n; i++) {
            float x = OF_LEVEL(rounded_float)((float)from[i], drop_bits);
            memcpy(to + i * a->stride, &x, sizeof x);
        }
}

/* scale * weight * q**gamma to qg. log_q is used for gammas other than 0, 0.5, 1 and 2. */
static inline void NAME(power)(int n, const T *restrict q, const T *restrict log_q, double gamma, const T *gammas,
                               const T *weight, T scale, T *restrict qg)
{
    T same = (T)gamma;
    if (gammas)
        for (int i = 0; i < n; i++) {
            T x = gammas[i] * log_q[i];
            qg[i] = NAME(exp_)(x < -LARGEST ? -LARGEST : x);
        }
    else if (gamma == 0)
        for (int i = 0; i < n; i++)
            qg[i] = 1;
    else if (gamma == 0.5)
        for (int i = 0; i < n; i++)
            qg[i] = SQRT(q[i]);
    else if (gamma == 1)
        for (int i = 0; i < n; i++)
            qg[i] = q[i];
    else if (gamma == 2)
        for (int i = 0; i < n; i++)
            qg[i] = q[i] * q[i];
    else
        for (int i = 0; i < n; i++) {
            T x = same * log_q[i];
            qg[i] = NAME(exp_)(x < -LARGEST ? -LARGEST : x);
        }
    if (weight)
        for (int i = 0; i < n; i++)
            qg[i] *= weight[i];
    if (scale != 1)
        for (int i = 0; i < n; i++)
            qg[i] *= scale;
}

/* A = -dFL/du >= 0 and H = d2FL/du2 */
static inline void NAME(derivatives)(int n, const T *restrict q, const T *restrict p, const T *restrict L,
                                     const T *restrict qg, double gamma, const T *gammas, T *restrict A, T *restrict H)
{
    T same = (T)gamma;
    for (int i = 0; i < n; i++) {
        T c = gammas ? gammas[i] : same;
        T cL = c * (L[i] > LARGEST ? LARGEST : L[i]); /* beyond, p is 0 and the product with it has to be */
        T G = cL * p[i] + q[i];
        A[i] = G * qg[i];
        H[i] = (qg[i] * ((1 + c - cL) * q[i] + c * G)) * p[i];
    }
}

static inline void NAME(store_loss)(const Call *call, Py_ssize_t row, int n, const T *qg, const T *L, T *room)
{
    if (!call->loss.given)
        return;
    for (int i = 0; i < n; i++)
        room[i] = qg[i] * L[i];
    NAME(store)(room, n, &call->loss, row, 0, 0);
}

/* The gradient g, and the Hessian h times its factor, raised to `least` times abs(g) and to `floor`. */
static inline void NAME(store_derivatives)(const Call *call, Py_ssize_t row, Py_ssize_t k, int n, const T *g, T *h)
{
    const T factor = (T)call->factor, least = (T)call->least, smallest = (T)call->floor;
    if (call->gradient.given)
        NAME(store)(g, n, &call->gradient, row, k, call->drop_bits);
    if (!call->hessian.given)
        return;
    for (int i = 0; i < n; i++)
        h[i] *= factor;
    if (least > 0)
        for (int i = 0; i < n; i++) {
            T floor = least * (g[i] < 0 ? -g[i] : g[i]);
            h[i] = floor > h[i] ? floor : h[i];
        }
    if (call->floor > -INFINITY)
        for (int i = 0; i < n; i++)
            h[i] = smallest > h[i] ? smallest : h[i];
    NAME(store)(h, n, &call->hessian, row, k, call->drop_bits);
}

static int NAME(binary)(const Call *call)
{
    T minus_u[CHUNK], p[CHUNK], q[CHUNK], L[CHUNK], log_q[CHUNK], qg[CHUNK], A[CHUNK], H[CHUNK], t[CHUNK], room[4][CHUNK];
    I y[CHUNK];
    const T scale = (T)call->scale;
    const int log_loss = !call->gammas.given && call->gamma == 0;
    int outcome = DONE;
    for (Py_ssize_t row = 0; row < call->n_rows; row += CHUNK) {
        const int n = call->n_rows - row < CHUNK ? (int)(call->n_rows - row) : CHUNK;
        const T *z = NAME(load)(&call->z, row, 0, n, room[0]), *minus_s = room[1];
        if (!call->of_labels)
            minus_s = NAME(load)(&call->labels, row, 0, n, room[1]);
        else {
            if (NAME(load_labels)(&call->labels, row, n, 2, y))
                outcome |= WRONG_LABEL;
            if (NAME(any_infinite)(z, n))
                outcome |= WRONG_SCORE;
            for (int i = 0; i < n; i++)
                room[1][i] = y[i] ? -1 : 1;
        }
        const T *weight = NAME(load_weight)(call, row, n, y, room[2]);
        const T *gammas = NAME(load_gammas)(call, row, n, y, room[3]);
        for (int i = 0; i < n; i++) {
            /* With a = exp(-abs(u)) nothing overflows; its place in p, q and their logarithms depends on the sign of u. */
            T x = minus_s[i] * z[i], size = x < 0 ? -x : x;
            T a = NAME(exp_)(-(size > LARGEST ? LARGEST : size)), inverse = 1 / (1 + a);
            p[i] = x > 0 ? a * inverse : inverse;
            q[i] = x > 0 ? inverse : a * inverse;
            minus_u[i] = x;
            t[i] = a;
        }
        if (!log_loss || call->loss.given)
            for (int i = 0; i < n; i++) {
                T l = NAME(twice_atanh)(t[i] / (2 + t[i])), x = minus_u[i];
                L[i] = x > 0 ? x + l : l;
                log_q[i] = x > 0 ? -l : x - l;
            }
        NAME(power)(n, q, log_q, call->gamma, gammas, weight, scale, qg);
        NAME(store_loss)(call, row, n, qg, L, A);
        if (!call->gradient.given && !call->hessian.given)
            continue;
        if (log_loss)
            for (int i = 0; i < n; i++) {
                A[i] = q[i] * qg[i];
                H[i] = A[i] * p[i];
            }
        else
            NAME(derivatives)(n, q, p, L, qg, call->gamma, gammas, A, H);
        for (int i = 0; i < n; i++)
            t[i] = A[i] * minus_s[i];
        NAME(store_derivatives)(call, row, 0, n, t, H);
    }
    return outcome;
}

static int NAME(softmax)(const Call *call)
{
    T p[CHUNK], q[CHUNK], L[CHUNK], log_q[CHUNK], qg[CHUNK], A[CHUNK], H[CHUNK], t[CHUNK], room[2][CHUNK];
    T top[CHUNK], others[CHUNK], rest[CHUNK], e_true[CHUNK], z_true[CHUNK], inverse[CHUNK];
    I y[CHUNK];
    const T scale = (T)call->scale;
    const int log_loss = !call->gammas.given && call->gamma == 0;
    int outcome = DONE;
    const int by_products = log_loss || (!call->gammas.given && (call->gamma == 0.5 || call->gamma == 1 || call->gamma == 2));
    const Py_ssize_t K = call->n_classes;
    Py_ssize_t rows = CHUNK_NUMBERS / (K ? K : 1) / 16 * 16;
    rows = rows < 16 ? 16 : rows > CHUNK ? CHUNK : rows;
    rows = rows > call->n_rows && call->n_rows > 0 ? call->n_rows : rows;
    const size_t columns = K ? (size_t)K : 1;
    T *e = malloc(columns * (size_t)rows * sizeof(T)); /* class by class */
    if (!e)
        return NO_MEMORY;
    for (Py_ssize_t row = 0; row < call->n_rows; row += rows) {
        const int n = call->n_rows - row < rows ? (int)(call->n_rows - row) : (int)rows;
        if (NAME(load_labels)(&call->labels, row, n, K, y))
            outcome |= WRONG_LABEL;
        const T *weight = NAME(load_weight)(call, row, n, y, room[0]);
        const T *gammas = NAME(load_gammas)(call, row, n, y, room[1]);
        for (int i = 0; i < n; i++)
            others[i] = rest[i] = e_true[i] = z_true[i] = 0;
        for (Py_ssize_t k = 0; k < K; k++) {
            T *e_k = e + k * rows;
            const T *z_k = NAME(load)(&call->z, row, k, n, e_k);
            if (z_k != e_k)
                memcpy(e_k, z_k, n * sizeof(T));
            for (int i = 0; i < n; i++)
                top[i] = k && !(e_k[i] > top[i]) ? top[i] : e_k[i];
            if (call->of_labels && NAME(any_infinite)(e_k, n))
                outcome |= WRONG_SCORE;
        }
        for (Py_ssize_t k = 0; k < K; k++) {
            T *e_k = e + k * rows;
            for (int i = 0; i < n; i++) {
                T z = e_k[i] - top[i], x = NAME(exp_)(z < -LARGEST ? -LARGEST : z);
                int is_true = y[i] == (I)k;
                e_true[i] = is_true ? x : e_true[i];
                z_true[i] = is_true ? z : z_true[i];
                x = is_true ? 0 : x;
                others[i] += x;
                rest[i] += x < 1 ? x : 0; /* without the highest score, should that be another class's */
                e_k[i] = x;
            }
        }
        for (int i = 0; i < n; i++) {
            /* e_true/others is exp(u); see binary */
            int wrong = others[i] > e_true[i];
            T a = wrong ? e_true[i] / others[i] : others[i] / e_true[i], b = 1 / (1 + a);
            t[i] = a;
            p[i] = wrong ? a * b : b;
            q[i] = wrong ? b : a * b;
        }
        if (!log_loss || call->loss.given)
            for (int i = 0; i < n; i++) {
                T l = NAME(twice_atanh)(t[i] / (2 + t[i]));
                L[i] = others[i] > e_true[i] ? l + (NAME(log_)(others[i]) - z_true[i]) : l;
            }
        if (!by_products)
            for (int i = 0; i < n; i++)
                log_q[i] = NAME(log_)(q[i] < TINY ? TINY : q[i]);
        NAME(power)(n, q, log_q, call->gamma, gammas, weight, scale, qg);
        NAME(store_loss)(call, row, n, qg, L, A);
        if (!call->gradient.given && !call->hessian.given)
            continue;
        if (log_loss)
            for (int i = 0; i < n; i++) {
                inverse[i] = 1 / (others[i] + e_true[i]);
                A[i] = q[i] * qg[i];
                T p_true = e_true[i] * inverse[i], q_true = q[i] < (T)(1 - SURELY_WRONG) ? q[i] : 1 - p_true;
                H[i] = q_true * p_true * qg[i];
                t[i] = (rest[i] + e_true[i]) * inverse[i];
            }
        else {
            NAME(derivatives)(n, q, p, L, qg, call->gamma, gammas, A, H);
            for (int i = 0; i < n; i++) {
                inverse[i] = 1 / (others[i] < TINY ? TINY : others[i]);
                t[i] = rest[i] * inverse[i];
            }
        }
        for (Py_ssize_t k = 0; k < K; k++) {
            T *e_k = e + k * rows, *h = log_q;
            if (log_loss)
                for (int i = 0; i < n; i++) {
                    int is_true = y[i] == (I)k;
                    T share = e_k[i] * inverse[i], g = qg[i] * share;
                    T complement = e_k[i] == 1 && share > (T)SURELY_WRONG ? t[i] : 1 - share;
                    e_k[i] = is_true ? -A[i] : g;
                    h[i] = is_true ? H[i] : g * complement;
                }
            else
                for (int i = 0; i < n; i++) {
                    int is_true = y[i] == (I)k;
                    T share = e_k[i] * inverse[i], g = A[i] * share;
                    T complement = e_k[i] == 1 && share > (T)SURELY_WRONG ? t[i] : 1 - share;
                    e_k[i] = is_true ? -A[i] : g;
                    h[i] = is_true ? H[i] : (A[i] * complement + H[i] * share) * share;
                }
            NAME(store_derivatives)(call, row, k, n, e_k, h);
        }
    }
    free(e);
    return outcome;
}

#undef T
#undef I
#undef U
#undef NAME
#undef SQRT
#undef LARGEST
#undef HUGEST
#undef TINY
#undef MANTISSA_BITS
#undef BIAS
#undef ROUNDER
#undef WHOLE
#undef RAISED
#undef LOG2_HIGH
#undef LOG2_LOW
#undef EXP_POLYNOMIAL
#undef ATANH_POLYNOMIAL
