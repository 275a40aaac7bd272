// call.cpp - any number of arrays and numbers, checked, described and handed
// over by libffi.
//
//   ch.2:  function(A.allocated, A.aligned, …)   21 arguments, written by hand
//   here:  words = {A.allocated, A.aligned, …}   as many as the signature says
//          ffi_call(cif, function, nullptr, addresses of the words)
//
// libffi puts each word where the machine's C calling convention wants it: the
// work that a C compiler does for a call that it sees.
#include "ch8/Call.h"

#include "ch1/Arrays.h"
#include "ch1/Diagnostics.h"
#include "ch2/Strided.h"

#include "mlir/IR/BuiltinTypes.h"
#include <cmath>
#include <cstring>
#include <limits>

namespace py = pybind11;
using llvm::SmallVector;

namespace ch8 {

namespace {

// [words]
/// The values of one call, each in 64 bits of its own.
class Words {
public:
  template <typename T> void push(T value) {
    static_assert(sizeof(T) <= sizeof(uint64_t));
    words.push_back(0);
    std::memcpy(&words.back(), &value, sizeof value);
  }

  /// Where each value lies, as ffi_call wants it.
  SmallVector<void *, 64> addresses() {
    SmallVector<void *, 64> result;
    for (uint64_t &word : words)
      result.push_back(&word);
    return result;
  }

private:
  SmallVector<uint64_t, 64> words;
};
// [/words]

bool isDynamic(int64_t value) { return mlir::ShapedType::isDynamic(value); }

/// "(any, 4)", for messages and for checkArray.
SmallVector<int64_t> expectedShape(const Parameter &parameter) {
  SmallVector<int64_t> shape;
  for (int64_t size : parameter.sizes)
    shape.push_back(isDynamic(size) ? ch1::kAnySize : size);
  return shape;
}

SmallVector<int64_t> contiguousStrides(llvm::ArrayRef<int64_t> shape) {
  SmallVector<int64_t> strides(shape.size(), 1);
  for (size_t d = shape.size(); d-- > 1;)
    strides[d - 1] = strides[d] * shape[d];
  return strides;
}

SmallVector<int64_t> stridesOf(const py::array &array) {
  SmallVector<int64_t> strides;
  for (py::ssize_t d = 0; d < array.ndim(); ++d)
    strides.push_back(array.strides(d) / array.itemsize());
  return strides;
}

// [strides-fit]
/// Whether strides are those of the type. A stride is never used where there
/// are no two elements along its dimension.
bool stridesFit(const Parameter &parameter, llvm::ArrayRef<int64_t> shape,
                llvm::ArrayRef<int64_t> strides) {
  for (size_t d = 0; d < shape.size(); ++d)
    if (shape[d] > 1 && !isDynamic(parameter.strides[d]) &&
        parameter.strides[d] != strides[d])
      return false;
  return true;
}
// [/strides-fit]

// [push-array]
/// Appends the descriptor of an array. Returns what must stay alive: the array,
/// or a copy in C order where the array cannot be described as it is.
py::array pushArray(Words &words, const Parameter &parameter, py::array array,
                    const std::string &name) {
  SmallVector<int64_t> shape = ch1::shapeOf(array), strides;
  if (parameter.isContiguous) {
    array = ch1::contiguous(array);
    strides = contiguousStrides(shape);
  } else {
    array = ch2::describable(array);
    strides = stridesOf(array);
    if (!stridesFit(parameter, shape, strides)) {
      array = ch1::contiguous(array);
      strides = contiguousStrides(shape);
    }
    if (!stridesFit(parameter, shape, strides))
      throw py::value_error(name + ": neither an array of shape " +
                            ch1::shapeText(shape) +
                            " nor a copy of it has the "
                            "strides of " +
                            parameter.type);
  }
  words.push(array.data()); // allocated
  words.push(array.data()); // aligned
  words.push(int64_t(0));   // offset
  for (int64_t size : shape)
    words.push(size);
  for (auto [stride, fixed] : llvm::zip(strides, parameter.strides))
    words.push(isDynamic(fixed) ? stride : fixed);
  return array;
}
// [/push-array]

std::string typeName(py::handle object) {
  return py::type::of(object).attr("__name__").cast<std::string>();
}

std::string textOf(py::handle object) {
  return py::str(object).cast<std::string>();
}

[[noreturn]] void throwDoesNotFit(const Parameter &parameter, py::handle object,
                                  const std::string &name) {
  throw py::value_error(name + ": " + textOf(object) + " does not fit " +
                        parameter.type);
}

// [push-number]
void pushNumber(Words &words, const Parameter &parameter, py::handle object,
                const std::string &name) {
  bool isFloat =
      parameter.scalar == Scalar::F32 || parameter.scalar == Scalar::F64;
  PyNumberMethods *methods = Py_TYPE(object.ptr())->tp_as_number;
  bool converts =
      methods && (methods->nb_index || (isFloat && methods->nb_float));
  if (!converts || PyBool_Check(object.ptr()) ||
      py::isinstance<py::array>(object))
    throw py::type_error(name + ": expected " +
                         (isFloat ? "a number" : "an integer") + " for " +
                         parameter.type + ", got " + typeName(object));
  if (isFloat) {
    auto number =
        py::reinterpret_steal<py::object>(PyNumber_Float(object.ptr()));
    if (!number)
      throw py::error_already_set();
    double value = PyFloat_AS_DOUBLE(number.ptr());
    if (parameter.scalar == Scalar::F64)
      return words.push(value);
    auto single = static_cast<float>(value);
    if (std::isinf(single) && !std::isinf(value))
      throwDoesNotFit(parameter, object, name);
    return words.push(single);
  }
  auto number = py::reinterpret_steal<py::object>(PyNumber_Index(object.ptr()));
  if (!number)
    throw py::error_already_set();
  int overflow = 0;
  int64_t value = PyLong_AsLongLongAndOverflow(number.ptr(), &overflow);
  bool isNarrow = parameter.scalar == Scalar::I32;
  if (overflow || (isNarrow && value != static_cast<int32_t>(value)))
    throwDoesNotFit(parameter, object, name);
  if (isNarrow)
    return words.push(static_cast<int32_t>(value));
  words.push(value);
}
// [/push-number]

/// The items of a list or tuple, which nobody can change meanwhile.
py::tuple tupleOf(py::handle object, const std::string &name,
                  const char *what) {
  if (!py::isinstance<py::list>(object) && !py::isinstance<py::tuple>(object))
    throw py::type_error(name + ": expected a list or tuple of " + what +
                         ", got " + typeName(object));
  auto items = py::reinterpret_steal<py::tuple>(PySequence_Tuple(object.ptr()));
  if (!items)
    throw py::error_already_set();
  return items;
}

SmallVector<int64_t> outputShape(py::handle object) {
  SmallVector<int64_t> shape;
  for (py::handle item : tupleOf(object, "out_shape", "sizes")) {
    if (!PyIndex_Check(item.ptr()))
      throw py::type_error("out_shape: expected integers, got " +
                           textOf(object));
    int64_t size = PyNumber_AsSsize_t(item.ptr(), nullptr); // clamps
    if (PyErr_Occurred())
      throw py::error_already_set();
    if (size < 0)
      throw py::value_error("out_shape: expected sizes that are not negative, "
                            "got " +
                            textOf(object));
    shape.push_back(size);
  }
  return shape;
}

py::dtype dtypeOf(Scalar scalar) {
  switch (scalar) {
  case Scalar::F32:
    return py::dtype::of<float>();
  case Scalar::F64:
    return py::dtype::of<double>();
  case Scalar::I32:
    return py::dtype::of<int32_t>();
  case Scalar::I64:
  case Scalar::Index:
    break;
  }
  return py::dtype::of<int64_t>();
}

// [make-output]
/// A new array of zeros, for the last parameter.
py::array makeOutput(const Parameter &parameter, py::handle outShape) {
  SmallVector<int64_t> shape = outputShape(outShape);
  SmallVector<int64_t> expected = expectedShape(parameter);
  bool matches = shape.size() == expected.size();
  for (size_t d = 0; matches && d < shape.size(); ++d)
    matches = expected[d] == ch1::kAnySize || expected[d] == shape[d];
  if (!matches)
    throw py::value_error("out_shape: expected " + ch1::shapeText(expected) +
                          " for " + parameter.type + ", got " +
                          ch1::shapeText(shape));
  py::dtype dtype = dtypeOf(parameter.scalar);
  int64_t bytes = dtype.itemsize();
  for (int64_t size : shape)
    if (__builtin_mul_overflow(bytes, size ? size : 1, &bytes))
      throw py::value_error("out_shape: " + ch1::shapeText(shape) +
                            " is more than there can be memory for");
  py::array output(dtype, std::vector<py::ssize_t>(shape.begin(), shape.end()));
  std::memset(output.mutable_data(), 0, output.nbytes());
  return output;
}
// [/make-output]

ffi_type *ffiType(Word::Kind kind) {
  switch (kind) {
  case Word::Pointer:
    return &ffi_type_pointer;
  case Word::I32:
    return &ffi_type_sint32;
  case Word::I64:
    return &ffi_type_sint64;
  case Word::F32:
    return &ffi_type_float;
  case Word::F64:
    return &ffi_type_double;
  }
  return nullptr;
}

} // namespace

// [prepare]
Call::Call(Signature given) : signature(std::move(given)) {
  for (const Word &word : expand(signature))
    types.push_back(ffiType(word.kind));
  if (ffi_prep_cif(&cif, FFI_DEFAULT_ABI, types.size(), &ffi_type_void,
                   types.data()) != FFI_OK)
    throw ch1::CompileError("libffi cannot call @" + signature.function);
}
// [/prepare]

py::array Call::operator()(void *function, py::handle arguments,
                           py::handle outShape) const {
  py::tuple given = tupleOf(arguments, "arrays", "arrays and numbers");
  llvm::ArrayRef<Parameter> parameters = signature.parameters;
  if (given.size() != parameters.size() - 1)
    throw py::value_error("arrays: @" + signature.function + " takes " +
                          std::to_string(parameters.size() - 1) +
                          " and the output, got " +
                          std::to_string(given.size()));
  // [loop]
  Words words;
  SmallVector<py::array, 8> alive;
  for (auto [i, parameter] : llvm::enumerate(parameters.drop_back())) {
    py::handle argument = PyTuple_GET_ITEM(given.ptr(), i);
    std::string name = "arrays[" + std::to_string(i) + "]";
    if (!parameter.isMemRef) {
      pushNumber(words, parameter, argument, name);
      continue;
    }
    py::array array = ch1::checkArray(
        argument, name, numpyName(parameter.scalar), expectedShape(parameter));
    alive.push_back(pushArray(words, parameter, std::move(array), name));
  }
  py::array output = makeOutput(parameters.back(), outShape);
  pushArray(words, parameters.back(), output, "out_shape");
  auto addresses = words.addresses();
  {
    py::gil_scoped_release release;
    ffi_call(&cif, reinterpret_cast<void (*)()>(function), nullptr,
             addresses.data());
  }
  return output;
  // [/loop]
}

} // namespace ch8
