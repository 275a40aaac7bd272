# What a chapter's CMakeLists.txt is made of. A chapter lists its sources and what it links:
#
#   add_chapter_dialect(ch11_ops TD inc/ch11/TransformerOps.td DIALECT transformer)
#   add_chapter_library(ch11_dialect SOURCES src/dialect.cpp LINK ch1_core DEPENDS ch11_ops)
#   add_chapter(11 attention SOURCES src/bindings.cpp LINK ch11_graph)
#   add_chapter_opt(ch11-opt SOURCES tools/ch11-opt.cpp LINK ch11_dialect)

# One precompiled header for all targets. It pays with clang (2-5 s a file instead of
# 5-21 s) and not with g++. Users must compile with the donor's flags, so every target here
# links pybind11's headers and none defines a macro of its own.
option(COURSE_PCH "share one precompiled header" ON)
if(COURSE_PCH AND CMAKE_CXX_COMPILER_ID STREQUAL "Clang")
  file(WRITE "${CMAKE_BINARY_DIR}/pch.cpp" "// owner of the precompiled header\n")
  add_library(course_pch OBJECT "${CMAKE_BINARY_DIR}/pch.cpp")
  target_link_libraries(course_pch PRIVATE MLIR LLVM pybind11::module)
  target_precompile_headers(course_pch PRIVATE "${CMAKE_SOURCE_DIR}/cmake/pch.h")
endif()

# A header inc/chN/Foo.h is included as "chN/Foo.h", in its chapter and where its library is linked.
function(_course_target target)
  target_include_directories(${target} PUBLIC "${CMAKE_CURRENT_SOURCE_DIR}/inc" "${CMAKE_CURRENT_BINARY_DIR}")
  target_link_libraries(${target} PRIVATE pybind11::module)
  set_target_properties(${target} PROPERTIES DEFINE_SYMBOL "")
  if(TARGET course_pch)
    target_precompile_headers(${target} REUSE_FROM course_pch)
  endif()
endfunction()

# add_chapter_library(name SOURCES … [LINK …] [DEPENDS …]): a static library that this
# chapter and later ones link.
function(add_chapter_library name)
  cmake_parse_arguments(arg "" "" "SOURCES;LINK;DEPENDS" ${ARGN})
  add_library(${name} STATIC ${arg_SOURCES})
  target_link_libraries(${name} PUBLIC ${arg_LINK} MLIR LLVM)
  if(arg_DEPENDS)
    add_dependencies(${name} ${arg_DEPENDS})
  endif()
  _course_target(${name})
endfunction()

# add_chapter_dialect(name TD inc/chN/Foo.td [DIALECT d] [INTERFACES td] [PATTERNS td] [PASSES td]): mlir-tblgen writes
# chN/Foo.{h,cpp}.inc with the ops and, given DIALECT, chN/FooDialect.{h,cpp}.inc; from the other files, which lie
# beside the first, {h,cpp}.inc for interfaces, cpp.inc for rewrite patterns, h.inc for passes.
function(add_chapter_dialect name)
  cmake_parse_arguments(arg "" "TD;DIALECT;INTERFACES;PATTERNS;PASSES" "" ${ARGN})
  get_filename_component(stem "${arg_TD}" NAME_WE)
  get_filename_component(folder "${arg_TD}" DIRECTORY)
  get_filename_component(chapter "${folder}" NAME)
  file(MAKE_DIRECTORY "${CMAKE_CURRENT_BINARY_DIR}/${chapter}")
  set(LLVM_TARGET_DEFINITIONS "${arg_TD}")
  file(GLOB folders "${CMAKE_SOURCE_DIR}/ch.*/inc") # a .td may include another chapter's
  if(CMAKE_SOURCE_DIR MATCHES " ")
    # mlir-tblgen writes the names of what it read without escaping a space, and Ninja would look for other files
    # and build anew each time. Relative to this chapter's build folder the names have none.
    set(absolute ${folders})
    set(folders)
    foreach(folder IN LISTS absolute)
      file(RELATIVE_PATH folder "${CMAKE_CURRENT_BINARY_DIR}" "${folder}")
      list(APPEND folders "${folder}")
    endforeach()
  endif()
  list(TRANSFORM folders PREPEND "-I")
  mlir_tablegen(${chapter}/${stem}.h.inc -gen-op-decls ${folders})
  mlir_tablegen(${chapter}/${stem}.cpp.inc -gen-op-defs ${folders})
  if(arg_DIALECT)
    mlir_tablegen(${chapter}/${stem}Dialect.h.inc -gen-dialect-decls -dialect=${arg_DIALECT} ${folders})
    mlir_tablegen(${chapter}/${stem}Dialect.cpp.inc -gen-dialect-defs -dialect=${arg_DIALECT} ${folders})
  endif()
  if(arg_INTERFACES)
    get_filename_component(stem "${arg_INTERFACES}" NAME_WE)
    set(LLVM_TARGET_DEFINITIONS "${arg_INTERFACES}")
    mlir_tablegen(${chapter}/${stem}.h.inc -gen-op-interface-decls ${folders})
    mlir_tablegen(${chapter}/${stem}.cpp.inc -gen-op-interface-defs ${folders})
  endif()
  if(arg_PATTERNS)
    get_filename_component(stem "${arg_PATTERNS}" NAME_WE)
    set(LLVM_TARGET_DEFINITIONS "${arg_PATTERNS}")
    mlir_tablegen(${chapter}/${stem}.cpp.inc -gen-rewriters ${folders})
  endif()
  if(arg_PASSES)
    get_filename_component(stem "${arg_PASSES}" NAME_WE)
    set(LLVM_TARGET_DEFINITIONS "${arg_PASSES}")
    mlir_tablegen(${chapter}/${stem}.h.inc -gen-pass-decls ${folders})
  endif()
  add_public_tablegen_target(${name})
