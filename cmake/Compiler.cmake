# Before project(): pick the LLVM prefix and, where its clang is installed, that clang.
#
# The course builds with any C++17 compiler. The clang of the same LLVM is preferred
# because it can share one precompiled header between all chapters, which turns
# eight minutes of build into three. -DCMAKE_CXX_COMPILER=… or CXX=… overrules this.

set(COURSE_LLVM_VERSIONS 22 21)

foreach(version IN LISTS COURSE_LLVM_VERSIONS)
  list(APPEND COURSE_LLVM_PREFIXES "/usr/lib/llvm-${version}")
endforeach()
if(MLIR_DIR) # <prefix>/lib/cmake/mlir, given by the reader
  get_filename_component(prefix "${MLIR_DIR}/../../.." ABSOLUTE)
  set(COURSE_LLVM_PREFIXES "${prefix}")
endif()

foreach(prefix IN LISTS COURSE_LLVM_PREFIXES)
  if(EXISTS "${prefix}/lib/cmake/mlir/MLIRConfig.cmake")
    set(COURSE_LLVM_PREFIX "${prefix}")
    break()
  endif()
endforeach()

set(chosen "$ENV{CXX}")
if(SKBUILD AND chosen MATCHES "(^|-)[gc]\\+\\+(-[0-9]+)?$")
  set(chosen "") # not a choice: pip's back end sets CXX to the compiler that Python was built with
endif()
if(NOT CMAKE_CXX_COMPILER AND NOT chosen AND COURSE_LLVM_PREFIX
   AND EXISTS "${COURSE_LLVM_PREFIX}/bin/clang++")
  set(CMAKE_CXX_COMPILER "${COURSE_LLVM_PREFIX}/bin/clang++")
  set(CMAKE_C_COMPILER "${COURSE_LLVM_PREFIX}/bin/clang")
endif()
