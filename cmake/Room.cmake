# freshet_room(NAME [FOLDER dir] [USES rooms...] [LIBRARIES targets...] [TEST_USES targets...])
#
# Declares a room: the static library freshet_NAME from the folder's *.cc, and the test freshet_NAME_test from its
# *_test.cc. A room sees only the folders of the rooms that it USES (transitively): headers are reached as
# "room/header.h" through a per-room include root that holds nothing but links to its headers, so that an include of any
# other room fails to compile. Files are globbed: a file in a room belongs to it, and there are no unused ones; main.cc alone
# is left to the program that is made of the room.
set(FRESHET_INCLUDE_ROOTS ${CMAKE_BINARY_DIR}/rooms)

function(freshet_room NAME)
  cmake_parse_arguments(ROOM "" "FOLDER" "USES;LIBRARIES;TEST_USES" ${ARGN})
  if(NOT ROOM_FOLDER)
    set(ROOM_FOLDER ${NAME})
  endif()
  set(folder ${CMAKE_SOURCE_DIR}/src/${ROOM_FOLDER})
  file(GLOB sources CONFIGURE_DEPENDS ${folder}/*.cc)
  set(tests ${sources})
  list(FILTER tests INCLUDE REGEX "_test\\.cc$")
  list(FILTER sources EXCLUDE REGEX "(_test|/main)\\.cc$")

  set(root ${FRESHET_INCLUDE_ROOTS}/${NAME})
  file(GLOB headers CONFIGURE_DEPENDS ${folder}/*.h)
  file(REMOVE_RECURSE ${root})
  file(MAKE_DIRECTORY ${root}/${ROOM_FOLDER})
  foreach(header ${headers})
    get_filename_component(name ${header} NAME)
    file(CREATE_LINK ${header} ${root}/${ROOM_FOLDER}/${name} SYMBOLIC)
  endforeach()

  set(uses ${ROOM_USES})
  list(TRANSFORM uses PREPEND freshet_)
  set(target freshet_${NAME})
  if(sources)
    add_library(${target} STATIC ${sources})
    set(visibility PUBLIC)
  else()
    add_library(${target} INTERFACE)
    set(visibility INTERFACE)
  endif()
  add_library(Freshet::${NAME} ALIAS ${target})
  target_include_directories(${target} ${visibility} $<BUILD_INTERFACE:${root}>
    $<BUILD_INTERFACE:${CMAKE_SOURCE_DIR}/include>)
  target_link_libraries(${target} ${visibility} ${uses} ${ROOM_LIBRARIES})
  set_property(GLOBAL APPEND PROPERTY FRESHET_ROOMS ${target})
  set_property(TARGET ${target} PROPERTY FRESHET_FOLDER ${ROOM_FOLDER})

  if(FRESHET_TESTS AND tests)
    add_executable(${target}_test ${tests})
    target_link_libraries(${target}_test PRIVATE ${target} ${ROOM_TEST_USES} GTest::gtest_main GTest::gmock rapidcheck)
    add_test(NAME unit.${NAME} COMMAND ${target}_test --gtest_brief=1)
    set_tests_properties(unit.${NAME} PROPERTIES LABELS unit TIMEOUT 600 ENVIRONMENT "${FRESHET_TEST_ENVIRONMENT}")
  endif()
endfunction()
