# The few functions that every CMakeLists.txt here uses. The link line of a
# target is its layering: tests/tidy checks the includes against it.

add_library(crr_options INTERFACE)
target_compile_options(crr_options INTERFACE
  -Wall -Wextra -Wshadow -Wnon-virtual-dtor -Woverloaded-virtual
  # Designated initialisers leave the rest at the defaults of the struct.
  -Wno-missing-field-initializers
  $<$<CXX_COMPILER_ID:Clang>:-Wthread-safety>
  $<$<BOOL:${CRR_WERROR}>:-Werror>
  # Paths relative to the tree: ccache hits across clones, and assertions and
  # logs do not show where somebody built.
  -ffile-prefix-map=${CMAKE_SOURCE_DIR}/=)
if(CRR_SANITIZE)
  target_compile_options(crr_options INTERFACE -fsanitize=${CRR_SANITIZE}
    -fno-omit-frame-pointer -fno-sanitize-recover=all)
  target_link_options(crr_options INTERFACE -fsanitize=${CRR_SANITIZE})
endif()
target_include_directories(crr_options INTERFACE ${CMAKE_SOURCE_DIR})

find_program(CRR_CCACHE ccache)
if(CRR_CCACHE)
  set(CMAKE_CXX_COMPILER_LAUNCHER
    ${CMAKE_COMMAND} -E env CCACHE_BASEDIR=${CMAKE_SOURCE_DIR}
    CCACHE_NOHASHDIR=1 ${CRR_CCACHE})
endif()

# crr_library(NAME SOURCES... DEPS... PRIVATE_DEPS...) makes crr::NAME.
function(crr_library name)
  cmake_parse_arguments(ARG "" "" "SOURCES;DEPS;PRIVATE_DEPS" ${ARGN})
  if(ARG_SOURCES)
    add_library(crr_${name} STATIC ${ARG_SOURCES})
    target_link_libraries(crr_${name}
      PUBLIC $<BUILD_INTERFACE:crr_options> ${ARG_DEPS}
      PRIVATE ${ARG_PRIVATE_DEPS})
  else()
    add_library(crr_${name} INTERFACE)
    target_link_libraries(crr_${name} INTERFACE crr_options ${ARG_DEPS})
  endif()
  add_library(crr::${name} ALIAS crr_${name})
endfunction()

# crr_program(NAME SOURCES... DEPS...) builds bin/NAME.
function(crr_program name)
  cmake_parse_arguments(ARG "" "" "SOURCES;DEPS" ${ARGN})
  add_executable(${name} ${ARG_SOURCES})
  target_link_libraries(${name} PRIVATE crr_options ${ARG_DEPS})
endfunction()

# crr_test(NAME SOURCES... DEPS...): one binary per test file, one ctest entry.
function(crr_test name)
  cmake_parse_arguments(ARG "" "" "SOURCES;DEPS" ${ARGN})
  add_executable(${name} ${ARG_SOURCES})
  target_link_libraries(${name} PRIVATE crr_options ${ARG_DEPS}
    GTest::gmock GTest::gtest_main)
  set_target_properties(${name} PROPERTIES
    RUNTIME_OUTPUT_DIRECTORY ${CMAKE_BINARY_DIR}/tests)
  add_test(NAME ${name} COMMAND ${name})
  set_tests_properties(${name} PROPERTIES TIMEOUT 120)
endfunction()
