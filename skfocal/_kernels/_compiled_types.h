/* _compiled.h for float64 and for float32, at one LEVEL of vector instructions. _compiled.c includes this file for each
 * level.
 *
 * Each level has its own copy of the functions that the loops call, because compilers do not inline a function of one
 * level into a function of another level.
 */

#define OF_LEVEL(name) JOIN(name, LEVEL)

/* x rounded to `drop_bits` fewer bits. The bits of floats, read as integers, grow with the size of the float. Adding half
 * a step and clearing the low bits therefore rounds to the nearest. */
#define ROUNDED(type, unsigned_type)                                             \
    static inline type OF_LEVEL(rounded_##type)(type x, int drop_bits)           \
    {                                                                            \
        unsigned_type bits;                                                      \
        memcpy(&bits, &x, sizeof bits);                                          \
        bits += ((unsigned_type)1 << drop_bits) >> 1;                            \
        bits &= ~(((unsigned_type)1 << drop_bits) - 1);                          \
        memcpy(&x, &bits, sizeof x);                                             \
        return x;                                                                \
    }
ROUNDED(float, uint32_t)
ROUNDED(double, uint64_t)
#undef ROUNDED

/* exp(r) = 1 + r + r**2 * EXP_POLYNOMIAL(r) for abs(r) <= log(2)/2, and atanh(s) = s + s**3 * ATANH_POLYNOMIAL(s**2) for
 * 0 <= s <= 1/3: Chebyshev interpolation at 60 digits with mpmath.chebyfit(f, interval, 10), for float 6 and 5. Errors
 * relative to the result: 1.3e-17 and 5e-18, for float 1.7e-10 and 4e-10. */
#define T double
#define I int64_t
#define U uint64_t
#define NAME(name) OF_LEVEL(JOIN(name, _double))
#define SQRT sqrt
#define LARGEST 750.0 /* exp(-LARGEST) is 0 */
#define HUGEST DBL_MAX
#define TINY 2.2250738585072014e-308
#define MANTISSA_BITS 52
#define BIAS 1023
#define ROUNDER 6755399441055744.0 /* 1.5 * 2**52: the last bit of x + ROUNDER has the value 1, so x is rounded */
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
#define NAME(name) OF_LEVEL(JOIN(name, _float))
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

#undef OF_LEVEL
