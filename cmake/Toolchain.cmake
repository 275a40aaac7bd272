# Finds what every chapter needs: LLVM/MLIR 21 or 22, Python, pybind11. Sets the flags.

set(CMAKE_CXX_STANDARD 17)
set(CMAKE_CXX_STANDARD_REQUIRED ON)
set(CMAKE_POSITION_INDEPENDENT_CODE ON)
set(CMAKE_CXX_VISIBILITY_PRESET hidden)
set(CMAKE_EXPORT_COMPILE_COMMANDS ON)
set(CMAKE_INSTALL_RPATH_USE_LINK_PATH ON) # an installed module finds the libMLIR it was linked to
if(NOT CMAKE_BUILD_TYPE)
  set(CMAKE_BUILD_TYPE Release)
endif()
# The C++ here builds IR and calls compiled code; the arithmetic is MLIR's. -O1 is
# enough for it and compiles twice as fast. assert() stays on: LLVM's packages have
# theirs off, and a wrong cast<> should stop where it happens.
set(CMAKE_CXX_FLAGS_RELEASE "-O1")
# Not -O0: unoptimized, every user of the shared header asks for Python's symbols, which the -opt tools lack.
set(CMAKE_CXX_FLAGS_DEBUG "-Og -g")

# --- MLIR -------------------------------------------------------------------------
find_package(MLIR QUIET CONFIG HINTS "${COURSE_LLVM_PREFIX}")
if(NOT MLIR_FOUND)
  message(FATAL_ERROR
    "MLIR was not found. The course needs LLVM/MLIR 21 or 22 with its headers, e.g.\n"
    "  apt-get install llvm-22-dev libmlir-22-dev mlir-22-tools clang-22 lld-22\n"
    "(./test.sh --setup-only does this), or give its place: cmake -DMLIR_DIR=<prefix>/lib/cmake/mlir …")
endif()
if(NOT LLVM_VERSION_MAJOR IN_LIST COURSE_LLVM_VERSIONS)
  set(direction "too new")
  if(LLVM_VERSION_MAJOR LESS 21)
    set(direction "too old")
  endif()
  message(FATAL_ERROR
    "LLVM/MLIR ${LLVM_PACKAGE_VERSION} in ${MLIR_DIR} is ${direction}: the course follows 21 and 22. "
    "Install one of these, or point to it with -DMLIR_DIR=<prefix>/lib/cmake/mlir.")
endif()
if(NOT TARGET MLIR OR NOT TARGET LLVM)
  message(FATAL_ERROR
    "MLIR ${LLVM_PACKAGE_VERSION} in ${MLIR_DIR} has no shared libMLIR/libLLVM. Sixteen extensions share one "
    "copy of each; use a build with LLVM_BUILD_LLVM_DYLIB and MLIR_BUILD_MLIR_DYLIB, as the distributions do.")
endif()
message(STATUS "MLIR ${LLVM_PACKAGE_VERSION} in ${MLIR_DIR}")

list(APPEND CMAKE_MODULE_PATH "${MLIR_CMAKE_DIR}" "${LLVM_CMAKE_DIR}")
include(TableGen)
include(AddLLVM)
include(AddMLIR)
include_directories(SYSTEM ${LLVM_INCLUDE_DIRS} ${MLIR_INCLUDE_DIRS})
separate_arguments(definitions NATIVE_COMMAND "${LLVM_DEFINITIONS}")
add_definitions(${definitions})
add_compile_options(-Wall -Wno-unused-parameter -Wno-comment)

# --- Python and pybind11 ----------------------------------------------------------
# Inside an active virtual environment, or with one made by ./test.sh, that one is used.
if(NOT Python_EXECUTABLE AND NOT DEFINED ENV{VIRTUAL_ENV} AND NOT SKBUILD
   AND EXISTS "${CMAKE_CURRENT_SOURCE_DIR}/.venv/bin/python")
  set(Python_EXECUTABLE "${CMAKE_CURRENT_SOURCE_DIR}/.venv/bin/python")
endif()
set(Python_FIND_VIRTUALENV FIRST)
find_package(Python 3.11 REQUIRED COMPONENTS Interpreter Development.Module)
set(PYBIND11_FINDPYTHON ON)
find_package(pybind11 CONFIG QUIET)
if(NOT pybind11_FOUND)
  execute_process(COMMAND "${Python_EXECUTABLE}" -c "import pybind11; print(pybind11.get_cmake_dir())"
    OUTPUT_VARIABLE pybind11_DIR OUTPUT_STRIP_TRAILING_WHITESPACE ERROR_QUIET)
  find_package(pybind11 CONFIG QUIET)
endif()
if(NOT pybind11_FOUND)
  message(FATAL_ERROR "pybind11 was not found. Install it for ${Python_EXECUTABLE}: python3 -m pip install pybind11")
endif()

# --- Faster builds, where the tools are there ---------------------------------------
find_program(CCACHE ccache)
if(CCACHE AND NOT CMAKE_CXX_COMPILER_LAUNCHER)
  set(CMAKE_CXX_COMPILER_LAUNCHER ${CMAKE_COMMAND} -E env
    CCACHE_SLOPPINESS=pch_defines,time_macros,include_file_mtime,include_file_ctime ${CCACHE})
endif()
if(CMAKE_CXX_COMPILER_ID STREQUAL "Clang")
  find_program(LLD ld.lld HINTS "${LLVM_TOOLS_BINARY_DIR}" NO_DEFAULT_PATH)
  if(LLD)
    add_link_options(-fuse-ld=lld)
  endif()
  add_compile_options(-Xclang -fno-pch-timestamp) # lets ccache reuse the header
endif()

# What is kept on disk is kept by the build of the library that made it (ch.14).
add_link_options(-Wl,--build-id)

# --- Sanitizers ---------------------------------------------------------------------
set(COURSE_SANITIZE "" CACHE STRING "sanitizers for every target: address,undefined or thread")
if(COURSE_SANITIZE)
  add_compile_options(-fsanitize=${COURSE_SANITIZE} -fno-omit-frame-pointer -gline-tables-only)
  if(COURSE_SANITIZE MATCHES "undefined" AND CMAKE_CXX_COMPILER_ID STREQUAL "Clang")
    # This check reads a word that clang puts before each function. A function of the JIT has none, and where it is the
    # first on its page, the page before it may not exist.
    add_compile_options(-fno-sanitize=function)
  endif()
  add_link_options(-fsanitize=${COURSE_SANITIZE} -shared-libsan)
endif()