endfunction()

# `pip install -e .` copies no Python file: a .pth file names the folders they are in, so that an edit counts at once.
if(SKBUILD_STATE STREQUAL "editable")
  set(COURSE_PTH "${CMAKE_BINARY_DIR}/mlir_course_sources.pth")
  file(WRITE "${COURSE_PTH}" "")
  install(FILES "${COURSE_PTH}" DESTINATION . COMPONENT python)
endif()

# add_chapter(number slug SOURCES … [LINK …] [PYTHON files or folders …]): the extension
# chN_slug, its second name chN, and the Python files that belong to it.
function(add_chapter number slug)
  cmake_parse_arguments(arg "" "" "SOURCES;LINK;PYTHON" ${ARGN})
  set(target ch${number})
  set(module ch${number}_${slug})
  pybind11_add_module(${target} MODULE NO_EXTRAS ${arg_SOURCES})
  target_link_libraries(${target} PRIVATE ${arg_LINK} MLIR LLVM)
  set_target_properties(${target} PROPERTIES OUTPUT_NAME ${module}
    LIBRARY_OUTPUT_DIRECTORY "${CMAKE_CURRENT_BINARY_DIR}")
  _course_target(${target})

  set(alias ${target})
  configure_file("${CMAKE_SOURCE_DIR}/cmake/alias.py.in" "${CMAKE_CURRENT_BINARY_DIR}/${alias}.py" @ONLY)

  install(TARGETS ${target} DESTINATION . COMPONENT python)
  install(FILES "${CMAKE_CURRENT_BINARY_DIR}/${alias}.py" DESTINATION . COMPONENT python)
  if(COURSE_PTH AND arg_PYTHON)
    file(APPEND "${COURSE_PTH}" "${CMAKE_CURRENT_SOURCE_DIR}\n")
    return()
  endif()
  foreach(path IN LISTS arg_PYTHON)
    if(IS_DIRECTORY "${CMAKE_CURRENT_SOURCE_DIR}/${path}")
      install(DIRECTORY "${path}" DESTINATION . COMPONENT python PATTERN "__pycache__" EXCLUDE)
    else()
      install(FILES "${path}" DESTINATION . COMPONENT python)
    endif()
  endforeach()
endfunction()

# add_chapter_opt(name SOURCES … LINK …): an mlir-opt with this chapter's dialect and passes. The sources are
# compiled as a library's (-fPIC and not an executable's -fPIE), so that they can use the precompiled header.
function(add_chapter_opt name)
  cmake_parse_arguments(arg "" "" "SOURCES;LINK" ${ARGN})
  add_library(${name}_main OBJECT ${arg_SOURCES})
  target_link_libraries(${name}_main PUBLIC ${arg_LINK} MLIR LLVM)
  _course_target(${name}_main)
  add_executable(${name})
  target_link_libraries(${name} PRIVATE ${name}_main)
  set_target_properties(${name} PROPERTIES LINKER_LANGUAGE CXX RUNTIME_OUTPUT_DIRECTORY "${CMAKE_CURRENT_BINARY_DIR}")
endfunction()
