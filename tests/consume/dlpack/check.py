"""Arrays of a real producer through hence and back: numpy, with both kinds of capsule."""

import ctypes
import gc
import sys

import numpy

library = ctypes.CDLL(sys.argv[1])
python = ctypes.pythonapi
python.PyCapsule_GetPointer.restype = ctypes.c_void_p
python.PyCapsule_GetPointer.argtypes = [ctypes.py_object, ctypes.c_char_p]
python.PyCapsule_SetName.argtypes = [ctypes.py_object, ctypes.c_char_p]
python.PyCapsule_New.restype = ctypes.py_object
python.PyCapsule_New.argtypes = [ctypes.c_void_p, ctypes.c_char_p, ctypes.c_void_p]

names = {}  # capsules keep pointers to their names


def row_sums(array, versioned):
    """The row sums by hence, as an array over hence's memory; None if the array was refused."""
    kind = b"dltensor_versioned" if versioned else b"dltensor"
    function = library.row_sums_of_versioned if versioned else library.row_sums_of
    function.restype = ctypes.c_void_p
    function.argtypes = [ctypes.c_void_p]
    capsule = array.__dlpack__(max_version=(1, 0)) if versioned else array.__dlpack__()
    result = function(python.PyCapsule_GetPointer(capsule, kind))
    if result is None:
        return None
    python.PyCapsule_SetName(capsule, names.setdefault(kind, ctypes.create_string_buffer(b"used_" + kind)))

    class Tensor:
        def __dlpack__(self, **_):
            return python.PyCapsule_New(result, kind, None)

        def __dlpack_device__(self):
            return (1, 0)

    return numpy.from_dlpack(Tensor())


for versioned in (False, True):
    base = numpy.arange(24, dtype=numpy.float32).reshape(4, 6)
    count = sys.getrefcount(base)
    for array in (base, base[::2, 1:4], base.T):
        sums = row_sums(array, versioned)
        assert sums is not None and sums.dtype == numpy.float32
        numpy.testing.assert_array_equal(sums, array.sum(axis=1))
    del array, sums
    gc.collect()
    assert sys.getrefcount(base) == count, "hence kept an array, or gave it back twice"
    assert row_sums(base.astype(numpy.float64), versioned) is None
    assert row_sums(base[0], versioned) is None
frozen = numpy.ones((2, 3), dtype=numpy.float32)
frozen.flags.writeable = False
assert row_sums(frozen, True).tolist() == [3, 3]  # read-only, and asked for as const
print("numpy", numpy.__version__, "and hence share memory")
