"""Run the tests of the kernels on a build that stops at the first wrong access to memory and at undefined behavior.

    python tests/_kernels/sanitize.py [arguments of pytest]

Needs GCC or Clang with its sanitizers, and fails without. Their library has to be loaded before Python is, so the tests
run in a process of their own, on a copy of the package.
"""

import os
import shutil
import subprocess
import sys
import sysconfig
import tempfile
from pathlib import Path

ROOT = Path(__file__).parents[2]
# Not test_kernels.py, which waits for mpmath and calls the same loops with fewer kinds of arguments.
TESTS = ["test_compiled.py", "test_unprepared.py", "test_fuzz.py", "test_self_test.py"]
FLAGS = ["-O1", "-g", "-fno-omit-frame-pointer", "-fno-math-errno", "-fno-trapping-math"]
SANITIZERS = "-fsanitize=address,undefined,float-cast-overflow"
FAULTY = "int main(int n, char **a) { char *p = __builtin_malloc(n); p[n] = 1; return p[0]; }"


def library(compiler, name):
    """Path of a library that comes with the compiler; ends the run if there is none."""
    path = subprocess.run(
        [compiler, f"-print-file-name={name}"], capture_output=True, text=True, check=True
    ).stdout.strip()
    if not os.path.isabs(path) or not os.path.exists(path):
        sys.exit(f"{compiler} has no {name}: the kernels can't be tested for wrong accesses to memory here")
    return os.path.realpath(path)


def finds_faults(compiler, folder):
    """Whether a program that writes beyond its memory is stopped: else all tests would pass, whatever they do."""
    source, program = folder / "faulty.c", folder / "faulty"
    source.write_text(FAULTY)
    subprocess.run([compiler, SANITIZERS, str(source), "-o", str(program)], check=True)
    run = subprocess.run([str(program)], capture_output=True, text=True, check=False)
    return run.returncode != 0 and "heap-buffer-overflow" in run.stderr


def main():
    """Build, and hand over to pytest; its exit code."""
    compiler = (os.environ.get("CC") or sysconfig.get_config_var("CC") or "cc").split()[0]
    if not shutil.which(compiler):
        sys.exit(f"no compiler {compiler}: the kernels can't be tested for wrong accesses to memory here")
    macros = subprocess.run(
        [compiler, "-dM", "-E", "-xc", os.devnull], capture_output=True, text=True, check=True
    ).stdout
    clang = "__clang__" in macros
    preload = [library(compiler, f"libclang_rt.asan-{os.uname().machine}.so" if clang else "libasan.so")]
    if not clang:  # Clang's has both
        preload.append(library(compiler, "libubsan.so"))
    with tempfile.TemporaryDirectory(prefix="skfocal-sanitize-") as name:
        folder = Path(name)
        if not finds_faults(compiler, folder):
            sys.exit(f"{compiler} {SANITIZERS} does not stop a program that writes beyond its memory")
        package = folder / "skfocal"
        shutil.copytree(ROOT / "skfocal", package, ignore=shutil.ignore_patterns("*.so", "*.pyd", "__pycache__"))
        source = package / "_kernels" / "_compiled.c"
        build = [compiler, "-shared", "-fPIC", *FLAGS, SANITIZERS, "-fno-sanitize-recover=all"]
        build += ["-shared-libsan"] if clang else []
        build += [
            "-Wall",
            "-Wextra",
            "-Wno-unused-parameter",
            "-Werror",
            f"-I{sysconfig.get_path('include')}",
            str(source),
        ]
        subprocess.run([*build, "-o", str(source.with_suffix(".abi3.so")), "-lm"], check=True)
        environment = {
            **os.environ,
            "LD_PRELOAD": " ".join(preload),
            # Python keeps what it allocated till its end, and its own allocator hides what lies beyond an object.
            "ASAN_OPTIONS": "detect_leaks=0:allocator_may_return_null=1",
            "UBSAN_OPTIONS": "print_stacktrace=1",
            "PYTHONMALLOC": "malloc",
            "PYTHONPATH": str(folder),
            "SKFOCAL_COMPILED": "1",
        }
        tests = [str(ROOT / "tests" / "_kernels" / test) for test in TESTS]
        # -P: the copy, not the sources beside this file. --capture=sys: a sanitizer ends the process, and what it wrote
        # would be lost with it.
        options = ["-q", "-p", "no:cacheprovider", "--capture=sys"]
        command = [sys.executable, "-P", "-m", "pytest", *options, *tests]
        return subprocess.run([*command, *sys.argv[1:]], env=environment, cwd=ROOT, check=False).returncode


if __name__ == "__main__":
    sys.exit(main())
